"""Timers and the loop's iterations: not within the batch that set them, behind ready callbacks, without starving."""

import asyncio
import socket
import time

import pytest

from loopproof.authoring import needs, requires


@requires("TIMER-CALL_LATER-12", "TIMER-CALL_LATER-04")
@pytest.mark.parametrize("delay", [0, -1, 1e-9])
async def test_a_timer_without_delay_waits_for_the_batch_that_set_it(
    loop: asyncio.AbstractEventLoop, delay: float
) -> None:
    """A zero-delay timer set by a callback runs after the callbacks that were ready together with that one."""
    order: list[str] = []
    done = loop.create_future()

    def setter() -> None:
        loop.call_later(delay, order.append, "timer")
        loop.call_later(0.002, done.set_result, None)
        order.append("setter")

    loop.call_soon(setter)
    loop.call_soon(order.append, "ready with the setter")
    await done
    assert order == ["setter", "ready with the setter", "timer"]


@requires("TIMER-CALL_LATER-12")
async def test_a_timer_set_by_a_timer_waits_for_those_due_with_it(loop: asyncio.AbstractEventLoop) -> None:
    """A zero-delay timer set by a timer runs after the timers that were due together with that one."""
    order: list[str] = []
    done = loop.create_future()

    def setter() -> None:
        order.append("first")
        loop.call_later(0, order.append, "set by first")
        loop.call_later(0.002, done.set_result, None)

    loop.call_later(0.001, setter)
    loop.call_later(0.002, order.append, "second")
    time.sleep(0.004)
    await done
    assert order == ["first", "second", "set by first"]


@requires("SCHED-FAIRNESS-02")
async def test_ready_callbacks_go_before_timers_that_fall_due(loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks that were queued while a timer fell due run before it."""
    order: list[str] = []
    done = loop.create_future()

    def long_callback() -> None:
        loop.call_later(0.001, order.append, "timer")
        time.sleep(0.002)
        loop.call_soon(order.append, "callback")
        loop.call_later(0.002, done.set_result, None)

    loop.call_soon(long_callback)
    await done
    assert order == ["callback", "timer"]


@requires("TIMER-CALL_LATER-19")
def test_a_timer_that_sets_itself_again_lets_callbacks_run(loop: asyncio.AbstractEventLoop) -> None:
    """A chain of zero-delay timers does not keep callbacks, other timers and stop() from running."""
    order: list[str] = []

    def again() -> None:
        loop.call_later(0, again)

    def callback() -> None:
        order.append("callback")
        loop.call_soon(order.append, "callback of the callback")
        loop.call_later(0.002, order.append, "timer")
        loop.call_later(0.004, loop.stop)

    loop.call_later(0, again)
    loop.call_soon(callback)
    loop.run_forever()
    assert order == ["callback", "callback of the callback", "timer"]


@requires("TIMER-CALL_LATER-19")
@needs("fdwatch")
@pytest.mark.parametrize("delay", [0, -1, 1e-7])
def test_a_timer_that_sets_itself_again_lets_the_loop_poll(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """Between the timers of a zero-delay chain the loop looks at its descriptors and at what threads queued."""
    links = 0
    here, there = socket.socketpair()

    def again() -> None:
        nonlocal links
        links += 1
        if links < 2000:
            loop.call_later(delay, again)
        else:
            loop.stop()

    with here, there:
        there.send(b"x")
        loop.add_reader(here.fileno(), loop.stop)
        loop.call_soon(again)
        loop.run_forever()
        loop.remove_reader(here.fileno())
    assert links < 2000, "2000 zero-delay timers ran one after the other before a readable descriptor was noticed"


@requires("TIMER-CALL_LATER-19")
def test_each_link_of_a_chain_takes_an_iteration(loop: asyncio.AbstractEventLoop) -> None:
    """A chain of zero-delay timers and one of call_soon() callbacks advance side by side."""
    counts = {"timers": 0, "callbacks": 0}
    ahead = 0

    def callback() -> None:
        counts["callbacks"] += 1
        if counts["callbacks"] < 200:
            loop.call_soon(callback)
        else:
            loop.stop()

    def timer() -> None:
        nonlocal ahead
        counts["timers"] += 1
        ahead = max(ahead, counts["timers"] - counts["callbacks"])
        loop.call_later(0, timer)

    loop.call_later(0, timer)
    loop.call_soon(callback)
    loop.run_forever()
    assert ahead <= 2, f"the chain of zero-delay timers got {ahead} links ahead of the chain of callbacks"
    assert counts["timers"] >= 20, f"beside 200 chained callbacks, zero-delay timers made {counts['timers']}"


@requires("TIMER-CALL_LATER-01")
async def test_periodic_timers_keep_running(loop: asyncio.AbstractEventLoop) -> None:
    """A timer that sets itself again from its own callback keeps going, beside others that do the same."""
    counts = [0] * 5
    done = loop.create_future()

    def tick(number: int) -> None:
        counts[number] += 1
        if counts[number] < 5:
            loop.call_later(0.0005 * (number % 3), tick, number)
        elif min(counts) >= 5 and not done.done():
            done.set_result(None)

    for number in range(5):
        loop.call_later(0.0005, tick, number)
    await done
    assert counts == [5] * 5
