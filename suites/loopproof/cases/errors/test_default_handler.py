"""default_exception_handler: what is logged, in which order, and that it copes with whatever a context holds."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import requires

Logged = list[logging.LogRecord]
NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Unprintable:
    """Cannot be printed."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("cannot be printed")


class Wordless(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


ODD: dict[str, dict[Any, Any]] = {
    "a value without repr": {"message": "text", "value": Unprintable()},
    "a key that is no string": {"message": "text", 5: "five", "key": "value"},
    "a message that is no string": {"message": 5},
    "an exception that is none": {"message": "text", "exception": "not an exception"},
    "an exception without text": {"message": "text", "exception": Wordless()},
    "keys of the debug mode with other values": {"message": "text", "source_traceback": 5},
    "handle that is none": {"message": "text", "handle": None, "task": None, "future": 5},
}


def logged_at_error(logged: Logged) -> logging.LogRecord:
    """The one record, which must be of the level ERROR."""
    assert [(record.name, record.levelname) for record in logged] == [("asyncio", "ERROR")]
    return logged[0]


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-01")
def test_may_be_called_by_a_custom_handler(new_loop: NewLoop, logged: Logged) -> None:
    """A custom handler that passes its report on to the default handler has it logged."""
    loop = new_loop()
    loop.set_exception_handler(lambda *given: loop.default_exception_handler(given[-1]))
    loop.call_exception_handler({"message": "passed on"})
    assert logged_at_error(logged).getMessage() == "passed on"


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-01")
@pytest.mark.parametrize("state", ["new", "closed"])
def test_may_be_called_directly(new_loop: NewLoop, logged: Logged, state: str) -> None:
    """default_exception_handler() logs and returns None, whether or not a custom handler is set."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: logged.clear())
    if state == "closed":
        loop.close()
    assert loop.default_exception_handler({"message": "direct"}) is None
    assert logged_at_error(logged).getMessage() == "direct"


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-02")
def test_logs_an_error_with_its_traceback(new_loop: NewLoop, logged: Logged) -> None:
    """The record has the level ERROR, the logger asyncio, and the exception with its traceback."""
    loop = new_loop()
    try:
        raise ZeroDivisionError("of the case")
    except ZeroDivisionError as raised:
        error = raised
    loop.call_exception_handler({"message": "text", "exception": error})
    record = logged_at_error(logged)
    assert record.exc_info, "the exception was not logged"
    assert record.exc_info[:2] == (ZeroDivisionError, error)
    assert record.exc_info[2] is error.__traceback__


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-02")
@pytest.mark.parametrize("context", ["without the key", "with None"])
def test_logs_no_traceback_where_there_is_none(new_loop: NewLoop, logged: Logged, context: str) -> None:
    """Without an exception none is logged, not even one that is being handled elsewhere."""
    loop = new_loop()
    given: dict[str, Any] = (
        {"message": "text"} if context == "without the key" else {"message": "text", "exception": None}
    )
    try:
        raise ZeroDivisionError("has nothing to do with it")
    except ZeroDivisionError:
        loop.call_exception_handler(given)
    assert not logged_at_error(logged).exc_info


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-02")
@pytest.mark.parametrize("source", ["call_soon", "call_later", "call_soon_threadsafe"])
def test_logs_failing_callbacks(new_loop: NewLoop, logged: Logged, source: str) -> None:
    """A loop without a handler logs each failing callback with its traceback, and goes on."""
    loop = new_loop()

    def fail() -> None:
        raise ZeroDivisionError("of the callback")

    arguments = (0.001, fail) if source == "call_later" else (fail,)
    getattr(loop, source)(*arguments)
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    record = logged_at_error(logged)
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError
    assert "fail" in record.getMessage(), f"the callback is not named: {record.getMessage()}"


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-03")
def test_the_order_of_the_text(new_loop: NewLoop, logged: Logged) -> None:
    """The text is the message, then a line with name and repr() for each other key, in sorted order."""
    loop = new_loop()
    context = {"zeta": "z", "exception": ValueError(), "alpha": 1, "message": "First line", "middle": None}
    loop.call_exception_handler(context)
    assert logged_at_error(logged).getMessage().splitlines() == ["First line", "alpha: 1", "middle: None", "zeta: 'z'"]


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-03")
def test_percent_signs_are_no_placeholders(new_loop: NewLoop, logged: Logged) -> None:
    """The message and the values are logged as they are, also where they look like format strings."""
    loop = new_loop()
    loop.call_exception_handler({"message": "100 %s of %(them)d {} %", "value": "%s"})
    assert logged_at_error(logged).getMessage().splitlines() == ["100 %s of %(them)d {} %", "value: '%s'"]


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-04")
@pytest.mark.parametrize("context", ["empty", "message None", "message empty", "exception only"])
def test_a_context_without_message(new_loop: NewLoop, logged: Logged, context: str) -> None:
    """Without a message, or with an empty one, a text that is always the same is logged."""
    contexts: dict[str, dict[str, Any]] = {
        "empty": {},
        "message None": {"message": None},
        "message empty": {"message": ""},
        "exception only": {"exception": ValueError("text of the exception")},
    }
    loop = new_loop()
    loop.call_exception_handler(contexts[context])
    record = logged_at_error(logged)
    assert record.getMessage().strip(), "nothing was logged in place of the message"
    assert "text of the exception" not in record.getMessage()
    logged_error = record.exc_info[1] if record.exc_info else None
    assert logged_error is contexts[context].get("exception"), f"logged with the error {logged_error!r}"


@requires("ERR-CALL_EXCEPTION_HANDLER-05")
def test_unknown_keys_are_tolerated(new_loop: NewLoop, logged: Logged) -> None:
    """A context with keys that nobody knows is logged with them."""
    loop = new_loop()
    loop.call_exception_handler({"message": "text", "invented_key": ["its", "value"]})
    assert "invented_key: ['its', 'value']" in logged_at_error(logged).getMessage()


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-06")
@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_contexts_are_logged_somehow(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """Whatever is in a context, call_exception_handler() raises nothing, and there is an error in the log."""
    loop = new_loop()
    loop.call_exception_handler(dict(ODD[kind]))
    assert [record.levelname for record in logged] == ["ERROR"]
    assert logged[0].getMessage()


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-06")
@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_contexts_behind_a_failing_handler(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """Nor does it raise anything where the custom handler fails over such a context."""
    loop = new_loop()

    def handler(*_: object) -> None:
        raise ZeroDivisionError

    loop.set_exception_handler(handler)
    loop.call_exception_handler(dict(ODD[kind]))
    assert [record.levelname for record in logged] == ["ERROR"]


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-06")
@pytest.mark.parametrize("context", ["None", "number", "list", "text"])
def test_what_is_no_context_does_not_end_the_run(new_loop: NewLoop, logged: Logged, context: str) -> None:
    """A report that is no mapping is logged as an error, or refused with TypeError or AttributeError."""
    given = {"None": None, "number": 5, "list": [("message", "text")], "text": "text"}[context]
    loop = new_loop()
    try:
        loop.call_exception_handler(given)  # type: ignore[arg-type]
    except (TypeError, AttributeError):
        return
    assert "ERROR" in [record.levelname for record in logged]


@requires("ERR-DEFAULT_EXCEPTION_HANDLER-07")
@pytest.mark.parametrize("means", ["logging.disable", "level of the logger", "logger.disabled", "a filter"])
def test_nothing_is_logged_where_logging_is_off(new_loop: NewLoop, logged: Logged, means: str) -> None:
    """Where logging is switched off nothing is logged, nothing is raised, and the loop goes on."""
    loop, order = new_loop(), list[str]()
    logger = logging.getLogger("asyncio")
    level = logger.level

    def refuse(_: logging.LogRecord) -> bool:
        return False

    try:
        if means == "logging.disable":
            logging.disable(logging.CRITICAL)
        elif means == "level of the logger":
            logger.setLevel(logging.CRITICAL)
        elif means == "logger.disabled":
            logger.disabled = True
        else:
            logger.addFilter(refuse)
        loop.call_exception_handler({"message": "unheard", "exception": ZeroDivisionError()})
        loop.call_soon(lambda: [][0])
        loop.call_soon(order.append, "goes on")
        loop.call_soon(loop.stop)
        loop.run_forever()
    finally:
        logging.disable(logging.NOTSET)
        logger.setLevel(level)
        logger.disabled = False
        logger.removeFilter(refuse)
    assert order == ["goes on"]
    assert not logged
