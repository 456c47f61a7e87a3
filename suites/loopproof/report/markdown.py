"""A short summary in GitHub's Markdown, as CI jobs show it; nothing from a loop can become markup, link or mention."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..results import FINDINGS, CaseResult, Result
from .control import also_in_control, control_of, is_stock, labels_of
from .naming import standing_of, title_of
from .plain import counted, gist_of, inert
from .tally import Tally, by_area, total

if TYPE_CHECKING:
    from ..spec import Spec

SHOWN = 100
"""Findings listed a loop."""

_MARKS = {"finding": "❌", "incomplete": "❔", "deviation": "🟡", "pass": "✅", "skip": "⏭️", "none": ""}
_ACTIVE = re.compile(r"[\\`*_{}\[\]|~@#:$]|(?<=[wW])\.")


def render(results: Sequence[Result], spec: Spec) -> str:
    """Return the summary: how each run ended, the matrix areas by loops, and a folded list of findings a loop."""
    labels = [_text(label) for label in labels_of(results)]
    lines = ["## loopproof", ""]
    lines += _alerts(results)
    lines += _runs(results, labels)
    lines += _matrix(results, labels, spec)
    for result in results:
        lines += _findings(result, control_of(result, results))
    return "\n".join(lines).rstrip() + "\n"


def _alerts(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if not result.complete:
            yield "> [!CAUTION]"
            yield f"> **{_text(title_of(result))}**: {_text(standing_of(result))}"
            if result.running:
                yield f"> In flight at the end: {', '.join(map(_code, result.running))}"
            yield ""


def _runs(results: Sequence[Result], labels: Sequence[str]) -> Iterator[str]:
    yield _row(["loop", "version", "Python", "pass", *FINDINGS, "deviation", "fixed", "skip", "no verdict", "seconds"])
    yield _row(["---", "---", "---", *["---:"] * (len(FINDINGS) + 6)])
    for result, label in zip(results, labels, strict=True):
        whole = total(result)
        name = f"{label} (control)" if is_stock(result) else label
        numbers = [whole.passed - result.summary["fixed"], *(result.summary[verdict] for verdict in FINDINGS)]
        numbers += [result.summary["deviation"], result.summary["fixed"], result.summary["skip"], whole.missing]
        mark = "❌" if whole.findings else "✅" if result.conforms else "❔"
        about = [_text(result.loop.version or ""), _text(result.python)]
        yield _row([f"{mark} {name}", *about, *map(_number, numbers), f"{result.seconds:.1f}"])
    yield ""


def _matrix(results: Sequence[Result], labels: Sequence[str], spec: Spec) -> Iterator[str]:
    tallies = [by_area(result, spec.areas) for result in results]
    areas = list(dict.fromkeys(area for known in (spec.areas, *tallies) for area in known))
    planned = [area for area in areas if any(area in tally for tally in tallies)]
    if not planned:
        return
    yield _row(["area", *labels])
    yield _row(["---"] * (len(labels) + 1))
    for area in planned:
        yield _row([_text(area), *(_cell(tally.get(area)) for tally in tallies)])
    yield ""


def _cell(tally: Tally | None) -> str:
    if tally is None:
        return ""
    kinds = [f"{tally.verdicts[verdict]} {verdict}" for verdict in FINDINGS if tally.verdicts[verdict]]
    kinds += [f"{tally.missing} without a verdict"] if tally.missing else []
    words = f" ({', '.join(kinds)})" if kinds else ""
    return f"{_MARKS[tally.status]} {tally.passed}/{tally.applicable}{words}"


def _findings(result: Result, control: Result | None) -> Iterator[str]:
    if not result.findings:
        return
    ranks = {verdict: rank for rank, verdict in enumerate(FINDINGS)}
    found = sorted(result.findings, key=lambda case: (also_in_control(case, control), ranks[case.verdict], case.id))
    shared = sum(also_in_control(case, control) for case in found)
    also = f", {shared} of them also in the control" if shared else ""
    yield f"<details><summary>{_text(title_of(result))}: {counted(len(found), 'finding')}{also}</summary>"
    yield ""
    for case in found[:SHOWN]:
        yield from _finding(case, also_in_control(case, control))
    if len(found) > SHOWN:
        yield f"- and {len(found) - SHOWN} more"
    yield ""
    yield "</details>"
    yield ""


def _finding(case: CaseResult, shared: bool) -> Iterator[str]:
    gist = gist_of(case.message)
    tags = [_code(requirement) for requirement in case.requirements if not any(requirement in line for line in gist)]
    tags += ["also in the control"] if shared else []
    about = f" ({', '.join(tags)})" if tags else ""
    yield f"- **{case.verdict}** {_code(case.id)}{about}"
    yield from (f"  <br>{_code(line)}" for line in gist)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(number: int) -> str:
    return str(number) if number else ""


def _text(text: str) -> str:
    """Return a text that is shown as it is: markup as character references, mentions broken by an empty comment."""
    shown = html.escape(inert(text), quote=False)
    return _ACTIVE.sub(lambda found: f"&#{ord(found[0])};{'<!-- -->' if found[0] in '@#' else ''}", shown)


def _code(text: str) -> str:
    """Return a code span; its fence is longer than any row of backticks in it."""
    shown = inert(text)
    fence = "`" * (max((len(row) for row in re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{padding}{shown}{padding}{fence}"
