"""One queue: callbacks, steps of tasks and completed futures run in the order in which they became due."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from loopproof.authoring import requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("SCHED-CALL_SOON-28")
async def test_callbacks_first_steps_and_done_callbacks_run_in_order(loop: asyncio.AbstractEventLoop) -> None:
    """What call_soon(), create_task(), set_result() and call_soon_threadsafe() make due in turn runs in turn."""
    order: list[int] = []

    async def step(number: int) -> None:
        order.append(number)

    future = loop.create_future()
    future.add_done_callback(lambda _: order.append(2))
    loop.call_soon(order.append, 0)
    tasks = [loop.create_task(step(1))]
    future.set_result(None)
    loop.call_soon_threadsafe(order.append, 3)
    tasks.append(asyncio.ensure_future(step(4)))
    loop.call_soon(order.append, 5)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4, 5]


@requires("SCHED-CALL_SOON-28")
@pytest.mark.parametrize("cause", ["result", "exception", "cancelled future", "cancelled task"])
async def test_a_waiting_task_goes_on_in_its_turn(loop: asyncio.AbstractEventLoop, cause: str) -> None:
    """A task that waits for a future goes on between the callbacks queued before and after the future was done."""
    order: list[str] = []
    future = loop.create_future()

    async def waiter() -> None:
        with contextlib.suppress(ValueError, asyncio.CancelledError):
            await future
        order.append("task")

    task = loop.create_task(waiter())
    await asyncio.sleep(0)
    loop.call_soon(order.append, "before")
    if cause == "result":
        future.set_result(None)
    elif cause == "exception":
        future.set_exception(ValueError())
    elif cause == "cancelled future":
        future.cancel()
    else:
        task.cancel()
    loop.call_soon(order.append, "after")
    await task
    assert order[:2] == ["before", "task"], f"the order was {order}"
    await asyncio.sleep(0)
    assert order == ["before", "task", "after"]


@requires("SCHED-CALL_SOON-28")
async def test_a_task_that_yields_goes_behind_what_is_queued(loop: asyncio.AbstractEventLoop) -> None:
    """Tasks that sleep(0) and callbacks that requeue themselves take turns, three of each."""
    order: list[str] = []

    async def task(name: str) -> None:
        for _ in range(10):
            order.append(name)
            await asyncio.sleep(0)

    def callback(name: str, left: int) -> None:
        order.append(name)
        if left:
            loop.call_soon(callback, name, left - 1)

    tasks = []
    for number in range(3):
        tasks.append(loop.create_task(task(f"task {number}")))
        loop.call_soon(callback, f"callback {number}", 9)
    await asyncio.gather(*tasks)
    turn = [f"{kind} {number}" for number in range(3) for kind in ("task", "callback")]
    assert order == turn * 10


@requires("SCHED-CALL_SOON-09")
def test_loops_that_run_by_turns_keep_their_queues(new_loop: Factory) -> None:
    """Of two loops in one thread each runs what was given to it, in its own runs, and nothing else."""
    loops = {"a": new_loop(), "b": new_loop()}
    ran: list[tuple[str, str]] = []
    running = ""

    def note(name: str, left: int) -> None:
        ran.append((running, name))
        if left:
            loops[name].call_soon(note, name, left - 1)

    def give(other: str) -> None:
        loops[other].call_soon(note, other, 0)

    for name, other in (("a", "b"), ("b", "a")):
        loops[name].call_soon(note, name, 3)
        loops[name].call_soon(give, other)
    for name in "abababab":
        running = name
        loops[name].call_soon(loops[name].stop)
        loops[name].run_forever()
    foreign = [f"{name}'s in a run of {during}" for during, name in ran if during != name]
    assert not foreign, f"callbacks ran in the wrong loop: {foreign}"
    assert [ran.count((name, name)) for name in loops] == [5, 5]
