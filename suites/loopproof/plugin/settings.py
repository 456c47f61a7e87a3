"""What one run was asked to do, read once from pytest's options."""

from dataclasses import dataclass

import pytest

from ..authoring.fixtures import Factory


@dataclass(frozen=True)
class Settings:
    """The loop under test and the bounds of the run."""

    factory: Factory
    areas: frozenset[str]
    level: str
    requirements: tuple[str, ...]
    deadline: float


KEY = pytest.StashKey[Settings]()


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings of this run; only where `active` is true."""
    return config.stash[KEY]


def read(config: pytest.Config) -> Settings:
    import importlib

    module, _, name = config.option.loopproof_loop.partition(":")
    return Settings(
        factory=getattr(importlib.import_module(module), name or "new_event_loop"),
        areas=frozenset(config.option.loopproof_area),
        level=config.option.loopproof_level,
        requirements=tuple(config.option.loopproof_requirement),
        deadline=config.option.loopproof_deadline,
    )
