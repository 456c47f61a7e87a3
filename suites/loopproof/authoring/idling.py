"""What a loop that has nothing to do costs: its processor time beside that of a thread which works meanwhile.

A loop that keeps its processor busy gets as much of it as the other thread, however busy the machine is.
"""

import asyncio
import hashlib
import threading
import time

from .concurrency import Background

WORK = 0.03
"""Seconds of processor time for which the other thread works: much beside what a sleep and a wake-up cost."""

BLOCK = bytes(500_000)


def _work(begun: threading.Event, loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
    begun.wait()
    begin = time.thread_time()
    while time.thread_time() - begin < WORK:
        hashlib.sha256(BLOCK)  # which lets other threads run
    loop.call_soon_threadsafe(ended.set_result, None)


async def idle() -> None:
    """Let the running loop wait while another thread works.

    Raises AssertionError where that takes the loop a quarter of the processor time of the thread.
    """
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    begun = threading.Event()
    loop.call_soon(begun.set)
    with Background(_work, begun, loop, ended):
        used = time.thread_time()
        await ended
        used = time.thread_time() - used
    share = used / WORK
    assert share < 0.25, f"with nothing to do the loop used {share:.0%} of the processor time of a thread that works"
