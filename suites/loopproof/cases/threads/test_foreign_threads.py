"""call_soon_threadsafe: from threads that the module threading knows nothing of."""

import _thread
import asyncio
import contextvars
import ctypes
import threading
from collections.abc import Callable

import pytest

from loopproof.authoring import loop_in_thread, requires

Factory = Callable[[], asyncio.AbstractEventLoop]

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="unset")


def in_a_bare_thread(function: Callable[[], None]) -> None:
    """Call the function in a thread of the module _thread and wait for its end."""
    ended = threading.Event()

    def start() -> None:
        try:
            function()
        finally:
            ended.set()

    _thread.start_new_thread(start, ())
    ended.wait()


def in_a_c_thread(function: Callable[[], None]) -> None:
    """Call the function in a thread made by C code and wait for its end."""
    library = ctypes.CDLL(None)

    start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: function())
    thread = ctypes.c_void_p()
    assert library.pthread_create(ctypes.byref(thread), None, start, None) == 0
    assert library.pthread_join(thread, None) == 0


THREADS: dict[str, Callable[[Callable[[], None]], None]] = {"bare": in_a_bare_thread, "C": in_a_c_thread}


@requires("THREAD-CALL_SOON_THREADSAFE-17")
@pytest.mark.parametrize("kind", ["bare", "C"])
def test_a_foreign_thread_submits(new_loop: Factory, kind: str) -> None:
    """What a thread that is not one of threading's submits runs in the loop's thread, all of it and in order."""
    loop = new_loop()
    ran: list[tuple[int, int]] = []

    def submit() -> None:
        for number in range(100):
            loop.call_soon_threadsafe(lambda number=number: ran.append((number, threading.get_ident())))  # type: ignore[misc]

    with loop_in_thread(loop) as thread:
        THREADS[kind](submit)
        ended = threading.Event()
        loop.call_soon_threadsafe(ended.set)
        ended.wait()
    assert ran == [(number, thread.ident) for number in range(100)]


@requires("THREAD-CALL_SOON_THREADSAFE-05")
@pytest.mark.parametrize("kind", ["bare", "C"])
def test_the_context_of_a_foreign_thread_is_copied(new_loop: Factory, kind: str) -> None:
    """A callback submitted by such a thread sees the variables that the thread has set."""
    loop = new_loop()
    seen: list[str] = []

    def submit() -> None:
        COLOUR.set("submitter's")
        loop.call_soon_threadsafe(lambda: seen.append(COLOUR.get()))

    THREADS[kind](submit)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["submitter's"]


@requires("THREAD-CALL_SOON_THREADSAFE-17")
@pytest.mark.parametrize("kind", ["bare", "C"])
def test_submissions_outlive_their_thread(new_loop: Factory, kind: str) -> None:
    """What fifty threads, each gone when the loop starts, have submitted runs in order."""
    loop = new_loop()
    ran: list[int] = []
    for number in range(50):

        def submit(number: int = number) -> None:
            loop.call_soon_threadsafe(ran.append, number)

        THREADS[kind](submit)
    assert ran == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == list(range(50))
