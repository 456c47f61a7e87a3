"""The suite's own proof: each saboteur is caught by the cases of the requirement that its bug violates."""

import json
import multiprocessing
import multiprocessing.forkserver
import os
from pathlib import Path

import pytest
import sabotaged
from saboteurs import Saboteur, all_saboteurs

from loopproof import spec
from loopproof.cases import ROOT, inventory
from loopproof.cases.inventory import CaseInfo

SABOTEURS = all_saboteurs()

FORKS = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def forkserver() -> None:
    """The process to fork from, with this folder on its path: it gets no other, and keeps silent about it."""
    FORKS.set_forkserver_preload([sabotaged.__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        multiprocessing.forkserver.ensure_running()


def test_there_are_many_in_each_complete_area() -> None:
    assert len({saboteur.factory for saboteur in SABOTEURS}) >= 40
    for area in (area for area in spec.load().areas.values() if area.complete):
        ids = {requirement.id for requirement in area.requirements}
        assert sum(saboteur.requirement in ids for saboteur in SABOTEURS) >= 5, area.name


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.factory.partition(".")[2])
def test_the_cases_of_the_requirement_catch_it(saboteur: Saboteur, tmp_path: Path) -> None:
    if not spec.load().requirements[saboteur.requirement].applies():
        pytest.skip(f"{saboteur.requirement} does not apply to this Python")
    cases = [case for case in inventory.load().values() if saboteur.requirement in case.requirements]
    assert cases, f"{saboteur.requirement} has no case"
    found, output = verdicts_of(saboteur, cases, tmp_path, "-x")
    if not found & saboteur.verdicts:
        found, output = verdicts_of(saboteur, cases, tmp_path)
    assert found & saboteur.verdicts, f"{saboteur.requirement} ended with {sorted(found)}\n{output}"


def verdicts_of(saboteur: Saboteur, cases: list[CaseInfo], folder: Path, *options: str) -> tuple[set[str], str]:
    """Run cases against a saboteur with more options of pytest; return the verdicts and what pytest said."""
    result, output = folder / "result.json", folder / "output"
    nodes = [f"{case.path}::{case.id.partition('::')[2]}" for case in cases]
    takes_down = saboteur.verdicts & {"crash", "hang"}
    arguments = [
        *(*nodes, "-c", str(ROOT.parent / "pytest.ini"), "-p", "xdist.plugin", "-p", "loopproof.plugin"),
        *("-n1" if takes_down else "-n0", "--deadline", "2" if takes_down else "10", "--trust-profile"),
        *("--loop", saboteur.factory, "--result", str(result), *options),
    ]
    process = FORKS.Process(target=sabotaged.run, args=(arguments, output))
    process.start()
    process.join()
    assert result.exists(), output.read_text()
    return {case["verdict"] for case in json.loads(result.read_text())["cases"]}, output.read_text()
