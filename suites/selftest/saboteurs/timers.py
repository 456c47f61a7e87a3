"""Loops with one bug each in how they take, order and run timers."""

import asyncio
import heapq
import math
from collections import deque
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


@saboteur("TIMER-CALL_AT-07")
class RoundsDeadlines(Base):
    """Rounds deadlines to milliseconds."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(round(when, 3) if when is not None else when, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-18")
class RoundsDelaysDown(Base):
    """Waits for whole milliseconds only and leaves out the rest."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if isinstance(delay, float) and abs(delay) < 1e9:
            delay = math.floor(delay * 1e3) / 1e3
        return super().call_later(delay, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-01")
class RunsTimersEarly(Base):
    """Runs the timers of the next two milliseconds together."""

    def __init__(self) -> None:
        super().__init__()
        self._clock_resolution = 0.002


@saboteur("TIMER-CALL_LATER-01")
class RunsTimersTwice(Base):
    """Runs each timer with a short delay a second time."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = super().call_later(delay, callback, *args, context=context)
        if 0 < delay < 0.001:
            super().call_later(delay, callback, *args, context=context)
        return timer


@saboteur("TIMER-CALL_LATER-03")
class NoDelayIsCallSoon(Base):
    """Takes a delay of zero for call_soon() and returns its handle."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if delay is not None and delay <= 0:
            return self.call_soon(callback, *args, context=context)
        return super().call_later(delay, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-04")
class NoDelayRunsAtOnce(Base):
    """Calls the callback of a timer without delay synchronously."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if delay is not None and delay <= 0 and self.is_running():
            callback(*args)
            callback, args = int, ()
        return super().call_later(delay, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-16")
class InfinityIsZero(Base):
    """Converts an infinite time to an integer that comes out as zero."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if isinstance(when, float) and when > 1e300:
            when = 0.0
        return super().call_at(when, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-08")
class ThirtyTwoBitDelays(Base):
    """Keeps delays as milliseconds in a signed 32-bit integer."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if isinstance(delay, int | float) and 1 < delay < 1e18:
            delay = ((int(delay * 1000) + 2**31) % 2**32 - 2**31) / 1000
        return super().call_later(delay, callback, *args, context=context)


@saboteur("TIMER-CALL_AT-08")
class PastIsNow(Base):
    """Takes each time in the past for the moment of the call."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if isinstance(when, int | float) and when < self.time():
            when = self.time()
        return super().call_at(when, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-05")
class AppendsTimers(Base):
    """Appends to the queue of timers without restoring its order."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = super().call_at(when, callback, *args, context=context)
        self._scheduled.remove(timer)
        self._scheduled.append(timer)
        return timer


@saboteur("TIMER-CALL_LATER-07")
class ForgetsOverdueTimers(Base):
    """Throws away timers whose time passed while the loop did not run."""

    def run_forever(self) -> None:
        self._scheduled = [timer for timer in self._scheduled if timer.when() > self.time() - 0.001]
        heapq.heapify(self._scheduled)
        super().run_forever()


@saboteur("TIMER-CALL_LATER-09")
class NoneIsNoDelay(Base):
    """Takes a delay of None for zero."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_later(delay or 0, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-11")
class IgnoresContext(Base):
    """Forgets to hand on the context of timers."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, callback, *args)


@saboteur("TIMER-CALL_LATER-14")
class EightArguments(Base):
    """Has room for eight arguments of a callback."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, callback, *args[:8], context=context)


@saboteur("TIMER-CALL_LATER-15")
class ExactTypesOnly(Base):
    """Takes delays of exactly int and float only."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if type(delay) not in (int, float):
            raise TypeError("int or float expected")
        return super().call_later(delay, callback, *args, context=context)


@saboteur("TIMER-CALL_LATER-12")
class JumpsTheQueue(Base):
    """Puts a timer that is due already before the callbacks that are ready."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = super().call_at(when, callback, *args, context=context)
        if isinstance(when, int | float) and when <= self.time() and self.is_running():
            self._scheduled.remove(timer)
            heapq.heapify(self._scheduled)
            timer._scheduled = False
            self._ready.appendleft(timer)
        return timer


@saboteur("TIMER-CALL_LATER-19")
class RunsWhatTimersSet(Base):
    """After a batch goes on with the timers that have become due meanwhile, until there are none."""

    def _run_once(self) -> None:
        super()._run_once()
        for _ in range(5000):
            if not self._scheduled or self._scheduled[0].when() > self.time():
                break
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False
            if not timer.cancelled():
                timer._run()


@saboteur("TIMER-CALL_LATER-21")
class RemembersTimers(Base):
    """Keeps the timers of the past for statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[asyncio.TimerHandle] = deque(maxlen=16)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = super().call_at(when, callback, *args, context=context)
        self.recent.append(timer)
        return timer


@saboteur("TIMER-CALL_LATER-22")
class KeepsTimersWhenClosed(Base):
    """close() leaves the timers in a queue that nobody looks at."""

    def close(self) -> None:
        left = list(self._scheduled)
        super().close()
        self.left = left


@saboteur("TIMER-CALL_LATER-23")
class AnErrorEndsTheBatch(Base):
    """When a callback fails, what was due with it is dropped."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        for handle in [handle for handle in self._ready if isinstance(handle, asyncio.TimerHandle)]:
            self._ready.remove(handle)
        super().call_exception_handler(context)


@saboteur("TIMER-CALL_LATER-23")
class AnInterruptEmptiesTheQueue(Base):
    """When an interrupt leaves the run, what was due with it is dropped."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except (KeyboardInterrupt, SystemExit):
            self._ready.clear()
            raise
