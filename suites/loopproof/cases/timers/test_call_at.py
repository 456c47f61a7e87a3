"""call_at: the callback runs when loop.time() has reached the given value; times that are past."""

import asyncio
import math
import time

import pytest

from loopproof.authoring import requires


@requires("TIMER-CALL_AT-01")
@pytest.mark.parametrize("ahead", [0.0005, 0.001, 0.003, 0.0])
async def test_runs_at_the_given_time(loop: asyncio.AbstractEventLoop, ahead: float) -> None:
    """A timer set ahead of loop.time() runs."""
    fired = loop.create_future()
    loop.call_at(loop.time() + ahead, fired.set_result, "fired")
    assert await fired == "fired"


@requires("TIMER-CALL_AT-01")
@pytest.mark.parametrize("behind", [1e-9, 1e-6, 0.001, 1, 1e6, 1e300])
async def test_a_time_in_the_past_is_due_at_once(loop: asyncio.AbstractEventLoop, behind: float) -> None:
    """A timer set before loop.time() runs within the next iterations, not synchronously."""
    fired: list[str] = []
    loop.call_at(loop.time() - behind, fired.append, "fired")
    assert not fired, "call_at() called the callback before it returned"
    for _ in range(3):
        await asyncio.sleep(0)
    assert fired == ["fired"], f"a timer due {behind} seconds ago had not run after three iterations"


@requires("TIMER-CALL_AT-01")
@pytest.mark.parametrize("when", [0, 0.0, -0.0, -1, -(10**9), -1e300, 1e-308, 5e-324])
async def test_zero_and_negative_times_are_in_the_past(loop: asyncio.AbstractEventLoop, when: float) -> None:
    """Times at or before the zero of the clock are in the past, wherever the loop's clock begins."""
    fired = loop.create_future()
    loop.call_at(when, fired.set_result, "fired")
    assert await fired == "fired"


@requires("TIMER-CALL_AT-01", "TIMER-TIME-03")
async def test_the_scale_is_that_of_the_loops_clock(loop: asyncio.AbstractEventLoop) -> None:
    """Wherever the clock begins, call_at(time() + 3600) is an hour away and call_at(time() - 3600) is an hour ago."""
    now = loop.time()
    assert math.isfinite(now)
    fired: list[str] = []
    ahead = loop.call_at(now + 3600, fired.append, "ahead")
    loop.call_at(now - 3600, fired.append, "ago")
    await asyncio.sleep(0.003)
    ahead.cancel()
    assert fired == ["ago"]


@requires("TIMER-CALL_AT-01")
async def test_a_time_read_before_a_long_callback_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    """The time given to call_at() counts, not the moment of the call: timers set late for an early time go first."""
    order: list[str] = []
    done = loop.create_future()
    start = loop.time()
    loop.call_at(start + 0.012, order.append, "set at the start, for 12 ms")
    time.sleep(0.005)
    loop.call_at(start + 0.008, order.append, "set at 5 ms, for 8 ms")
    loop.call_at(start + 0.016, done.set_result, None)
    await done
    assert order == ["set at 5 ms, for 8 ms", "set at the start, for 12 ms"]


@requires("TIMER-CALL_AT-06")
async def test_a_timer_for_this_very_moment_runs(loop: asyncio.AbstractEventLoop) -> None:
    """Each of a chain of timers that are set for exactly loop.time() runs."""
    left = 50
    done = loop.create_future()

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_at(loop.time(), again)
        else:
            done.set_result(None)

    again()
    await done


@requires("TIMER-CALL_AT-02")
@pytest.mark.parametrize("ahead", [3600.25, -3600.25])
def test_returns_a_timer_handle(loop: asyncio.AbstractEventLoop, ahead: float) -> None:
    """call_at() returns an instance of asyncio.TimerHandle, for times ahead and in the past."""
    handle = loop.call_at(loop.time() + ahead, int)
    handle.cancel()
    kind = type(handle)
    assert isinstance(handle, asyncio.TimerHandle), f"call_at() returned a {kind.__module__}.{kind.__name__}"


@requires("TIMER-CALL_AT-02", "TIMER-TIMERHANDLE_WHEN-01")
@pytest.mark.parametrize("ahead", [3600.000123456789, 0.0004, 0.0, -3600.25])
def test_when_is_the_given_time(loop: asyncio.AbstractEventLoop, ahead: float) -> None:
    """when() equals the float that was given to call_at(), to the last bit."""
    when = loop.time() + ahead
    handle = loop.call_at(when, int)
    seen = handle.when()
    handle.cancel()
    assert seen == when, f"call_at({when!r}) gave a handle whose when() is {seen!r}"


@requires("TIMER-CALL_LATER-14")
async def test_arguments_reach_the_callback(loop: asyncio.AbstractEventLoop) -> None:
    """The callback gets the arguments given after it, by position."""
    received: asyncio.Future[tuple[object, ...]] = loop.create_future()
    loop.call_at(loop.time(), lambda *arguments: received.set_result(arguments), 1, None, "three")
    assert await received == (1, None, "three")


@requires("TIMER-CALL_AT-01")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_names_of_the_parameters(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """The parameters can be given by the names that the documentation gives them."""
    fired: list[str] = []
    first = {"call_later": "delay", "call_at": "when"}[method]
    getattr(loop, method)(**{first: -1, "callback": lambda: fired.append("fired")})
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert fired == ["fired"]
