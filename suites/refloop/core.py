"""The core in C as an asyncio loop: the base of the classes that complete it, one file a concern."""

import asyncio

from refloop import _core


class Core(_core.Loop, asyncio.AbstractEventLoop):
    """The core of the loop; what it does not have raises NotImplementedError, as asyncio's abstract loop does."""
