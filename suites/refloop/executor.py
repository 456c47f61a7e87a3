"""Blocking calls in threads: run_in_executor() and the default executor."""

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import threading
import warnings
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from refloop.core import Core

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def settle(future: asyncio.Future[None], exception: BaseException | None) -> None:
    """End ``future``, unless it is cancelled."""
    if future.done():
        return
    if exception is None:
        future.set_result(None)
    else:
        future.set_exception(exception)


# What a function raises of these is another class in asyncio; the others are the same, or alike.
CONVERTED: dict[type[BaseException], Callable[..., BaseException]] = {
    concurrent.futures.CancelledError: asyncio.CancelledError,
    concurrent.futures.InvalidStateError: asyncio.InvalidStateError,
}


def end_as(future: asyncio.Future[T], source: concurrent.futures.Future[T]) -> None:
    """End ``future`` as the call in the executor has ended, unless it is cancelled."""
    if future.cancelled():
        return
    try:
        if source.cancelled():
            future.cancel()
            return
        exception = source.exception()
        if exception is None:
            result = source.result()
        elif (convert := CONVERTED.get(type(exception))) is not None:
            exception = convert(*exception.args).with_traceback(exception.__traceback__)
    except MemoryError as exc:  # then that is what became of it
        exception = exc
    if exception is None:
        future.set_result(result)
    else:
        future.set_exception(exception)


def pass_cancellation_on(source: concurrent.futures.Future[T], future: asyncio.Future[T]) -> None:
    """Cancel the call in the executor if ``future`` is cancelled."""
    if future.cancelled():
        source.cancel()


class Executor(Core):
    """The loop's default executor, made when it is first needed."""

    def __init__(self) -> None:
        super().__init__()
        self._default_executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._executor_is_shut_down = False

    def set_default_executor(self, executor: concurrent.futures.ThreadPoolExecutor) -> None:  # type: ignore[override]
        """Set the executor that run_in_executor(None, ...) uses.

        Raises:
            TypeError: it is no ThreadPoolExecutor.
        """
        if not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            raise TypeError("executor must be ThreadPoolExecutor instance")
        self._default_executor = executor

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call ``func(*args)`` in ``executor``, the default one if None; returns the future of its result.

        Raises:
            RuntimeError: the loop is closed, or its default executor shut down.
            TypeError: ``func`` cannot be called (debug mode).
        """
        self._check_closed()
        if self.get_debug():
            if asyncio.iscoroutine(func) or inspect.iscoroutinefunction(func):
                raise TypeError("coroutines cannot be used with run_in_executor()")
            if not callable(func):
                raise TypeError(f"a callable object was expected by run_in_executor(), got {func!r}")
        if executor is None:
            if self._executor_is_shut_down:
                raise RuntimeError("Executor shutdown has been called")
            if self._default_executor is None:
                self._default_executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
            executor = self._default_executor
        source = executor.submit(func, *args)
        if type(source) is not concurrent.futures.Future:
            return asyncio.wrap_future(source, loop=self)
        # The same with less ado: to chain any two futures takes longer than all else here.
        future: asyncio.Future[T] = self.create_future()
        future.add_done_callback(functools.partial(pass_cancellation_on, source))
        source.add_done_callback(functools.partial(self._executed, future, contextvars.copy_context()))
        return future

    def _executed(
        self, future: asyncio.Future[T], context: contextvars.Context, source: concurrent.futures.Future[T]
    ) -> None:
        """Have ``future`` ended; runs in a thread of the executor, where nobody is told of what it raises."""
        if not self.is_closed():
            self.call_soon_threadsafe(end_as, future, source, context=context)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Let the threads of the default executor finish, and allow no new use of it.

        Args:
            timeout: how many seconds to wait for them at most, after which a RuntimeWarning says so; None for ever.
        """
        self._executor_is_shut_down = True
        executor = self._default_executor
        if executor is None:
            return
        done: asyncio.Future[None] = self.create_future()
        thread = threading.Thread(target=self._join_executor, args=(executor, done))
        thread.start()
        try:
            async with asyncio.timeout(timeout):
                await done
        except TimeoutError:
            warnings.warn(
                f"The executor did not finish joining its threads within {timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
            executor.shutdown(wait=False)
        else:
            thread.join()

    def _join_executor(self, executor: concurrent.futures.Executor, done: asyncio.Future[None]) -> None:
        """Wait for the threads; runs in one of its own."""
        failure: BaseException | None = None
        try:
            executor.shutdown(wait=True)
        except Exception as exc:
            failure = exc
        if not self.is_closed():
            self.call_soon_threadsafe(settle, done, failure)

    def close(self) -> None:
        """Close the loop; the threads of the default executor end when they have nothing to do."""
        super().close()
        executor, self._default_executor = self._default_executor, None
        self._executor_is_shut_down = True
        if executor is not None:
            executor.shutdown(wait=False)
