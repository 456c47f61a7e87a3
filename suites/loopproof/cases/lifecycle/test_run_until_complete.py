"""run_until_complete: what it takes, what it returns and raises."""

import asyncio
import concurrent.futures
import traceback
import types
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from loopproof.authoring import raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Awaitable:
    """An object that is awaitable and nothing else."""

    def __init__(self, result: object) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, Any, object]:
        yield from asyncio.sleep(0).__await__()
        return self.result


class OwnFuture(asyncio.Future[Any]):
    """A subclass of Future, as libraries define."""


class OwnError(Exception):
    """An error whose constructor is no help to who would copy it."""

    def __init__(self, one: int, *, two: int) -> None:
        super().__init__("own")
        self.both = (one, two)


class OwnBaseException(BaseException):
    """An exception that is no Exception and no interrupt either."""


async def returning(result: object) -> object:
    """Return ``result`` after one turn of the loop."""
    await asyncio.sleep(0)
    return result


async def raising(error: BaseException) -> None:
    """Raise ``error`` after one turn of the loop."""
    await asyncio.sleep(0)
    raise error


async def yielding(result: object) -> AsyncIterator[object]:
    """Yield ``result`` after one turn of the loop."""
    await asyncio.sleep(0)
    yield result


@types.coroutine
def generator_based(result: object) -> Generator[Any, Any, object]:
    """Return ``result`` after one turn of the loop, as a coroutine made of a generator."""
    yield from asyncio.sleep(0).__await__()
    return result


def future_of(loop: asyncio.AbstractEventLoop, result: object) -> asyncio.Future[Any]:
    """Return a future of ``loop`` that gets ``result`` in the next run."""
    future = loop.create_future()
    loop.call_soon(future.set_result, result)
    return future


def own_future_of(loop: asyncio.AbstractEventLoop, result: object) -> asyncio.Future[Any]:
    """Return a future of a subclass that gets ``result`` in the next run."""
    future = OwnFuture(loop=loop)
    loop.call_soon(future.set_result, result)
    return future


AWAITABLES: dict[str, Callable[[asyncio.AbstractEventLoop, object], Any]] = {
    "coroutine": lambda loop, result: returning(result),
    "task": lambda loop, result: loop.create_task(returning(result)),
    "future": future_of,
    "subclass of Future": own_future_of,
    "object with __await__": lambda loop, result: Awaitable(result),
    "anext of an async generator": lambda loop, result: anext(yielding(result)),
    "coroutine made of a generator": lambda loop, result: generator_based(result),
}

ERRORS: dict[str, Callable[[], BaseException]] = {
    "LookupError": lambda: LookupError("gone"),
    "own constructor": lambda: OwnError(1, two=2),
    "GeneratorExit": GeneratorExit,
    "own BaseException": OwnBaseException,
    "StopAsyncIteration": StopAsyncIteration,
    "TimeoutError": TimeoutError,
}

NO_AWAITABLES: dict[str, Callable[[], object]] = {
    "number": lambda: 42,
    "None": lambda: None,
    "text": lambda: "text",
    "coroutine function": lambda: returning,
    "list of nothing": list,
    "async generator": lambda: yielding(1),
    "concurrent future": concurrent.futures.Future,
}


@requires("LIFE-RUN_UNTIL_COMPLETE-01", "LIFE-RUN_UNTIL_COMPLETE-04")
@pytest.mark.parametrize(
    "kind",
    [
        "coroutine",
        "task",
        "future",
        "subclass of Future",
        "object with __await__",
        "anext of an async generator",
        "coroutine made of a generator",
    ],
)
def test_every_awaitable_is_driven_to_its_result(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """run_until_complete() accepts each kind of awaitable and returns the very object that is its result."""
    result = object()
    assert loop.run_until_complete(AWAITABLES[kind](loop, result)) is result


@requires("LIFE-RUN_UNTIL_COMPLETE-01")
@pytest.mark.parametrize("result", [None, False, 0, "", "value"])
def test_results_that_are_false_are_returned(loop: asyncio.AbstractEventLoop, result: object) -> None:
    """A result that is None or false comes back as it is."""
    assert loop.run_until_complete(returning(result)) is result
    assert loop.run_until_complete(future_of(loop, result)) is result


@requires("LIFE-RUN_UNTIL_COMPLETE-01")
def test_an_exception_as_a_result_is_returned(loop: asyncio.AbstractEventLoop) -> None:
    """A coroutine that returns an exception object has it returned and not raised."""
    error = LookupError("a result")
    assert loop.run_until_complete(returning(error)) is error


@requires("LIFE-RUN_UNTIL_COMPLETE-01", "LIFE-RUN_FOREVER-09")
def test_many_calls_in_a_row_return_each_its_result(loop: asyncio.AbstractEventLoop) -> None:
    """Over 300 calls on one loop, with timers left over in between, each returns its own result."""
    timers = []
    for number in range(300):
        timers.append(loop.call_later(3600, print))
        assert loop.run_until_complete(returning(number)) == number
    for timer in timers:
        timer.cancel()


@requires("LIFE-RUN_UNTIL_COMPLETE-02")
@pytest.mark.parametrize("source", ["coroutine", "task", "future"])
@pytest.mark.parametrize(
    "error",
    ["LookupError", "own constructor", "GeneratorExit", "own BaseException", "StopAsyncIteration", "TimeoutError"],
)
def test_the_exception_itself_is_raised(loop: asyncio.AbstractEventLoop, source: str, error: str) -> None:
    """The exception that run_until_complete() raises is the very object that ended the future."""
    thrown = ERRORS[error]()
    argument: Any = raising(thrown)
    if source == "task":
        argument = loop.create_task(argument)
    elif source == "future":
        argument.close()
        argument = loop.create_future()
        loop.call_soon(argument.set_exception, thrown)
    with raises(BaseException) as caught:
        loop.run_until_complete(argument)
    assert caught.value is thrown, f"{caught.value!r} was raised"
    assert loop.run_until_complete(returning("next")) == "next"


@requires("LIFE-RUN_UNTIL_COMPLETE-02")
def test_the_traceback_leads_into_the_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    """The traceback of the exception names the function of the coroutine that raised it; its cause is kept."""
    cause = KeyError("cause")

    async def outer() -> None:
        try:
            await raising(LookupError("seen"))
        except LookupError as error:
            raise OwnError(1, two=2) from error

    cause.add_note("kept")
    with raises(OwnError) as caught:
        loop.run_until_complete(outer())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "outer" in names, f"the traceback goes through {names}"
    assert isinstance(caught.value.__cause__, LookupError)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__cause__.__traceback__)]
    assert "raising" in names


@requires("LIFE-RUN_UNTIL_COMPLETE-02")
def test_the_exception_of_a_done_future_is_raised_again_and_again(loop: asyncio.AbstractEventLoop) -> None:
    """Each call with a future that ended with an exception raises that exception."""
    thrown = LookupError()
    future = loop.create_future()
    future.set_exception(thrown)
    for _ in range(3):
        with raises(LookupError) as caught:
            loop.run_until_complete(future)
        assert caught.value is thrown


@requires("LIFE-RUN_UNTIL_COMPLETE-03")
def test_a_coroutine_becomes_a_task_of_this_loop(loop: asyncio.AbstractEventLoop) -> None:
    """A coroutine runs as the current task, which belongs to this loop and is one of all_tasks()."""

    async def look() -> tuple[object, object, bool]:
        task = asyncio.current_task()
        assert task is not None, "the coroutine does not run as a task"
        return task.get_coro(), task.get_loop(), task in asyncio.all_tasks()

    coroutine = look()
    assert loop.run_until_complete(coroutine) == (coroutine, loop, True)
    assert asyncio.all_tasks(loop) == set(), "a task is left after the call"


@requires("LIFE-RUN_UNTIL_COMPLETE-03")
def test_a_coroutine_goes_through_the_task_factory(loop: asyncio.AbstractEventLoop) -> None:
    """The task for a coroutine argument is made by the task factory of the loop; a future argument is used as it is."""
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    coroutine = returning(1)
    loop.run_until_complete(coroutine)
    assert made == [coroutine]
    loop.run_until_complete(future_of(loop, 2))
    loop.run_until_complete(asyncio.Task(returning(3), loop=loop))
    assert made == [coroutine], "a task was made of a future"


@requires("LIFE-RUN_UNTIL_COMPLETE-05")
@pytest.mark.parametrize(
    "kind",
    ["number", "None", "text", "coroutine function", "list of nothing", "async generator", "concurrent future"],
)
def test_what_is_not_awaitable_is_refused(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """An argument that is not awaitable raises TypeError, nothing runs, and the loop works on."""
    ran: list[str] = []
    handle = loop.call_soon(ran.append, "callback")
    with raises(TypeError):
        loop.run_until_complete(NO_AWAITABLES[kind]())  # type: ignore[arg-type]
    assert ran == [], "the loop ran although the argument was refused"
    assert not loop.is_running()
    handle.cancel()
    assert loop.run_until_complete(returning("next")) == "next"


@requires("LIFE-RUN_UNTIL_COMPLETE-06")
@pytest.mark.parametrize("owner", ["same kind", "stock asyncio"])
@pytest.mark.parametrize("kind", ["pending", "done", "task"])
def test_a_future_of_another_loop_is_refused(new_loop: NewLoop, owner: str, kind: str) -> None:
    """A future or task of another loop raises ValueError and stays usable on its own loop."""
    loop = new_loop()
    other = new_loop() if owner == "same kind" else asyncio.SelectorEventLoop()
    future: asyncio.Future[Any] = other.create_task(returning("own")) if kind == "task" else other.create_future()
    if kind == "done":
        future.set_result("own")
    try:
        with raises(ValueError):
            loop.run_until_complete(future)
        assert not loop.is_running()
        if kind == "pending":
            other.call_soon(future.set_result, "own")
        assert other.run_until_complete(future) == "own"
        assert loop.run_until_complete(returning("next")) == "next"
    finally:
        other.close()


@requires("LIFE-RUN_UNTIL_COMPLETE-09")
@pytest.mark.parametrize("ending", ["result", "exception", "cancelled"])
def test_a_done_future_takes_one_short_pass(loop: asyncio.AbstractEventLoop, ending: str) -> None:
    """With a future that is done already the loop runs what was queued, waits for nothing, and returns the outcome."""
    ran: list[str] = []
    future = loop.create_future()
    if ending == "result":
        future.set_result("result")
    elif ending == "exception":
        future.set_exception(LookupError())
    else:
        future.cancel()
    timer = loop.call_later(3600, ran.append, "timer")
    loop.call_soon(ran.append, "queued")
    if ending == "result":
        assert loop.run_until_complete(future) == "result"
    else:
        with raises(LookupError, asyncio.CancelledError) as caught:
            loop.run_until_complete(future)
        assert isinstance(caught.value, LookupError) == (ending == "exception")
    timer.cancel()
    assert ran == ["queued"], "a callback that was queued before the call did not run"
    assert loop.run_until_complete(returning("next")) == "next"


@requires("LIFE-RUN_UNTIL_COMPLETE-09")
def test_a_done_future_returns_its_result_again_and_again(loop: asyncio.AbstractEventLoop) -> None:
    """A finished task may be passed any number of times; each call returns its result."""
    task = loop.create_task(returning("once"))
    for _ in range(5):
        assert loop.run_until_complete(task) == "once"


@requires("LIFE-RUN_UNTIL_COMPLETE-10")
@pytest.mark.parametrize("how", ["future", "task", "coroutine cancels itself", "coroutine raises"])
def test_cancellation_is_raised(loop: asyncio.AbstractEventLoop, how: str) -> None:
    """A future or task that is cancelled while the call waits for it makes the call raise CancelledError."""

    async def cancel_myself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(3600)

    argument: Any
    if how == "future":
        argument = loop.create_future()
        loop.call_soon(argument.cancel)
    elif how == "task":
        argument = loop.create_task(asyncio.sleep(3600))
        loop.call_soon(argument.cancel)
    elif how == "coroutine cancels itself":
        argument = cancel_myself()
    else:
        argument = raising(asyncio.CancelledError())
    with raises(asyncio.CancelledError):
        loop.run_until_complete(argument)
    assert loop.run_until_complete(returning("next")) == "next"


@requires("LIFE-RUN_UNTIL_COMPLETE-10")
def test_the_message_of_a_cancellation_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    """The CancelledError that comes out carries the message that cancel() was given."""
    future = loop.create_future()
    loop.call_soon(future.cancel, "for a reason")
    with raises(asyncio.CancelledError) as caught:
        loop.run_until_complete(future)
    assert caught.value.args == ("for a reason",)
