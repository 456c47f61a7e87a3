"""Loops with one bug each in how they close, shut down their generators and executor, and are collected."""

import asyncio
import contextlib
import os
import signal
from typing import Any

from saboteurs import saboteur

Stock = asyncio.SelectorEventLoop


@saboteur("LIFE-CLOSE-01")
class ClosesByStopping(Stock):
    """Takes close() of a running loop for stop()."""

    def close(self) -> None:
        if self.is_running():
            self.stop()
        else:
            super().close()


@saboteur("LIFE-CLOSE-02")
class ClosesOnce(Stock):
    """Raises from every close() after the first."""

    def close(self) -> None:
        self._check_closed()
        super().close()


@saboteur("LIFE-CLOSE-03")
class RunsTheQueueAtClose(Stock):
    """Runs what is queued and due before it closes."""

    def close(self) -> None:
        if not self.is_closed() and not self.is_running():
            self.stop()
            self.run_forever()
        super().close()


@saboteur("LIFE-CLOSE-04")
class CloseWaitsForWork(Stock):
    """Waits in close() for what runs in the default executor."""

    def close(self) -> None:
        executor = self._default_executor
        if executor is not None and not self.is_running():
            executor.shutdown(wait=True)
        super().close()


@saboteur("LIFE-CLOSE-05")
class ClosedLoopTakesCallbacks(Stock):
    """Accepts callbacks when closed and drops them."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.is_closed():
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon(callback, *args, context=context)


@saboteur("LIFE-CLOSE-06")
class ClosedLoopCallsItsTaskFactory(Stock):
    """Checks whether it is closed only after it has called the task factory."""

    def create_task(self, coro: Any, **options: Any) -> Any:
        factory = self.get_task_factory()
        if factory is not None and self.is_closed():
            factory(self, coro)
        return super().create_task(coro, **options)


@saboteur("LIFE-CLOSE-08")
class ClosedLoopRemovesReaders(Stock):
    """Returns None from remove_reader() when closed."""

    def remove_reader(self, fd: Any) -> Any:
        return None if self.is_closed() else super().remove_reader(fd)


@saboteur("LIFE-CLOSE-10", "fail", "leak")
class LeaksItsPoller(Stock):
    """Leaves a descriptor of its poller open when it closes."""

    def close(self) -> None:
        if not self.is_closed() and not self.is_running():
            os.dup(self._selector.fileno())  # type: ignore[attr-defined]
        super().close()


@saboteur("LIFE-CLOSE-11")
class SignalHandlersStay(Stock):
    """Forgets its signal handlers at close() without uninstalling them."""

    def close(self) -> None:
        if not self.is_closed() and not self.is_running() and self._signal_handlers:
            self._signal_handlers.clear()
            signal.set_wakeup_fd(-1)
        super().close()


@saboteur("LIFE-CLOSE-12")
class WakeupDescriptorStays(Stock):
    """Leaves a signal wakeup descriptor set when it closes."""

    def close(self) -> None:
        claimed = not self.is_closed() and bool(self._signal_handlers)
        super().close()
        if claimed:
            signal.set_wakeup_fd(os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK))


@saboteur("LIFE-CLOSE-13", "fail", "leak")
class ClosesWhatItWatches(Stock):
    """Closes the descriptors that it still watches."""

    def close(self) -> None:
        watched = [] if self.is_closed() else [key.fd for key in self._selector.get_map().values()]
        own = self._ssock.fileno() if self._ssock is not None else -1
        super().close()
        for number in watched:
            if number != own:
                os.close(number)


@saboteur("LIFE-CLOSE-15")
class ClosedLoopResolves(Stock):
    """Begins to resolve names when closed, and the answer never comes."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if self.is_closed():
            return await self.create_future()
        return await super().getaddrinfo(host, port, **options)


@saboteur("LIFE-CLOSE-16")
class KeepsDroppedCallbacks(Stock):
    """Keeps the callbacks that close() dropped for as long as it lives."""

    def close(self) -> None:
        self._dropped = (*self._ready, *self._scheduled)
        super().close()


@saboteur("LIFE-CLOSE-17")
class ClosedLoopTakesNoReports(Stock):
    """Raises from call_exception_handler() when closed."""

    def call_exception_handler(self, context: Any) -> None:
        self._check_closed()
        super().call_exception_handler(context)


@saboteur("LIFE-REPR-01")
class ReprNeedsThePoller(Stock):
    """Shows its poller, which it has no more when closed."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} poller={self._selector.fileno()}>"  # type: ignore[attr-defined]


@saboteur("GC-RESOURCE-01", "fail", "leak")
class UnclosedInSilence(Stock):
    """Neither warns nor closes when it is collected."""

    def __del__(self) -> None:  # type: ignore[override]
        self._keep = None


@saboteur("LIFE-SHUTDOWN_ASYNCGENS-01")
class ForgetsGeneratorsOfEarlierRuns(Stock):
    """Tracks the async generators of the current run only."""

    def run_forever(self) -> None:
        try:
            super().run_forever()
        finally:
            self._asyncgens.clear()


@saboteur("LIFE-SHUTDOWN_ASYNCGENS-02")
class NoWarningAfterTheShutdown(Stock):
    """Takes new async generators after the shutdown without a warning."""

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        self._asyncgens.add(agen)


@saboteur("LIFE-SHUTDOWN_ASYNCGENS-03")
class DoesNotWaitForGenerators(Stock):
    """Starts to close the generators and does not wait for the end of it."""

    async def shutdown_asyncgens(self) -> None:
        self._asyncgens_shutdown_called = True
        self._closing = [self.create_task(generator.aclose()) for generator in self._asyncgens]
        self._asyncgens.clear()
        await asyncio.sleep(0)


@saboteur("LIFE-SHUTDOWN_ASYNCGENS-05")
class FirstErrorEndsTheShutdown(Stock):
    """Closes the generators one by one and stops at the first that fails."""

    async def shutdown_asyncgens(self) -> None:
        self._asyncgens_shutdown_called = True
        for generator in list(self._asyncgens):
            self._asyncgens.discard(generator)
            await generator.aclose()


@saboteur("LIFE-SHUTDOWN_ASYNCGENS-07")
class KeepsGeneratorsAlive(Stock):
    """Holds the async generators that it tracks by strong references."""

    def __init__(self) -> None:
        super().__init__()
        self._asyncgens: Any = set()


@saboteur("LIFE-ASYNCGEN_HOOKS-01")
class DoesNotFinalize(Stock):
    """Does nothing about an async generator that is collected."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        self._asyncgens.discard(agen)


@saboteur("LIFE-ASYNCGEN_HOOKS-02")
class FinalizesWithoutWakingUp(Stock):
    """Schedules the cleanup of a generator collected in another thread as if it were its own thread."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        self._asyncgens.discard(agen)
        if not self.is_closed():
            self.call_soon(self.create_task, agen.aclose())


@saboteur("LIFE-ASYNCGEN_HOOKS-03")
class FinalizesWhenClosed(Stock):
    """Schedules the cleanup of a generator although it is closed, which raises in the collection."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        self._asyncgens.discard(agen)
        self.call_soon_threadsafe(self.create_task, agen.aclose())


@saboteur("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-01")
class DoesNotJoinWorkers(Stock):
    """Shuts the default executor down without waiting for its workers."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=False)


@saboteur("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-02")
class ExecutorComesBack(Stock):
    """Makes a new default executor when one is wanted after the shutdown."""

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        await super().shutdown_default_executor(*args, **options)
        self._default_executor = None
        self._executor_shutdown_called = False


@saboteur("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-05")
class BlocksInTheShutdown(Stock):
    """Waits for the workers in the thread of the loop."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=True)


@saboteur("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-06")
class IgnoresTheTimeout(Stock):
    """Accepts a timeout and waits without limit."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        await super().shutdown_default_executor()


@saboteur("LIFE-SHUTDOWN_DEFAULT_EXECUTOR-11")
class SwallowsErrorsOfTheExecutor(Stock):
    """Says nothing of what the shutdown of an executor raises."""

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        with contextlib.suppress(Exception):
            await super().shutdown_default_executor(*args, **options)
