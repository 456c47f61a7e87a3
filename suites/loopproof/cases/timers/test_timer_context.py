"""The Context in which a timer runs."""

import asyncio
import contextvars

import pytest

from loopproof.authoring import raises, requires

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="default")


@requires("TIMER-CALL_LATER-11", "TIMER-CALL_AT-04")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("ahead", [0.001, -1])
async def test_a_timer_runs_in_a_copy_of_the_current_context(
    loop: asyncio.AbstractEventLoop, method: str, ahead: float
) -> None:
    """Without context, the callback sees the variables as they were at the call; what it sets stays its own."""
    seen: list[str] = []
    done = loop.create_future()

    def callback() -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("set by the timer")

    when = ahead if method == "call_later" else loop.time() + ahead
    VARIABLE.set("at the call")
    getattr(loop, method)(when, callback)
    VARIABLE.set("after the call")
    getattr(loop, method)(when, lambda: seen.append(VARIABLE.get()))
    loop.call_later(0.003, done.set_result, None)
    await done
    assert sorted(seen) == ["after the call", "at the call"], f"the two timers saw {seen}"
    assert VARIABLE.get() == "after the call", "what a timer sets in its context is seen outside"


@requires("TIMER-CALL_LATER-11", "TIMER-CALL_AT-04")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("ahead", [0.001, -1])
async def test_a_timer_runs_in_the_given_context(loop: asyncio.AbstractEventLoop, method: str, ahead: float) -> None:
    """With context, the callback runs in this very Context: it sees its variables, and what it sets is there."""
    given = contextvars.Context()
    given.run(VARIABLE.set, "given")
    done = loop.create_future()

    def callback() -> None:
        seen = VARIABLE.get()
        VARIABLE.set("set by the timer")
        done.set_result(seen)

    VARIABLE.set("current")
    when = ahead if method == "call_later" else loop.time() + ahead
    getattr(loop, method)(when, callback, context=given)
    assert await done == "given"
    assert given[VARIABLE] == "set by the timer"
    assert VARIABLE.get() == "current"


@requires("TIMER-CALL_LATER-11")
async def test_several_timers_may_share_a_context(loop: asyncio.AbstractEventLoop) -> None:
    """Timers that are given the same Context, and callbacks too, run in it one after the other."""
    given = contextvars.Context()
    done = loop.create_future()

    def callback(letter: str) -> None:
        VARIABLE.set((VARIABLE.get("") if letter != "a" else "") + letter)

    for ms, letter in ((1, "a"), (2, "b"), (3, "c")):
        loop.call_later(ms / 1e3, callback, letter, context=given)
    loop.call_later(0.006, done.set_result, None)
    await done
    assert given[VARIABLE] == "abc"


@requires("TIMER-CALL_LATER-11")
async def test_context_none_means_a_copy(loop: asyncio.AbstractEventLoop) -> None:
    """context=None is the same as no context."""
    done = loop.create_future()
    VARIABLE.set("current")
    loop.call_later(0.001, lambda: done.set_result(VARIABLE.get()), context=None)
    assert await done == "current"


@requires("TIMER-CALL_LATER-11", "TIMER-CALL_AT-04")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_a_timer_set_outside_of_a_run(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A timer set before the run sees the variables of the code that set it, not of the code that runs the loop."""
    seen: list[str] = []
    setter, runner = contextvars.Context(), contextvars.Context()
    setter.run(VARIABLE.set, "setter")
    runner.run(VARIABLE.set, "runner")
    setter.run(getattr(loop, method), 0, lambda: seen.append(VARIABLE.get()))
    loop.call_later(0.002, loop.stop)
    runner.run(loop.run_forever)
    assert seen == ["setter"]


@requires("TIMER-CALL_LATER-11")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_context_is_given_by_keyword_only(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A Context given by position is an argument of the callback."""
    received: list[object] = []
    given = contextvars.Context()
    getattr(loop, method)(-1, received.append, given)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert received == [given]
    with raises(TypeError):
        getattr(loop, method)(-1, received.append, given, contexts=given)


@requires("SCHED-HANDLE_GET_CONTEXT-01")
@pytest.mark.parametrize("delay", [0, 0.001])
async def test_the_handle_tells_the_context(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """get_context() of a timer is the Context that was given, or the one that its callback runs in."""
    given = contextvars.Context()
    done = loop.create_future()
    assert loop.call_later(delay, int, context=given).get_context() is given
    timer = loop.call_later(delay, lambda: done.set_result(VARIABLE.set("set by the timer")))
    await done
    assert timer.get_context()[VARIABLE] == "set by the timer"
