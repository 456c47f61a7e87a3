"""Both kinds of watches of a descriptor, for cases that hold for either."""

from typing import Any

SIDES = ["reader", "writer"]


def add(loop: Any, side: str) -> Any:
    """add_reader() or add_writer()."""
    return getattr(loop, f"add_{side}")


def remove(loop: Any, side: str) -> Any:
    """remove_reader() or remove_writer()."""
    return getattr(loop, f"remove_{side}")
