"""Reads the files of the specification and refuses what is wrong in them, by file and id."""

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .model import BASES, LEVELS, Api, Area, Parameter, Requirement, Spec, Version

PREFIXES = {
    "lifecycle": "LIFE",
    "abc": "ABC",
    "embedding": "EMBED",
    "scheduling": "SCHED",
    "timers": "TIMER",
    "context": "CTX",
    "threads": "THREAD",
    "futures": "FUT",
    "tasks": "TASK",
    "executor": "EXEC",
    "connections": "CONN",
    "servers": "SERV",
    "unix": "UNIX",
    "starttls": "STLS",
    "tls": "TLS",
    "datagram": "DGRAM",
    "sendfile": "SENDF",
    "sock": "SOCK",
    "fdwatch": "FD",
    "pipes": "PIPE",
    "signals": "SIG",
    "subprocess": "SUBP",
    "childwatch": "CHILD",
    "dns": "DNS",
    "transports": "TRANS",
    "flow": "FLOW",
    "protocols": "PROTO",
    "streams": "STREAM",
    "errors": "ERR",
    "debug": "DBG",
    "gc": "GC",
    "policy": "POL",
    "runner": "RUN",
    "interrupt": "INT",
    "fork": "FORK",
    "freethreading": "FT",
    "subinterpreters": "SUBI",
    "primitives": "PRIM",
}
"""The areas in the order of reports, and how the ids of each begin."""

_PLATFORMS = {"posix", "linux", "macos", "windows"}
_REQUIRED = {"id", "api", "level", "since", "text", "source", "basis"}
_OPTIONAL = {"until", "not_in", "platforms", "note"}
_VERSION = re.compile(r"3\.(\d{1,2})(?:\.(\d{1,2}))?\Z")
_ID = re.compile(r"([A-Z]+)-[A-Z0-9_]+-\d{2}\Z")
_SOURCE = re.compile(r"(docs:[a-z0-9./-]+(#[A-Za-z0-9_.-]+)?|pep:\d+#[a-z0-9-]+|impl:[A-Za-z0-9_.]+)\Z")
_LAST_PATCH = 99


class SpecError(Exception):
    """Something is wrong in a file of the specification: one line with the file and the id."""


@functools.cache
def load() -> Spec:
    """Return the specification that is shipped.

    Raises SpecError.
    """
    return parse(Path(__file__).parent)


def parse(folder: Path) -> Spec:
    """Read all files of a folder: one an area, and ``api.toml``.

    Raises SpecError.
    """
    areas = {name: _area(folder / f"{name}.toml", name) for name in PREFIXES if (folder / f"{name}.toml").exists()}
    for path in sorted(folder.glob("*.toml")):
        if path.stem not in PREFIXES and path.stem != "api":
            raise SpecError(f"{path}: no such area as {path.stem}")
    requirements: dict[str, Requirement] = {}
    texts: dict[tuple[str, str], str] = {}
    for area in areas.values():
        for requirement in area.requirements:
            if requirement.id in requirements:
                raise SpecError(f"{area.name}.toml: {requirement.id}: duplicate id")
            key = (requirement.api, requirement.text.lower())
            if key in texts:
                raise SpecError(f"{area.name}.toml: {requirement.id}: same text as {texts[key]}")
            requirements[requirement.id] = requirement
            texts[key] = requirement.id
    return Spec(requirements, areas, _api(folder / "api.toml"))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"{path.name}: {error}") from None


def _area(path: Path, name: str) -> Area:
    data = _read(path)
    if data.keys() - {"area", "complete", "requirement"} or data.get("area") != name:
        raise SpecError(f"{path.name}: wants area = {name!r}, complete and [[requirement]] tables, and nothing else")
    if not isinstance(data.get("complete"), bool):
        raise SpecError(f"{path.name}: complete must be true or false")
    entries = data.get("requirement", [])
    return Area(
        name, data["complete"], tuple(_requirement(path, name, number, e) for number, e in enumerate(entries, 1))
    )


def _requirement(path: Path, area: str, number: int, entry: Mapping[str, Any]) -> Requirement:
    name = entry.get("id", f"entry {number}")

    def refuse(what: str) -> NoReturn:
        raise SpecError(f"{path.name}: {name}: {what}")

    for field in sorted(_REQUIRED - entry.keys()):
        refuse(f"field {field} is missing")
    for field in sorted(entry.keys() - _REQUIRED - _OPTIONAL):
        refuse(f"unknown field {field}")
    for field in sorted(entry.keys() - {"not_in", "platforms"}):
        if not isinstance(entry[field], str) or not entry[field].strip():
            refuse(f"{field} must be a text")
    matched = _ID.match(entry["id"])
    if matched is None or matched[1] != PREFIXES[area]:
        refuse(f"an id of this area looks like {PREFIXES[area]}-NAME-01")
    if entry["level"] not in LEVELS:
        refuse(f"level must be one of {', '.join(LEVELS)}")
    if entry["basis"] not in BASES:
        refuse(f"basis must be one of {', '.join(BASES)}")
    if not _SOURCE.match(entry["source"]):
        refuse("source must be docs:PAGE#ANCHOR, pep:NUMBER#SECTION or impl:OBJECT")
    if not entry["text"].endswith(".") or "\n" in entry["text"]:
        refuse("text must be one line that ends with a full stop")
    platforms = entry.get("platforms", [])
    if not isinstance(platforms, list) or not set(platforms) <= _PLATFORMS:
        refuse(f"platforms must be among {', '.join(sorted(_PLATFORMS))}")
    since = _version(entry["since"], 0)
    until = _version(entry["until"], _LAST_PATCH) if "until" in entry else None
    if since is None or ("until" in entry and until is None):
        refuse("since and until must be versions like 3.12 or 3.12.1")
    if until is not None and until < since:
        refuse("until lies before since")
    not_in = entry.get("not_in", [])
    if not isinstance(not_in, list) or not all(isinstance(text, str) and _version(text, 0) for text in not_in):
        refuse("not_in must be a list of versions like 3.12.1")
    return Requirement(
        id=entry["id"],
        area=area,
        api=entry["api"],
        level=entry["level"],
        since=since,
        text=entry["text"],
        source=entry["source"],
        basis=entry["basis"],
        until=until,
        not_in=tuple(version for text in not_in if (version := _version(text, 0))),
        platforms=tuple(platforms),
        note=entry.get("note"),
    )


def _version(text: str, patch: int) -> Version | None:
    matched = _VERSION.match(text)
    return (3, int(matched[1]), int(matched[2] or patch)) if matched else None


def _api(path: Path) -> dict[str, Api]:
    found: dict[str, Api] = {}
    for entry in _read(path).get("api", []):
        try:
            parameters = tuple(
                Parameter(p["name"], p["kind"], p.get("default"), p.get("since"), p.get("until"))
                for p in entry.get("params", ())
            )
            found[entry["name"]] = Api(entry["name"], entry["kind"], parameters, entry.get("since"), entry.get("until"))
        except KeyError as error:
            raise SpecError(f"{path.name}: {entry.get('name', 'an entry')}: field {error} is missing") from None
    return found
