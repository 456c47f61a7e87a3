"""The core in C as an asyncio loop: the base of the classes that complete it, one file a concern."""

import asyncio

from refloop import _core


class Core(_core.Loop, asyncio.AbstractEventLoop):
    """The core of the loop; what it does not have raises NotImplementedError, as asyncio's abstract loop does."""

    # What the other classes keep. While the dictionary of a loop is empty the interpreter finds its methods faster.
    __slots__ = (
        "_asyncgens",
        "_asyncgens_are_shut_down",
        "_default_executor",
        "_depth_before",
        "_exception_handler",
        "_executor_is_shut_down",
        "_signal_handles",
    )
