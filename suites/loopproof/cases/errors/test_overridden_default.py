"""Subclasses of the loop that override default_exception_handler, for loops that can be subclassed."""

import asyncio
import logging
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopproof.authoring import raises, requires

Logged = list[logging.LogRecord]
Report = dict[str, Any]
Loop = asyncio.AbstractEventLoop
NewLoop = Callable[[], Loop]
Make = Callable[[Callable[[Report], None]], Loop]


@pytest.fixture
def overriding(loop_factory: NewLoop) -> Iterator[Make]:
    """Make a loop of a subclass whose default handler is the given function; skip where there can be none."""
    made: list[Loop] = []

    def make(handle: Callable[[Report], None]) -> Loop:
        def default_exception_handler(self: Loop, context: Report) -> None:
            handle(context)

        original = loop_factory()
        original.close()
        try:
            kind = type("Overriding", (type(original),), {"default_exception_handler": default_exception_handler})
            made.append(kind())
        except TypeError as error:
            raise unittest.SkipTest(f"the loop cannot be subclassed: {error}") from None
        return made[-1]

    yield make
    for loop in made:
        loop.close()


def failing(error: BaseException) -> Callable[[Report], None]:
    """Make a handler that raises."""

    def handle(_: Report) -> None:
        raise error

    return handle


@requires("ERR-CALL_EXCEPTION_HANDLER-04")
def test_it_is_called(overriding: Make, logged: Logged) -> None:
    """Without a custom handler, an overridden default handler gets the reports of the loop and of others."""
    contexts: list[Report] = []
    loop = overriding(contexts.append)
    report: Report = {"message": "a report"}
    loop.call_exception_handler(report)
    loop.call_soon(lambda: [][0])
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(contexts) == 2
    assert contexts[0] is report
    assert isinstance(contexts[1]["exception"], IndexError)
    assert not logged


@requires("ERR-CALL_EXCEPTION_HANDLER-04")
def test_its_error_is_logged(overriding: Make, logged: Logged) -> None:
    """An Exception of an overridden default handler is logged, with its traceback, and not raised."""
    error = ZeroDivisionError()
    loop = overriding(failing(error))
    loop.call_exception_handler({"message": "a report"})
    assert [record.levelname for record in logged] == ["ERROR"]
    assert logged[0].exc_info
    assert logged[0].exc_info[1] is error


@requires("ERR-CALL_EXCEPTION_HANDLER-04")
def test_it_hears_of_a_failing_handler(overriding: Make, logged: Logged) -> None:
    """The error of a custom handler is given to an overridden default handler, not to the original one."""
    contexts: list[Report] = []
    loop = overriding(contexts.append)
    error = ZeroDivisionError()
    loop.set_exception_handler(lambda *given: failing(error)(given[-1]))
    loop.call_exception_handler({"message": "a report"})
    assert [context["exception"] for context in contexts] == [error]
    assert not logged


@requires("ERR-CALL_EXCEPTION_HANDLER-04")
def test_both_handlers_fail(overriding: Make, logged: Logged) -> None:
    """Where the custom handler fails and the overridden default handler too, this is logged, and the loop goes on."""
    loop, order = overriding(failing(ZeroDivisionError())), list[str]()
    loop.set_exception_handler(lambda *given: failing(KeyError())(given[-1]))
    loop.call_soon(lambda: [][0])
    loop.call_soon(order.append, "goes on")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["goes on"]
    assert [record.levelname for record in logged] == ["ERROR"]


@requires("ERR-CALL_EXCEPTION_HANDLER-03")
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("custom", [True, False])
def test_its_interrupts_are_raised(overriding: Make, kind: str, custom: bool) -> None:
    """KeyboardInterrupt and SystemExit of an overridden default handler are raised to the caller."""
    interrupt = {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}[kind]
    loop = overriding(failing(interrupt()))
    if custom:
        loop.set_exception_handler(lambda *given: failing(KeyError())(given[-1]))
    with raises(interrupt):
        loop.call_exception_handler({"message": "a report"})
