"""Sockets and scenarios for the tests of refloop's operations on sockets. The other end is a plain socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import refloop

HANGS = 60  # seconds after which what waits is taken for hung

Loop = asyncio.AbstractEventLoop
Scenario = Callable[[Loop], Coroutine[Any, Any, Any]]


def run(scenario: Scenario, *, factory: Callable[[], Loop] = refloop.new_event_loop, debug: bool = False) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(HANGS):
            return await scenario(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
        return runner.run(main())


def as_asyncio(scenario: Scenario) -> Any:
    """What a scenario gives on refloop, which has to be what it gives on asyncio."""
    result = run(scenario)
    assert result == run(scenario, factory=asyncio.SelectorEventLoop)
    return result


@contextlib.contextmanager
def pair(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets: one that does not block, for the loop, and the other end."""
    ours, theirs = socket.socketpair(type=kind)
    ours.setblocking(False)
    theirs.settimeout(HANGS)
    with ours, theirs:
        yield ours, theirs


@contextlib.contextmanager
def listener(family: socket.AddressFamily = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> Iterator[socket.socket]:
    with socket.socket(family) as sock:
        sock.bind(address)
        sock.listen()
        sock.setblocking(False)
        yield sock


def client(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family)
    sock.setblocking(False)
    return sock


def fill(sock: socket.socket) -> int:
    """Send until no more fits; returns how many bytes that were."""
    sent = 0
    for size in (65_536, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += sock.send(bytes(size))
    return sent


def receive_all(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += sock.recv(65_536)
    return bytes(data)


async def started(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that has run as far as it can at once."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def turns(count: int = 5) -> None:
    """Let the loop find what is ready, and whoever waits for that run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def outcome(awaitable: Any) -> tuple[Any, ...]:
    """What it returns, or the type and arguments of what it raises."""
    try:
        return "returned", await awaitable
    except Exception as exc:
        return "raised", type(exc), exc.args


def watched_descriptors() -> set[int]:
    """The descriptors that are in an epoll set of this process."""
    found: set[int] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink().name.endswith("[eventpoll]"):
                lines = Path(f"/proc/self/fdinfo/{entry.name}").read_text().splitlines()
                found |= {int(line.split()[1]) for line in lines if line.startswith("tfd:")}
    return found
