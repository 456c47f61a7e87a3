"""Scenes for faults at each system call of a loop, small and short; each says whether its bytes came whole."""

import asyncio
import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from loopproof import faultkit

SIZE = 150_000
OURS, THEIRS = faultkit.pattern(1, SIZE), faultkit.pattern(2, SIZE)
PATIENCE = 20.0  # seconds after which a scene is taken for hung


@dataclass
class Story:
    """What came of a scene: what it returned or raised, what connection_lost() and the exception handler were told."""

    returned: object = None
    raised: BaseException | None = None
    lost: list[BaseException | None] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def errors(self) -> list[int | None]:
        """The numbers of the errors that somebody was told of."""
        told = [self.raised, *self.lost, *(report.get("exception") for report in self.reports)]
        return [error.errno for error in told if isinstance(error, OSError)]


class Receiver(asyncio.Protocol):
    """Receives until there is what it wants, or the connection is lost; says of its loss to a story."""

    def __init__(self, story: Story, wanted: int = SIZE) -> None:
        self.story = story
        self.wanted = wanted
        self.received = bytearray()
        self.complete = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) >= self.wanted and not self.complete.done():
            self.complete.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.story.lost.append(exc)
        for future in (self.complete, self.ended):
            if not future.done():
                future.set_result(None)


Scene = Callable[[Story, Any], Coroutine[Any, Any, object]]


async def client(story: Story, address: Any) -> object:
    """Connect, send, receive."""
    transport, protocol = await asyncio.get_running_loop().create_connection(lambda: Receiver(story), *address)
    try:
        transport.write(OURS)
        transport.write_eof()
        await protocol.complete
    finally:
        transport.close()
        await protocol.ended
    return protocol.received == THEIRS


async def server(story: Story, sock: socket.socket) -> object:
    """Accept one connection, which is waiting already, receive, answer."""
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()

    class Accepted(Receiver):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if not arrived.done():
                arrived.set_result(self)

    made = await loop.create_server(lambda: Accepted(story), sock=sock)
    try:
        protocol = await arrived
        await protocol.complete
        protocol.transport.write(THEIRS)
        protocol.transport.close()
        await protocol.ended
    finally:
        made.close()
    return protocol.received == OURS


async def pipes(story: Story, ends: tuple[Any, Any]) -> object:
    """Write to a pipe what is read from it."""
    loop = asyncio.get_running_loop()
    reader, receiver = await loop.connect_read_pipe(lambda: Receiver(story), ends[0])
    try:
        writer, sender = await loop.connect_write_pipe(lambda: Receiver(story), ends[1])
        writer.write(OURS)
        writer.write_eof()
        await sender.ended
        await receiver.ended
    finally:
        reader.close()
        await receiver.ended
    return receiver.received == OURS


async def listening(_: Story, __: None) -> object:
    """Listen at an address, and stop."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()
    return True


async def sockets(_: Story, address: Any) -> object:
    """The same as the client with operations on a socket."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, OURS)
        received, buffer = bytearray(), bytearray(10_000)
        for turn in itertools.count():
            if turn % 2:
                data = await loop.sock_recv(sock, 65_536)
            else:
                data = buffer[: await loop.sock_recv_into(sock, buffer)]
            received += data
            if not data or len(received) == SIZE:
                break
    return received == THEIRS


async def watching(_: Story, ends: tuple[socket.socket, socket.socket]) -> object:
    """Watch descriptors, be woken by a thread, close the loop's own descriptors."""
    loop = asyncio.get_running_loop()
    ours, theirs = ends
    readable, writable = loop.create_future(), loop.create_future()
    loop.add_reader(ours, lambda: readable.done() or readable.set_result(None))
    loop.add_writer(ours, lambda: writable.done() or writable.set_result(None))
    await writable
    loop.remove_writer(ours)
    woken = loop.create_future()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set_result, None)
        theirs.send(b"x")

    thread = threading.Thread(target=wake)
    thread.start()
    await woken
    await readable
    thread.join()
    loop.remove_reader(ours)
    return True


@contextlib.contextmanager
def answering() -> Iterator[Any]:
    """The address of a peer that receives ours and sends theirs."""
    script = [faultkit.accept(), faultkit.expect_pattern(1, SIZE), faultkit.send_pattern(2, SIZE), faultkit.drain()]
    peer = faultkit.Peer(script, listen="tcp", deadline=PATIENCE)
    try:
        yield peer.address
    finally:
        peer.stop()


@contextlib.contextmanager
def asking() -> Iterator[Any]:
    """A listening socket, and a peer that has connected to it, sends ours and receives."""
    sock = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(sock.getsockname())
    peer = faultkit.Peer([faultkit.send_pattern(1, SIZE), faultkit.drain()], ours, deadline=PATIENCE)
    try:
        yield sock
    finally:
        sock.close()
        peer.stop()
        ours.close()


@contextlib.contextmanager
def pipe_ends() -> Iterator[Any]:
    """The ends of a pipe."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as source, os.fdopen(writing, "wb", 0) as sink:
        yield source, sink


@contextlib.contextmanager
def socket_ends() -> Iterator[Any]:
    """Two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


SCENES: dict[str, tuple[Scene, Callable[[], contextlib.AbstractContextManager[Any]]]] = {
    "client": (client, answering),
    "listening": (listening, contextlib.nullcontext),
    "server": (server, asking),
    "pipes": (pipes, pipe_ends),
    "sockets": (sockets, answering),
    "watching": (watching, socket_ends),
}


def play(scene: str, factory: Callable[[], asyncio.AbstractEventLoop], injector: faultkit.Injector) -> Story:
    """Play a scene on a new loop in a thread of its own, under the faults of an injector."""
    story = Story()
    act, prepare = SCENES[scene]

    def run(material: Any) -> None:
        loop = factory()
        loop.set_exception_handler(lambda _, report: story.reports.append(report))
        try:
            story.returned = loop.run_until_complete(asyncio.wait_for(act(story, material), PATIENCE))
        finally:
            loop.close()

    with prepare() as material:
        try:
            injector.run(run, material)
        except (MemoryError, OSError, RuntimeError) as error:
            story.raised = error
    return story
