"""Which cases of those collected run: by option; and which are skipped, always with the reason."""

import fnmatch
import sys
from pathlib import Path

import pytest

from .. import machine, spec
from ..cases import ROOT, case_id
from .claims import Claims
from .options import LEVELS
from .settings import Settings
from .verdicts import requirements_of

_WRONG = pytest.StashKey[str]()


class Selection:
    """Plugin object that narrows the collection to what the options ask for."""

    def __init__(self, settings: Settings, claims: Claims) -> None:
        self._settings = settings
        self._claims = claims
        self._known = spec.load().requirements
        self._wanted = {id_ for pattern in settings.requirements for id_ in fnmatch.filter(self._known, pattern)}

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out files that hold no case that is asked for: to import all of them takes seconds."""
        if collection_path.suffix != ".py" or collection_path.parent.parent != ROOT:
            return None
        settings = self._settings
        if settings.areas and collection_path.parent.name not in settings.areas:
            return True
        if self._wanted:
            text = collection_path.read_text(encoding="utf-8")
            return None if any(id_ in text for id_ in self._wanted) else True
        return None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect by area, level and requirement; mark what cannot hold here as skipped."""
        known = self._known
        kept, left_out = [], []
        for item in items:
            case = case_id(item.nodeid)
            if case is None:
                kept.append(item)
                continue
            ids = requirements_of(item)
            unknown = [id_ for id_ in ids if id_ not in known]
            if unknown or not ids:
                item.stash[_WRONG] = f"unknown requirement {unknown[0]}" if unknown else "no requirement"
                kept.append(item)
                continue
            requirements = [known[id_] for id_ in ids]
            if not self._asked_for(case, requirements):
                left_out.append(item)
                continue
            kept.append(item)
            reason = self._reason_to_skip(item, requirements)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
        items[:] = kept
        if left_out:
            config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a case that cannot be told what it proves."""
        if _WRONG in item.stash:
            pytest.fail(f"the case itself is wrong: {item.stash[_WRONG]}", pytrace=False)

    def _asked_for(self, case: str, requirements: list[spec.Requirement]) -> bool:
        settings = self._settings
        if settings.areas and case.partition("/")[0] not in settings.areas:
            return False
        wanted = LEVELS[: LEVELS.index(settings.level) + 1]
        if all(requirement.level not in wanted for requirement in requirements):
            return False
        return not self._wanted or any(requirement.id in self._wanted for requirement in requirements)

    def _reason_to_skip(self, item: pytest.Item, requirements: list[spec.Requirement]) -> str | None:
        for requirement in requirements:
            if not requirement.applies():
                return f"{requirement.id} does not apply to Python {sys.version.split()[0]} on {sys.platform}"
        needed = {name for marker in item.iter_markers("needs") for name in marker.args}
        return machine.lacking(needed) or self._claims.reason_to_skip(
            needed, [requirement.api for requirement in requirements]
        )
