"""Which run is the stock loop that another run is set against, and what short name each run has in a report."""

from collections import Counter
from collections.abc import Sequence

from ..results import CaseResult, Result

_STOCK = "asyncio:"


def is_stock(result: Result) -> bool:
    """Tell whether a run is one of the standard library's own loop."""
    return result.control is None and result.loop.factory.startswith(_STOCK)


def controls_of(results: Sequence[Result]) -> list[int | None]:
    """Return for each run the index of its control: the stock loop on the very same Python and system.

    None for a stock loop itself, and where no run fits. A whole run is preferred to an incomplete one.
    """
    return [_control_of(result, results) for result in results]


def control_of(result: Result, results: Sequence[Result]) -> Result | None:
    """Return the control of one of some runs."""
    index = _control_of(result, results)
    return None if index is None else results[index]


def _control_of(result: Result, results: Sequence[Result]) -> int | None:
    if is_stock(result):
        return None
    fitting = [
        index
        for index, other in enumerate(results)
        if other is not result
        and is_stock(other)
        and (other.python, other.platform.system) == (result.python, result.platform.system)
        and (result.control is None or other.loop.factory == result.control.factory)
    ]
    return min(fitting, key=lambda index: not results[index].complete, default=None)


def also_in_control(case: CaseResult, control: Result | None) -> bool:
    """Tell whether a finding is one that the control has too."""
    twin = control.by_id.get(case.id) if control is not None else None
    return case.found and twin is not None and twin.found


def labels_of(results: Sequence[Result]) -> list[str]:
    """Return a name for each run: the loop's, with as much of version and Python added as tells them apart."""
    labels = [result.loop.name for result in results]
    for more in (
        [result.loop.version or "" for result in results],
        [f"py{result.python}" for result in results],
        [f"#{index + 1}" for index in range(len(results))],
    ):
        groups: dict[str, set[str]] = {}
        for label, addition in zip(labels, more, strict=True):
            groups.setdefault(label, set()).add(addition)
        seen = Counter(labels)
        labels = [
            f"{label} {addition}" if seen[label] > 1 and len(groups[label]) > 1 and addition else label
            for label, addition in zip(labels, more, strict=True)
        ]
    return labels
