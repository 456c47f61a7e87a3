"""The specification: what is shipped holds together, and what is wrong in a file is said in one line."""

from pathlib import Path

import pytest

from loopproof import spec
from loopproof.cases import inventory

ENTRY = """\
area = "scheduling"
complete = false

[[requirement]]
id = "SCHED-CALL_SOON-01"
api = "loop.call_soon"
level = "must"
since = "3.4"
text = "It works."
source = "docs:asyncio-eventloop#asyncio.loop.call_soon"
basis = "documented"
"""


def test_every_case_names_known_requirements_and_says_what_it_proves() -> None:
    known = spec.load().requirements
    for case in inventory.load().values():
        assert case.requirements, f"{case.id} has no requirement"
        assert case.doc.endswith("."), f"{case.id} has no docstring of one sentence"
        assert not set(case.requirements) - known.keys(), f"{case.id} names an unknown requirement"
        assert case.area in spec.load().areas, f"{case.id} lies in no area"


@pytest.mark.parametrize("area", [area.name for area in spec.load().areas.values() if area.complete])
def test_a_complete_area_has_a_case_for_each_must_and_should(area: str) -> None:
    covered = {id_ for case in inventory.load().values() for id_ in case.requirements}
    binding = [r for r in spec.load().areas[area].requirements if r.level in ("must", "should")]
    uncovered = [requirement.id for requirement in binding if requirement.id not in covered]
    assert not uncovered


def test_the_inventory_has_all_areas_in_the_order_of_reports() -> None:
    known = spec.load()
    assert len(known.areas) == 38
    assert len(known.requirements) >= 917
    assert next(iter(known.areas)) == "lifecycle"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('level = "must"', 'level = "shall"', "level must be one of"),
        ('level = "must"\n', "", "field level is missing"),
        ('level = "must"', 'level = "must"\nlevle = "x"', "unknown field levle"),
        ("SCHED-CALL_SOON-01", "TIMER-CALL_SOON-01", "an id of this area looks like SCHED-"),
        ("It works.", "It works", "full stop"),
        ('since = "3.4"', 'since = "4"', "versions like 3.12"),
        ('since = "3.4"', 'since = "3.12"\nuntil = "3.11"', "until lies before since"),
        ('since = "3.4"', 'since = "3.12"\nnot_in = ["3"]', "not_in must be a list of versions"),
        ("docs:asyncio", "book:asyncio", "source must be"),
        ('"documented"', '"rumour"', "basis must be one of"),
        ("complete = false", 'complete = "no"', "complete must be true or false"),
        ('area = "scheduling"', 'area = "timers"', "area = 'scheduling'"),
        ("[[requirement]]", "[[requirement]", "scheduling.toml: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "api.toml").touch()
    (tmp_path / "scheduling.toml").write_text(ENTRY)
    assert list(spec.parse(tmp_path).requirements) == ["SCHED-CALL_SOON-01"]
    (tmp_path / "scheduling.toml").write_text(ENTRY.replace(old, new))
    with pytest.raises(spec.SpecError) as caught:
        spec.parse(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ids_are_not_used_twice(tmp_path: Path) -> None:
    (tmp_path / "api.toml").touch()
    again = ENTRY.partition("\n\n")[2].replace("It works.", "It works well.")
    (tmp_path / "scheduling.toml").write_text(f"{ENTRY}\n{again}")
    with pytest.raises(spec.SpecError, match="SCHED-CALL_SOON-01: duplicate id"):
        spec.parse(tmp_path)


def test_an_unknown_area_is_refused(tmp_path: Path) -> None:
    (tmp_path / "api.toml").touch()
    (tmp_path / "nonsense.toml").write_text(ENTRY)
    with pytest.raises(spec.SpecError, match="no such area as nonsense"):
        spec.parse(tmp_path)


@pytest.mark.parametrize(
    ("version", "applies"),
    [((3, 11, 9), False), ((3, 12, 1), True), ((3, 13, 0), False), ((3, 13, 7), True), ((3, 14, 0), False)],
)
def test_a_requirement_holds_for_its_versions(version: tuple[int, int, int], applies: bool, tmp_path: Path) -> None:
    (tmp_path / "api.toml").touch()
    versions = '"3.12.1"\nuntil = "3.13"\nnot_in = ["3.13.0"]\nplatforms = ["posix"]'
    (tmp_path / "scheduling.toml").write_text(ENTRY.replace('"3.4"', versions))
    (requirement,) = spec.parse(tmp_path).requirements.values()
    assert requirement.applies(version, "linux") is applies
    assert not requirement.applies(version, "win32")
