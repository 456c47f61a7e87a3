"""Profiles: what is known of a loop before a run. A TOML file each; shipped, brought by a loop's package, or given."""

import functools
import importlib.metadata
import platform
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from . import spec
from .capabilities import CAPABILITIES
from .cases import inventory
from .results import FINDINGS
from .shipped import FIXTURES

ENTRY_POINTS = "loopproof.loops"
"""Group in which a package registers its loop: ``NAME = "MODULE:FACTORY"``.

The loop's profile is the file ``loopproof.toml`` in that module's package, if there is one.
"""

_FIELDS = {"name", "factory", "distribution", "url", "lacks", "deviation"}
_DEVIATION_FIELDS = {"requirement", "case", "verdicts", "versions", "python", "intermittent", "reason", "link"}
_USUAL = ("fail", "leak")


class ProfileError(Exception):
    """A profile that cannot be used: one line with the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Deviation:
    """A finding that is expected, so that it does not fail a run.

    requirement, case: which cases it covers, one of the two; a case without parameters covers them all. verdicts: it
    excuses these; unless it says so, neither a crash nor a hang. versions, python: specifiers (PEP 440) of the loop's
    distribution and of the interpreter. intermittent: it does not show in every run, so a pass does not mean that it is
    gone. reason, link: for people.
    """

    reason: str
    requirement: str = ""
    case: str = ""
    verdicts: tuple[str, ...] = _USUAL
    versions: str = ""
    python: str = ""
    link: str = ""
    intermittent: bool = False

    def covers(self, case: str, requirements: Iterable[str]) -> bool:
        """Tell whether a case, of which all requirements are given, may deviate."""
        return self.requirement in requirements or self.case in (case, case.partition("[")[0])

    def applies(self, version: str | None) -> bool:
        """Tell whether it is about this interpreter and this version of the loop (None: not known)."""
        return SpecifierSet(self.python).contains(platform.python_version(), prereleases=True) and (
            version is None or SpecifierSet(self.versions).contains(version, prereleases=True)
        )


@dataclass(frozen=True)
class Profile:
    """What is known of a loop: how it is made, the capabilities that it lacks, where it deviates."""

    name: str
    factory: str
    distribution: str | None = None
    url: str = ""
    lacks: frozenset[str] = frozenset()
    deviations: tuple[Deviation, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> "Profile":
        """Read a profile.

        Raises ProfileError, also for names of cases, requirements and capabilities that the suite does not have.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ProfileError(f"profile {path}: {error.strerror}; `loopproof profile new` writes one") from None
        except ValueError as error:
            raise ProfileError(f"profile {path}: not TOML: {error}") from None
        try:
            return _profile(data)
        except ProfileError as error:
            raise ProfileError(f"profile {path}: {error}") from None

    def deviation_for(self, case: str, requirements: Sequence[str], verdict: str | None) -> Deviation | None:
        """Return the known deviation that covers a case and excuses its verdict (None: whatever it was)."""
        for deviation in self.deviations:
            if deviation.covers(case, requirements) and (verdict is None or verdict in deviation.verdicts):
                return deviation
        return None

    def applying_to(self, version: str | None) -> "Profile":
        """Return the profile without the deviations of other interpreters and other versions of the loop."""
        return replace(self, deviations=tuple(d for d in self.deviations if d.applies(version)))


def _profile(data: Mapping[str, Any]) -> Profile:
    _refuse_unknown(data, _FIELDS, "")
    for field in ("name", "factory"):
        _text(data, field, "", required=True)
    if ":" not in data["factory"]:
        raise ProfileError("factory must be MODULE:FACTORY")
    lacks = data.get("lacks", [])
    if not isinstance(lacks, list):
        raise ProfileError("lacks must be a list of capabilities")
    for name in lacks:
        if name not in CAPABILITIES:
            raise ProfileError(f"no such capability as {name!r}; one of {', '.join(CAPABILITIES)}")
    entries = data.get("deviation", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProfileError("deviations are tables [[deviation]]")
    return Profile(
        name=data["name"],
        factory=data["factory"],
        distribution=_text(data, "distribution", "") or None,
        url=_text(data, "url", ""),
        lacks=frozenset(lacks),
        deviations=tuple(_deviation(number, entry) for number, entry in enumerate(entries, 1)),
    )


def _deviation(number: int, entry: Mapping[str, Any]) -> Deviation:
    where = f"deviation {number}: "
    _refuse_unknown(entry, _DEVIATION_FIELDS, where)
    texts = {field: _text(entry, field, where) for field in _DEVIATION_FIELDS - {"verdicts", "intermittent"}}
    if bool(texts["requirement"]) == bool(texts["case"]):
        raise ProfileError(f"{where}wants a requirement or a case, and not both")
    if texts["requirement"] and texts["requirement"] not in spec.load().requirements:
        raise ProfileError(f"{where}no such requirement as {texts['requirement']}; see `loopproof spec`")
    if texts["case"] and not inventory.exists(texts["case"]):
        raise ProfileError(f"{where}no such case as {texts['case']}; renamed since? See `loopproof explain`")
    _text(entry, "reason", where, required=True)
    verdicts = entry.get("verdicts", list(_USUAL))
    if not isinstance(verdicts, list) or not verdicts or not set(verdicts) <= set(FINDINGS):
        raise ProfileError(f"{where}verdicts must be among {', '.join(FINDINGS)}")
    for field in ("versions", "python"):
        try:
            SpecifierSet(texts[field])
        except InvalidSpecifier:
            raise ProfileError(f"{where}{field} must be a specifier like '>=1.2,<2', not {texts[field]!r}") from None
    intermittent = entry.get("intermittent", False)
    if not isinstance(intermittent, bool):
        raise ProfileError(f"{where}intermittent must be true or false")
    return Deviation(**texts, verdicts=tuple(verdicts), intermittent=intermittent)


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for field in sorted(table.keys() - known):
        raise ProfileError(f"{where}unknown field {field}; known are {', '.join(sorted(known))}")


def _text(table: Mapping[str, Any], field: str, where: str, required: bool = False) -> str:
    value = table.get(field, "")
    if not isinstance(value, str) or (required and not value.strip()):
        raise ProfileError(f"{where}{field} must be a text")
    return value


@functools.cache
def known() -> Mapping[str, Path | Profile]:
    """Return what there is by name: files of shipped profiles, of packages, and bare profiles of packages without."""
    found: dict[str, Path | Profile] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        brought = None
        if entry.dist is not None:
            folder = entry.module.replace(".", "/")
            brought = Path(str(entry.dist.locate_file(f"{folder}/loopproof.toml")))
        found[entry.name] = brought if brought and brought.is_file() else Profile(entry.name, entry.value)
    found.update({path.stem: path for path in sorted(FIXTURES.glob("profiles/*.toml"))})
    return found


def named(name: str) -> Profile | None:
    """Return the profile of that name, None if there is none.

    Raises ProfileError.
    """
    profile = known().get(name)
    return Profile.load(profile) if isinstance(profile, Path) else profile


def of_factory(factory: str) -> Profile | None:
    """Return the profile of the loop that ``MODULE:FACTORY`` is of: of the same factory, or else the same package.

    Raises ProfileError.
    """
    factories = _factories()
    package = factory.partition(":")[0].partition(".")[0]
    for name, other in factories.items():
        if other == factory:
            return named(name)
    for name, other in factories.items():
        if other.partition(":")[0].partition(".")[0] == package:
            profile = named(name)
            return replace(profile, factory=factory) if profile is not None else None
    return None


@functools.cache
def _factories() -> Mapping[str, str]:
    return {name: _factory_of(profile) for name, profile in known().items()}


def _factory_of(profile: Path | Profile) -> str:
    """Return the factory in a profile without a look at the rest of it; empty if the file is broken."""
    if isinstance(profile, Profile):
        return profile.factory
    try:
        return str(tomllib.loads(profile.read_text(encoding="utf-8")).get("factory", ""))
    except (OSError, ValueError):
        return ""
