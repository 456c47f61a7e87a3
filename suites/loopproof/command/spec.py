"""``loopproof spec``: the requirements, how many of them have cases, and which have none."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from .. import spec
from ..cases import inventory
from ..spec import Requirement
from .exits import CONFORMS, USAGE


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "spec",
        help="list areas and requirements, and what has no case",
        description="Without options: the areas with their requirements and how many of these have a case. With an "
        "option: the requirements themselves, one a line.",
    )
    parser.add_argument("--area", metavar="AREA", action="append", default=[], help="this area only; repeatable")
    parser.add_argument("--level", choices=spec.LEVELS, help="this level only")
    parser.add_argument("--uncovered", action="store_true", help="requirements without a case")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """List what was asked for; return the exit code."""
    known = spec.load()
    unknown = [area for area in args.area if area not in known.areas]
    if unknown:
        print(f"loopproof: --area {unknown[0]}: no such area; one of {', '.join(known.areas)}", file=sys.stderr)
        return USAGE
    covered = {id_ for case in inventory.load().values() for id_ in case.requirements}
    console = Console(highlight=False, soft_wrap=True)
    if not (args.area or args.level or args.uncovered):
        _print_areas(known, covered, console)
        return CONFORMS
    shown = [
        requirement
        for requirement in known.requirements.values()
        if (not args.area or requirement.area in args.area)
        and (not args.level or requirement.level == args.level)
        and not (args.uncovered and requirement.id in covered)
    ]
    for requirement in shown:
        console.print(f"{requirement.id:<40} {requirement.level:<6} {requirement.text}", markup=False)
    return CONFORMS


def _print_areas(known: spec.Spec, covered: set[str], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("area")
    for column in ("cases", *spec.LEVELS):
        table.add_column(column, justify="right")
    table.add_column("")
    cases = Counter(case.area for case in inventory.load().values())
    for area in known.areas.values():
        table.add_row(
            area.name,
            str(cases[area.name]),
            *(_share(area.requirements, level, covered) for level in spec.LEVELS),
            "complete" if area.complete else "",
        )
    every = known.requirements.values()
    table.add_row("all", str(cases.total()), *(_share(every, level, covered) for level in spec.LEVELS), style="bold")
    console.print(table)


def _share(requirements: Iterable[Requirement], level: str, covered: set[str]) -> str:
    """Return how many requirements of a level have a case, of how many."""
    ids = [requirement.id for requirement in requirements if requirement.level == level]
    return f"{sum(id_ in covered for id_ in ids)}/{len(ids)}" if ids else "-"
