"""Writes a result file while the run goes on: a valid document at every moment, at a constant cost a case."""

import contextlib
import datetime
import errno
import fcntl
import json
import math
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from .model import LEVELS, SCHEMA, VERDICTS, CaseResult, LoopInfo, Platform, ResultError
from .text import EVIDENCE_LIMIT, MESSAGE_LIMIT, bounded

_NAME_LIMIT = 1024
_FIRST_DESCRIPTOR = 512


class ResultWriter:
    """A result file that grows with the run.

    The file has a head that does not change (loop, machine, plan), one line a case, and a short tail (summary, what
    runs now). A verdict is one write over the old tail; padding, which JSON ignores, keeps the file from shrinking.
    Whatever kills the process, the file names the verdicts until then and the cases that were in flight.

    The descriptor has a high number, and is opened again should a hostile loop have closed it or put another file in
    its place.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        loop: LoopInfo,
        *,
        control: LoopInfo | None = None,
        python: str | None = None,
        machine: Platform | None = None,
        started: datetime.datetime | None = None,
    ) -> None:
        """Begin the file; an existing one is replaced.

        Args:
            path: a regular file that exists, or can be made, in a directory that exists.
            loop: the loop under test.
            control: the stock loop that the run is to be set against; None if it is that loop.
            python: version of the interpreter; by default this one's.
            machine: where the loop runs; by default here.
            started: when the run began; by default now.

        Raises:
            ResultError: the path cannot be written.
        """
        self.path = Path(os.path.realpath(path))
        self._shown = os.fspath(path)
        self._header = {
            "schema": SCHEMA,
            "suite": __version__,
            "loop": _plain(loop),
            "control": None if control is None else _plain(control),
            "python": bounded(python or platform.python_version(), _NAME_LIMIT),
            "platform": _plain(machine or Platform.current()),
            "started": (started or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds"),
        }
        self._began = time.monotonic()
        self._plan: dict[str, None] | None = None
        self._lines: dict[str, bytes] = {}
        self._verdicts: dict[str, str] = {}
        self._summary = dict.fromkeys(VERDICTS, 0)
        self._unplanned = 0
        self._running: dict[str, None] = {}
        self._first = self._offset = self._length = 0
        self._descriptor = -1
        self._identity = (0, 0)
        if self.path.exists() and not self.path.is_file():
            raise ResultError(f"{self._shown}: cannot write the result: not a regular file; name another")
        self._rewrite()

    def plan(self, cases: Iterable[str]) -> None:
        """Fix the cases that are to get a verdict. Cases planned before stay planned.

        Raises:
            ResultError: the file cannot be written.
        """
        plan = {bounded(case, _NAME_LIMIT): None for case in cases}
        if self._plan is None or not plan.keys() <= self._plan.keys():
            self._plan = (self._plan or {}) | plan
            self._unplanned = len(self._lines.keys() - self._plan.keys())
            self._rewrite()

    def start(self, case: str) -> None:
        """Note that a case runs now.

        Raises:
            ResultError: the file cannot be written any more.
        """
        self._running[bounded(case, _NAME_LIMIT)] = None
        self._write(b"")

    def add(self, case: CaseResult) -> None:
        """Write the verdict on a case; a later verdict on the same case takes the place of the earlier one.

        Raises:
            ResultError: the file cannot be written any more (disk full, removed).
            ValueError: no such verdict or level.
        """
        if case.verdict not in VERDICTS or case.level not in LEVELS:
            raise ValueError(f"{case.id}: no such verdict or level: {case.verdict!r}, {case.level!r}")
        fields = _plain_case(case)
        line = _dump(fields)
        name = fields["id"]
        if name in self._lines:
            self._summary[self._verdicts[name]] -= 1
        elif name not in (self._plan or ()):
            self._unplanned += 1
        self._lines[name] = line
        self._verdicts[name] = case.verdict
        self._summary[case.verdict] += 1
        self._running.pop(name, None)
        self._write((b"\n," if self._offset > self._first else b"") + line)

    def finish(self, error: str | None = None) -> None:
        """Write the file in its final form.

        It is complete if every planned case has a verdict, else it names those that have none.

        Args:
            error: one line why the loop could not be run.

        Raises:
            ResultError: the file cannot be written.
        """
        missing = [case for case in self._plan or () if case not in self._lines]
        complete = error is None and self._plan is not None and not missing
        reason = None if error is None else " ".join(bounded(error, MESSAGE_LIMIT).split())
        tail = self._tail(missing=missing, complete=complete, error=reason)
        self._replace(self._head() + b"\n,".join(self._lines.values()) + tail)
        self._close()

    def _head(self, **more: Any) -> bytes:
        return _dump(self._header | more)[:-1] + b',"cases":[\n'

    def _tail(self, **more: Any) -> bytes:
        state = {
            "summary": self._summary,
            "planned": len(self._plan or ()) + self._unplanned,
            "running": list(self._running),
            "error": None,
            "seconds": round(time.monotonic() - self._began, 3),
            "complete": False,
        }
        return b"\n]," + _dump(state | more)[1:] + b"\n"

    def _rewrite(self) -> None:
        head = self._head() if self._plan is None else self._head(plan=list(self._plan))
        cases = b"\n,".join(self._lines.values())
        tail = self._tail()
        self._replace(head + cases + tail)
        self._close()
        self._first = len(head)
        self._offset = self._first + len(cases)
        self._length = self._offset + len(tail)

    def _write(self, record: bytes) -> None:
        """Put a record and the tail in the place of the tail."""
        content = (record + self._tail()).ljust(self._length - self._offset)
        try:
            descriptor = self._open()
            if os.pwrite(descriptor, content, self._offset) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):  # what of the record got there gives way to the tail again
                os.pwrite(self._descriptor, self._tail().ljust(self._size() - self._offset), self._offset)
            raise self._refusal(error) from None
        self._length = self._offset + len(content)
        self._offset += len(record)

    def _replace(self, content: bytes) -> None:
        temporary = self.path.with_name(f".{self.path.name[:200]}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise self._refusal(error) from None

    def _open(self) -> int:
        """Return a descriptor that is the file's beyond doubt."""
        with contextlib.suppress(OSError):
            if _identity(self._descriptor) == self._identity:
                return self._descriptor
        self._descriptor = -1
        opened = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self._descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        except OSError:
            self._descriptor = opened
        else:
            os.close(opened)
        self._identity = _identity(self._descriptor)
        return self._descriptor

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            if self._descriptor >= 0 and _identity(self._descriptor) == self._identity:
                os.close(self._descriptor)
        self._descriptor = -1

    def _refusal(self, error: OSError) -> ResultError:
        advice = "make the directory first" if error.errno == errno.ENOENT else "name a path that can be written"
        return ResultError(f"{self._shown}: cannot write the result: {error.strerror or error}; {advice}")


def _plain_case(case: CaseResult) -> dict[str, Any]:
    seconds = case.seconds if math.isfinite(case.seconds) and case.seconds > 0 else 0.0
    return {
        "id": bounded(case.id, _NAME_LIMIT),
        "area": bounded(case.area, _NAME_LIMIT),
        "requirements": [bounded(requirement, _NAME_LIMIT) for requirement in case.requirements],
        "level": case.level,
        "verdict": case.verdict,
        "seconds": round(seconds, 6),
        "message": bounded(case.message, MESSAGE_LIMIT),
        "evidence": bounded(case.evidence, EVIDENCE_LIMIT),
        "reproducer": bounded(case.reproducer, EVIDENCE_LIMIT),
    }


def _plain(data: object) -> dict[str, str | None]:
    """Return a dataclass of texts as plain data."""
    fields = asdict(data)  # type: ignore[call-overload]
    return {key: None if value is None else bounded(value, _NAME_LIMIT) for key, value in fields.items()}


def _dump(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
