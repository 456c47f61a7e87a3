"""A buffered protocol whose buffers are guarded: a loop that writes too far or too late, or keeps one, is caught."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..faultkit import GuardedBuffer
from .history import History, RecordingBufferedProtocol

_KEPT = 64
"""So many of the latest buffers live on, so that a late access to one of them is a crash that names it."""


@dataclass(frozen=True)
class Supply:
    """How a protocol supplies buffers of ``size`` bytes.

    ``fresh``: a new one for each get_buffer(), else always the same. ``revoked``: each is taken away at the end of
    buffer_updated(), so that a loop that still uses it crashes; it has to be fresh.
    """

    size: int = 65_536
    fresh: bool = True
    revoked: bool = False

    def __post_init__(self) -> None:
        if self.revoked and not self.fresh:
            raise ValueError("a buffer that is revoked cannot be handed out again")


SUPPLIES = {
    "fresh": Supply(),
    "same": Supply(fresh=False),
    "one byte": Supply(size=1),
    "large": Supply(size=1 << 20),
    "revoked": Supply(revoked=True),
}
"""The manners of supply that a loop has to cope with, by name: for parametrized cases."""


class BufferHistory(History):
    """A history that also tells what the loop did to the guarded buffers, beyond what is a crash."""

    def __init__(self, ends: bool = True) -> None:
        super().__init__(ends)
        self._kept: deque[GuardedBuffer] = deque()
        self._found: list[str] = []
        self._made = 0

    def make(self, size: int) -> GuardedBuffer:
        """Return a new buffer for get_buffer(); reports name it by its number."""
        if len(self._kept) == _KEPT:
            self._found += self._exports(self._kept.popleft())
        self._made += 1
        buffer = GuardedBuffer(size, name=f"get_buffer() {self._made}")
        self._kept.append(buffer)
        return buffer

    def inspect(self, buffer: GuardedBuffer) -> None:
        """Note what was written around the data of a buffer."""
        try:
            buffer.check()
        except AssertionError as error:
            self._found.append(str(error))

    def violations(self) -> list[str]:
        """Return what in this history no loop may do, one line each; once the connection is lost also what it keeps."""
        lost = "connection_lost" in self.names
        kept = [line for buffer in self._kept for line in self._exports(buffer)] if lost else []
        return [*super().violations(), *self._found, *kept]

    def _exports(self, buffer: GuardedBuffer) -> Iterator[str]:
        if buffer.exports:
            yield f"the loop keeps {buffer.exports} exports of {buffer.name!r}: {'; '.join(buffer.exported_by)}"


class GuardedBufferedProtocol(RecordingBufferedProtocol):
    """A buffered protocol that hands out guarded buffers, in the manner of its ``supply``, and keeps its history."""

    history: BufferHistory

    def __init__(self, supply: Supply | None = None, history: BufferHistory | None = None) -> None:
        super().__init__(history or BufferHistory(), size=0)
        self._supply = supply or Supply()
        self._guarded: GuardedBuffer | None = None

    def get_buffer(self, sizehint: int) -> GuardedBuffer:
        """Hand out the next buffer."""
        if self._guarded is None or self._supply.fresh:
            self._guarded = self.history.make(self._supply.size)
        with self.history.callback("get_buffer", sizehint, len(self._guarded)):
            return self._guarded

    def buffer_updated(self, nbytes: int) -> None:
        """Take over what has arrived; inspect the buffer, and revoke it if that is the manner of supply."""
        with self.history.callback("buffer_updated", nbytes):
            buffer = self._guarded
            if buffer is None or buffer.released:
                return  # the history tells that there was no get_buffer()
            self.history.received += buffer[:nbytes]
            self.history.inspect(buffer)
            if self._supply.revoked:
                buffer.revoke()
