"""A pytest plugin that runs mutants of the standard library's loop: in a fork each, until the first case that fails.

The process collects the cases once; a fork puts the mutant's code in the place of a function's, and runs the cases that
reach its lines, the most likely to fail first.
"""

import ast
import functools
import importlib
import json
import os
import random
import re
import resource
import signal
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest
from operators import Mutant, mutants
from scope import ELSEWHERE, FILES, FOLDER, area_outside

MEMORY = 4 * 1024**3
PATIENCE = 300.0
"""Seconds for all cases of one mutant; each case has the suite's deadline besides."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the run of mutants may be told."""
    group = parser.getgroup("mutation")
    group.addoption("--data", type=Path, required=True, help="folder with the coverage data; the results go there")
    group.addoption("--mutants", type=int, default=400, help="how many to try (%(default)s)")
    group.addoption("--seed", type=int, default=1, help="of the choice of mutants and of the order of cases")
    group.addoption("--seconds", type=float, default=3600.0, help="start no mutant after this time (%(default)s)")
    group.addoption("--at-once", type=int, default=2, help="processes (%(default)s)")
    group.addoption("--controls", type=int, default=2, help="runs of all cases without a change (%(default)s)")
    group.addoption("--most", type=int, default=1500, help="cases of one mutant, of each function first (%(default)s)")
    group.addoption("--survivors", action="store_true", help="only what the last run did not kill, and add to it")
    group.addoption("--only", default="", help="only mutants with this text in their name")
    group.addoption("--excused", action="store_true", help="try also those that unobservable.toml has a reason for")


@dataclass(frozen=True)
class Trial:
    """A mutant, the function it changes, and the cases that reach it. A control has no mutant.

    weights: how much each case is about the function, by node id.
    """

    file: str
    mutant: Mutant | None
    function: FunctionType | None
    tree: ast.Module
    cases: list[pytest.Item]
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What changes where."""
        mutant = self.mutant
        return f"{self.file}.{mutant.function}:{mutant.lines.start}: {mutant.change}" if mutant else "control"

    def change(self) -> None:
        """Put the mutant's code in place."""
        if self.mutant is not None and self.function is not None:
            path, line = self.function.__code__.co_filename, self.function.__code__.co_firstlineno
            self.function.__code__ = self.mutant.code(self.tree, path, line)


def functions_of(module: Any, name: str) -> Iterator[FunctionType]:
    """Yield the function of this qualified name, or nothing if something else has taken its place."""
    found = module
    for part in name.split("."):
        found = vars(found).get(part)
        if found is None:
            return
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    if isinstance(found, FunctionType) and found.__code__.co_filename == module.__file__:
        yield found


def population(measured: coverage.CoverageData, items: list[pytest.Item]) -> Iterator[Trial]:
    """Yield all mutants that count."""
    by_id = {item.nodeid: item for item in items}
    for name in FILES:
        path = FOLDER / f"{name}.py"
        module = importlib.import_module(f"asyncio.{name}")
        tree = ast.parse(path.read_text())
        reached = measured.contexts_by_lineno(str(path))
        weighed = functools.cache(functools.partial(weights, reached))
        for mutant in mutants(tree):
            if area_outside(mutant.function) or re.search(ELSEWHERE, f"{mutant.function} {mutant.change}"):
                continue
            for function in functions_of(module, mutant.function):
                ids = {case for line in mutant.lines for case in reached.get(line, ())}
                cases = [by_id[case] for case in sorted(ids & by_id.keys())]
                yield Trial(name, mutant, function, tree, cases, weighed(function))


def weights(reached: dict[int, list[str]], function: FunctionType) -> dict[str, float]:
    """Tell how much each case is about a function: it is the more, the fewer others reach the same lines of it."""
    found: dict[str, float] = defaultdict(float)
    for line in {line for _, _, line in function.__code__.co_lines() if line in reached}:
        for case in reached[line]:
            found[case] += 1 / len(reached[line])
    return found


def ordered(trial: Trial, killers: Counter[str], chance: random.Random) -> list[pytest.Item]:
    """Return the cases of a trial: those that have killed mutants of its function, then those that are most about it.

    Cases that are equal in this come in a random order; one of each case function comes before the second of any.
    """
    shuffled = chance.sample(trial.cases, len(trial.cases))
    shuffled.sort(key=lambda item: (killers[item.nodeid], trial.weights.get(item.nodeid, 0)), reverse=True)
    turns: Counter[str] = Counter()
    places: list[tuple[bool, int, int]] = []
    for index, item in enumerate(shuffled):
        function = item.nodeid.partition("[")[0]
        places.append((not killers[item.nodeid], turns[function], index))
        turns[function] += 1
    return [shuffled[index] for _, _, index in sorted(places)]


class Failure:
    """Plugin object of a fork: notes the case that runs, and ends the process with the first that fails."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say which case runs, for it may be the last thing this process does."""
        self._notes.write_text(json.dumps({"by": nodeid, "how": "ended the process"}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End with the first failure."""
        if report.failed:
            last = str(report.longrepr).strip().splitlines()[-3:]
            self._notes.write_text(json.dumps({"by": report.nodeid, "how": "\n".join(last)}))
            os._exit(1)


def run_in_fork(trial: Trial, session: pytest.Session, notes: Path) -> int:
    """Start a process that runs the trial's cases until one fails, and return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(silent, descriptor)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        trial.change()
        session.config.pluginmanager.register(Failure(notes))
        for item, following in zip(trial.cases, [*trial.cases[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    except BaseException as error:
        notes.write_text(json.dumps({"by": "", "how": repr(error)}))
        os._exit(2)
    os._exit(0)


class Queue:
    """Trials, run a few at a time."""

    def __init__(self, session: pytest.Session) -> None:
        given = session.config.option
        self._session = session
        self._data: Path = given.data
        self._at_once: int = given.at_once
        self._most: int = given.most
        self._chance = random.Random(given.seed)
        self._killers: defaultdict[FunctionType | None, Counter[str]] = defaultdict(Counter)
        self._running: dict[int, tuple[Trial, Path, float]] = {}
        self.results: list[dict[str, Any]] = []

    def excuse(self, trial: Trial) -> None:
        """Count a trial that is known to end with nothing, and need not be made."""
        self._note(trial, "excused", 0)

    def add(self, trial: Trial) -> None:
        """Start a trial as soon as there is room."""
        while len(self._running) >= self._at_once:
            self._collect()
        cases = ordered(trial, self._killers[trial.function], self._chance)
        trial = replace(trial, cases=cases[: self._most if trial.mutant else None])
        notes = self._data / f"notes-{len(self._running)}-{time.monotonic_ns()}"
        self._running[run_in_fork(trial, self._session, notes)] = trial, notes, time.monotonic()

    def finish(self) -> None:
        """Wait for what runs."""
        while self._running:
            self._collect()

    def _collect(self) -> None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            for child, (trial, _, began) in self._running.items():
                if trial.mutant and time.monotonic() - began > PATIENCE:
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
            return
        trial, notes, began = self._running.pop(pid)
        told = json.loads(notes.read_text() or "{}") if notes.exists() else {}
        notes.unlink(missing_ok=True)
        code = os.waitstatus_to_exitcode(status)
        verdict = "survived" if code == 0 else "killed" if told.get("by") and code != -signal.SIGKILL else "broken"
        if verdict == "killed":
            self._killers[trial.function][told["by"]] += 1
        self._note(trial, verdict if trial.cases else "not reached", time.monotonic() - began, told if code else {})

    def _note(self, trial: Trial, verdict: str, seconds: float, told: dict[str, str] | None = None) -> None:
        result = {"mutant": trial.name, "verdict": verdict, "cases": len(trial.cases), "seconds": round(seconds, 2)}
        self.results.append({**result, **(told or {})})
        print(f"{verdict:12} {seconds:6.1f} s {trial.name[:200]}", flush=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the mutants in the place of the cases."""
    given = session.config.option
    began = time.monotonic()
    measured = coverage.CoverageData(str(given.data / "data"))
    measured.read()
    chance = random.Random(given.seed)
    trials = [trial for trial in population(measured, session.items) if given.only in trial.name]
    print(f"\n{len(trials)} mutants in all, seed {given.seed}", flush=True)
    chance.shuffle(trials)
    results = given.data / "mutants.json"
    known: list[dict[str, Any]] = []
    if given.survivors:
        known = json.loads(results.read_text())
        lived = {r["mutant"] for r in known if r["verdict"] != "killed" and not reason(r["mutant"])}
        known = [result for result in known if result["mutant"] not in lived]
        trials = [trial for trial in trials if trial.name in lived]
    queue = Queue(session)
    nothing = ast.Module([], [])
    for trial in [Trial("", None, None, nothing, list(session.items))] * given.controls + trials[: given.mutants]:
        if time.monotonic() - began > given.seconds:
            break
        if given.excused or not reason(trial.name):
            queue.add(trial)
        else:
            queue.excuse(trial)
    queue.finish()
    results.write_text(json.dumps(known + queue.results, indent=1))
    report(known + queue.results)
    return True


@functools.cache
def excuses() -> list[dict[str, Any]]:
    """Return what is known of mutants that no program could notice."""
    found: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "unobservable.toml").read_text())["mutant"]
    return found


def reason(name: str) -> str | None:
    """Return why no program could notice a mutant, or None if one could."""
    return next((excuse["reason"] for excuse in excuses() if all(part in name for part in excuse["name"])), None)


def report(results: list[dict[str, Any]]) -> None:
    """Print the shares, then the survivors with what is known of them."""
    controls = [result for result in results if result["mutant"] == "control"]
    tried = [result for result in results if result["mutant"] != "control"]
    lived = [result for result in tried if result["verdict"] != "killed"]
    excused = [result for result in lived if reason(result["mutant"])]
    killed, observable = len(tried) - len(lived), len(tried) - len(excused)
    print()
    for result in sorted(lived, key=lambda result: result["mutant"]):
        print(f"{result['verdict']} ({result['cases']} cases): {result['mutant']}")
        print(f"    {reason(result['mutant']) or 'A GAP'}")
    for result in tried:
        if result["verdict"] == "killed" and reason(result["mutant"]):
            print(f"killed, so tools/mutation/unobservable.toml is wrong: {result['mutant']}")
    print(f"\n{len(controls)} controls, of which failed: {sum(r['verdict'] != 'survived' for r in controls)}")
    print(f"{len(tried)} mutants tried, {killed} killed ({killed / (len(tried) or 1):.1%})")
    print(f"{observable} of them observable, {killed / (observable or 1):.1%} killed")
    sys.stdout.flush()
