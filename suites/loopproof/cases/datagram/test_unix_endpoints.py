"""create_datagram_endpoint(family=AF_UNIX): paths and abstract names as addresses, and the files at them."""

import errno
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import raises, requires
from loopproof.authoring.datagrams import bound, endpoint
from loopproof.authoring.descriptors import closed_since
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import warmed_up

Loop = Any  # typeshed does not know all arguments that are tried here
UNIX: Any = {"family": socket.AF_UNIX}


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A new folder whose path is short enough for the addresses of sockets."""
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-16", "DGRAM-RECEIVED-07")
async def test_a_local_path(loop: Loop, folder: pathlib.Path) -> None:
    """local_addr is bound: what is sent to the path is received, and can be answered."""
    path = str(folder / "ours")
    with bound(socket.AF_UNIX) as beyond:
        async with endpoint(loop, local_addr=path, **UNIX) as link:
            assert link.transport.get_extra_info("sockname") == path
            assert link.transport.get_extra_info("peername") is None
            beyond.sendto(b"hello", path)
            await link.delivered(1)
            assert link.told == [(b"hello", beyond.getsockname())]
            link.transport.sendto(b"answer", link.told[0][1])
            beyond.settimeout(5)
            assert beyond.recvfrom(100) == (b"answer", path)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-16", "DGRAM-SENDTO-02", "DGRAM-SENDTO-03")
@pytest.mark.parametrize("local", [False, True])
async def test_a_remote_path(loop: Loop, folder: pathlib.Path, local: bool) -> None:
    """remote_addr connects: datagrams go there without an address, and another one raises ValueError."""
    named: dict[str, Any] = {"local_addr": str(folder / "ours")} if local else {}
    with bound(socket.AF_UNIX) as beyond:
        async with endpoint(loop, remote_addr=beyond.getsockname(), **named, **UNIX) as link:
            assert link.transport.get_extra_info("peername") == beyond.getsockname()
            link.transport.sendto(b"one")
            link.transport.sendto(b"two", beyond.getsockname())
            with raises(ValueError):
                link.transport.sendto(b"wrong", beyond.getsockname() + "-other")
            beyond.settimeout(5)
            assert [beyond.recv(100), beyond.recv(100)] == [b"one", b"two"]
            if local:
                beyond.sendto(b"answer", named["local_addr"])
                assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-16", "DGRAM-CREATE_DATAGRAM_ENDPOINT-04")
async def test_the_family_alone(loop: Loop) -> None:
    """family=AF_UNIX alone gives a socket without a name, which sends."""
    with bound(socket.AF_UNIX) as beyond:
        async with endpoint(loop, **UNIX) as link:
            link.transport.sendto(b"hello", beyond.getsockname())
            beyond.settimeout(5)
            assert beyond.recv(100) == b"hello"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-28")
async def test_abstract_names(loop: Loop, folder: pathlib.Path) -> None:
    """Abstract names are bound and connected to, and no file is made."""
    ours, theirs = f"\0{folder}/ours", f"\0{folder}/theirs"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as beyond:
        beyond.bind(theirs)
        beyond.settimeout(5)
        async with endpoint(loop, local_addr=ours, remote_addr=theirs, **UNIX) as link:
            link.transport.sendto(b"hello")
            assert beyond.recvfrom(100) == (b"hello", ours.encode())
            beyond.sendto(b"answer", ours)
            assert await link.delivered(1) == [b"answer"]
    assert not list(folder.iterdir())


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-17")
async def test_a_stale_file_is_replaced(loop: Loop, folder: pathlib.Path) -> None:
    """A socket file that was left behind is removed, and the endpoint is bound in its place."""
    path = folder / "ours"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as before:
        before.bind(str(path))
    os.link(path, folder / "keeper")  # so that the inode is not used again
    with bound(socket.AF_UNIX) as beyond:
        async with endpoint(loop, local_addr=str(path), **UNIX) as link:
            assert path.stat().st_ino != (folder / "keeper").stat().st_ino
            beyond.sendto(b"hello", str(path))
            assert await link.delivered(1) == [b"hello"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19", "DGRAM-CREATE_DATAGRAM_ENDPOINT-17")
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
async def test_a_foreign_file_is_left_alone(loop: Loop, folder: pathlib.Path, kind: str) -> None:
    """What is no socket raises OSError EADDRINUSE, stays as it is, and no socket is left open."""
    path = folder / "ours"
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("precious")
    else:
        (folder / "target").write_text("precious")
        path.symlink_to(folder / "target")
    before, open_before = os.lstat(path).st_ino, await warmed_up(loop)
    with raises(OSError) as caught:
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, local_addr=str(path), **UNIX)
    assert getattr(caught.value, "errno", None) == errno.EADDRINUSE, f"the error is {caught.value!r}"
    assert os.lstat(path).st_ino == before
    assert kind == "directory" or path.read_text() == "precious"
    await closed_since(open_before, "a foreign file")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-18", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
@pytest.mark.parametrize("name", ["local_addr", "remote_addr"])
@pytest.mark.parametrize("given", ["bytes", "path", "pair", "number"])
async def test_what_is_no_string(loop: Loop, folder: pathlib.Path, name: str, given: str) -> None:
    """An address that is no string raises TypeError: bytes and path objects, too."""
    path = folder / "ours"
    wrong: Any = {"bytes": os.fsencode(path), "path": path, "pair": ("127.0.0.1", 9), "number": 5}[given]
    before = await warmed_up(loop)
    with raises(TypeError):
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, **{name: wrong}, **UNIX)
    assert not path.exists()
    await closed_since(before, "a refused address")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
@pytest.mark.parametrize("state", ["missing", "stale", "no socket"])
async def test_a_remote_path_without_receiver(loop: Loop, folder: pathlib.Path, state: str) -> None:
    """A path at which nobody receives raises FileNotFoundError or ConnectionRefusedError, and nothing is left open."""
    path = folder / "theirs"
    if state == "stale":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as before_it:
            before_it.bind(str(path))
    elif state == "no socket":
        path.touch()
    before = await warmed_up(loop)
    with raises(FileNotFoundError if state == "missing" else ConnectionRefusedError):
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, remote_addr=str(path), **UNIX)
    await closed_since(before, "a path without receiver")
    assert path.exists() is (state != "missing"), "the file of the remote address was touched"
