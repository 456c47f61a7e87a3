"""An echo server on one loop by one of asyncio's ways; prints its port or path once it listens, runs until killed.

usage: serve.py LOOP WAY ADDRESS    (LOOP: MODULE:FACTORY; WAY: see WAYS; ADDRESS: a port, 0 for any, or a path)
"""

import asyncio
import importlib
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same into a buffer of its own; each protocol has one, for the transport may keep what it was given."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(256 * 1024))

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Hand out the buffer."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer; the buffer is needed again while the answer may still be queued."""
        self.transport.write(bytes(self.buffer[:nbytes]))


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same with streams."""
    while data := await reader.read(256 * 1024):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echo_socket(loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
    """The same with the loop's operations on sockets."""
    with ours:
        while data := await loop.sock_recv(ours, 256 * 1024):
            await loop.sock_sendall(ours, data)


def at_once(ours: socket.socket) -> None:
    """Let small segments leave at once, as transports do."""
    if ours.family == socket.AF_INET:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def by_protocol(listener: socket.socket, factory: Callable[[], Any]) -> None:
    """Serve with transports and protocols."""
    loop = asyncio.get_running_loop()
    start = loop.create_server if listener.family == socket.AF_INET else loop.create_unix_server
    await start(factory, sock=listener)


async def by_streams(listener: socket.socket) -> None:
    """Serve with streams."""
    start = asyncio.start_server if listener.family == socket.AF_INET else asyncio.start_unix_server
    await start(echo_stream, sock=listener, limit=256 * 1024)


async def by_sockets(listener: socket.socket) -> None:
    """Serve with sock_accept(), sock_recv() and sock_sendall()."""
    loop = asyncio.get_running_loop()
    tasks = set()

    async def accept() -> None:
        while True:
            ours, _ = await loop.sock_accept(listener)
            at_once(ours)
            tasks.add(loop.create_task(echo_socket(loop, ours)))

    tasks.add(loop.create_task(accept()))
    listener.tasks = tasks  # type: ignore[attr-defined]  # somebody has to hold them


class Listener(socket.socket):
    """A listening socket that can hold what serves it."""


WAYS: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    "protocol": lambda listener: by_protocol(listener, Echo),
    "buffered": lambda listener: by_protocol(listener, BufferedEcho),
    "streams": by_streams,
    "sock": by_sockets,
}


def main() -> None:
    """Serve for ever."""
    factory, way, address = sys.argv[1:]
    module, _, attribute = factory.partition(":")
    loop = getattr(importlib.import_module(module), attribute)()
    asyncio.set_event_loop(loop)
    unix = "/" in address
    listener = Listener(socket.AF_UNIX if unix else socket.AF_INET)
    listener.bind(address if unix else ("127.0.0.1", int(address)))
    listener.listen(128)
    listener.setblocking(False)
    name = address if unix else listener.getsockname()[1]
    loop.run_until_complete(WAYS[way](listener))
    print(name, flush=True)
    loop.run_forever()


if __name__ == "__main__":
    main()
