"""Reports of what went wrong where nobody could be told: the exception handler."""

import asyncio
import logging
import reprlib
import traceback
from collections.abc import Callable
from contextvars import Context
from typing import Any

from refloop.core import Core

logger = logging.getLogger("asyncio")

Report = dict[str, Any]
Handler = Callable[[asyncio.AbstractEventLoop, Report], object]

STACKS = {"source_traceback": "Object created at", "handle_traceback": "Handle created at"}


def context_of(report: Report) -> Context | None:
    """The context of the task, future or handle that ``report`` is about."""
    for key in ("task", "future", "handle"):
        if (thing := report.get(key)) is not None:
            get_context = getattr(thing, "get_context", None)
            context = get_context() if get_context is not None else None
            return context if isinstance(context, Context) else None
    return None


def text_of(value: object) -> str:
    """The repr() of ``value``, or if it has none, what reprlib makes of it."""
    try:
        return repr(value)
    except Exception:
        return reprlib.repr(value)


def lines_of(report: Report) -> list[str]:
    """What the default handler logs of ``report``: the message, then the other keys in order."""
    lines = [report.get("message") or "Unhandled exception in event loop"]
    for key in sorted(report.keys() - {"message", "exception"}):
        value = report[key]
        if key in STACKS:
            stack = "".join(traceback.format_list(value)).rstrip()
            lines.append(f"{key}: {STACKS[key]} (most recent call last):\n{stack}")
        else:
            lines.append(f"{key}: {text_of(value)}")
    return lines


class Reports(Core):
    """The loop's exception handler."""

    def __init__(self) -> None:
        super().__init__()
        self._exception_handler: Handler | None = None

    def get_exception_handler(self) -> Handler | None:
        """The handler that set_exception_handler() set, None for the default one."""
        return self._exception_handler

    def set_exception_handler(self, handler: Handler | None) -> None:
        """Have ``handler(loop, context)`` called with each report; None for the default handler.

        Raises:
            TypeError: it is neither callable nor None.
        """
        if handler is not None and not callable(handler):
            raise TypeError(f"A callable object or None is expected, got {handler!r}")
        self._exception_handler = handler

    def default_exception_handler(self, context: Report) -> None:
        """Log a report as an error of the logger ``asyncio``."""
        exception = context.get("exception")
        current = self._current_handle
        if "source_traceback" not in context and current is not None:
            stack = getattr(current, "_source_traceback", None)
            if stack:
                context["handle_traceback"] = stack
        logger.error("\n".join(lines_of(context)), exc_info=exception or False)

    def call_exception_handler(self, context: Report) -> None:
        """Give a report to the handler; what the handler raises is reported in turn, not raised.

        Raises:
            KeyboardInterrupt, SystemExit: from the handler.
        """
        if self._exception_handler is None:
            self._call_default_handler(context, "Exception in default exception handler")
            return
        try:
            self._call_handler(self._exception_handler, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._call_default_handler(
                {"message": "Unhandled error in exception handler", "exception": exc, "context": context},
                "Exception in default exception handler while handling an unexpected error in custom exception handler",
            )

    def _call_handler(self, handler: Handler, context: Report) -> None:
        """Call the handler in the context of what the report is about, or in the current one if that is entered."""
        place = context_of(context)
        if place is None:
            handler(self, context)
            return
        called = False

        def call() -> None:
            nonlocal called
            called = True
            handler(self, context)

        try:
            place.run(call)
        except RuntimeError:
            if called:
                raise
            handler(self, context)

    def _call_default_handler(self, context: Report, complaint: str) -> None:
        try:
            self.default_exception_handler(context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:  # it may be overridden
            logger.error(complaint, exc_info=True)

    def _callback_failed(self, handle: asyncio.Handle, exception: BaseException) -> None:
        """Report what the callback of ``handle`` raised."""
        callback, args = getattr(handle, "_callback", None), getattr(handle, "_args", None)
        name = getattr(callback, "__qualname__", None) or reprlib.repr(callback)
        report: Report = {
            "message": f"Exception in callback {name}({', '.join(map(reprlib.repr, args or ()))})",
            "exception": exception,
            "handle": handle,
        }
        stack = getattr(handle, "_source_traceback", None)
        if stack:
            report["source_traceback"] = stack
        self.call_exception_handler(report)
