"""TimerHandle: when(), order, equality, hash, and how it prints."""

import asyncio
import math
import time

import pytest

from loopproof.authoring import raises, requires


@requires("TIMER-TIMERHANDLE_WHEN-01", "TIMER-CALL_LATER-10")
@pytest.mark.parametrize("delay", [0.25, 3600, 0, -1])
def test_when_lies_the_delay_ahead(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """when() of a timer set by call_later() is a float: loop.time() at the call, plus the delay."""
    before = loop.time()
    timer = loop.call_later(delay, int)
    after = loop.time()
    when = timer.when()
    timer.cancel()
    assert type(when) is float
    step = 0.001 + 1e-6  # clocks may tick in milliseconds
    assert before + delay - step <= when <= after + delay + step, f"{before} + {delay} <= {when} <= {after} + {delay}"


@requires("TIMER-TIMERHANDLE_WHEN-02")
@pytest.mark.parametrize("fate", ["pending", "cancelled", "ran"])
def test_when_stays(loop: asyncio.AbstractEventLoop, fate: str) -> None:
    """when() gives the same time while the timer is pending, after it was cancelled, and after it has run."""
    timer = loop.call_later(0.001 if fate == "ran" else 3600, int)
    when = timer.when()
    if fate == "cancelled":
        timer.cancel()
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    seen = timer.when()
    timer.cancel()
    assert (seen, timer.when()) == (when, when), f"when() was {when}, and {seen} for a timer that {fate}"


@requires("TIMER-TIMERHANDLE_WHEN-02")
def test_when_outlives_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    """when() of a timer that was pending when its loop was closed still tells its time."""
    timer = loop.call_later(3600, int)
    when = timer.when()
    loop.close()
    assert timer.when() == when


@requires("TIMER-TIMERHANDLE_ORDER-01")
def test_handles_compare_by_deadline(loop: asyncio.AbstractEventLoop) -> None:
    """The ordering operators of timer handles compare their deadlines; sorted() puts them in order."""
    now = loop.time()
    late, early = loop.call_at(now + 7200, int), loop.call_at(now + 3600, int)
    try:
        assert early < late
        assert early <= late
        assert late > early
        assert late >= early
        assert not early > late
        assert not early >= late
        assert not late < early
        assert not late <= early
        assert early <= early
        assert early >= early
        assert not early < early
        assert sorted([late, early]) == [early, late]
    finally:
        early.cancel()
        late.cancel()


@requires("TIMER-TIMERHANDLE_ORDER-01")
def test_handles_one_ulp_apart_are_in_order(loop: asyncio.AbstractEventLoop) -> None:
    """The order is that of the exact deadlines."""
    when = loop.time() + 3600
    early, late = loop.call_at(when, int), loop.call_at(math.nextafter(when, math.inf), int)
    early.cancel()
    late.cancel()
    assert early < late
    assert late > early
    assert not late < early


@requires("TIMER-TIMERHANDLE_ORDER-02")
@pytest.mark.parametrize("other", ["number", "None", "string", "Handle"])
def test_handles_have_no_order_with_anything_else(loop: asyncio.AbstractEventLoop, other: str) -> None:
    """Timer handles cannot be ordered with other things, and equal none of them."""
    plain = loop.call_soon(int)
    plain.cancel()
    timer = loop.call_later(3600, int)
    timer.cancel()
    thing = {"number": 1.0, "None": None, "string": "x", "Handle": plain}[other]
    with raises(TypeError):
        timer < thing  # type: ignore[operator]  # noqa: B015
    with raises(TypeError):
        timer <= thing  # type: ignore[operator]  # noqa: B015
    with raises(TypeError):
        timer > thing  # type: ignore[operator]  # noqa: B015
    with raises(TypeError):
        timer >= thing  # type: ignore[operator]  # noqa: B015
    assert not timer == thing  # noqa: SIM201
    assert timer != thing


@requires("TIMER-TIMERHANDLE_ORDER-02")
def test_the_other_operand_is_asked(loop: asyncio.AbstractEventLoop) -> None:
    """An object that knows how to compare itself with anything is asked, as by every well-behaved type."""

    class Any:
        def __eq__(self, other: object) -> bool:
            return True

        def __gt__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    timer = loop.call_later(3600, int)
    timer.cancel()
    assert timer == Any()
    assert timer < Any()


@requires("TIMER-TIMERHANDLE_ORDER-03")
def test_handles_are_hashable_and_distinct(loop: asyncio.AbstractEventLoop) -> None:
    """A timer handle equals itself, timers of different deadlines differ, and all can be kept in sets."""
    now = loop.time()
    timers = [loop.call_at(now + 3600 + number, int) for number in range(20)]
    before = [hash(timer) for timer in timers]
    kept = set(timers)
    assert len(kept) == 20
    assert all(timer in kept for timer in timers)
    assert timers[0] == timers[0]
    assert timers[0] != timers[1]
    for timer in timers:
        timer.cancel()
    assert [hash(timer) for timer in timers] == before, "the hash of a timer handle changed when it was cancelled"
    assert all(timer in kept for timer in timers)


@requires("SCHED-HANDLE_REPR-01")
@pytest.mark.parametrize("delay", [0, 0.001, 3600])
def test_repr_tells_callback_and_cancellation(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """repr() of a timer names the callback, and says so when it is cancelled."""

    def a_callback_with_a_name() -> None:
        """Do nothing."""

    timer = loop.call_later(delay, a_callback_with_a_name)
    text = repr(timer)
    assert "a_callback_with_a_name" in text, f"repr() does not name the callback: {text}"
    assert "cancelled" not in text
    timer.cancel()
    assert "cancelled" in repr(timer), f"repr() of a cancelled timer does not say so: {timer!r}"


@requires("SCHED-HANDLE_REPR-01")
@pytest.mark.parametrize("state", ["pending", "ran", "running", "cancelled"])
def test_repr_never_raises(loop: asyncio.AbstractEventLoop, state: str) -> None:
    """repr() and str() of a timer work in every state, also where the arguments cannot be printed."""

    class Unprintable:
        def __repr__(self) -> str:
            raise ValueError("cannot be printed")

    texts: list[str] = []
    timer: asyncio.TimerHandle = loop.call_later(0.001, lambda _: texts.append(repr(timer)), Unprintable())
    loop.call_later(0.004, loop.stop)
    if state == "cancelled":
        timer.cancel()
    if state in ("ran", "running"):
        loop.run_forever()
    texts += [repr(timer), str(timer)]
    timer.cancel()
    assert all(texts)


@requires("TIMER-CALL_LATER-10")
async def test_time_is_read_at_the_moment_of_the_call(loop: asyncio.AbstractEventLoop) -> None:
    """when() of a timer set at the end of a long callback lies the delay ahead of the end, not of the beginning."""
    start = loop.time()
    time.sleep(0.01)
    timer = loop.call_later(3600, int)
    when = timer.when()
    timer.cancel()
    assert when >= start + 3600 + 0.008, f"the delay counts from {(when - 3600 - start) * 1e3:.1f} ms, not from 10 ms"
