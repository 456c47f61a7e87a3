"""Loops whose timer handles have one bug each."""

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


class _OwnHandles(Base):
    """Makes timer handles of the class ``handle_class``; no bug by itself."""

    handle_class: type[asyncio.TimerHandle] = asyncio.TimerHandle

    def call_at(self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Any:
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()
        timer = self.handle_class(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


@saboteur("TIMER-CALL_LATER-06")
class ComparesCallbacks(_OwnHandles):
    """Orders timers of equal deadlines by their callbacks."""

    class handle_class(asyncio.TimerHandle):
        """Compares like a tuple of deadline and callback."""

        def __lt__(self, other: Any) -> bool:
            return (self._when, self._callback) < (other._when, other._callback)  # type: ignore[no-any-return]


@saboteur("TIMER-TIMERHANDLE_WHEN-01")
class WhenIsRounded(_OwnHandles):
    """Keeps deadlines in milliseconds and tells them so."""

    class handle_class(asyncio.TimerHandle):
        """Rounds."""

        def when(self) -> float:
            return round(self._when, 3)


@saboteur("TIMER-TIMERHANDLE_WHEN-02")
class WhenIsLost(_OwnHandles):
    """Clears the deadline of a handle with everything else when it is cancelled."""

    class handle_class(asyncio.TimerHandle):
        """Forgets."""

        def when(self) -> float:
            return 0.0 if self._cancelled else self._when


@saboteur("TIMER-TIMERHANDLE_CANCEL-01")
class CancelsTheFirstEqual(_OwnHandles):
    """Looks the timer to cancel up by its deadline and callback and so may find another one."""

    class handle_class(asyncio.TimerHandle):
        """Cancels the first timer in the queue that looks like itself."""

        def cancel(self) -> None:
            alike = [timer for timer in self._loop._scheduled if timer == self] if self._callback else []
            asyncio.TimerHandle.cancel(alike[-1] if alike else self)


@saboteur("TIMER-TIMERHANDLE_CANCEL-05")
class TooLateToCancel(_OwnHandles):
    """Cannot cancel a timer any more once it is due, though it has not run."""

    class handle_class(asyncio.TimerHandle):
        """Ignores a late cancel()."""

        def cancel(self) -> None:
            if self._scheduled:
                super().cancel()


@saboteur("TIMER-TIMERHANDLE_CANCEL-03")
class KeepsCancelledTimers(Base):
    """Takes cancelled timers out of the queue only when they come to its head."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do not count."""


@saboteur("TIMER-TIMERHANDLE_CANCEL-04")
class SpinsAfterCancel(Base):
    """After the nearest timer was cancelled keeps waiting for it with a timeout of zero."""

    spinning = False

    def _run_once(self) -> None:
        self.spinning = self.spinning or bool(self._scheduled and self._scheduled[0].cancelled())
        if self.spinning:
            self.call_soon(int)
        super()._run_once()


@saboteur("TIMER-TIMERHANDLE_CANCEL-06")
class CancelKeepsReferences(_OwnHandles):
    """Marks a timer as cancelled and leaves callback and arguments where they are."""

    class handle_class(asyncio.TimerHandle):
        """Keeps what it refers to."""

        def cancel(self) -> None:
            callback, args = self._callback, self._args
            super().cancel()
            self._callback, self._args = callback, args


@saboteur("TIMER-TIMERHANDLE_CANCEL-08")
class ReusesHandles(Base):
    """Uses the handle of a timer that has run again for the next one, whoever still holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.free: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        def run() -> None:
            self.free.append(timer)
            callback(*args)

        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()
        if self.free:
            timer = self.free.pop()
            timer.__init__(when, run, (), self, context)  # type: ignore[misc]
        else:
            timer = asyncio.TimerHandle(when, run, (), self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


@saboteur("TIMER-TIMERHANDLE_ORDER-01")
class ComparesWholeSeconds(_OwnHandles):
    """Compares deadlines as integers, where Python code sees it."""

    class handle_class(asyncio.TimerHandle):
        """Truncates."""

        def __gt__(self, other: Any) -> bool:
            return int(self._when) > int(other._when)


@saboteur("TIMER-TIMERHANDLE_ORDER-03")
class HashChanges(_OwnHandles):
    """Computes the hash of a handle from all its fields."""

    class handle_class(asyncio.TimerHandle):
        """Hashes the state too."""

        def __hash__(self) -> int:
            return hash((self._when, self._cancelled))
