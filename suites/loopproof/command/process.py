"""One pytest process that runs the suite against one loop, watched through the result file that it writes."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import cases, results
from ..results import LoopInfo, Result, ResultError, ResultWriter
from .progress import Progress

_POLL = 0.2
_TAIL = 65_536
_STATE = re.compile(rb'"summary":(\{[^}]*\}).*?"planned":(\d+)')


@dataclass(frozen=True)
class Order:
    """What to run: the loop, where the result goes, workers, further options."""

    loop: str
    folder: Path
    workers: int
    options: Sequence[str]

    @property
    def stem(self) -> str:
        """The name of the loop as the name of its files."""
        return re.sub(r"[^A-Za-z0-9.-]+", "_", self.loop)


class Interrupted(Exception):
    """The user interrupted a run; ``result`` is what was measured until then."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def run_loop(order: Order, progress: Progress) -> Result:
    """Run the suite; return the result, which says so where the loop could not be had or the run broke off.

    Raises Interrupted if the user interrupts; the result file is valid then, too.
    """
    result = order.folder / f"{order.stem}.json"
    log = order.folder / f"{order.stem}.log"
    result.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "xdist", "-p", "loopproof", str(cases.ROOT)),
        *("--loop", order.loop, "--result", str(result)),
        *("-n", str(order.workers), "-q", "--tb=short", *order.options),
    ]
    with (
        log.open("wb") as output,
        progress.loop(order.loop) as line,
        subprocess.Popen(
            command,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # other plugins have no say, and cost time
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            while process.poll() is None:
                line.show(*_state(result))
                time.sleep(_POLL)
        except KeyboardInterrupt:
            process.wait()  # the terminal has interrupted it too: it ends by itself, and leaves a valid result
            raise Interrupted(_read(order, result, log)) from None
    found = _read(order, result, log)
    line.show(found.planned, found.summary)
    return found


def _read(order: Order, result: Path, log: Path) -> Result:
    try:
        return results.read(result)
    except ResultError:
        return _broken(order, result, log)


def _state(result: Path) -> tuple[int, Mapping[str, int]]:
    """Return the number of cases and of verdicts so far, from the tail that the result file always has."""
    try:
        with result.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            found = _STATE.findall(file.read())
    except OSError:
        return 0, {}
    return (int(found[-1][1]), json.loads(found[-1][0])) if found else (0, {})


def _broken(order: Order, result: Path, log: Path) -> Result:
    """Return a result that says why there is none: pytest's last words."""
    words = log.read_text(errors="replace").strip().splitlines() or ["no output"]
    said = next((line for line in words if line.startswith("ERROR: ")), words[-1])
    writer = ResultWriter(result, LoopInfo(order.loop, order.loop))
    writer.finish(error=f"{said.removeprefix('ERROR: ')} (the whole output is in {log})")
    return results.read(result)
