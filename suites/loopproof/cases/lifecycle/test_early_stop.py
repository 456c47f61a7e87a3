"""The last iteration of a run: a stop requested before the run, and one requested by a callback."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from loopproof.authoring import needs, requires

SCHEDULERS: dict[str, Callable[[asyncio.AbstractEventLoop, Callable[[], object]], object]] = {
    "call_soon": lambda loop, callback: loop.call_soon(callback),
    "call_soon_threadsafe": lambda loop, callback: loop.call_soon_threadsafe(callback),
    "call_later(0)": lambda loop, callback: loop.call_later(0, callback),
    "task": lambda loop, callback: loop.create_task(_calling(callback)),
}


async def _calling(callback: Callable[[], object]) -> None:
    callback()


@requires("LIFE-RUN_FOREVER-05")
@pytest.mark.parametrize("first", ["stop", "callback"])
def test_a_stop_before_the_run_makes_one_iteration(loop: asyncio.AbstractEventLoop, first: str) -> None:
    """With stop() requested before the run, what was queued runs, and what that queues waits for the next run."""
    order: list[str] = []

    def outer() -> None:
        order.append("queued before")
        loop.call_soon(order.append, "queued by it")

    if first == "stop":
        loop.stop()
    loop.call_soon(outer)
    if first == "callback":
        loop.stop()
    loop.run_forever()
    assert order == ["queued before"], f"the run after an early stop() is one iteration; it ran {order}"
    loop.stop()
    loop.run_forever()
    assert order == ["queued before", "queued by it"]


@requires("LIFE-RUN_FOREVER-05")
@needs("fdwatch")
def test_a_stop_before_the_run_does_not_wait(loop: asyncio.AbstractEventLoop) -> None:
    """With stop() requested before the run, neither a distant timer nor a quiet descriptor is waited for."""
    here, there = socket.socketpair()
    called: list[str] = []
    with here, there:
        timer = loop.call_later(3600, called.append, "timer")
        loop.add_reader(here.fileno(), called.append, "reader")
        loop.stop()
        loop.run_forever()
        loop.remove_reader(here.fileno())
    timer.cancel()
    assert called == [], f"nothing was due, yet this was called: {called}"


@requires("LIFE-RUN_FOREVER-05")
def test_a_stop_before_the_run_with_nothing_queued_returns(loop: asyncio.AbstractEventLoop) -> None:
    """With stop() requested and nothing to do, run_forever() returns, each time anew."""
    for _ in range(3):
        loop.stop()
        loop.run_forever()
        assert not loop.is_running()


@requires("LIFE-RUN_FOREVER-06")
@needs("fdwatch")
@pytest.mark.parametrize("direction", ["reader", "writer", "both"])
def test_ready_descriptors_are_served_in_the_single_iteration(loop: asyncio.AbstractEventLoop, direction: str) -> None:
    """With stop() requested before the run, callbacks of descriptors that are ready already are executed."""
    here, there = socket.socketpair()
    called: set[str] = set()
    expected = {"reader", "writer"} if direction == "both" else {direction}
    with here, there:
        there.send(b"x")
        if "reader" in expected:
            loop.add_reader(here.fileno(), called.add, "reader")
        if "writer" in expected:
            loop.add_writer(here.fileno(), called.add, "writer")
        loop.stop()
        loop.run_forever()
        loop.remove_reader(here.fileno())
        loop.remove_writer(here.fileno())
    assert called == expected, f"of the ready descriptor, {expected} was to be called, {called} was"


@requires("LIFE-RUN_FOREVER-06")
@needs("fdwatch")
def test_every_ready_descriptor_is_served_in_the_single_iteration(loop: asyncio.AbstractEventLoop) -> None:
    """With stop() requested before the run, the callbacks of ten ready descriptors all run, besides queued ones."""
    pairs = [socket.socketpair() for _ in range(10)]
    called: list[int] = []
    for number, (here, there) in enumerate(pairs):
        there.send(b"x")
        loop.add_reader(here.fileno(), called.append, number)
    loop.call_soon(called.append, -1)
    loop.stop()
    loop.run_forever()
    for here, there in pairs:
        loop.remove_reader(here.fileno())
        here.close()
        there.close()
    assert sorted(called) == list(range(-1, 10))


@requires("LIFE-RUN_FOREVER-17")
def test_due_timers_run_in_the_single_iteration(loop: asyncio.AbstractEventLoop) -> None:
    """With stop() requested before the run, timers whose time has passed run in its single iteration."""
    order: list[str] = []
    loop.call_at(loop.time() - 1, order.append, "timer of a second ago")
    loop.stop()
    loop.run_forever()
    assert order == ["timer of a second ago"], "the timer that was due did not run"


@requires("LIFE-RUN_FOREVER-07")
@pytest.mark.parametrize("position", [0, 2, 4])
def test_the_rest_of_the_batch_runs_after_stop(loop: asyncio.AbstractEventLoop, position: int) -> None:
    """Wherever in a batch stop() is called, all callbacks of the batch run before run_forever() returns."""
    order: list[int] = []

    def step(number: int) -> None:
        order.append(number)
        if number == position:
            loop.stop()

    for number in range(5):
        loop.call_soon(step, number)
    loop.run_forever()
    assert order == [0, 1, 2, 3, 4], f"of the batch of five, callback {position} called stop(); these ran: {order}"


@requires("LIFE-RUN_FOREVER-07")
def test_the_rest_of_a_large_batch_runs_after_stop(loop: asyncio.AbstractEventLoop) -> None:
    """Ten thousand callbacks queued behind the one that calls stop() all run before run_forever() returns."""
    order: list[int] = []
    loop.call_soon(loop.stop)
    for number in range(10_000):
        loop.call_soon(order.append, number)
    loop.run_forever()
    assert order == list(range(10_000)), f"{len(order)} of 10000 callbacks ran, or in another order"


@requires("LIFE-RUN_FOREVER-08")
@pytest.mark.parametrize(
    ("how", "scheduled"),
    [
        ("call_soon", "before stop"),
        ("call_soon", "after stop"),
        ("call_soon", "by a later callback"),
        ("call_soon_threadsafe", "before stop"),
        ("call_later(0)", "before stop"),
        ("task", "before stop"),
    ],
)
def test_what_the_final_batch_schedules_waits_for_the_next_run(
    loop: asyncio.AbstractEventLoop, how: str, scheduled: str
) -> None:
    """What the callbacks of the batch that calls stop() schedule runs in the next run and not in this one."""
    order: list[str] = []

    def schedule() -> None:
        order.append("schedule")
        SCHEDULERS[how](loop, lambda: order.append("new"))

    def stop() -> None:
        order.append("stop")
        loop.stop()

    batch = [schedule, stop] if scheduled == "before stop" else [stop, schedule]
    if scheduled == "by a later callback":
        batch.insert(1, lambda: order.append("between"))
    for callback in batch:
        loop.call_soon(callback)
    loop.run_forever()
    assert "new" not in order, f"a callback scheduled by the final batch ran before run_forever() returned: {order}"
    assert len(order) == len(batch), f"not all callbacks of the final batch ran: {order}"
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert order[len(batch) :] == ["new"], f"the callback that the final batch scheduled was lost: {order}"


@requires("LIFE-RUN_FOREVER-08")
def test_a_callback_that_reschedules_itself_does_not_keep_a_stopped_loop_going(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that queues itself again and again runs once a run when each run is stopped early."""
    turns: list[int] = []

    def again() -> None:
        turns.append(len(turns))
        loop.call_soon(again)

    again()
    for expected in range(2, 12):
        loop.stop()
        loop.run_forever()
        assert len(turns) == expected, f"one iteration was to be run, {len(turns) - expected + 1} were"
