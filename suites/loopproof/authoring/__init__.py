"""What a case is written with: the standard library and the fault kit alone, so that a reproducer can carry it."""

from .concurrency import Background, loop_in_thread
from .expectations import raises
from .links import Connect, Link, until
from .marks import needs, on_streams, requires

__all__ = ["Background", "Connect", "Link", "loop_in_thread", "needs", "on_streams", "raises", "requires", "until"]
