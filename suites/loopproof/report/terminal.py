"""One run on the terminal: a line an area, then what was found; colours only where the console has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ..results import FINDINGS, CaseResult, Result
from .control import also_in_control, is_stock
from .naming import standing_of, title_of
from .plain import counted, gist_of, inert, line_of
from .tally import Tally, by_area, total

if TYPE_CHECKING:
    from ..spec import Spec

SHOWN = 50
"""Findings listed; of more only the number is told."""

STYLES = {
    "pass": "green",
    "fail": "bold red",
    "crash": "bold magenta",
    "hang": "bold yellow",
    "leak": "bold blue",
    "deviation": "yellow",
    "fixed": "cyan",
    "skip": "dim",
    "missing": "bold yellow",
}
"""The colour of each verdict."""

_COLUMNS = ("pass", *FINDINGS, "deviation", "fixed", "skip", "missing")
_MARKS = {"finding": "✗", "incomplete": "?", "deviation": "≈", "pass": "✓", "skip": "-", "none": " "}
_MARK_STYLES = {"finding": "bold red", "incomplete": "bold yellow", "deviation": "yellow", "pass": "green"}


def render(result: Result, spec: Spec, console: Console, *, control: Result | None = None, shown: int = SHOWN) -> None:
    """Print a run.

    Args:
        result: the run.
        spec: the requirements, for the order of the areas.
        console: where to; on anything but a terminal the lines are plain and never wrapped.
        control: the run of the stock loop; findings that it has too are counted, not listed.
        shown: the greatest number of findings listed.
    """
    for line in _lines(result, spec, control, shown):
        console.print(line, soft_wrap=True, highlight=False)


def _lines(result: Result, spec: Spec, control: Result | None, shown: int) -> Iterator[Text]:
    style = "bold green" if result.conforms else "bold red"
    yield Text("")
    tag = " (the control)" if is_stock(result) else ""
    yield Text.assemble((title_of(result), "bold"), tag, ": ", (standing_of(result), style))
    if result.cases or result.missing:
        yield from _areas(result, spec)
    if result.missing:
        running = f"; in flight at the end: {', '.join(map(inert, result.running))}" if result.running else ""
        yield Text(f"{counted(len(result.missing), 'case')} without a verdict{running}", STYLES["missing"])
    yield from _findings(result, control, shown)
    fixed = [case for case in result.cases if case.verdict == "fixed"]
    if fixed:
        yield Text(f"{counted(len(fixed), 'known deviation')} fixed; take them out of the profile:", STYLES["fixed"])
        yield from (Text(f"  {inert(case.id)}") for case in fixed[:shown])


def _areas(result: Result, spec: Spec) -> Iterator[Text]:
    whole = total(result)
    columns = [name for name in _COLUMNS if name == "pass" or _number(whole, name)]
    tallies = by_area(result, spec.areas)
    names = {area: line_of(area, 24) for area in tallies}
    room = max(map(len, ["all areas", *names.values()]))
    yield Text(f"    {'area':{room}}" + "".join(f"{name:>11}" for name in columns), "dim")
    for area, tally in tallies.items():
        yield _row(names[area].ljust(room), tally, columns)
    yield _row("all areas".ljust(room), whole, columns)


def _row(name: str, tally: Tally, columns: list[str]) -> Text:
    line = Text.assemble("  ", (_MARKS[tally.status], _MARK_STYLES.get(tally.status, "dim")), f" {name}")
    for column in columns:
        number = _number(tally, column)
        line.append(f"{number or '.':>11}", STYLES[column] if number else "dim")
    return line


def _number(tally: Tally, column: str) -> int:
    return tally.missing if column == "missing" else tally.verdicts[column]


def _findings(result: Result, control: Result | None, shown: int) -> Iterator[Text]:
    ranks = {verdict: rank for rank, verdict in enumerate(FINDINGS)}
    found = sorted(result.findings, key=lambda case: (ranks[case.verdict], case.id))
    new = [case for case in found if not also_in_control(case, control)]
    if new:
        yield Text("findings that the control does not have:" if control is not None else "findings:", "bold")
    for case in new[:shown]:
        yield from _finding(case)
    if len(new) > shown:
        yield Text(f"  and {len(new) - shown} more: see the result file, or the page that --html writes", "bold")
    if len(found) > len(new):
        yield Text(f"  {len(found) - len(new)} more that the control has too", "dim")


def _finding(case: CaseResult) -> Iterator[Text]:
    gist = gist_of(case.message)
    named = [inert(requirement) for requirement in case.requirements if not any(requirement in line for line in gist)]
    requirements = f"  [{', '.join(named)}]" if named else ""
    yield Text.assemble("  ", (f"{case.verdict:5}", STYLES[case.verdict]), f" {inert(case.id)}", (requirements, "dim"))
    yield from (Text(f"        {line}", "dim") for line in gist)
