"""stop: from callbacks, threads and signals, once and often."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


async def stopping(loop: asyncio.AbstractEventLoop) -> None:
    """Stop the loop from a task."""
    await asyncio.sleep(0)
    loop.stop()


def stop_by_future(loop: asyncio.AbstractEventLoop) -> None:
    """Stop the loop from the done callback of a future."""
    future = loop.create_future()
    future.add_done_callback(lambda _: loop.stop())
    future.set_result(None)


def stop_by_handler(loop: asyncio.AbstractEventLoop) -> None:
    """Stop the loop from its exception handler."""
    loop.set_exception_handler(lambda *_: loop.stop())
    loop.call_soon(loop.call_exception_handler, {"message": "a report"})


PLACES: dict[str, Callable[[asyncio.AbstractEventLoop], Any]] = {
    "call_soon": lambda loop: loop.call_soon(loop.stop),
    "call_later": lambda loop: loop.call_later(0.001, loop.stop),
    "call_at": lambda loop: loop.call_at(loop.time(), loop.stop),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(loop.stop),
    "task": lambda loop: loop.create_task(stopping(loop)),
    "future": stop_by_future,
    "exception handler": stop_by_handler,
}


@requires("LIFE-STOP-01", "LIFE-RUN_FOREVER-01")
@pytest.mark.parametrize(
    "place", ["call_soon", "call_later", "call_at", "call_soon_threadsafe", "task", "future", "exception handler"]
)
def test_stop_ends_the_run_from_wherever_it_is_called(loop: asyncio.AbstractEventLoop, place: str) -> None:
    """stop() called in any kind of callback ends run_forever(), although a distant timer is pending."""
    timer = loop.call_later(3600, print)
    PLACES[place](loop)
    loop.run_forever()
    timer.cancel()
    assert not loop.is_running()


@requires("LIFE-STOP-01")
def test_stop_does_not_interrupt_the_callback(loop: asyncio.AbstractEventLoop) -> None:
    """stop() returns None at once; the callback goes on, the loop still runs, and can still be used."""
    seen: list[object] = []

    def callback() -> None:
        seen.append(loop.stop())
        seen.append(loop.is_running())
        seen.append(asyncio._get_running_loop() is loop)
        loop.call_soon(seen.append, "next run")

    loop.call_soon(callback)
    loop.run_forever()
    assert seen[:3] == [None, True, True]


@requires("LIFE-STOP-01")
def test_stop_does_not_interrupt_a_task(loop: asyncio.AbstractEventLoop) -> None:
    """A task that calls stop() goes on up to its next suspension in this run and from there in the next."""
    steps: list[str] = []

    async def work() -> None:
        loop.stop()
        steps.append("after stop")
        await asyncio.sleep(0)
        steps.append("after suspension")

    task = loop.create_task(work())
    loop.run_forever()
    assert steps[:1] == ["after stop"]
    loop.run_until_complete(task)
    assert steps == ["after stop", "after suspension"]


@requires("LIFE-STOP-02", "LIFE-STOP-03")
@pytest.mark.parametrize("times", [2, 100])
def test_several_stops_count_as_one(loop: asyncio.AbstractEventLoop, times: int) -> None:
    """Many calls of stop() in one callback end one run and not the next."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 19 else loop.stop()

    loop.call_soon(lambda: [loop.stop() for _ in range(times)])
    loop.run_forever()
    loop.call_soon(turn, 0)
    loop.run_forever()
    assert turns == list(range(20)), f"a further run ended at turn {len(turns)} without a stop request of its own"


@requires("LIFE-STOP-02")
def test_stops_of_several_callbacks_count_as_one(loop: asyncio.AbstractEventLoop) -> None:
    """stop() called by several callbacks of one batch, and before the run, ends one run only."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 19 else loop.stop()

    loop.stop()
    for _ in range(5):
        loop.call_soon(loop.stop)
    loop.stop()
    loop.run_forever()
    loop.call_soon(turn, 0)
    loop.run_forever()
    assert turns == list(range(20))


@requires("LIFE-STOP-03")
@pytest.mark.parametrize("request_", ["before the run", "in the run"])
def test_a_stop_request_is_consumed_by_its_run(loop: asyncio.AbstractEventLoop, request_: str) -> None:
    """After a stopped run the next one goes on for as long as nobody stops it again."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 19 else loop.stop()

    for _ in range(3):
        loop.stop() if request_ == "before the run" else loop.call_soon(loop.stop)
        loop.run_forever()
        turns.clear()
        loop.call_soon(turn, 0)
        loop.run_forever()
        assert turns == list(range(20))


@requires("LIFE-STOP-03", "LIFE-RUN_UNTIL_COMPLETE-09")
def test_a_stop_request_before_run_until_complete_is_consumed_by_it(loop: asyncio.AbstractEventLoop) -> None:
    """run_until_complete() with a done future consumes an earlier stop(), and the run after it is not stopped."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 19 else loop.stop()

    done = loop.create_future()
    done.set_result("done")
    loop.stop()
    assert loop.run_until_complete(done) == "done"
    loop.call_soon(turn, 0)
    loop.run_forever()
    assert turns == list(range(20))


@requires("LIFE-STOP-04")
def test_timers_are_not_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    """A stopped run returns without running a timer that is not due, and keeps the timer."""
    fired: list[str] = []
    timers = [loop.call_later(3600, fired.append, "in an hour"), loop.call_later(0.005, fired.append, "soon")]
    distant = loop.call_at(loop.time() + 3600, fired.append, "in an hour, absolute")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert fired == ["soon"]
    for timer in (*timers, distant):
        timer.cancel()


@requires("LIFE-STOP-05")
@needs("fdwatch")
def test_io_is_not_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    """A stopped run returns although watched descriptors are quiet, and keeps watching them."""
    here, there = socket.socketpair()
    received: list[bytes] = []

    def read() -> None:
        received.append(here.recv(10))
        loop.stop()

    with here, there:
        loop.add_reader(here.fileno(), read)
        for _ in range(3):
            loop.call_soon(loop.stop)
            loop.run_forever()
        assert received == []
        there.send(b"data")
        loop.run_forever()
        loop.remove_reader(here.fileno())
    assert received == [b"data"]


@requires("LIFE-STOP-06")
def test_a_thread_stops_a_run_that_waits(loop: asyncio.AbstractEventLoop) -> None:
    """call_soon_threadsafe(loop.stop) of another thread ends a run that waits for I/O with nothing to do."""
    for _ in range(20):
        running = threading.Event()
        loop.call_soon(running.set)

        def stop(running: threading.Event = running) -> None:
            running.wait(5)
            loop.call_soon_threadsafe(loop.stop)

        with Background(stop):
            loop.run_forever()


@requires("LIFE-STOP-06")
def test_many_threads_stop_one_run(loop: asyncio.AbstractEventLoop) -> None:
    """Stops of eight threads at once end the run; what comes too late ends at most single later runs."""
    start = threading.Barrier(9)

    def stop() -> None:
        start.wait(5)
        loop.call_soon_threadsafe(loop.stop)

    workers = [Background(stop) for _ in range(8)]
    for worker in workers:
        worker.__enter__()
    start.wait(5)
    loop.run_forever()
    for worker in workers:
        worker.join()
    loop.stop()
    loop.run_forever()
    assert loop.run_until_complete(asyncio.sleep(0, "alive")) == "alive"


@requires("LIFE-STOP-06")
def test_a_thread_starts_and_stops_loops_of_others(new_loop: NewLoop) -> None:
    """Three loops that run in three threads are each stopped by the main thread, in another order than started."""
    loops = [new_loop() for _ in range(3)]
    runs = [Background(loop.run_forever) for loop in loops]
    for loop, run in zip(loops, runs, strict=True):
        running = threading.Event()
        loop.call_soon(running.set)
        run.__enter__()
        assert running.wait(5)
    for number, left in ((1, 2), (2, 1), (0, 0)):
        loops[number].call_soon_threadsafe(loops[number].stop)
        runs[number].join()
        assert sum(loop.is_running() for loop in loops) == left, "stopping one loop stopped another"


@requires("LIFE-STOP-07")
@needs("signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_handler_stops_a_run_that_waits(loop: asyncio.AbstractEventLoop, number: str) -> None:
    """stop() as handler of add_signal_handler() ends a run that waits for I/O with nothing to do."""
    signum = getattr(signal, number)
    running = threading.Event()

    def kill() -> None:
        running.wait(5)
        os.kill(os.getpid(), signum)

    before = signal.getsignal(signum)
    loop.add_signal_handler(signum, loop.stop)
    try:
        loop.call_soon(running.set)
        with Background(kill):
            loop.run_forever()
    finally:
        loop.remove_signal_handler(signum)
        signal.signal(signum, before)


@requires("LIFE-STOP-07")
@pytest.mark.parametrize("how", ["while the loop waits", "in a callback"])
def test_a_python_signal_handler_stops_the_run(loop: asyncio.AbstractEventLoop, how: str) -> None:
    """A handler of signal.signal() that calls call_soon_threadsafe(loop.stop) ends the run, also while it waits."""
    running, handled = threading.Event(), threading.Event()

    def handle(*_: object) -> None:
        handled.set()
        loop.call_soon_threadsafe(loop.stop)

    def kill() -> None:
        running.wait(5)
        while not handled.wait(0.01):  # one that comes just before the loop begins to wait does not interrupt it
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        if how == "in a callback":
            loop.call_soon(signal.raise_signal, signal.SIGUSR1)
            loop.run_forever()
        else:
            loop.call_soon(running.set)
            with Background(kill):
                loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)


@requires("LIFE-STOP-06", "LIFE-RUN_FOREVER-09")
def test_stop_and_run_again_in_a_thread(loop: asyncio.AbstractEventLoop) -> None:
    """A loop is started in new threads and stopped from outside fifty times over, running a callback each time."""
    answers: list[int] = []
    for number in range(50):
        with loop_in_thread(loop):
            answered = threading.Event()
            loop.call_soon_threadsafe(answers.append, number)
            loop.call_soon_threadsafe(answered.set)
            assert answered.wait(5), f"run {number} does not react to callbacks of other threads"
    assert answers == list(range(50))
