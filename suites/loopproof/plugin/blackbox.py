"""The black box of a worker process: a file that outlives it and holds the last words of whatever killed it."""

import faulthandler
import fcntl
import json
import mmap
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import faultkit

LAST_WORDS = 32 * 1024
"""Bytes of output kept as evidence of one case, counted from the end."""

_FIRST_DESCRIPTOR = 512
"""The file's own descriptor stays away from the low numbers that loops and cases get."""

_TIMEOUT = b"\nTimeout ("
"""How faulthandler begins a dump that `dump_traceback_later` made, at the start of a line."""

_GUARDED = re.compile(r"^(guarded buffer .*)\nC backtrace ", re.MULTILINE)
"""What the fault kit writes of a forbidden access to a guarded buffer."""


@dataclass(frozen=True)
class Note:
    """What the survivors need to know of a case whose process died in it."""

    case: str
    requirements: list[str]
    expected: str
    parameters: dict[str, str | None]


class BlackBox:
    """Collects what a worker and its loop write during one case, and the dumps of fatal signals."""

    def __init__(self, path: Path) -> None:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        os.close(opened)

    def take_over_output(self) -> None:
        """Send what this process writes to its standard output and error, and dumps of fatal signals, to the file."""
        faulthandler.enable(self.descriptor)
        faultkit.report_crashes(self.descriptor)
        os.dup2(self.descriptor, 1)
        os.dup2(self.descriptor, 2)

    def begin(self, note: Note) -> None:
        """Forget the previous case and note the one that starts."""
        os.ftruncate(self.descriptor, 0)
        os.write(self.descriptor, json.dumps(asdict(note)).encode() + b"\n")

    def words(self) -> str:
        """Return what was written since the case began."""
        size = os.fstat(self.descriptor).st_size
        start = max(0, size - LAST_WORDS)
        text = os.pread(self.descriptor, size - start, start).decode(errors="replace")
        return text.partition("\n")[2] if start == 0 else text


def arm(box: BlackBox | None, seconds: float) -> None:
    """After ``seconds``, dump the stacks of all threads to the box (or standard error) and end the process.

    faulthandler's own thread does it, so it works while some other thread holds the GIL.
    """
    file = sys.__stderr__ if box is None else box.descriptor
    faulthandler.dump_traceback_later(seconds, exit=True, file=file)  # type: ignore[arg-type]


def disarm() -> None:
    """Cancel what `arm` set."""
    faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True)
class LastWords:
    """What a dead worker left: the case it was in, the end of what was written since, whether the deadline passed."""

    note: Note | None = None
    words: str = ""
    timed_out: bool = False

    @property
    def guarded(self) -> str:
        """The line that names the guarded buffer that was overrun, or used too late; empty if it was not that."""
        lines = _GUARDED.findall(self.words)
        return lines[-1] if lines else ""


def last_words(path: Path) -> LastWords:
    """Read the black box of a dead worker."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.find(b"\n") + 1
            note = Note(**json.loads(content[:start]))
            words = content[max(start, len(content) - LAST_WORDS) :].decode(errors="replace")
            return LastWords(note, words, content.find(_TIMEOUT, max(start - 1, 0)) >= 0)
    except (OSError, ValueError, TypeError):
        return LastWords()
