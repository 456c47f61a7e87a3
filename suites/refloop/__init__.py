"""The reference event loop: a complete asyncio loop in C on libuv."""

from refloop import _core

libuv_version: str = _core.libuv_version
