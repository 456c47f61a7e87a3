"""run_until_complete: how it ends the run, and what the end leaves for later runs."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]

INTERRUPTS: dict[str, type[BaseException]] = {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}


def throw(error: BaseException) -> None:
    """Raise ``error``."""
    raise error


async def raising(error: BaseException) -> None:
    """Raise ``error`` after one turn of the loop."""
    await asyncio.sleep(0)
    raise error


def run_chain(loop: asyncio.AbstractEventLoop, length: int = 10) -> list[int]:
    """Run a chain of callbacks, each scheduling the next, that stops the loop at its end; return those that ran."""
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        loop.call_soon(turn, number + 1) if number < length - 1 else loop.stop()

    loop.call_soon(turn, 0)
    loop.run_forever()
    return turns


def run_guarded(loop: asyncio.AbstractEventLoop, argument: Any) -> Any:
    """Run the loop with ``argument``; a loop that swallows an interrupt is stopped."""
    guards: list[asyncio.Handle] = []

    def give_up(turns: int) -> None:
        if turns:
            guards[:] = [loop.call_soon(give_up, turns - 1)]
        else:
            loop.stop()

    guards.append(loop.call_later(0.02, give_up, 50))
    try:
        return loop.run_until_complete(argument)
    finally:
        guards[0].cancel()


@requires("LIFE-RUN_UNTIL_COMPLETE-07", "LIFE-RUN_UNTIL_COMPLETE-08")
@pytest.mark.parametrize("when", ["before the call", "queued before the call", "in the run"])
def test_an_early_stop_is_an_error_and_leaves_the_future_pending(loop: asyncio.AbstractEventLoop, when: str) -> None:
    """A run stopped before the future is done raises RuntimeError; the future stays pending and serves later."""
    future = loop.create_future()
    if when == "before the call":
        loop.stop()
    elif when == "queued before the call":
        loop.call_soon(loop.stop)
    else:
        loop.call_soon(loop.call_soon, loop.stop)
    with raises(RuntimeError):
        loop.run_until_complete(future)
    assert not future.done(), "the early stop ended the future"
    loop.call_soon(future.set_result, "later")
    assert loop.run_until_complete(future) == "later"


@requires("LIFE-RUN_UNTIL_COMPLETE-08")
def test_a_task_goes_on_after_an_early_stop(loop: asyncio.AbstractEventLoop) -> None:
    """A task whose run was stopped early goes on where it was in the next run, without being cancelled."""
    steps: list[str] = []
    resume = loop.create_future()

    async def work() -> str:
        steps.append("started")
        loop.stop()
        try:
            steps.append(await resume)
        except BaseException as error:
            steps.append(repr(error))
            raise
        return "finished"

    task = loop.create_task(work())
    with raises(RuntimeError):
        loop.run_until_complete(task)
    assert steps == ["started"]
    assert run_chain(loop) == list(range(10))
    resume.set_result("resumed")
    assert loop.run_until_complete(task) == "finished"
    assert steps == ["started", "resumed"]


@requires("LIFE-RUN_UNTIL_COMPLETE-08")
def test_the_task_of_a_coroutine_is_kept_after_an_early_stop(loop: asyncio.AbstractEventLoop) -> None:
    """The task that was made of a coroutine is pending after an early stop and can be found and finished."""
    gate = loop.create_future()

    async def work() -> str:
        loop.stop()
        return str(await gate)

    with raises(RuntimeError):
        loop.run_until_complete(work())
    (task,) = asyncio.all_tasks(loop)
    gate.set_result("found")
    assert loop.run_until_complete(task) == "found"


@requires("LIFE-RUN_UNTIL_COMPLETE-09", "LIFE-RUN_UNTIL_COMPLETE-01")
def test_a_stop_in_the_batch_of_the_completion_does_no_harm(loop: asyncio.AbstractEventLoop) -> None:
    """If the future completes in the batch in which stop() is called, its result is returned."""
    future = loop.create_future()
    loop.call_soon(loop.stop)
    loop.call_soon(future.set_result, "in time")
    assert loop.run_until_complete(future) == "in time"


@requires("LIFE-RUN_UNTIL_COMPLETE-14")
def test_a_later_completion_does_not_stop_a_later_run(loop: asyncio.AbstractEventLoop) -> None:
    """A future left pending by an early stop, completing in a later run, does not end that run."""
    future = loop.create_future()
    for _ in range(3):
        loop.call_soon(loop.stop)
        with raises(RuntimeError):
            loop.run_until_complete(future)
    loop.call_soon(future.set_result, None)
    assert run_chain(loop, 20) == list(range(20)), "the completion of the old future stopped the new run"
    assert loop.run_until_complete(asyncio.sleep(0, "another")) == "another"


@requires("LIFE-RUN_UNTIL_COMPLETE-14")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_a_completion_after_an_interrupted_run_does_not_stop_a_later_one(
    loop: asyncio.AbstractEventLoop, error: str
) -> None:
    """A future whose run was left by an interrupt, completing in a later run, does not end that run."""
    future = loop.create_future()
    loop.call_soon(throw, INTERRUPTS[error]())
    with raises(INTERRUPTS[error]):
        run_guarded(loop, future)
    loop.call_soon(future.set_result, None)
    assert run_chain(loop, 20) == list(range(20)), "the completion of the old future stopped the new run"


@requires("LIFE-RUN_UNTIL_COMPLETE-14")
def test_callbacks_of_the_user_on_the_future_are_kept(loop: asyncio.AbstractEventLoop) -> None:
    """Done callbacks that the user added before and between calls are called once, at completion."""
    called: list[str] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: called.append("first"))
    loop.call_soon(loop.stop)
    with raises(RuntimeError):
        loop.run_until_complete(future)
    future.add_done_callback(lambda _: called.append("second"))
    loop.call_soon(future.set_result, None)
    loop.run_until_complete(future)
    run_chain(loop)
    assert called == ["first", "second"]


@requires("LIFE-RUN_UNTIL_COMPLETE-15")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("kind", ["coroutine", "task"])
def test_an_interrupt_of_the_task_is_raised(loop: asyncio.AbstractEventLoop, kind: str, error: str) -> None:
    """A task that ends with an interrupt makes the call raise that very object, and the next run is not stopped."""
    thrown = INTERRUPTS[error]()
    argument: Any = raising(thrown)
    if kind == "task":
        argument = loop.create_task(argument)
    with raises(INTERRUPTS[error]) as caught:
        run_guarded(loop, argument)
    assert caught.value is thrown
    assert run_chain(loop, 20) == list(range(20)), "a stop request was left over for the next run"


@requires("LIFE-RUN_UNTIL_COMPLETE-15")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_the_task_of_an_interrupted_call_can_be_passed_again(loop: asyncio.AbstractEventLoop, error: str) -> None:
    """A pending task whose run an interrupt of somebody else left is completed by the next call."""
    gate = loop.create_future()

    async def work() -> object:
        return await gate

    task = loop.create_task(work())
    loop.call_soon(throw, INTERRUPTS[error]())
    with raises(INTERRUPTS[error]):
        run_guarded(loop, task)
    assert not task.done()
    loop.call_soon(gate.set_result, "done")
    assert loop.run_until_complete(task) == "done"


@requires("LIFE-RUN_UNTIL_COMPLETE-16")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_of_the_internal_task_is_not_reported_again(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], error: str
) -> None:
    """The exception of a task made of a coroutine, once raised, is not reported as never retrieved."""
    with raises(INTERRUPTS[error]):
        run_guarded(loop, raising(INTERRUPTS[error]()))
    run_chain(loop)
    gc.collect()
    assert reports == []


@requires("LIFE-RUN_UNTIL_COMPLETE-16")
def test_an_error_overtaken_by_an_interrupt_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """If an interrupt leaves the run in the batch in which the internal task failed, its error is not reported."""

    async def work() -> None:
        loop.call_soon(throw, KeyboardInterrupt())
        raise LookupError

    with raises(KeyboardInterrupt):
        run_guarded(loop, work())
    run_chain(loop)
    gc.collect()
    assert reports == []


@requires("LIFE-RUN_UNTIL_COMPLETE-16")
def test_an_error_that_was_raised_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """An error that run_until_complete() raised is not reported as never retrieved."""
    with raises(LookupError):
        loop.run_until_complete(raising(LookupError()))
    run_chain(loop)
    gc.collect()
    assert reports == []


@requires("LIFE-RUN_UNTIL_COMPLETE-17")
def test_an_internal_task_left_pending_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """The task made of a coroutine, left pending by an early stop, is destroyed without a report."""

    async def work() -> None:
        await asyncio.Future(loop=loop)

    loop.call_soon(loop.call_soon, loop.stop)
    with raises(RuntimeError):
        loop.run_until_complete(work())
    assert len(asyncio.all_tasks(loop)) == 1
    gc.collect()
    assert asyncio.all_tasks(loop) == set(), "the loop keeps the pending task alive"
    assert reports == []


@requires("LIFE-RUN_UNTIL_COMPLETE-18")
def test_the_batch_of_the_completion_is_finished(loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks that are ready together with the completion callback of the future run before the call returns."""
    ran: list[str] = []
    future = loop.create_future()

    def complete() -> None:
        future.set_result("result")
        loop.call_soon(ran.append, "ready in the same batch")

    loop.call_soon(complete)
    assert loop.run_until_complete(future) == "result"
    assert ran == ["ready in the same batch"]


@requires("LIFE-RUN_UNTIL_COMPLETE-18")
def test_done_callbacks_run_before_the_call_returns(loop: asyncio.AbstractEventLoop) -> None:
    """Done callbacks of the future, also those added after the call's own, run before the call returns."""
    ran: list[int] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: ran.append(0))
    loop.call_soon(future.add_done_callback, lambda _: ran.append(1))
    loop.call_soon(future.set_result, None)
    loop.run_until_complete(future)
    assert ran == [0, 1]


@requires("LIFE-RUN_UNTIL_COMPLETE-11")
def test_a_closed_loop_refuses(new_loop: NewLoop) -> None:
    """run_until_complete() on a closed loop raises RuntimeError, also with a future that is done."""
    loop = new_loop()
    pending, done = loop.create_future(), loop.create_future()
    done.set_result(1)
    loop.close()
    for future in (pending, done):
        with raises(RuntimeError):
            loop.run_until_complete(future)
    assert not loop.is_running()
    assert not pending.done()
