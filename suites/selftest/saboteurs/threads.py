"""Loops with one bug each in what other threads and signal handlers hand them."""

import asyncio
import contextlib
import threading
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


@saboteur("THREAD-CALL_SOON_THREADSAFE-02", "hang")
class DoesNotWakeUp(Base):
    """Queues what other threads submit, and waits on."""

    def _write_to_self(self) -> None:
        pass


@saboteur("THREAD-CALL_SOON_THREADSAFE-02", "hang")
class WakesUpBeforeItQueues(Base):
    """Wakes up first and queues after it, so that the loop may be asleep again."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if threading.get_ident() == self._thread_id:
            return super().call_soon_threadsafe(callback, *args, context=context)
        self._check_closed()  # type: ignore[attr-defined]
        self._write_to_self()
        threading.Event().wait(0.0005)
        return self._call_soon(callback, args, context)  # type: ignore[attr-defined, no-any-return]

    def _write_to_self(self) -> None:
        super()._write_to_self()  # type: ignore[misc]


@saboteur("THREAD-CALL_SOON_THREADSAFE-02", "hang")
class WakesUpOnce(Base):
    """Remembers that it was woken up, and forgets to forget it."""

    woken = False

    def _write_to_self(self) -> None:
        if not self.woken:
            self.woken = True
            super()._write_to_self()  # type: ignore[misc]


@saboteur("THREAD-CALL_SOON_THREADSAFE-01")
class RunsInTheSubmittersThread(Base):
    """Runs what another thread submits there."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        elsewhere = self._thread_id not in (None, threading.get_ident())
        if elsewhere and getattr(callback, "__name__", "") != "stop":
            callback(*args)
            callback, args = int, ()
        return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-03")
class ReversesABatchOfSubmissions(Base):
    """Hands the submissions of one wake-up over in reverse order."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[Any] = []

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        with contextlib.suppress(ValueError):
            self._ready.remove(handle)
            self.submitted.insert(0, handle)
        return handle

    def _run_once(self) -> None:
        batch, self.submitted = self.submitted, []
        self._ready.extend(batch)
        super()._run_once()  # type: ignore[misc]


@saboteur("THREAD-CALL_SOON_THREADSAFE-04")
class TakesSubmissionsWhenClosed(Base):
    """Takes submissions to a closed loop and forgets them."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.is_closed():
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-05")
class ForgetsTheContextOfSubmissions(Base):
    """Runs submissions in the context of the submitter, whatever context they were given."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon_threadsafe(callback, *args)


@saboteur("THREAD-CALL_SOON_THREADSAFE-08", "fail", "hang")
class LosesSubmissionsThatCollide(Base):
    """Reads, changes and writes the list of submissions without a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: tuple[Any, ...] = ()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        before = self.submitted
        threading.Event().wait(1e-6)
        self.submitted = (*before, handle)
        self._write_to_self()
        return handle

    def _run_once(self) -> None:
        batch, self.submitted = self.submitted, ()
        self._ready.extend(batch)
        super()._run_once()  # type: ignore[misc]


@saboteur("THREAD-CALL_SOON_THREADSAFE-10", "fail", "hang")
class ForgetsSubmissionsBeforeTheRun(Base):
    """Empties the queue of submissions when the run begins."""

    def run_forever(self) -> None:
        for handle in [handle for handle in self._ready if handle in getattr(self, "early", ())]:
            self._ready.remove(handle)
        super().run_forever()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if not self.is_running():
            self.early = [*getattr(self, "early", ()), handle]
        return handle


@saboteur("THREAD-CALL_SOON_THREADSAFE-12", "hang")
class DeadlocksWithItself(Base):
    """Takes a lock that is not re-entrant for each submission, and while it is closed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        super().__init__()

    def close(self) -> None:
        self.lock.acquire()
        super().close()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        with self.lock:
            return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-11", "fail", "hang")
class CannotBeInterrupted(Base):
    """Holds a lock that is not re-entrant while it queues."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        super().__init__()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        with self.lock:
            return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-13", "hang")
class BlocksOnItsWakeupPipe(Base):
    """Writes to the wake-up socket as if it were never full."""

    def _write_to_self(self) -> None:
        if self._csock is not None:
            self._csock.setblocking(True)
            with contextlib.suppress(OSError):
                self._csock.send(b"\0" * 64)


@saboteur("THREAD-CALL_SOON_THREADSAFE-15", "fail", "leak")
class SwallowsErrorsOfSubmissions(Base):
    """Says nothing of a submitted callback that fails."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        def quietly(*args: Any) -> None:
            with contextlib.suppress(Exception):
                callback(*args)

        return super().call_soon_threadsafe(quietly, *args, context=context)


@saboteur("THREAD-CALL_SOON_THREADSAFE-16")
class KeepsTheLastSubmission(Base):
    """Keeps the last submission that it took."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self.last = super().call_soon_threadsafe(callback, *args, context=context)
        return self.last


@saboteur("THREAD-RUN_COROUTINE_THREADSAFE-02", "hang")
class IgnoresCancellationFromOutside(Base):
    """Drops what another thread submits in order to cancel a task."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if getattr(callback, "__name__", "") == "cancel":
            callback, args = int, ()
        return super().call_soon_threadsafe(callback, *args, context=context)


@saboteur("THREAD-THREAD_AFFINITY-01", "fail", "hang")
class SharesItsQueue(Base):
    """Keeps one queue for all loops of the process."""

    ready: Any = None

    def __init__(self) -> None:
        super().__init__()
        if SharesItsQueue.ready is None:
            SharesItsQueue.ready = self._ready
        self._ready = SharesItsQueue.ready
