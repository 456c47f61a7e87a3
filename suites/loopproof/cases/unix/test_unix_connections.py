"""create_unix_connection(): kinds of paths, given sockets, what fails, and cancellation."""

import asyncio
import contextlib
import errno
import pathlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.cancellation import Turns
from loopproof.authoring.certificates import certificate, client_context
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import LIFE, Link, Step, polls
from loopproof.authoring.serving import listening, sockets
from loopproof.faultkit import accept, drain, expect, expect_eof, hold, send, tls_handshake, tls_server

from .test_unix_servers import KINDS, abstract


@contextlib.contextmanager
def peer_at(address: Any, script: Sequence[Step]) -> Iterator[faultkit.Peer]:
    """A peer that accepts a connection at a path or name and then plays a script; it is verified after the block."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        peer = faultkit.Peer([accept(), *script], connection=listener, deadline=LIFE)
    with peer:
        yield peer


async def connected(loop: Any, peer: faultkit.Peer, path: Any = None, **options: Any) -> Link:
    """Make a connection to a peer."""
    transport, protocol = await loop.create_unix_connection(RecordingProtocol, path, **options)
    return Link(transport, protocol, peer)


async def ended(link: Link) -> None:
    """Close a connection and see it end, on both sides."""
    link.transport.close()
    await link.lost()
    await link.verified()
    link.protocol.history.check()


@requires("UNIX-CREATE_UNIX_CONNECTION-01", "UNIX-CREATE_UNIX_CONNECTION-02")
@needs("unix")
@pytest.mark.parametrize("kind", KINDS)
async def test_kinds_of_paths(loop: Any, tmp_path: pathlib.Path, kind: str) -> None:
    """A path as str, bytes, or a path-like object of either leads to a transport and the protocol of the factory."""
    path = str(tmp_path / "socket")
    with peer_at(path, [send(b"question"), expect(b"answer"), expect_eof()]) as peer:
        made = RecordingProtocol()
        transport, protocol = await loop.create_unix_connection(lambda: made, KINDS[kind](path))
        assert protocol is made
        assert protocol.transport is transport, "connection_made() was not called"
        link = Link(transport, protocol, peer)
        assert await link.received(8) == b"question"
        transport.write(b"answer")
        await ended(link)


@requires("UNIX-CREATE_UNIX_CONNECTION-02")
@needs("unix")
@pytest.mark.parametrize("path", [7, 1.5, object(), ["/tmp/x"]])
async def test_what_is_no_path(loop: Any, path: Any) -> None:
    """What is no path raises TypeError."""
    with raises(TypeError):
        await loop.create_unix_connection(RecordingProtocol, path)


@requires("UNIX-CREATE_UNIX_CONNECTION-03")
@needs("unix", "abstract_unix")
@pytest.mark.parametrize("kind", ["str", "bytes"])
async def test_abstract_names(loop: Any, kind: str) -> None:
    """A name that begins with a null character is one of the abstract name space."""
    name = abstract(kind)
    with peer_at(name, [send(b"hello"), drain()]) as peer:
        link = await connected(loop, peer, name)
        assert await link.received(5) == b"hello"
        await ended(link)


@requires("UNIX-CREATE_UNIX_CONNECTION-01")
@needs("unix")
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_given_socket(loop: Any, tmp_path: pathlib.Path, blocking: bool) -> None:
    """A connected socket that is given is used, whether it blocks or not, and closed with the transport."""
    path = str(tmp_path / "socket")
    with peer_at(path, [send(b"hello"), expect_eof()]) as peer:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        sock.setblocking(blocking)
        number = sock.fileno()
        identity = faultkit.descriptors()[number]
        link = await connected(loop, peer, sock=sock)
        assert await link.received(5) == b"hello"
        await ended(link)
        await until(lambda: faultkit.descriptors().get(number) != identity, "the end of the socket")


@requires("UNIX-CREATE_UNIX_CONNECTION-09", "UNIX-CREATE_UNIX_CONNECTION-10")
@needs("unix")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", FileNotFoundError),
        ("unused", ConnectionRefusedError),
        ("file", ConnectionRefusedError),
        ("directory", ConnectionRefusedError),
        ("below a file", NotADirectoryError),
        ("datagram", OSError),
        ("too long", (OSError, ValueError)),
    ],
)
async def test_a_path_where_nobody_listens(loop: Any, tmp_path: pathlib.Path, kind: str, expected: Any) -> None:
    """The exception tells why there is no connection, and no socket is left open."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM) as other:
        if kind in ("unused", "datagram"):
            other.bind(str(path))
        elif kind == "file":
            path.touch()
        elif kind == "directory":
            path.mkdir()
        elif kind == "below a file":
            path.touch()
            path /= "socket"
        elif kind == "too long":
            path /= "x" * 120
        before = sockets()
        with raises(*(expected if isinstance(expected, tuple) else (expected,))):
            await loop.create_unix_connection(RecordingProtocol, str(path))
        await until(lambda: sockets() == before, "the end of the socket")


@requires("UNIX-CREATE_UNIX_CONNECTION-13")
@needs("unix")
async def test_no_protocol_without_a_connection(loop: Any, tmp_path: pathlib.Path) -> None:
    """The factory is called once there is a connection, and not where there is none."""
    made: list[RecordingProtocol] = []
    with raises(FileNotFoundError):
        await loop.create_unix_connection(lambda: made.append(RecordingProtocol()), str(tmp_path / "missing"))
    assert made == [], "the factory was called although there is no connection"


@requires("UNIX-CREATE_UNIX_CONNECTION-09")
@needs("unix")
async def test_the_error_has_its_number(loop: Any, tmp_path: pathlib.Path) -> None:
    """The exception of a refused connection has the errno of the kernel."""
    with raises(OSError) as caught:
        await loop.create_unix_connection(RecordingProtocol, str(tmp_path / "missing"))
    assert getattr(caught.value, "errno", None) == errno.ENOENT


@requires("UNIX-CREATE_UNIX_CONNECTION-10")
@needs("unix")
async def test_cancellation_at_every_turn(loop: Any, tmp_path: pathlib.Path) -> None:
    """Cancelled at any turn, create_unix_connection() ends with CancelledError and leaves no socket open."""
    with listening("unix", str(tmp_path)) as listener:
        before = sockets()
        turns = Turns()
        for _ in turns:
            made: list[RecordingProtocol] = []

            def make(made: list[RecordingProtocol] = made) -> RecordingProtocol:
                made.append(RecordingProtocol())
                return made[-1]

            task = await turns.cancel(loop.create_unix_connection(make, listener.getsockname()))
            if not task.cancelled():
                task.result()[0].abort()
            for protocol in made:
                await until(lambda p=protocol: p.transport is None or p.closed.is_set(), "connection_lost()")  # type: ignore[misc]
                protocol.history.check()
            await until(lambda: sockets() == before, "the end of the socket")


@requires("UNIX-CREATE_UNIX_CONNECTION-11")
@needs("unix")
async def test_a_full_backlog(loop: Any, tmp_path: pathlib.Path) -> None:
    """Where no place is left in the backlog the call waits for one, or raises: there is no transport without a peer."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(listener.getsockname())
        task = asyncio.ensure_future(loop.create_unix_connection(RecordingProtocol, listener.getsockname()))
        await polls()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        elif task.exception() is None:
            transport, protocol = task.result()
            transport.abort()
            await until(protocol.closed.is_set, "connection_lost()")
            raise AssertionError("there is a transport, but no connection: the backlog is full")
        else:
            assert isinstance(task.exception(), OSError)


@requires("UNIX-CREATE_UNIX_CONNECTION-12")
@needs("unix")
async def test_a_factory_that_raises(loop: Any, tmp_path: pathlib.Path) -> None:
    """What the factory raises comes out of the call, and the socket is closed."""

    def fail() -> Any:
        raise ZeroDivisionError

    with listening("unix", str(tmp_path)) as listener:
        before = sockets()
        with raises(ZeroDivisionError):
            await loop.create_unix_connection(fail, listener.getsockname())
        await until(lambda: sockets() == before, "the end of the socket", share=0.1)


@requires("UNIX-CREATE_UNIX_CONNECTION-01")
@needs("unix", "tls")
async def test_connections_over_tls(loop: Any, tmp_path: pathlib.Path) -> None:
    """With ssl and server_hostname the connection is one over TLS, to a server with a certificate of that name."""
    begin = [tls_server(*certificate("unix.example")), tls_handshake()]
    path = str(tmp_path / "socket")
    with peer_at(path, [*begin, send(b"question"), expect(b"answer"), drain()]) as peer:
        link = await connected(loop, peer, path, ssl=client_context(), server_hostname="unix.example")
        assert await link.received(8) == b"question"
        link.transport.write(b"answer")
        await ended(link)


@requires("UNIX-CREATE_UNIX_CONNECTION-10")
@needs("unix", "tls")
async def test_a_handshake_that_fails(loop: Any, tmp_path: pathlib.Path) -> None:
    """A peer that ends the connection in the handshake leads to an OSError, and no socket is left open."""
    path = str(tmp_path / "socket")
    with peer_at(path, [hold()]) as peer:
        before = sockets()
        connecting = loop.create_unix_connection(
            RecordingProtocol, path, ssl=client_context(), server_hostname="unix.example"
        )
        task = asyncio.ensure_future(connecting)
        await polls(2)
        peer.release()
        with raises(OSError):
            await task
        del task
        await until(lambda: len(sockets()) <= len(before), "the end of the socket")
