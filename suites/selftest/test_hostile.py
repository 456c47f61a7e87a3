"""Each hostile loop gets the right verdict with evidence, costs one case, and the run goes on."""

from pathlib import Path
from types import SimpleNamespace

import miniature
import pytest

from loopproof.plugin.claims import Claims
from loopproof.plugin.supervision import Supervision
from loopproof.profiles import Profile

ATTACKS = {
    "Segfaults": ("crash", "SIGSEGV", "C backtrace (SIGSEGV)"),
    "OverrunsABuffer": (
        "crash",
        "killed by SIGSEGV: guarded buffer 'reply': write at offset 4096, 1 byte past its end (size 4096)",
        "guarded buffer 'reply': write at offset 4096, 1 byte past its end (size 4096)\nC backtrace (SIGSEGV)",
    ),
    "UsesABufferAfterItsRelease": (
        "crash",
        "SIGSEGV: guarded buffer 'get_buffer() 1': write at offset 1, after its release (size 65536)",
        "Fatal Python error: Segmentation fault",
    ),
    "Aborts": ("crash", "SIGABRT", "the loop lost its mind"),
    "Killed": ("crash", "SIGKILL", ""),
    "Exits": ("crash", "status 3", ""),
    "ExitsWithZero": ("crash", "status 0", ""),
    "CancelsTheWatchdogAndExits": ("crash", "status 1", ""),
    "RaisesSystemExit": ("fail", "SystemExit", "attack"),
    "RaisesKeyboardInterrupt": ("fail", "KeyboardInterrupt", "attack"),
    "Sleeps": ("hang", "deadline", "attack"),
    "Spins": ("hang", "deadline", "attack"),
    "HoldsTheGil": ("hang", "deadline", "attack"),
    "FailsAndNeverCloses": ("hang", "deadline", "close"),
    "LeaksDescriptors": ("leak", "descriptor", ""),
    "LeaksAndFailsOnce": ("fail", "for once", ""),
    "LeaksThreads": ("leak", "stray", ""),
    "LeaksChildren": ("leak", "child process", ""),
    "RaisesUnraisably": ("leak", "nobody hears this", ""),
    "LeavesASocketOpen": ("leak", "ResourceWarning", ""),
    "EatsMemory": ("fail", "MemoryError", "attack"),
    "ClosesTheConnectionToTheRun": ("hang", "deadline", "attack"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_costs_one_case_and_is_told_by_its_verdict(attack: str, tmp_path: Path) -> None:
    verdict, message, evidence = ATTACKS[attack]
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, f"hostile:{attack}", "-n2", "--deadline", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert miniature.verdicts(result) == {
        "test_before": "pass",
        "test_attacked": verdict,
        "test_after": "pass",
        "test_synchronous": "pass",
    }
    assert result["complete"] is True
    (attacked,) = (case for case in result["cases"] if case["verdict"] == verdict)
    assert message in attacked["message"]
    assert "The case in which the loop attacks. [SCHED-CALL_SOON-02]" in attacked["message"]
    assert evidence in attacked["evidence"]
    assert attacked["requirements"] == ["SCHED-CALL_SOON-02"]
    assert "INTERNALERROR" not in done.stdout + done.stderr


@pytest.mark.parametrize("attack", ["HoldsTheGil", "Segfaults"])
def test_the_first_failure_ends_the_run_if_asked_to(attack: str, tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, f"hostile:{attack}", "-n1", "--deadline", "2", "-x")
    assert "stopping after 1 failures" in done.stdout
    assert list(miniature.verdicts(result)) == ["test_before", "test_attacked"]
    assert result["complete"] is False


def test_cases_may_be_sent_to_a_worker_that_has_just_died(tmp_path: Path) -> None:
    """As xdist does where several die at the same time; it hears of their deaths afterwards."""

    def send(*_: object, **__: object) -> None:
        raise OSError("cannot send (already closed?)")

    node = SimpleNamespace(workerinput={}, gateway=SimpleNamespace(id="gw0"), sendcommand=send)
    supervision = Supervision(Profile("mine", "mine:Loop"), Claims.trusting(frozenset()), tmp_path)
    supervision.pytest_configure_node(node)
    node.sendcommand("runtests", indices=[1])
    assert node.sendcommand is not send


def test_a_thread_that_is_ending_is_none_of_the_leaks(tmp_path: Path) -> None:
    miniature.write(tmp_path)
    _, result = miniature.run(tmp_path, "hostile:LeaksADescriptorWhileAThreadEnds", "-n0")
    (attacked,) = (case for case in result["cases"] if case["verdict"] == "leak")
    assert "descriptor" in attacked["evidence"]
    assert "ending" not in attacked["evidence"]


@pytest.mark.parametrize("loop", ["Lies", "SwallowsErrors"])
def test_a_loop_that_lies_about_the_outcome_fails(loop: str, tmp_path: Path) -> None:
    failing = miniature.CASES.replace("assert asyncio.get_running_loop().is_running()", "assert False, 'the truth'")
    miniature.write(tmp_path, failing)
    done, result = miniature.run(tmp_path, f"hostile:{loop}", "-n0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert miniature.verdicts(result)["test_before"] == "fail"


@pytest.mark.parametrize("attack", ["Segfaults", "Exits", "HoldsTheGil"])
def test_without_workers_the_result_keeps_what_was_measured_and_names_the_case(attack: str, tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, f"hostile:{attack}", "-n0", "--deadline", "2")
    assert done.returncode != 0
    assert miniature.verdicts(result) == {"test_before": "pass"}
    assert result["complete"] is False
    assert [case.partition("::")[2] for case in result["running"]] == ["test_attacked"]
