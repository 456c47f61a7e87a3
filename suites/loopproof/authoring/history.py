"""What a loop told a protocol, in order, and the rules that hold for every such history, whatever the case is about."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WITHIN_CALLS = ("pause_writing", "error_received")
"""Callbacks that a write() or a sendto() in another callback may lead to."""


@dataclass(frozen=True)
class Event:
    """A callback that a loop made. ``inside``: the callback that was still running, empty if none was."""

    name: str
    arguments: tuple[Any, ...]
    thread: int
    inside: str


class History:
    """The callbacks of one protocol, in order.

    ``received`` is what arrived, all in one; ``ends`` tells whether the connection is to be over when the history is
    checked.
    """

    def __init__(self, ends: bool = True) -> None:
        self.ends = ends
        self.events: list[Event] = []
        self.received = bytearray()
        self._running: list[str] = []

    @contextlib.contextmanager
    def callback(self, name: str, *arguments: Any) -> Iterator[None]:
        """Note a callback for the length of the block."""
        self.events.append(Event(name, arguments, threading.get_ident(), self._running[-1] if self._running else ""))
        self._running.append(name)
        try:
            yield
        finally:
            self._running.remove(name)

    @property
    def names(self) -> list[str]:
        """The names of the callbacks, in order."""
        return [event.name for event in self.events]

    def violations(self) -> list[str]:
        """Return what in this history no loop may do, one line each."""
        if not self.events:
            return []
        return [*self._frame(), *self._pauses(), *self._data(), *self._buffers(), *self._processes()]

    def check(self) -> None:
        """Raise AssertionError that names the violations and shows the history, if there are any."""
        found = self.violations()
        if found:
            told = ", ".join(self.names)
            raise AssertionError(f"{'; '.join(found)}. The callbacks in order: {told}")

    def _frame(self) -> Iterator[str]:
        """connection_made() first and once, connection_lost() last and once, one at a time, in one thread."""
        names = self.names
        if names[0] != "connection_made":
            yield f"{names[0]}() was called before connection_made()"
        for once in ("connection_made", "connection_lost", "eof_received", "process_exited"):
            if names.count(once) > 1:
                yield f"{once}() was called {names.count(once)} times"
        if "connection_lost" in names:
            after = names[names.index("connection_lost") + 1 :]
            if after:
                yield f"{after[0]}() was called after connection_lost()"
        elif self.ends and "connection_made" in names:
            yield "connection_lost() was not called"
        for event in self.events:
            if event.inside and event.name not in _WITHIN_CALLS:
                yield f"{event.name}() was called from inside {event.inside}()"
        if len({event.thread for event in self.events}) > 1:
            yield "callbacks came in more than one thread"

    def _pauses(self) -> Iterator[str]:
        """pause_writing() and resume_writing() take turns, the first one first."""
        turns = [name for name in self.names if name in ("pause_writing", "resume_writing")]
        for number, name in enumerate(turns):
            if name != ("pause_writing", "resume_writing")[number % 2]:
                yield f"{name}() was called {'twice in a row' if number else 'before pause_writing()'}"
                return

    def _data(self) -> Iterator[str]:
        """No empty data, and none after the end of it."""
        for event in self.events:
            if event.name == "data_received" and not event.arguments[0]:
                yield "data_received() was called without data"
        names = self.names
        if "eof_received" in names:
            after = names[names.index("eof_received") + 1 :]
            for late in {"data_received", "buffer_updated", "get_buffer"} & set(after):
                yield f"{late}() was called after eof_received()"

    def _buffers(self) -> Iterator[str]:
        """buffer_updated() follows a get_buffer() and does not claim more than the buffer holds."""
        room: int | None = None
        for event in self.events:
            if event.name == "get_buffer":
                room = event.arguments[1]
            elif event.name == "buffer_updated":
                (size,) = event.arguments
                if room is None:
                    yield "buffer_updated() was called without get_buffer()"
                elif not 0 < size <= room:
                    yield f"buffer_updated() told of {size} bytes in a buffer of {room}"
                room = None

    def _processes(self) -> Iterator[str]:
        """A pipe is lost once and silent after, and the connection outlives the pipes and the process."""
        lost: set[int] = set()
        for event in self.events:
            if event.name == "pipe_connection_lost":
                if event.arguments[0] in lost:
                    yield f"pipe_connection_lost() was called twice for descriptor {event.arguments[0]}"
                lost.add(event.arguments[0])
            elif event.name == "pipe_data_received" and event.arguments[0] in lost:
                yield f"pipe_data_received() was called for descriptor {event.arguments[0]} after it was lost"


class _Recorded:
    """What recording protocols share: a history, the transport, and two events to wait for.

    ``on`` maps the names of callbacks to what a case wants to be done in them: functions that get the protocol, called
    after the callback was noted. What they return is what the callback returns.
    """

    def __init__(self, history: History | None = None, on: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self.history = history or History()
        self._on = on or {}
        self.transport: Any = None
        self.closed = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None

    def react(self, name: str) -> Any:
        """Do what the case wants to be done in a callback."""
        return self._on[name](self) if name in self._on else None

    def connection_made(self, transport: Any) -> None:
        with self.history.callback("connection_made", transport):
            self.transport = transport
            self.react("connection_made")

    def connection_lost(self, exc: Exception | None) -> None:
        with self.history.callback("connection_lost", exc):
            self.error = exc
            self.closed.set()
            self.react("connection_lost")

    def pause_writing(self) -> None:
        with self.history.callback("pause_writing"):
            self.react("pause_writing")

    def resume_writing(self) -> None:
        with self.history.callback("resume_writing"):
            self.react("resume_writing")


class RecordingProtocol(_Recorded, asyncio.Protocol):
    """A streaming protocol that keeps its history; connection_lost() sets ``closed``, eof_received() ``ended``."""

    def data_received(self, data: bytes) -> None:
        with self.history.callback("data_received", data):
            self.history.received += data
            self.react("data_received")

    def eof_received(self) -> bool | None:
        with self.history.callback("eof_received"):
            self.ended.set()
            stays: bool | None = self.react("eof_received")
        return stays


class RecordingBufferedProtocol(_Recorded, asyncio.BufferedProtocol):
    """The same for a protocol that hands out its own buffer, of ``size`` bytes, or what ``on["get_buffer"]`` gives."""

    def __init__(
        self,
        history: History | None = None,
        on: Mapping[str, Callable[[Any], Any]] | None = None,
        size: int = 65_536,
    ) -> None:
        super().__init__(history, on)
        self._buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> Any:
        with self.history.callback("get_buffer", sizehint, len(self._buffer)):
            given = self.react("get_buffer")
            self._given = self._buffer if given is None else given
        return self._given

    def buffer_updated(self, nbytes: int) -> None:
        with self.history.callback("buffer_updated", nbytes):
            self.history.received += memoryview(self._given).cast("B")[:nbytes]
            self.react("buffer_updated")

    def eof_received(self) -> bool | None:
        with self.history.callback("eof_received"):
            self.ended.set()
            stays: bool | None = self.react("eof_received")
        return stays


class RecordingDatagramProtocol(_Recorded, asyncio.DatagramProtocol):
    """A datagram protocol that keeps its history; datagrams may be empty."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        with self.history.callback("datagram_received", data, addr):
            self.history.received += data
            self.react("datagram_received")

    def error_received(self, exc: Exception) -> None:
        with self.history.callback("error_received", exc):
            self.react("error_received")


class RecordingSubprocessProtocol(_Recorded, asyncio.SubprocessProtocol):
    """The protocol of a child process that keeps its history. ``ended`` is set by process_exited()."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        with self.history.callback("pipe_data_received", fd, data):
            self.history.received += data
            self.react("pipe_data_received")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        with self.history.callback("pipe_connection_lost", fd, exc):
            self.react("pipe_connection_lost")

    def process_exited(self) -> None:
        with self.history.callback("process_exited"):
            self.ended.set()
            self.react("process_exited")
