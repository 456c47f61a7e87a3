"""The marker of the running loop and the hooks of async generators: set for a run, gone after it."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Note = Callable[..., None]


def from_future(loop: asyncio.AbstractEventLoop, note: Note) -> None:
    """Have ``note`` called as the done callback of a future."""
    future = loop.create_future()
    future.add_done_callback(note)
    future.set_result(None)


def from_task(loop: asyncio.AbstractEventLoop, note: Note) -> None:
    """Have ``note`` called by a task, before and after it was suspended."""

    async def task() -> None:
        await asyncio.sleep(0)
        note()

    loop.create_task(task())


def from_handler(loop: asyncio.AbstractEventLoop, note: Note) -> None:
    """Have ``note`` called as the exception handler."""
    loop.set_exception_handler(lambda _, context: note())
    loop.call_soon(lambda: 1 / 0)


def from_generator(loop: asyncio.AbstractEventLoop, note: Note) -> None:
    """Have ``note`` called when the loop closes an async generator that was collected."""

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            note()

    async def consume() -> None:
        async for _ in generator():
            break

    loop.create_task(consume())


PLACES: dict[str, Callable[[asyncio.AbstractEventLoop, Note], Any]] = {
    "call_soon": lambda loop, note: loop.call_soon(note),
    "call_later": lambda loop, note: loop.call_later(0.001, note),
    "call_at": lambda loop, note: loop.call_at(loop.time(), note),
    "call_soon_threadsafe": lambda loop, note: loop.call_soon_threadsafe(note),
    "future": from_future,
    "task": from_task,
    "exception handler": from_handler,
    "generator": from_generator,
}

ERRORS: dict[str, type[BaseException]] = {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}


def throw(error: BaseException) -> None:
    """Raise ``error``."""
    raise error


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


@requires("LIFE-RUN_FOREVER-10", "LIFE-IS_RUNNING-01")
@pytest.mark.parametrize(
    "place",
    [
        "call_soon",
        "call_later",
        "call_at",
        "call_soon_threadsafe",
        "future",
        "task",
        "exception handler",
        "generator",
    ],
)
def test_the_running_loop_is_this_one(loop: asyncio.AbstractEventLoop, reports: list[Any], place: str) -> None:
    """Wherever user code runs in a run, get_running_loop() is the loop object itself and is_running() is true."""
    seen: list[tuple[bool, bool, bool]] = []

    def note(*_: object) -> None:
        running = asyncio._get_running_loop()
        seen.append((running is loop, asyncio.get_event_loop() is loop, loop.is_running()))
        loop.stop()

    PLACES[place](loop, note)
    run_guarded(loop)
    assert seen, f"the callback of the {place} did not run"
    assert seen[0] == (True, True, True), "(get_running_loop() is loop, get_event_loop() is loop, is_running())"


@requires("LIFE-RUN_FOREVER-10")
@needs("fdwatch")
@pytest.mark.parametrize("direction", ["add_reader", "add_writer"])
def test_the_running_loop_in_a_descriptor_callback(loop: asyncio.AbstractEventLoop, direction: str) -> None:
    """In the callback of a watched descriptor get_running_loop() is the loop object itself."""
    here, there = socket.socketpair()
    seen: list[object] = []

    def note() -> None:
        seen.append(asyncio._get_running_loop())
        loop.remove_reader(here.fileno())
        loop.remove_writer(here.fileno())
        loop.stop()

    with here, there:
        there.send(b"x")
        getattr(loop, direction)(here.fileno(), note)
        loop.run_forever()
    assert seen == [loop]


@requires("LIFE-RUN_FOREVER-10")
@needs("signals")
def test_the_running_loop_in_a_signal_handler(loop: asyncio.AbstractEventLoop) -> None:
    """In the callback of a signal handler get_running_loop() is the loop object itself."""
    seen: list[object] = []

    def note() -> None:
        seen.append(asyncio._get_running_loop())
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, note)
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == [loop]


@requires("LIFE-RUN_FOREVER-10", "THREAD-THREAD_AFFINITY-01")
def test_other_threads_have_no_running_loop(loop: asyncio.AbstractEventLoop) -> None:
    """While the loop runs in one thread, another thread has no running loop and its own generator hooks."""
    before = sys.get_asyncgen_hooks()
    with loop_in_thread(loop):
        with raises(RuntimeError):
            asyncio.get_running_loop()
        assert sys.get_asyncgen_hooks() == before, "a run changed the hooks of another thread"


@requires("LIFE-RUN_FOREVER-11")
def test_no_running_loop_after_a_run(loop: asyncio.AbstractEventLoop) -> None:
    """After run_forever() and run_until_complete() returned the thread has no running loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()
    with raises(RuntimeError):
        asyncio.get_running_loop()
    loop.run_until_complete(asyncio.sleep(0))
    with raises(RuntimeError):
        asyncio.get_running_loop()


@requires("LIFE-RUN_FOREVER-11")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_no_running_loop_after_an_exception(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """After run_forever() was left by an exception the thread has no running loop."""
    loop.call_soon(throw, ERRORS[error]())
    with raises(ERRORS[error]):
        run_guarded(loop)
    with raises(RuntimeError):
        asyncio.get_running_loop()
    assert not loop.is_running()


@requires("LIFE-RUN_FOREVER-11")
def test_no_running_loop_after_run_until_complete_raised(loop: asyncio.AbstractEventLoop) -> None:
    """After run_until_complete() raised, be it the coroutine's error or of an early stop, no loop is running."""

    async def fail() -> None:
        raise LookupError

    with raises(LookupError):
        loop.run_until_complete(fail())
    assert asyncio._get_running_loop() is None
    loop.call_soon(loop.stop)
    with raises(RuntimeError):
        loop.run_until_complete(loop.create_future())
    assert asyncio._get_running_loop() is None


@requires("LIFE-RUN_FOREVER-12")
@pytest.mark.parametrize(
    ("before", "ending"),
    [
        ("none", "stop"),
        ("own", "stop"),
        ("only firstiter", "stop"),
        ("only finalizer", "stop"),
        ("own", "KeyboardInterrupt"),
        ("own", "SystemExit"),
        ("none", "SystemExit"),
    ],
)
def test_generator_hooks_are_restored(loop: asyncio.AbstractEventLoop, before: str, ending: str) -> None:
    """The hooks of async generators are the loop's own in a run; after it, however it ended, those from before."""

    def first(_: object) -> None:
        raise AssertionError("a hook of before the run was called for a generator of the run")

    inside: list[object] = []
    saved = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(
        first if before in ("own", "only firstiter") else None,
        first if before in ("own", "only finalizer") else None,
    )
    mine = sys.get_asyncgen_hooks()
    try:
        loop.call_soon(lambda: inside.append(sys.get_asyncgen_hooks()))
        if ending in ERRORS:
            loop.call_soon(throw, ERRORS[ending]())
            with raises(ERRORS[ending]):
                run_guarded(loop)
        else:
            loop.call_soon(loop.stop)
            loop.run_forever()
        after = sys.get_asyncgen_hooks()
    finally:
        sys.set_asyncgen_hooks(*saved)
    (hooks,) = inside
    assert hooks.firstiter is not None, "no hook for the first iteration is set in the run"  # type: ignore[attr-defined]
    assert hooks.finalizer is not None, "no finalizer hook is set in the run"  # type: ignore[attr-defined]
    assert hooks != mine, "the hooks of before the run are those of the run"
    assert after == mine, f"the hooks before the run were {mine}, after it they are {after}"


@requires("LIFE-RUN_FOREVER-12")
def test_hooks_that_user_code_sets_in_a_run_end_with_it(loop: asyncio.AbstractEventLoop) -> None:
    """Hooks that a callback sets are used for the rest of the run; after it those of before the run are back."""
    seen: list[object] = []
    before = sys.get_asyncgen_hooks()

    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        sys.set_asyncgen_hooks(firstiter=seen.append)
        generator = numbers()
        await anext(generator)
        assert seen == [generator]
        await generator.aclose()  # type: ignore[attr-defined]

    loop.run_until_complete(main())
    assert sys.get_asyncgen_hooks() == before


@requires("LIFE-RUN_FOREVER-12", "LIFE-RUN_FOREVER-04")
def test_a_refused_run_of_a_closed_loop_leaves_the_hooks(new_loop: NewLoop) -> None:
    """run_forever() refused by a closed loop neither sets hooks nor leaves its own."""
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(lambda _: None, lambda _: None)
    mine = sys.get_asyncgen_hooks()
    try:
        for argument in (None, loop.create_future()):
            with raises(Exception):
                loop.run_forever() if argument is None else loop.run_until_complete(argument)
            assert sys.get_asyncgen_hooks() == mine
    finally:
        sys.set_asyncgen_hooks(*before)


@requires("LIFE-IS_RUNNING-01")
def test_is_running_tells_runs_apart(loop: asyncio.AbstractEventLoop) -> None:
    """is_running() is False before the first run and between runs, and True in each."""
    seen = [loop.is_running()]
    for _ in range(2):
        loop.call_soon(lambda: seen.append(loop.is_running()))
        loop.call_soon(loop.stop)
        loop.call_soon(lambda: seen.append(loop.is_running()))
        loop.run_forever()
        seen.append(loop.is_running())
    assert seen == [False, True, True, False, True, True, False]


@requires("LIFE-IS_RUNNING-01")
def test_a_stop_request_alone_does_not_change_is_running(loop: asyncio.AbstractEventLoop) -> None:
    """stop() on a loop that does not run leaves is_running() False; in a callback it leaves it True."""
    seen: list[bool] = []

    def stop() -> None:
        loop.stop()
        seen.append(loop.is_running())

    loop.call_soon(stop)
    loop.run_forever()
    assert seen == [True]
    loop.stop()
    assert not loop.is_running()
    loop.run_forever()


@requires("LIFE-IS_RUNNING-02")
def test_is_running_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """is_running() asked in another thread tells whether the loop runs, wherever it does."""
    with Background(loop.is_running) as idle:
        pass
    assert idle.result is False
    with loop_in_thread(loop):
        assert loop.is_running() is True
        with Background(loop.is_running) as third:
            pass
        assert third.result is True
    assert loop.is_running() is False


@requires("LIFE-IS_RUNNING-02")
def test_is_running_of_another_loop(loop: asyncio.AbstractEventLoop, new_loop: NewLoop) -> None:
    """In a callback of one loop, is_running() of a second loop is False although a loop runs in this thread."""
    other = new_loop()
    seen: list[bool] = []
    loop.call_soon(lambda: seen.append(other.is_running()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [False]


@requires("LIFE-IS_RUNNING-02")
def test_is_running_asked_while_the_loop_starts_and_stops(loop: asyncio.AbstractEventLoop) -> None:
    """is_running() and is_closed() may be called at any moment while another thread runs the loop again and again."""
    ended = threading.Event()

    def ask() -> set[object]:
        answers: set[object] = set()
        while not ended.is_set():
            answers |= {loop.is_running(), ("closed", loop.is_closed())}
        return answers

    with Background(ask) as asking:
        for _ in range(100):
            loop.call_soon(loop.stop)
            loop.run_forever()
        ended.set()
    assert asking.result <= {True, False, ("closed", False)}
