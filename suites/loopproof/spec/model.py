"""What the specification is made of."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

LEVELS = ("must", "should", "may")
"""How binding a requirement is, the strictest first."""

BASES = ("documented", "de-facto", "contested")
"""What a requirement stands on. A contested one never fails a loop."""

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Requirement:
    """One testable statement about a loop.

    since, until: first and last Python version it holds for; a last version without a patch number holds for all of
    its patch releases. not_in: releases between that do not have yet what an earlier branch got later. platforms: of
    posix, linux, macos, windows; empty for all. note: who disagrees, and how.
    """

    id: str
    area: str
    api: str
    level: str
    since: Version
    text: str
    source: str
    basis: str
    until: Version | None = None
    not_in: tuple[Version, ...] = ()
    platforms: tuple[str, ...] = ()
    note: str | None = None

    def applies(self, version: tuple[int, ...] = sys.version_info[:3], platform: str = sys.platform) -> bool:
        """Tell whether it holds for a Python version on a platform (as ``sys.platform`` names it)."""
        if version[:3] < self.since or (self.until is not None and version[:3] > self.until):
            return False
        if version[:3] in self.not_in:
            return False
        here = {"linux": ("linux", "posix"), "darwin": ("macos", "posix"), "win32": ("windows",)}
        return not self.platforms or any(name in self.platforms for name in here.get(platform, ("posix",)))

    @property
    def url(self) -> str | None:
        """The address of the document that the source names, None where it is an implementation."""
        kind, _, place = self.source.partition(":")
        page, _, anchor = place.partition("#")
        anchor = f"#{anchor}" if anchor else ""
        if kind == "docs":
            folder = "" if "/" in page else "library/"
            return f"https://docs.python.org/3/{folder}{page}.html{anchor}"
        if kind == "pep":
            return f"https://peps.python.org/pep-{int(page):04}/{anchor}"
        return None


@dataclass(frozen=True)
class Area:
    """A topic. ``complete``: each of its musts and shoulds has a case, and stays so."""

    name: str
    complete: bool
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a callable; versions as texts like ``3.12``, the default as source text."""

    name: str
    kind: str
    default: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Api:
    """A callable or attribute of asyncio, with its parameters over the Python versions."""

    name: str
    kind: str
    parameters: tuple[Parameter, ...] = ()
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Spec:
    """All requirements by id, all areas and callables by name."""

    requirements: Mapping[str, Requirement]
    areas: Mapping[str, Area]
    api: Mapping[str, Api]
