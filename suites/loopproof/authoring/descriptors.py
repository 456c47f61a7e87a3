"""The descriptor oracle: it notices a loop that leaves a descriptor open, or uses a number that is somebody else's."""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any

from .. import faultkit
from .links import until

_CANARY = b"not yours"
_AWAY = 512
"""Our own ends get numbers from here on, away from those that loops and cases get."""


class Squatters:
    """Sockets that move into descriptor numbers as soon as these are free, and tell what is done to them.

    A context manager. Call `occupy` when the loop is said to have closed something; `check`, and the end of the block,
    raise AssertionError if since then a squatter was closed, replaced, read from, written to, shut down or polled.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._identities: list[tuple[str, int, int]] = []

    def __enter__(self) -> "Squatters":
        self._taken = set(faultkit.descriptors())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            for ours, theirs in self._pairs:
                _close(ours)
                _close(theirs)
            self._pairs.clear()
            self._identities.clear()

    def occupy(self, *numbers: int) -> None:
        """Move into ``numbers``, or by default into all that were in use when the block began and are free now.

        Raises AssertionError if one of the given numbers is still in use.
        """
        free = (set(numbers) or self._taken) - set(faultkit.descriptors())
        still = set(numbers) - free
        assert not still, f"descriptor {min(still, default=0)} is still open"
        for number in sorted(free):
            one, other = socket.socketpair()
            theirs = socket.socket(fileno=fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, _AWAY))
            squatter = socket.socket(fileno=fcntl.fcntl(other.fileno(), fcntl.F_DUPFD_CLOEXEC, _AWAY))
            one.close()
            other.close()
            moved = fcntl.fcntl(squatter.fileno(), fcntl.F_DUPFD_CLOEXEC, number)
            squatter.close()
            squatter = socket.socket(fileno=moved)
            assert moved == number, f"descriptor {number} was taken by somebody else"
            squatter.setblocking(False)
            theirs.setblocking(False)
            theirs.send(_CANARY)
            self._pairs.append((squatter, theirs))
            identity = faultkit.descriptor(number)
            self._identities.append((identity.kind, identity.device, identity.inode))

    def check(self) -> None:
        """Raise AssertionError that names what was done to squatters, if anything was."""
        found = self.violations()
        assert not found, "; ".join(found)

    def violations(self) -> list[str]:
        """Return what was done to the squatters, one line each."""
        found = []
        now = faultkit.descriptors()
        polled = {watched for number in now if now[number][0] == "epoll" for watched in _watched(number)}
        for (squatter, theirs), identity in zip(self._pairs, self._identities, strict=True):
            number = squatter.fileno()
            whose = f"descriptor {number}, which belongs to somebody else by now,"
            if now.get(number) != identity:
                found.append(f"{whose} was closed or replaced")
                continue
            if (number, identity[2]) in polled:
                found.append(f"{whose} is polled")
            try:
                left = squatter.recv(len(_CANARY) + 1, socket.MSG_PEEK)
            except BlockingIOError:
                left = b""
            if left != _CANARY:
                found.append(f"{whose} was read from")
            try:
                sent = theirs.recv(65_536, socket.MSG_PEEK)
                found.append(f"{whose} was {f'written to ({sent[:40]!r})' if sent else 'shut down'}")
            except BlockingIOError:
                pass
        return found


def _close(end: socket.socket) -> None:
    try:
        end.close()
    except OSError:
        end.detach()


def _watched(epoll: int) -> tuple[tuple[int, int], ...]:
    """Return number and inode of every descriptor that an epoll set watches."""
    try:
        return faultkit.descriptor(epoll).watches
    except OSError:  # closed meanwhile
        return ()


def opened_since(before: dict[int, tuple[str, int, int]]) -> list[str]:
    """Return what is open and was not at the time of a `faultkit.descriptors()`, one line each."""
    found = []
    for number, identity in faultkit.descriptors().items():
        if before.get(number) != identity:
            try:
                now = faultkit.descriptor(number)
            except OSError:  # closed meanwhile
                continue
            found.append(f"descriptor {number}: {now.target} {now.local or ''} -> {now.remote or ''}")
    return found


async def closed_since(before: dict[int, tuple[str, int, int]], what: str) -> None:
    """Let the loop run until nothing is open that was not at the time of a `faultkit.descriptors()`.

    Raises AssertionError that names what stays open after ``what``.
    """
    try:
        await until(lambda: not opened_since(before), "")
    except AssertionError:
        left = opened_since(before)
    else:
        return
    raise AssertionError(f"{what} leaves open: {'; '.join(left)}")


def is_open(number: int, inode: int) -> bool:
    """Tell whether a descriptor is still open on the same thing."""
    try:
        return os.fstat(number).st_ino == inode
    except OSError:
        return False


@contextlib.contextmanager
def successor(number: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket that does not block and has a number that has just become free, and its peer.

    Raises AssertionError if the number is not free.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if ours.fileno() != number:
            ours, theirs = theirs, ours
        assert ours.fileno() == number, "the kernel gave another number"
        ours.setblocking(False)
        yield ours, theirs


async def watchable(number: int) -> None:
    """Check that the running loop can watch a number that a squatter has: it has forgotten who had it before.

    Raises AssertionError if no callback comes, and whatever add_reader() and add_writer() raise.
    """
    loop, seen = asyncio.get_running_loop(), set[str]()
    try:
        loop.add_reader(number, seen.add, "data")
    except NotImplementedError:
        return
    loop.add_writer(number, seen.add, "room")
    await until(lambda: len(seen) == 2, f"the callbacks of descriptor {number}, which belongs to somebody else by now,")
    loop.remove_reader(number)
    loop.remove_writer(number)


async def closed_once(
    make: Callable[[socket.socket], Awaitable[tuple[Any, Any]]], ours: socket.socket, end: Callable[[Any], None]
) -> None:
    """Check that a socket is closed with its transport, once.

    ``make(ours)`` returns the transport and a protocol that records, ``end(transport)`` ends it. Raises AssertionError
    if the socket stays open, or if something is done to what has its number afterwards: by more calls of close() and
    abort(), by the socket object, or when that and the transport are collected; or if that cannot be watched.
    """
    with Squatters() as squatters:
        number = ours.fileno()
        transport, protocol = await make(ours)
        end(transport)
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: number not in faultkit.descriptors(), "the end of the socket's descriptor")
        squatters.occupy(number)
        transport.close()
        transport.abort()
        ours.close()
        del transport, protocol, ours
        await asyncio.sleep(0)
        squatters.check()
        await watchable(number)
