"""What a case is written with: the standard library and the fault kit alone, so that a reproducer can carry it."""

from .concurrency import Background, loop_in_thread
from .expectations import raises
from .links import Connect, Link, until
from .marks import needs, on_datagrams, on_servers, on_streams, requires
from .serving import Serve, Service

__all__ = [
    "Background",
    "Connect",
    "Link",
    "Serve",
    "Service",
    "loop_in_thread",
    "needs",
    "on_datagrams",
    "on_servers",
    "on_streams",
    "raises",
    "requires",
    "until",
]
