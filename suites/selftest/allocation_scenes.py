"""What is played on a loop while allocations fail: a coroutine a scene, which goes on once what is around it is made.

Each gets the loop and what `around` has made for it before any allocation failed, and asserts that what it was not told
of did not happen: what arrives is a beginning of what was sent, and all of it if nothing failed.
"""

import asyncio
import contextlib
import functools
import os
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Loop = Any
"""The loop under test."""

SENT = bytes(range(256)) * 128
"""More than the buffers of a narrow pair of sockets take at once."""

TURNS = 10
"""Iterations in which whatever is cancelled ends: nothing here needs more."""


class Protocol(asyncio.Protocol):
    """Echoes if it is to, keeps what arrives, and tells the end."""

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.received = bytearray()
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        assert self.transport is None
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.echo:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert not self.lost.done() or self.lost.cancelled()
        if self.lost.cancelled():
            return
        if exc is None:
            self.lost.set_result(None)
        else:
            self.lost.set_exception(exc)


class BufferedProtocol(asyncio.BufferedProtocol, Protocol):
    """The same with a buffer of its own."""

    def get_buffer(self, sizehint: int) -> memoryview:
        self.buffer = bytearray(1024)
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.buffer[:nbytes]))


class Around:
    """Sockets, pipes and a thread that are there before, and are closed after."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        opened = self._stack.enter_context
        self.listener = opened(socket.create_server(("127.0.0.1", 0)))
        self.address = self.listener.getsockname()
        self.path = str(Path(opened(tempfile.TemporaryDirectory())) / "socket")
        self.unix = opened(socket.socket(socket.AF_UNIX))
        self.unix.bind(self.path)
        self.unix.listen()
        self.near, self.far = (opened(sock) for sock in socket.socketpair())
        self.udp = opened(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind(("127.0.0.1", 0))
        self.client = opened(socket.socket())
        for sock in (self.near, self.far, self.udp, self.client, self.listener):
            sock.setblocking(False)
        for sock in (self.near, self.far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reading, writing = os.pipe()
        self.reading, self.writing = opened(os.fdopen(reading, "rb", 0)), opened(os.fdopen(writing, "wb", 0))
        # Raw locks, and not an event, which would take memory.
        self.go, self.gone = threading.Lock(), threading.Lock()
        self.go.acquire(), self.gone.acquire()
        self.errand: Callable[[], object] | None = None
        self.failure: MemoryError | None = None
        self._thread = threading.Thread(target=self._run_errand)
        self._thread.start()

    def _run_errand(self) -> None:
        self.go.acquire()
        try:
            if self.errand is not None:
                self.errand()
        except MemoryError as exc:
            self.failure = exc
        self.gone.release()

    def close(self) -> None:
        self.errand = None
        if self._thread.is_alive() and self.go.locked():
            self.go.release()
        self._thread.join()
        self._stack.close()


async def connect(loop: Loop, around: Around) -> None:
    transport, protocol = await loop.create_connection(Protocol, *around.address)
    transport.close()
    await protocol.lost


async def race(loop: Loop, around: Around) -> None:
    transport, protocol = await loop.create_connection(Protocol, *around.address, happy_eyeballs_delay=1)
    transport.close()
    await protocol.lost


async def connect_unix(loop: Loop, around: Around) -> None:
    transport, protocol = await loop.create_unix_connection(Protocol, around.path)
    transport.abort()
    await protocol.lost


async def serve(loop: Loop, around: Around) -> None:
    protocols: list[Protocol] = []

    def make() -> Protocol:
        protocols.append(Protocol(echo=True))
        return protocols[-1]

    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        around.client.connect_ex(server.sockets[0].getsockname())
        with contextlib.suppress(ConnectionError):  # one that could not have its transport, or lost it, is closed
            await loop.sock_sendall(around.client, b"hello")
            assert await loop.sock_recv(around.client, 100) in (b"hello", b"")
        around.client.close()
        for protocol in protocols:
            if protocol.transport is not None:
                with contextlib.suppress(ConnectionError):
                    await protocol.lost
    finally:
        server.close()
    await server.wait_closed()


async def serve_unix(loop: Loop, around: Around) -> None:
    Path(around.path).unlink()
    server = await loop.create_unix_server(lambda: Protocol(echo=True), around.path)
    server.close()
    await server.wait_closed()


async def written(loop: Loop, around: Around, put: Callable[[Any], None], factory: Any = Protocol) -> None:
    transport, protocol = await loop.create_connection(factory, sock=around.near)
    received = bytearray()
    try:
        put(transport)
        transport.close()
        while data := await loop.sock_recv(around.far, 100_000):
            received += data
    finally:
        transport.abort()
        with contextlib.suppress(BlockingIOError):
            while data := around.far.recv(100_000):
                received += data
        assert SENT.startswith(received), "what arrives has a hole"
    await protocol.lost
    assert received == SENT, "not all arrives, and nobody is told"


async def write(loop: Loop, around: Around) -> None:
    def put(transport: Any) -> None:
        transport.write(memoryview(SENT)[:10])
        transport.write(bytearray(SENT[10:20_000]))
        transport.write(SENT[20_000:])

    await written(loop, around, put)


async def write_lines(loop: Loop, around: Around) -> None:
    lines = [bytearray(SENT[start : start + 1024]) for start in range(0, len(SENT), 1024)]
    await written(loop, around, lambda transport: transport.writelines(lines))


async def write_on(loop: Loop, around: Around) -> None:
    """Goes on when a write() has failed, as a program would that catches what it raises."""

    def put(transport: Any) -> None:
        for start in range(0, len(SENT), 4096):
            data = bytearray(SENT[start : start + 4096])
            try:
                transport.write(data)
            except MemoryError:
                if not transport.is_closing():
                    transport.write(data)  # nothing has happened, so it can be tried again

    await written(loop, around, put)


async def read(loop: Loop, around: Around, factory: Callable[[], Any] = Protocol) -> None:
    transport, protocol = await loop.create_connection(factory, sock=around.near)
    try:
        await loop.sock_sendall(around.far, SENT)
        around.far.shutdown(socket.SHUT_WR)
        await protocol.lost
        assert protocol.received == SENT, "not all arrives, and nobody is told"
    finally:
        transport.abort()
        assert SENT.startswith(protocol.received), "what arrives has a hole"


async def read_buffered(loop: Loop, around: Around) -> None:
    await read(loop, around, BufferedProtocol)


async def pause(loop: Loop, around: Around) -> None:
    transport, protocol = await loop.create_connection(Protocol, sock=around.near)
    transport.pause_reading()
    around.far.send(b"x")
    await asyncio.sleep(0)
    transport.resume_reading()
    around.far.close()
    await protocol.lost
    assert protocol.received == b"x"


async def sockets(loop: Loop, around: Around) -> None:
    async def later(operation: Awaitable[Any], send: Callable[[], object]) -> Any:
        task = asyncio.ensure_future(operation)
        await asyncio.sleep(0)
        send()
        return await task

    buffer = bytearray(10)
    address = around.udp.getsockname()
    assert await later(loop.sock_recv(around.near, 10), lambda: around.far.send(b"a")) == b"a"
    assert await later(loop.sock_recv_into(around.near, buffer), lambda: around.far.send(b"b")) == 1
    assert (await later(loop.sock_recvfrom(around.udp, 10), lambda: around.udp.sendto(b"c", address)))[0] == b"c"
    assert (await later(loop.sock_recvfrom_into(around.udp, buffer), lambda: around.udp.sendto(b"d", address)))[0] == 1


async def send_all(loop: Loop, around: Around) -> None:
    sending = asyncio.ensure_future(loop.sock_sendall(around.near, SENT))
    received = b""
    while len(received) < len(SENT):
        received += await loop.sock_recv(around.far, 100_000)
        if sending.done():
            await sending
    await sending
    assert received == SENT


async def accept(loop: Loop, around: Around) -> None:
    accepting = asyncio.ensure_future(loop.sock_accept(around.listener))
    await asyncio.sleep(0)
    await loop.sock_connect(around.client, around.address)
    sock, _ = await accepting
    sock.close()


async def pipes(loop: Loop, around: Around) -> None:
    reader, reading = await loop.connect_read_pipe(Protocol, around.reading)
    try:
        writer, writing = await loop.connect_write_pipe(Protocol, around.writing)
        try:
            writer.write(bytearray(SENT))
            writer.write_eof()
            await writing.lost
        finally:
            writer.abort()
        await reading.lost
        assert reading.received == SENT
    finally:
        reader.close()
        assert SENT.startswith(reading.received)


async def sleep(loop: Loop, around: Around) -> None:
    loop.call_later(1000, print).cancel()
    await asyncio.sleep(0.0001)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.0001):
            await loop.create_future()


async def generate(loop: Loop, around: Around) -> None:
    async def numbers() -> Any:
        yield 1
        yield 2

    async for number in numbers():
        assert number == 1
        break
    await loop.shutdown_asyncgens()


async def wake(loop: Loop, around: Around) -> None:
    """Allocations fail in the other thread, too."""
    future = loop.create_future()
    around.errand = functools.partial(loop.call_soon_threadsafe, future.set_result, None)
    around.go.release()
    around.gone.acquire()
    if around.failure is not None:
        raise around.failure
    await future


# None with an executor: a future of concurrent.futures that finds no memory while it has its lock keeps it for ever.
SCENES: dict[str, Callable[[Loop, Around], Awaitable[None]]] = {
    scene.__name__: scene
    for scene in (
        connect, race, connect_unix, serve, serve_unix, write, write_lines, write_on, read, read_buffered, pause,
        sockets, send_all, accept, pipes, sleep, generate, wake,
    )
}  # fmt: skip


EVERY_THREAD = ("wake",)
"""Scenes in which allocations fail in other threads than the loop's, too."""


class Play:
    """One of the scenes on a loop of its own. A report to the loop's exception handler ends it."""

    def __init__(self, scene: str, factory: Any) -> None:
        self._scene = SCENES[scene]
        self._around = Around()
        self._reported: list[BaseException | None] = []
        self._loop = factory()
        self._loop.set_exception_handler(self._report)

    def _report(self, loop: Loop, context: dict[str, Any]) -> None:
        self._reported.append(context.get("exception"))
        loop.stop()

    def play(self) -> None:
        self._loop.run_until_complete(self._scene(self._loop, self._around))

    def end(self) -> None:
        """Cancel what is under way, let it end, and close all."""
        self._loop.set_exception_handler(lambda *_: None)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for _ in range(TURNS):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._around.close()
        for exception in self._reported:
            if exception is not None and not isinstance(exception, MemoryError):
                raise exception
