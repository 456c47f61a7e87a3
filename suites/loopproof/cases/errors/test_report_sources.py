"""Where reports come from: each kind of callback, with the documented keys, once, while the loop goes on."""

import asyncio
import concurrent.futures
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from loopproof.authoring import Background, needs, requires

Report = dict[str, Any]
Loop = asyncio.AbstractEventLoop

KEYS = {
    "message", "exception", "future", "task", "handle", "protocol", "transport", "socket", "asyncgen",
    "source_traceback", "handle_traceback",
}  # fmt: skip


class Special(BaseException):
    """Derived from BaseException as few are."""


ERRORS: dict[str, type[BaseException]] = {
    "Exception": ZeroDivisionError,
    "StopIteration": StopIteration,
    "CancelledError": asyncio.CancelledError,
    "BaseException": Special,
}

SCHEDULERS: dict[str, Callable[[Loop, Callable[[], None]], Any]] = {
    "call_soon": lambda loop, callback: loop.call_soon(callback),
    "call_later": lambda loop, callback: loop.call_later(0.001, callback),
    "call_later(0)": lambda loop, callback: loop.call_later(0, callback),
    "call_at": lambda loop, callback: loop.call_at(loop.time() + 0.001, callback),
    "call_soon_threadsafe": lambda loop, callback: loop.call_soon_threadsafe(callback),
}


def failing(kind: str = "Exception") -> Callable[[], None]:
    """Make a callback that raises."""

    def fail() -> None:
        raise ERRORS[kind]("from the case")

    return fail


async def settle(future: "asyncio.Future[Any]") -> bool:
    """Let the loop poll until the future is done, some hundred times at most; tell whether it is."""
    for _ in range(300):
        if future.done():
            break
        await asyncio.sleep(0.001)
    return future.done()


def taken(reports: list[Report]) -> Report:
    """Take the one report, which must be made as documented."""
    contexts = list(reports)
    reports.clear()
    assert len(contexts) == 1, f"one report was expected, there are {len(contexts)}: {contexts}"
    context = contexts[0]
    assert isinstance(context, dict)
    assert set(context) <= KEYS, f"keys that are not documented: {set(context) - KEYS}"
    assert isinstance(context.get("message"), str), f"the report has no message: {context}"
    assert context["message"]
    return context


@requires("ERR-CALL_EXCEPTION_HANDLER-05")
@pytest.mark.parametrize("source", sorted(SCHEDULERS))
@pytest.mark.parametrize("kind", sorted(ERRORS))
async def test_callbacks(loop: Loop, reports: list[Report], source: str, kind: str) -> None:
    """A failing callback is reported once, with message, exception and the handle that the scheduling returned."""
    done = loop.create_future()
    handle = SCHEDULERS[source](loop, failing(kind))
    loop.call_later(0.003, done.set_result, None)
    await done
    context = taken(reports)
    assert isinstance(context["exception"], ERRORS[kind])
    assert context["exception"].__traceback__ is not None, "the exception has no traceback"
    assert context["handle"] is handle, f"the report names {context['handle']!r}, scheduled was {handle!r}"


@requires("ERR-CALL_EXCEPTION_HANDLER-13")
async def test_callbacks_from_another_thread(loop: Loop, reports: list[Report]) -> None:
    """A callback that another thread scheduled fails in the thread of the loop, and is reported there."""
    done = loop.create_future()
    with Background(loop.call_soon_threadsafe, failing()):
        loop.call_later(0.003, done.set_result, None)
        await done
    assert isinstance(taken(reports)["exception"], ZeroDivisionError)


@requires("ERR-CALL_EXCEPTION_HANDLER-13", "FD-ADD_READER-12")
@needs("fdwatch")
@pytest.mark.parametrize("kind", ["reader", "writer"])
async def test_readers_and_writers(loop: Loop, reports: list[Report], kind: str) -> None:
    """A failing reader or writer callback is reported each time, and the watch goes on."""
    here, there = socket.socketpair()
    done = loop.create_future()
    calls = 0

    def callback() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            (loop.remove_reader if kind == "reader" else loop.remove_writer)(here.fileno())
            loop.call_soon(done.set_result, None)
            return
        raise ZeroDivisionError

    with here, there:
        there.send(b"x")
        (loop.add_reader if kind == "reader" else loop.add_writer)(here.fileno(), callback)
        again = await settle(done)
        (loop.remove_reader if kind == "reader" else loop.remove_writer)(here.fileno())
    assert isinstance(taken(reports)["exception"], ZeroDivisionError)
    assert again, f"the {kind} is not called any more after its callback has failed once"


@requires("ERR-CALL_EXCEPTION_HANDLER-13")
@needs("signals")
async def test_signal_handlers(loop: Loop, reports: list[Report]) -> None:
    """A failing callback of add_signal_handler() is reported, and is called again for the next signal."""
    done = loop.create_future()
    calls = 0

    def callback() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            done.set_result(None)
            return
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        raise ZeroDivisionError

    loop.add_signal_handler(signal.SIGUSR1, callback)
    os.kill(os.getpid(), signal.SIGUSR1)
    again = await settle(done)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert isinstance(taken(reports)["exception"], ZeroDivisionError)
    assert again, "the callback is not called for a second signal after it has failed once"


@requires("ERR-CALL_EXCEPTION_HANDLER-13", "FUT-FUTURE_CALLBACKS-07")
@pytest.mark.parametrize("kind", ["future", "task"])
async def test_done_callbacks(loop: Loop, reports: list[Report], kind: str) -> None:
    """A failing done callback is reported once, and the done callbacks after it are called."""
    order: list[str] = []
    target = loop.create_future() if kind == "future" else loop.create_task(asyncio.sleep(0))
    target.add_done_callback(lambda _: failing()())
    target.add_done_callback(lambda _: order.append("next"))
    if kind == "future":
        target.set_result(None)
    await target
    for _ in range(3):
        await asyncio.sleep(0)
    assert order == ["next"]
    assert isinstance(taken(reports)["exception"], ZeroDivisionError)


@requires("ERR-CALL_EXCEPTION_HANDLER-13", "LIFE-SHUTDOWN_ASYNCGENS-05")
@needs("asyncgens")
async def test_generators_at_shutdown(loop: Loop, reports: list[Report]) -> None:
    """A generator that fails when shutdown_asyncgens() closes it is reported with message, exception and asyncgen."""

    async def failing_at_the_end() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ZeroDivisionError

    generator = failing_at_the_end()
    async for _ in generator:
        break
    await loop.shutdown_asyncgens()
    context = taken(reports)
    assert isinstance(context["exception"], ZeroDivisionError)
    assert context["asyncgen"] is generator


@requires("ERR-CALL_EXCEPTION_HANDLER-13")
@needs("asyncgens")
async def test_generators_that_are_collected(loop: Loop, reports: list[Report]) -> None:
    """A generator that is dropped half-way is closed by the loop; an error that it ends with is reported."""

    async def failing_at_the_end() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ZeroDivisionError

    generator = failing_at_the_end()
    await generator.__anext__()
    del generator
    for _ in range(5):
        gc.collect()
        await asyncio.sleep(0)
    assert isinstance(taken(reports)["exception"], ZeroDivisionError)


@requires("ERR-CALL_EXCEPTION_HANDLER-13")
@needs("executor")
async def test_work_in_an_executor_is_no_report(loop: Loop) -> None:
    """An error of a function in an executor goes to whoever awaits it and to nobody else."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            await loop.run_in_executor(pool, failing())
        except ZeroDivisionError:
            return
    raise AssertionError("run_in_executor() did not raise the error of the function")


@requires("ERR-CALL_EXCEPTION_HANDLER-05")
async def test_each_failure_is_a_report_of_its_own(loop: Loop, reports: list[Report]) -> None:
    """Failing callbacks are reported in their order, each with a context of its own, between the calls of others."""
    order: list[str] = []

    def fail(number: int) -> None:
        order.append(f"call {number}")
        raise ZeroDivisionError

    for number in range(3):
        loop.call_soon(fail, number)
        loop.call_soon(lambda: order.append(f"{len(reports)} reports"))
    for _ in range(3):
        await asyncio.sleep(0)
    contexts = list(reports)
    reports.clear()
    assert order == ["call 0", "1 reports", "call 1", "2 reports", "call 2", "3 reports"], order
    assert len({id(context) for context in contexts}) == 3
    assert len({id(context["exception"]) for context in contexts}) == 3


@requires("INT-KEYBOARDINTERRUPT-01")
@pytest.mark.parametrize("source", sorted(SCHEDULERS))
def test_interrupts_are_not_reported(loop: Loop, source: str) -> None:
    """KeyboardInterrupt of a callback leaves the run, as it is, and is not reported."""
    interrupt = KeyboardInterrupt("from the case")

    def callback() -> None:
        raise interrupt

    SCHEDULERS[source](loop, callback)
    fence = loop.call_later(0.01, loop.stop)
    raised: list[BaseException] = []
    try:
        loop.run_forever()
    except KeyboardInterrupt as error:
        raised.append(error)
    fence.cancel()
    assert raised == [interrupt], "KeyboardInterrupt of a callback did not leave run_forever()"
