"""Text from a loop under test, made fit for a terminal, a log or one line of a list: nothing in it acts."""

import re

_LIMIT = 160
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Control characters, and those that turn the direction of the text around them or take no room."""


def inert(text: str) -> str:
    r"""Return a text whose control and direction characters are shown as escapes; also newlines, as ``\n``."""
    return _ACTING.sub(lambda found: repr(found[0])[1:-1], text)


def line_of(text: str, limit: int = _LIMIT) -> str:
    """Return the first line of a text that says something, `inert`, and cut with an ellipsis beyond a limit."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    shown = inert(first)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def gist_of(message: str, limit: int = _LIMIT) -> list[str]:
    """Return what a message comes down to: its lines on what was expected and what was seen, else its first line."""
    lines = [line for line in message.splitlines() if line.startswith(("expected: ", "seen: "))][:2]
    return [line_of(line, limit) for line in lines or [message] if line.strip()]


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 case``, ``2 cases``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
