"""Cancelled timers never run, whenever and by whomever they are cancelled."""

import asyncio
import socket
import time

import pytest

from loopproof.authoring import needs, requires


@requires("TIMER-TIMERHANDLE_CANCEL-01")
@pytest.mark.parametrize("delay", [0, -1, 0.0005, 0.002, 3600])
@pytest.mark.parametrize("moment", ["at once", "an iteration later"])
async def test_a_cancelled_timer_does_not_run(loop: asyncio.AbstractEventLoop, delay: float, moment: str) -> None:
    """A timer that was cancelled before it ran never runs."""
    order: list[str] = []
    done = loop.create_future()

    def cancel() -> None:
        order.append("cancelled")
        timer.cancel()

    if moment == "an iteration later":
        loop.call_soon(cancel)
    timer = loop.call_later(delay, order.append, "ran")
    if moment == "at once":
        cancel()
    loop.call_later(0.004, done.set_result, None)
    await done
    assert order[-1] == "cancelled", f"a timer with a delay of {delay} that was cancelled ran after that"
    assert len(order) == 1 or moment == "an iteration later"


@requires("TIMER-TIMERHANDLE_CANCEL-01")
async def test_cancel_returns_none_and_may_be_repeated(loop: asyncio.AbstractEventLoop) -> None:
    """cancel() returns None however often it is called, before the deadline and after it."""
    timer = loop.call_later(0.001, int)
    assert [timer.cancel() for _ in range(3)] == [None] * 3  # type: ignore[func-returns-value]
    await asyncio.sleep(0.002)
    assert timer.cancel() is None  # type: ignore[func-returns-value]


@requires("SCHED-HANDLE_CANCELLED-01", "SCHED-HANDLE_CANCELLED-02")
@pytest.mark.parametrize("delay", [0, 0.001])
async def test_cancelled_tells(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """cancelled() of a timer is False before and after it ran, and True once it was cancelled."""
    done = loop.create_future()
    runs, never = loop.call_later(delay, int), loop.call_later(delay, int)
    assert (runs.cancelled(), never.cancelled()) == (False, False)
    never.cancel()
    assert (runs.cancelled(), never.cancelled()) == (False, True)
    loop.call_later(0.003, done.set_result, None)
    await done
    assert (runs.cancelled(), never.cancelled()) == (False, True)


@requires("TIMER-TIMERHANDLE_CANCEL-07")
@pytest.mark.parametrize("delay", [0, 0.001])
async def test_cancel_after_the_run_has_no_effect(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A timer that has run may be cancelled, once and again, and nothing happens; nothing else is cancelled."""
    fired: list[str] = []
    done = loop.create_future()
    timer = loop.call_later(delay, fired.append, "first")
    await asyncio.sleep(0.003)
    assert fired == ["first"]
    loop.call_later(delay, fired.append, "second")
    timer.cancel()
    timer.cancel()
    loop.call_later(0.003, done.set_result, None)
    await done
    assert fired == ["first", "second"]


@requires("TIMER-TIMERHANDLE_CANCEL-07")
@pytest.mark.parametrize("delay", [0, 0.001])
async def test_a_timer_may_cancel_itself_while_it_runs(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """A callback that cancels its own timer runs to its end, with its arguments alive, and the loop goes on."""
    done = loop.create_future()
    handle: list[asyncio.Handle] = []

    def callback(*arguments: object) -> None:
        handle[0].cancel()
        handle.clear()
        loop.call_later(0.001, done.set_result, arguments)

    handle.append(loop.call_later(delay, callback, ["an"], ["argument"]))
    assert await done == (["an"], ["argument"])


@requires("TIMER-TIMERHANDLE_CANCEL-05")
async def test_timers_due_together_cancel_each_other(loop: asyncio.AbstractEventLoop) -> None:
    """Of two timers that are due in the same iteration and cancel each other, exactly one runs."""
    ran: list[str] = []
    done = loop.create_future()
    timers: dict[str, asyncio.TimerHandle] = {}

    def run(name: str, other: str) -> None:
        ran.append(name)
        timers[other].cancel()

    timers["first"] = loop.call_later(0.001, run, "first", "second")
    timers["second"] = loop.call_later(0.002, run, "second", "first")
    loop.call_later(0.006, done.set_result, None)
    time.sleep(0.004)
    await done
    assert ran == ["first"], f"two timers that cancel each other ran: {ran}"


@requires("TIMER-TIMERHANDLE_CANCEL-05")
async def test_a_timer_cancels_the_many_that_are_due_with_it(loop: asyncio.AbstractEventLoop) -> None:
    """One of many timers that are due in the same iteration cancels every other one of them."""
    ran: list[int] = []
    done = loop.create_future()
    when = loop.time() + 0.002
    timers: list[asyncio.TimerHandle] = []

    def cancel_half() -> None:
        for timer in timers[::2]:
            timer.cancel()

    loop.call_at(when - 0.001, cancel_half)
    timers += [loop.call_at(when + number * 1e-6, ran.append, number) for number in range(200)]
    loop.call_later(0.008, done.set_result, None)
    time.sleep(0.005)
    await done
    assert sorted(ran) == list(range(1, 200, 2))


@requires("TIMER-TIMERHANDLE_CANCEL-05")
async def test_a_ready_callback_cancels_a_due_timer(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that is queued when a timer is due already, and runs first, can cancel the timer."""
    order: list[str] = []
    done = loop.create_future()
    timer = loop.call_later(0.001, order.append, "timer")

    def cancel() -> None:
        order.append("cancelled" if "timer" not in order else "too late")
        timer.cancel()

    loop.call_soon(cancel)
    time.sleep(0.003)
    loop.call_later(0.003, done.set_result, None)
    await done
    assert order in (["cancelled"], ["timer", "too late"]), f"the timer was cancelled and ran after that: {order}"


@requires("TIMER-TIMERHANDLE_CANCEL-05")
@needs("fdwatch")
async def test_a_reader_cancels_a_due_timer(loop: asyncio.AbstractEventLoop) -> None:
    """A reader's callback that runs in the iteration in which a timer is due, before it, can cancel the timer."""
    order: list[str] = []
    done = loop.create_future()
    here, there = socket.socketpair()
    timer = loop.call_later(0.001, order.append, "timer")

    def readable() -> None:
        loop.remove_reader(here.fileno())
        order.append("cancelled" if "timer" not in order else "too late")
        timer.cancel()
        loop.call_later(0.003, done.set_result, None)

    with here, there:
        loop.add_reader(here.fileno(), readable)
        there.send(b"x")
        time.sleep(0.003)
        await done
    assert order in (["cancelled"], ["timer", "too late"]), f"the timer was cancelled and ran after that: {order}"


@requires("TIMER-TIMERHANDLE_CANCEL-01")
async def test_cancelling_one_timer_leaves_those_for_the_same_time(loop: asyncio.AbstractEventLoop) -> None:
    """Of timers with the same time, callback and arguments, only the one that was cancelled does not run."""
    ran: list[str] = []
    done = loop.create_future()
    when = loop.time() + 0.001
    timers = [loop.call_at(when, ran.append, "x") for _ in range(9)]
    for timer in timers[::4]:
        timer.cancel()
    loop.call_later(0.004, done.set_result, None)
    await done
    assert len(ran) == 6, f"3 of 9 equal timers were cancelled; {len(ran)} ran"


@requires("TIMER-TIMERHANDLE_CANCEL-01")
@pytest.mark.parametrize("which", ["nearest", "middle", "last", "all but one"])
async def test_cancelling_anywhere_in_the_queue_keeps_the_rest(loop: asyncio.AbstractEventLoop, which: str) -> None:
    """Wherever in the queue timers are cancelled, the others run in their order."""
    ran: list[int] = []
    done = loop.create_future()
    when = loop.time() + 0.005
    timers = {number: loop.call_at(when + number * 0.001, ran.append, number) for number in (4, 1, 6, 3, 0, 5, 2)}
    cancelled = {"nearest": [0], "middle": [3], "last": [6], "all but one": [0, 1, 2, 3, 5, 6]}[which]
    for number in cancelled:
        timers[number].cancel()
    loop.call_at(when + 0.009, done.set_result, None)
    await done
    assert ran == [number for number in range(7) if number not in cancelled]


@requires("TIMER-TIMERHANDLE_CANCEL-01")
@pytest.mark.parametrize("moment", ["before close", "after close"])
def test_cancel_on_a_loop_that_is_closed(loop: asyncio.AbstractEventLoop, moment: str) -> None:
    """Timers may be cancelled, printed and asked about after their loop was closed."""
    timers = [loop.call_later(delay, int) for delay in (0, 0.001, 3600)]
    if moment == "before close":
        for timer in timers:
            timer.cancel()
    loop.close()
    for timer in timers:
        timer.cancel()
        assert repr(timer)


@requires("TIMER-TIMERHANDLE_CANCEL-08")
async def test_a_kept_handle_of_a_timer_that_ran_stands_for_no_other(loop: asyncio.AbstractEventLoop) -> None:
    """Cancelling the handles of timers that have run never cancels one that was set since."""
    old = [loop.call_later(0.0005 * (number % 2), int) for number in range(50)]
    await asyncio.sleep(0.002)
    ran: list[int] = []
    done = loop.create_future()
    for number in range(100):
        loop.call_later(0.001 * (number % 2), ran.append, number)
    for timer in old:
        timer.cancel()
    loop.call_later(0.004, done.set_result, None)
    await done
    assert sorted(ran) == list(range(100)), f"{len(ran)} of 100 timers ran"


@requires("TIMER-TIMERHANDLE_CANCEL-08")
async def test_a_kept_handle_of_a_cancelled_timer_stands_for_no_other(loop: asyncio.AbstractEventLoop) -> None:
    """Handles of cancelled timers stay cancelled and distinct while others are set, and cancel nothing else."""
    old = [loop.call_later(3600, int) for _ in range(300)]
    for timer in old:
        timer.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    ran: list[int] = []
    done = loop.create_future()
    new = [loop.call_later(0.001, ran.append, number) for number in range(300)]
    assert not {id(timer) for timer in old} & {id(timer) for timer in new}
    for timer in old:
        timer.cancel()
    loop.call_later(0.004, done.set_result, None)
    await done
    assert sorted(ran) == list(range(300)), f"{len(ran)} of 300 timers ran"
