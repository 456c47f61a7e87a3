"""Threads for cases: a loop that runs in a thread of its own, and work beside the loop whose errors are not lost."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Background:
    """Run ``function(*arguments)`` in a thread at once; leaving the ``with`` block joins it and raises its error.

    ``result`` holds what the function returned after the block. The thread is a daemon: if it never ends, the
    deadline of the case ends the process and names the thread's stack.
    """

    result: Any = None

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._error: BaseException | None = None
        self._work = (function, arguments)
        self.thread = threading.Thread(target=self._run, name=f"background {function.__name__}", daemon=True)

    def _run(self) -> None:
        function, arguments = self._work
        try:
            self.result = function(*arguments)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> "Background":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.join(raising=kind is None)

    def join(self, raising: bool = True) -> Any:
        """Wait for the end of the thread; return the function's result or, if ``raising``, raise its exception."""
        self.thread.join()
        error, self._error = self._error, None
        if raising and error is not None:
            raise error
        return self.result


@contextlib.contextmanager
def loop_in_thread(loop: asyncio.AbstractEventLoop) -> Iterator[threading.Thread]:
    """Run ``loop.run_forever()`` in a thread for the length of the block; the loop is stopped and not closed after it.

    Yields the thread, once the loop has run its first callback. An exception out of run_forever() is raised at the
    end of the block.
    """
    running = threading.Event()
    loop.call_soon(running.set)
    background = Background(loop.run_forever)
    with background:
        while not running.wait(0.05) and background.thread.is_alive():
            pass
        try:
            yield background.thread
        finally:
            if background.thread.is_alive():
                loop.call_soon_threadsafe(loop.stop)
