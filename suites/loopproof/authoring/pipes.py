"""Pipes, FIFOs, terminals and sockets as pairs of descriptors, and pipe transports on one of both."""

import asyncio
import contextlib
import os
import socket
import tempfile
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .history import RecordingProtocol
from .links import Told, until

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


class Counted:
    """A pipe object that is no file: it counts how often it is closed, and closes its descriptor the first time."""

    def __init__(self, number: int) -> None:
        self.closings = 0
        self._number = number

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number

    def close(self) -> None:
        """Close the descriptor if that was not done yet."""
        self.closings += 1
        if self.closings == 1:
            os.close(self._number)


class PipeLink(Told):
    """A pipe transport of the loop under test, its protocol, the file it was made of, and the descriptor beyond."""

    def __init__(self, transport: Any, protocol: Any, file: Any, beyond: int) -> None:
        super().__init__(transport, protocol)
        self.file = file
        self.beyond = beyond

    async def written(self, size: int) -> bytes:
        """Read what comes out at the other end until it is so many bytes, or the end; return it."""
        found = bytearray()

        def more() -> bool:
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(self.beyond, 65_536):
                    found.extend(piece)
                return True
            return len(found) >= size

        await until(more, f"{size} bytes at the other end")
        return bytes(found)


@contextlib.asynccontextmanager
async def reading_pipe(loop: asyncio.AbstractEventLoop, kind: str = "pipe", **options: Any) -> AsyncIterator[PipeLink]:
    """A transport that reads from a pair of descriptors; ``options`` are those of `history.RecordingProtocol`."""
    with opened(kind) as (reading, writing):
        async with _connected(loop.connect_read_pipe, reading, "rb", writing, options) as link:
            yield link


@contextlib.asynccontextmanager
async def writing_pipe(loop: asyncio.AbstractEventLoop, kind: str = "pipe", **options: Any) -> AsyncIterator[PipeLink]:
    """A transport that writes to a pair of descriptors; ``options`` are those of `history.RecordingProtocol`."""
    with opened(kind) as (reading, writing):
        async with _connected(loop.connect_write_pipe, writing, "wb", reading, options) as link:
            yield link


@contextlib.asynccontextmanager
async def _connected(
    connect: Any, ours: int, mode: str, beyond: int, options: dict[str, Any]
) -> AsyncIterator[PipeLink]:
    """Connect a descriptor; at the end the transport is ended if it is not, and its history is checked."""
    os.set_blocking(ours, True)
    file = os.fdopen(ours, mode, 0)
    try:
        transport, protocol = await connect(lambda: RecordingProtocol(**options), file)
        link = PipeLink(transport, protocol, file, beyond)
        try:
            yield link
        finally:
            if not protocol.closed.is_set():
                (transport.close if mode == "rb" else transport.abort)()
                await link.lost()
            await until(lambda: file.closed or identity(ours) is None, "the end of the pipe's descriptor")
        protocol.history.check()
    finally:
        file.close()
