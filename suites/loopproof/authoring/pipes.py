"""Pairs of descriptors of each kind that a loop can wait for: pipes, FIFOs, terminals and sockets."""

import contextlib
import os
import socket
import tempfile
import tty
from collections.abc import Callable, Iterator

Ends = tuple[int, int]


def pipe() -> Ends:
    """A pipe."""
    return os.pipe()


def fifo() -> Ends:
    """A named FIFO, both ends open."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/fifo"
        os.mkfifo(path)
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return reading, os.open(path, os.O_WRONLY)


def terminal() -> Ends:
    """A pseudo-terminal, raw: what is written to its master can be read from it."""
    master, slave = os.openpty()
    tty.setraw(slave)
    return slave, master


def sockets() -> Ends:
    """Two connected UNIX sockets."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


KINDS: dict[str, Callable[[], Ends]] = {"pipe": pipe, "fifo": fifo, "terminal": terminal, "socket": sockets}
"""What makes a pair of descriptors, the one to read from and the one to write to, by name."""


@contextlib.contextmanager
def opened(kind: str = "pipe") -> Iterator[Ends]:
    """A pair of descriptors that do not block; after the block those that are still the same open files are closed."""
    ends = KINDS[kind]()
    identities = [identity(end) for end in ends]
    for end in ends:
        os.set_blocking(end, False)
    try:
        yield ends
    finally:
        for end, known in zip(ends, identities, strict=True):
            if identity(end) == known:
                os.close(end)


def identity(number: int) -> tuple[int, int, int] | None:
    """What a descriptor is open on, None if it is closed."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mode


def fill(writing: int) -> int:
    """Write until the kernel takes no more; return the number of bytes."""
    total = 0
    for piece in (bytes(65_536), bytes(4096), b"\0"):
        with contextlib.suppress(BlockingIOError):
            while True:
                total += os.write(writing, piece)
    return total


def drained(reading: int) -> bytes:
    """Read all that is there."""
    found = bytearray()
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reading, 65_536):
            found += piece
    return bytes(found)
