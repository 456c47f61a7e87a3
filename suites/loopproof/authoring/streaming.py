"""Streams of the loop under test: a reader and a writer, with a peer that plays a script at the other end."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from loopproof import faultkit

from .links import LIFE, Step, until, unverified
from .sockets import verified

_NARROW = 131_072  # not less: TCP on the loopback interface crawls where a window is below a segment of 64 KiB


class Streams:
    """A reader, a writer, and the peer, whose first step made the connection: those of the script come after it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: faultkit.Peer) -> None:
        self.reader = reader
        self.writer = writer
        self.peer = peer

    async def reached(self, steps: int) -> None:
        """Let the loop run until so many steps of the script are done; raise AssertionError if one fails."""
        await until(lambda: self.peer.ended or self.peer.completed > steps, f"step {steps} of the peer's script")
        if self.peer.completed <= steps:
            self.peer.verify()

    async def verified(self) -> None:
        """Let the loop run until the peer's script is over; raise AssertionError that tells which step failed."""
        await verified(self.peer)


async def over(writer: asyncio.StreamWriter, peer: faultkit.Peer) -> None:
    """Close a stream, wait until it is closed, and let the loop run until the peer's script is over.

    Raises AssertionError that tells which step of it failed, and whatever wait_closed() raises.
    """
    writer.close()
    await writer.wait_closed()
    await verified(peer)


@contextlib.asynccontextmanager
async def streams(script: Sequence[Step] = (), *, narrow: bool = False, **options: Any) -> AsyncIterator[Streams]:
    """A TCP connection by open_connection() to a peer that plays a script; at the end both are ended, if they are not.

    ``narrow``: the kernel takes less than `links.WIDTH` bytes in either direction while the other side reads nothing.
    ``options``: of open_connection().
    """
    size = _NARROW if narrow else 0
    peer = faultkit.Peer(
        [faultkit.accept(), *script], listen="tcp", deadline=LIFE, receive_buffer=size, send_buffer=size
    )
    try:
        ours = socket.socket()
        if narrow:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        ours.connect(peer.address)
        reader, writer = await asyncio.open_connection(sock=ours, **options)
        try:
            yield Streams(reader, writer, peer)
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            peer.stop()
            # what it raises is the business of cases about it, and one that was cancelled has cancelled all others
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()
    finally:
        peer.stop()


@contextlib.contextmanager
def unix_peer(script: Sequence[Step]) -> Iterator[tuple[str, faultkit.Peer]]:
    """The path of a UNIX socket, and a peer that accepts a connection there and plays a script."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        with unverified(faultkit.Peer([faultkit.accept(), *script], connection=listener, deadline=LIFE)) as peer:
            yield f"{folder}/socket", peer
