"""close and signals: handlers are removed, the wakeup descriptor of the process is given back."""

import asyncio
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from loopproof.authoring import Background, needs, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@contextmanager
def dispositions(*numbers: signal.Signals) -> Iterator[None]:
    """Put back the handlers of these signals and the wakeup descriptor at the end of the block."""
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in numbers}
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)


def wakeup_descriptor() -> int:
    """Return the signal wakeup descriptor of the process."""
    number = signal.set_wakeup_fd(-1)
    if number != -1:
        signal.set_wakeup_fd(number)
    return number


@requires("LIFE-CLOSE-11")
@needs("signals")
@pytest.mark.parametrize("ran", [False, True])
def test_close_restores_the_default_dispositions(new_loop: NewLoop, ran: bool) -> None:
    """close() removes all handlers of the loop: SIGINT has Python's own handler again, others the default action."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
    with dispositions(*numbers):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loop = new_loop()
        for number in numbers:
            loop.add_signal_handler(number, print)
        if ran:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        after = {number.name: signal.getsignal(number) for number in numbers}
    expected: dict[str, Any] = {number.name: signal.SIG_DFL for number in numbers}
    expected["SIGINT"] = signal.default_int_handler
    assert after == expected


@requires("LIFE-CLOSE-11")
@needs("signals")
def test_close_leaves_signals_of_others_alone(new_loop: NewLoop) -> None:
    """close() does not touch the handler of a signal that the loop had nothing to do with."""
    with dispositions(signal.SIGUSR1, signal.SIGUSR2):
        mine = lambda *_: None  # noqa: E731
        signal.signal(signal.SIGUSR2, mine)
        loop = new_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert signal.getsignal(signal.SIGUSR2) is mine


@requires("LIFE-CLOSE-11", "LIFE-CLOSE-03")
@needs("signals")
def test_a_signal_that_came_before_close_is_dropped(new_loop: NewLoop) -> None:
    """The handler of a signal that arrived while the loop did not run is not called by or after close()."""
    called: list[str] = []
    with dispositions(signal.SIGUSR1):
        loop = new_loop()
        loop.add_signal_handler(signal.SIGUSR1, called.append, "called")
        signal.raise_signal(signal.SIGUSR1)
        loop.close()
    assert called == []


@requires("LIFE-CLOSE-12")
@needs("signals")
@pytest.mark.parametrize("ran", [False, True])
def test_close_gives_back_the_wakeup_descriptor(new_loop: NewLoop, ran: bool) -> None:
    """After close() the signal wakeup descriptor that the loop had claimed is unset, so no signal writes anywhere."""
    with dispositions(signal.SIGUSR1):
        loop = new_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        if ran:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert wakeup_descriptor() == -1, "after close() the wakeup descriptor of the process is still set"


@requires("LIFE-CLOSE-12")
@needs("signals")
def test_a_signal_after_close_writes_into_no_descriptor(new_loop: NewLoop) -> None:
    """A signal after close() is not written to a descriptor that has got the number of the loop's own."""
    with dispositions(signal.SIGUSR1):
        loop = new_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        signal.signal(signal.SIGUSR1, lambda *_: None)
        pairs = [socket.socketpair() for _ in range(10)]
        signal.raise_signal(signal.SIGUSR1)
        readable, _, _ = select.select([end for pair in pairs for end in pair], [], [], 0)
        for here, there in pairs:
            here.close()
            there.close()
    assert readable == [], "a signal was written into a socket of somebody else"


@requires("LIFE-RUN_FOREVER-19")
@pytest.mark.parametrize("how", ["run_forever", "run_until_complete", "interrupted"])
def test_a_run_leaves_the_wakeup_descriptor_of_others(new_loop: NewLoop, how: str) -> None:
    """A wakeup descriptor that others set is set after a run as before, if the loop has no signal handlers."""
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    with here, there, dispositions(signal.SIGUSR1):
        signal.set_wakeup_fd(there.fileno())
        try:
            loop = new_loop()
            if how == "run_until_complete":
                loop.run_until_complete(asyncio.sleep(0))
            else:
                loop.call_soon(loop.stop if how == "run_forever" else _interrupt)
                loop.call_later(0.01, loop.stop)
                with suppress(KeyboardInterrupt):
                    loop.run_forever()
            loop.close()
            assert wakeup_descriptor() == there.fileno(), "the run changed the wakeup descriptor of the process"
        finally:
            signal.set_wakeup_fd(-1)


def _interrupt() -> None:
    raise KeyboardInterrupt


@requires("LIFE-CLOSE-11")
@needs("signals")
def test_handlers_of_two_loops_one_after_another(new_loop: NewLoop) -> None:
    """After a loop with a signal handler was closed, the next loop gets the signal with its own handler."""
    got: list[int] = []
    with dispositions(signal.SIGUSR1):
        for number in range(3):
            loop = new_loop()
            running = threading.Event()

            def handle(number: int = number, loop: asyncio.AbstractEventLoop = loop) -> None:
                got.append(number)
                loop.stop()

            def kill(running: threading.Event = running) -> None:
                running.wait(5)
                os.kill(os.getpid(), signal.SIGUSR1)

            loop.add_signal_handler(signal.SIGUSR1, handle)
            loop.call_soon(running.set)
            with Background(kill):
                loop.run_forever()
            loop.close()
    assert got == [0, 1, 2]
