"""Scenes that faults are injected into: exchanges, servers and children, on plain blocking sockets and on loops."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import rloop
import uvloop

from loopproof import faultkit

SIZE = 3_000_000
PATIENCE = 30.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
    "rloop": rloop.new_event_loop,
}


def partner() -> faultkit.Peer:
    """A peer that receives a pattern, then sends another."""
    script = [faultkit.accept(), faultkit.expect_pattern(1, SIZE), faultkit.send_pattern(2, SIZE), faultkit.drain()]
    return faultkit.Peer(script, listen="tcp", deadline=PATIENCE)


def is_answer(data: bytes | bytearray) -> bool:
    return len(data) == SIZE and faultkit.verify_pattern(data, 2) is None


def injected(injector: faultkit.Injector) -> list[tuple[str | None, str, Any]]:
    """The kind of descriptor, action and result of each call that something was done to."""
    return [(call.kind, call.action, call.result) for call in injector.trace if call.action != "allow"]


def run_on(
    factory: Callable[[], asyncio.AbstractEventLoop], coroutine: Coroutine[Any, Any, Any], patience: float = PATIENCE
) -> Any:
    """Run a coroutine on a new loop, to its end or for so many seconds."""
    loop = factory()
    try:
        return loop.run_until_complete(asyncio.wait_for(coroutine, patience))
    finally:
        loop.close()


class Client:
    """Connects and sends ten bytes, again and again."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def connect(self, address: Any) -> None:
        self.sockets.append(socket.create_connection(address))
        self.sockets[-1].send(b"0123456789")

    def close(self) -> None:
        for ours in self.sockets:
            ours.close()


class Collector(asyncio.Protocol):
    """Collects what it receives; `ended` has the exception of connection_lost, or None, as its result."""

    def __init__(self, wanted: int = SIZE) -> None:
        loop = asyncio.get_running_loop()
        self.wanted = wanted
        self.received = bytearray()
        self.complete = loop.create_future()
        self.ended = loop.create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) >= self.wanted and not self.complete.done():
            self.complete.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.complete, self.ended):
            if not future.done():
                future.set_result(exc)


async def exchange(address: Any) -> tuple[bytearray, Exception | None]:
    """Send the pattern, receive the answer; returns it, and what connection_lost was told."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Collector, *address)
    transport.write(faultkit.pattern(1, SIZE))
    await protocol.complete
    transport.close()
    return protocol.received, await protocol.ended


def plain_exchange(address: Any) -> bytes:
    """The same on a blocking socket."""
    with socket.create_connection(address) as ours:
        ours.sendall(faultkit.pattern(1, SIZE))
        received = bytearray()
        while len(received) < SIZE and (data := ours.recv(65_536)):
            received += data
        return bytes(received)


async def serve(connect: Callable[[Any], None]) -> bytes:
    """Listen, have clients connect who send something, one after the other until it has come; return it."""
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()

    class Listener(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            if not arrived.done():
                arrived.set_result(data)
            self.transport.close()

    server = await loop.create_server(Listener, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    while not arrived.done():
        connect(address)
        await asyncio.wait([arrived], timeout=0.1)
    server.close()
    return arrived.result()


async def child() -> int:
    """Run a child to its end; returns its exit status."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
    return await process.wait()


def plain_child() -> int:
    return subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=False).returncode


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns, or the exception that it raises."""
    try:
        return function(*args)
    except Exception as error:
        return error
