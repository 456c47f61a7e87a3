"""shutdown_default_executor: waits for the workers, within its timeout, and ends the default executor for good."""

import asyncio
import concurrent.futures
import threading
import warnings
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Work:
    """A function for an executor that runs until it is released; ``thread`` is the worker that runs it."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self) -> str:
        """Run until released."""
        self.thread = threading.current_thread()
        self.started.set()
        self.released.wait(5)
        return "worked"

    def __enter__(self) -> "Work":
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()


def shutdown_within(loop: Any, timeout: float | None) -> Coroutine[Any, Any, None]:
    """Return the shutdown with a timeout, which Python 3.11 does not have yet."""
    shutdown: Coroutine[Any, Any, None] = loop.shutdown_default_executor(timeout=timeout)
    return shutdown


async def started(work: Work) -> None:
    """Wait until the function runs in its worker."""
    while not work.started.is_set():
        await asyncio.sleep(0)


async def release_later(work: Work, released: list[str]) -> None:
    """Release ``work`` once the loop has made a thousand turns after 20 ms: later than any timeout of these cases."""
    await asyncio.sleep(0.02)
    for _ in range(1000):
        await asyncio.sleep(0)
    released.append("released")
    work.released.set()


@contextmanager
def warnings_as_list() -> Any:
    """Record the warnings of the block."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-01")
@needs("executor")
@pytest.mark.parametrize("count", [1, 4])
async def test_all_workers_are_joined(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """When shutdown_default_executor() completes, no worker thread of the default executor is alive."""
    threads: set[threading.Thread] = set()
    together = threading.Barrier(count)

    def work() -> None:
        threads.add(threading.current_thread())
        together.wait(5)

    await asyncio.gather(*(loop.run_in_executor(None, work) for _ in range(count)))
    assert len(threads) == count
    await loop.shutdown_default_executor()
    assert [thread for thread in threads if thread.is_alive()] == []


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-01")
@needs("executor")
async def test_work_that_was_queued_is_done(loop: asyncio.AbstractEventLoop) -> None:
    """Functions that were submitted before the shutdown are all run, and their futures completed."""
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    futures = [loop.run_in_executor(None, str, number) for number in range(20)]
    await loop.shutdown_default_executor()
    assert await asyncio.wait_for(asyncio.gather(*futures), 5) == [str(number) for number in range(20)]


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-01", "LIFE-SHUTDOWN_DEFAULT_EXECUTOR-05")
@needs("executor")
async def test_the_shutdown_waits_for_running_work(loop: asyncio.AbstractEventLoop) -> None:
    """The shutdown is not complete while a function runs; meanwhile tasks, timers and callbacks go on."""
    with Work() as work:
        future = loop.run_in_executor(None, work)
        await started(work)
        shutdown = loop.create_task(loop.shutdown_default_executor())
        turns: list[int] = []
        for number in range(50):
            await asyncio.sleep(0)
            loop.call_soon(turns.append, number)
        await asyncio.sleep(0.002)
        assert turns == list(range(50))
        assert not shutdown.done(), "the shutdown completed while a function runs in the executor"
        work.released.set()
        await shutdown
        assert work.thread is not None
        assert not work.thread.is_alive(), "the worker lives on after the shutdown completed"
        assert await future == "worked"


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-02")
@needs("executor")
@pytest.mark.parametrize("used", [False, True])
async def test_the_default_executor_cannot_be_used_after_the_shutdown(
    loop: asyncio.AbstractEventLoop, used: bool
) -> None:
    """After the shutdown run_in_executor(None, ...) raises RuntimeError, also if no default executor was ever used."""
    called: list[int] = []
    if used:
        await loop.run_in_executor(None, int)
    await loop.shutdown_default_executor()
    for _ in range(2):
        with raises(RuntimeError):
            await loop.run_in_executor(None, called.append, 1)
    assert called == []


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-02")
@needs("executor")
async def test_the_default_executor_cannot_be_used_during_the_shutdown(loop: asyncio.AbstractEventLoop) -> None:
    """While the shutdown waits, run_in_executor(None, ...) raises RuntimeError already."""
    with Work() as work:
        loop.run_in_executor(None, work)
        await started(work)
        shutdown = loop.create_task(loop.shutdown_default_executor())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with raises(RuntimeError):
            await loop.run_in_executor(None, int)
        work.released.set()
        await shutdown


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-03")
@needs("executor")
async def test_an_explicit_executor_works_on(loop: asyncio.AbstractEventLoop) -> None:
    """An executor passed to run_in_executor() is not shut down and can be used after the shutdown."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        assert await loop.run_in_executor(executor, int, "1") == 1
        await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()
        assert await loop.run_in_executor(executor, int, "2") == 2


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-04")
async def test_without_an_executor_the_shutdown_completes(loop: asyncio.AbstractEventLoop) -> None:
    """The shutdown of a loop that never used its default executor returns None and warns of nothing."""
    with warnings_as_list() as caught:
        assert await loop.shutdown_default_executor() is None  # type: ignore[func-returns-value]
    assert [str(warning.message) for warning in caught] == []


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-04")
@needs("executor")
@pytest.mark.parametrize("used", [False, True])
def test_the_shutdown_may_be_repeated(loop: asyncio.AbstractEventLoop, used: bool) -> None:
    """shutdown_default_executor() may be awaited again, in the same run and a later one, and close() follows."""
    if used:
        loop.run_until_complete(loop.run_in_executor(None, int))

    async def twice() -> None:
        await loop.shutdown_default_executor()
        await loop.shutdown_default_executor()

    loop.run_until_complete(twice())
    loop.run_until_complete(twice())
    loop.close()


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-06")
@needs("executor")
async def test_the_shutdown_without_limit_waits_long(loop: asyncio.AbstractEventLoop) -> None:
    """With timeout=None the shutdown waits for a function that runs on, without a warning."""
    released: list[str] = []
    with Work() as work, warnings_as_list() as caught:
        loop.run_in_executor(None, work)
        await started(work)
        release = loop.create_task(release_later(work, released))
        await shutdown_within(loop, None)
        assert released == ["released"], "the shutdown without limit returned while a function runs"
        await release
    assert [str(warning.message) for warning in caught] == []


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-06")
@needs("executor")
@pytest.mark.parametrize("timeout", [3600, 1e9, None])
async def test_a_timeout_that_suffices_changes_nothing(loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
    """With a timeout that does not expire the workers are joined and no warning is issued."""
    worker = await loop.run_in_executor(None, threading.current_thread)
    with warnings_as_list() as caught:
        await shutdown_within(loop, timeout)
    assert not worker.is_alive()
    assert [str(warning.message) for warning in caught] == []


async def expire(loop: asyncio.AbstractEventLoop, timeout: float) -> None:
    """Shut down with a function that runs on for longer than ``timeout``; check what is asked of that."""
    released: list[str] = []
    with Work() as work:
        future = loop.run_in_executor(None, work)
        await started(work)
        release = loop.create_task(release_later(work, released))
        with warnings_as_list() as caught:
            await shutdown_within(loop, timeout)
        assert released == [], "the shutdown returned only after the function had ended, whatever its timeout"
        assert work.thread is not None
        assert work.thread.is_alive(), "the loop was blocked until the function had ended, whatever the timeout"
        assert [warning.category for warning in caught] == [RuntimeWarning]
        with raises(RuntimeError):
            await loop.run_in_executor(None, int)
        await release
        assert await future == "worked"


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-06", "LIFE-SHUTDOWN_DEFAULT_EXECUTOR-07")
@needs("executor")
@pytest.mark.parametrize("timeout", [0.005, 1e-9])
async def test_a_timeout_that_expires_warns_and_returns(loop: asyncio.AbstractEventLoop, timeout: float) -> None:
    """With a function that runs on, the shutdown returns after the timeout and issues a RuntimeWarning."""
    await expire(loop, timeout)


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-09")
@needs("executor")
@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_timeout_of_zero_or_less_expires_at_once(loop: asyncio.AbstractEventLoop, timeout: float) -> None:
    """With a function that runs on, a timeout of zero or less lets the shutdown return at once, with the warning."""
    await expire(loop, timeout)


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-08")
@needs("executor")
async def test_the_loop_is_not_blocked_while_the_timeout_elapses(loop: asyncio.AbstractEventLoop) -> None:
    """Timers and tasks of the loop go on while the shutdown waits for its timeout."""
    released: list[str] = []
    turns: list[int] = []
    with Work() as work:
        loop.run_in_executor(None, work)
        await started(work)
        release = loop.create_task(release_later(work, released))
        with warnings_as_list():
            shutdown = loop.create_task(shutdown_within(loop, 0.005))
            while not shutdown.done():
                turns.append(len(turns))
                await asyncio.sleep(0)
            await shutdown
        assert released == [], "the shutdown did not honour its timeout"
        assert len(turns) >= 3, f"the loop made {len(turns)} turns while the shutdown waited 5 ms"
        await release


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-07")
@needs("executor")
def test_the_loop_can_be_closed_after_a_timeout(new_loop: NewLoop) -> None:
    """After an expired shutdown the loop can be closed while the function still runs; nothing fails later."""
    loop = new_loop()
    released: list[str] = []
    with Work() as work:

        async def main() -> None:
            loop.run_in_executor(None, work)
            await started(work)
            release = loop.create_task(release_later(work, released))
            with warnings_as_list():
                await shutdown_within(loop, 0.005)
            assert released == [], "the shutdown did not honour its timeout"
            release.cancel()

        loop.run_until_complete(main())
        loop.close()
        assert loop.is_closed()


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-01", "LIFE-CLOSE-17")
def test_the_shutdown_of_a_closed_loop_completes(new_loop: NewLoop) -> None:
    """shutdown_default_executor() of a closed loop, run by another loop, completes."""
    loop, other = new_loop(), new_loop()
    loop.close()
    assert other.run_until_complete(loop.shutdown_default_executor()) is None


class Failing(concurrent.futures.ThreadPoolExecutor):
    """An executor whose first shutdown fails when all is done."""

    failed = False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut down."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError("from the case")


@requires("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-11")
@needs("executor")
async def test_an_executor_whose_shutdown_fails(loop: asyncio.AbstractEventLoop) -> None:
    """What the shutdown() of the executor raises comes out of shutdown_default_executor()."""
    loop.set_default_executor(Failing(1))
    assert await loop.run_in_executor(None, int, "1") == 1
    with raises(ZeroDivisionError):
        await loop.shutdown_default_executor()
