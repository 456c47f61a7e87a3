"""The verdicts of one area of one run, counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..results import FINDINGS, Result
from ..results.model import count


@dataclass(frozen=True)
class Tally:
    """How many cases have each verdict, and how many planned ones have none."""

    verdicts: Mapping[str, int]
    missing: int = 0

    @property
    def findings(self) -> int:
        """The cases that speak against the loop."""
        return sum(self.verdicts[verdict] for verdict in FINDINGS)

    @property
    def passed(self) -> int:
        """The cases that the loop passes, those included that its profile expected to fail."""
        return self.verdicts["pass"] + self.verdicts["fixed"]

    @property
    def applicable(self) -> int:
        """The cases that were to run: all but the skipped ones."""
        return sum(self.verdicts.values()) - self.verdicts["skip"] + self.missing

    @property
    def percent(self) -> int | None:
        """The passed share of the applicable cases, rounded down so that only all is 100; None where there are none."""
        return self.passed * 100 // self.applicable if self.applicable else None

    @property
    def worst(self) -> str:
        """The gravest verdict found, else ``missing`` where one has none, else deviation, pass, skip or absent."""
        found = next((verdict for verdict in FINDINGS if self.verdicts[verdict]), None)
        return found or {"incomplete": "missing", "none": "absent"}.get(self.status, self.status)

    @property
    def status(self) -> str:
        """One word: finding, incomplete, deviation, pass, skip (nothing but skips) or none (nothing at all)."""
        if self.findings:
            return "finding"
        if self.missing:
            return "incomplete"
        if self.verdicts["deviation"]:
            return "deviation"
        if self.passed:
            return "pass"
        return "skip" if self.verdicts["skip"] else "none"


def by_area(result: Result, order: Iterable[str] = ()) -> dict[str, Tally]:
    """Return the tally of each area that the run planned, in the given order of areas, others behind by name."""
    verdicts: dict[str, list[str]] = {}
    for case in result.cases:
        verdicts.setdefault(case.area, []).append(case.verdict)
    missing = Counter(area_of(case) for case in result.missing)
    ranks = {area: rank for rank, area in enumerate(order)}
    areas = sorted(verdicts.keys() | missing.keys(), key=lambda area: (ranks.get(area, len(ranks)), area))
    return {area: Tally(count(verdicts.get(area, ())), missing[area]) for area in areas}


def total(result: Result) -> Tally:
    """Return the tally of a whole run."""
    return Tally(result.summary, result.planned - len(result.cases))


def area_of(case: str) -> str:
    """Return the area that a case id begins with."""
    return case.partition("/")[0]
