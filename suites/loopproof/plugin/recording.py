"""From the reports of all phases to the result file, case by case."""

from collections import defaultdict
from dataclasses import replace

import pytest

from .. import spec
from ..cases import case_id
from ..profiles import Profile
from ..results import LEVELS, CaseResult, ResultWriter, worst
from .verdicts import Finding, attached


class Recording:
    """Plugin object of the one process that sees every report: the controller, or pytest itself with ``-n0``."""

    def __init__(self, profile: Profile, writer: ResultWriter) -> None:
        self._profile = profile
        self._writer = writer
        self._phases: dict[str, list[Finding]] = defaultdict(list)
        self._seconds: dict[str, float] = defaultdict(float)
        self._results: dict[str, CaseResult] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Fix the list of cases before the first one runs."""
        if session.items:
            self._plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Fix the list of cases; every worker collects the same."""
        self._plan(ids)

    def _plan(self, ids: list[str]) -> None:
        self._writer.plan([case for nodeid in ids if (case := case_id(nodeid))])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a case runs now, so that the file names it should everything end here."""
        case = case_id(nodeid)
        if case:
            self._writer.start(case)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the phases of a case; after the last one, or the death of its process, write its result."""
        case = case_id(report.nodeid)
        if case is None:
            return
        self._phases[case].append(attached(report))
        self._seconds[case] += report.duration
        if report.when not in ("setup", "call"):
            self._add(case)

    def _add(self, case: str) -> None:
        phases = self._phases.pop(case)
        telling = [phase for phase in phases if phase.verdict != "pass"] or phases
        gravest = worst(phase.verdict for phase in telling)
        finding = next(phase for phase in telling if phase.verdict == gravest)
        known = spec.load().requirements
        levels = [known[id_].level for id_ in finding.requirements if id_ in known]
        self._results[case] = CaseResult(
            id=case,
            area=case.partition("/")[0],
            requirements=tuple(finding.requirements),
            level=min(levels, key=LEVELS.index, default="must"),
            verdict=finding.verdict,
            seconds=round(self._seconds.pop(case), 6),
            message=finding.message,
            evidence=finding.evidence,
            reproducer=finding.reproducer,
        )
        self._writer.add(self._results[case])

    def pytest_sessionfinish(self) -> None:
        """Find the known deviations that have gone, and give the file its final form."""
        for case in self._fixed():
            self._writer.add(case)
        self._writer.finish()

    def _fixed(self) -> list[CaseResult]:
        """Return the passes of cases whose every known deviation is gone: no case under it deviates any more."""
        covered = defaultdict(list)
        for case in self._results.values():
            deviation = self._profile.deviation_for(case.id, case.requirements, None)
            if deviation is not None and not deviation.intermittent and case.verdict in ("pass", "deviation"):
                covered[deviation].append(case)
        return [
            replace(case, verdict="fixed", message=f"passes, though the profile expects: {deviation.reason}")
            for deviation, cases in covered.items()
            if all(case.verdict == "pass" for case in cases)
            for case in cases
        ]
