"""run_coroutine_threadsafe: a coroutine from another thread, its outcome, its cancellation."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable

import pytest

from loopproof.authoring import loop_in_thread, raises, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("THREAD-RUN_COROUTINE_THREADSAFE-01")
def test_the_result_comes_back_to_the_submitting_thread(new_loop: Factory) -> None:
    """The concurrent future gets what the coroutine returned, and the coroutine ran in the loop's thread."""
    loop = new_loop()

    async def work() -> tuple[int, bool]:
        await asyncio.sleep(0)
        return threading.get_ident(), asyncio.get_running_loop() is loop

    with loop_in_thread(loop) as thread:
        future = asyncio.run_coroutine_threadsafe(work(), loop)
        assert isinstance(future, concurrent.futures.Future)
        assert future.result() == (thread.ident, True)


@requires("THREAD-RUN_COROUTINE_THREADSAFE-01")
@pytest.mark.parametrize("kind", ["ValueError", "StopAsyncIteration", "CancelledError"])
def test_the_exception_comes_back_to_the_submitting_thread(new_loop: Factory, kind: str) -> None:
    """The concurrent future gets the exception that the coroutine raised; the loop goes on."""
    loop = new_loop()
    kinds: dict[str, type[BaseException]] = {
        "ValueError": ValueError,
        "StopAsyncIteration": StopAsyncIteration,
        "CancelledError": asyncio.CancelledError,
    }

    async def work(fails: bool) -> str:
        await asyncio.sleep(0)
        if fails:
            raise kinds[kind]("by the coroutine")
        return "fine"

    with loop_in_thread(loop):
        failing = asyncio.run_coroutine_threadsafe(work(True), loop)
        expected = concurrent.futures.CancelledError if kind == "CancelledError" else kinds[kind]
        with raises(expected):
            failing.result()
        assert asyncio.run_coroutine_threadsafe(work(False), loop).result() == "fine"


@requires("THREAD-RUN_COROUTINE_THREADSAFE-01")
def test_many_threads_submit_coroutines_at_once(new_loop: Factory) -> None:
    """Each of eight threads gets the results of its own fifty coroutines."""
    loop = new_loop()

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    def submit(thread: int) -> list[int]:
        futures = [asyncio.run_coroutine_threadsafe(work(thread * 50 + number), loop) for number in range(50)]
        return [future.result() for future in futures]

    with loop_in_thread(loop), concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert [number for numbers in threads.map(submit, range(8)) for number in numbers] == list(range(400))


@requires("THREAD-RUN_COROUTINE_THREADSAFE-01")
def test_a_coroutine_submitted_before_the_run_is_run_by_it(new_loop: Factory) -> None:
    """What was submitted to a loop that is not running yet starts with the loop."""
    loop = new_loop()

    async def work() -> str:
        return "ran"

    future = asyncio.run_coroutine_threadsafe(work(), loop)
    assert not future.done()
    with loop_in_thread(loop):
        assert future.result() == "ran"


@requires("THREAD-RUN_COROUTINE_THREADSAFE-02")
def test_cancelling_the_future_cancels_the_task(new_loop: Factory) -> None:
    """A coroutine that waits gets CancelledError in the loop's thread when the concurrent future is cancelled."""
    loop = new_loop()
    started, ended = threading.Event(), threading.Event()
    seen: list[int] = []

    async def work() -> None:
        started.set()
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            seen.append(threading.get_ident())
            raise
        finally:
            ended.set()

    with loop_in_thread(loop) as thread:
        future = asyncio.run_coroutine_threadsafe(work(), loop)
        started.wait()
        assert future.cancel()
        ended.wait()
        assert seen == [thread.ident]
        with raises(concurrent.futures.CancelledError):
            future.result()


@requires("THREAD-RUN_COROUTINE_THREADSAFE-03")
def test_a_future_cancelled_before_the_loop_saw_it_leaves_no_task(new_loop: Factory) -> None:
    """Cancelled before the loop had a turn, the coroutine does not go on to run."""
    loop = new_loop()
    ran: list[bool] = []

    async def work() -> None:
        await asyncio.sleep(0)
        ran.append(True)

    future = asyncio.run_coroutine_threadsafe(work(), loop)
    future.cancel()
    loop.run_until_complete(asyncio.sleep(0.001))
    assert not asyncio.all_tasks(loop)
    assert not ran, "the cancelled coroutine ran"
