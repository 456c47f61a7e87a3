"""Loops whose default exception handler has one bug each."""

import asyncio
import logging
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop
Report = dict[str, Any]
logger = logging.getLogger("asyncio")


def text_of(context: Report) -> str:
    """The text that stdlib asyncio logs, without what is special in debug mode."""
    message = context.get("message") or "Unhandled exception in event loop"
    rest = [f"{key}: {context[key]!r}" for key in sorted(context) if key not in ("message", "exception")]
    return "\n".join([message, *rest])


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-01")
class NoDefaultWithAHandler(Base):
    """Has its default handler do nothing while a custom one is set."""

    def default_exception_handler(self, context: Report) -> None:
        if self._exception_handler is None:
            super().default_exception_handler(context)


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-02")
class LogsWarnings(Base):
    """Logs reports as warnings."""

    def default_exception_handler(self, context: Report) -> None:
        logger.warning("%s", text_of(context), exc_info=context.get("exception"))


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-02")
class LogsTheCurrentError(Base):
    """Logs the error that is being handled at the moment instead of the one that is reported."""

    def default_exception_handler(self, context: Report) -> None:
        logger.error("%s", text_of(context), exc_info=True)


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-03")
class DoesNotSort(Base):
    """Lists the keys of the context as they come."""

    def default_exception_handler(self, context: Report) -> None:
        rest = [f"{key}: {value!r}" for key, value in context.items() if key not in ("message", "exception")]
        logger.error("%s", "\n".join([text_of(context).splitlines()[0], *rest]), exc_info=context.get("exception"))


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-03")
class FormatsTheText(Base):
    """Hands the text to the logger as a format string with arguments."""

    def default_exception_handler(self, context: Report) -> None:
        logger.error(text_of(context), context, exc_info=context.get("exception"))


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-04")
class NeedsAMessage(Base):
    """Takes for granted that there is a message."""

    def default_exception_handler(self, context: Report) -> None:
        logger.error("%s", text_of({**context, "message": context["message"]}), exc_info=context.get("exception"))


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-05")
class NoPlaceOfCreation(Base):
    """Leaves the place of creation out of the log."""

    def default_exception_handler(self, context: Report) -> None:
        super().default_exception_handler({**context, "source_traceback": []})


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-06")
class TrustsTheContext(Base):
    """Does not expect that a context cannot be printed."""

    def call_exception_handler(self, context: Report) -> None:
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            super().call_exception_handler(context)


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-07")
class LogsAnyway(Base):
    """Gives its records to the handlers of the logger, past levels and switches."""

    def default_exception_handler(self, context: Report) -> None:
        error = context.get("exception")
        information = (type(error), error, error.__traceback__) if error else None
        logger.callHandlers(logger.makeRecord("asyncio", 40, __file__, 1, text_of(context), (), information))


@saboteur("ERR-DEFAULT_EXCEPTION_HANDLER-08")
class ForgetsTheReporter(Base):
    """Does not tell whose callback made a report."""

    def default_exception_handler(self, context: Report) -> None:
        handle, self._current_handle = self._current_handle, None
        try:
            super().default_exception_handler(context)
        finally:
            self._current_handle = handle
