"""create_unix_server(): kinds of paths, abstract names, and when it begins to accept."""

import errno
import os
import pathlib
import secrets
import socket
from typing import Any

import pytest

from loopproof.authoring import Serve, Service, needs, on_servers, raises, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.serving import listening
from loopproof.faultkit import expect, expect_eof, hold, send


class Way:
    """A path-like object that is neither str nor bytes."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


KINDS: dict[str, Any] = {
    "str": str,
    "bytes": os.fsencode,
    "path": pathlib.Path,
    "like-str": Way,
    "like-bytes": lambda path: Way(os.fsencode(path)),
}


def abstract(kind: str) -> Any:
    """Return a new abstract name as str or bytes."""
    name = f"\0loopproof-{secrets.token_hex(8)}"
    return name if kind == "str" else name.encode()


@requires("UNIX-CREATE_UNIX_SERVER-01", "UNIX-CREATE_UNIX_SERVER-02")
@on_servers("unix")
@pytest.mark.parametrize("kind", KINDS)
async def test_kinds_of_paths(serve: Serve, kind: str) -> None:
    """The server listens at a path that is given as str, bytes, or a path-like object of either."""
    path = serve.path()
    service = await serve(path=KINDS[kind](path))
    assert os.fsdecode(service.address) == path
    assert pathlib.Path(path).is_socket()
    link = await service.visit([send(b"question"), expect(b"answer"), expect_eof()])
    link.transport.write(b"answer" if await link.received(8) == b"question" else b"?")
    link.transport.close()
    await link.verified()


@requires("UNIX-CREATE_UNIX_SERVER-02")
@on_servers("unix")
@pytest.mark.parametrize("path", [7, 1.5, object(), ["/tmp/x"]])
async def test_what_is_no_path(serve: Serve, path: Any) -> None:
    """What is no path raises TypeError."""
    with raises(TypeError):
        await serve(path=path)


@requires("UNIX-CREATE_UNIX_SERVER-01")
@on_servers("unix")
async def test_a_path_that_is_not_ascii(serve: Serve) -> None:
    """A path with characters beyond ASCII, and bytes that are no UTF-8, is the file of that name."""
    folder = pathlib.Path(serve.path()).parent
    for name in ("fön ☃".encode(), b"\xff\xfe"):
        path = os.fsencode(folder) + b"/" + name
        service = await serve(path=path)
        assert folder / os.fsdecode(name) in folder.iterdir()
        service.knock()
        await service.made_connection(1)


@requires("UNIX-CREATE_UNIX_SERVER-01")
@on_servers("unix")
async def test_the_longest_path(serve: Serve) -> None:
    """A path of 107 bytes works, and one that is too long raises OSError or ValueError."""
    folder = serve.path()
    pathlib.Path(folder).mkdir()
    path = f"{folder}/{'x' * (106 - len(folder))}"
    assert len(path) == 107
    await serve(path=path)
    assert pathlib.Path(path).is_socket()
    with raises(OSError, ValueError):
        await serve(path=path + "y" * 20)


@requires("UNIX-CREATE_UNIX_SERVER-15")
@on_servers("unix")
@needs("abstract_unix")
@pytest.mark.parametrize("kind", ["str", "bytes"])
async def test_abstract_names(serve: Serve, kind: str) -> None:
    """A server on an abstract name is reached by it, leaves no file, and the name is free after close()."""
    name = abstract(kind)
    service = await serve(path=name)
    (listener,) = service.server.sockets
    bound = listener.getsockname()
    assert bound == (name if isinstance(name, bytes) else name.encode())
    service.knock()
    await service.made_connection(1)
    service.server.close()
    await until(service.refuses, "the refusal of a connection after close()")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(bound)


@requires("UNIX-CREATE_UNIX_SERVER-15")
@on_servers("unix")
@needs("abstract_unix")
async def test_an_abstract_name_in_use(serve: Serve) -> None:
    """An abstract name that somebody has raises OSError EADDRINUSE."""
    name = abstract("str")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(name)
        with raises(OSError) as caught:
            await serve(path=name)
        assert getattr(caught.value, "errno", None) == errno.EADDRINUSE


@requires("UNIX-CREATE_UNIX_SERVER-16")
@on_servers("unix")
async def test_serving_that_starts_later(serve: Serve) -> None:
    """With start_serving=False the file is there, but connections are refused until start_serving()."""
    service = await serve(start_serving=False)
    assert pathlib.Path(service.address).is_socket()
    assert not service.server.is_serving()
    assert service.refuses()
    await service.server.start_serving()
    await service.visit()


@requires("UNIX-CREATE_UNIX_SERVER-01")
@on_servers("unix")
@pytest.mark.parametrize("state", ["bound", "listening", "blocking"])
async def test_a_given_socket(serve: Serve, state: str, tmp_path: Any) -> None:
    """A UNIX stream socket that is given is served, in whatever state it is."""
    if state == "listening":
        sock = listening("unix", str(tmp_path))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(serve.path())
    sock.setblocking(state == "blocking")
    service = await serve(sock=sock)
    await service.visit()
    service.server.close()
    await until(service.refuses, "the refusal of a connection after close()")


@requires("UNIX-CREATE_UNIX_SERVER-01")
@on_servers("unix")
async def test_the_peer_has_no_name(serve: Serve) -> None:
    """An accepted connection tells the path as sockname, and an empty peername for a client that is not bound."""
    service = await serve()
    link = await service.visit([hold()])
    assert link.transport.get_extra_info("sockname") == service.address
    assert link.transport.get_extra_info("peername") in ("", b"", None)
    assert link.transport.get_extra_info("socket").family == socket.AF_UNIX


@requires("UNIX-CREATE_UNIX_SERVER-01")
@on_servers("unix")
@pytest.mark.parametrize("backlog", [1, 100])
async def test_clients_one_after_the_other(serve: Serve, backlog: int) -> None:
    """With any backlog clients that come one after the other are all served."""
    service: Service = await serve(backlog=backlog)
    for number in range(10):
        service.knock()
        await service.made_connection(number + 1)
    await polls(2)
    assert len(service.made) == 10
