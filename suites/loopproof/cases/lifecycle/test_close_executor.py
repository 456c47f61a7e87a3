"""close and the default executor: shut down, not waited for."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Noting(concurrent.futures.ThreadPoolExecutor):
    """An executor that notes how it was shut down."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.waits: list[bool] = []

    def shutdown(self, wait: bool = True, **options: Any) -> None:
        """Note the call and do it."""
        self.waits.append(wait)
        super().shutdown(wait, **options)


@requires("LIFE-CLOSE-04")
@needs("executor")
def test_close_does_not_wait_for_work(new_loop: NewLoop) -> None:
    """close() returns while a function still runs in the default executor; its thread ends with the function."""
    loop = new_loop()
    started, gate = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        started.set()
        gate.wait(3)

    async def main() -> None:
        loop.run_in_executor(None, work)
        while not started.is_set():
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    loop.close()
    assert loop.is_closed()
    assert not gate.is_set()
    assert threads[0].is_alive(), "the work was done with when close() returned"
    gate.set()
    threads[0].join(5)
    assert not threads[0].is_alive(), "the worker thread lives on after its work, the executor was not shut down"


@requires("LIFE-CLOSE-04")
@needs("executor")
def test_close_ends_idle_workers(new_loop: NewLoop) -> None:
    """Idle worker threads of the default executor end after close()."""
    loop = new_loop()
    (worker,) = {loop.run_until_complete(loop.run_in_executor(None, threading.current_thread))}
    loop.close()
    worker.join(5)
    assert not worker.is_alive(), "a worker thread of the default executor lives on after close()"


@requires("LIFE-CLOSE-04")
@needs("executor")
def test_close_shuts_an_executor_set_by_the_user_down(new_loop: NewLoop) -> None:
    """An executor given to set_default_executor() is shut down by close(), without waiting, and once only."""
    loop = new_loop()
    executor = Noting()
    loop.set_default_executor(executor)
    assert loop.run_until_complete(loop.run_in_executor(None, int, "7")) == 7
    loop.close()
    loop.close()
    assert executor.waits == [False]
    with raises(RuntimeError):
        executor.submit(int)


@requires("LIFE-CLOSE-04")
@needs("executor")
def test_close_leaves_other_executors_alone(new_loop: NewLoop) -> None:
    """An executor that was passed to run_in_executor() explicitly works on after close()."""
    loop = new_loop()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        assert loop.run_until_complete(loop.run_in_executor(executor, int, "7")) == 7
        loop.close()
        assert executor.submit(int, "8").result(5) == 8


@requires("LIFE-CLOSE-04", "FUT-WRAP_FUTURE-03")
@needs("executor")
@pytest.mark.parametrize("outcome", ["result", "exception"])
def test_work_that_ends_after_close_harms_nobody(new_loop: NewLoop, logged: list[Any], outcome: str) -> None:
    """The outcome of a function that ends after close() is dropped without an error in the worker or a report."""
    loop = new_loop()
    started, gate = threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        gate.wait(3)
        if outcome == "exception":
            raise LookupError
        return "late"

    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    future = loop.run_in_executor(None, work)
    assert started.wait(5)
    loop.close()
    gate.set()
    executor.shutdown(wait=True)
    assert not future.done(), "a future of the closed loop was completed"
    assert [record.getMessage() for record in logged if record.levelno > 20] == []
