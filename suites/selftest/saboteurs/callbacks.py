"""Loops with one bug each in what can be a callback, in what context it runs, and in what a handle tells of it."""

import asyncio
import contextvars
import inspect
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


class _OwnHandles(Base):
    """Queues handles of a class of its own."""

    handle_class: Any = asyncio.Handle

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self._check_closed()  # type: ignore[attr-defined]
        handle: asyncio.Handle = self.handle_class(callback, args, self, context)
        self._ready.append(handle)
        return handle


class _Specialised(asyncio.Handle):
    __slots__ = ()

    def cancel(self) -> None:
        callback, args = self._callback, self._args  # type: ignore[attr-defined]
        super().cancel()
        if args is not None and len(args) == 1:
            self._cancelled, self._callback, self._args = False, callback, args


@saboteur("SCHED-HANDLE_CANCEL-01")
class CancelsAllButOneKindOfHandle(_OwnHandles):
    """Has handles of three kinds, for no, one and several arguments; cancel() of the second does nothing."""

    handle_class = _Specialised


class _Busy(asyncio.Handle):
    __slots__ = ("busy",)

    def _run(self) -> None:
        self.busy = True
        super()._run()  # type: ignore[misc]
        self.busy = False

    def cancel(self) -> None:
        if getattr(self, "busy", False):
            raise RuntimeError("the callback of this handle is running")
        super().cancel()


@saboteur("SCHED-HANDLE_CANCEL-06")
class DoesNotCancelWhatRuns(_OwnHandles):
    """Refuses to cancel the handle whose callback is running."""

    handle_class = _Busy


class _Consumed(asyncio.Handle):
    __slots__ = ()

    def _run(self) -> None:
        self._cancelled = True
        super()._run()  # type: ignore[misc]
        self._cancelled = False


@saboteur("SCHED-HANDLE_CANCELLED-03")
class MarksWhatRunsAsCancelled(_OwnHandles):
    """Uses the flag of cancelled handles for those that are running."""

    handle_class = _Consumed


class _Named(asyncio.Handle):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Handle {self._callback.__name__}{' cancelled' if self._cancelled else ''}>"  # type: ignore[attr-defined]


@saboteur("SCHED-HANDLE_REPR-03")
class HasNoNameForCancelledHandles(_OwnHandles):
    """Looks up the name of the callback also where the callback was let go."""

    handle_class = _Named


class _Homeless(asyncio.Handle):
    __slots__ = ()

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._source_traceback = None


@saboteur("SCHED-HANDLE_REPR-02")
class ForgetsWhereHandlesWereMade(_OwnHandles):
    """Does not note in debug mode where a handle was made."""

    handle_class = _Homeless


class _Bare(asyncio.Handle):
    __slots__ = ()

    def _run(self) -> None:
        try:
            self._callback(*self._args)  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(  # type: ignore[attr-defined]
                {"message": f"Exception in callback {self._callback!r}", "exception": error, "handle": self}  # type: ignore[attr-defined]
            )


@saboteur("SCHED-CALL_SOON-18")
@saboteur("SCHED-CALL_SOON-19")
class HasOneContextForAll(Base):
    """Runs callbacks that were given no context in the context of the run."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if context is not None:
            return handle
        self._ready.remove(handle)
        handle = _Bare(callback, args, self, None)
        self._ready.append(handle)
        return handle


@saboteur("SCHED-CALL_SOON-20")
class SharesContextsByValue(Base):
    """Takes a copy of the context when a callback is registered, as it does for the current one."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        copied = context.copy() if isinstance(context, contextvars.Context) else context
        return super().call_soon(callback, *args, context=copied)


@saboteur("SCHED-CALL_SOON-24")
class IgnoresWhatIsNoContext(Base):
    """Treats a context that is none like None."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(callback, *args, context=context if isinstance(context, contextvars.Context) else None)


@saboteur("SCHED-CALL_SOON-14")
class StopsForFalse(Base):
    """Ends the run when a callback returns False, as loops of graphical toolkits do."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        def run(*args: Any) -> None:
            if callback(*args) is False:
                self.stop()

        plain = type(callback).__name__ == "builtin_function_or_method"
        return super().call_soon(run if plain else callback, *args, context=context)


class _Trusting(asyncio.Handle):
    __slots__ = ()

    def _run(self) -> None:
        if not callable(self._callback):  # type: ignore[attr-defined]
            raise TypeError("not callable")
        super()._run()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-21")
class EndsTheRunForWhatCannotBeCalled(_OwnHandles):
    """Lets the TypeError of a callback that cannot be called leave the run."""

    handle_class = _Trusting


@saboteur("SCHED-CALL_SOON-22")
class DrivesCoroutineFunctions(Base):
    """Makes a task of a coroutine function that is given as a callback."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if inspect.iscoroutinefunction(callback):
            return super().call_soon(lambda: self.create_task(callback(*args)) and None, context=context)
        return super().call_soon(callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-27")
class LosesWhatIsQueuedMeanwhile(Base):
    """Works on a copy of its queue while it makes a handle, although finalizers may run and queue just then."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        before = list(self._ready)
        handle = super().call_soon(callback, *args, context=context)
        self._ready.clear()
        self._ready.extend([*before, handle])
        return handle
