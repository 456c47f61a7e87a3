"""Reports and logs of the debug mode: where things were created, and that slow callbacks are no errors."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import needs, requires

Report = dict[str, Any]
Logged = list[logging.LogRecord]
Loop = asyncio.AbstractEventLoop
NewLoop = Callable[[], Loop]


def fail() -> None:
    """Raise."""
    raise ZeroDivisionError


def schedule_by_call_soon(loop: Loop) -> None:
    """A place of creation that shows in a traceback."""
    loop.call_soon(fail)


def schedule_by_call_later(loop: Loop) -> None:
    """A place of creation that shows in a traceback."""
    loop.call_later(0.001, fail)


def schedule_by_call_at(loop: Loop) -> None:
    """A place of creation that shows in a traceback."""
    loop.call_at(loop.time() - 1, fail)


def schedule_by_call_soon_threadsafe(loop: Loop) -> None:
    """A place of creation that shows in a traceback."""
    loop.call_soon_threadsafe(fail)


SCHEDULERS: dict[str, Callable[[Loop], None]] = {
    "call_soon": schedule_by_call_soon,
    "call_later": schedule_by_call_later,
    "call_at": schedule_by_call_at,
    "call_soon_threadsafe": schedule_by_call_soon_threadsafe,
}


def run_shortly(loop: Loop) -> None:
    """Run the loop for a few milliseconds."""
    loop.call_later(0.004, loop.stop)
    loop.run_forever()


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-05")
@needs("debug")
@pytest.mark.parametrize("source", sorted(SCHEDULERS))
def test_the_log_tells_where_a_failing_callback_was_scheduled(new_loop: NewLoop, logged: Logged, source: str) -> None:
    """In debug mode the log of a failing callback names the function that scheduled it; otherwise it does not."""
    for debug in (True, False):
        loop = new_loop()
        loop.set_debug(debug)
        SCHEDULERS[source](loop)
        run_shortly(loop)
        errors = [record.getMessage() for record in logged if record.levelno >= logging.ERROR]
        logged.clear()
        assert len(errors) == 1
        assert (SCHEDULERS[source].__name__ in errors[0]) is debug, f"debug is {debug}, logged was: {errors[0]}"


@requires("DBG-SET_DEBUG-13")
@needs("debug")
@pytest.mark.parametrize("source", sorted(SCHEDULERS))
def test_the_report_tells_where_a_failing_callback_was_scheduled(
    loop: Loop, reports: list[Report], source: str
) -> None:
    """In debug mode the report of a failing callback has a source_traceback that ends where it was scheduled."""
    for debug in (True, False):
        loop.set_debug(debug)
        SCHEDULERS[source](loop)
        run_shortly(loop)
        contexts = list(reports)
        reports.clear()
        assert len(contexts) == 1
        frames = [frame.name for frame in contexts[0].get("source_traceback") or ()]
        last = frames[-1:] if debug else []
        assert last == ([SCHEDULERS[source].__name__] if debug else []), f"debug is {debug}, frames were: {frames}"
        assert debug or not frames, f"a source_traceback without debug mode: {frames}"


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-08")
@needs("debug")
def test_the_log_tells_whose_callback_made_the_report(new_loop: NewLoop, logged: Logged) -> None:
    """In debug mode a report that a callback makes is logged with the place where this callback was scheduled."""
    loop = new_loop()
    loop.set_debug(True)

    def reporting() -> None:
        loop.call_exception_handler({"message": "by a callback"})

    def schedule_the_reporter() -> None:
        loop.call_soon(reporting)

    schedule_the_reporter()
    run_shortly(loop)
    errors = [record.getMessage() for record in logged if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith("by a callback")
    assert "schedule_the_reporter" in errors[0], f"logged was: {errors[0]}"


@requires("DBG-SLOW_CALLBACK_DURATION-02")
@needs("debug")
@pytest.mark.parametrize("source", ["call_soon", "call_later", "task"])
def test_slow_callbacks_are_warnings_and_no_reports(loop: Loop, logged: Logged, source: str) -> None:
    """In debug mode a slow callback is logged as a warning; the exception handler does not hear of it."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0.002

    def slow() -> None:
        time.sleep(0.004)

    async def slow_step() -> None:
        slow()

    if source == "task":
        loop.run_until_complete(slow_step())
    elif source == "call_soon":
        loop.call_soon(slow)
    else:
        loop.call_later(0.001, slow)
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    named = [record for record in logged if "slow" in record.getMessage()]
    assert named, "nothing was logged of the slow callback"
    assert {record.levelname for record in logged} == {"WARNING"}


@requires("ERR-CALL_EXCEPTION_HANDLER-05")
@needs("debug")
async def test_reports_in_debug_mode_are_the_same_otherwise(loop: Loop, reports: list[Report]) -> None:
    """In debug mode, too, a failing callback is reported once, with message, exception and handle."""
    loop.set_debug(True)
    handle = loop.call_soon(fail)
    for _ in range(3):
        await asyncio.sleep(0)
    contexts = list(reports)
    reports.clear()
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
    assert contexts[0]["handle"] is handle
    assert contexts[0]["message"]
