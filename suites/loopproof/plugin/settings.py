"""What one run was asked to do, read once from pytest's options."""

import fnmatch
import math
from dataclasses import dataclass, replace

import pytest

from .. import spec
from ..loops import LoopSpec
from ..profiles import Profile


@dataclass(frozen=True)
class Settings:
    """The loop under test and the bounds of the run. ``deadline`` is in seconds, ``memory`` in MiB (0: no limit)."""

    loop: LoopSpec
    profile: Profile
    areas: frozenset[str]
    level: str
    requirements: tuple[str, ...]
    deadline: float
    memory: int


def read(config: pytest.Config) -> Settings:
    """Return the settings that pytest's options ask for.

    Raises pytest.UsageError, LoopError or ProfileError with one line for what is wrong with them.
    """
    given = config.option
    loop = LoopSpec.parse(given.loopproof_loop)
    known = spec.load()
    for area in given.loopproof_area:
        if area not in known.areas:
            raise pytest.UsageError(f"--area {area}: no such area; one of {', '.join(known.areas)}")
    for pattern in given.loopproof_requirement:
        if not fnmatch.filter(known.requirements, pattern):
            raise pytest.UsageError(f"--requirement {pattern}: no such requirement; see `loopproof spec`")
    if not 0 < given.loopproof_deadline < math.inf:
        raise pytest.UsageError(f"--deadline {given.loopproof_deadline}: must be a positive number of seconds")
    if given.loopproof_memory_limit < 0:
        raise pytest.UsageError(
            f"--memory-limit {given.loopproof_memory_limit}: must be a number of MiB, or 0 for none"
        )
    return Settings(
        loop=loop,
        profile=_given_profile(given.loopproof_profile, loop) if given.loopproof_profile else loop.profile,
        areas=frozenset(given.loopproof_area),
        level=given.loopproof_level,
        requirements=tuple(given.loopproof_requirement),
        deadline=given.loopproof_deadline,
        memory=given.loopproof_memory_limit,
    )


def _given_profile(path: str, loop: LoopSpec) -> Profile:
    profile = Profile.load(path)
    return replace(profile.applying_to(loop.distribution(profile)[1]), factory=loop.factory)
