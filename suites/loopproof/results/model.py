"""What a result file says, as plain frozen data, and the vocabulary of verdicts."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

SCHEMA = 1
"""Number of the format; a reader refuses any other."""

VERDICTS = ("pass", "fail", "crash", "hang", "leak", "deviation", "fixed", "skip")
"""Every verdict, in the order in which reports show them."""

FINDINGS = ("crash", "hang", "fail", "leak")
"""The verdicts that speak against a loop, the gravest first."""

LEVELS = ("must", "should", "may")
"""The levels of a requirement, the strictest first."""

_GRAVITY = {verdict: rank for rank, verdict in enumerate((*FINDINGS, "fixed", "deviation", "pass", "skip"))}


class ResultError(Exception):
    """A result file that cannot be read or written: one line with the path, what is wrong, and what to do."""


@dataclass(frozen=True)
class LoopInfo:
    """The loop that a run is about.

    name: how reports call it. factory: ``MODULE:FACTORY``. distribution, version: of the installed package, None
    where it has none.
    """

    name: str
    factory: str
    distribution: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Platform:
    """The machine of a run, in the words of the standard library's ``platform``."""

    system: str
    release: str
    machine: str
    libc: str

    @classmethod
    def current(cls) -> "Platform":
        """Return the machine at hand."""
        return cls(platform.system(), platform.release(), platform.machine(), " ".join(platform.libc_ver()).strip())


@dataclass(frozen=True)
class CaseResult:
    """The verdict on one case.

    id: path below ``cases/``, ``::``, function and parameters. level: the strictest of its requirements'.
    message: what was expected and seen, or the reason of a skip or deviation. evidence: tracebacks, stacks, output.
    reproducer: a script, empty for what needs none.
    """

    id: str
    area: str
    requirements: tuple[str, ...]
    level: str
    verdict: str
    seconds: float = 0.0
    message: str = ""
    evidence: str = ""
    reproducer: str = ""

    @property
    def found(self) -> bool:
        """Tell whether the verdict speaks against the loop."""
        return self.verdict in FINDINGS


@dataclass(frozen=True)
class Result:
    """One run: the loop, where it ran, and a verdict for each case.

    complete: every planned case has a verdict. missing: planned cases without one. running: those among them that
    were in flight when the file was last written. control: the stock loop to set this run against, None if it is the
    stock loop itself. error: one line why the loop could not be run at all.
    """

    loop: LoopInfo
    python: str
    platform: Platform
    started: str
    seconds: float
    complete: bool
    planned: int
    cases: tuple[CaseResult, ...]
    missing: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    control: LoopInfo | None = None
    error: str | None = None
    suite: str = ""

    @cached_property
    def by_id(self) -> Mapping[str, CaseResult]:
        """The cases by their id."""
        return {case.id: case for case in self.cases}

    @cached_property
    def summary(self) -> Mapping[str, int]:
        """How many cases have each verdict; every verdict is a key."""
        return count(case.verdict for case in self.cases)

    @property
    def findings(self) -> tuple[CaseResult, ...]:
        """The cases that speak against the loop."""
        return tuple(case for case in self.cases if case.found)

    @property
    def conforms(self) -> bool:
        """Tell whether the run is whole, has at least one pass, and found nothing."""
        return self.complete and self.error is None and self.summary["pass"] > 0 and not self.findings


def count(verdicts: Iterable[str]) -> dict[str, int]:
    """Return the number of each verdict, zeros included, in the order of `VERDICTS`."""
    seen = Counter(verdicts)
    return {verdict: seen[verdict] for verdict in VERDICTS}


def worst(verdicts: Iterable[str]) -> str:
    """Return the gravest of some verdicts.

    Raises:
        ValueError: there are none.
    """
    return min(verdicts, key=_GRAVITY.__getitem__)
