"""Timers across runs of the loop, in other threads, and beside other loops."""

import asyncio
import time
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@requires("TIMER-CALL_LATER-07")
def test_what_fell_due_while_the_loop_was_stopped_runs_next(loop: asyncio.AbstractEventLoop) -> None:
    """Timers whose deadline passed between two runs run in the next one, in the order of deadlines."""
    order: list[str] = []
    loop.call_soon(loop.stop)
    loop.run_forever()
    start = loop.time()
    loop.call_at(start + 0.002, order.append, "second")
    loop.call_at(start + 0.001, order.append, "first")
    time.sleep(0.004)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert order == ["first", "second"]


@requires("TIMER-CALL_LATER-07")
def test_a_timer_waits_across_many_runs(loop: asyncio.AbstractEventLoop) -> None:
    """A timer set before several short runs is kept through all of them and runs once, not before its time."""
    ran: list[float] = []
    due = loop.time() + 0.005
    loop.call_at(due, lambda: ran.append(loop.time()))
    end = time.monotonic() + 0.01
    while time.monotonic() < end:
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert len(ran) == 1, f"a timer ran {len(ran)} times in many short runs"
    assert ran[0] >= due - 0.001


@requires("TIMER-CALL_LATER-07")
def test_due_timers_run_though_the_run_ends_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """A run that was stopped before it began, and so makes one iteration, runs the timers that are due."""
    order: list[str] = []
    loop.call_later(0.001, order.append, "timer")
    time.sleep(0.003)
    loop.stop()
    loop.run_forever()
    assert order == ["timer"]


@requires("TIMER-CALL_LATER-07")
def test_stop_from_a_timer(loop: asyncio.AbstractEventLoop) -> None:
    """Timers due together with one that stops the loop run in this run or in the next, none is lost or runs twice."""
    order: list[str] = []
    loop.call_later(0.001, order.append, "before")
    loop.call_later(0.002, loop.stop)
    loop.call_later(0.003, order.append, "after")
    time.sleep(0.005)
    loop.run_forever()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert order == ["before", "after"]


@requires("TIMER-CALL_LATER-01")
def test_set_before_the_first_run_and_from_a_thread_that_runs_the_loop_later(loop: asyncio.AbstractEventLoop) -> None:
    """Timers set in one thread before the loop runs in another are run there."""
    order: list[str] = []
    loop.call_later(0.001, order.append, "timer")
    loop.call_later(0.002, loop.stop)
    with Background(loop.run_forever):
        pass
    assert order == ["timer"]


@requires("TIMER-CALL_LATER-01")
def test_a_nearer_timer_set_on_behalf_of_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """A timer that a callback from another thread sets while the loop waits for a later one is not waited past."""
    order: list[str] = []

    def set_timers() -> None:
        loop.call_later(0.002, order.append, "near")
        loop.call_later(0.004, loop.stop)

    far = loop.call_later(3600, order.append, "far")
    with Background(loop.run_forever):
        time.sleep(0.002)
        loop.call_soon_threadsafe(set_timers)
    far.cancel()
    assert order == ["near"]


@requires("TIMER-CALL_LATER-01")
def test_loops_in_threads_have_timers_of_their_own(new_loop: NewLoop) -> None:
    """Timers of loops that run in several threads at once run on their own loop, each once."""
    loops = [new_loop() for _ in range(3)]
    ran: list[list[asyncio.AbstractEventLoop]] = [[] for _ in loops]

    def use(number: int) -> None:
        own = loops[number]
        for count in range(30):
            own.call_later(0.0001 * (count % 20), lambda: ran[number].append(asyncio.get_running_loop()))
        own.call_later(0.005, own.stop)
        own.run_forever()

    threads = [Background(use, number) for number in range(len(loops))]
    for thread in threads:
        thread.__enter__()
    for thread in threads:
        thread.join()
    for number, own in enumerate(loops):
        assert ran[number] == [own] * 30


@requires("DBG-SET_DEBUG-05")
@needs("debug")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_a_timer_set_from_another_thread_in_debug_mode(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """In debug mode call_later() and call_at() raise RuntimeError in a thread that does not run the loop."""
    loop.set_debug(True)
    with loop_in_thread(loop), raises(RuntimeError):
        getattr(loop, method)(0, int)


@requires("DBG-SET_DEBUG-08")
@needs("debug")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("delay", [-1, 3600])
async def test_what_is_no_callback_is_refused_in_debug_mode(
    loop: asyncio.AbstractEventLoop, method: str, delay: float
) -> None:
    """In debug mode a coroutine function, a coroutine, or what cannot be called, is refused with TypeError."""

    async def coroutine() -> None:
        """Do nothing."""

    loop.set_debug(True)
    made = coroutine()
    for wrong in (coroutine, made, 5, None):
        with raises(TypeError):
            getattr(loop, method)(delay, wrong)
    made.close()


@requires("TIMER-CALL_LATER-01")
@needs("debug")
async def test_timers_in_debug_mode(loop: asyncio.AbstractEventLoop) -> None:
    """Timers run, are ordered and are cancelled in debug mode as without it."""
    loop.set_debug(True)
    order: list[int] = []
    done = loop.create_future()
    start = loop.time() + 0.005
    timers = {ms: loop.call_at(start + ms / 1e3, order.append, ms) for ms in (3, 1, 4, 2)}
    timers[3].cancel()
    loop.call_at(start + 0.006, done.set_result, None)
    await done
    assert order == [1, 2, 4]
