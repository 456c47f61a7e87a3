"""call_later: exactly once, with its arguments, never synchronously, and what it refuses."""

import asyncio
import time

import pytest

from loopproof.authoring import raises, requires


async def turns(count: int) -> None:
    """Let the loop make ``count`` iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


@requires("TIMER-CALL_LATER-01")
@pytest.mark.parametrize("delay", [0.002, 0.0005, 1e-6, 1e-9, 0, -1])
async def test_runs_exactly_once(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A timer runs once and never again."""
    calls: list[str] = []
    fence = loop.create_future()
    loop.call_later(delay, calls.append, "call")
    loop.call_later(0.006, fence.set_result, None)
    await fence
    await turns(5)
    assert len(calls) == 1, f"a timer with a delay of {delay} ran {len(calls)} times"


@requires("TIMER-CALL_LATER-01")
async def test_runs_in_the_thread_and_as_part_of_the_running_loop(loop: asyncio.AbstractEventLoop) -> None:
    """get_running_loop() in a timer returns the loop, as in every callback."""
    seen = loop.create_future()
    loop.call_later(0.001, lambda: seen.set_result(asyncio.get_running_loop()))
    assert await seen is loop


@requires("TIMER-CALL_LATER-14")
@pytest.mark.parametrize("delay", [0, 0.001])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 40])
async def test_arguments_reach_the_callback(loop: asyncio.AbstractEventLoop, delay: float, count: int) -> None:
    """The callback gets the very objects given after it, by position, in their order."""
    given = tuple([number] for number in range(count))
    received: asyncio.Future[tuple[list[int], ...]] = loop.create_future()
    loop.call_later(delay, lambda *arguments: received.set_result(arguments), *given)
    arguments = await received
    assert len(arguments) == count, f"{count} arguments given, {len(arguments)} received"
    assert all(one is other for one, other in zip(arguments, given, strict=True)), "other objects than those given"


@requires("TIMER-CALL_LATER-14")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("wrong", ["no callback", "nothing", "keyword argument"])
def test_a_wrong_call_raises_type_error(loop: asyncio.AbstractEventLoop, method: str, wrong: str) -> None:
    """Without a callback, or with keyword arguments for it, the call raises TypeError and schedules nothing."""
    arguments, keywords = {
        "no callback": ((0,), {}),
        "nothing": ((), {}),
        "keyword argument": ((0, print), {"end": ""}),
    }[wrong]
    with raises(TypeError):
        getattr(loop, method)(*arguments, **keywords)


@requires("TIMER-CALL_LATER-02")
@pytest.mark.parametrize("delay", [0, 0.0, -0.0, -1, -1.5, 0.001])
async def test_delays_may_be_int_or_float(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """Delays of type int and float are taken."""
    fired = loop.create_future()
    loop.call_later(delay, fired.set_result, "fired")
    assert await fired == "fired"


@requires("TIMER-CALL_LATER-02")
@pytest.mark.parametrize("delay", [1, 1.0, 2**31, 3600])
async def test_whole_seconds_are_not_taken_for_a_smaller_unit(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A delay of whole seconds, int or float, is a delay in seconds: the timer has not run after a few milliseconds."""
    fired: list[float] = []
    start = time.monotonic()
    timer = loop.call_later(delay, lambda: fired.append(time.monotonic() - start))
    await asyncio.sleep(0.005)
    timer.cancel()
    assert not fired or fired[0] > delay - 0.01, f"call_later({delay!r}) ran after {fired} seconds"


@requires("TIMER-CALL_LATER-03", "TIMER-TIMERHANDLE_CANCEL-02")
@pytest.mark.parametrize("delay", [3600, 0, 1e-9])
async def test_returns_a_timer_handle(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """call_later() returns an instance of asyncio.TimerHandle, which is an asyncio.Handle, for every delay."""
    handle = loop.call_later(delay, int)
    handle.cancel()
    kind = type(handle)
    assert isinstance(handle, asyncio.TimerHandle), f"a delay of {delay!r} gives a {kind.__module__}.{kind.__name__}"
    assert isinstance(handle, asyncio.Handle)


@requires("TIMER-CALL_LATER-04")
@pytest.mark.parametrize("delay", [0, 0.0, -0.0, -1, -1e-9, -1e9, -1e300])
async def test_no_delay_is_not_a_synchronous_call(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """With a zero or negative delay the callback does not run in call_later() but soon after."""
    fired: list[str] = []
    done = loop.create_future()
    loop.call_later(delay, fired.append, "fired")
    assert not fired, f"call_later({delay!r}) called the callback before it returned"
    loop.call_later(0.002, done.set_result, None)
    await done
    assert fired, f"a timer with a delay of {delay!r} did not run"


@requires("TIMER-CALL_LATER-04")
@pytest.mark.parametrize("delay", [0, -1])
def test_no_delay_does_not_run_before_the_loop_runs(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A due timer of a loop that does not run waits until it runs."""
    fired: list[str] = []
    loop.call_later(delay, fired.append, "fired")
    assert not fired
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert fired == ["fired"]


@requires("TIMER-CALL_LATER-09", "TIMER-CALL_AT-03")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_none_is_no_time(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """None in place of the delay or of the time raises TypeError and schedules nothing."""
    fired: list[str] = []
    with raises(TypeError):
        getattr(loop, method)(None, fired.append, "fired")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert not fired


@requires("LIFE-CLOSE-05")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("when", [-1, 0, 3600])
def test_a_closed_loop_takes_no_timers(loop: asyncio.AbstractEventLoop, method: str, when: float) -> None:
    """On a closed loop call_later() and call_at() raise RuntimeError, whatever the delay."""
    loop.close()
    with raises(RuntimeError):
        getattr(loop, method)(when, int)
