"""``loopproof run``: the suite against one or more loops, then one report that compares them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from .. import spec
from ..report import html, markdown, terminal
from ..report.control import control_of
from ..results import FINDINGS, LEVELS, Result, ResultError
from .exits import BROKEN, CONFORMS, FINDING, USAGE
from .process import Interrupted, Order, run_loop
from .progress import Progress

CONTROL = "asyncio"
"""The profile of the loop that every report carries a run of."""

EXAMPLES = """\
examples:
  loopproof run --loop uvloop --html report.html
  loopproof run --loop asyncio --loop uvloop --loop refloop --html report.html
  loopproof run --loop mypackage:new_event_loop --profile mypackage.toml --area scheduling -n 4
  loopproof run --loop uvloop -- -x -k call_soon          (what follows -- goes to pytest)

Each loop runs in a pytest of its own with worker processes, so a crash or a hang costs one case. The stock loop of
the same interpreter runs too, as the control. The result of each loop is kept as JSON in the folder of --results.

exit codes: 0 every loop conforms; 1 findings; 2 wrong usage, or a loop that cannot be had; 3 a run broke off
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "run",
        help="run the suite against loops and report",
        description="Run the suite against one or more loops, then report what was found.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--loop", metavar="LOOP", action="append", default=[], help="MODULE:FACTORY or a profile's name; repeatable")
    add("--html", metavar="FILE", type=Path, help="write one self-contained page that compares the loops")
    add("--markdown", metavar="FILE", type=Path, help="write a short summary for a CI job")
    add("--results", metavar="DIR", type=Path, default=Path("results"), help="keep result files here (%(default)s)")
    add("--area", metavar="AREA", action="append", default=[], help="this area only; repeatable")
    add("--level", choices=LEVELS, help="lowest level of requirements to run (all)")
    add("--requirement", metavar="ID", action="append", default=[], help="this requirement only; a glob; repeatable")
    add("--profile", metavar="FILE", type=Path, help="profile of the loop, where one --loop is given")
    add("-n", "--workers", metavar="N", type=int, default=2, help="worker processes (%(default)s)")
    add("--no-control", action="store_true", help="do not run the stock loop beside the others")
    add("rest", nargs="*", metavar="PYTEST", help="after --: further options for pytest")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Run what was asked for; return the exit code."""
    loops = list(dict.fromkeys(args.loop or [CONTROL]))
    if args.profile and len(loops) > 1:
        print("loopproof: --profile belongs to one loop: give one --loop", file=sys.stderr)
        return USAGE
    for path in (args.html, args.markdown):
        if path is not None and not os.access(path.parent, os.W_OK):
            print(f"loopproof: {path}: cannot be written: no such folder, or no permission", file=sys.stderr)
            return USAGE
    if CONTROL not in loops and not args.no_control:
        loops.insert(0, CONTROL)
    try:
        args.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"loopproof: --results {args.results}: {error.strerror}; name another folder", file=sys.stderr)
        return USAGE
    console = Console()
    finished: list[Result] = []
    interrupted = False
    with Progress(console) as progress:
        for loop in loops:
            try:
                finished.append(run_loop(_order(loop, args), progress))
            except Interrupted as interruption:
                finished.append(interruption.result)
                interrupted = True
                break
    _report(finished, args, console)
    return BROKEN if interrupted else _exit_code(finished)


def _order(loop: str, args: argparse.Namespace) -> Order:
    options: list[str] = []
    for name in ("area", "requirement"):
        for value in getattr(args, name):
            options += [f"--{name}", value]
    if args.level:
        options += ["--level", args.level]
    if args.profile and loop != CONTROL:
        options += ["--profile", str(args.profile)]
    return Order(loop, args.results, args.workers, [*options, *args.rest])


def _report(finished: Sequence[Result], args: argparse.Namespace, console: Console) -> None:
    requirements = spec.load()
    for result in finished:
        terminal.render(result, requirements, console, control=control_of(result, finished))
    for path, render in ((args.html, html.render), (args.markdown, markdown.render)):
        if path is not None and finished:
            try:
                path.write_text(render(finished, requirements), encoding="utf-8")
            except OSError as error:
                raise ResultError(f"{path}: cannot be written: {error.strerror}") from None
            console.print(f"wrote {path}", highlight=False)


def _exit_code(finished: Sequence[Result]) -> int:
    if any(result.error is not None for result in finished):
        return USAGE
    if any(not result.complete for result in finished):
        return BROKEN
    if any(result.summary[verdict] for result in finished for verdict in FINDINGS):
        return FINDING
    return CONFORMS if all(result.conforms for result in finished) else BROKEN
