"""Exception handlers that fail themselves: who hears of it, and what is raised to whom."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires

Logged = list[logging.LogRecord]
NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Special(BaseException):
    """Derived from BaseException as few are."""


class Wordless(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


ERRORS: dict[str, type[BaseException]] = {
    "Exception": ZeroDivisionError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "without text": Wordless,
    "BaseException": Special,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
}


def failing_loop(new_loop: NewLoop, error: BaseException) -> asyncio.AbstractEventLoop:
    """Make a loop whose exception handler raises ``error``."""
    loop = new_loop()

    def handler(*_: object) -> None:
        raise error

    loop.set_exception_handler(handler)
    return loop


@requires("ERR-CALL_EXCEPTION_HANDLER-02")
@pytest.mark.parametrize("kind", ["Exception", "StopIteration", "StopAsyncIteration", "without text"])
def test_an_error_in_the_handler_goes_to_the_default_handler(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """An Exception of the handler is logged, with its traceback, and not raised to the caller."""
    error = ERRORS[kind]()
    loop = failing_loop(new_loop, error)
    assert loop.call_exception_handler({"message": "a report"}) is None
    assert [record.levelname for record in logged] == ["ERROR"], "the error of the handler was not logged once"
    assert logged[0].exc_info, "the error of the handler was logged without its traceback"
    assert logged[0].exc_info[1] is error


@requires("ERR-CALL_EXCEPTION_HANDLER-09")
@pytest.mark.parametrize("kind", ["BaseException", "CancelledError", "GeneratorExit"])
def test_other_base_exceptions_are_treated_alike(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """A BaseException of the handler other than KeyboardInterrupt and SystemExit is logged and not raised."""
    error = ERRORS[kind]()
    loop = failing_loop(new_loop, error)
    loop.call_exception_handler({"message": "a report"})
    assert [record.exc_info[1] is error for record in logged if record.exc_info] == [True]


@requires("ERR-CALL_EXCEPTION_HANDLER-02")
def test_the_report_is_not_lost(new_loop: NewLoop, logged: Logged) -> None:
    """What is logged of a failing handler tells what the handler had been given."""
    loop = failing_loop(new_loop, ZeroDivisionError())
    loop.call_exception_handler({"message": "the first report"})
    assert "the first report" in logged[0].getMessage(), f"logged: {logged[0].getMessage()}"


@requires("ERR-CALL_EXCEPTION_HANDLER-03")
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_interrupts_leave_the_handler(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """KeyboardInterrupt and SystemExit of the handler are raised to the caller, as they are, and not logged."""
    error = ERRORS[kind]("from the handler")
    loop = failing_loop(new_loop, error)
    with raises(ERRORS[kind]) as raised:
        loop.call_exception_handler({"message": "a report"})
    assert raised.value is error
    assert not logged


@requires("ERR-CALL_EXCEPTION_HANDLER-03")
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("source", ["callback", "timer"])
def test_interrupts_leave_the_run(new_loop: NewLoop, source: str, kind: str) -> None:
    """KeyboardInterrupt and SystemExit of a handler that the loop called leave run_forever(); it can run again."""
    loop = failing_loop(new_loop, ERRORS[kind]("from the handler"))
    order: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    if source == "callback":
        loop.call_soon(fail)
    else:
        loop.call_later(0.001, fail)
    fence = loop.call_later(0.01, loop.stop)
    with raises(ERRORS[kind]):
        loop.run_forever()
    fence.cancel()
    loop.call_soon(order.append, "goes on")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["goes on"]


@requires("ERR-CALL_EXCEPTION_HANDLER-02")
def test_the_loop_goes_on_behind_a_failing_handler(new_loop: NewLoop, logged: Logged) -> None:
    """Callbacks fail, the handler fails each time, and the loop runs all of them and logs each failure."""
    loop = failing_loop(new_loop, ZeroDivisionError())
    order: list[int] = []
    for number in range(3):
        loop.call_soon(lambda: [][0])
        loop.call_soon(order.append, number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == [0, 1, 2]
    assert len(logged) == 3


@requires("ERR-CALL_EXCEPTION_HANDLER-02")
def test_a_handler_with_the_wrong_signature(new_loop: NewLoop, logged: Logged) -> None:
    """A handler that takes no arguments fails with TypeError, which is logged."""
    loop = new_loop()
    loop.set_exception_handler(lambda: None)  # type: ignore[misc,arg-type]
    loop.call_exception_handler({"message": "a report"})
    assert [record.exc_info[0] for record in logged if record.exc_info] == [TypeError]


@requires("ERR-CALL_EXCEPTION_HANDLER-11")
def test_a_handler_may_report(new_loop: NewLoop) -> None:
    """A handler may call call_exception_handler(): the inner report is handled before the call returns."""
    loop, order = new_loop(), list[str]()

    def handler(*given: Any) -> None:
        depth = given[-1]["depth"]
        order.append(f"begin {depth}")
        if depth < 3:
            loop.call_exception_handler({"message": "from within", "depth": depth + 1})
        order.append(f"end {depth}")

    loop.set_exception_handler(handler)
    loop.call_exception_handler({"message": "from outside", "depth": 1})
    assert order == ["begin 1", "begin 2", "begin 3", "end 3", "end 2", "end 1"]


@requires("ERR-CALL_EXCEPTION_HANDLER-11")
def test_a_handler_that_reports_and_then_fails(new_loop: NewLoop, logged: Logged) -> None:
    """Each level of a handler that calls itself and fails is logged, from the innermost out."""
    loop = new_loop()

    def handler(*given: Any) -> None:
        depth = given[-1]["depth"]
        if depth < 3:
            loop.call_exception_handler({"message": "from within", "depth": depth + 1})
        raise ZeroDivisionError(depth)

    loop.set_exception_handler(handler)
    loop.call_exception_handler({"message": "from outside", "depth": 1})
    assert [record.exc_info[1].args for record in logged if record.exc_info and record.exc_info[1]] == [
        (3,),
        (2,),
        (1,),
    ]


@requires("ERR-CALL_EXCEPTION_HANDLER-11")
def test_a_handler_that_reports_without_end(new_loop: NewLoop, logged: Logged) -> None:
    """A handler that calls itself without end runs into RecursionError, not into a crash, and the loop goes on."""
    loop, order = new_loop(), list[str]()
    loop.set_exception_handler(lambda *given: loop.call_exception_handler(given[-1]))
    loop.call_soon(lambda: [][0])
    loop.call_soon(order.append, "goes on")
    loop.call_soon(loop.stop)
    try:
        loop.run_forever()
    except RecursionError:
        loop.set_exception_handler(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert order == ["goes on"]
    del logged[:]


@requires("ERR-CALL_EXCEPTION_HANDLER-02")
@pytest.mark.parametrize("what", ["closes the loop", "runs the loop", "stops the loop"])
def test_a_handler_that_turns_to_its_loop(new_loop: NewLoop, logged: Logged, what: str) -> None:
    """A handler may stop the loop; one that tries to close or to run it while it runs fails, and the run goes on."""
    loop, order = new_loop(), list[str]()
    actions = {
        "closes the loop": lambda: loop.close(),
        "runs the loop": lambda: loop.run_forever(),
        "stops the loop": lambda: loop.stop(),
    }
    loop.set_exception_handler(lambda *_: actions[what]())
    loop.call_soon(lambda: [][0])
    loop.call_soon(order.append, "goes on")
    if what != "stops the loop":
        loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert order == ["goes on"]
    expected = [] if what == "stops the loop" else [RuntimeError]
    assert [record.exc_info[0] for record in logged if record.exc_info] == expected
