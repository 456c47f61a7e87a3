"""Loops with one bug each in how they run, stop, close and shut down."""

import asyncio
import signal
import sys
import threading
import weakref
from asyncio import events
from typing import Any

from saboteurs import saboteur

Stock = asyncio.SelectorEventLoop
INTERRUPTS = (KeyboardInterrupt, SystemExit)


@saboteur("LIFE-RUN_FOREVER-01")
class ReturnsWhenIdle(Stock):
    """Returns from run_forever() when nothing is scheduled or watched, as uv_run() does without active handles."""

    def _run_once(self) -> None:
        if not self._ready and not self._scheduled and len(self._selector.get_map()) == 1:
            self._stopping = True
        super()._run_once()


@saboteur("LIFE-RUN_FOREVER-02", "fail", "hang")
class RunsNested(Stock):
    """Runs again inside its own run, as patched loops for notebooks do."""

    def _check_running(self) -> None:
        if not self.is_running():
            super()._check_running()


@saboteur("LIFE-RUN_FOREVER-03", "fail", "hang")
class RunsInsideOthers(Stock):
    """Looks only at itself when it is started, not at whether another loop runs in the thread."""

    def _check_running(self) -> None:
        if self.is_running():
            raise RuntimeError("This event loop is already running")


@saboteur("LIFE-RUN_FOREVER-04")
class ClosedRunReturns(Stock):
    """Returns from run_forever() at once when closed, instead of raising."""

    def run_forever(self) -> None:
        if not self.is_closed():
            super().run_forever()


@saboteur("LIFE-RUN_FOREVER-05")
class EarlyStopRunsNothing(Stock):
    """Takes a stop() of before the run for the end of the run and runs nothing."""

    def run_forever(self) -> None:
        if self._stopping and not self.is_closed():
            self._stopping = False
            return
        super().run_forever()


@saboteur("LIFE-RUN_FOREVER-06")
class EarlyStopDoesNotPoll(Stock):
    """With an early stop() runs what is queued and does not look at descriptors."""

    _early = False

    def run_forever(self) -> None:
        self._early = self._stopping
        super().run_forever()

    def _process_events(self, event_list: Any) -> None:
        if not self._early:
            super()._process_events(event_list)


@saboteur("LIFE-RUN_FOREVER-07")
@saboteur("LIFE-RUN_UNTIL_COMPLETE-18")
class StopsInTheBatch(Stock):
    """Puts what is left of the batch off to the next run when stop() is called."""

    _left: tuple[Any, ...] = ()

    def stop(self) -> None:
        super().stop()
        if self.is_running() and not self._left:
            self._left = tuple(self._ready)
            self._ready.clear()
            self._ready.extend(asyncio.Handle(int, (), self) for _ in self._left)

    def run_forever(self) -> None:
        try:
            super().run_forever()
        finally:
            self._ready.extendleft(reversed(self._left))
            self._left = ()


@saboteur("LIFE-RUN_FOREVER-08")
class StopIsACallback(Stock):
    """Queues the stop behind what is queued already, so that one more batch begins."""

    def stop(self) -> None:
        self.call_soon(super().stop)


@saboteur("LIFE-RUN_FOREVER-09")
class ForgetsTheQueue(Stock):
    """Begins each run with an empty queue."""

    def run_forever(self) -> None:
        super().run_forever()
        self._ready.clear()


@saboteur("LIFE-RUN_FOREVER-10", "fail", "hang")
class MarksAProxy(Stock):
    """Marks a wrapper of itself as the running loop."""

    def _run_once(self) -> None:
        events._set_running_loop(weakref.proxy(self))
        super()._run_once()


@saboteur("LIFE-RUN_FOREVER-11")
class MarkStays(Stock):
    """Leaves itself marked as the running loop when an exception ends the run."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except INTERRUPTS:
            events._set_running_loop(self)
            raise


@saboteur("LIFE-RUN_FOREVER-12")
class HooksStay(Stock):
    """Restores the hooks of async generators only when the run ends normally."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except INTERRUPTS:
            sys.set_asyncgen_hooks(self._asyncgen_firstiter_hook, self._asyncgen_finalizer_hook)
            raise


@saboteur("LIFE-RUN_FOREVER-13", "fail", "hang")
class RefusalCleansUp(Stock):
    """Cleans up after a run also when it was refused: the running loop loses its mark."""

    def run_forever(self) -> None:
        try:
            self._check_running()
        except RuntimeError:
            events._set_running_loop(None)
            raise
        super().run_forever()


@saboteur("LIFE-RUN_FOREVER-14")
class InterruptsAreReported(Stock):
    """Reports KeyboardInterrupt and SystemExit to the exception handler like any other error."""

    def _guarded(self, callback: Any, *args: Any) -> None:
        try:
            callback(*args)
        except BaseException as error:
            self.call_exception_handler({"message": "Exception in callback", "exception": error})

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(self._guarded, callback, *args, context=context)


@saboteur("LIFE-RUN_FOREVER-14")
class ExitIsMadeAnew(Stock):
    """Keeps the exit code only and raises a SystemExit of its own."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except SystemExit as error:
            raise SystemExit(error.code) from None


@saboteur("LIFE-RUN_FOREVER-15")
class RunsForeverAfterAnInterrupt(Stock):
    """Says that it is running after an exception has ended the run."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except INTERRUPTS:
            self._thread_id = threading.get_ident()
            raise


@saboteur("LIFE-RUN_FOREVER-16")
class InterruptDropsTheBatch(Stock):
    """Loses the rest of the batch when a callback raises KeyboardInterrupt or SystemExit."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except INTERRUPTS:
            self._ready.clear()
            raise


@saboteur("THREAD-THREAD_AFFINITY-02")
class BoundToItsThread(Stock):
    """Runs only in the thread that made it."""

    def __init__(self) -> None:
        super().__init__()
        self._home = threading.get_ident()

    def _check_running(self) -> None:
        if threading.get_ident() != self._home:
            raise RuntimeError("This event loop belongs to another thread")
        super()._check_running()


@saboteur("LIFE-RUN_FOREVER-19")
class TakesTheWakeupDescriptor(Stock):
    """Claims the signal wakeup descriptor for each run and unsets it afterwards."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.set_wakeup_fd(-1)


@saboteur("LIFE-RUN_UNTIL_COMPLETE-06")
class ForeignFutureIsARuntimeError(Stock):
    """Raises RuntimeError for a future of another loop."""

    def run_until_complete(self, future: Any) -> Any:
        if asyncio.isfuture(future) and future.get_loop() is not self:
            raise RuntimeError("future of another loop")
        return super().run_until_complete(future)


@saboteur("LIFE-RUN_UNTIL_COMPLETE-08")
class EarlyStopCancels(Stock):
    """Cancels the future when the run was stopped early."""

    def run_until_complete(self, future: Any) -> Any:
        try:
            return super().run_until_complete(future)
        finally:
            if asyncio.isfuture(future) and not future.done():
                future.cancel()


@saboteur("LIFE-RUN_UNTIL_COMPLETE-13")
class TaskBeforeTheCheck(Stock):
    """Makes a task of the coroutine before it checks whether it may run."""

    def run_until_complete(self, future: Any) -> Any:
        return super().run_until_complete(asyncio.ensure_future(future, loop=self))


@saboteur("LIFE-RUN_UNTIL_COMPLETE-14")
class CompletionCallbackStays(Stock):
    """Leaves its completion callback on a future that was not done when the run was stopped."""

    def run_until_complete(self, future: Any) -> Any:
        try:
            return super().run_until_complete(future)
        finally:
            if asyncio.isfuture(future) and not future.done():
                future.add_done_callback(lambda _: self.stop())


@saboteur("LIFE-RUN_UNTIL_COMPLETE-15")
class StaleStopAfterAnInterrupt(Stock):
    """Lets the completion of a task that ended with an interrupt stop the next run."""

    def run_until_complete(self, future: Any) -> Any:
        try:
            return super().run_until_complete(future)
        except INTERRUPTS:
            self.call_soon(self.stop)
            raise


@saboteur("LIFE-RUN_UNTIL_COMPLETE-16")
class InterruptIsNotRetrieved(Stock):
    """Does not retrieve the exception of its own task when an interrupt leaves the run."""

    def run_until_complete(self, future: Any) -> Any:
        self._check_closed()
        self._check_running()
        task = asyncio.ensure_future(future, loop=self)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        stop = lambda _: self.stop()  # noqa: E731
        task.add_done_callback(stop)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(stop)
        if not task.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return task.result()


@saboteur("LIFE-RUN_UNTIL_COMPLETE-17")
class OwnTaskIsReported(Stock):
    """Has the task it made of a coroutine reported when an early stop left it pending."""

    def run_until_complete(self, future: Any) -> Any:
        self._check_closed()
        self._check_running()
        return super().run_until_complete(self.create_task(future) if asyncio.iscoroutine(future) else future)


@saboteur("LIFE-RUN_UNTIL_COMPLETE-19")
class ClosedLoopClosesCoroutines(Stock):
    """Closes the coroutine that it refuses because it is closed."""

    def run_until_complete(self, future: Any) -> Any:
        if self.is_closed() and asyncio.iscoroutine(future):
            future.close()
        return super().run_until_complete(future)


@saboteur("LIFE-STOP-02")
class CountsStops(Stock):
    """Ends as many runs as stop() was called times."""

    _stops = 0

    def stop(self) -> None:
        self._stops += 1
        super().stop()

    def run_forever(self) -> None:
        super().run_forever()
        self._stops -= 1
        self._stopping = self._stops > 0


@saboteur("LIFE-STOP-03")
class StopOutlivesAnInterrupt(Stock):
    """Keeps a stop request that came in the batch which an exception ended."""

    _requested = False

    def stop(self) -> None:
        self._requested = True
        super().stop()

    def run_forever(self) -> None:
        self._requested = self._stopping
        try:
            super().run_forever()
        except INTERRUPTS:
            self._stopping = self._requested
            raise


@saboteur("LIFE-IS_RUNNING-01")
class NotRunningOnceStopped(Stock):
    """Says in a callback that it does not run any more as soon as stop() was called."""

    def is_running(self) -> bool:
        return super().is_running() and not self._stopping


@saboteur("LIFE-IS_RUNNING-02")
class RunsForItsThreadOnly(Stock):
    """Tells other threads that it is not running."""

    def is_running(self) -> bool:
        return self._thread_id == threading.get_ident()
