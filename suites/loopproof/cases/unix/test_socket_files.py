"""The file of a UNIX server: what was there before, and what becomes of it."""

import errno
import os
import pathlib
import socket
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import Serve, on_servers, raises, requires, until
from loopproof.authoring.serving import sockets


def stale(path: str) -> None:
    """Leave a socket file behind that nobody listens at."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


@requires("UNIX-CREATE_UNIX_SERVER-03")
@on_servers("unix")
@pytest.mark.parametrize("as_bytes", [False, True])
async def test_a_stale_file_is_replaced(serve: Serve, as_bytes: bool) -> None:
    """A socket file that was left behind is removed, and the server listens in its place."""
    path = serve.path()
    stale(path)
    before = pathlib.Path(path).stat().st_ino
    keeper = pathlib.Path(path).with_name("keeper")
    os.link(path, keeper)  # so that the inode is not used again
    service = await serve(path=os.fsencode(path) if as_bytes else path)
    assert pathlib.Path(path).stat().st_ino != before
    service.knock()
    await service.made_connection(1)


@requires("UNIX-CREATE_UNIX_SERVER-04")
@on_servers("unix")
@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link to a file"])
async def test_a_foreign_file_is_left_alone(serve: Serve, kind: str) -> None:
    """What is no socket raises OSError EADDRINUSE, stays as it is, and no socket is left open."""
    path = pathlib.Path(serve.path())
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        path.write_text("precious")
    else:
        path.with_name("target").write_text("precious")
        path.symlink_to(path.with_name("target"))
    before, open_before = os.lstat(path), sockets()
    with raises(OSError) as caught:
        await serve(path=str(path))
    assert getattr(caught.value, "errno", None) == errno.EADDRINUSE, f"the error is {caught.value!r}"
    assert sockets() == open_before
    assert os.lstat(path).st_ino == before.st_ino
    assert kind in ("directory", "fifo") or path.read_text() == "precious"


@requires("UNIX-CREATE_UNIX_SERVER-18")
@on_servers("unix")
async def test_the_error_names_the_path(serve: Serve) -> None:
    """The message of EADDRINUSE contains the path."""
    path = serve.path()
    pathlib.Path(path).touch()
    with raises(OSError) as caught:
        await serve(path=path)
    assert path in str(caught.value)


@requires("UNIX-CREATE_UNIX_SERVER-18")
@on_servers("unix")
@pytest.mark.parametrize("below", ["missing/socket", "file/socket"])
async def test_a_path_that_cannot_be(serve: Serve, below: str, logged: list[Any]) -> None:
    """A path in a folder that does not exist, or below a file, raises OSError, and no socket is left open."""
    folder = pathlib.Path(serve.path())
    folder.mkdir()
    (folder / "file").touch()
    before = sockets()
    with raises(FileNotFoundError, NotADirectoryError):
        await serve(path=str(folder / below))
    assert sockets() == before
    logged.clear()  # that the file below could not be looked at may be told there


@requires("UNIX-CREATE_UNIX_SERVER-12")
@on_servers("unix")
async def test_before_cleanup_the_file_stays(serve: Serve) -> None:
    """Before Python 3.13 closing the server leaves the file where it is."""
    service = await serve()
    path = pathlib.Path(service.address)
    service.server.close()
    await until(service.refuses, "the refusal of a connection after close()")
    assert path.is_socket()


@requires("UNIX-CREATE_UNIX_SERVER-09")
@on_servers("unix")
@pytest.mark.parametrize("options", [{}, {"cleanup_socket": True}, {"start_serving": False}])
@pytest.mark.parametrize("as_bytes", [False, True])
async def test_the_file_goes_with_the_server(serve: Serve, options: Any, as_bytes: bool) -> None:
    """close() removes the file, unless cleanup_socket is false."""
    path = serve.path()
    service = await serve(path=os.fsencode(path) if as_bytes else path, **options)
    assert pathlib.Path(path).is_socket()
    service.server.close()
    assert not os.path.lexists(path), "the file is there after close()"


@requires("UNIX-CREATE_UNIX_SERVER-11")
@on_servers("unix")
async def test_the_file_stays_if_that_is_wanted(serve: Serve) -> None:
    """With cleanup_socket=False the file is there after close() and wait_closed()."""
    service = await serve(cleanup_socket=False)
    path = pathlib.Path(service.address)
    service.server.close()
    await service.server.wait_closed()
    assert path.is_socket()


@requires("UNIX-CREATE_UNIX_SERVER-10")
@on_servers("unix")
@pytest.mark.parametrize("kind", ["socket", "file"])
async def test_the_file_of_somebody_else_stays(serve: Serve, kind: str) -> None:
    """Where something else has taken the place of the file, close() leaves it alone."""
    service = await serve()
    path = pathlib.Path(service.address)
    path.rename(path.with_name("moved"))  # the inode stays in use
    if kind == "socket":
        stale(str(path))
    else:
        path.write_text("precious")
    now = path.lstat().st_ino
    service.server.close()
    assert path.lstat().st_ino == now
    assert path.with_name("moved").is_socket(), "close() followed the file to its new place"


@requires("UNIX-CREATE_UNIX_SERVER-10")
@on_servers("unix")
async def test_the_successor_of_a_server(serve: Serve) -> None:
    """A second server that has taken over the path serves on when the first one is closed."""
    first = await serve()
    os.link(first.address, first.address + "-kept")  # the inode stays in use
    second = await serve(path=first.address)
    first.server.close()
    assert pathlib.Path(second.address).is_socket()
    await second.visit()


@requires("UNIX-CREATE_UNIX_SERVER-13")
@on_servers("unix")
async def test_a_file_that_is_gone_already(serve: Serve) -> None:
    """Where the file is gone, or its whole folder, close() raises nothing, and logs nothing."""
    service = await serve()
    pathlib.Path(service.address).unlink()
    service.server.close()
    folder = pathlib.Path(serve.path())
    folder.mkdir()
    other = await serve(path=str(folder / "socket"))
    assert other.address
    (folder / "socket").unlink()
    folder.rmdir()
    other.server.close()
    await other.server.wait_closed()


@requires("UNIX-CREATE_UNIX_SERVER-14")
@on_servers("unix")
@pytest.mark.parametrize("cleanup", [True, False])
async def test_the_file_of_a_given_socket(serve: Serve, cleanup: bool) -> None:
    """The file of a socket that was given is removed as well, unless cleanup_socket is false."""
    path = serve.path()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    service = await serve(sock=sock, cleanup_socket=cleanup)
    assert service.address == path
    service.server.close()
    assert os.path.lexists(path) is not cleanup


@requires("UNIX-CREATE_UNIX_SERVER-09")
@on_servers("unix")
async def test_connections_outlive_the_file(serve: Serve) -> None:
    """Connections go on after the server was closed and its file removed."""
    service = await serve()
    link = await service.visit([faultkit.hold(), faultkit.send(b"still here"), faultkit.expect_eof()])
    service.server.close()
    link.peer.release()
    assert await link.received(10) == b"still here"
    link.transport.close()
    await link.verified()


@requires("UNIX-CREATE_UNIX_SERVER-21")
@on_servers("unix")
async def test_an_abstract_name_that_cannot_be_encoded(serve: Serve) -> None:
    """An abstract name that the encoding of the file system lacks raises UnicodeEncodeError; no socket is left open."""
    before = sockets()
    with raises(UnicodeEncodeError):
        await serve(path="\0\ud800")
    assert sockets() == before


@requires("UNIX-CREATE_UNIX_SERVER-19")
@on_servers("unix")
async def test_a_file_that_cannot_be_removed(serve: Serve, logged: list[Any]) -> None:
    """close() raises nothing where a file has taken the place of the folder that the socket was in."""
    folder = pathlib.Path(serve.path())
    folder.mkdir()
    service = await serve(path=str(folder / "socket"))
    (folder / "socket").unlink()
    folder.rmdir()
    folder.touch()
    service.server.close()
    assert not service.server.is_serving()
    logged.clear()  # that it could not be removed may be told there


@requires("UNIX-CREATE_UNIX_SERVER-20")
@on_servers("unix")
async def test_a_given_socket_whose_file_is_gone(serve: Serve) -> None:
    """A socket whose file was removed before it is given is served, by another name too, and closed."""
    path = pathlib.Path(serve.path())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    path.rename(path.with_name("moved"))
    service = await serve(sock=listener)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path.with_name("moved")))
        await service.made_connection(1)
    service.server.close()
