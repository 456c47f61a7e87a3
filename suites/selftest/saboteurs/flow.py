"""Saboteurs of flow control: transports that pause, resume and count wrongly."""

from typing import Any

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-01", "deviation")
class PausesAtTheMark(Transports):
    """Takes the high mark itself for above it."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            self._high_water -= 1
            super()._maybe_pause_protocol()
            self._high_water += 1


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-04")
class PausesLater(Transports):
    """Calls pause_writing() in the next iteration."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            self._loop.call_soon(super()._maybe_pause_protocol)


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-03")
class PausesAgain(Transports):
    """Calls pause_writing() for every write above the mark."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            self._protocol_paused = False
            super()._maybe_pause_protocol()


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-02")
class ResumesAtTheHighMark(Transports):
    """Does not wait for the low mark."""

    class transport(SocketTransport):
        def _maybe_resume_protocol(self) -> None:
            low, self._low_water = self._low_water, self._high_water
            super()._maybe_resume_protocol()
            self._low_water = low


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-02")
class ResumesAfterAnySend(Transports):
    """Resumes as soon as something was sent."""

    class transport(SocketTransport):
        def _maybe_resume_protocol(self) -> None:
            low, self._low_water = self._low_water, 2**60
            super()._maybe_resume_protocol()
            self._low_water = low


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-07")
class ResumesBelowTheMarkOnly(Transports):
    """Takes the low mark itself for above it, and so never resumes with a mark of 0."""

    class transport(SocketTransport):
        def _maybe_resume_protocol(self) -> None:
            if self.get_write_buffer_size() < self._low_water:
                super()._maybe_resume_protocol()


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-09")
class LowMarkInKibibytes(Transports):
    """Has a low mark of 16 bytes where 16 KiB are meant."""

    class transport(SocketTransport):
        def _set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            super()._set_write_buffer_limits(high, 16 if high is low is None else low)


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-08")
class LowMarkIsHalf(Transports):
    """Derives the low mark as half of the high one."""

    class transport(SocketTransport):
        def _set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            super()._set_write_buffer_limits(high, high // 2 if high and low is None else low)


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-05")
class TakesNegativeMarks(Transports):
    """Takes what is below zero for zero."""

    class transport(SocketTransport):
        def _set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            super()._set_write_buffer_limits(high and max(high, 0), low and max(low, 0))


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-05")
class ChangesMarksBeforeItRefuses(Transports):
    """Stores the marks, and then finds them wrong."""

    class transport(SocketTransport):
        def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            try:
                super().set_write_buffer_limits(high, low)
            except ValueError:
                self._high_water = high
                raise


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-10")
class ForgetsToPauseAtNewMarks(Transports):
    """Looks at new marks with the next write only."""

    class transport(SocketTransport):
        def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            self._set_write_buffer_limits(high, low)


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-11")
class ResumesAtNewMarks(Transports):
    """Calls resume_writing() from set_write_buffer_limits()."""

    class transport(SocketTransport):
        def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            super().set_write_buffer_limits(high, low)
            self._maybe_resume_protocol()


@saboteur("FLOW-GET_WRITE_BUFFER_LIMITS-01")
class MarksTheOtherWayRound(Transports):
    """Returns (high, low)."""

    class transport(SocketTransport):
        def get_write_buffer_limits(self) -> tuple[int, int]:
            return self._high_water, self._low_water


@saboteur("FLOW-GET_WRITE_BUFFER_SIZE-01")
class CountsItems(Transports):
    """Counts the items of a memoryview instead of its bytes."""

    class transport(SocketTransport):
        items = 0

        def write(self, data: Any) -> None:
            if self._buffer and isinstance(data, memoryview):
                self.items += data.nbytes - len(data)
            super().write(data)

        def get_write_buffer_size(self) -> int:
            return super().get_write_buffer_size() - self.items


@saboteur("FLOW-GET_WRITE_BUFFER_SIZE-01")
class CountsWhatWasAborted(Transports):
    """Still tells the size of what an abort has thrown away."""

    class transport(SocketTransport):
        lost = 0

        def abort(self) -> None:
            self.lost = super().get_write_buffer_size()
            super().abort()

        def get_write_buffer_size(self) -> int:
            return super().get_write_buffer_size() + self.lost


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-12")
class ResumesWhatIsLost(Transports):
    """Resumes a protocol whose connection is aborted."""

    class transport(SocketTransport):
        def abort(self) -> None:
            super().abort()
            self._maybe_resume_protocol()


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-13")
class LetsErrorsOut(Transports):
    """Lets an error of pause_writing() out of write()."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            if self.get_write_buffer_size() > self._high_water and not self._protocol_paused:
                self._protocol_paused = True
                self._protocol.pause_writing()


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-13")
class DiesOfErrors(Transports):
    """Takes an error of resume_writing() for one of the connection."""

    class transport(SocketTransport):
        def _maybe_resume_protocol(self) -> None:
            if self._protocol_paused and self.get_write_buffer_size() <= self._low_water:
                self._protocol_paused = False
                try:
                    self._protocol.resume_writing()
                except Exception as error:
                    self._fatal_error(error)
