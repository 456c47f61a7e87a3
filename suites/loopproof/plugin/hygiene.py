"""What a case leaves behind: descriptors, threads, children, warnings and errors that nobody was told about."""

import gc
import logging
import re
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from .. import faultkit
from ..authoring.fixtures import Records

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


@dataclass(frozen=True)
class Resources:
    """The descriptors (number: what it is open on), native threads and child processes of this process."""

    descriptors: dict[int, str]
    threads: frozenset[int]
    children: frozenset[int]

    def more_than(self, before: "Resources") -> list[str]:
        """Name what is here and was not before."""
        grown = [
            f"descriptor {number}: {target}"
            for number, target in self.descriptors.items()
            if before.descriptors.get(number) != target
        ]
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        grown += [
            f"thread {thread} ({names.get(thread, 'not made by Python')})" for thread in self.threads - before.threads
        ]
        grown += [f"child process {child}" for child in self.children - before.children]
        return grown

    def lost_since(self, before: "Resources") -> list[str]:
        """Name the descriptors that were open before and are not now, or are open on something else."""
        return [
            f"descriptor {number} ({target}) was closed, and belonged to somebody else"
            for number, target in before.descriptors.items()
            if self.descriptors.get(number) != target
        ]


def resources() -> Resources:
    """Count the resources of this process, exactly; not the standard descriptors, which pytest's capture moves."""
    descriptors = faultkit.descriptors()
    for standard in (0, 1, 2):
        descriptors.pop(standard, None)
    return Resources(descriptors, faultkit.threads(), faultkit.children())


def kind_of(text: str) -> str:
    """Return a text about a leftover without its numbers."""
    return re.sub(r"\d+", "N", text)


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
        self._before = resources()
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

    def inspect(self) -> Leftovers:
        """Collect garbage, then tell what is left."""
        gc.collect()
        left = Leftovers()
        left.lasting = self._lasting()
        left.lost = resources().lost_since(self._before)
        left.warned = self._unraisable + [
            f"{entry.category.__name__}: {entry.message}"
            for entry in self._warnings or ()
            if issubclass(entry.category, ResourceWarning)
        ]
        left.logged = [record.getMessage() for record in self._handler.records]
        return left

    def _lasting(self) -> list[str]:
        waited_until = time.monotonic() + GRACE
        pause = 0.001
        while grown := resources().more_than(self._before):
            may_end = not all(entry.startswith("descriptor") for entry in grown)
            if not may_end or time.monotonic() > waited_until:
                return grown
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return []
