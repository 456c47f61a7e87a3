"""Reproducers: every case becomes a script that passes on stock asyncio and fails on the loop that has the bug."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopproof import profiles, spec
from loopproof.cases import inventory
from loopproof.report.reproducer import reproducer_of

HERE = Path(__file__).parent
PLAIN = "scheduling/test_call_soon.py::test_callbacks_run_in_the_order_of_registration"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script where neither the suite nor pytest can be imported, unless it needs the suite's fault kit."""
    path = folder / "reproducer.py"
    path.write_text(script)
    blocked = () if "from loopproof." in script else ("pytest", "_pytest", "loopproof")
    blocker = folder / "sitecustomize.py"
    blocker.write_text(f"import sys\nfor name in {blocked}:\n    sys.modules[name] = None\n")
    return subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(HERE)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_reproducer_fails_on_the_loop_with_the_bug_and_passes_on_the_stock_loop(tmp_path: Path) -> None:
    failing = run(reproducer_of(PLAIN, "findings:LastInFirstOut", {}), tmp_path)
    assert failing.returncode != 0
    assert "AssertionError" in failing.stderr
    passing = run(reproducer_of(PLAIN, "asyncio:SelectorEventLoop", {}), tmp_path)
    assert passing.returncode == 0, passing.stderr


@pytest.mark.parametrize("area", sorted({case.area for case in inventory.load().values()} - {"abc"}))
def test_cases_become_scripts_that_pass_on_the_stock_loop(area: str, tmp_path: Path) -> None:
    """One case of each file; those that use pytest itself, or have parameters but the kind of stream, are left out.

    So are those that the stock loop is known to fail.
    """
    files = set()
    stock = profiles.named("asyncio")
    assert stock is not None
    stock = stock.applying_to(None)
    known = spec.load().requirements
    for case in inventory.load().values():
        if case.area != area or case.path in files or not all(known[id_].applies() for id_ in case.requirements):
            continue
        if stock.deviation_for(case.id, case.requirements, None):
            continue
        script = reproducer_of(case.id, "asyncio:SelectorEventLoop", {"stream": "'tcp-client'"})
        if script.startswith("pytest ") or "import pytest" in script:
            continue
        files.add(case.path)
        done = run(script, tmp_path)
        assert done.returncode == 0, f"{case.id}\n{done.stderr}\n{script}"
    assert files
