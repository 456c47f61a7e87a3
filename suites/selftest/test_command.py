"""The command as a user meets it: its answers, its exit codes, one line for what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def loopproof(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", "import sys; from loopproof.command import main; sys.exit(main())", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [[], ["run"], ["explain"], ["spec"], ["profile"], ["compare"], ["doctor"]])
def test_help_teaches(command: list[str], tmp_path: Path) -> None:
    done = loopproof(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "usage: loopproof" in done.stdout
    if not command:
        assert "loopproof run --loop uvloop" in done.stdout


ONE = ["--requirement", "SCHED-CALL_SOON-0[25]", "-n", "1"]


def test_a_run_against_a_loop_that_conforms(tmp_path: Path) -> None:
    done = loopproof("run", "--loop", "asyncio", *ONE, "--html", "report.html", "--markdown", "report.md", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "asyncio" in done.stdout
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert "asyncio" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "results" / "asyncio.json").read_text())["complete"] is True


def test_findings_are_named_with_exit_code_one_and_the_stock_loop_is_the_control(tmp_path: Path) -> None:
    done = loopproof("run", "--loop", "findings:LastInFirstOut", *ONE, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "scheduling/test_call_soon.py::test_callbacks_run_in_the_order_of_registration" in done.stdout
    assert sorted(path.name for path in (tmp_path / "results").glob("*.json")) == [
        "asyncio.json",
        "findings_LastInFirstOut.json",
    ]
    again = loopproof("compare", "results/asyncio.json", "results/findings_LastInFirstOut.json", cwd=tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "test_callbacks_run_in_the_order_of_registration" in again.stdout
    back = loopproof("compare", "results/findings_LastInFirstOut.json", "results/asyncio.json", cwd=tmp_path)
    assert back.returncode == 0
    explained = loopproof("explain", "SCHED-CALL_SOON-02", cwd=tmp_path)
    assert "findings:LastInFirstOut on Python" in explained.stdout
    profile = loopproof(
        *("profile", "new", "findings:LastInFirstOut", "--findings", "results/findings_LastInFirstOut.json"),
        *("--output", "some.toml"),
        cwd=tmp_path,
    )
    assert profile.returncode == 0, profile.stderr
    excused = loopproof("run", "--loop", "findings:LastInFirstOut", "--profile", "some.toml", *ONE, cwd=tmp_path)
    assert excused.returncode == 0, excused.stdout + excused.stderr
    assert json.loads((tmp_path / "results" / "findings_LastInFirstOut.json").read_text())["summary"]["deviation"] > 0
    fixed = loopproof("run", "--loop", "asyncio", "--profile", "some.toml", "--no-control", *ONE, cwd=tmp_path)
    assert fixed.returncode == 0
    assert json.loads((tmp_path / "results" / "asyncio.json").read_text())["summary"]["deviation"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--loop", "nowhere:Loop", "--no-control"], "nowhere"),
        (["run", "--loop", "bad_loops:kills", "--no-control"], "SIGKILL"),
        (["run", "--loop", "asyncio", "--area", "nonsense"], "nonsense"),
        (["run", "--loop", "asyncio", "--requirement", "NONSENSE"], "NONSENSE"),
        (["run", "--loop", "asyncio", "--html", "missing/report.html"], "missing/report.html"),
        (["run", "--loop", "asyncio", "--loop", "uvloop", "--profile", "x.toml"], "--profile"),
        (["run", "--loop", "asyncio", "--results", "/proc/nowhere"], "/proc/nowhere"),
        (["run", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["explain", "SCHED-CALL_SON-02"], "did you mean SCHED-CALL_SOON-02"),
        (["spec", "--area", "nonsense"], "nonsense"),
        (["profile", "new", "nowhere:Loop"], "nowhere"),
        (["profile", "check", "missing.toml"], "missing.toml"),
        (["compare", "missing.json", "missing.json"], "missing.json"),
    ],
)
def test_wrong_usage_is_exit_code_two_and_a_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = loopproof(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_an_interruption_reports_what_was_measured(tmp_path: Path) -> None:
    arguments = ["run", "--loop", "findings:Waits", "--no-control", *ONE, "--", "--deadline", "50"]
    with subprocess.Popen(
        [sys.executable, "-m", "loopproof", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 3, output
    assert "Traceback" not in output
    assert "INCOMPLETE" in output
    assert json.loads((tmp_path / "results" / "findings_Waits.json").read_text())["complete"] is False


def test_spec_lists_what_has_no_case(tmp_path: Path) -> None:
    every = loopproof("spec", "--area", "tls", cwd=tmp_path)
    uncovered = loopproof("spec", "--area", "tls", "--uncovered", "--level", "must", cwd=tmp_path)
    assert every.returncode == uncovered.returncode == 0
    assert set(uncovered.stdout.splitlines()) < set(every.stdout.splitlines())
    assert all(line.startswith("TLS-") for line in uncovered.stdout.splitlines())


def test_doctor_names_features_tools_and_loops(tmp_path: Path) -> None:
    done = loopproof("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("injector", "netns", "gcc", "asyncio:SelectorEventLoop"):
        assert name in done.stdout


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    code = "import sys; from loopproof.command import main; sys.exit(main())"
    done = subprocess.run(
        f"{sys.executable} -c '{code}' spec --level must | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
