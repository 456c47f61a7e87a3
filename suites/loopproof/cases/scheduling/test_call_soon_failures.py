"""call_soon: exceptions out of callbacks, and how they are reported."""

import asyncio
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import requires

Report = dict[str, Any]


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


class Mute(Exception):
    """An exception that can be neither printed nor compared nor tested."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no representation")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth value")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    __hash__ = None  # type: ignore[assignment]


class Empty(Exception):
    """An exception that is false."""

    def __len__(self) -> int:
        return 0


class Base(BaseException):
    """A direct subclass of BaseException."""


EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: Exception("text"),
    "OSError": lambda: OSError(9, "Bad file descriptor"),
    "BlockingIOError": lambda: BlockingIOError(11, "again"),
    "InterruptedError": lambda: InterruptedError(4, "interrupted"),
    "ConnectionResetError": ConnectionResetError,
    "TimeoutError": TimeoutError,
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": StopAsyncIteration,
    "RuntimeError": lambda: RuntimeError("Event loop is closed"),
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "InvalidStateError": asyncio.InvalidStateError,
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    "ExceptionGroup": lambda: ExceptionGroup("group", [ValueError(1), OSError(2)]),
    "SyntaxError": lambda: SyntaxError("bad", ("file", 1, 2, "text")),
    "no text or repr": Mute,
    "false": Empty,
}

BASE_EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "BaseException": lambda: BaseException("text"),
    "subclass": lambda: Base("text"),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("group", [KeyboardInterrupt(), ValueError(1)]),
}


def raiser(error: BaseException) -> Callable[..., None]:
    """Return a callback that raises the exception."""

    def callback(*_: object) -> None:
        raise error

    return callback


@requires("SCHED-CALL_SOON-12")
@pytest.mark.parametrize("kind", list(EXCEPTIONS))
def test_an_exception_is_reported_and_the_loop_goes_on(
    loop: asyncio.AbstractEventLoop, reports: list[Report], kind: str
) -> None:
    """Whatever Exception a callback raises, the very object is reported once and the callbacks behind it run."""
    error = EXCEPTIONS[kind]()
    ran: list[str] = []
    loop.call_soon(raiser(error))
    loop.call_soon(ran.append, "same batch")
    loop.call_soon(loop.call_soon, ran.append, "next batch")
    run_once(loop)
    run_once(loop)
    assert ran == ["same batch", "next batch"]
    assert len(reports) == 1, f"{len(reports)} reports instead of one"
    assert reports[0]["exception"] is error, "the report is about another exception object"


@requires("SCHED-CALL_SOON-15")
@pytest.mark.parametrize("kind", list(BASE_EXCEPTIONS))
def test_a_base_exception_is_reported_and_the_loop_goes_on(
    loop: asyncio.AbstractEventLoop, reports: list[Report], kind: str
) -> None:
    """BaseExceptions other than KeyboardInterrupt and SystemExit are reported like any other exception."""
    error = BASE_EXCEPTIONS[kind]()
    ran: list[str] = []
    loop.call_soon(raiser(error))
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert len(reports) == 1, f"{len(reports)} reports instead of one"
    assert reports[0]["exception"] is error, "the report is about another exception object"


@requires("SCHED-CALL_SOON-12")
def test_a_real_recursion_error_is_survived(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """A callback that recurses until the limit of the interpreter is reported and the loop goes on."""
    ran: list[str] = []

    def recurse() -> None:
        recurse()

    loop.call_soon(recurse)
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert [type(report["exception"]) for report in reports] == [RecursionError]


@requires("SCHED-CALL_SOON-12")
def test_a_callable_object_that_raises_is_reported(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """An exception out of __call__ of an object is reported like one of a function."""

    class Callback:
        def __call__(self) -> None:
            raise LookupError("out of __call__")

    loop.call_soon(Callback())
    run_once(loop)
    assert [type(report["exception"]) for report in reports] == [LookupError]


@requires("SCHED-CALL_SOON-12")
def test_an_exception_of_a_builtin_callback_is_reported(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """An exception out of a C function is reported like one of a function."""
    loop.call_soon([].pop)
    loop.call_soon(int, "not a number")
    run_once(loop)
    assert [type(report["exception"]) for report in reports] == [IndexError, ValueError]


@requires("SCHED-CALL_SOON-12")
def test_each_failing_callback_is_reported_in_its_turn(loop: asyncio.AbstractEventLoop) -> None:
    """The report of a callback is made before the callback behind it runs."""
    log: list[str] = []
    loop.set_exception_handler(lambda *given: log.append(f"report {given[-1]['exception']}"))

    def callback(name: str) -> None:
        log.append(name)
        raise ValueError(name)

    for name in "abc":
        loop.call_soon(callback, name)
    run_once(loop)
    assert log == ["a", "report a", "b", "report b", "c", "report c"]


@requires("SCHED-CALL_SOON-12")
def test_the_same_exception_object_may_be_raised_again(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """One exception object raised by several callbacks is reported for each of them."""
    error = ValueError("shared")
    for _ in range(3):
        loop.call_soon(raiser(error))
    run_once(loop)
    assert [report["exception"] is error for report in reports] == [True, True, True]


@requires("SCHED-CALL_SOON-12")
def test_a_thousand_failures_in_a_row_are_all_reported(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """A storm of failing callbacks is reported in order, none lost."""
    for number in range(1000):
        loop.call_soon(raiser(ValueError(number)))
    run_once(loop)
    assert [report["exception"].args[0] for report in reports] == list(range(1000))


@requires("SCHED-CALL_SOON-12")
def test_no_exception_is_current_after_a_failure(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """The next callback runs with no exception being handled, so that its own get no foreign context."""
    seen: list[object] = []
    loop.call_soon(raiser(ValueError("first")))
    loop.call_soon(lambda: seen.append(sys.exc_info()[1]))
    loop.call_soon(raiser(KeyError("second")))
    run_once(loop)
    assert seen == [None], "an exception of a former callback is still being handled"
    assert reports[1]["exception"].__context__ is None


@requires("SCHED-CALL_SOON-13")
def test_the_report_has_message_exception_and_handle(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """A report of a failing callback carries a text, the exception and the handle that call_soon() returned."""
    error = ValueError("text")
    handle = loop.call_soon(raiser(error), 1)
    run_once(loop)
    assert len(reports) == 1
    (report,) = reports
    assert {"message", "exception", "handle"} <= set(report)
    assert isinstance(report["message"], str)
    assert report["message"]
    assert report["exception"] is error
    assert report["handle"] is handle, "the report names another handle object than call_soon() returned"


@requires("SCHED-CALL_SOON-13")
def test_the_message_names_the_callback(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """The message lets a reader find the function that failed."""

    def a_function_to_be_found() -> None:
        raise ValueError

    loop.call_soon(a_function_to_be_found)
    run_once(loop)
    assert "a_function_to_be_found" in reports[0]["message"]


@requires("SCHED-CALL_SOON-13")
def test_the_reported_traceback_reaches_the_failing_line(
    loop: asyncio.AbstractEventLoop, reports: list[Report]
) -> None:
    """The exception in a report carries the traceback into the callback."""

    def innermost() -> None:
        raise ValueError

    def callback() -> None:
        innermost()

    loop.call_soon(callback)
    run_once(loop)
    frames = [frame.name for frame in traceback.extract_tb(reports[0]["exception"].__traceback__)]
    assert frames[-2:] == ["callback", "innermost"]


@requires("SCHED-CALL_SOON-13")
def test_reports_of_callbacks_do_not_name_what_is_not_concerned(
    loop: asyncio.AbstractEventLoop, reports: list[Report]
) -> None:
    """The report of a plain callback has no key for a future, task, transport, protocol or socket."""
    loop.call_soon(raiser(ValueError()))
    run_once(loop)
    foreign = {"future", "task", "transport", "protocol", "socket", "asyncgen"} & set(reports[0])
    assert not foreign, f"the report of a callback has the keys {foreign}"


@requires("SCHED-CALL_SOON-25")
def test_a_failing_callback_with_an_unprintable_argument_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[Report]
) -> None:
    """An argument whose repr() fails does not turn the report into an error of the loop."""

    class Argument:
        def __repr__(self) -> str:
            raise RuntimeError("no representation")

    ran: list[str] = []
    loop.call_soon(raiser(LookupError("expected")), Argument())
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert [type(report["exception"]) for report in reports] == [LookupError]
