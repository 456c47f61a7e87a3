"""Loops with one bug each in how they queue and run callbacks."""

import asyncio
import collections
import contextvars
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


@saboteur("SCHED-CALL_SOON-01")
class RunsAtOnce(Base):
    """Runs the method of a list inside call_soon() if the loop is running."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if self.is_running() and isinstance(getattr(callback, "__self__", None), list):
            handle._run()  # type: ignore[attr-defined]
            handle.cancel()
        return handle


@saboteur("SCHED-CALL_SOON-02")
class LastInFirstOut(Base):
    """Runs the callbacks of one batch in reverse order."""

    def _run_once(self) -> None:
        self._ready.reverse()
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-02")
class TwoQueues(Base):
    """Runs callbacks that were queued by other callbacks before those that were queued from outside."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if self.is_running() and self._ready[-1] is handle and len(self._ready) > 1:
            self._ready.pop()
            self._ready.appendleft(handle)
        return handle


@saboteur("SCHED-CALL_SOON-02")
class LosesOrderWhenTheRingGrows(Base):
    """Puts the queue together the wrong way round when it grows beyond 1,024 callbacks."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if len(self._ready) == 1024:
            self._ready.rotate(1)
        return super().call_soon(callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-03")
class DropsOnceInAWhile(Base):
    """Forgets the 4,096th callback of a batch."""

    def _run_once(self) -> None:
        if len(self._ready) > 4096:
            del self._ready[4095]
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-10")
class MergesEqualRegistrations(Base):
    """Runs a callback once that was registered twice in a row with the same arguments."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        last = self._ready[-1] if self._ready else None
        if last is not None and args and (last._callback, last._args) == (callback, args):
            return last  # type: ignore[no-any-return]
        return super().call_soon(callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-04")
class CopiesArguments(Base):
    """Passes lists on as copies."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        passed = [list(argument) if type(argument) is list else argument for argument in args]
        return super().call_soon(callback, *passed, context=context)


@saboteur("SCHED-CALL_SOON-05")
class ReturnsAHandleOfItsOwn(Base):
    """Returns an object that behaves like a handle and is none."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = super().call_soon(callback, *args, context=context)

        class Handle:
            cancel = staticmethod(handle.cancel)
            cancelled = staticmethod(handle.cancelled)

        return Handle()


@saboteur("SCHED-CALL_SOON-06", "fail", "hang")
class RunsUntilTheQueueIsEmpty(Base):
    """Runs what callbacks queue within the same iteration, a hundred rounds long."""

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        for _ in range(100):
            if not self._ready or self._stopping:
                return
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()


@saboteur("SCHED-CALL_SOON-11")
class PassesKeywordsOn(Base):
    """Takes any keyword and forgets it."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None, **_: Any) -> asyncio.Handle:
        return super().call_soon(callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-13")
class ReportsWithoutTheHandle(Base):
    """Leaves the handle out of the report of a failing callback."""

    def call_exception_handler(self, context: Any) -> None:
        super().call_exception_handler({key: value for key, value in context.items() if key != "handle"})


@saboteur("SCHED-CALL_SOON-15")
class CatchesExceptionsOnly(Base):
    """Lets GeneratorExit and CancelledError out of callbacks leave the run."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        def guarded(*args: Any) -> None:
            try:
                callback(*args)
            except (GeneratorExit, asyncio.CancelledError) as error:
                raise SystemExit from error

        named = type(callback).__name__ == "function"
        return super().call_soon(guarded if named else callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-16")
class KeepsTheLastHandle(Base):
    """Keeps the handles of the last batch."""

    def _run_once(self) -> None:
        self.kept = list(self._ready)
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-17")
class IgnoresTheContext(Base):
    """Runs each callback in a copy of the context that is given."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        copied = context.copy() if isinstance(context, contextvars.Context) else context
        return super().call_soon(callback, *args, context=copied)


@saboteur("SCHED-CALL_SOON-18")
class CopiesTheContextLate(Base):
    """Copies the current context when the callback runs, not when it is registered."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if context is None and type(callback).__name__ == "function":
            inner = callback

            def callback(*args: Any) -> Any:
                return Base.later.copy().run(inner, *args)  # type: ignore[attr-defined]

            Base.later = contextvars.copy_context()  # type: ignore[attr-defined]
        return super().call_soon(callback, *args, context=context)


@saboteur("SCHED-CALL_SOON-26")
class KeepsTheQueueWhenClosed(Base):
    """Does not empty the queue when it is closed."""

    def close(self) -> None:
        kept = list(self._ready)
        super().close()
        self._ready.extend(kept)


@saboteur("SCHED-FAIRNESS-01")
class RunsWhatIsAddedMeanwhile(Base):
    """Takes the end of a batch anew after each callback, for up to eight callbacks more."""

    def _run_once(self) -> None:
        before = len(self._ready)
        super()._run_once()  # type: ignore[misc]
        if before:
            for _ in range(min(8, len(self._ready))):
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()


@saboteur("SCHED-FAIRNESS-02")
class TimersFirst(Base):
    """Runs timers that fell due before the callbacks that were queued."""

    def _run_once(self) -> None:
        queued = len(self._ready)
        self._timer_handle_cancelled_count = self._timer_handle_cancelled_count
        end = self.time() + self._clock_resolution
        due = sorted(timer for timer in self._scheduled if timer._when < end and not timer._cancelled)
        for timer in due:
            self._scheduled.remove(timer)
            timer._scheduled = False
        if due:
            self._scheduled.sort()
            self._ready = collections.deque([*due, *self._ready])
        assert len(self._ready) == queued + len(due)
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-FAIRNESS-07")
class WakesTheLastTaskFirst(Base):
    """Puts the wake-up of a task before everything else that is queued."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if "wakeup" in str(getattr(callback, "__name__", "")) or "TaskWakeup" in type(callback).__name__:
            self._ready.remove(handle)
            self._ready.appendleft(handle)
        return handle


class _Cancelling(Base):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if not isinstance(handle, _Handle):
            self._ready.remove(handle)
            handle = self.handle_class(callback, args, self, context)
            self._ready.append(handle)
        return handle


class _Handle(asyncio.Handle):
    __slots__ = ()


class _TooLate(_Handle):
    __slots__ = ()

    def _run(self) -> None:
        self._loop.batch = True  # type: ignore[attr-defined]
        super()._run()  # type: ignore[misc]

    def cancel(self) -> None:
        callback, args = self._callback, self._args  # type: ignore[attr-defined]
        super().cancel()
        if getattr(self._loop, "batch", False) and self in self._loop.running:  # type: ignore[attr-defined]
            self._cancelled, self._callback, self._args = False, callback, args


@saboteur("SCHED-HANDLE_CANCEL-04")
class CancelsForTheNextBatchOnly(_Cancelling):
    """Does not skip a callback that was cancelled by another one of its own batch."""

    handle_class = _TooLate
    running: tuple[Any, ...] = ()

    def _run_once(self) -> None:
        self.running = tuple(self._ready)
        super()._run_once()  # type: ignore[misc]


class _Keeping(_Handle):
    __slots__ = ()

    def cancel(self) -> None:
        callback, args = self._callback, self._args  # type: ignore[attr-defined]
        super().cancel()
        self._callback, self._args = callback, args


@saboteur("SCHED-HANDLE_CANCEL-05")
class KeepsWhatIsCancelled(_Cancelling):
    """Keeps callback and arguments of a cancelled handle until its turn comes."""

    handle_class = _Keeping


class _Forgetful(_Handle):
    __slots__ = ()

    def _run(self) -> None:
        super()._run()  # type: ignore[misc]
        self._cancelled = True


@saboteur("SCHED-HANDLE_CANCELLED-02")
class MarksWhatRanAsCancelled(_Cancelling):
    """Takes handles that ran for cancelled ones."""

    handle_class = _Forgetful


class _Mute(_Handle):
    __slots__ = ()

    def __repr__(self) -> str:
        return "<Handle>"


@saboteur("SCHED-HANDLE_REPR-01")
class NamesNoCallback(_Cancelling):
    """Shows handles without their callback."""

    handle_class = _Mute


class _Equal(_Handle):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Equal) and self._callback == other._callback  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return 1


@saboteur("SCHED-HANDLE_HASH-01")
class ComparesHandlesByCallback(_Cancelling):
    """Takes two registrations of one callback for equal."""

    handle_class = _Equal
