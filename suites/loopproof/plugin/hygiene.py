"""What a case leaves behind: descriptors, threads, children, warnings and errors that nobody was told about."""

import gc
import logging
import re
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from ..authoring.fixtures import Records
from .resources import Resources

GRACE = 2.0
"""Seconds that threads and children which are ending anyway get to be gone."""


@dataclass
class Leftovers:
    """What was found after a case.

    lasting: resources of the process that are more than before. warned: unraisable exceptions and ResourceWarnings.
    lost: descriptors open before the case, and not its own, that somebody closed. logged: errors logged by asyncio.
    """

    lasting: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)


def kind_of(text: str) -> str:
    """Return a text about a leftover without its numbers, and without what it is doing now."""
    return re.sub(r"\d+", "N", text.partition(", now ")[0])


class Watch:
    """Watches one case: enter before its fixtures are set up, `inspect` after they were torn down.

    While entered, warnings are recorded whatever the filters of the project say, and unraisable exceptions, errors
    that end threads and errors logged by asyncio are collected.
    """

    def __init__(self) -> None:
        self._unraisable: list[str] = []
        self._catcher = warnings.catch_warnings(record=True)
        self._handler = Records(logging.ERROR)

    def __enter__(self) -> "Watch":
        self._before = Resources.now()
        self._before.remember()
        self._hooks = sys.unraisablehook, threading.excepthook
        sys.unraisablehook = self._note_unraisable
        threading.excepthook = self._note_thread
        logging.getLogger("asyncio").addHandler(self._handler)
        self._warnings = self._catcher.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._catcher.__exit__(kind, error, trace)
        logging.getLogger("asyncio").removeHandler(self._handler)
        sys.unraisablehook, threading.excepthook = self._hooks

    def _note_unraisable(self, event: Any) -> None:
        where = event.err_msg or "exception ignored in"
        self._unraisable.append(f"unraisable: {where} {event.object!r}: {event.exc_value!r}")

    def _note_thread(self, event: Any) -> None:
        name = event.thread.name if event.thread is not None else "a thread"
        self._unraisable.append(f"{name} ended with {event.exc_value!r}")

    def disregard(self, threads: frozenset[int]) -> None:
        """Take threads that the plugin has started meanwhile for ones that were there before."""
        self._before = replace(self._before, threads=self._before.threads | threads)

    def inspect(self) -> Leftovers:
        """Collect garbage, then tell what is left."""
        gc.collect()
        left = Leftovers()
        left.lasting, now = self._lasting()
        left.lost = now.lost_since(self._before)
        left.warned = self._unraisable + [
            f"{entry.category.__name__}: {entry.message}"
            for entry in self._warnings or ()
            if issubclass(entry.category, ResourceWarning)
        ]
        left.logged = [record.getMessage() for record in self._handler.records]
        return left

    def _lasting(self) -> tuple[list[str], Resources]:
        waited_until = time.monotonic() + GRACE
        pause = 0.001
        while True:
            now = Resources.now()
            grown = now.more_than(self._before)
            may_end = not all(entry.startswith("descriptor") for entry in grown)
            if not grown or not may_end or time.monotonic() > waited_until:
                return grown, now
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
