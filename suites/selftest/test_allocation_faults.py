"""Allocation faults: they happen where they should, are noted, happen again, and loops live through them."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allocation_scenes import SCENES

from loopproof.faultkit import AllocationFaults


def decode() -> object:
    return json.loads('["a", [1000, {"b": 2.5}]]')


def grow() -> object:
    numbers = []
    for number in range(1000):
        numbers.append(number)
    return numbers


def fill() -> object:
    return b"x" * 100_000


@pytest.mark.parametrize(
    ("domain", "operation", "work"), [("object", "malloc", decode), ("mem", "realloc", grow), ("raw", "malloc", fill)]
)
def test_the_chosen_allocation_fails(domain: Any, operation: str, work: Callable[[], object]) -> None:
    right = work()
    with AllocationFaults(domain=domain) as counted:
        work()
    assert (counted.failed, counted.trace) == (0, ())
    assert counted.seen > 0
    wanted = counted.seen // 2 + 1
    for _ in range(2):  # the same again
        with pytest.raises(MemoryError), AllocationFaults(first=wanted, domain=domain) as faults:
            work()
        assert faults.failed == 1
        (entry,) = faults.trace
        assert entry[:3] == (wanted, domain, operation)
        assert entry.size > 0
        assert entry.thread == threading.get_ident()
    assert work() == right


def test_a_window_fails_and_ends() -> None:
    results = [0] * 6
    with AllocationFaults(first=2, count=3, domain="mem") as faults:  # what an exception needs is of another domain
        for place in range(6):
            try:
                results[place] = len([None] * 100)
            except MemoryError:
                results[place] = -1
    assert results in ([100, -1, -1, -1, 100, 100], [-1, -1, -1, 100, 100, 100])
    assert [entry.number for entry in faults.trace] == [2, 3, 4]


def test_every_domain_counts_together() -> None:
    with AllocationFaults(domain="any") as all_domains:
        grow(), fill()
    counts = {}
    for domain in ("raw", "mem", "object"):
        with AllocationFaults(domain=domain) as one:
            grow(), fill()
        counts[domain] = one.seen
    assert min(counts.values()) > 0
    assert all_domains.seen == sum(counts.values())


@pytest.mark.parametrize("chosen", ["theirs", "ours", "nobody's"])
def test_only_the_chosen_thread_fails(chosen: str) -> None:
    ready, go = threading.Event(), threading.Lock()
    failed = []

    def run() -> None:
        ready.set()
        go.acquire()
        try:
            list((None,) * 100)
        except MemoryError:
            failed.append(True)

    go.acquire()
    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(60)
    idents: dict[str, Any] = {"theirs": thread.ident, "ours": None, "nobody's": 0}
    first = 1 if chosen != "ours" else 1_000_000
    with AllocationFaults(first=first, domain="mem", thread=idents[chosen]) as faults:
        go.release()
        thread.join()
    assert bool(failed) is (chosen == "theirs")
    assert [entry.thread for entry in faults.trace] == [thread.ident] * len(failed)


@pytest.mark.parametrize("everybody", [False, True])
def test_all_threads_can_count(everybody: bool) -> None:
    with AllocationFaults(domain="mem", thread="any" if everybody else None) as faults:
        thread = threading.Thread(target=lambda: [list((None,) * 100) for _ in range(1000)])
        thread.start()
        thread.join()
    assert (faults.seen >= 1000) is everybody


def test_asking_in_the_block_neither_counts_nor_fails() -> None:
    with AllocationFaults(first=1, count=1000, domain="any") as faults:
        seen = faults.seen
        failed = faults.failed
        trace = faults.trace
    assert (seen, failed, trace, faults.seen) == (0, 0, (), 0)


def test_one_at_a_time() -> None:
    with AllocationFaults(), pytest.raises(RuntimeError, match="in use already"), AllocationFaults():
        pass
    faults = AllocationFaults()
    with pytest.raises(RuntimeError, match="not in use"):
        faults.__exit__(None, None, None)
    faults.__enter__()
    del faults  # and the allocators are as before
    with AllocationFaults() as again:
        bytes(100)
    assert again.seen == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 0},
        {"first": -1},
        {"first": 2**63},
        {"first": "1"},
        {"count": 0},
        {"count": None},
        {"domain": "heap"},
        {"thread": "mine"},
        {"thread": -1},
        {"thread": 2**64},
        {"last": 1},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=str(*arguments)):
        AllocationFaults(**arguments)


OTHERS = """
import tracemalloc
from loopproof.faultkit import AllocationFaults

def attempt(work=lambda: None):
    try:
        with AllocationFaults() as faults:
            work()
            bytes(100)
    except RuntimeError as error:
        print(error)
    else:
        print(faults.seen)

attempt(tracemalloc.start)  # lies on top of the hooks
attempt()
tracemalloc.stop()
attempt()
tracemalloc.start()
attempt()
attempt(tracemalloc.stop)  # takes them off
attempt()
"""


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc", "debug", "malloc_debug"])
def test_hooks_of_others_are_seen_and_left_alone(allocator: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OTHERS],
        env={"PYTHONMALLOC": allocator, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    words = [line.split(" ")[0] for line in done.stdout.splitlines()]
    assert words == ["somebody", "the", "1", "1", "somebody", "1"]


INTERPRETERS = (
    """
import threading
import _interpreters
from loopproof.faultkit import AllocationFaults

code = """
    + repr(
        """
from loopproof.faultkit import AllocationFaults
try:
    with AllocationFaults(first=2):
        [bytes(100) for _ in range(5)]
except (MemoryError, RuntimeError) as error:
    print(type(error).__name__, flush=True)
"""
    )
    + """
other = _interpreters.create()
_interpreters.exec(other, code)
with AllocationFaults():  # of the process: taken
    _interpreters.exec(other, code)
busy = threading.Thread(target=_interpreters.exec, args=(other, "x = [bytes(100) for _ in range(300_000)]"))
busy.start()  # with a GIL of its own
rounds = 0
while busy.is_alive():
    try:
        with AllocationFaults(first=3, domain="any"):
            [bytes(1000) for _ in range(5)]
    except MemoryError:
        rounds += 1
print(rounds > 0)
"""
)


def test_interpreters_share_the_allocators() -> None:
    pytest.importorskip("_interpreters")
    done = subprocess.run([sys.executable, "-c", INTERPRETERS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["MemoryError", "RuntimeError", "True"]


def torture(loop: str, scene: str, domain: str, count: int) -> list[tuple[int, str]]:
    script = Path(__file__).parent / "allocation_torture.py"
    command = [sys.executable, str(script), loop, scene, domain, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(failed, outcome) for failed, outcome in json.loads(done.stdout)]


def check(results: list[tuple[int, str]]) -> None:
    """Nothing but the exceptions of Python that stand for want of memory, some of them for the interpreter's own."""
    assert sum(failed > 0 for failed, _ in results) > 0.9 * len(results)  # events may come in another order, or not all
    outcomes = {outcome for _, outcome in results}
    assert outcomes <= {"passed", "MemoryError", "RuntimeError", "SystemError", "TypeError"}
    assert "MemoryError" in outcomes


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("domain", ["raw", "mem", "object", "any"])
def test_refloop_lives_through_every_failed_allocation(domain: str, count: int) -> None:
    check(torture("refloop:new_event_loop", "callbacks", domain, count))


@pytest.mark.skipif(
    sys.version_info[:2] in ((3, 12), (3, 13)), reason="tasks break the interpreter itself when they find no memory"
)
@pytest.mark.parametrize("scene", SCENES)
def test_whoever_waits_for_refloop_is_told_of_every_failed_allocation(scene: str) -> None:
    """By an exception, connection_lost() or the exception handler, and nothing of the loop's is left open or over."""
    check(torture("refloop:new_event_loop", scene, "any", 1))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rloop"])
def test_failures_arrive_in_each_loop(loop: str) -> None:
    """What these make of them is theirs: not all live through it."""
    pytest.importorskip(loop)
    results = torture(loop, "callbacks", "mem", 1)
    assert "MemoryError" in {outcome.partition(",")[0] for failed, outcome in results if failed == 1}
