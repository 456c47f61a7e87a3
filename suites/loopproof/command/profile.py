"""``loopproof profile``: write a profile for a loop, check one, list those at hand."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .. import profiles, results
from ..loops import LoopSpec
from ..plugin.claims import WORKS
from ..plugin.probe import probe
from ..profiles import Profile
from .exits import CONFORMS, USAGE

_HEAD = """\
# What loopproof is to know of this loop. Keep it beside the loop's own tests, and run with --profile FILE; or put it
# into the package as loopproof.toml and register the loop as an entry point of the group "loopproof.loops".
"""

_EXAMPLE = """
# A finding that is expected. Give requirement or case; reason is shown in every report.
# [[deviation]]
# requirement = "SCHED-CALL_SOON-02"      # or case = "scheduling/test_call_soon.py::test_name"
# versions = "<2.0"                       # of the distribution; python = ">=3.12" likewise
# reason = "why, and until when"
# link = "https://..."
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "profile",
        help="write, check and list profiles",
        description="A profile is a TOML file that says how a loop is made, which capabilities it lacks by right, and "
        "where it is known to deviate.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="probe a loop and write a profile for it")
    new.add_argument("loop", metavar="MODULE:FACTORY")
    new.add_argument("--name", help="how reports call the loop (the module's name)")
    new.add_argument("--findings", metavar="RESULT", type=Path, help="enter the findings of this result as deviations")
    new.add_argument("--output", metavar="FILE", type=Path, help="write to this new file (standard output)")
    new.set_defaults(execute=_new)
    check = actions.add_parser("check", help="say whether profiles can be used")
    check.add_argument("file", nargs="+", type=Path)
    check.set_defaults(execute=_check)
    listing = actions.add_parser("list", help="list the profiles that --loop takes by name")
    listing.set_defaults(execute=_list)


def _new(args: argparse.Namespace) -> int:
    loop = LoopSpec.parse(args.loop)
    claims = probe(loop, frozenset())
    lacks = {name: outcome for name, outcome in claims.probed.items() if outcome != WORKS}
    name = args.name or loop.module.partition(".")[0]
    distribution, version = loop.distribution()
    lines = [_HEAD, f"name = {json.dumps(name)}", f"factory = {json.dumps(loop.factory)}"]
    if distribution is not None:
        lines.append(f"distribution = {json.dumps(distribution)}  # probed: {version}")
    if lacks:
        lines += ["lacks = [", *(f"    {json.dumps(name)},  # {outcome}" for name, outcome in lacks.items()), "]"]
    else:
        lines.append("lacks = []")
    text = "\n".join(lines) + "\n"
    text += "".join(_deviations(args.findings)) if args.findings else _EXAMPLE
    if args.output is None:
        print(text, end="")
        return CONFORMS
    try:
        with args.output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"loopproof: --output {args.output}: {error.strerror}; name another file", file=sys.stderr)
        return USAGE
    print(f"wrote {args.output}")
    return CONFORMS


def _deviations(path: Path) -> Iterator[str]:
    for case in results.read(path).findings:
        seen = next((line for line in case.message.splitlines() if line.startswith("seen: ")), case.message)
        yield f"\n[[deviation]]\ncase = {json.dumps(case.id)}\n"
        if case.verdict not in ("fail", "leak"):
            yield f"verdicts = [{json.dumps(case.verdict)}]\n"
        yield f"reason = {json.dumps(seen.removeprefix('seen: ').partition(chr(10))[0], ensure_ascii=False)}\n"


def _check(args: argparse.Namespace) -> int:
    for path in args.file:
        profile = Profile.load(path)
        count = len(profile.deviations)
        print(f"{path}: {profile.name} ({profile.factory}), lacks {len(profile.lacks)}, {count} known deviations")
    return CONFORMS


def _list(args: argparse.Namespace) -> int:
    for name in sorted(profiles.known()):
        profile = profiles.named(name)
        if profile is not None:
            _, version = LoopSpec(name, profile.factory).distribution(profile)
            print(f"{name:<12} {profile.factory:<32} {version or 'not installed'}")
    return CONFORMS
