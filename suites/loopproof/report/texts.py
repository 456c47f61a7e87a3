"""Many long and similar texts in little room: tracebacks and scripts share most of their lines."""

from typing import Any

from ..results import bounded

BUDGET = 24_000_000
"""Characters of distinct lines beyond which further texts are cut short, so that the page still opens."""

_SHORT = 2_000


class TextTable:
    """Texts as lists of line numbers."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._lines: dict[str, int] = {}
        self._texts: dict[tuple[int, ...], int] = {}

    def add(self, text: str, limit: int) -> int:
        """Return the number of a text, of which ``limit`` characters are kept; -1 for an empty one."""
        if not text:
            return -1
        kept = bounded(text, limit if self._budget > 0 else min(limit, _SHORT))
        return self._texts.setdefault(tuple(map(self._line, kept.split("\n"))), len(self._texts))

    def _line(self, line: str) -> int:
        if line not in self._lines:
            self._budget -= len(line)
            self._lines[line] = len(self._lines)
        return self._lines[line]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the lines, and each text as the numbers of its lines."""
        return {"lines": list(self._lines), "texts": [list(text) for text in self._texts]}
