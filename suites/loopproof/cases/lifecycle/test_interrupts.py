"""KeyboardInterrupt and SystemExit out of user code: they leave the run, and the loop survives them."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loopproof.authoring import Background, needs, raises, requires
from loopproof.authoring.execution import run_until_interrupted


class OwnExit(SystemExit):
    """A subclass, as frameworks define for their own shutdown."""


class OwnInterrupt(KeyboardInterrupt):
    """A subclass, as frameworks define for their own interruption."""


ERRORS: dict[str, type[BaseException]] = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "subclass of SystemExit": OwnExit,
    "subclass of KeyboardInterrupt": OwnInterrupt,
}


def throw(error: BaseException) -> None:
    """Raise ``error``."""
    raise error


def from_future(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Have ``error`` raised by a done callback of a future."""
    future = loop.create_future()
    future.add_done_callback(lambda _: throw(error))
    future.set_result(None)


def from_handler(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Have ``error`` raised by the exception handler, called because a callback failed."""
    loop.set_exception_handler(lambda *_: throw(error))
    loop.call_soon(throw, LookupError())


def from_explicit_report(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Have ``error`` raised by the exception handler, called by a callback."""
    loop.set_exception_handler(lambda *_: throw(error))
    loop.call_soon(loop.call_exception_handler, {"message": "a report"})


PLACES: dict[str, Callable[[asyncio.AbstractEventLoop, BaseException], Any]] = {
    "call_soon": lambda loop, error: loop.call_soon(throw, error),
    "call_later(0)": lambda loop, error: loop.call_later(0, throw, error),
    "call_later": lambda loop, error: loop.call_later(0.001, throw, error),
    "call_soon_threadsafe": lambda loop, error: loop.call_soon_threadsafe(throw, error),
    "future": from_future,
    "exception handler": from_handler,
    "call_exception_handler": from_explicit_report,
}


def run_guarded(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped or left by an exception; a loop that swallows the exception is stopped."""
    guards: list[asyncio.Handle] = []

    def give_up(turns: int) -> None:
        if turns:
            guards[:] = [loop.call_soon(give_up, turns - 1)]
        else:
            loop.stop()

    guards.append(loop.call_later(0.02, give_up, 50))
    try:
        loop.run_forever()
    finally:
        guards[0].cancel()


def run_once_more(loop: asyncio.AbstractEventLoop) -> list[int]:
    """Run a chain of ten callbacks that stops the loop at its end; return those that ran."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 9 else loop.stop()

    loop.call_soon(turn, 0)
    loop.run_forever()
    return turns


@contextmanager
def watched(loop: asyncio.AbstractEventLoop, direction: str, callback: Callable[[], object]) -> Iterator[None]:
    """Watch a descriptor that is ready in ``direction`` at once and stays so."""
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")
        getattr(loop, f"add_{direction}")(here.fileno(), callback)
        yield
        getattr(loop, f"remove_{direction}")(here.fileno())


@requires("LIFE-RUN_FOREVER-14", "LIFE-RUN_FOREVER-15")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize(
    "place",
    [
        "call_soon",
        "call_later(0)",
        "call_later",
        "call_soon_threadsafe",
        "future",
        "exception handler",
        "call_exception_handler",
    ],
)
def test_an_interrupt_leaves_run_forever_unchanged(loop: asyncio.AbstractEventLoop, place: str, error: str) -> None:
    """KeyboardInterrupt and SystemExit of user code leave run_forever() as the same object; the loop runs again."""
    thrown = ERRORS[error](7)
    PLACES[place](loop, thrown)
    with raises(ERRORS[error]) as caught:
        run_guarded(loop)
    assert caught.value is thrown, "the exception that left run_forever() is another object"
    assert not loop.is_running()
    assert run_once_more(loop) == list(range(10)), "the loop does not run properly after the exception"


@requires("LIFE-RUN_FOREVER-14")
@pytest.mark.parametrize("error", ["subclass of SystemExit", "subclass of KeyboardInterrupt"])
def test_subclasses_leave_run_forever_too(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """A subclass of SystemExit or KeyboardInterrupt leaves run_forever() as well."""
    thrown = ERRORS[error]()
    loop.call_soon(throw, thrown)
    with raises(ERRORS[error]) as caught:
        run_guarded(loop)
    assert caught.value is thrown


@requires("LIFE-RUN_FOREVER-14", "LIFE-RUN_FOREVER-15")
@needs("fdwatch")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_an_interrupt_of_a_descriptor_callback(loop: asyncio.AbstractEventLoop, direction: str, error: str) -> None:
    """An interrupt raised by a reader or writer leaves the run, and the descriptor stays watched for the next one."""
    thrown = ERRORS[error]()
    calls: list[int] = []

    def callback() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            raise thrown
        loop.stop()

    with watched(loop, direction, callback):
        for _ in range(2):
            with raises(ERRORS[error]) as caught:
                run_guarded(loop)
            assert caught.value is thrown
        run_guarded(loop)
    assert calls[:3] == [0, 1, 2], "the descriptor was not watched any more after its callback had raised"


@requires("LIFE-RUN_FOREVER-14", "LIFE-RUN_FOREVER-15")
@needs("signals")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_of_a_signal_handler(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """An interrupt raised by a handler of add_signal_handler() leaves the run; the handler serves the next one."""
    thrown = ERRORS[error]()
    calls: list[int] = []

    def handler() -> None:
        calls.append(len(calls))
        throw(thrown) if len(calls) == 1 else loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    with raises(ERRORS[error]) as caught:
        run_guarded(loop)
    assert caught.value is thrown
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    run_guarded(loop)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert calls == [0, 1]


@requires("LIFE-RUN_FOREVER-14", "LIFE-RUN_FOREVER-15")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_of_a_task_leaves_run_forever(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """An interrupt raised in a task ends it with it and leaves run_forever(); other tasks go on in the next run."""
    thrown = ERRORS[error]()
    steps: list[str] = []

    async def failing() -> None:
        await asyncio.sleep(0)
        raise thrown

    async def going_on() -> None:
        for number in range(3):
            steps.append(f"step {number}")
            await asyncio.sleep(0)

    task = loop.create_task(failing())
    other = loop.create_task(going_on())
    with raises(ERRORS[error]) as caught:
        run_guarded(loop)
    assert caught.value is thrown
    assert task.done()
    assert task.exception() is thrown
    assert not other.done(), "the other task was ended by the exception"
    loop.run_until_complete(other)
    assert steps == ["step 0", "step 1", "step 2"]


@requires("LIFE-RUN_FOREVER-16")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_callbacks_behind_an_interrupt_run_next_time(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """Callbacks queued behind the one that raised are kept, in order, and those before it do not run twice."""
    order: list[object] = []
    loop.call_soon(order.append, "before")
    loop.call_soon(throw, ERRORS[error]())
    for number in range(5):
        loop.call_soon(order.append, number)
    with raises(ERRORS[error]):
        run_guarded(loop)
    loop.call_soon(order.append, "new")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["before", 0, 1, 2, 3, 4, "new"]


@requires("LIFE-RUN_FOREVER-16")
def test_several_interrupts_in_one_batch_come_out_one_a_run(loop: asyncio.AbstractEventLoop) -> None:
    """Of three callbacks that each raise KeyboardInterrupt, each leaves a run of its own, in order."""
    thrown = [KeyboardInterrupt(number) for number in range(3)]
    for error in thrown:
        loop.call_soon(throw, error)
    for error in thrown:
        with raises(KeyboardInterrupt) as caught:
            run_guarded(loop)
        assert caught.value is error
    assert run_once_more(loop) == list(range(10))


@requires("LIFE-RUN_FOREVER-16")
def test_a_cancelled_callback_behind_an_interrupt_stays_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """A callback kept over an interrupt can be cancelled between the runs."""
    order: list[str] = []
    loop.call_soon(throw, KeyboardInterrupt())
    handle = loop.call_soon(order.append, "cancelled")
    loop.call_soon(order.append, "kept")
    with raises(KeyboardInterrupt):
        run_guarded(loop)
    handle.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["kept"]


@requires("LIFE-RUN_FOREVER-16")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_timers_survive_an_interrupt_of_a_timer(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """When one of several due timers raises an interrupt, the others fire in the next run, once each and in order."""
    order: list[object] = []
    now = loop.time()
    loop.call_at(now - 0.4, order.append, "before")
    loop.call_at(now - 0.3, throw, ERRORS[error]())
    loop.call_at(now - 0.2, order.append, "due")
    loop.call_at(now - 0.1, order.append, "due later")
    loop.call_at(now + 0.005, order.append, "not yet due")
    with raises(ERRORS[error]):
        run_guarded(loop)
    loop.call_at(now + 0.01, loop.stop)
    loop.run_forever()
    assert order == ["before", "due", "due later", "not yet due"]


@requires("LIFE-RUN_FOREVER-16")
@needs("fdwatch")
def test_other_ready_descriptors_survive_an_interrupt(loop: asyncio.AbstractEventLoop) -> None:
    """When one of several ready readers raises an interrupt, the others are still served in the next run."""
    pairs = [socket.socketpair() for _ in range(5)]
    served: set[int] = set()

    def read(number: int) -> None:
        served.add(number)
        loop.remove_reader(pairs[number][0].fileno())
        if number == 2:
            raise KeyboardInterrupt

    for number, (here, there) in enumerate(pairs):
        there.send(b"x")
        loop.add_reader(here.fileno(), read, number)
    with raises(KeyboardInterrupt):
        run_guarded(loop)
    run_once_more(loop)
    for here, there in pairs:
        loop.remove_reader(here.fileno())
        here.close()
        there.close()
    assert served == {0, 1, 2, 3, 4}


@requires("LIFE-STOP-03", "LIFE-RUN_FOREVER-15")
def test_a_stop_request_does_not_outlive_an_interrupted_run(loop: asyncio.AbstractEventLoop) -> None:
    """A stop() of the batch that an exception ended is over with that run: the next run is not stopped by it."""
    loop.call_soon(loop.stop)
    loop.call_soon(throw, SystemExit())
    with raises(SystemExit):
        run_guarded(loop)
    assert run_once_more(loop) == list(range(10)), "the stop request of the interrupted run ended the next one"


@requires("LIFE-RUN_FOREVER-15")
def test_a_loop_left_by_an_exception_still_wakes_up(loop: asyncio.AbstractEventLoop) -> None:
    """After an interrupt the next run, blocked with nothing to do, is still woken by another thread."""
    loop.call_soon(throw, KeyboardInterrupt())
    with raises(KeyboardInterrupt):
        run_guarded(loop)
    for _ in range(2):
        with Background(loop.call_soon_threadsafe, loop.stop):
            loop.run_forever()


@requires("LIFE-RUN_FOREVER-15", "LIFE-CLOSE-03")
def test_a_loop_left_by_an_exception_can_be_closed(loop: asyncio.AbstractEventLoop) -> None:
    """After an interrupt the loop can be closed at once, with callbacks still queued; they do not run."""
    ran: list[str] = []
    loop.call_soon(throw, SystemExit())
    loop.call_soon(ran.append, "callback")
    loop.call_later(0, ran.append, "timer")
    with raises(SystemExit):
        run_guarded(loop)
    before = list(ran)
    loop.close()
    assert loop.is_closed()
    assert ran == before


@requires("LIFE-RUN_UNTIL_COMPLETE-16")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_as_the_coroutine_is_cancelled(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """An interrupt that leaves the run when the coroutine has just been cancelled comes out as it is."""
    thrown = ERRORS[error]("from the case")

    async def main() -> None:
        loop.call_soon(throw, thrown)
        raise asyncio.CancelledError

    with raises(ERRORS[error]) as caught:
        loop.run_until_complete(main())
    assert caught.value is thrown
    loop.call_soon(loop.stop)  # after what is left of that run
    loop.run_forever()


@requires("LIFE-RUN_UNTIL_COMPLETE-15")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_while_the_coroutine_waits(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """An interrupt that leaves the run when the coroutine is not done comes out as it is; the coroutine goes on."""
    thrown = ERRORS[error]("from the case")
    tasks: list[asyncio.Task[Any] | None] = []
    later = loop.create_future()

    async def main() -> None:
        tasks.append(asyncio.current_task())
        loop.call_soon(throw, thrown)
        await later

    with raises(ERRORS[error]) as caught:
        loop.run_until_complete(main())
    assert caught.value is thrown
    (task,) = tasks
    assert task is not None
    assert not task.done()
    later.set_result(None)
    assert loop.run_until_complete(task) is None


@requires("LIFE-RUN_FOREVER-20")
def test_an_interrupt_by_a_signal(loop: asyncio.AbstractEventLoop) -> None:
    """What a handler of signal.signal() raises for SIGINT while the loop waits leaves the run; the loop runs again."""
    running, handled = threading.Event(), threading.Event()

    def handle(*_: object) -> None:
        if not handled.is_set():
            handled.set()
            raise KeyboardInterrupt

    def kill() -> None:
        running.wait(5)
        while not handled.wait(0.01):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, handle)
    try:
        loop.call_soon(running.set)
        with Background(kill):
            run_until_interrupted(loop, KeyboardInterrupt)
        assert not loop.is_running()
        assert run_once_more(loop) == list(range(10)), "the loop does not run properly after the interrupt"
    finally:
        signal.signal(signal.SIGINT, before)
