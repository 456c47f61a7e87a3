"""The side of the run that survives: starts workers with a black box each, and tells how a dead one died."""

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..cases import case_id
from ..profiles import Profile
from ..report.reproducer import reproducer_of
from .blackbox import LastWords, Note, last_words
from .claims import Claims
from .verdicts import EVIDENCE_LIMIT, MESSAGE_LIMIT, Finding, attach, excuse, printable

WORKER_INPUT = "loopproof"
"""Key of what a worker is told beyond pytest's options: see `Supervision.pytest_configure_node`."""


class Supervision:
    """Plugin object of the process that hands cases out to pytest-xdist's workers."""

    def __init__(self, profile: Profile, claims: Claims, folder: Path) -> None:
        self._profile = profile
        self._claims = claims
        self._folder = folder

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker where its black box is and what the probe found."""
        node.workerinput[WORKER_INPUT] = {
            "box": str(self._box_of(node)),
            "claims": self._claims.to_json(),
        }
        node.sendcommand = _forgiving(node.sendcommand)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep the session, which knows how many cases have failed."""
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Stop the run where ``-x`` or ``--maxfail`` ask for it: xdist itself does not count dead workers."""
        distribution: Any = self._session.config.pluginmanager.get_plugin("dsession")
        if self._session.shouldfail and not distribution.shouldstop:
            distribution.shouldstop = self._session.shouldfail

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Turn xdist's report of a dead worker into a verdict with evidence."""
        node: Any = report.node
        status = _exit_status(node)
        left = last_words(self._box_of(node))
        case = case_id(crashitem) or crashitem
        verdict, manner = _manner_of_death(status, left)
        note = left.note
        if note is None or note.case != case:
            manner += f" (the last case that it noted was {note.case if note else 'none'})"
            note = Note(case, [], "", {})
        finding = Finding(
            verdict,
            note.requirements,
            printable(f"{note.expected}\nseen: {manner}", MESSAGE_LIMIT),
            printable(left.words, EVIDENCE_LIMIT),
            reproducer_of(case, self._profile.factory, note.parameters),
        )
        report.longrepr = printable(f"{finding.message}\n\n{left.words}", EVIDENCE_LIMIT)
        excuse(report, finding, self._profile, case, note.requirements)
        attach(report, finding)

    def _box_of(self, node: Any) -> Path:
        return self._folder / str(node.gateway.id)


def _forgiving(send: Callable[..., None]) -> Callable[..., None]:
    """Return what sends to a worker, and leaves it at that if the worker has just died: xdist is about to hear of it.

    It would break off the run otherwise, where several die at a time.
    """

    def send_if_alive(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(OSError):
            send(*args, **kwargs)

    return send_if_alive


def _exit_status(node: Any) -> int | None:
    """Return the exit status of a worker whose connection is gone; negative for a signal, None if it lives on."""
    process = node.gateway._io.popen
    try:
        status: int = process.wait(timeout=10)
    except Exception:
        process.kill()
        process.wait()
        return None
    return status


def _manner_of_death(status: int | None, left: LastWords) -> tuple[str, str]:
    if status is None:
        return "crash", "the worker closed its connection and lived on (descriptors of others closed?); it was killed"
    if status < 0:
        reason = f": {left.guarded}" if left.guarded else ""
        return "crash", f"the process was killed by {_signal_name(-status)}{reason}"
    if left.timed_out:
        return "hang", "the case did not end within its deadline; the stacks of all threads are in the evidence"
    return "crash", f"the process exited with status {status} in the middle of the case"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
