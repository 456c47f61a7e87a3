"""``loopproof compare``: what changed from one result to another."""

import argparse
from pathlib import Path

from rich.console import Console

from .. import results, spec
from ..report import compare, html
from ..results import ResultError
from .exits import CONFORMS, FINDING


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "compare",
        help="say what changed from one result to another",
        description="Compare two result files: cases that newly fail, that no longer fail, that are new or gone.",
        epilog="exit codes: 0 nothing fails newly; 1 something does; 2 a file cannot be used",
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--html", metavar="FILE", type=Path, help="write one page with both")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Compare; return the exit code."""
    before, after = results.read(args.before), results.read(args.after)
    difference = compare.difference(before, after)
    compare.render(difference, Console(highlight=False, soft_wrap=True))
    if args.html is not None:
        try:
            args.html.write_text(html.render([before, after], spec.load()), encoding="utf-8")
        except OSError as error:
            raise ResultError(f"{args.html}: cannot be written: {error.strerror}") from None
    return FINDING if difference.worse else CONFORMS
