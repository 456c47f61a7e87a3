"""Loops with one bug each in how they report errors."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop
Report = dict[str, Any]
Handler = Callable[[asyncio.AbstractEventLoop, Report], object]


class _Filtered(Base):
    """Passes reports through `alter`, which may drop them by returning None; no bug by itself."""

    def alter(self, context: Any) -> Any:
        return context

    def call_exception_handler(self, context: Report) -> None:
        altered = self.alter(context)
        if altered is not None:
            super().call_exception_handler(altered)


@saboteur("ERR-SET_EXCEPTION_HANDLER-01")
class CallsWithTheContextOnly(Base):
    """Calls a custom handler with the context alone."""

    def set_exception_handler(self, handler: Handler | None) -> None:
        super().set_exception_handler(handler)
        if handler is not None:
            self._exception_handler = lambda _, context: handler(context)  # type: ignore[call-arg,arg-type]


@saboteur("ERR-SET_EXCEPTION_HANDLER-01")
class LogsToo(Base):
    """Calls the default handler in addition to a custom one."""

    def call_exception_handler(self, context: Report) -> None:
        super().call_exception_handler(context)
        if self._exception_handler is not None:
            self.default_exception_handler(context)


@saboteur("ERR-SET_EXCEPTION_HANDLER-02")
class NoneChangesNothing(Base):
    """Takes None for `no change`."""

    def set_exception_handler(self, handler: Handler | None) -> None:
        if handler is not None:
            super().set_exception_handler(handler)


@saboteur("ERR-SET_EXCEPTION_HANDLER-03")
class TakesAnything(Base):
    """Does not look at what it is given for a handler."""

    def set_exception_handler(self, handler: Any) -> None:
        self._exception_handler = handler


@saboteur("ERR-GET_EXCEPTION_HANDLER-01")
class GivesBackAWrapper(Base):
    """Returns the function that it has wrapped around the handler."""

    def set_exception_handler(self, handler: Handler | None) -> None:
        super().set_exception_handler(handler)
        if handler is not None:
            self._exception_handler = lambda loop, context: handler(loop, context)


@saboteur("ERR-SET_EXCEPTION_HANDLER-04")
class CallsInTheCurrentContext(Base):
    """Runs the handler in whatever Context is current, as before Python 3.12."""

    def call_exception_handler(self, context: Report) -> None:
        handler = self._exception_handler
        if handler is None:
            super().call_exception_handler(context)
            return
        try:
            handler(self, context)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.default_exception_handler({"message": "error in the handler", "exception": error, "context": context})


@saboteur("ERR-SET_EXCEPTION_HANDLER-06")
class RestoresTheHandler(Base):
    """Takes the handler away while it runs and puts it back afterwards, whatever was set meanwhile."""

    def call_exception_handler(self, context: Report) -> None:
        handler = self._exception_handler
        super().call_exception_handler(context)
        self._exception_handler = handler


@saboteur("ERR-CALL_EXCEPTION_HANDLER-01")
class CopiesTheContext(_Filtered):
    """Gives the handler a copy of the context."""

    def alter(self, context: Any) -> Any:
        return dict(context)


@saboteur("ERR-CALL_EXCEPTION_HANDLER-02")
class RaisesWhatTheHandlerRaises(Base):
    """Does not guard the call of the handler."""

    def call_exception_handler(self, context: Report) -> None:
        if self._exception_handler is None:
            super().call_exception_handler(context)
        else:
            self._exception_handler(self, context)


class _Guarding(Base):
    """Calls the handler through `guard`; no bug by itself."""

    def guard(self, handler: Handler, context: Report) -> None:
        handler(self, context)

    def call_exception_handler(self, context: Report) -> None:
        handler = self._exception_handler
        if handler is None:
            super().call_exception_handler(context)
            return
        self._exception_handler = lambda _, context: self.guard(handler, context)
        try:
            super().call_exception_handler(context)
        finally:
            self._exception_handler = handler


@saboteur("ERR-CALL_EXCEPTION_HANDLER-02")
class SwallowsWhatTheHandlerRaises(_Guarding):
    """Ignores the error of a handler."""

    def guard(self, handler: Handler, context: Report) -> None:
        with contextlib.suppress(Exception):
            handler(self, context)


@saboteur("ERR-CALL_EXCEPTION_HANDLER-03")
class HoldsInterruptsBack(_Guarding):
    """Logs an interrupt out of a handler like any error."""

    def guard(self, handler: Handler, context: Report) -> None:
        try:
            handler(self, context)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            raise RuntimeError("interrupted") from interrupt


@saboteur("ERR-CALL_EXCEPTION_HANDLER-09")
class KnowsExceptionOnly(Base):
    """Guards the call of the handler against Exception, not against BaseException."""

    def call_exception_handler(self, context: Report) -> None:
        escaped: list[BaseException] = []
        handler = self._exception_handler

        def watched(loop: asyncio.AbstractEventLoop, context: Report) -> None:
            try:
                handler(loop, context)  # type: ignore[misc]
            except Exception:
                raise
            except BaseException as error:
                escaped.append(error)

        if handler is None:
            super().call_exception_handler(context)
            return
        self._exception_handler = watched
        try:
            super().call_exception_handler(context)
        finally:
            self._exception_handler = handler
        if escaped:
            raise escaped[0]


@saboteur("ERR-CALL_EXCEPTION_HANDLER-04")
class IgnoresOverrides(Base):
    """Calls its own default handler where a subclass has another one."""

    def call_exception_handler(self, context: Report) -> None:
        if self._exception_handler is None:
            Base.default_exception_handler(self, context)
        else:
            super().call_exception_handler(context)


@saboteur("ERR-CALL_EXCEPTION_HANDLER-05")
class InventsAKey(_Filtered):
    """Adds its own key to the reports of callbacks."""

    def alter(self, context: Any) -> Any:
        if "handle" in context:
            context["callback_name"] = "unknown"
        return context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-05")
class ForgetsTheHandle(_Filtered):
    """Reports failing callbacks without their handles."""

    def alter(self, context: Any) -> Any:
        if isinstance(context, dict):
            context.pop("handle", None)
        return context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-06")
class ForgetsDestroyedTasks(_Filtered):
    """Does not report tasks that are destroyed."""

    def alter(self, context: Any) -> Any:
        return None if "task" in context and "exception" not in context else context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-07")
class ForgetsUnretrievedErrors(_Filtered):
    """Does not report errors that nobody retrieved once it is closed."""

    def alter(self, context: Any) -> Any:
        return None if "future" in context and self.is_closed() else context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-08")
class ForgetsTheProtocol(_Filtered):
    """Reports errors of protocols without the protocol."""

    def alter(self, context: Any) -> Any:
        return {key: value for key, value in context.items() if key != "protocol"} if "protocol" in context else context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-10")
class SilentWhenClosed(_Filtered):
    """Drops reports after close()."""

    def alter(self, context: Any) -> Any:
        return None if self.is_closed() else context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-11")
class DropsReportsOfHandlers(Base):
    """Drops what is reported while a handler runs."""

    reporting = False

    def call_exception_handler(self, context: Report) -> None:
        if not self.reporting:
            self.reporting = True
            try:
                super().call_exception_handler(context)
            finally:
                self.reporting = False


@saboteur("ERR-CALL_EXCEPTION_HANDLER-12")
class KeepsTheLastReport(_Filtered):
    """Keeps the last report for whoever may ask."""

    last: Report | None = None

    def alter(self, context: Any) -> Any:
        self.last = context
        return context


@saboteur("ERR-CALL_EXCEPTION_HANDLER-13")
class AFailingReaderIsRemoved(Base):
    """Stops watching a descriptor when its callback fails."""

    def _add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> Any:
        def watched() -> None:
            try:
                callback(*args)
            except Exception:
                self._remove_reader(fd)
                raise

        return super()._add_reader(
            fd,
            callback if callback == self._read_from_self else watched,
            *(args if callback == self._read_from_self else ()),
        )
