"""Rounds: every contender in turn, over and over, so that whatever the machine does meets all of them alike."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path


def play(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each contender once a round; return what they returned, a list for each."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            figures[name].append(contenders[name]())
    return figures


def ratios(figures: Mapping[str, list[float]], reference: str) -> dict[str, float]:
    """Return for each contender the median over the rounds of its figure divided by that of the reference."""
    base = figures[reference]
    return {
        name: statistics.median(mine / other for mine, other in zip(values, base, strict=True))
        for name, values in figures.items()
    }


def table(head: str, columns: Iterable[str], rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return rows of ratios as a Markdown table; what was not measured is empty."""
    names = list(columns)
    lines = [f"| {head} | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for row, values in rows.items():
        cells = [f"{values[name]:.2f}" if name in values else "" for name in names]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save(path: str | None, result: object) -> None:
    """Write all figures as JSON, if a path is given."""
    if path:
        Path(path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
