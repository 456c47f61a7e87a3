"""Protocols that note what they are told, and scenes with a transport, for tests of refloop beside stock asyncio."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import refloop

DEADLINE = 120  # seconds after which a test is taken for one that would never end

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "refloop": refloop.new_event_loop,
}


class Recorder(asyncio.Protocol):
    """Notes each call as a tuple, data joined; a hook named like a callback runs in it, after the note."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.data = bytearray()
        self.hooks = hooks
        self.changed = asyncio.Event()
        self.transport: Any = None

    def note(self, what: str, *details: Any) -> Any:
        if what != "data_received":
            self.events.append((what, *details))
        self.changed.set()
        hook = self.hooks.get(what)
        return hook(self, *details) if hook is not None else None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        self.note("data_received", data)

    def eof_received(self) -> Any:
        return self.note("eof_received")

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("connection_lost", exc)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds that can change with a call only."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def until_told(self, what: str) -> None:
        """Wait for the first call of a callback."""
        await self.until(lambda: what in self.names)

    @property
    def names(self) -> list[str]:
        """The callbacks that were called, but for data."""
        return [event[0] for event in self.events]

    @property
    def lost_with(self) -> BaseException | None:
        """What connection_lost() was called with, at the end and once."""
        assert self.names.count("connection_lost") == 1
        assert self.names[-1] == "connection_lost"
        exc: BaseException | None = self.events[-1][1]
        return exc


class BufferedRecorder(Recorder, asyncio.BufferedProtocol):
    """The same with a buffer of the protocol's own, of so many bytes."""

    def __init__(self, size: int = 1000, **hooks: Callable[..., Any]) -> None:
        super().__init__(**hooks)
        self.buffer: Any = bytearray(size)

    def get_buffer(self, sizehint: int) -> Any:
        assert sizehint == -1
        hook = self.hooks.get("get_buffer")
        return hook(self) if hook is not None else self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        self.note("buffer_updated", nbytes)


Reports = list[dict[str, Any]]


def run(loop: str, scene: Callable[[Reports], Coroutine[Any, Any, None]], *, debug: bool = False) -> Reports:
    """Run a coroutine in a new loop; returns what came to the exception handler."""
    reports: Reports = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        async with asyncio.timeout(DEADLINE):
            await scene(reports)

    with asyncio.Runner(loop_factory=LOOPS[loop], debug=debug) as runner:
        runner.run(main())
    gc.collect()
    return reports


@contextlib.asynccontextmanager
async def connected(
    protocol: asyncio.BaseProtocol, pair: tuple[socket.socket, socket.socket] | None = None
) -> AsyncIterator[tuple[Any, socket.socket]]:
    """A transport of a protocol over one of two connected sockets, and the other socket, which blocks."""
    ours, theirs = pair or socket.socketpair()
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
    try:
        with theirs:
            yield transport, theirs
    finally:
        if transport.get_protocol() is not None:  # stock asyncio cannot abort() what is closed
            transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets on loopback; the kernel takes no more of what is written than of socketpair()."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    return ours, theirs
