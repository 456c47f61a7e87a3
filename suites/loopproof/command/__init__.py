"""The ``loopproof`` command: one file a subcommand, each with ``add_parser`` and ``execute``."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__
from .exits import BROKEN, USAGE

SUBCOMMANDS = ("run", "explain", "spec", "profile", "compare", "doctor")

DESCRIPTION = """\
loopproof proves an asyncio event loop: some hundred cases, each tied to a numbered requirement, run against any loop.

  loopproof run --loop uvloop --html report.html     what is wrong with it, and how it compares with stock asyncio
  loopproof explain SCHED-CALL_SOON-02               what a requirement says, its cases, what known loops do
  loopproof spec --uncovered                         which requirements have no case yet
  loopproof profile new mypackage:new_event_loop     what your loop lacks by right, for you to keep beside its tests
  loopproof compare before.json after.json           what is newly failing
  loopproof doctor                                   what this machine can run

A loop is MODULE:FACTORY (a callable without arguments, or a policy class) or the name of a profile.
The same suite under pytest: pytest --pyargs loopproof --loop MODULE:FACTORY
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 conforms, 1 findings, 2 wrong usage, 3 the run itself broke."""
    from ..loops import LoopError
    from ..profiles import ProfileError
    from ..results import ResultError
    from ..spec import SpecError

    args = _parser().parse_args(arguments)
    try:
        code: int = args.execute(args)
        sys.stdout.flush()
    except (LoopError, ProfileError, ResultError, SpecError) as error:
        print(f"loopproof: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("loopproof: interrupted", file=sys.stderr)
        return BROKEN
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "loopproof", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"loopproof {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in SUBCOMMANDS:
        importlib.import_module(f".{name}", __name__).add_parser(subparsers)
    return parser
