"""Errors of futures and tasks that nobody retrieved, and tasks that are destroyed while they are pending."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import needs, requires

Report = dict[str, Any]
Loop = asyncio.AbstractEventLoop
NewLoop = Callable[[], Loop]


class Failure(Exception):
    """The error of a case."""


def only(reports: list[Report]) -> Report:
    """Take the one report."""
    contexts = list(reports)
    reports.clear()
    assert len(contexts) == 1, f"one report was expected, there are {len(contexts)}: {contexts}"
    return contexts[0]


async def fail() -> None:
    """Raise after a turn of the loop."""
    await asyncio.sleep(0)
    raise Failure


async def wait_for(future: "asyncio.Future[None]") -> None:
    """Wait."""
    await future


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
async def test_a_future(loop: Loop, reports: list[Report]) -> None:
    """A future that is collected with an error that nobody asked for is reported: message, exception, future."""
    error = Failure()
    future = loop.create_future()
    future.set_exception(error)
    identity = id(future)
    assert not reports, "reported before the future was dropped"
    del future
    gc.collect()
    context = only(reports)
    assert context["exception"] is error
    assert id(context["future"]) == identity
    assert isinstance(context["message"], str)


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
async def test_a_task(loop: Loop, reports: list[Report]) -> None:
    """A task that is collected with an error that nobody asked for is reported: message, exception, future."""
    task = loop.create_task(fail(), name="the failing task")
    await asyncio.wait([task])
    del task
    gc.collect()
    context = only(reports)
    assert isinstance(context["exception"], Failure)
    assert context["future"].get_name() == "the failing task"
    assert isinstance(context["message"], str)


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
@pytest.mark.parametrize("asked", ["exception()", "result()", "await", "cancelled", "result", "callback asks"])
async def test_what_was_asked_for_is_not_reported(loop: Loop, asked: str) -> None:
    """A future whose error somebody asked for, by whatever means, or that has none, is not reported."""
    future = loop.create_future()
    if asked == "callback asks":
        future.add_done_callback(lambda done: done.exception())
    if asked == "cancelled":
        future.cancel()
    elif asked == "result":
        future.set_result(None)
    else:
        future.set_exception(Failure())
    try:
        if asked == "exception()":
            future.exception()
        elif asked == "result()":
            future.result()
        elif asked == "await":
            await future
    except Failure:
        pass
    await asyncio.sleep(0)
    del future
    gc.collect()


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
async def test_a_done_callback_alone_does_not_ask(loop: Loop, reports: list[Report]) -> None:
    """A done callback that does not look at the error does not count as asking for it."""
    future = loop.create_future()
    future.add_done_callback(lambda _: None)
    future.set_exception(Failure())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del future
    gc.collect()
    assert isinstance(only(reports)["exception"], Failure)


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
def test_after_the_loop_was_closed(loop: Loop, reports: list[Report]) -> None:
    """A future that outlives the run of its loop, and its close(), is still reported."""
    future = loop.create_future()
    future.set_exception(Failure())
    loop.close()
    del future
    gc.collect()
    assert isinstance(only(reports)["exception"], Failure)


@requires("ERR-CALL_EXCEPTION_HANDLER-07", "ERR-DEFAULT_EXCEPTION_HANDLER-02")
def test_without_a_handler_it_is_logged(new_loop: NewLoop, logged: list[logging.LogRecord]) -> None:
    """A loop without a handler logs an unretrieved error with its traceback."""
    loop = new_loop()
    future = loop.create_future()
    future.set_exception(Failure())
    del future
    gc.collect()
    assert [record.levelname for record in logged] == ["ERROR"]
    assert logged[0].exc_info
    assert logged[0].exc_info[0] is Failure


@requires("ERR-CALL_EXCEPTION_HANDLER-07")
@pytest.mark.parametrize("kind", ["future", "task"])
async def test_a_handler_that_asks_late(loop: Loop, kind: str) -> None:
    """The future is whole when the handler gets it: it can be printed and asked, and what it tells agrees."""
    seen: list[tuple[object, ...]] = []

    def handler(*given: Any) -> None:
        context = given[-1]
        future = context["future"]
        seen.append((future.done(), future.exception() is context["exception"], bool(repr(future))))

    loop.set_exception_handler(handler)
    target = loop.create_future() if kind == "future" else loop.create_task(fail())
    if kind == "future":
        target.set_exception(Failure())
    await asyncio.wait([target])
    del target
    gc.collect()
    assert seen == [(True, True, True)]


@requires("ERR-CALL_EXCEPTION_HANDLER-06")
async def test_a_pending_task_that_is_destroyed(loop: Loop, reports: list[Report]) -> None:
    """A task that is collected while it waits for something that nobody holds is reported: message, task."""
    task = loop.create_task(wait_for(loop.create_future()), name="the pending task")
    await asyncio.sleep(0)
    del task
    gc.collect()
    context = only(reports)
    assert context["task"].get_name() == "the pending task"
    assert isinstance(context["message"], str)
    assert "exception" not in context


@requires("ERR-CALL_EXCEPTION_HANDLER-06")
def test_a_pending_task_of_a_loop_that_is_closed(loop: Loop, reports: list[Report]) -> None:
    """A task that is still pending when its loop was closed is reported when it is collected."""
    task = loop.create_task(wait_for(loop.create_future()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    del task
    gc.collect()
    assert isinstance(only(reports)["task"], asyncio.Task)


@requires("ERR-CALL_EXCEPTION_HANDLER-06")
async def test_a_task_that_somebody_will_wake_is_not_destroyed(loop: Loop) -> None:
    """A task that waits for a timer alone is kept by the loop, through garbage collections, until it is done."""
    done = loop.create_future()

    async def sleeper() -> None:
        await asyncio.sleep(0.001)
        done.set_result(None)

    task = loop.create_task(sleeper())
    del task
    await asyncio.sleep(0)
    gc.collect()
    await done


@requires("ERR-CALL_EXCEPTION_HANDLER-06", "DBG-SET_DEBUG-13")
@needs("debug")
@pytest.mark.parametrize("kind", ["unretrieved future", "unretrieved task", "destroyed task"])
async def test_reports_tell_in_debug_mode_where_it_was_created(loop: Loop, reports: list[Report], kind: str) -> None:
    """In debug mode the report has a source_traceback that leads to the line of creation; otherwise it has none."""
    for debug in (False, True):
        loop.set_debug(debug)
        if kind == "unretrieved future":
            target = loop.create_future()
            target.set_exception(Failure())
        elif kind == "unretrieved task":
            target = loop.create_task(fail())
            await asyncio.wait([target])
        else:
            target = loop.create_task(wait_for(loop.create_future()))
            await asyncio.sleep(0)
        del target
        gc.collect()
        context = only(reports)
        names = [frame.name for frame in context.get("source_traceback") or ()]
        here = "test_reports_tell_in_debug_mode_where_it_was_created"
        assert (here in names) is debug, f"debug {debug}: the frames of source_traceback are {names}"


@requires("ERR-CALL_EXCEPTION_HANDLER-12")
@pytest.mark.parametrize("kind", ["callback", "timer", "future"])
def test_nothing_of_a_report_is_kept(loop: Loop, kind: str) -> None:
    """After a handler that keeps nothing has returned, nothing keeps the exception of the report alive."""
    references: list[Any] = []
    loop.set_exception_handler(lambda *given: references.append(weakref.ref(given[-1]["exception"])))

    def raise_it() -> None:
        raise Failure

    if kind == "callback":
        loop.call_soon(raise_it)
    elif kind == "timer":
        loop.call_later(0.0005, raise_it)
    else:
        loop.create_future().set_exception(Failure())
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    gc.collect()
    assert [reference() for reference in references] == [None], "the exception of a report is kept after it"
