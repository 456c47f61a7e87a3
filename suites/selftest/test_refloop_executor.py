"""refloop's run_in_executor(): how the future ends, and what its cancellation does; stock asyncio beside it."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import pytest
from recorders import DEADLINE, LOOPS, Reports, run

both = pytest.mark.parametrize("loop", LOOPS)


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise error

    return function


@both
def test_arguments_and_result(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        assert await running.run_in_executor(None, lambda *args: args, 1, [2]) == (1, [2])
        with concurrent.futures.ThreadPoolExecutor() as executor:
            future = running.run_in_executor(executor, threading.get_ident)
            assert isinstance(future, asyncio.Future)
            assert future.get_loop() is running
            assert await future != threading.get_ident()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LookupError("text"), LookupError),
        (TimeoutError("text"), TimeoutError),
        (KeyboardInterrupt("text"), KeyboardInterrupt),
        (concurrent.futures.CancelledError("text"), asyncio.CancelledError),
        (concurrent.futures.InvalidStateError("text"), asyncio.InvalidStateError),
        (concurrent.futures.BrokenExecutor("text"), concurrent.futures.BrokenExecutor),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_the_function_raises(loop: str, error: BaseException, kind: type[BaseException]) -> None:
    async def scene(_: Reports) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, raising(error))
        await asyncio.wait([future])
        raised = future.exception()
        assert type(raised) is kind
        assert str(raised) == "text"

    assert run(loop, scene) == []


@both
def test_what_cannot_be_raised_into_a_future(loop: str) -> None:
    """StopIteration is refused, in the way of this version of Python."""

    async def scene(reports: Reports) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, raising(StopIteration()))
        while not reports and not future.done():
            await asyncio.sleep(0.001)
        if future.done():
            assert isinstance(future.exception(), RuntimeError)
        else:
            assert [type(report["exception"]) for report in reports] == [TypeError]
            reports.clear()

    assert run(loop, scene) == []


@both
def test_a_call_that_waits_is_cancelled_with_its_future(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        go, calls = threading.Event(), []
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            first = running.run_in_executor(executor, go.wait, DEADLINE)
            second = running.run_in_executor(executor, calls.append, "called")
            second.cancel()
            await asyncio.sleep(0)
            go.set()
            assert await first
            with pytest.raises(asyncio.CancelledError):
                await second
        assert calls == []

    assert run(loop, scene) == []


@both
def test_a_call_that_runs_goes_on_without_its_future(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        begun, go = threading.Event(), threading.Event()

        def function() -> bool:
            begun.set()
            return go.wait(DEADLINE)

        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            future = running.run_in_executor(executor, function)
            assert begun.wait(DEADLINE)
            future.cancel()
            await asyncio.sleep(0)
            go.set()
            assert await running.run_in_executor(executor, int) == 0
        assert future.cancelled()

    assert run(loop, scene) == []


@both
def test_an_executor_that_drops_its_calls_cancels_their_futures(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        begun, go = threading.Event(), threading.Event()
        executor = concurrent.futures.ThreadPoolExecutor(1)
        first = running.run_in_executor(executor, lambda: begun.set() or go.wait(DEADLINE))
        second = running.run_in_executor(executor, int)
        assert begun.wait(DEADLINE)
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await second
        assert second.cancelled()
        go.set()
        assert await first

    assert run(loop, scene) == []


class OtherFuture(concurrent.futures.Future[Any]):
    """What an executor may have of its own."""


class OtherExecutor(concurrent.futures.Executor):
    """Calls at once, and answers with a future of any kind, which is done."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = self.make()
        future.set_result(function(*args, **kwargs))
        return future


@both
@pytest.mark.parametrize("kind", ["plain", "derived", "asyncio"])
def test_other_executors(loop: str, kind: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        makes: dict[str, Callable[[], Any]] = {
            "plain": concurrent.futures.Future,
            "derived": OtherFuture,
            "asyncio": running.create_future,
        }
        future = running.run_in_executor(OtherExecutor(makes[kind]), int, "7")
        assert isinstance(future, asyncio.Future)
        assert await future == 7

    assert run(loop, scene) == []


@both
def test_a_loop_that_is_closed_before_the_call_ends(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told, and nothing is logged."""
    running = LOOPS[loop]()
    go = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        future = running.run_in_executor(executor, go.wait, DEADLINE)
        running.close()
        go.set()
    assert not future.done()
    assert caplog.records == []
