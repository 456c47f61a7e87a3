"""The plugin as a user meets it: options, selection, skips, bad input, and its neighbours."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import miniature
import pytest

STOCK = "asyncio:SelectorEventLoop"


def test_a_loop_that_conforms_ends_with_zero_and_a_complete_result(tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, STOCK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(miniature.verdicts(result).values()) == {"pass"}
    assert result["complete"] is True
    assert result["planned"] == 4
    assert result["loop"]["factory"] == STOCK


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--requirement", "SCHED-CALL_SOON-02"], {"test_attacked"}),
        (["--requirement", "*-0[34]"], {"test_after", "test_synchronous"}),
        (
            ["--area", "scheduling", "--level", "must", "-k", "not attacked"],
            {"test_before", "test_after", "test_synchronous"},
        ),
    ],
)
def test_options_select_cases(options: list[str], left: set[str], tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, STOCK, "-n0", *options, neighbours=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(miniature.verdicts(result)) == left


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says what is wrong."""
    assert "Traceback" not in done.stdout + done.stderr
    (error,) = [text for text in done.stderr.splitlines() if text.startswith("ERROR: ")]
    return error


@pytest.mark.parametrize(
    ("loop", "line"),
    [
        ("nowhere:Loop", "nowhere"),
        ("asyncio:Nothing", "Nothing"),
        ("asyncio:sleep", "asyncio:sleep"),
        ("bad_loops:raises", "the factory's own words"),
        ("bad_loops:returns_none", "None"),
        ("bad_loops:returns_closed", "closed"),
        ("bad_loops:returns_running", "running"),
        ("bad_loops_import:Loop", "SIGKILL"),
        ("bad_loops:kills", "SIGKILL"),
        ("no such loop", "no such loop"),
    ],
)
@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_loop_that_cannot_be_had_is_one_line(loop: str, line: str, workers: str, tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, _ = miniature.run(tmp_path, loop, workers)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert line in the_line(done)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--area", "nonsense"], "nonsense"),
        (["--requirement", "SCHED-NONSENSE-01"], "SCHED-NONSENSE-01"),
        (["--result", "/nowhere/result.json"], "/nowhere/result.json"),
        (["--profile", "missing.toml"], "missing.toml"),
        (["--deadline", "0"], "--deadline"),
        (["--deadline", "nan"], "--deadline"),
        (["--memory-limit", "-1"], "--memory-limit"),
    ],
)
def test_bad_options_are_one_line(options: list[str], line: str, tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done, _ = miniature.run(tmp_path, STOCK, "-n0", *options, neighbours=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert line in the_line(done)


def test_a_profile_may_be_trusted(tmp_path: Path) -> None:
    miniature.write(
        tmp_path,
        miniature.CASES.replace('@requires("SCHED-CALL_SOON-03")', '@needs("tls")\n@requires("SCHED-CALL_SOON-03")'),
    )
    profile = tmp_path / "some.toml"
    profile.write_text('name = "some"\nfactory = "asyncio:SelectorEventLoop"\nlacks = ["tls"]\n')
    done, result = miniature.run(tmp_path, STOCK, "-n0", "--profile", str(profile), "--trust-profile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert miniature.verdicts(result)["test_after"] == "skip"
    done, result = miniature.run(tmp_path, STOCK, "-n0", "--profile", str(profile))
    assert miniature.verdicts(result)["test_after"] == "pass"


def test_without_a_loop_the_cases_say_what_is_missing(tmp_path: Path) -> None:
    miniature.write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "cases"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--loop MODULE:FACTORY" in done.stderr


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_case_with_an_unknown_requirement_fails(workers: str, tmp_path: Path) -> None:
    miniature.write(tmp_path, miniature.CASES.replace("SCHED-CALL_SOON-03", "SCHED-NONSENSE-03"))
    done, result = miniature.run(tmp_path, STOCK, workers)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    (wrong,) = [case for case in result["cases"] if case["verdict"] == "fail"]
    assert "unknown requirement SCHED-NONSENSE-03" in wrong["message"]


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_case_that_fails_is_not_said_to_leave_the_watchdog_behind(workers: str, tmp_path: Path) -> None:
    miniature.write(tmp_path, miniature.CASES.replace("assert loop.is_running()", "assert not loop.is_running()"))
    done, result = miniature.run(tmp_path, STOCK, workers)
    assert miniature.verdicts(result)["test_after"] == "fail"
    assert "left behind" not in done.stdout


VAIN = '''
import pathlib
import pytest
from loopproof.authoring import requires, until

@requires("SCHED-CALL_SOON-02")
@pytest.mark.parametrize("number", range(22))
async def test_vain(number: int) -> None:
    """Waits for what does not come."""
    turns = []
    try:
        await until(lambda: turns.append(number), "nothing")
    finally:
        with pathlib.Path("turns").open("a") as file:
            print(len(turns), file=file)
'''


def turns_of(folder: Path, *options: str) -> list[int]:
    miniature.write(folder, VAIN)
    miniature.run(folder, STOCK, "-n0", "--deadline", "0.4", *options)
    return [int(line) for line in (folder / "turns").read_text().splitlines()]


def test_a_loop_that_fails_by_waiting_is_waited_for_less_and_less(tmp_path: Path) -> None:
    assert turns_of(tmp_path) == [100] * 20 + [20] * 2


def test_what_is_known_not_to_come_is_not_waited_for_as_long(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(
        'name = "known"\nfactory = "asyncio:SelectorEventLoop"\n'
        '[[deviation]]\nrequirement = "SCHED-CALL_SOON-02"\nreason = "the case is not to be passed"\n'
    )
    assert turns_of(tmp_path, "--profile", "known.toml") == [10] * 22


LONG = '''
from loopproof.authoring import requires

@requires("SCHED-CALL_SOON-02")
def test_long_lists() -> None:
    """Compares lists that differ in every place."""
    assert list(range(100_000)) == [number * 7919 % 100_000 for number in range(1, 100_001)]
'''


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
@pytest.mark.parametrize("name", ["CI", "BUILD_NUMBER"])
def test_long_lists_are_not_compared_in_full(
    name: str, workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")  # makes pytest show all of a comparison, which takes it longer than any deadline
    miniature.write(tmp_path, LONG)
    _, result = miniature.run(tmp_path, STOCK, workers)
    (case,) = result["cases"]
    assert case["verdict"] == "fail"
    assert "At index 0 diff: 0 != 7919" in case["evidence"]


WAITING = '''
from loopproof.authoring import requires

@requires("SCHED-CALL_SOON-01")
async def test_first() -> None:
    """Passes at once."""
    assert True

@requires("SCHED-CALL_SOON-02")
def test_waits(tmp_path) -> None:
    """Waits for the interruption."""
    import pathlib, threading
    pathlib.Path("waiting").touch()
    threading.Event().wait(60)
'''


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_an_interruption_leaves_a_valid_result(workers: str, tmp_path: Path) -> None:
    miniature.write(tmp_path, WAITING)
    result = tmp_path / "result.json"
    command = [sys.executable, "-m", "pytest", "cases", "--loop", STOCK, "--result", str(result), workers]
    with subprocess.Popen(
        [*command, "--deadline", "50"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None, process.communicate()[0].decode()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    content = json.loads(result.read_text())
    assert content["complete"] is False
    assert miniature.verdicts(content) == {"test_first": "pass"}
    assert [case.partition("::")[2] for case in content["missing"]] == ["test_waits"]


NEIGHBOURS = """
import asyncio
import pytest

@pytest.mark.asyncio
async def test_of_pytest_asyncio():
    await asyncio.sleep(0)

@pytest.mark.anyio
async def test_of_anyio():
    await asyncio.sleep(0)

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.parametrize("options", [[], ["-o", "asyncio_mode=auto"]])
def test_the_plugin_leaves_other_asynchronous_tests_alone(options: list[str], tmp_path: Path) -> None:
    """Beside pytest-asyncio (also in auto mode), anyio and pytest-aiohttp, neither touches the other's tests."""
    for plugin in ("pytest_asyncio", "anyio", "pytest_aiohttp"):
        pytest.importorskip(plugin)
    miniature.write(tmp_path)
    (tmp_path / "cases" / "test_neighbours.py").write_text(NEIGHBOURS)
    done, result = miniature.run(tmp_path, STOCK, "-n0", *options, neighbours=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    assert len(result["cases"]) == 4
    alone = subprocess.run(
        [sys.executable, "-m", "pytest", "cases/test_neighbours.py", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in alone.stdout, alone.stdout + alone.stderr
