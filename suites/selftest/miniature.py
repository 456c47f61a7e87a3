"""A suite in miniature, in a folder of its own: what the plugin does to cases, seen without the real ones."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

CASES = '''
import asyncio
import pytest
from loopproof.authoring import needs, requires

@requires("SCHED-CALL_SOON-01")
async def test_before() -> None:
    """A case that passes before."""
    assert asyncio.get_running_loop().is_running()

@requires("SCHED-CALL_SOON-02")
async def test_attacked(loop) -> None:
    """The case in which the loop attacks."""
    def trigger() -> None: pass
    loop.call_soon(trigger)

@requires("SCHED-CALL_SOON-03")
async def test_after(loop) -> None:
    """A case that passes after."""
    assert loop.is_running()

@requires("SCHED-CALL_SOON-04")
def test_synchronous(new_loop) -> None:
    """A case that is no coroutine."""
    assert not new_loop().is_running()
'''


def write(folder: Path, source: str = CASES, area: str = "scheduling") -> Path:
    """Write one file of cases as an area of a suite below ``folder``; return its path."""
    cases = folder / "cases" / area
    cases.mkdir(parents=True, exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\npython_files = test_*.py\n")
    path = cases / "test_miniature.py"
    path.write_text(source)
    return path


def run(
    folder: Path, loop: str, *options: str, timeout: float = 120, neighbours: bool = False
) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the suite in ``folder`` against ``loop``; return the finished process and the result file's content.

    ``neighbours`` says whether pytest loads the plugins of others, which take most of the time of a short run.
    """
    plugins = [] if neighbours else ["-p", "xdist", "-p", "loopproof"]
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    paths = [str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "cases", "--loop", loop, "--result", str(result), *options],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if neighbours else "1",
        },
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done, json.loads(result.read_text()) if result.exists() else None


def verdicts(result: Any) -> dict[str, str]:
    """Return the verdicts of a result by the name of the case's function."""
    return {case["id"].partition("::")[2]: case["verdict"] for case in result["cases"]}
