"""The data of the HTML page, laid out so that thousands of cases of a dozen loops stay small and quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..results import EVIDENCE_LIMIT, LEVELS, MESSAGE_LIMIT, CaseResult, Result, bounded
from .control import controls_of, is_stock, labels_of
from .tally import area_of
from .texts import TextTable

if TYPE_CHECKING:
    from ..spec import Requirement, Spec

CODES = {
    "pass": "p",
    "fail": "f",
    "crash": "c",
    "hang": "h",
    "leak": "l",
    "deviation": "d",
    "fixed": "x",
    "skip": "s",
}
_LAST_PATCH = 99

MISSING = "m"
ABSENT = "."
"""One letter a case and loop: a verdict, planned but without one, or not planned for this loop."""


def payload_of(results: Sequence[Result], spec: Spec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the main data of the page, and the long texts, which the page parses when the first one is opened."""
    cases = _all_cases(results)
    numbers = {case.id: number for number, case in enumerate(cases)}
    requirements = _all_requirements(cases, spec)
    places = {requirement["id"]: place for place, requirement in enumerate(requirements)}
    areas = [*spec.areas, *sorted({case.area for case in cases} - spec.areas.keys())]
    messages: dict[str, int] = {}
    texts = TextTable()
    main = {
        "areas": areas,
        "requirements": requirements,
        "cases": [
            {
                "id": bounded(case.id, MESSAGE_LIMIT),
                "area": areas.index(case.area),
                "requirements": [places[requirement] for requirement in case.requirements],
                "level": LEVELS.index(case.level),
            }
            for case in cases
        ],
        "loops": [
            _loop(result, numbers, messages, texts) | {"label": label, "stock": is_stock(result), "against": control}
            for result, label, control in zip(results, labels_of(results), controls_of(results), strict=True)
        ],
        "messages": list(messages),
    }
    return main, texts.to_json()


def _all_cases(results: Iterable[Result]) -> list[CaseResult]:
    """Return each case of any run once, by area and id; one that never got a verdict as far as its id tells."""
    cases = {case.id: case for result in results for case in result.cases}
    for result in results:
        for missed in result.missing:
            cases.setdefault(missed, CaseResult(missed, area_of(missed), (), "must", "skip"))
    return sorted(cases.values(), key=lambda case: case.id)


def _all_requirements(cases: Iterable[CaseResult], spec: Spec) -> list[dict[str, Any]]:
    known = [_requirement(requirement) for requirement in spec.requirements.values()]
    strange = {
        id_: {
            "id": id_,
            "area": case.area,
            "level": case.level,
            "api": "",
            "text": "This requirement is not known to the version of loopproof that made this report.",
        }
        for case in cases
        for id_ in case.requirements
        if id_ not in spec.requirements
    }
    return known + list(strange.values())


def _requirement(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "area": requirement.area,
        "level": requirement.level,
        "api": requirement.api,
        "text": requirement.text,
        "source": requirement.source,
        "url": requirement.url,
        "basis": requirement.basis,
        "note": requirement.note or "",
        "since": _shown(requirement.since),
        "until": _shown(requirement.until) if requirement.until else "",
        "not_in": ", ".join(".".join(map(str, version)) for version in requirement.not_in),
        "platforms": list(requirement.platforms),
    }


def _shown(version: tuple[int, int, int]) -> str:
    """Return a version without the patch number where that is none: the first, or the end of the range."""
    return ".".join(map(str, version if version[2] not in (0, _LAST_PATCH) else version[:2]))


def _loop(result: Result, numbers: dict[str, int], messages: dict[str, int], texts: TextTable) -> dict[str, Any]:
    verdicts = [ABSENT] * len(numbers)
    milliseconds = [0] * len(numbers)
    details: dict[int, tuple[int, int, int]] = {}
    for missed in result.missing:
        verdicts[numbers[missed]] = MISSING
    for case in result.cases:
        number = numbers[case.id]
        verdicts[number] = CODES[case.verdict]
        milliseconds[number] = round(case.seconds * 1000)
        if case.message or case.evidence or case.reproducer:
            message = bounded(case.message, MESSAGE_LIMIT)
            details[number] = (
                messages.setdefault(message, len(messages)) if message else -1,
                texts.add(case.evidence, EVIDENCE_LIMIT),
                texts.add(case.reproducer, EVIDENCE_LIMIT),
            )
    return {
        "name": result.loop.name,
        "factory": result.loop.factory,
        "distribution": result.loop.distribution,
        "version": result.loop.version,
        "python": result.python,
        "platform": " ".join((result.platform.system, result.platform.release, result.platform.machine)),
        "libc": result.platform.libc,
        "started": result.started,
        "seconds": result.seconds,
        "complete": result.complete,
        "conforms": result.conforms,
        "planned": result.planned,
        "given": len(result.cases),
        "running": list(result.running),
        "error": result.error,
        "suite": result.suite,
        "verdicts": "".join(verdicts),
        "milliseconds": milliseconds,
        "details": details,
    }
