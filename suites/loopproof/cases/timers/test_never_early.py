"""No timer runs before its time: lower bounds by loop.time() and by the real clock, in all states of the loop."""

import asyncio
import time

import pytest

from loopproof.authoring import Background, requires

DELAYS = (0.0101, 0.0007, 0.0049, 0.0015, 0.0003, 0.0025, 0.00999, 0.0011, 0.0001, 0.0072)


def step_of(loop: asyncio.AbstractEventLoop) -> float:
    """The resolution of loop.time(): the least of three steps; a clock that stands still for 50 ms has none."""
    steps: list[float] = []
    limit = time.monotonic() + 0.05
    last = loop.time()
    while len(steps) < 3 and time.monotonic() < limit:
        now = loop.time()
        if now != last:
            steps.append(now - last)
            last = now
    return max(min(steps, default=0.0), time.get_clock_info("monotonic").resolution) + 1e-8


class Watch:
    """Sets timers and notes for each when it was due and when it ran, by loop.time() and by the real clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.early: list[str] = []
        self.left = 0
        self.done = loop.create_future()
        self.allowed = step_of(loop)

    def start(self, method: str, delay: float) -> None:
        """Set a timer ``delay`` seconds ahead."""
        self.left += 1
        real, due = time.monotonic() + delay, self.loop.time() + delay
        if method == "call_later":
            self.loop.call_later(delay, self.fired, delay, due, real)
        else:
            self.loop.call_at(due, self.fired, delay, due, real)

    def fired(self, delay: float, due: float, real: float) -> None:
        """A timer runs."""
        now, clock = self.loop.time(), time.monotonic()
        if now < due - self.allowed:
            self.early.append(f"a delay of {delay * 1e3:.2f} ms ended {(due - now) * 1e3:.3f} ms early by loop.time()")
        if clock < real - 2 * self.allowed:  # one step each when it was set and when it ran
            self.early.append(f"a delay of {delay * 1e3:.2f} ms ended {(real - clock) * 1e3:.3f} ms early in real time")
        self.left -= 1
        if not self.left:
            self.done.set_result(None)

    async def finish(self) -> None:
        """Wait for all timers; none may have been early."""
        await self.done
        assert not self.early, f"early by more than the clock resolves, {self.allowed * 1e3:.4f} ms: {self.early}"


@requires("TIMER-CALL_LATER-01", "TIMER-CALL_AT-01", "TIMER-CALL_AT-05")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_while_the_loop_waits(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """Timers of a loop that has nothing else to do are not early."""
    watch = Watch(loop)
    for delay in DELAYS:
        watch.start(method, delay)
    await watch.finish()


@requires("TIMER-CALL_LATER-01", "TIMER-CALL_AT-01")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_while_the_loop_is_busy(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """Timers of a loop that never waits because callbacks are always ready are not early."""
    watch = Watch(loop)
    for delay in DELAYS[:6]:
        watch.start(method, delay)
    while not watch.done.done():
        await asyncio.sleep(0)
    await watch.finish()


@requires("TIMER-CALL_LATER-01", "TIMER-CALL_LATER-10")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_set_at_the_end_of_a_long_callback(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A delay counts from the moment of the call, also where the callback that makes it has run for long."""
    watch = Watch(loop)
    time.sleep(0.012)
    for delay in DELAYS:
        watch.start(method, delay)
    await watch.finish()


@requires("TIMER-CALL_LATER-01", "TIMER-CALL_LATER-10")
def test_set_before_a_run_long_after_the_loop_was_made(loop: asyncio.AbstractEventLoop) -> None:
    """A delay counts from the moment of the call, also on a loop that has not looked at its clock for a while."""
    loop.call_soon(loop.stop)
    loop.run_forever()
    watch = Watch(loop)
    time.sleep(0.012)
    for delay in DELAYS:
        watch.start("call_later", delay)
    loop.run_until_complete(watch.finish())


@requires("TIMER-CALL_LATER-01", "TIMER-CALL_LATER-10")
async def test_set_by_a_callback_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """A delay counts from the moment of the call, also where the loop had waited for a while and a thread woke it."""
    watch = Watch(loop)

    def set_all() -> None:
        for delay in DELAYS:
            watch.start("call_later", delay)

    def wake() -> None:
        time.sleep(0.012)
        loop.call_soon_threadsafe(set_all)

    with Background(wake):
        await watch.finish()


@requires("TIMER-CALL_LATER-01")
async def test_after_the_timer_before_was_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """Cancelling the nearest timer does not make the next one early."""
    watch = Watch(loop)
    for delay in DELAYS:
        nearer = [loop.call_later(delay * share, int) for share in (0.1, 0.5, 0.9)]
        watch.start("call_later", delay)
        for timer in nearer:
            timer.cancel()
    await watch.finish()


@requires("TIMER-CALL_LATER-18")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_fractions_of_a_millisecond_are_waited_for(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A delay is not rounded down to milliseconds: in real time it is waited for to the resolution of the clock."""
    early: list[str] = []
    for delay in (0.0001, 0.0003, 0.00049, 0.0009, 0.0014) * 4:
        fired = loop.create_future()
        start = time.monotonic()
        if method == "call_later":
            loop.call_later(delay, fired.set_result, None)
        else:
            loop.call_at(loop.time() + delay, fired.set_result, None)
        await fired
        waited = time.monotonic() - start
        if waited < delay - time.get_clock_info("monotonic").resolution - 1e-8:
            early.append(f"{delay * 1e3} ms ended after {waited * 1e3:.3f} ms")
    assert not early, f"too early: {early}"
