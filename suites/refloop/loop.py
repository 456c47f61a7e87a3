"""The reference loop: the core with all that completes it."""

import asyncio
import warnings
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from refloop.debug import Debug
from refloop.dns import Names
from refloop.executor import Executor
from refloop.generators import Generators
from refloop.pipes import Pipes
from refloop.reports import Reports
from refloop.signals import Signals
from refloop.sockets import Sockets
from refloop.tasks import Tasks
from refloop.unix import Unix

T = TypeVar("T")


def stop_loop_of(future: asyncio.Future[Any]) -> None:
    """Stop the loop of a future that is done, unless its exception is about to leave the run anyway."""
    if not future.cancelled() and isinstance(future.exception(), (SystemExit, KeyboardInterrupt)):
        return
    future.get_loop().stop()


class Loop(Debug, Executor, Generators, Names, Pipes, Reports, Signals, Sockets, Tasks, Unix):
    """An asyncio event loop in C on libuv."""

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until ``future`` is done; returns its result. A coroutine is wrapped in a task.

        Raises:
            RuntimeError: the loop is closed, a loop runs here already, or the loop was stopped before.
            TypeError, ValueError: nothing that can be awaited, or a future of another loop.
            BaseException: the exception of the future, or what made the run end.
        """
        self._check_closed()
        self._check_running()
        ours = not asyncio.isfuture(future)
        awaited: Any = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        if ours:
            awaited._log_destroy_pending = False
        awaited.add_done_callback(stop_loop_of)
        try:
            self.run_forever()
        except BaseException:
            if ours and awaited.done() and not awaited.cancelled():
                awaited.exception()  # nobody else can retrieve it
            raise
        finally:
            awaited.remove_done_callback(stop_loop_of)
        if not awaited.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        result: T = awaited.result()
        return result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} running={self.is_running()} closed={self.is_closed()} debug={self.get_debug()}>"

    def __del__(self) -> None:
        if self.is_closed():
            return
        warnings.warn(f"unclosed event loop {self!r}", ResourceWarning, stacklevel=2, source=self)
        if not self.is_running():
            self.close()


Loop._own_methods()  # each call of them is shorter than of inherited ones
