"""sock_connect(): connections that come about, that are refused, and that have to wait."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.links import polls
from loopproof.authoring.resolution import HOST, Resolver
from loopproof.authoring.sockets import ended, listening, playing, unbound, verified
from loopproof.faultkit import accept, expect, expect_eof, hold


@requires("SOCK-SOCK_CONNECT-01")
async def test_a_tcp_connection(loop: Any) -> None:
    """The operation returns None, and the socket is connected."""
    with playing([accept(), expect(b"hello"), expect_eof()], listen="tcp") as peer, unbound(socket.AF_INET) as ours:
        assert await loop.sock_connect(ours, peer.address) is None
        assert ours.getpeername() == peer.address
        ours.send(b"hello")
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_CONNECT-01")
@needs("ipv6")
async def test_an_ipv6_connection(loop: Any) -> None:
    """An IPv6 address is taken with and without its flow and scope."""
    for length in (2, 4):
        with playing([accept()], listen="tcp6") as peer, unbound(socket.AF_INET6) as ours:
            assert await loop.sock_connect(ours, peer.address[:length]) is None
            assert ours.getpeername()[:2] == peer.address[:2]
            await verified(peer)


@requires("SOCK-SOCK_CONNECT-04")
@pytest.mark.parametrize("given", ["str", "bytes"])
async def test_a_unix_connection(loop: Any, tmp_path: Path, given: str) -> None:
    """A UNIX socket is connected by its path."""
    path = str(tmp_path / "socket")
    with listening(socket.AF_UNIX, path) as listener, unbound(socket.AF_UNIX) as ours:
        assert await loop.sock_connect(ours, path.encode() if given == "bytes" else path) is None
        accepted, _ = listener.accept()
        with accepted:
            ours.send(b"hello")
            assert accepted.recv(10) == b"hello"


@requires("SOCK-SOCK_CONNECT-04")
@needs("abstract_unix")
async def test_an_abstract_name(loop: Any) -> None:
    """A UNIX socket in the abstract name space is connected."""
    with listening(socket.AF_UNIX, "") as listener, unbound(socket.AF_UNIX) as ours:
        assert await loop.sock_connect(ours, listener.getsockname()) is None
        assert ours.getpeername() == listener.getsockname()


@requires("SOCK-SOCK_CONNECT-03")
async def test_a_host_name(loop: Any) -> None:
    """A name is resolved for the family of the socket."""
    with playing([accept()], listen="tcp") as peer, unbound(socket.AF_INET) as ours:
        assert await ended(asyncio.ensure_future(loop.sock_connect(ours, ("localhost", peer.address[1])))) is None
        assert ours.getpeername() == peer.address
        await verified(peer)


@requires("SOCK-SOCK_CONNECT-03")
async def test_a_host_name_of_another_family(loop: asyncio.AbstractEventLoop) -> None:
    """An address of another family than the socket's cannot be resolved for it: OSError."""
    with unbound(socket.AF_INET) as ours, raises(OSError):
        await loop.sock_connect(ours, ("::1", 9))


@requires("SOCK-SOCK_CONNECT-02", "SOCK-SOCK_CONNECT-05")
async def test_a_refused_connection(loop: asyncio.AbstractEventLoop) -> None:
    """ConnectionRefusedError has the errno and names the address."""
    with unbound(socket.AF_INET) as silent, unbound(socket.AF_INET) as ours:
        silent.bind(("127.0.0.1", 0))
        with raises(ConnectionRefusedError) as caught:
            await loop.sock_connect(ours, silent.getsockname())
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.ECONNREFUSED
        assert str(silent.getsockname()[1]) in str(caught.value), f"{caught.value} does not name the address"


@requires("SOCK-SOCK_CONNECT-02", "SOCK-SOCK_CONNECT-04", "SOCK-COMMON-05")
@pytest.mark.parametrize("path", ["nothing", "stale", "file"])
async def test_a_path_where_nobody_listens(loop: asyncio.AbstractEventLoop, tmp_path: Path, path: str) -> None:
    """A path without a file raises FileNotFoundError, one without a listener ConnectionRefusedError."""
    with unbound(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    (tmp_path / "file").touch()
    kind = FileNotFoundError if path == "nothing" else ConnectionRefusedError
    with unbound(socket.AF_UNIX) as ours, raises(kind):
        await loop.sock_connect(ours, str(tmp_path / path))


@requires("SOCK-SOCK_CONNECT-01")
async def test_another_attempt_after_a_refusal(loop: Any, tmp_path: Path) -> None:
    """A socket whose connection was refused can be connected once somebody listens."""
    path = str(tmp_path / "socket")
    with unbound(socket.AF_UNIX) as ours, unbound(socket.AF_UNIX) as theirs:
        theirs.bind(path)
        with raises(ConnectionRefusedError):
            await loop.sock_connect(ours, path)
        theirs.listen()
        assert await loop.sock_connect(ours, path) is None
        assert ours.getpeername() == path


@requires("SOCK-SOCK_CONNECT-01")
async def test_a_datagram_socket(loop: Any) -> None:
    """A datagram socket is connected at once."""
    with unbound(socket.AF_INET, socket.SOCK_DGRAM) as theirs, unbound(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        theirs.bind(("127.0.0.1", 0))
        assert await loop.sock_connect(ours, theirs.getsockname()) is None
        assert ours.getpeername() == theirs.getsockname()


WRONG: dict[str, Any] = {
    "None": None,
    "a number": 5,
    "empty": (),
    "without port": ("127.0.0.1",),
    "wrong host": (5, 80),
    "a path": "/tmp/socket",
}


@requires("SOCK-COMMON-05")
@needs("sock")
@pytest.mark.parametrize("address", sorted(WRONG))
async def test_a_wrong_address(loop: asyncio.AbstractEventLoop, address: str) -> None:
    """An address that is none for the family raises TypeError, ValueError or OSError."""
    with unbound(socket.AF_INET) as ours, raises(TypeError, ValueError, OSError):
        await loop.sock_connect(ours, WRONG[address])


@requires("SOCK-SOCK_CONNECT-07")
@needs("linux")
async def test_a_unix_listener_whose_backlog_is_full(loop: Any, tmp_path: Path) -> None:
    """Where the listener has no room the operation waits or raises, and never claims a connection that is not there."""
    path = str(tmp_path / "socket")
    with listening(socket.AF_UNIX, path, backlog=0), unbound(socket.AF_UNIX) as first, unbound(socket.AF_UNIX) as ours:
        first.connect(path)
        task = asyncio.ensure_future(loop.sock_connect(ours, path))
        await polls(25)
        if task.done() and task.exception() is None:
            ours.getpeername()  # raises OSError if it is not connected


@requires("SOCK-SOCK_CONNECT-01", "SOCK-COMMON-08")
async def test_many_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Many sockets connect at the same time."""
    with playing([accept(40), hold()], listen="tcp") as peer:
        ours = [socket.socket() for _ in range(40)]
        try:
            for one in ours:
                one.setblocking(False)
            await asyncio.gather(*(loop.sock_connect(one, peer.address) for one in ours))
            assert {one.getpeername() for one in ours} == {peer.address}
            assert len({one.getsockname() for one in ours}) == 40
        finally:
            for one in ours:
                one.close()


@requires("SOCK-SOCK_CONNECT-03")
@needs("sock", "resolver")
async def test_a_name_is_resolved_like_any_other(loop: Any) -> None:
    """A name is looked up as the loop looks up all names, and not by the socket, which would block the loop."""
    with (
        playing([accept(), expect_eof()], listen="tcp") as peer,
        unbound(socket.AF_INET) as ours,
        Resolver({HOST: [peer.address]}),
    ):
        await loop.sock_connect(ours, (HOST, peer.address[1]))
        assert ours.getpeername() == peer.address
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)
