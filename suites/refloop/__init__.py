"""The reference event loop: an asyncio loop in C on libuv.

Beside what is listed here there are ``EventLoopPolicy`` and ``install()``, where Python still has policies.
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from refloop import _core
from refloop.loop import Loop

__all__ = ["Loop", "libuv_version", "new_event_loop", "run"]

T = TypeVar("T")

libuv_version: str = _core.libuv_version


def new_event_loop() -> Loop:
    """A new event loop."""
    return Loop()  # type: ignore[abstract]


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine on a new loop, as asyncio.run() does; returns its result.

    Args:
        main: the coroutine.
        debug: the debug mode of the loop; None leaves it as it is by default.

    Raises:
        RuntimeError: a loop runs in this thread.
        BaseException: whatever ``main`` raises.
    """
    with asyncio.Runner(loop_factory=new_event_loop, debug=debug) as runner:
        return runner.run(main)


def __getattr__(name: str) -> Any:
    # Not before they are asked for: policies are on their way out of Python.
    if name in ("EventLoopPolicy", "install") and sys.version_info < (3, 16):
        from refloop import policy

        return getattr(policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
