"""Debug mode: when it is on from the start, slow callbacks, and where coroutines come from."""

import asyncio
import logging
import os
import sys

from refloop.core import Core

logger = logging.getLogger("asyncio")

ORIGIN_DEPTH = 10  # frames of a coroutine's origin that asyncio keeps in debug mode


def debug_by_default() -> bool:
    """Whether the interpreter was told to run new loops in debug mode."""
    return sys.flags.dev_mode or (not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG")))


def describe(handle: asyncio.Handle) -> str:
    """The text that stands for ``handle`` in the log: that of the task it steps, if it does."""
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return repr(owner) if isinstance(owner, asyncio.Task) else str(handle)


class Debug(Core):
    """The loop in debug mode."""

    def __init__(self) -> None:
        super().__init__()
        self._depth_before: int | None = None
        super().set_debug(debug_by_default())

    def set_debug(self, enabled: bool) -> None:
        """Set the debug mode of the loop, which may run."""
        super().set_debug(enabled)
        if self.is_running():
            self.call_soon_threadsafe(self._set_coroutine_origin_tracking, self.get_debug())

    def _set_coroutine_origin_tracking(self, enabled: bool) -> None:
        """Have coroutines note where they were created, or as before."""
        if enabled and self._depth_before is None:
            self._depth_before = sys.get_coroutine_origin_tracking_depth()
            sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)
        elif not enabled and self._depth_before is not None:
            sys.set_coroutine_origin_tracking_depth(self._depth_before)
            self._depth_before = None

    def _callback_was_slow(self, handle: asyncio.Handle, seconds: float) -> None:
        """Log that the callback of ``handle`` kept the loop from anything else for so long."""
        logger.warning("Executing %s took %.3f seconds", describe(handle), seconds)
