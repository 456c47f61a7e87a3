"""Which numbers are times: very large ones, infinities, NaN, subclasses, other kinds of numbers, no numbers."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest

from loopproof.authoring import Background, raises, requires

Run = Callable[[], None]


class Level(IntEnum):
    """Numbers of a subclass of int."""

    NONE = 0
    HOUR = 3600


class Seconds(float):
    """A float of a subclass, as numbers of numerical packages are."""


class Duration:
    """No number itself, but float() makes one of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __float__(self) -> float:
        return self.seconds


class Index:
    """No number itself, but usable as an index."""

    def __index__(self) -> int:
        return 0


NUMBERS: dict[str, tuple[object, object]] = {  # name: one that is due soon, one that is not
    "bool": (False, True),
    "IntEnum": (Level.NONE, Level.HOUR),
    "float subclass": (Seconds(0.001), Seconds(3600)),
    "Fraction": (Fraction(1, 1000), Fraction(3600)),
    "Decimal": (Decimal("0.001"), Decimal(3600)),
    "object with __float__": (Duration(0.001), Duration(3600)),
    "object with __index__": (Index(), Index()),
    "complex": (0.001 + 0j, 3600 + 0j),
    "huge int": (-(10**400), 10**400),
    "NaN": (float("nan"), float("nan")),
}

NO_NUMBERS: dict[str, object] = {
    "str": "0.001",
    "bytes": b"1",
    "list": [0],
    "tuple": (0,),
    "dict": {},
    "object": object(),
    "callable": int,
}


def run_for(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Let the loop wait for its timers that long; a thread ends the run, so that no timer of ours is the nearest."""

    def end() -> None:
        time.sleep(seconds)
        loop.call_soon_threadsafe(loop.stop)

    with Background(end):
        loop.run_forever()


@requires("TIMER-CALL_LATER-08", "TIMER-CALL_LATER-13")
@pytest.mark.parametrize(
    "delay",
    [
        86_401.0,  # more than a day
        2**31 / 1e3 + 1,  # milliseconds in a signed and in an unsigned 32-bit int
        2**32 / 1e3 + 0.5,
        2.0**31 + 0.5,  # seconds in the same
        2.0**32 + 0.5,
        1e9,
        2**63 / 1e9 + 1,  # nanoseconds in a signed and in an unsigned 64-bit int
        2**64 / 1e9 + 1,
        2**63 / 1e6 + 1,  # microseconds
        2**64 / 1e6 + 1,
        2**63 / 1e3 + 1,  # milliseconds
        2**64 / 1e3 + 1,
        1e18,
        2**63,
        2**64 + 5000,
    ],
)
def test_a_distant_timer_waits(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A delay of days to ages neither raises nor runs at once, and a loop that has no other timers waits for it."""
    fired: list[str] = []
    timers = [
        loop.call_later(delay, fired.append, "call_later"),
        loop.call_at(loop.time() + delay, fired.append, "call_at"),
    ]
    run_for(loop, 0.001)
    for timer in timers:
        timer.cancel()
    assert not fired, f"timers {delay:.0f} seconds ahead ran within milliseconds: {fired}"


@requires("TIMER-CALL_LATER-16")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("when", [float("inf"), 1.7976931348623157e308, 1e300])
def test_a_timer_that_is_never_due(loop: asyncio.AbstractEventLoop, method: str, when: float) -> None:
    """With an infinite delay, or one at the end of the range, the timer is taken and never runs; others do."""
    order: list[str] = []
    timer = getattr(loop, method)(when, order.append, "never")
    run_for(loop, 0.001)
    loop.call_later(0.001, order.append, "soon")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    timer.cancel()
    assert order == ["soon"], f"{method}({when}) beside a timer for 1 ms: these ran: {order}"


@requires("TIMER-CALL_LATER-16")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("when", [float("-inf"), -1.7976931348623157e308])
def test_a_timer_that_was_always_due(loop: asyncio.AbstractEventLoop, method: str, when: float) -> None:
    """A time or delay of minus infinity, or at that end of the range, is due at once."""
    order: list[str] = []
    getattr(loop, method)(when, order.append, "always due")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert order == ["always due"]


@requires("TIMER-CALL_LATER-15")
@pytest.mark.parametrize("kind", ["bool", "IntEnum", "float subclass"])
async def test_subclasses_of_int_and_float(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """A delay of a subclass of int or float counts by its value."""
    soon, late = NUMBERS[kind]
    fired = loop.create_future()
    not_yet: list[str] = []
    distant = loop.call_later(late, not_yet.append, "fired")  # type: ignore[arg-type]
    loop.call_later(soon, fired.set_result, "fired")  # type: ignore[arg-type]
    await fired
    distant.cancel()
    assert not not_yet, f"the delay {late!r} was over within milliseconds"


@requires("TIMER-CALL_LATER-15")
async def test_times_of_a_subclass_of_float(loop: asyncio.AbstractEventLoop) -> None:
    """A time of a subclass of float counts by its value."""
    fired = loop.create_future()
    loop.call_at(Seconds(loop.time() + 0.001), fired.set_result, "fired")
    assert await fired == "fired"


@requires("TIMER-CALL_LATER-17")
@pytest.mark.parametrize("kind", sorted(NO_NUMBERS))
def test_what_is_no_number_is_refused(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """A delay that is no number raises TypeError, schedules nothing, and leaves the loop as it was."""
    order: list[str] = []
    with raises(TypeError):
        loop.call_later(NO_NUMBERS[kind], order.append, "refused")  # type: ignore[arg-type]
    loop.call_later(0.001, order.append, "other")
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert order == ["other"]


@requires("TIMER-CALL_LATER-20")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize(
    "kind", ["Fraction", "Decimal", "object with __float__", "object with __index__", "complex", "huge int", "NaN"]
)
def test_other_numbers_are_refused_or_taken(loop: asyncio.AbstractEventLoop, method: str, kind: str) -> None:
    """Other numbers are refused with TypeError, ValueError or OverflowError, by the call or by the run, or taken."""
    refusals = (TypeError, ValueError, OverflowError)
    for number in NUMBERS[kind]:
        timer = None
        try:
            timer = getattr(loop, method)(number, int)
            loop.call_later(0.001, loop.stop)
            loop.run_forever()
        except refusals:
            loop.close()
            return
        if timer is not None:
            timer.cancel()
