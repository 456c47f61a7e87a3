"""Factories that give no usable loop."""

import asyncio
import os
import signal


def raises() -> asyncio.AbstractEventLoop:
    raise ValueError("the factory's own words")


def returns_none() -> None:
    return None


def returns_closed() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.close()
    return loop


def returns_running() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.is_running = lambda: True  # type: ignore[method-assign]
    return loop


def kills() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
