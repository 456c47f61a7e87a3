"""Timers run in the order of their deadlines: many, close together, in the past, and all due at once."""

import asyncio
import math
import random
import time
from collections.abc import Callable

import pytest

from loopproof.authoring import requires


def first_disorder(deadlines: list[float]) -> str:
    """Name the first pair that is out of order, or nothing."""
    for position in range(1, len(deadlines)):
        if deadlines[position] < deadlines[position - 1]:
            late, early = deadlines[position - 1], deadlines[position]
            return f"call {position}: the timer for {early!r} ran after that for {late!r} ({(late - early) * 1e3} ms)"
    return ""


def set_together(set_all: Callable[[], list[asyncio.TimerHandle]], within: float) -> None:
    """Set timers; if that took longer than ``within`` seconds, on a busy machine, cancel them and try again."""
    while True:
        start = time.monotonic()
        timers = set_all()
        if time.monotonic() - start < within:
            return
        for timer in timers:
            timer.cancel()


@requires("TIMER-CALL_LATER-05")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_the_order_is_not_that_of_registration(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """Timers run by deadline whether registered in ascending, descending or mixed order."""
    order: list[int] = []
    done = loop.create_future()

    def set_all() -> list[asyncio.TimerHandle]:
        if method == "call_later":
            return [loop.call_later(ms / 1e3, order.append, ms) for ms in (8, 2, 6, 4, 10, 1, 3)]
        start = loop.time()
        return [loop.call_at(start + ms / 1e3, order.append, ms) for ms in (8, 2, 6, 4, 10, 1, 3)]

    set_together(set_all, 0.001)
    loop.call_later(0.012, done.set_result, None)
    await done
    assert order == sorted(order), f"timers for 1, 2, 3, 4, 6, 8 and 10 ms ran in the order {order}"
    assert len(order) == 7


@requires("TIMER-CALL_LATER-05")
async def test_call_later_and_call_at_share_one_order(loop: asyncio.AbstractEventLoop) -> None:
    """Timers set by call_later() and by call_at() are ordered among each other."""
    order: list[str] = []
    done = loop.create_future()
    set_together(
        lambda: [
            loop.call_at(loop.time() + 0.006, order.append, "call_at 6 ms"),
            loop.call_later(0.004, order.append, "call_later 4 ms"),
            loop.call_at(loop.time() + 0.002, order.append, "call_at 2 ms"),
        ],
        0.001,
    )
    loop.call_later(0.008, done.set_result, None)
    await done
    assert order == ["call_at 2 ms", "call_later 4 ms", "call_at 6 ms"]


@requires("TIMER-CALL_LATER-05")
def test_many_timers_in_random_order(loop: asyncio.AbstractEventLoop) -> None:
    """20,000 timers for 40 different milliseconds, a tenth of them cancelled, run once each in the order of times."""
    chance = random.Random(20_000)
    places = [chance.randrange(40) for _ in range(20_000)]
    ahead = 0.15
    while True:  # until all were set before the first was due
        fired: list[float] = []
        base = loop.time() + ahead
        whens = [base + place / 1e3 for place in places]
        timers = [loop.call_at(when, fired.append, when) for when in whens]
        cancelled = chance.sample(range(20_000), 2000)
        for number in cancelled:
            timers[number].cancel()
        if loop.time() < base:
            break
        for timer in timers:
            timer.cancel()
        ahead *= 2
    loop.call_at(base + 0.045, loop.stop)
    loop.run_forever()
    assert not first_disorder(fired), first_disorder(fired)
    left = sorted(set(range(20_000)) - set(cancelled), key=whens.__getitem__)
    assert fired == [whens[number] for number in left], f"{len(left)} timers were to run, {len(fired)} ran"


@requires("TIMER-CALL_LATER-05")
async def test_all_that_fell_due_during_a_long_callback(loop: asyncio.AbstractEventLoop) -> None:
    """Timers that fell due one after the other while a callback ran are caught up with in the order of deadlines."""
    order: list[int] = []
    done = loop.create_future()
    set_together(lambda: [loop.call_later(ms / 1e3, order.append, ms) for ms in (5, 1, 3, 2, 4)], 0.001)
    loop.call_later(0.006, done.set_result, None)
    time.sleep(0.01)
    await done
    assert order == [1, 2, 3, 4, 5]


@requires("TIMER-CALL_LATER-05")
async def test_an_earlier_timer_set_while_waiting_for_a_later_one(loop: asyncio.AbstractEventLoop) -> None:
    """Each new timer that is nearer than all others is noticed, though the loop has already waited for another."""
    order: list[str] = []
    done = loop.create_future()
    loop.call_later(7200, order.append, "cancelled").cancel()
    timers = []
    for seconds in (7200, 3600, 1800, 900):
        timers.append(loop.call_later(seconds, order.append, "distant"))
        await asyncio.sleep(0)
        loop.call_later(0.001, order.append, "near")
        await asyncio.sleep(0.0015)
    loop.call_later(0.002, done.set_result, None)
    await done
    for timer in timers:
        timer.cancel()
    assert order == ["near"] * 4


@requires("TIMER-CALL_AT-07")
@pytest.mark.parametrize(
    ("direction", "gap"), [("ahead", "0.3 ms"), ("ahead", "10 us"), ("ahead", "1 ulp"), ("past", "1 ulp")]
)
def test_close_deadlines(loop: asyncio.AbstractEventLoop, direction: str, gap: str) -> None:
    """Deadlines that differ by less than a millisecond, down to one unit in the last place, keep their order."""
    sizes = {"0.3 ms": 3e-4, "10 us": 1e-5, "1 ulp": 0.0}
    fired: list[float] = []
    deadlines: list[float] = []

    def set_all() -> list[asyncio.TimerHandle]:
        deadlines.clear()
        when = loop.time() + (0.004 if direction == "ahead" else -0.02)
        for _ in range(40 if gap != "0.3 ms" else 10):
            when = when + sizes[gap] if sizes[gap] else math.nextafter(when, math.inf)
            deadlines.append(when)
        shuffled = random.Random(gap).sample(deadlines, len(deadlines))
        return [loop.call_at(deadline, fired.append, deadline) for deadline in shuffled]

    set_together(set_all, 0.003)
    loop.call_later(0.012, loop.stop)
    loop.run_forever()
    assert not first_disorder(fired), first_disorder(fired)
    assert len(fired) == len(deadlines), f"{len(deadlines)} timers were set, {len(fired)} ran"


@requires("TIMER-CALL_AT-08")
def test_deadlines_in_the_past(loop: asyncio.AbstractEventLoop) -> None:
    """Timers set for different times that are past already run in the order of those times."""
    order: list[int] = []
    now = loop.time()
    for ago in (1, 1000, 10, 0, 100, 1_000_000):
        loop.call_at(now - ago, order.append, ago)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert order == [1_000_000, 1000, 100, 10, 1, 0], f"timers due so many seconds ago ran in the order {order}"


@requires("TIMER-CALL_AT-08")
def test_negative_delays(loop: asyncio.AbstractEventLoop) -> None:
    """A more negative delay is an earlier deadline."""
    order: list[int] = []
    for delay in (-1, -3, 0, -2):
        loop.call_later(delay, order.append, delay)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert order == [-3, -2, -1, 0], f"timers with these delays ran in the order {order}"


@requires("TIMER-CALL_AT-08")
def test_a_timer_that_is_overdue_goes_before_one_set_for_now(loop: asyncio.AbstractEventLoop) -> None:
    """A timer that fell due before the loop ran goes before one that is set later for the very moment."""
    order: list[str] = []
    loop.call_later(0.001, order.append, "due at 1 ms")
    time.sleep(0.003)
    loop.call_later(0, order.append, "set at 3 ms without delay")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert order == ["due at 1 ms", "set at 3 ms without delay"]


@requires("TIMER-CALL_LATER-06")
@pytest.mark.parametrize("ahead", [0.002, 0.0, -1.0])
def test_equal_deadlines(loop: asyncio.AbstractEventLoop, ahead: float) -> None:
    """Timers for exactly the same time all run, once each, in whatever order."""
    fired: list[int] = []
    when = loop.time() + ahead
    for number in range(50):
        loop.call_at(when, fired.append, number)
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert sorted(fired) == list(range(50))


@requires("TIMER-CALL_LATER-06")
def test_equal_deadlines_of_callbacks_that_cannot_be_compared(loop: asyncio.AbstractEventLoop) -> None:
    """Timers for the same time are never ordered by what they call or pass, which may refuse to be compared."""

    class Incomparable:
        def __call__(self, *_: object) -> None:
            fired.append(self)

        def __eq__(self, other: object) -> bool:
            raise AssertionError("a loop has no business in comparing callbacks or arguments")

        __hash__ = None  # type: ignore[assignment]
        __lt__ = __gt__ = __le__ = __ge__ = __eq__

    fired: list[Incomparable] = []
    when = loop.time() + 0.001
    for _ in range(20):
        loop.call_at(when, Incomparable(), Incomparable())
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert len(fired) == 20
