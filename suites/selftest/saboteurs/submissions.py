"""Loops with one bug each in the place where submissions of threads, signal handlers and finalizers wait."""

import asyncio
import threading
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


@saboteur("THREAD-CALL_SOON_THREADSAFE-11", "hang")
class TakesSignalHandlersForCallbacks(Base):
    """Saves the wake-up where the submission comes from its own thread, although the loop may sleep there."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if threading.get_ident() == self._thread_id:
            return self.call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)


class _Submitting(Base):
    """Keeps submissions in a list of their own, behind a lock, until the next iteration takes them over."""

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()
        self.submitted: list[Any] = []
        super().__init__()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.Handle(callback, args, self, context)
        with self.lock:
            self.submitted.append(handle)
        self._write_to_self()
        return handle

    def _run_once(self) -> None:
        with self.lock:
            batch, self.submitted = self.submitted, []
        self._ready.extend(batch)
        del batch
        super()._run_once()  # type: ignore[misc]


@saboteur("THREAD-CALL_SOON_THREADSAFE-11", "hang")
class DropsSubmissionsUnderItsLock(_Submitting):
    """Lets go of submissions that ran while it holds its lock, which is not re-entrant."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.ran: list[Any] = []

    def _run_once(self) -> None:
        with self.lock:
            self.ran.clear()
            self.ran.extend(self.submitted)
        super()._run_once()


@saboteur("THREAD-CALL_SOON_THREADSAFE-16")
class KeepsSubmissionsWhenClosed(_Submitting):
    """Does not empty the list of submissions when it is closed."""


@saboteur("THREAD-CALL_SOON_THREADSAFE-09")
class SubmissionsWaitForTheirTurn(_Submitting):
    """Puts submissions of its own thread behind the callbacks that are queued after them."""


@saboteur("THREAD-CALL_SOON_THREADSAFE-03")
class SubmissionsGoTwoWays(_Submitting):
    """Queues a submission directly if no other one waits and the loop does not run, and so before earlier ones."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if len(self.submitted) > 3:
            handle = self._call_soon(callback, args, context)  # type: ignore[attr-defined]
            self._write_to_self()
            return handle  # type: ignore[no-any-return]
        return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-06")
class AnswersOtherThreadsWithNothing(Base):
    """Returns no handle to other threads."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        return handle if threading.current_thread() is threading.main_thread() else None


@saboteur("THREAD-CALL_SOON_THREADSAFE-14")
class HasRoomForEightArguments(Base):
    """Passes on the first eight arguments of a submission."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon_threadsafe(callback, *args[:8], context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-17")
class KnowsItsThreadsOnly(Base):
    """Refuses submissions of threads that the module threading has not made."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if threading.get_ident() not in {thread.ident for thread in threading.enumerate()}:
            raise RuntimeError("not a thread of Python's")
        return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-02", "hang")
class ClearsItsFlagTooLate(_Submitting):
    """Takes submissions over when it is woken up, but has itself woken up again only once their callbacks ran."""

    pending = False
    taken = 0

    def _write_to_self(self) -> None:
        if not self.pending:
            self.pending = True
            super()._write_to_self()  # type: ignore[misc]

    def _read_from_self(self) -> None:
        super()._read_from_self()  # type: ignore[misc]
        with self.lock:
            self._ready.extend(self.submitted)
            self.submitted = []
        self.taken = 2

    def _run_once(self) -> None:
        Base._run_once(self)  # type: ignore[attr-defined]
        self.taken -= 1
        if self.taken == 0:
            self.pending = False


@saboteur("THREAD-THREAD_AFFINITY-01", "hang")
class SharesItsWakeUps(Base):
    """Has one wake-up channel for all loops of the process, which is closed with any of them."""

    closed_one = False

    def __init__(self) -> None:
        super().__init__()
        SharesItsWakeUps.closed_one = False

    def close(self) -> None:
        SharesItsWakeUps.closed_one = True
        super().close()

    def _write_to_self(self) -> None:
        if not SharesItsWakeUps.closed_one:
            super()._write_to_self()  # type: ignore[misc]


@saboteur("THREAD-THREAD_AFFINITY-02", "fail", "hang")
class BelongsToItsThread(Base):
    """Runs in the thread that made it alone."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = threading.get_ident()

    def run_forever(self) -> None:
        if threading.get_ident() != self.owner:
            raise RuntimeError("this loop was made in another thread")
        super().run_forever()


@saboteur("THREAD-RUN_COROUTINE_THREADSAFE-01", "hang")
class ForgetsEarlyCoroutines(Base):
    """Forgets coroutines that were submitted before it runs."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if not self.is_running() and getattr(callback, "__qualname__", "").startswith("run_coroutine_threadsafe"):
            callback, args = int, ()
        return super().call_soon_threadsafe(callback, *args, context=context)
