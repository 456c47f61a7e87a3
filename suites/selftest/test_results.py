"""The result file: whole at every moment whatever ends the run, and bad files get one clear line."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loopproof import results
from loopproof.results import CaseResult, LoopInfo, ResultError, ResultWriter

SCHEMA = json.loads((Path(__file__).parents[2] / "fixtures" / "result.schema.json").read_text())
UVLOOP = LoopInfo("uvloop", "uvloop:new_event_loop", "uvloop", "0.23.0")
STOCK = LoopInfo("asyncio", "asyncio:SelectorEventLoop")


def case(name: str, verdict: str = "pass", **more: Any) -> CaseResult:
    return CaseResult(f"timers/test_a.py::{name}", "timers", ("TIME-CALL_LATER-01",), "must", verdict, **more)


def document(path: Path) -> Any:
    """The file as a strict reader sees it: valid JSON, true to the schema."""
    data = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    return data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "result.json"


def test_the_schema_is_one_and_accepts_only_what_it_describes(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    ResultWriter(path, UVLOOP).finish()
    whole = document(path)
    assert set(SCHEMA["required"]) <= whole.keys() <= SCHEMA["properties"].keys()
    for key in SCHEMA["required"]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: value for name, value in whole.items() if name != key}, SCHEMA)


def test_what_was_written_is_read_back(path: Path) -> None:
    machine = results.Platform("Linux", "6.1", "x86_64", "glibc 2.36")
    writer = ResultWriter(path, UVLOOP, control=STOCK, python="3.13.0", machine=machine)
    failed = case("b", "fail", seconds=0.25, message="expected 1\nseen 2", evidence="Traceback", reproducer="import os")
    writer.plan([case("a").id, failed.id])
    writer.add(case("a"))
    writer.add(failed)
    writer.finish()
    document(path)
    result = results.read(path)
    assert (result.loop, result.control, result.python, result.platform) == (UVLOOP, STOCK, "3.13.0", machine)
    assert result.cases == (case("a"), failed)
    assert result.complete
    assert (result.planned, result.missing, result.running, result.error) == (2, (), (), None)
    assert {name: number for name, number in result.summary.items() if number} == {"pass": 1, "fail": 1}
    assert not result.conforms
    assert result.findings == (failed,)


def test_the_file_is_whole_after_every_step(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    assert document(path)["complete"] is False
    names = [f"c{number}" for number in range(4)]
    writer.plan(case(name).id for name in names)
    assert results.read(path).missing == tuple(case(name).id for name in names)
    for name in names[:2]:
        writer.start(case(name).id)
    assert document(path)["running"] == [case("c0").id, case("c1").id]
    for number, name in enumerate(names):
        writer.add(case(name, "fail" if number == 2 else "pass", evidence="e" * 5000 * (number % 2)))
        data = document(path)
        assert [entry["id"] for entry in data["cases"]] == [case(done).id for done in names[: number + 1]]
        assert sum(data["summary"].values()) == number + 1
        assert data["complete"] is False
        assert data["planned"] == 4
    writer.finish()
    data = document(path)
    assert data["complete"] is True
    assert "plan" not in data
    assert not path.read_text().endswith(" ")


def test_a_tail_that_shrinks_leaves_nothing_behind(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    for number in range(50):
        writer.start(f"timers/test_a.py::{'long' * 40}{number}")
    for number in range(50):
        writer.add(CaseResult(f"timers/test_a.py::{'long' * 40}{number}", "timers", (), "may", "pass"))
        document(path)
    assert document(path)["running"] == []


def test_the_cost_of_a_case_does_not_grow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    pwrite = os.pwrite

    def watched(descriptor: int, data: bytes, offset: int) -> int:
        written.append(len(data))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", watched)
    writer = ResultWriter(path, UVLOOP)
    writer.plan(case(f"c{number:04}").id for number in range(2000))
    for number in range(2000):
        writer.start(case(f"c{number:04}").id)
        writer.add(case(f"c{number:04}"))
    assert len(written) == 4000
    assert max(written[-100:]) <= max(written[:100]) + 20


def test_a_run_that_ends_early_names_what_is_missing(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.plan([case("a").id, case("b").id, case("c").id])
    writer.add(case("a"))
    writer.start(case("b").id)
    writer.finish()
    data = document(path)
    assert data["complete"] is False
    assert data["missing"] == [case("b").id, case("c").id]
    result = results.read(path)
    assert result.missing == (case("b").id, case("c").id)
    assert result.running == (case("b").id,)
    assert not result.conforms


def test_a_loop_that_could_not_be_run(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.plan([])
    writer.finish(error="cannot import uvloop:\n  No module named 'uvloop'")
    document(path)
    result = results.read(path)
    assert result.error == "cannot import uvloop: No module named 'uvloop'"
    assert not result.complete
    assert not result.conforms


def test_a_run_of_no_cases_does_not_conform(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.plan([])
    writer.finish()
    assert not results.read(path).conforms


def test_a_later_verdict_takes_the_place_of_an_earlier_one(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a"))
    writer.add(case("a", "crash"))
    assert results.read(path).cases == (case("a", "crash"),)
    writer.finish()
    data = document(path)
    assert [entry["verdict"] for entry in data["cases"]] == ["crash"]
    assert (data["summary"]["pass"], data["summary"]["crash"], data["planned"]) == (0, 1, 1)


def test_a_plan_that_comes_late_or_twice_loses_nothing(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("early"))
    writer.plan([case("a").id])
    writer.plan([case("a").id])
    writer.plan([case("b").id, case("early").id])
    assert document(path)["planned"] == 3
    writer.add(case("a"))
    assert {entry["id"] for entry in document(path)["cases"]} == {case("early").id, case("a").id}
    writer.finish()
    assert document(path)["missing"] == [case("b").id]


class Hostile:
    """An object whose str() raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        ("NUL \0 and \x1b[31m", "NUL \0 and \x1b[31m"),
        ("\u202ertl \U0001f40d", "\u202ertl \U0001f40d"),
        (b"bytes", "b'bytes'"),
        (None, "None"),
        (Hostile(), "<Hostile whose str() raises RuntimeError>"),
        ('"],"complete":true,"cases":[\n', '"],"complete":true,"cases":[\n'),
    ],
    ids=["surrogate", "nul", "unicode", "bytes", "none", "str-raises", "json"],
)
def test_any_text_survives(path: Path, message: Any, seen: str) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a", "fail", message=message, evidence=message, reproducer=message))
    for _ in range(2):
        document(path)
        read = results.read(path).cases[0]
        assert (read.message, read.evidence, read.reproducer) == (seen, seen, seen)
        writer.finish()


def test_huge_text_is_bounded_and_says_so(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a", "fail", message="m" * 1_000_000, evidence="first" + "e" * 10_000_000 + "last"))
    writer.finish()
    read = results.read(path).cases[0]
    assert len(read.message) < results.MESSAGE_LIMIT + 100
    assert len(read.evidence) < results.EVIDENCE_LIMIT + 100
    assert read.evidence.startswith("first")
    assert read.evidence.endswith("last")
    assert f"[... {10_000_009 - results.EVIDENCE_LIMIT} characters left out ...]" in read.evidence


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_clock_gone_mad_does_not_break_the_file(path: Path, seconds: float) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a", seconds=seconds))
    assert document(path)["cases"][0]["seconds"] == 0.0


def test_an_unknown_verdict_is_refused(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    with pytest.raises(ValueError, match="no such verdict"):
        writer.add(case("a", "maybe"))
    assert document(path)["cases"] == []


def test_a_process_killed_in_a_case_leaves_which_one_it_was(path: Path) -> None:
    script = f"""
        import os, signal
        from loopproof.results import CaseResult, LoopInfo, ResultWriter
        writer = ResultWriter({str(path)!r}, LoopInfo("uvloop", "uvloop:new_event_loop"))
        writer.plan(["a", "b", "c"])
        writer.start("a")
        writer.add(CaseResult("a", "timers", (), "must", "pass"))
        writer.start("b")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=os.environ | {"PYTHONPATH": _paths()})
    assert killed.returncode == -signal.SIGKILL
    document(path)
    result = results.read(path)
    assert (result.running, result.missing, result.complete) == (("b",), ("b", "c"), False)


def _paths() -> str:
    return os.pathsep.join(sys.path)


def test_a_write_cut_short_anywhere_loses_at_most_the_case_at_hand(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.plan([case("a").id, case("b").id])
    writer.add(case("a"))
    before = path.read_bytes()
    writer.add(case("b", "fail", evidence="e" * 3000))
    after = path.read_bytes()
    changed = next(index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    for end in range(changed, len(after), 97):
        torn = after[:end] + before[end:]
        result = results.parse(torn.decode(), "torn")
        assert result.by_id[case("a").id] == case("a")
        assert not result.complete
        assert case("b").id in {*result.missing, *result.by_id}


def test_a_full_disk_is_one_line_and_leaves_the_file_whole(path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 1000, hard))
    try:
        with pytest.raises(ResultError, match="cannot write the result") as caught:
            writer.add(case("b", "fail", evidence="e" * 20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert [entry["id"] for entry in document(path)["cases"]] == [case("a").id]
    writer.finish()
    assert [entry["id"] for entry in document(path)["cases"]] == [case("a").id, case("b").id]


def test_a_descriptor_that_was_closed_or_given_away_is_noticed(path: Path, tmp_path: Path) -> None:
    writer = ResultWriter(path, UVLOOP)
    writer.add(case("a"))
    mine = next(
        int(entry.name)
        for entry in Path("/proc/self/fd").iterdir()
        if entry.is_symlink() and os.path.realpath(entry) == str(path)
    )
    assert mine >= 512
    os.close(mine)
    writer.add(case("b"))
    document(path)
    other = tmp_path / "other"
    other.write_text("precious")
    with other.open("rb+") as stranger:
        os.dup2(stranger.fileno(), mine)
    writer.add(case("c"))
    assert other.read_text() == "precious"
    assert len(document(path)["cases"]) == 3
    os.close(mine)
    writer.finish()
    assert document(path)["summary"]["pass"] == 3


def test_no_descriptor_and_no_temporary_file_stays(path: Path, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    writer = ResultWriter(path, UVLOOP)
    writer.plan([case("a").id])
    writer.add(case("a"))
    writer.finish()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for bad in (tmp_path / "no" / "such.json", tmp_path, Path("/dev/null"), Path("/proc/nothing.json")):
        with pytest.raises(ResultError) as caught:
            ResultWriter(bad, UVLOOP)
        assert str(caught.value).startswith(f"{bad}: cannot write the result: ")
        assert "\n" not in str(caught.value)
    assert Path("/dev/null").is_char_device()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("target.json")
    ResultWriter(tmp_path / "link.json", UVLOOP).finish()
    assert (tmp_path / "link.json").is_symlink()
    document(tmp_path / "target.json")


def whole(path: Path) -> dict[str, Any]:
    writer = ResultWriter(path, UVLOOP)
    writer.plan([case("a").id])
    writer.add(case("a"))
    writer.finish()
    data: dict[str, Any] = document(path)
    return data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not even JSON"),
        ("{", "not even JSON (line 1"),
        ("[" * 100_000, "not even JSON"),
        ("[]", 'not a result file (no "schema")'),
        ('{"tests": 3}', 'not a result file (no "schema")'),
        ('{"schema": 2}', "has schema 2, this loopproof reads schema 1"),
        ('{"schema": true}', "has schema true"),
        ('{"schema": 1}', 'key "loop" is missing'),
    ],
)
def test_what_is_no_result_file_gets_one_line(path: Path, content: str, said: str) -> None:
    path.write_text(content)
    with pytest.raises(ResultError) as caught:
        results.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("seconds",), "1", 'key "seconds" must be a number of seconds, not "1"'),
        (("seconds",), float("nan"), 'key "seconds" must be a number of seconds, not NaN'),
        (("planned",), True, 'key "planned" must be a whole number, not true'),
        (("missing",), [1], 'key "missing" must be a list of strings, not [1]'),
        (("loop",), [], 'key "loop" must be an object, not []'),
        (("loop", "version"), 1, 'key "loop.version" must be a string or null, not 1'),
        (("platform", "libc"), None, 'key "platform.libc" must be a string, not null'),
        (("control",), "asyncio", 'key "control" must be an object or null'),
        (("cases",), {}, 'key "cases" must be a list, not {}'),
        (("cases", 0), 1, "cases[0] is not an object"),
        (("cases", 0, "verdict"), "great", 'key "cases[0].verdict" must be one of pass, fail'),
        (("cases", 0, "verdict"), [], 'key "cases[0].verdict" must be one of pass, fail'),
        (("cases", 0, "level"), "shall", 'key "cases[0].level" must be one of must, should, may'),
        (("cases", 0, "requirements"), "X", 'key "cases[0].requirements" must be a list of strings'),
    ],
)
def test_a_wrong_type_is_named(path: Path, keys: tuple[Any, ...], value: Any, said: str) -> None:
    data = whole(path)
    target: Any = data
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ResultError) as caught:
        results.read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(path: Path) -> None:
    data = whole(path)
    for key in SCHEMA["required"][1:]:
        path.write_text(json.dumps({name: value for name, value in data.items() if name != key}))
        with pytest.raises(ResultError, match=f'key "{key}" is missing'):
            results.read(path)
    del data["cases"][0]["area"]
    path.write_text(json.dumps(data))
    with pytest.raises(ResultError, match=r'key "cases\[0\].area" is missing'):
        results.read(path)


def test_a_file_that_is_not_there_or_no_text_gets_one_line(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="No such file"):
        results.read(path)
    with pytest.raises(ResultError, match="Is a directory"):
        results.read(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultError, match="not UTF-8"):
        results.read(path)


def test_a_file_that_lies_about_being_complete_is_not_believed(path: Path) -> None:
    data = whole(path)
    path.write_text(json.dumps(data | {"planned": 7}))
    assert not results.read(path).complete
    path.write_text(json.dumps(data | {"missing": ["x"]}))
    assert not results.read(path).complete
    path.write_text(json.dumps(data | {"error": "no"}))
    assert not results.read(path).complete


def test_keys_of_the_future_are_ignored(path: Path) -> None:
    data = whole(path)
    data["colour"] = "green"
    data["cases"][0]["taste"] = 1
    path.write_text(json.dumps(data))
    assert results.read(path).complete


def test_the_worst_verdict() -> None:
    assert results.worst(["pass", "leak", "fail", "skip"]) == "fail"
    assert results.worst(["hang", "crash"]) == "crash"
    assert results.worst(["skip", "pass"]) == "pass"
    with pytest.raises(ValueError, match="empty"):
        results.worst([])
