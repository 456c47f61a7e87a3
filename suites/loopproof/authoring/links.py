"""Links: a stream transport of the loop under test with a protocol that records, and a peer at its other end."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from loopproof import faultkit

from .history import RecordingProtocol

Step = dict[str, Any]

PATIENCE = 2500
"""How often the loop gets to poll, a millisecond apart, before what a case waits for is said not to come.

Turns and not seconds: where the machine is too busy for the loop, time goes by in which nothing could come. A run
with a deadline of its own changes this in proportion.
"""

LIFE = 9.0
"""Seconds after which a peer ends in any case: less than the deadline of a case."""

WIDTH = 1_000_000
"""More bytes than the kernel takes on a narrow link from a transport whose peer reads nothing."""

_NARROW = 131_072  # not less: TCP on the loopback interface crawls where a window is below a segment of 64 KiB


async def until(condition: Callable[[], object], what: str, *, share: float = 1) -> None:
    """Let the loop run until the condition holds; raise AssertionError if it never does, which names ``what``.

    ``share``: of `PATIENCE`, less than 1 for what a loop does at once.
    """
    for turn in range(round(PATIENCE * share)):
        if condition():
            return
        await asyncio.sleep(0.001 if turn > 5 else 0)
    raise AssertionError(f"{what} did not come")


async def polls(times: int = 10) -> None:
    """Let the loop poll so often: what is about to happen has happened then."""
    for _ in range(times):
        await asyncio.sleep(0.001)


@contextlib.contextmanager
def unverified(peer: faultkit.Peer) -> Iterator[faultkit.Peer]:
    """Stop a peer at the end of the block, wherever it is: what it did is of no account."""
    try:
        yield peer
    finally:
        peer.stop()


async def ended(transport: Any, protocol: Any) -> Exception | None:
    """Abort a transport, let the loop run until connection_lost(), and check what the protocol was told in all.

    Returns the argument of connection_lost(). Raises AssertionError that names what no loop may do.
    """
    transport.abort()
    await until(protocol.closed.is_set, "connection_lost() after abort()")
    await asyncio.sleep(0)  # for loops that close the socket behind connection_lost()
    protocol.history.check()
    error: Exception | None = protocol.error
    return error


async def warmed_up(loop: asyncio.AbstractEventLoop) -> dict[int, tuple[str, int, int]]:
    """Make and end a connection, so that what a loop opens once is open; return `faultkit.descriptors()` then."""
    ours, theirs = socket.socketpair()
    with theirs:
        await ended(*await loop.create_connection(RecordingProtocol, sock=ours))
    await until(lambda: ours.fileno() == -1, "the end of the socket after connection_lost()")
    return faultkit.descriptors()


class Told:
    """A transport of the loop under test and its protocol, which records what it is told: to wait for that."""

    def __init__(self, transport: Any, protocol: Any) -> None:
        self.transport = transport
        self.protocol = protocol

    @property
    def names(self) -> list[str]:
        """The callbacks of the protocol so far, in order."""
        names: list[str] = self.protocol.history.names
        return names

    async def lost(self) -> Exception | None:
        """Let the loop run until connection_lost(); return its argument."""
        await until(self.protocol.closed.is_set, "connection_lost()")
        error: Exception | None = self.protocol.error
        return error

    async def received(self, size: int) -> bytes:
        """Let the loop run until the protocol has received so many bytes; return all that it has received."""
        await until(lambda: len(self.protocol.history.received) >= size, f"{size} bytes for the protocol")
        return bytes(self.protocol.history.received)

    async def seen(self, callback: str, times: int = 1) -> None:
        """Let the loop run until a callback of the protocol was called so many times."""
        await until(lambda: self.names.count(callback) >= times, f"{callback}()")


class Link(Told):
    """A transport of the loop under test, its protocol, and the peer that plays a script at the other end.

    The first step of the peer made the connection; those of the case's script come after it.
    """

    def __init__(self, transport: Any, protocol: Any, peer: faultkit.Peer) -> None:
        super().__init__(transport, protocol)
        self.peer = peer

    async def reached(self, steps: int) -> None:
        """Let the loop run until so many steps of the script are done; raise AssertionError if one fails."""
        await until(lambda: self.peer.ended or self.peer.completed > steps, f"step {steps} of the peer's script")
        if self.peer.completed <= steps:
            self.peer.verify()

    def arrives(self, steps: int) -> bool:
        """Stop the loop for as long as the peer needs to have done so many steps; tell whether it has."""
        return self.peer.wait(steps + 1, timeout=5)

    async def verified(self) -> None:
        """Let the loop run until the peer's script is over; raise AssertionError that tells which step failed."""
        await until(lambda: self.peer.ended, "the end of the peer's script")
        self.peer.verify()


class Connect:
    """Makes links of one kind, that is: by one way in which a loop comes to have a stream transport."""

    def __init__(self, loop: asyncio.AbstractEventLoop, kind: str) -> None:
        self.loop = loop
        self.links: list[Link] = []
        self.peers: list[faultkit.Peer] = []
        self.servers: list[Any] = []
        self._way = WAYS[kind]

    async def __call__(
        self,
        script: Sequence[Step] = (),
        *,
        protocol: Callable[[], Any] = RecordingProtocol,
        narrow: bool = False,
    ) -> Link:
        """Make a link, and return it once connection_made() was called and the peer has its connection.

        ``script``: what the peer does after that. ``protocol``: what makes the protocol, one that records.
        ``narrow``: the kernel takes less than `WIDTH` bytes from the transport while the peer reads nothing.
        """
        made: list[Any] = []

        def make() -> Any:
            made.append(protocol())
            return made[-1]

        await self._way(self, make, list(script), _NARROW if narrow else 0)
        await until(lambda: made and made[0].transport is not None, "connection_made()")
        link = Link(made[0].transport, made[0], self.peers[-1])
        self.links.append(link)
        await link.reached(0)
        if narrow:
            ours = link.transport.get_extra_info("socket")
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _NARROW)
        return link

    def play(self, script: Sequence[Step], **options: Any) -> faultkit.Peer:
        """Start a peer that ends with the case at the latest."""
        self.peers.append(faultkit.Peer(script, deadline=LIFE, **options))
        return self.peers[-1]

    async def close(self) -> None:
        """Abort what the case left open, and check what each protocol was told in all.

        Raises AssertionError that names what no loop may do.
        """
        try:
            for link in self.links:
                over = link.protocol.closed.is_set
                if not over():
                    link.transport.abort()
                    await until(over, "connection_lost() after the abort() at the end of the case", share=0.1)
                link.protocol.history.check()
        finally:
            for peer in self.peers:
                peer.stop()
            for server in self.servers:
                server.close()
            for left in (self.links, self.peers, self.servers):
                left.clear()
            await asyncio.sleep(0)


async def clogged(connect: Connect, **options: Any) -> Link:
    """A link whose peer reads nothing until it is released, and whose transport holds what the kernel did not take.

    `WIDTH` bytes were written. The high mark is far above them, so nothing is paused yet. ``options``: of `Connect`.
    """
    link = await connect([faultkit.hold(), faultkit.drain()], narrow=True, **options)
    link.transport.set_write_buffer_limits(high=4 * WIDTH)
    link.transport.write(bytes(WIDTH))
    await settled(link)
    assert link.names == ["connection_made"], "a callback came although the buffer is below the high mark"
    return link


async def settled(link: Link) -> None:
    """Let the loop hand over to the kernel what it takes, until the buffer stays as it is."""
    before = -1
    while before != link.transport.get_write_buffer_size():
        before = link.transport.get_write_buffer_size()
        await polls(10)
    assert before > 0, "the kernel took all although the peer reads nothing"


def pauses(link: Told) -> list[str]:
    """The calls of pause_writing() and resume_writing(), in order."""
    return [name for name in link.names if name in ("pause_writing", "resume_writing")]


Making = Callable[[], Any]


async def to_tcp_server(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is the client of a TCP connection."""
    peer = connect.play([faultkit.accept(), *script], listen="tcp", receive_buffer=receive)
    await connect.loop.create_connection(make, *peer.address)


async def to_unix_server(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is the client of a UNIX stream connection."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        connect.play([faultkit.accept(), *script], connection=listener)
        await connect.loop.create_unix_connection(make, listener.getsockname())


async def from_tcp_client(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is on the server's side of a TCP connection."""
    server = await connect.loop.create_server(make, "127.0.0.1", 0)
    connect.servers.append(server)
    connect.play([faultkit.connect(server.sockets[0].getsockname(), receive_buffer=receive), *script])


async def from_unix_client(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is on the server's side of a UNIX stream connection."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        connect.servers.append(await connect.loop.create_unix_server(make, path))
        peer = connect.play([faultkit.connect(path), *script])
        await until(lambda: peer.completed or peer.ended, "the peer's connection")


async def on_accepted_socket(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is on a socket that a blocking server has accepted."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connect.play([faultkit.connect(listener.getsockname(), receive_buffer=receive), *script])
        accepted, _ = listener.accept()
    await connect.loop.connect_accepted_socket(make, accepted)


async def on_connected_socket(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is on a socket that was connected before the loop got it."""
    peer = connect.play([faultkit.accept(), *script], listen="tcp", receive_buffer=receive)
    await connect.loop.create_connection(make, sock=socket.create_connection(peer.address))


WAYS: dict[str, Callable[[Connect, Making, list[Step], int], Awaitable[None]]] = {
    "tcp-client": to_tcp_server,
    "tcp-server": from_tcp_client,
    "unix-client": to_unix_server,
    "unix-server": from_unix_client,
    "accepted": on_accepted_socket,
    "connected": on_connected_socket,
}
"""Each way in which a loop comes to have a stream transport, by the name that cases are parametrized with.

The last argument is the size of the peer's receive buffer in bytes; where both ends share one, that of the transport
alone counts.
"""
