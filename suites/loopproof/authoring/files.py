"""Files to be sent, and the ways to send them: over transports and over sockets, with a peer at the other end."""

import asyncio
import contextlib
import fcntl
import functools
import io
import os
import socket
import tempfile
import termios
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from loopproof import faultkit

from .certificates import certificate, client_context
from .history import History, RecordingProtocol
from .links import Connect, Link, Making, Step, polls, until
from .sockets import played, plugged, verified

SEED = 23
"""Of the pattern that files contain."""


class Readable:
    """A file object that can be read from, and has no descriptor, no mode and no name.

    Whichever way it is read, `take` gives the bytes: at most so many, none at the end.
    """

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.take = self._data.read
        self.seek = self._data.seek
        self.tell = self._data.tell

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self.take(size)

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into a buffer and return how many."""
        data = self.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _raw(data: bytes) -> Any:
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  whoever asked for it closes it
    os.pwrite(file.fileno(), data, 0)
    return file


FILES: dict[str, Callable[[bytes], Any]] = {
    "buffered": lambda data: io.BufferedReader(_raw(data)),
    "raw": _raw,
    "memory": io.BytesIO,
    "readable": Readable,
}
"""What makes a file object with given data, by name; the first two have a descriptor."""


@contextlib.contextmanager
def file_of(size: int, kind: str = "buffered") -> Iterator[Any]:
    """A file that contains so many bytes of the pattern of `SEED`, of one of the kinds in `FILES`, at its start."""
    file = FILES[kind](faultkit.pattern(SEED, size))
    try:
        yield file
    finally:
        if kind != "readable":
            file.close()


@contextlib.contextmanager
def sparse_file(size: int, tail: int = 0) -> Iterator[Any]:
    """A file of so many bytes that takes no room: zeros, of which the last ``tail`` bytes are the pattern of `SEED`."""
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        os.pwrite(file.fileno(), faultkit.pattern(SEED, tail), size - tail)
        yield file


class Unpaired(History):
    """A history whose pauses are not checked: in the fallback a part of them is not for the protocol.

    That they take turns is a case of its own.
    """

    def _pauses(self) -> Iterator[str]:
        return iter(())


class Sender:
    """A way to send files, with the peer that plays a script beyond it: call it with what sendfile() gets.

    ``link``: the transport's, None for a socket; ``socket``: None for a transport.
    """

    def __init__(self, operation: Any, peer: Any, steps: int, link: Link | None, socket: socket.socket | None) -> None:
        self.peer = peer
        self.link = link
        self.socket = socket
        self._operation = operation
        self._steps = steps

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return the awaitable of loop.sendfile() or loop.sock_sendfile(); arguments: those behind the first one."""
        return self._operation(*arguments, **options)

    async def stalled(self, *arguments: Any, **options: Any) -> asyncio.Task[Any]:
        """Start a call that cannot finish yet; return its task once the kernel takes no more from it."""
        task: asyncio.Task[Any] = asyncio.ensure_future(self(*arguments, **options))
        ours: Any = self.socket if self.link is None else self.link.transport.get_extra_info("socket")
        unsent = bytearray(4)

        def full() -> bool:
            fcntl.ioctl(ours.fileno(), termios.TIOCOUTQ, unsent)
            return task.done() or any(unsent)

        await until(full, "what fills the buffers of the kernel")
        await polls(3)
        if task.done():
            raise AssertionError(f"the call did not wait: {task!r}")
        return task

    async def paused(self) -> None:
        """Let the loop run until a transport has paused its protocol."""
        assert self.link is not None
        link = self.link
        await until(lambda: "pause_writing" in link.names, "pause_writing()", share=0.2)

    async def queued(self, size: int) -> None:
        """Let the loop run until a transport holds more than so many bytes that the kernel does not take.

        Not for ever, for how much a fallback writes ahead is a loop's own affair.
        """
        assert self.link is not None
        self.link.transport.set_write_buffer_limits(high=size)
        transport = self.link.transport
        with contextlib.suppress(AssertionError):
            await until(lambda: transport.get_write_buffer_size() > size, "more than that", share=0.1)

    def end(self) -> None:
        """End the stream behind what was sent."""
        if self.link is not None:
            self.link.transport.close()
        elif self.socket is not None:
            self.socket.shutdown(socket.SHUT_WR)

    async def write(self, data: bytes) -> None:
        """Send data in the usual way."""
        if self.link is not None:
            self.link.transport.write(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)  # type: ignore[arg-type]

    async def reached(self, steps: int) -> None:
        """Let the loop run until so many steps of the script are done; raise AssertionError if one fails."""
        await played(self.peer, self._steps + steps)

    def step(self, number: int) -> faultkit.Entry:
        """Return what became of a step of the script, from 1."""
        entry: faultkit.Entry = self.peer.log[self._steps + number - 1]
        return entry

    async def over(self) -> int:
        """End the stream, let the loop run until the script is over; return the number of bytes of its last step.

        Raises AssertionError if a step has failed.
        """
        self.end()
        await verified(self.peer)
        total: int = self.peer.log[-1].bytes
        return total


async def _to_tls_server(connect: Connect, make: Making, script: list[Step], receive: int) -> None:
    """The loop's transport is the client of a TLS connection."""
    begin = [faultkit.accept(), faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake()]
    peer = connect.play([*begin, *script], listen="tcp", receive_buffer=receive)
    await connect.loop.create_connection(make, *peer.address, ssl=client_context(), server_hostname="localhost")


class TlsConnect(Connect):
    """Makes links whose transport is the client of a TLS connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, "tcp-client")
        self._way = _to_tls_server


@contextlib.asynccontextmanager
async def sending(
    loop: asyncio.AbstractEventLoop,
    way: str,
    script: Sequence[Step] = (),
    *,
    narrow: bool = False,
    paired: bool = False,
) -> AsyncIterator[Sender]:
    """A way to send files, one of `WAYS`, to a peer that plays a script.

    ``narrow``: the kernel takes less than `links.WIDTH` bytes while the peer reads nothing. ``paired``: the pauses of a
    transport's protocol are to take turns. What else it was told is checked in any case.
    """
    medium, _, kind = way.partition(" ")
    if kind == "socket":
        with plugged("tcp" if medium == "tcp" else "unix", script, narrow) as (ours, peer):
            yield Sender(functools.partial(loop.sock_sendfile, ours), peer, 0, None, ours)
        return
    connect = TlsConnect(loop) if medium == "tls" else Connect(loop, f"{medium}-client")
    try:
        history = History() if paired else Unpaired()
        link = await connect(script, protocol=lambda: RecordingProtocol(history), narrow=narrow)
        send = functools.partial(loop.sendfile, link.transport)
        yield Sender(send, link.peer, 3 if medium == "tls" else 1, link, None)
    finally:
        await connect.close()


WAYS = {
    "tcp transport": ("sendfile", "tcp"),
    "unix transport": ("sendfile", "unix"),
    "tls transport": ("sendfile", "tls"),
    "tcp socket": ("sock_sendfile",),
    "unix socket": ("sock_sendfile", "sock"),
}
"""The ways to send a file, by name, and the capabilities that they need."""

TRANSPORTS = ("tcp transport", "unix transport", "tls transport")

NATIVE = ("tcp transport", "unix transport", "tcp socket", "unix socket")
"""Those that the kernel has a system call for."""


def on_ways(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a case on each way to send a file, or on the named ones; its parameter is ``way``, for `sending`."""
    chosen = [pytest.param(name, marks=pytest.mark.needs(*WAYS[name])) for name in names or WAYS]
    return pytest.mark.parametrize("way", chosen)


def on_ways_and_files(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a case on each way, or on the named ones, with files of two kinds: ``kind`` is "raw" or "memory".

    The latter not over transports in the clear: that they keep what the fallback has read is a case of its own.
    """
    chosen = [
        pytest.param(way, kind, marks=pytest.mark.needs(*WAYS[way]))
        for way in names or WAYS
        for kind in ("raw", "memory")
        if kind == "raw" or way not in ("tcp transport", "unix transport")
    ]
    return pytest.mark.parametrize(("way", "kind"), chosen)
