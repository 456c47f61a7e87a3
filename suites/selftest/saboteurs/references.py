"""Loops with one bug each in what handles, callbacks, contexts and protocols they refer to, and for how long."""

import asyncio
import gc
import sys
from typing import Any

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports

Base = asyncio.SelectorEventLoop


@saboteur("SCHED-CALL_SOON-29")
class HidesHandlesFromTheCollector(Base):
    """Keeps handles that somebody else refers to when their callback runs, as a handle without tp_traverse does."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: list[Any] = []

    def _run_once(self) -> None:
        self.hidden += [handle for handle in self._ready if handle._args and len(gc.get_referrers(handle)) > 1]
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-30")
class RemembersWhatItRefused(Base):
    """Takes references before it checks whether the call is allowed."""

    last: Any = None

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        before, self.last = self.last, (callback, args, context)
        handle = super().call_soon(callback, *args, context=context)
        self.last = before
        return handle


@saboteur("SCHED-CALL_SOON-16")
class LeaksTheHandlesOfFailures(Base):
    """Keeps the handle of each callback that failed."""

    def call_exception_handler(self, context: Any) -> None:
        self.failed = (*getattr(self, "failed", ()), context.get("handle"))
        super().call_exception_handler(context)


@saboteur("SCHED-CALL_SOON-16")
class LeaksTheContextsOfCancelledCallbacks(Base):
    """Does not let go of the context of a callback that was cancelled."""

    def _run_once(self) -> None:
        for handle in self._ready:
            if handle._cancelled:
                self.contexts = (*getattr(self, "contexts", ()), handle._context)
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-16")
class KeepsReturnValues(Base):
    """Keeps what the last callback has returned."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if type(callback).__name__ != "function":
            return super().call_soon(callback, *args, context=context)

        def run(*args: Any) -> None:
            self.returned = callback(*args)

        return super().call_soon(run, *args, context=context)


class _Slot(asyncio.Handle):
    """The face of a queued callback that a loop takes back as soon as the callback has run."""

    __slots__ = ("slot",)

    def cancel(self) -> None:
        pool: list[Any] = self._loop.pool  # type: ignore[attr-defined]
        if self.slot < len(pool) and pool[self.slot] is not None:
            pool[self.slot].cancel()
        super().cancel()


@saboteur("SCHED-HANDLE_CANCEL-03")
class RecyclesHandlesTooEarly(Base):
    """Gives the memory of a handle whose callback ran to the next one, although somebody holds it."""

    def __init__(self) -> None:
        self.pool: list[Any] = []
        super().__init__()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        free = next((slot for slot, inner in enumerate(self.pool) if inner is None), len(self.pool))

        def run() -> None:
            self.pool[free] = None
            callback(*args)

        inner = super().call_soon(run, context=context)
        self.pool[free:] = [inner, *self.pool[free + 1 :]]
        face = _Slot(callback, args, self, context)
        face.slot = free
        return face


@saboteur("SCHED-CALL_SOON-03")
class ForgetsDroppedHandles(Base):
    """Keeps the last ten handles of a batch alive and no others, as a ring that is too small does."""

    def _run_once(self) -> None:
        handles = list(self._ready)
        self._ready.clear()
        while handles:
            handle = handles.pop(0)
            if len(handles) < 10 or sys.getrefcount(handle) > 2:
                self._ready.append(handle)
            del handle
        super()._run_once()  # type: ignore[misc]


class _Strict(asyncio.Handle):
    __slots__ = ()

    def cancel(self) -> None:
        if self._cancelled:  # type: ignore[has-type]
            raise RuntimeError("this handle was cancelled already")
        super().cancel()


@saboteur("SCHED-HANDLE_CANCEL-02")
class CancelsOnce(Base):
    """Refuses to cancel a handle a second time."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self._check_closed()  # type: ignore[attr-defined]
        handle = _Strict(callback, args, self, context)
        self._ready.append(handle)
        return handle


@saboteur("PROTO-CONNECTION_LOST-07")
class KeepsTheProtocolOfTheDead(Transports):
    """Has a transport refer to its protocol for ever."""

    class transport(SocketTransport):
        def _call_connection_lost(self, error: Any) -> None:
            self.last = self._protocol
            super()._call_connection_lost(error)
