"""Timers whose callbacks raise: what is reported, what leaves the run, and what becomes of the other timers."""

import asyncio
import time
from typing import Any

import pytest

from loopproof.authoring import raises, requires


class Special(BaseException):
    """Derived from BaseException as few are."""


ERRORS: dict[str, type[BaseException]] = {
    "Exception": ZeroDivisionError,
    "BaseException": Special,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
}


def fail(kind: str) -> None:
    """Raise."""
    raise ERRORS[kind]("raised by a timer")


@requires("TIMER-CALL_LATER-23")
@pytest.mark.parametrize("delay", [0, 0.001])
@pytest.mark.parametrize("kind", ["Exception", "BaseException", "CancelledError", "GeneratorExit", "StopIteration"])
async def test_an_error_in_a_timer_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], delay: float, kind: str
) -> None:
    """An error in a timer is reported once, with the keys message, exception and handle; the other timers run."""
    done = loop.create_future()
    timer = loop.call_later(delay, fail, kind)
    loop.call_later(0.003, done.set_result, None)
    await done
    contexts = list(reports)
    reports.clear()
    assert len(contexts) == 1, f"one timer failed, there are {len(contexts)} reports"
    assert isinstance(contexts[0]["exception"], ERRORS[kind])
    assert isinstance(contexts[0]["message"], str)
    assert contexts[0]["handle"] is timer


@requires("TIMER-CALL_LATER-23")
async def test_an_error_does_not_touch_the_timers_due_with_it(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """Of five timers due in the same iteration, the two that raise are reported, and the others run."""
    ran: list[int] = []
    done = loop.create_future()
    for ms in (1, 3, 5):
        loop.call_later(ms / 1e3, ran.append, ms)
    for ms in (2, 4):
        loop.call_later(ms / 1e3, fail, "Exception")
    loop.call_later(0.01, done.set_result, None)
    time.sleep(0.007)
    await done
    count = len(reports)
    reports.clear()
    assert (ran, count) == ([1, 3, 5], 2)


@requires("INT-KEYBOARDINTERRUPT-01")
@pytest.mark.parametrize("delay", [0, 0.001])
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_in_a_timer_leaves_the_run(loop: asyncio.AbstractEventLoop, delay: float, kind: str) -> None:
    """KeyboardInterrupt and SystemExit out of a timer leave run_forever(), unreported, and the loop can run again."""
    ran: list[str] = []
    loop.call_later(delay, fail, kind)
    loop.call_later(0.003, ran.append, "later timer")
    fence = loop.call_later(0.01, loop.stop)
    with raises(ERRORS[kind]):
        loop.run_forever()
    fence.cancel()
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert ran == ["later timer"], "after an interrupt the loop was run again; a timer set before it did not run"


@requires("TIMER-CALL_LATER-23")
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_timers_due_with_an_interrupt_run_in_the_next_run(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """Timers that were due together with one that raised an interrupt are not lost and run once."""
    ran: list[str] = []
    loop.call_later(0.001, ran.append, "before")
    loop.call_later(0.002, fail, kind)
    loop.call_later(0.003, ran.append, "after")
    fence = loop.call_later(0.01, loop.stop)
    time.sleep(0.005)
    with raises(ERRORS[kind]):
        loop.run_forever()
    fence.cancel()
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert ran == ["before", "after"], f"an interrupt between two timers that were due: these ran in two runs: {ran}"


@requires("TIMER-CALL_LATER-23")
async def test_what_cannot_be_called_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """A timer called with the wrong number of arguments is reported as a TypeError like any other error."""
    done = loop.create_future()
    loop.call_later(0.001, lambda: None, "one too many")  # type: ignore[misc,arg-type]
    loop.call_later(0.003, done.set_result, None)
    await done
    errors = [context["exception"] for context in reports]
    reports.clear()
    assert [type(error) for error in errors] == [TypeError]
