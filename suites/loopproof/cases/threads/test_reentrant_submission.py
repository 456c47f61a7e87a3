"""call_soon_threadsafe: from signal handlers and finalizers, and in a race with close()."""

import asyncio
import gc
import itertools
import signal
import threading
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, loop_in_thread, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("THREAD-CALL_SOON_THREADSAFE-11")
@pytest.mark.parametrize("submissions", [1, 100])
def test_a_signal_handler_submits(loop: asyncio.AbstractEventLoop, submissions: int) -> None:
    """What a handler of signal.signal() submits while the loop is busy runs, all of it and in order."""
    order: list[int] = []

    def submit(*_: object) -> None:
        for number in range(submissions):
            loop.call_soon_threadsafe(order.append, number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, submit)
    try:
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert order == list(range(submissions))


@requires("THREAD-CALL_SOON_THREADSAFE-11")
def test_signal_handlers_interrupt_submissions(loop: asyncio.AbstractEventLoop) -> None:
    """Signals that arrive while call_soon() and call_soon_threadsafe() are at work submit more; none is lost."""
    rounds = 300
    by_signals: list[int] = []
    by_callbacks: list[int] = []
    numbers = itertools.count()
    depth = 0

    def submit(*_: object) -> None:  # may itself be interrupted by the next signal
        nonlocal depth
        depth += 1
        loop.call_soon_threadsafe(by_signals.append, next(numbers))
        depth -= 1

    def work(number: int) -> None:
        for _ in range(5):
            loop.call_soon(by_callbacks.append, number)
            loop.call_soon_threadsafe(by_callbacks.append, number)
        if number + 1 < rounds:
            loop.call_soon(work, number + 1)
        else:
            finished.set()

    finished = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def pester() -> None:
        while not finished.is_set():
            if depth < 3:  # a handler that cannot submit is not interrupted until the stack is full
                signal.pthread_kill(main, signal.SIGUSR1)
            finished.wait(0.0001)
        loop.call_soon_threadsafe(loop.call_soon, loop.stop)

    before = signal.signal(signal.SIGUSR1, submit)
    pestering = Background(pester)
    try:
        pestering.thread.start()
        loop.call_soon(work, 0)
        loop.run_forever()
        pestering.join()
        loop.call_soon(loop.stop)
        loop.run_forever()  # what the last signals submitted
    finally:
        finished.set()
        pestering.thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert by_callbacks == [number for number in range(rounds) for _ in range(10)]
    assert sorted(by_signals) == list(range(next(numbers))), "submissions of signal handlers were lost or doubled"


@requires("THREAD-CALL_SOON_THREADSAFE-11")
def test_a_finalizer_submits(loop: asyncio.AbstractEventLoop) -> None:
    """What a finalizer submits in the middle of a garbage collection runs."""
    ran: list[int] = []

    class Cycle:
        def __init__(self, number: int) -> None:
            self.number = number
            self.itself = self

        def __del__(self) -> None:
            loop.call_soon_threadsafe(ran.append, self.number)

    def work() -> None:
        for number in range(20):
            Cycle(number)
        gc.collect()
        loop.call_soon(loop.stop)

    loop.call_soon(work)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert sorted(ran) == list(range(20))


class Submitter:
    """Submits numbers from 0 on until that is refused; keeps those that were taken."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[int], object]) -> None:
        self.loop, self.callback = loop, callback
        self.closed = threading.Event()
        self.taken: list[int] = []

    def submit(self) -> None:
        late = 0
        while late < 1000:
            late += self.closed.is_set()
            number = len(self.taken)
            try:
                self.loop.call_soon_threadsafe(self.callback, number)
            except RuntimeError:
                return
            self.taken.append(number)
        raise AssertionError("a closed loop takes submissions")


@requires("THREAD-CALL_SOON_THREADSAFE-12", "THREAD-CALL_SOON_THREADSAFE-04")
def test_submissions_race_with_close(new_loop: Factory) -> None:
    """While the loop is closed, submissions of other threads are taken or raise RuntimeError, then all raise it."""
    for _ in range(30):
        loop = new_loop()
        submitters = [Submitter(loop, abs) for _ in range(3)]
        backgrounds = [Background(submitter.submit) for submitter in submitters]
        for background in backgrounds:
            background.thread.start()
        loop.close()
        for submitter in submitters:
            submitter.closed.set()
        for background in backgrounds:
            background.join()
        assert loop.is_closed()


@requires("THREAD-CALL_SOON_THREADSAFE-12")
def test_submissions_race_with_the_end_of_the_run(new_loop: Factory) -> None:
    """Threads submit while the run ends and the loop is closed behind it; what was taken before the end ran once."""
    for _ in range(20):
        loop = new_loop()
        ran: list[int] = []
        submitter = Submitter(loop, ran.append)
        with Background(submitter.submit):
            with loop_in_thread(loop):
                while not ran:
                    threading.Event().wait(0.0001)
            loop.close()
            submitter.closed.set()
        assert ran == submitter.taken[: len(ran)], "callbacks were lost, doubled or out of order"
