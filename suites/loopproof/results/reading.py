"""Reads a result file and says in one line what is wrong with a bad one."""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .model import LEVELS, SCHEMA, VERDICTS, CaseResult, LoopInfo, Platform, Result, ResultError

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _mapping_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _list(value: Any) -> bool:
    return isinstance(value, list)


_SHAPES: dict[Check, str] = {
    _text: "a string",
    _text_or_null: "a string or null",
    _texts: "a list of strings",
    _flag: "true or false",
    _count: "a whole number",
    _seconds: "a number of seconds",
    _mapping: "an object",
    _mapping_or_null: "an object or null",
    _list: "a list",
}

_RESULT: dict[str, Check] = {
    "loop": _mapping,
    "python": _text,
    "platform": _mapping,
    "started": _text,
    "seconds": _seconds,
    "complete": _flag,
    "planned": _count,
    "running": _texts,
    "control": _mapping_or_null,
    "error": _text_or_null,
    "cases": _list,
    "summary": _mapping,
}
_RESULT_OPTIONAL: dict[str, Check] = {"suite": _text, "plan": _texts, "missing": _texts}
_LOOP: dict[str, Check] = {
    "name": _text,
    "factory": _text,
    "distribution": _text_or_null,
    "version": _text_or_null,
}
_PLATFORM: dict[str, Check] = {"system": _text, "release": _text, "machine": _text, "libc": _text}
_CASE: dict[str, Check] = {
    "id": _text,
    "area": _text,
    "requirements": _texts,
    "level": LEVELS.__contains__,
    "verdict": VERDICTS.__contains__,
    "seconds": _seconds,
    "message": _text,
    "evidence": _text,
    "reproducer": _text,
}
_CHOICES: dict[str, tuple[str, ...]] = {"level": LEVELS, "verdict": VERDICTS}


def read(path: str | os.PathLike[str]) -> Result:
    """Return the result that a file holds; also of a run that was killed, which is then incomplete.

    Raises:
        ResultError: the file cannot be read, is no JSON, has another schema number, or lacks or garbles a key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ResultError(f"{os.fspath(path)}: cannot read the result file: {reason}") from None
    return parse(text, os.fspath(path))


def parse(text: str, name: str) -> Result:
    """Return the result that a text holds; ``name`` says in errors where it came from.

    Raises:
        ResultError: see `read`.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        data = _repair(text)
        if data is None:
            detail = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise ResultError(
                f"{name}: not a result file, not even JSON ({detail}); write one with --result FILE"
            ) from None
    if not isinstance(data, dict) or "schema" not in data:
        raise ResultError(f'{name}: JSON, but not a result file (no "schema"); write one with --result FILE')
    if data["schema"] != SCHEMA or isinstance(data["schema"], bool):
        raise ResultError(
            f"{name}: has schema {json.dumps(data['schema'])[:40]}, this loopproof reads schema {SCHEMA}; "
            "run the loop again with this version, or use the one that wrote the file"
        )
    return _result(data, name)


def _repair(text: str) -> Any:
    """Make a document of a file whose writer was killed half-way through a write: all whole cases, incomplete."""
    head, separator, rest = text.partition('"cases":[\n')
    if not separator:
        return None
    cases = []
    for line in rest.splitlines():
        try:
            cases.append(json.loads(line.strip().removeprefix(",")))
        except ValueError:
            break
    tail = {
        "cases": cases,
        "seconds": 0.0,
        "complete": False,
        "planned": 0,
        "running": [],
        "error": None,
        "summary": {},
    }
    try:
        data = json.loads(head.rstrip().removesuffix(",") + "}")
    except ValueError:
        return None
    return data | tail if isinstance(data, dict) else None


def _result(data: Mapping[str, Any], name: str) -> Result:
    _check(data, _RESULT, name, "")
    _check({key: data[key] for key in _RESULT_OPTIONAL if key in data}, {}, name, "", _RESULT_OPTIONAL)
    by_id = {}
    for index, entry in enumerate(data["cases"]):
        where = f"cases[{index}]"
        if not isinstance(entry, dict):
            raise ResultError(f"{name}: {where} is not an object; run the loop again")
        _check(entry, _CASE, name, f"{where}.")
        fields = {key: entry[key] for key in _CASE}
        by_id[entry["id"]] = CaseResult(**fields | {"requirements": tuple(entry["requirements"])})
    plan = data.get("missing", data.get("plan", []))
    missing = tuple(case for case in plan if case not in by_id)
    planned = max(data["planned"], len(by_id) + len(missing))
    return Result(
        loop=_loop(data["loop"], name, "loop."),
        python=data["python"],
        platform=_platform(data["platform"], name),
        started=data["started"],
        seconds=float(data["seconds"]),
        complete=data["complete"] and data["error"] is None and len(by_id) >= planned,
        planned=planned,
        cases=tuple(by_id.values()),
        missing=missing,
        running=tuple(data["running"]),
        control=None if data["control"] is None else _loop(data["control"], name, "control."),
        error=data["error"],
        suite=data.get("suite", ""),
    )


def _loop(data: Mapping[str, Any], name: str, prefix: str) -> LoopInfo:
    _check(data, _LOOP, name, prefix)
    return LoopInfo(**{key: data[key] for key in _LOOP})


def _platform(data: Mapping[str, Any], name: str) -> Platform:
    _check(data, _PLATFORM, name, "platform.")
    return Platform(**{key: data[key] for key in _PLATFORM})


def _check(
    data: Mapping[str, Any],
    required: Mapping[str, Check],
    name: str,
    prefix: str,
    optional: Mapping[str, Check] | None = None,
) -> None:
    for key in required:
        if key not in data:
            raise ResultError(f'{name}: key "{prefix}{key}" is missing; run the loop again to make the file anew')
    for key, check in {**required, **(optional or {})}.items():
        if key not in data:
            continue
        if not check(data[key]):
            wanted = f"one of {', '.join(_CHOICES[key])}" if key in _CHOICES else _SHAPES[check]
            seen = json.dumps(data[key])[:60]
            raise ResultError(f'{name}: key "{prefix}{key}" must be {wanted}, not {seen}; run the loop again')
