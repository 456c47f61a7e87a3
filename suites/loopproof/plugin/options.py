"""The options that the suite adds to pytest's command line."""

import os

import pytest

LEVELS = ("must", "should", "may")
DEADLINE = 10.0
MEMORY = 8192
WORKERS = 2
RESTARTS = 1_000_000


def add_options(parser: pytest.Parser) -> None:
    """Register the options. Where another plugin owns a name already, ours is ``--loopproof-NAME`` instead."""
    group = parser.getgroup("loopproof", "loopproof: conformance of asyncio event loops")

    def add(name: str, **settings: object) -> None:
        settings["dest"] = "loopproof_" + name.replace("-", "_")
        try:
            group.addoption(f"--{name}", **settings)
        except ValueError:
            group.addoption(f"--loopproof-{name}", **settings)

    add("loop", metavar="LOOP", help="loop under test: MODULE:FACTORY or the name of a profile")
    add("profile", metavar="FILE", help="TOML file with what the loop lacks and its known deviations")
    add("trust-profile", action="store_true", help="do not try first what the loop can do: take its profile's word")
    add("area", metavar="AREA", action="append", default=[], help="run the cases of this area only (may be repeated)")
    add("level", choices=LEVELS, default="may", help="lowest level of requirements to run (default: all, down to may)")
    add("requirement", metavar="ID", action="append", default=[], help="run the cases of this requirement only; glob")
    add("result", metavar="FILE", help="write the result as JSON to FILE")
    add("deadline", metavar="SECONDS", type=float, default=DEADLINE, help="when a case has hung (%(default)s)")
    add(
        "memory-limit", metavar="MIB", type=int, default=MEMORY, help="address space of a worker (%(default)s; 0: none)"
    )


def add_markers(config: pytest.Config) -> None:
    """Declare the markers of cases."""
    for line in (
        "requires(*ids): the requirements that a case proves",
        "needs(*capabilities): capabilities of a loop that a case uses beyond the API its requirement names",
        f"deadline(seconds): the time after which this case has hung, with --deadline {DEADLINE:g}; else in proportion",
    ):
        config.addinivalue_line("markers", line)


def default_to_workers(config: pytest.Config) -> None:
    """Run in worker processes unless ``-n`` says otherwise; a dead one is replaced however often that takes.

    Each dead worker has used up a case, so the number of cases bounds the replacements.
    """
    given = config.option
    if given.numprocesses is None and given.dist == "no" and not given.usepdb:
        given.numprocesses = min(WORKERS, os.cpu_count() or 1)
    if given.maxworkerrestart is None:
        given.maxworkerrestart = str(RESTARTS)
