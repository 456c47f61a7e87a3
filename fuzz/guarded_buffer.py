#!/usr/bin/env python3
"""Fuzzes GuardedBuffer, its constructor and its buffer protocol, for as long as it is told: see suites/selftest.

usage: python fuzz/guarded_buffer.py [--seconds 600] [--seed 0]

It is over at the first failure, with an example that Hypothesis has made small. If the process dies instead, the last
arguments are in the file that is named at the start.
"""

import argparse
import faulthandler
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).parents[1] / "suites" / "selftest"))
from buffer_properties import CHECKS, Life

ROUND = settings(max_examples=500, database=None, deadline=None, suppress_health_check=list(HealthCheck))
LIVES = settings(ROUND, max_examples=100, stateful_step_count=50)


class Run:
    """What was tried, counted by check, with the arguments that were tried last."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last, path = tempfile.mkstemp(prefix="guarded_buffer.", suffix=".txt")
        print(f"the last arguments are in {path}", flush=True)

    def counted(self, check: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """Return the check, counting."""

        def run(arguments: dict[str, Any]) -> None:
            self.counts[check.__name__] += 1
            os.ftruncate(self.last, 0)
            os.pwrite(self.last, repr(arguments).encode(errors="replace"), 0)
            check(arguments)

        return run

    def machine(self) -> type[Life]:
        """Return the life of a buffer, counting its steps."""
        counts = self.counts

        class Counted(Life):
            def check_invariants(self, *arguments: Any) -> None:
                counts["steps of a life"] += 1
                super().check_invariants(*arguments)

        return Counted

    def round(self, number: int) -> None:
        """Try some hundreds of each; the number is the seed."""
        for check, arguments in CHECKS.items():
            seed(number)(ROUND(given(arguments)(self.counted(check))))()
        machine = seed(number)(self.machine())
        run_state_machine_as_test(machine, settings=LIVES)


def main() -> None:
    """Run rounds until the time is up, and say what was tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    options = parser.parse_args()
    faulthandler.enable()
    run = Run()
    began = time.monotonic()
    number = options.seed
    while time.monotonic() - began < options.seconds:
        run.round(number)
        number += 1
    tried = ", ".join(f"{count:,} {name}" for name, count in sorted(run.counts.items()))
    print(f"seeds {options.seed} to {number - 1}, {time.monotonic() - began:.0f} s: {tried}; no failure")


if __name__ == "__main__":
    main()
