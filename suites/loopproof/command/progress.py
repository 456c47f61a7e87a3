"""How far a run is: a bar a loop on a terminal, a line a loop elsewhere."""

import contextlib
import time
from collections.abc import Iterator, Mapping

import rich.markup
import rich.progress
from rich.console import Console

from ..results import FINDINGS


class Progress:
    """Shows the progress of several runs, one after the other; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<24}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[found]}"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextlib.contextmanager
    def loop(self, name: str) -> Iterator["Line"]:
        """Show the run of one loop for the length of the block."""
        line = Line(self._bars, name)
        began = time.monotonic()
        try:
            yield line
        finally:
            if not self._console.is_terminal:
                seconds = time.monotonic() - began
                self._console.print(f"{name}: {line.words} in {seconds:.1f} s", highlight=False, markup=False)


class Line:
    """The progress of one run."""

    def __init__(self, bars: rich.progress.Progress, name: str) -> None:
        self._bars = bars
        self._task = bars.add_task(rich.markup.escape(name), total=None, found="")
        self.words = "nothing was run"

    def show(self, planned: int, verdicts: Mapping[str, int]) -> None:
        """Show how many of the planned cases have a verdict, and how many of these are findings."""
        done = sum(verdicts.values())
        findings = sum(verdicts.get(verdict, 0) for verdict in FINDINGS)
        found = "no findings" if not findings else "1 finding" if findings == 1 else f"{findings} findings"
        self.words = f"{done} of {planned} cases, {found}"
        self._bars.update(self._task, total=planned or None, completed=done, found=found)
