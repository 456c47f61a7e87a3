"""What a case is written with. Everything here uses the standard library alone, so that a reproducer can carry it."""

from .concurrency import Background, loop_in_thread
from .expectations import raises
from .marks import needs, requires

__all__ = ["Background", "loop_in_thread", "needs", "raises", "requires"]
