"""Results as real runs leave them, over the whole specification: the stock loop, two that differ, one that crashed."""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from loopproof import results, spec
from loopproof.results import CaseResult, LoopInfo, Platform, Result, ResultWriter
from loopproof.spec import Requirement

STOCK = LoopInfo("asyncio", "asyncio:SelectorEventLoop", None, "3.13.0")
UVLOOP = LoopInfo("uvloop", "uvloop:new_event_loop", "uvloop", "0.22.1")
RLOOP = LoopInfo("rloop", "rloop:new_event_loop", "rloop", "0.2.0")
CRASHER = LoopInfo("crashloop", "crashloop:CrashLoop", "crashloop", "0.0.7")
ABSENT = LoopInfo("nowhere", "nowhere:Loop")
MACHINE = Platform("Linux", "6.12.9", "x86_64", "glibc 2.41")

_PARAMETERS = ("0", "1-True", "None-65536", "bytearray", "memoryview", "-0.0", "same loop-run_forever")
_CHANCES = {
    "asyncio": {"deviation": 0.006, "skip": 0.03},
    "uvloop": {"fail": 0.03, "hang": 0.004, "leak": 0.006, "deviation": 0.01, "fixed": 0.002, "skip": 0.03},
    "rloop": {"fail": 0.09, "crash": 0.008, "hang": 0.012, "leak": 0.03, "skip": 0.12},
    "crashloop": {"fail": 0.16, "crash": 0.05, "hang": 0.02, "leak": 0.05, "skip": 0.03},
}
_SHARED = 0.004
"""The share of the cases that every loop fails, the control too."""


def cases(requirements: Iterable[Requirement], seed: int = 7) -> Iterator[CaseResult]:
    """The cases of a suite that covers most of the requirements: one to five each, whatever else there is."""
    for requirement in requirements:
        chance = random.Random(f"{seed} {requirement.id}")
        if chance.random() < 0.06:
            continue
        words = re.findall("[a-z_]+", requirement.text.lower())[:8]
        path = f"{requirement.area}/test_{requirement.api.rpartition('.')[2].strip('_().').lower() or 'api'}.py"
        path = re.sub(r"[^a-z_/.]+", "_", path)
        name = f"{path}::test_{'_'.join(words)}"
        parameters = chance.sample(_PARAMETERS, chance.randrange(1, 6)) if chance.random() < 0.4 else [""]
        for parameter in parameters:
            id_ = f"{name}[{parameter}]" if parameter else name
            yield CaseResult(id_, requirement.area, (requirement.id,), requirement.level, "pass")


def four(folder: Path) -> list[Result]:
    """The stock loop, two loops with findings, and one whose run broke off."""
    known = spec.load().requirements
    suite = list({case.id: case for case in cases(known.values())}.values())
    return [_run(folder, loop, suite) for loop in (STOCK, UVLOOP, RLOOP, CRASHER)]


def unavailable(folder: Path) -> Result:
    """A run of a loop that is not there."""
    writer = _writer(folder, ABSENT)
    writer.finish(error="ModuleNotFoundError: No module named 'nowhere'; install the loop into this environment")
    return results.read(folder / "nowhere.json")


def run_of(folder: Path, loop: LoopInfo, found: Iterable[CaseResult], *, stock: bool = False) -> Result:
    """A whole run of some cases."""
    path = folder / f"{loop.name.encode().hex()}.json"
    writer = ResultWriter(path, loop, control=None if stock else STOCK, python="3.13.0", machine=MACHINE)
    found = list(found)
    writer.plan(case.id for case in found)
    for case in found:
        writer.add(case)
    writer.finish()
    return results.read(path)


def _writer(folder: Path, loop: LoopInfo) -> ResultWriter:
    control = None if loop == STOCK else STOCK
    return ResultWriter(folder / f"{loop.name}.json", loop, control=control, python="3.13.0", machine=MACHINE)


def _run(folder: Path, loop: LoopInfo, suite: list[CaseResult]) -> Result:
    writer = _writer(folder, loop)
    writer.plan(case.id for case in suite)
    reached = len(suite) * 3 // 5 if loop == CRASHER else len(suite)
    for case in suite[:reached]:
        chance, common = random.Random(f"{loop.name} {case.id}"), random.Random(case.id).random()
        verdict = "fail" if common < _SHARED else _drawn(chance.random(), _CHANCES[loop.name])
        writer.add(_told(replace(case, verdict=verdict, seconds=chance.expovariate(300)), loop, common))
    if loop == CRASHER:
        writer.start(suite[reached].id)
        writer.start(suite[reached + 1].id)
    writer.finish()
    return results.read(folder / f"{loop.name}.json")


def _drawn(chance: float, verdicts: dict[str, float]) -> str:
    for verdict, share in verdicts.items():
        chance -= share
        if chance < 0:
            return verdict
    return "pass"


def _told(case: CaseResult, loop: LoopInfo, number: float) -> CaseResult:
    """The case with what a run says to its verdict."""
    name = case.id.partition("::")[2].partition("[")[0]
    expected = f"expected: {name.removeprefix('test_').replace('_', ' ')}. [{', '.join(case.requirements)}]"
    seen = {
        "fail": f"seen: AssertionError: the callbacks ran as [1, {int(number * 90)}, 0], not in the order given",
        "crash": "seen: the process was killed by signal SIGSEGV",
        "hang": "seen: no end within 10 s",
        "leak": "seen: the case left behind: 2 descriptors (socket:[81], anon_inode:[eventpoll])",
    }
    if case.verdict == "skip":
        return replace(case, message="needs the capability fdwatch, which this loop's profile lacks")
    if case.verdict in ("deviation", "fixed"):
        return replace(case, message=f"known deviation: {loop.name} reports it later\n{expected}")
    if case.verdict not in seen:
        return case
    frames = "\n".join(f'  File "asyncio/events.py", line {line} in _run' for line in (84, 130, 719))
    script = f'"""{case.id} on {loop.factory}."""\n\nimport {loop.factory.partition(":")[0]}\n\n\n' + "\n".join(
        f"loop.call_soon(order.append, {step})" for step in range(12)
    )
    return replace(
        case,
        message=f"{expected}\n{seen[case.verdict]}",
        evidence=f"Current thread 0x00007f (most recent call first):\n{frames}\n  {name}\n{'-' * 40}\nlast output: ok",
        reproducer=script,
        seconds=10.0 if case.verdict == "hang" else case.seconds,
    )
