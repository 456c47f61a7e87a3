"""The difference of two results: what fails newly, what no longer does, what is new, gone, or lost its verdict."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from ..results import CaseResult, Result
from .naming import standing_of, title_of
from .plain import counted, gist_of, inert
from .terminal import STYLES

_PASSED = ("pass", "fixed")


@dataclass(frozen=True)
class Change:
    """A case whose verdict is not what it was. before, after: None where that run did not plan or reach the case."""

    id: str
    before: CaseResult | None
    after: CaseResult | None

    @property
    def words(self) -> str:
        """The two verdicts, e.g. ``pass -> fail``."""
        return " -> ".join("none" if case is None else case.verdict for case in (self.before, self.after))


@dataclass(frozen=True)
class Difference:
    """What changed from one result to another; each case is in one list at most.

    failing: findings that the earlier run did not have, also of cases that it did not know. passing: findings that
    now pass. changed: any other change of the verdict. new, gone: cases that only one of the runs planned, and that
    are no finding. lost: planned, but the later run ended before them.
    """

    before: Result
    after: Result
    failing: tuple[Change, ...] = ()
    passing: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    new: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()

    @property
    def worse(self) -> bool:
        """Tell whether the later result has findings that the earlier has not, or is not whole."""
        return bool(self.failing or self.lost) or not self.after.complete


def difference(before: Result, after: Result) -> Difference:
    """Return what changed from one result to another, which may be of other loops, versions or interpreters."""
    lost = dict.fromkeys(after.missing)
    found: dict[str, list[Change]] = {}
    for id_ in sorted(before.by_id.keys() | after.by_id.keys() | lost.keys()):
        change = Change(id_, before.by_id.get(id_), after.by_id.get(id_))
        kind = "lost" if id_ in lost else _kind(change)
        if kind is not None:
            found.setdefault(kind, []).append(change)
    return Difference(before, after, **{kind: tuple(changes) for kind, changes in found.items()})


def _kind(change: Change) -> str | None:
    before, after = change.before, change.after
    if after is None:
        return "gone"
    if after.found and (before is None or not before.found):
        return "failing"
    if before is None:
        return "new"
    if before.found and after.verdict in _PASSED:
        return "passing"
    return "changed" if before.verdict != after.verdict else None


def render(difference: Difference, console: Console, *, shown: int = 100) -> None:
    """Print a difference; of each list at most ``shown`` cases."""
    for line in _lines(difference, shown):
        console.print(line, soft_wrap=True, highlight=False)


def _lines(found: Difference, shown: int) -> Iterator[Text]:
    for name, result in (("before", found.before), ("after", found.after)):
        style = "" if result.complete else "bold red"
        yield Text.assemble((f"{name:7}", "bold"), f"{title_of(result)}: ", (standing_of(result), style))
    yield from _section("newly failing", "bold red", found.failing, shown, messages=True)
    yield from _section("without a verdict, the run ended before them", "bold yellow", found.lost, shown)
    yield from _section("no longer failing", "bold green", found.passing, shown)
    yield from _section("changed otherwise", "bold", found.changed, shown, messages=True)
    yield from _section("new cases", "bold", found.new, shown)
    yield from _section("gone", "bold", found.gone, shown)
    if not (found.failing or found.lost or found.passing or found.changed or found.new or found.gone):
        yield Text(f"no difference: {counted(len(found.after.cases), 'case')} with the same verdicts")


def _section(
    title: str, style: str, all_changes: Iterable[Change], shown: int, *, messages: bool = False
) -> Iterator[Text]:
    changes = list(all_changes)
    if not changes:
        return
    yield Text(f"{title} ({len(changes)}):", style)
    for change in changes[:shown]:
        verdict = change.after.verdict if change.after is not None else "missing"
        yield Text.assemble("  ", (f"{change.words:20}", STYLES[verdict]), f" {inert(change.id)}")
        if messages and change.after is not None:
            yield from (Text(f"      {line}", "dim") for line in gist_of(change.after.message))
    if len(changes) > shown:
        yield Text(f"  and {len(changes) - shown} more")
