"""One verdict from the phases of a case: what pytest saw, the known deviations of the loop, contested requirements."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import pytest

from .. import spec
from ..cases import case_id
from ..profiles import Profile
from ..report.reproducer import reproducer_of, source_of
from .blackbox import BlackBox, Note

LEAK = pytest.StashKey[bool]()
"""Set on an item whose teardown found resources or warnings left behind."""

MESSAGE_LIMIT = 4_000
EVIDENCE_LIMIT = 64_000
"""Characters kept of a message and of the evidence."""


@dataclass
class Finding:
    """The verdict on one phase, as it travels on pytest's report from a worker to the process that records."""

    verdict: str
    requirements: list[str] = field(default_factory=list)
    message: str = ""
    evidence: str = ""
    reproducer: str = ""


def printable(text: str, limit: int) -> str:
    """Return ``text`` without lone surrogates and NUL, cut in the middle to ``limit`` characters."""
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def requirements_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the ids of the requirements that an item is marked with, in order."""
    return tuple(id_ for marker in item.iter_markers("requires") for id_ in marker.args)


def attach(report: pytest.TestReport, finding: Finding) -> None:
    """Put a finding on a report; plain data, since reports are sent between processes."""
    report.loopproof = asdict(finding)  # type: ignore[attr-defined]


def attached(report: pytest.TestReport) -> Finding:
    """Return the finding on a report; a report without one gets its verdict from pytest's outcome alone."""
    data = getattr(report, "loopproof", None)
    if data is not None:
        return Finding(**data)
    verdict = {"passed": "pass", "skipped": "skip"}.get(report.outcome, "fail")
    return Finding(verdict, message=str(report.longrepr or ""))


class Judge:
    """Gives each phase of a case its verdict."""

    def __init__(self, profile: Profile, box: BlackBox | None) -> None:
        self._profile = profile
        self._box = box

    def judge(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Attach the finding to the report and tell pytest of deviations in its own terms (xfail)."""
        case = case_id(item.nodeid) or item.nodeid
        requirements = list(requirements_of(item))
        if report.passed:
            finding = Finding("pass", requirements)
        elif report.skipped:
            finding = Finding("skip", requirements, _skip_reason(report))
        else:
            leaked = report.when == "teardown" and item.stash.get(LEAK, False)
            assert call.excinfo is not None
            note = note_of(item, case)
            seen = call.excinfo.exconly(tryshort=True)
            evidence = str(report.longrepr)
            words = self._box.words() if self._box is not None else ""
            if words.strip():
                evidence += f"\n\nwritten to standard output and error during the case:\n{words}"
            finding = Finding(
                "leak" if leaked else "fail",
                requirements,
                printable(f"{note.expected}\nseen: {seen}", MESSAGE_LIMIT),
                printable(evidence, EVIDENCE_LIMIT),
                reproducer_of(case, self._profile.factory, note.parameters),
            )
            report.longrepr = printable(f"{finding.message}\n\n{evidence}", EVIDENCE_LIMIT)
            excuse(report, finding, self._profile, case, note.requirements)
        attach(report, finding)


def note_of(item: pytest.Item, case: str) -> Note:
    """Return what is to be known of a case should its process die in it."""
    doc = (getattr(getattr(item, "obj", None), "__doc__", None) or item.name).strip().splitlines()[0]
    requirements = requirements_of(item)
    callspec = getattr(item, "callspec", None)
    parameters = {name: source_of(value) for name, value in callspec.params.items()} if callspec else {}
    return Note(case, list(requirements), f"expected: {doc} [{', '.join(requirements)}]", parameters)


def excuse(
    report: pytest.TestReport, finding: Finding, profile: Profile, case: str, requirements: Sequence[str]
) -> None:
    """Turn a finding that the profile knows, or whose requirements are all contested, into a deviation."""
    deviation = profile.deviation_for(case, requirements, finding.verdict)
    if deviation is not None:
        reason = f"known deviation: {deviation.reason}"
    else:
        known = spec.load().requirements
        clauses = [known[id_] for id_ in requirements if id_ in known]
        if not clauses or any(clause.basis != "contested" for clause in clauses):
            return
        reason = "contested: " + "; ".join(clause.note or clause.text for clause in clauses)
    finding.verdict = "deviation"
    finding.message = f"{reason}\n{finding.message}"
    report.outcome = "skipped"
    report.wasxfail = reason


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
