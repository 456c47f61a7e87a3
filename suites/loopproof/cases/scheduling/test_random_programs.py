"""Random programs: whatever callbacks queue, cancel, complete, raise and stop, they run as in a simple queue."""

import asyncio
import collections
import random
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import requires

SIZE = 3000
"""Callbacks that one program registers."""


class Registration:
    """A callback in the queue of `SimpleQueue`."""

    def __init__(self, callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.callback = callback
        self.arguments = arguments
        self.cancelled = False

    def cancel(self) -> None:
        """Have the callback left out."""
        self.cancelled = True


class SimpleQueue:
    """What every loop is for callbacks: first in, first out, a batch at a time."""

    def __init__(self) -> None:
        self.queue: collections.deque[Registration] = collections.deque()
        self.stopping = False
        self.failed: list[object] = []

    def call_soon(self, callback: Callable[..., object], *arguments: object, context: object = None) -> Registration:
        """Queue the callback."""
        self.queue.append(Registration(callback, arguments))
        return self.queue[-1]

    call_soon_threadsafe = call_soon

    def get_debug(self) -> bool:
        """Tell futures that there is no debug mode."""
        return False

    def create_future(self) -> "asyncio.Future[None]":
        """Make a future whose callbacks are queued here."""
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def stop(self) -> None:
        """End the run with this batch."""
        self.stopping = True

    def run_forever(self) -> None:
        """Run batches until `stop` was called."""
        while not self.stopping:
            for _ in range(len(self.queue)):
                registration = self.queue.popleft()
                if not registration.cancelled:
                    try:
                        registration.callback(*registration.arguments)
                    except ZeroDivisionError as error:
                        self.failed.append(error.args[0])
        self.stopping = False


def play(loop: Any, seed: int, cancels: bool) -> list[int]:
    """Run the program of this seed to its end; return the numbers of the callbacks in the order of their runs."""
    chance = random.Random(seed)
    ran: list[int] = []
    handles: list[Any] = []
    registered = 0

    def register() -> None:
        nonlocal registered
        registered += 1
        number = registered
        kind = chance.choice(["soon", "soon", "threadsafe", "future"])
        if kind == "future":
            future = loop.create_future()
            future.add_done_callback(lambda _: step(number))
            future.set_result(None)
        elif kind == "threadsafe":
            handles.append(loop.call_soon_threadsafe(step, number))
        else:
            handles.append(loop.call_soon(step, number))

    def step(number: int) -> None:
        ran.append(number)
        for _ in range(min(chance.choice([0, 1, 1, 2, 3]), SIZE - registered)):
            register()
        if cancels and chance.random() < 0.2:
            chance.choice(handles[-20:]).cancel()
        if chance.random() < 0.03:
            loop.stop()
        if chance.random() < 0.05:
            raise ZeroDivisionError(number)

    for _ in range(20):
        register()
    before = -1
    while len(ran) > before:  # each run takes at least what is queued when it begins
        before = len(ran)
        loop.call_soon(loop.stop)
        loop.run_forever()
    return ran


def compare(loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], seed: int, cancels: bool) -> None:
    """Run the program on the loop and on a simple queue: the same callbacks ran and failed, in the same order."""
    model = SimpleQueue()
    expected = play(model, seed, cancels)
    ran = play(loop, seed, cancels)
    for place, (number, due) in enumerate(zip(ran, expected, strict=False)):
        assert number == due, f"run {place} was of callback {number}, due was {due}; before it {ran[:place][-5:]}"
    assert len(ran) == len(expected), f"{len(expected)} callbacks were due, {len(ran)} ran"
    assert [report["exception"].args[0] for report in reports] == model.failed, "other failures were reported than made"


@requires("SCHED-CALL_SOON-02", "SCHED-CALL_SOON-03")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_program_runs_as_in_a_simple_queue(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], seed: int
) -> None:
    """Callbacks that queue, complete futures, fail and stop at random run in the order that a queue gives."""
    compare(loop, reports, seed, cancels=False)


@requires("SCHED-HANDLE_CANCEL-01", "SCHED-HANDLE_CANCEL-04")
@pytest.mark.parametrize("seed", [4, 5, 6])
def test_a_random_program_that_cancels_runs_as_in_a_simple_queue(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], seed: int
) -> None:
    """The same of callbacks that also cancel others, due, not due or over: exactly those are left out."""
    compare(loop, reports, seed, cancels=True)
