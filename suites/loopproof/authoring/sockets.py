"""Sockets for the operations of a loop on them: ours do not block, and a peer plays a script at the other end."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal

import pytest

from loopproof import faultkit

from .links import LIFE, Step, polls, until

_SMALL = 131_072  # not less: TCP on the loopback interface crawls where a window is below a segment of 64 KiB

Kind = Literal["tcp", "unix", "datagram"]


@contextlib.contextmanager
def plugged(kind: Kind, script: Sequence[Step] = (), narrow: bool = False) -> Iterator[tuple[socket.socket, Any]]:
    """A connected socket that does not block, and the `faultkit.Peer` that plays a script at its other end.

    ``narrow``: the kernel takes less than `links.WIDTH` bytes while the peer reads nothing. After the block the socket
    is closed and the peer is stopped, however far it came.
    """
    peer = faultkit.Peer(script, pair=kind, deadline=LIFE, receive_buffer=_SMALL if narrow else 0)
    try:
        with socket.socket(fileno=peer.take()) as ours:
            ours.setblocking(False)
            if narrow:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL)
            yield ours, peer
    finally:
        peer.stop()


@contextlib.contextmanager
def listening(family: socket.AddressFamily, address: Any, backlog: int = 128) -> Iterator[socket.socket]:
    """A listening stream socket that does not block."""
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
        yield listener


@contextlib.contextmanager
def unbound(family: socket.AddressFamily, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """A fresh socket that does not block."""
    with socket.socket(family, kind) as ours:
        ours.setblocking(False)
        yield ours


@contextlib.contextmanager
def playing(script: Sequence[Step], **options: Any) -> Iterator[Any]:
    """A `faultkit.Peer` that is stopped after the block, however far it came."""
    peer = faultkit.Peer(script, deadline=LIFE, **options)
    try:
        yield peer
    finally:
        peer.stop()


async def played(peer: faultkit.Peer, steps: int) -> None:
    """Let the loop run until so many steps of a peer's script are done; raise AssertionError if one fails."""
    await until(lambda: peer.ended or peer.completed >= steps, f"step {steps} of the peer's script")
    if peer.completed < steps:
        peer.verify()


async def verified(peer: faultkit.Peer) -> None:
    """Let the loop run until a peer's script is over; raise AssertionError that tells which step failed."""
    await until(lambda: peer.ended, "the end of the peer's script")
    peer.verify()


async def waiting(operation: Awaitable[Any]) -> asyncio.Task[Any]:
    """Start an operation that cannot finish yet; return its task once the loop has polled a few times."""
    task = asyncio.ensure_future(operation)
    await polls(3)
    if task.done():
        raise AssertionError(f"the operation did not wait: {task!r}")
    return task


async def ended(task: "asyncio.Future[Any]", what: str = "the end of the operation") -> Any:
    """Let the loop run until a task has ended; return its result or raise its exception."""
    await until(task.done, what)
    return task.result()


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a waiting task and let the loop run until it is cancelled; AssertionError if it ends in another way."""
    task.cancel()
    await until(task.done, "the end of an operation that was cancelled")
    if not task.cancelled():
        raise AssertionError(f"the operation was cancelled while it waited and ended as {task!r}")


def is_ready(ours: socket.socket, to: str = "read") -> None:
    """Check that the kernel would tell a loop that polls now that the socket is ready."""
    assert _poll(ours, {"read": select.POLLIN, "write": select.POLLOUT}[to], 5), f"the socket is not ready to {to}"


async def ahead(loop: asyncio.AbstractEventLoop, ready: Callable[[], object], action: Callable[[], Any]) -> bool:
    """Have the action done by a callback that a loop runs before those of its next poll.

    Tell whether it was ahead: a loop that acts while it polls, not later, has used by then what was ``ready``.
    """
    was_ahead: list[bool] = []

    def act() -> None:
        was_ahead.append(bool(ready()))
        if was_ahead[0]:
            action()

    loop.call_soon(act)
    await asyncio.sleep(0)
    await until(lambda: was_ahead, "a callback")
    return was_ahead[0]


def readable(ours: socket.socket) -> bool:
    """Tell whether there is something to take."""
    return _poll(ours, select.POLLIN, 0)


def _poll(ours: socket.socket, events: int, seconds: float) -> bool:
    """Tell whether the kernel has one of the events; not by select(), which no number from 1024 on can be given to."""
    poll = select.poll()
    poll.register(ours, events)
    return bool(poll.poll(seconds * 1000))


Operation = Callable[[asyncio.AbstractEventLoop, Any], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 100),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(100)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 100),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(100)),
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, b"data"),
    "sock_sendto": lambda loop, sock: loop.sock_sendto(sock, b"data", ("127.0.0.1", 9)),
    "sock_connect": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1", 9)),
    "sock_accept": lambda loop, sock: loop.sock_accept(sock),
}
"""Each operation on a socket, by the name of its method, with some arguments."""

RECEIVING = ("sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into")
"""Those that wait for data."""

_DATAGRAM = ("sock_recvfrom", "sock_recvfrom_into", "sock_sendto")


def on_operations(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a case for each operation on a socket, or for the named ones; its parameter is ``operation``."""
    chosen = [
        pytest.param(name, marks=pytest.mark.needs("sock_datagram" if name in _DATAGRAM else "sock"))
        for name in names or OPERATIONS
    ]
    return pytest.mark.parametrize("operation", chosen)
