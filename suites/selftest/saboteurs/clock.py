"""Loops whose clock has one bug each."""

import asyncio
import time
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


class _Cached(Base):
    """Reads the clock once an iteration."""

    now = 0.0

    def _run_once(self) -> None:
        self.now = time.monotonic()
        super()._run_once()


@saboteur("TIMER-TIME-05")
class CachesTheClock(_Cached):
    """time() tells when the iteration began."""

    def time(self) -> float:
        return self.now if self.is_running() else super().time()


@saboteur("TIMER-CALL_LATER-10")
class CountsFromTheIteration(_Cached):
    """Delays count from the beginning of the iteration."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if delay is None:
            raise TypeError("delay must not be None")
        start = self.now if self.is_running() else self.time()
        return self.call_at(start + delay, callback, *args, context=context)


@saboteur("TIMER-TIME-01")
class ClockJumpsBack(Base):
    """Reads a clock of which two copies differ by some microseconds."""

    reads = 0

    def time(self) -> float:
        self.reads += 1
        return super().time() - 2e-5 * (self.reads % 5 == 0)


@saboteur("TIMER-TIME-02")
class ClockRunsFast(Base):
    """Scales the ticks of the clock by the wrong factor."""

    def time(self) -> float:
        return super().time() * 2


@saboteur("TIMER-TIME-04")
class ClockStopsWithTheLoop(_Cached):
    """Outside of a run time() tells the end of the last one."""

    def time(self) -> float:
        return super().time() if self.is_running() or not self.now else self.now
