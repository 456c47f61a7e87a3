"""Loops and threads: one loop in several threads, one after the other; several loops in several threads at once."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, loop_in_thread, raises, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("THREAD-THREAD_AFFINITY-02")
def test_one_loop_runs_in_one_thread_after_another(loop: asyncio.AbstractEventLoop) -> None:
    """A loop that ran in one thread runs in others afterwards, with callbacks, timers, I/O wake-up and tasks."""
    threads: list[int] = []

    async def work() -> None:
        threads.append(threading.get_ident())
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop() is loop
        assert threading.get_ident() == threads[-1], "the task went on in another thread"

    loop.run_until_complete(work())
    for _ in range(2):
        with Background(loop.run_until_complete, work()):
            pass
    with loop_in_thread(loop):
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(5), "the loop does not wake up in its second thread"
    loop.run_until_complete(work())
    assert len(threads) == 4


@requires("THREAD-THREAD_AFFINITY-02")
def test_a_loop_made_in_a_thread_that_ended_runs_in_another(new_loop: Factory) -> None:
    """A loop may be made and used in a thread that is gone when it is run and closed elsewhere."""
    made = Background(new_loop)
    with made:
        pass
    loop: asyncio.AbstractEventLoop = made.result
    assert loop.run_until_complete(asyncio.sleep(0.001, "done")) == "done"
    with Background(loop.close):
        pass
    assert loop.is_closed()


@requires("THREAD-THREAD_AFFINITY-01")
@pytest.mark.parametrize("count", [2, 5])
def test_loops_in_several_threads_are_independent(new_loop: Factory, count: int) -> None:
    """Loops that run at the same time in several threads each run their own callbacks, in their own thread."""
    loops = [new_loop() for _ in range(count)]
    together = threading.Barrier(count)
    seen: list[list[tuple[int, bool]]] = [[] for _ in loops]

    async def work(number: int) -> None:
        together.wait(5)
        for turn in range(50):
            await asyncio.sleep(0.0001 if turn % 10 == 0 else 0)
            seen[number].append((threading.get_ident(), asyncio.get_running_loop() is loops[number]))

    workers = [Background(loop.run_until_complete, work(number)) for number, loop in enumerate(loops)]
    for worker in workers:
        worker.__enter__()
    for worker in workers:
        worker.join()
    for number, worker in enumerate(workers):
        assert seen[number] == [(worker.thread.ident, True)] * 50, f"loop {number} ran callbacks out of its own run"


@requires("THREAD-THREAD_AFFINITY-01")
def test_loops_in_several_threads_call_each_other(new_loop: Factory) -> None:
    """Two loops in two threads pass a ball with call_soon_threadsafe(); each callback runs in its loop's thread."""
    loops = [new_loop(), new_loop()]
    order: list[tuple[int, int]] = []
    finished = threading.Event()

    def hit(number: int, left: int) -> None:
        order.append((number, threading.get_ident()))
        if left == 0:
            finished.set()
        else:
            loops[1 - number].call_soon_threadsafe(hit, 1 - number, left - 1)

    with loop_in_thread(loops[0]) as first, loop_in_thread(loops[1]) as second:
        loops[0].call_soon_threadsafe(hit, 0, 40)
        assert finished.wait(5), f"the ball was lost after {len(order)} hits"
        idents = (first.ident, second.ident)
    assert order == [(hits % 2, idents[hits % 2]) for hits in range(41)]


@requires("THREAD-THREAD_AFFINITY-01")
def test_loops_that_come_and_go_do_not_disturb_one_that_runs(new_loop: Factory) -> None:
    """While a loop runs in a thread, twenty others are made, run and closed; it answers after each of them."""
    loop = new_loop()
    with loop_in_thread(loop):
        for _ in range(20):
            other = new_loop()
            other.call_soon_threadsafe(int)
            assert other.run_until_complete(asyncio.sleep(0.0001, "done")) == "done"
            other.close()
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            answered.wait()


@requires("THREAD-THREAD_AFFINITY-01")
def test_a_callback_waits_for_a_loop_in_another_thread(new_loop: Factory) -> None:
    """A loop that is kept busy by a callback does not keep a loop in another thread from its run."""
    loop, other = new_loop(), new_loop()
    seen: list[object] = []

    async def elsewhere() -> None:
        await asyncio.sleep(0.001)
        seen.append(asyncio.get_running_loop() is other)

    def callback() -> None:
        with Background(other.run_until_complete, elsewhere()):
            pass
        seen.append(asyncio.get_running_loop() is loop)
        loop.stop()

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == [True, True]
    with raises(RuntimeError):
        asyncio.get_running_loop()
