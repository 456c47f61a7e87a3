"""``loopproof explain``: what a requirement says, which cases prove it, and how the known loops do."""

import argparse
import difflib
import fnmatch
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from .. import profiles, results, spec
from ..cases import inventory
from ..profiles import Profile
from ..results import Result, ResultError, worst
from ..spec import Requirement
from .exits import CONFORMS, USAGE

_LAST_PATCH = 99


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "explain",
        help="say what a requirement demands, and how loops do",
        description="Print the text and the source of requirements, the cases that prove them, and every known loop's "
        "verdict: of the runs whose result files are at hand, and the known deviations in the profiles.",
    )
    parser.add_argument("id", nargs="+", help="a requirement, a glob (SCHED-*-01), or a case's id")
    parser.add_argument(
        "--results", metavar="DIR", type=Path, default=Path("results"), help="where result files are (%(default)s)"
    )
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Explain what was asked for; return the exit code."""
    known = spec.load().requirements
    found: dict[str, None] = {}
    for asked in args.id:
        ids = fnmatch.filter(known, asked.upper()) or _proved_by(asked)
        if not ids:
            near = difflib.get_close_matches(asked.upper(), known, n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else "; see `loopproof spec`"
            print(f"loopproof: {asked}: no such requirement or case{hint}", file=sys.stderr)
            return USAGE
        found.update(dict.fromkeys(ids))
    console = Console(highlight=False, soft_wrap=True)
    runs = list(_runs(args.results))
    loops = [profile for name in profiles.known() if (profile := profiles.named(name)) is not None]
    for id_ in found:
        _print(known[id_], runs, loops, console)
    return CONFORMS


def _proved_by(case: str) -> tuple[str, ...]:
    cases = inventory.load()
    exact = cases.get(case.partition("[")[0])
    if exact is not None:
        return exact.requirements
    named = [info for id_, info in cases.items() if id_.partition("::")[2] == case.partition("[")[0]]
    return named[0].requirements if len(named) == 1 else ()


def _runs(folder: Path) -> Iterator[Result]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield results.read(path)
        except ResultError as error:
            print(f"loopproof: left out: {error}", file=sys.stderr)


def _print(requirement: Requirement, runs: Iterable[Result], loops: Iterable[Profile], console: Console) -> None:
    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False)

    line(requirement.id, "bold")
    line(f"  {requirement.text}")
    line(f"  {requirement.level}, {requirement.basis}; area {requirement.area}; {requirement.api}")
    line(f"  holds for Python {_span(requirement)}" + "".join(f", {name}" for name in requirement.platforms))
    line(f"  source: {requirement.url or requirement.source.removeprefix('impl:')}")
    if requirement.note:
        line(f"  note: {requirement.note}")
    cases = [case for case in inventory.load().values() if requirement.id in case.requirements]
    line("  cases:" if cases else "  cases: none yet")
    for case in cases:
        line(f"    {case.id}")
        line(f"      {case.doc}")
    lines = list(_verdicts(requirement, runs, loops))
    if lines:
        line("  loops:")
    for text in lines:
        line(f"    {text}")
    line("")


def _verdicts(requirement: Requirement, runs: Iterable[Result], loops: Iterable[Profile]) -> Iterator[str]:
    for run in runs:
        verdicts = [case.verdict for case in run.cases if requirement.id in case.requirements]
        if verdicts:
            failed = sum(verdict in results.FINDINGS for verdict in verdicts)
            version = f" {run.loop.version}" if run.loop.version and run.loop.distribution else ""
            count = f" ({failed} of {len(verdicts)} cases)" if failed else ""
            yield f"{run.loop.name}{version} on Python {run.python}: {worst(verdicts)}{count}"
    for profile in loops:
        for deviation in profile.deviations:
            path, _, name = deviation.case.partition("::")
            info = inventory.load().get(f"{path}::{name.partition('[')[0]}")
            if requirement.id in (info.requirements if info else (deviation.requirement,)):
                versions = f" {deviation.versions}" if deviation.versions else ""
                python = f" on Python {deviation.python}" if deviation.python else ""
                link = f" ({deviation.link})" if deviation.link else ""
                yield f"{profile.name}{versions}{python} is known to deviate: {deviation.reason}{link}"


def _span(requirement: Requirement) -> str:
    def shown(version: tuple[int, int, int]) -> str:
        return ".".join(map(str, version if version[2] not in (0, _LAST_PATCH) else version[:2]))

    since = shown(requirement.since)
    span = f"{since} to {shown(requirement.until)}" if requirement.until else f"{since} and later"
    lacking = ", ".join(".".join(map(str, version)) for version in requirement.not_in)
    return f"{span}, not in {lacking}" if lacking else span
