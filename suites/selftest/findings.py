"""Loops with a bug that cases find at once."""

import asyncio
import time
from pathlib import Path
from typing import Any


class LastInFirstOut(asyncio.SelectorEventLoop):
    """Runs the callbacks of one batch in reverse order."""

    def _run_once(self) -> None:
        self._ready.reverse()
        super()._run_once()  # type: ignore[misc]


class Waits(asyncio.SelectorEventLoop):
    """Takes a minute to queue the method of a list."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if isinstance(getattr(callback, "__self__", None), list):
            Path("waiting").touch()
            time.sleep(60)
        return super().call_soon(callback, *args, context=context)
