"""Saboteur loops: stock asyncio loops with one realistic bug each, and the requirement whose cases must catch it."""

import asyncio
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Loop = TypeVar("Loop", bound=type[asyncio.AbstractEventLoop])


@dataclass(frozen=True)
class Saboteur:
    """A loop class with one bug; ``requirement`` names whose cases must give it one of ``verdicts``."""

    factory: str
    requirement: str
    verdicts: frozenset[str]


_registered: list[Saboteur] = []


def saboteur(requirement: str, *verdicts: str) -> Callable[[Loop], Loop]:
    """Register the decorated class: a case of ``requirement`` must end with one of ``verdicts`` (default: fail)."""

    def register(loop: Loop) -> Loop:
        factory = f"{loop.__module__}:{loop.__qualname__}"
        _registered.append(Saboteur(factory, requirement, frozenset(verdicts or ("fail",))))
        return loop

    return register


def all_saboteurs() -> list[Saboteur]:
    """Import every file of this folder and return what they registered, in order of their names."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_registered, key=lambda saboteur: (saboteur.factory, saboteur.requirement))
