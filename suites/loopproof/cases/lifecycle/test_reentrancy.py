"""Running a loop inside a run is refused, and the run that goes on is as it was before."""

import asyncio
import inspect
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def attempt(method: str, inner: asyncio.AbstractEventLoop, refusal: type[Exception] = Exception) -> None:
    """Try to run ``inner`` by ``method`` where a loop runs already; it must be refused with ``refusal``."""
    future = inner.create_future()
    guards = [inner.call_soon(future.set_result, None), inner.call_soon(inner.stop)]
    try:
        with raises(refusal):
            if method == "run_forever":
                inner.run_forever()
            else:
                inner.run_until_complete(future)
    finally:
        for guard in guards:
            guard.cancel()


class Untouched:
    """An awaitable that notes whether anybody asked for its iterator."""

    touched = False

    def __await__(self) -> Generator[Any, Any, None]:
        self.touched = True
        yield


@requires("LIFE-RUN_FOREVER-02")
@pytest.mark.parametrize("inside", ["callback", "task", "timer", "exception handler"])
def test_a_nested_run_forever_is_refused(loop: asyncio.AbstractEventLoop, inside: str) -> None:
    """run_forever() of the running loop raises RuntimeError wherever user code runs, and the outer run goes on."""
    errors: list[BaseException] = []

    def nested() -> None:
        loop.call_soon(loop.call_soon, loop.stop)
        try:
            loop.run_forever()
        except BaseException as error:
            errors.append(error)
        else:
            loop.call_soon(loop.stop)

    async def task() -> None:
        nested()

    if inside == "callback":
        loop.call_soon(nested)
    elif inside == "task":
        loop.create_task(task())
    elif inside == "timer":
        loop.call_later(0.001, nested)
    else:
        loop.set_exception_handler(lambda *_: nested())
        loop.call_soon(loop.call_exception_handler, {"message": "a report"})
    loop.run_forever()
    assert [type(error) for error in errors] == [RuntimeError], f"the nested run was not refused: {errors!r}"


@requires("LIFE-RUN_UNTIL_COMPLETE-12")
async def test_a_nested_run_until_complete_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    """run_until_complete() of the running loop raises RuntimeError, with a coroutine and with a future."""
    future = loop.create_future()
    with raises(RuntimeError):
        loop.run_until_complete(future)
    assert not future.done(), "the refused call touched the future"
    loop.call_soon(future.set_result, "fine")
    assert await future == "fine"


@requires("LIFE-RUN_UNTIL_COMPLETE-12", "LIFE-RUN_FOREVER-13")
@pytest.mark.parametrize("argument", ["future done before", "future done afterwards"])
def test_a_refused_run_until_complete_does_not_stop_the_outer_run(
    loop: asyncio.AbstractEventLoop, argument: str
) -> None:
    """The completion of a future whose nested run_until_complete() was refused does not stop the outer run."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < 20 else loop.stop()

    def main() -> None:
        future = loop.create_future()
        if argument == "future done before":
            future.set_result(None)
        with raises(Exception):
            loop.run_until_complete(future)
        if not future.done():
            loop.call_soon(future.set_result, None)
        turn(0)

    loop.call_soon(main)
    loop.run_forever()
    assert len(turns) == 21, f"the refused call stopped the outer run in turn {len(turns)}"


@requires("LIFE-RUN_FOREVER-03")
@pytest.mark.parametrize("outer", ["same kind", "stock asyncio"])
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
def test_another_loop_cannot_run_inside_a_run(new_loop: NewLoop, outer: str, method: str) -> None:
    """While a loop runs, no other loop can run in that thread; afterwards it can."""
    inner = new_loop()
    running = new_loop() if outer == "same kind" else asyncio.SelectorEventLoop()
    started: list[str] = []

    async def main() -> None:
        inner.call_soon(started.append, "callback of the inner loop")
        attempt(method, inner, RuntimeError)
        assert started == [], "the refused inner loop ran its callbacks"
        assert not inner.is_running()
        assert not inner.is_closed()

    try:
        running.run_until_complete(main())
    finally:
        running.close()
    inner.run_until_complete(asyncio.sleep(0))
    assert started == ["callback of the inner loop"]


@requires("LIFE-RUN_FOREVER-03", "LIFE-RUN_FOREVER-10")
def test_a_stock_loop_cannot_run_inside_a_run(loop: asyncio.AbstractEventLoop) -> None:
    """A stock asyncio loop refuses to run inside a run, because it sees the marker of the running loop."""
    stock = asyncio.SelectorEventLoop()

    async def main() -> None:
        coroutine = asyncio.sleep(0)
        with raises(RuntimeError):
            stock.run_until_complete(coroutine)
        coroutine.close()

    loop.run_until_complete(main())
    stock.close()


@requires("LIFE-RUN_FOREVER-13")
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
@pytest.mark.parametrize("inner", ["same loop", "other loop"])
def test_a_refused_run_leaves_the_running_loop_marked(new_loop: NewLoop, method: str, inner: str) -> None:
    """After a refused nested call get_running_loop() and is_running() still tell of the outer run."""
    loop = new_loop()
    nested = loop if inner == "same loop" else new_loop()

    async def main() -> None:
        attempt(method, nested)
        assert asyncio._get_running_loop() is loop, "the refused call cleared the marker of the running loop"
        assert loop.is_running(), "after the refused call the loop says that it does not run"
        assert asyncio.current_task() is task, "after the refused call the current task is another"
        attempt(method, nested)
        with raises(RuntimeError):
            loop.close()

    task = loop.create_task(main())
    loop.run_until_complete(task)
    assert not loop.is_running()


@requires("LIFE-RUN_FOREVER-13")
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
@pytest.mark.parametrize("inner", ["same loop", "other loop"])
def test_a_refused_run_leaves_the_generator_hooks(new_loop: NewLoop, method: str, inner: str) -> None:
    """After a refused nested call the generator hooks are those of the outer run, and generators are still tracked."""
    loop = new_loop()
    nested = loop if inner == "same loop" else new_loop()
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append("closed")

    async def main() -> None:
        before = sys.get_asyncgen_hooks()
        attempt(method, nested)
        assert asyncio._get_running_loop() is loop, "the refused call cleared the marker of the running loop"
        assert sys.get_asyncgen_hooks() == before, "the refused call changed the hooks of async generators"
        generator = numbers()
        assert await anext(generator) == 1
        await loop.shutdown_asyncgens()
        assert closed == ["closed"], "a generator begun after the refused call is not tracked by the loop"

    loop.run_until_complete(main())


@requires("LIFE-RUN_FOREVER-13", "LIFE-STOP-03")
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
@pytest.mark.parametrize("inner", ["same loop", "other loop"])
def test_a_refused_run_does_not_take_the_stop_request(new_loop: NewLoop, method: str, inner: str) -> None:
    """A stop() requested before a refused nested call still ends the outer run at the end of the iteration."""
    loop = new_loop()
    nested = loop if inner == "same loop" else new_loop()
    turns: list[int] = []

    def later(turn: int) -> None:
        turns.append(turn)
        if turn < 20:
            loop.call_soon(later, turn + 1)
        else:
            loop.stop()

    def main() -> None:
        loop.stop()
        attempt(method, nested)
        loop.call_soon(later, 0)

    loop.call_soon(main)
    loop.run_forever()
    assert len(turns) < 20, "the refused call swallowed the stop request of the running loop"


@requires("LIFE-RUN_FOREVER-13")
@needs("executor")
async def test_the_outer_run_works_fully_after_refused_calls(
    loop: asyncio.AbstractEventLoop, new_loop: NewLoop
) -> None:
    """After many refused nested calls the running loop still serves tasks, timers, threads and an executor."""
    other = new_loop()
    for _ in range(3):
        for method in ("run_forever", "run_until_complete"):
            attempt(method, loop)
            attempt(method, other)
    assert await asyncio.wait_for(asyncio.sleep(0.001, "slept"), 5) == "slept"
    assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
    woken = loop.create_future()
    with Background(loop.call_soon_threadsafe, woken.set_result, "woken"):
        assert await woken == "woken"


@requires("LIFE-RUN_FOREVER-18", "LIFE-RUN_FOREVER-13")
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
def test_a_loop_that_runs_in_another_thread_is_refused(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A loop that runs in one thread cannot be run in a second, and the first run goes on undisturbed."""
    seen: list[object] = []
    future = loop.create_future()
    with loop_in_thread(loop) as thread:
        with raises(RuntimeError):
            if method == "run_forever":
                loop.run_forever()
            else:
                loop.run_until_complete(future)
        assert loop.is_running(), "the refused call of another thread changed is_running()"
        with raises(RuntimeError):
            asyncio.get_running_loop()
        answered = threading.Event()

        def look() -> None:
            seen.extend((asyncio._get_running_loop(), threading.current_thread()))
            answered.set()

        loop.call_soon_threadsafe(look)
        assert answered.wait(5), "the running loop does not wake up any more"
        assert seen == [loop, thread]


@requires("LIFE-RUN_UNTIL_COMPLETE-13")
async def test_a_refused_coroutine_is_not_made_a_task(loop: asyncio.AbstractEventLoop, new_loop: NewLoop) -> None:
    """run_until_complete() refused inside a run leaves the coroutine to the caller: no task is made of it."""
    for refusing in (loop, new_loop()):
        coroutine = asyncio.sleep(0, "untouched")
        with raises(Exception):
            refusing.run_until_complete(coroutine)
        made = asyncio.all_tasks(refusing) - {asyncio.current_task()}
        for task in made:
            task.cancel()
        if made:
            await asyncio.sleep(0)
        assert not made, "the refused call had made a task already"
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
        assert await coroutine == "untouched"


@requires("LIFE-RUN_UNTIL_COMPLETE-13")
async def test_a_refused_awaitable_is_not_wrapped(loop: asyncio.AbstractEventLoop, new_loop: NewLoop) -> None:
    """A refused run_until_complete() leaves no coroutine of its own behind that nobody awaits."""
    for refusing in (loop, new_loop()):
        awaitable = Untouched()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with raises(Exception):
                refusing.run_until_complete(awaitable)
            for task in asyncio.all_tasks(refusing) - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        assert not awaitable.touched, "the awaitable of the refused call was awaited"
        texts = [str(warning.message) for warning in caught]
        assert not any("never awaited" in text for text in texts), texts
