"""Cancellation at every turn: a scenario is run again and again, its operation cancelled one turn later each time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .links import until

MOST = 2000
"""Turns after which an operation that has not completed by itself is said to hang."""

Cancel = Callable[[Awaitable[Any]], Awaitable["asyncio.Task[Any]"]]


async def at_every_turn(scenario: Callable[[Cancel], Awaitable[None]]) -> int:
    """Run ``scenario(cancel)`` with a cancel after 0 turns of the loop, after 1, 2, ... until the operation is faster.

    The scenario makes what it needs, awaits ``cancel(operation)`` once, looks at the finished task that this returns
    (cancelled, or with a result or an exception), and checks that nothing leaked and nothing was lost.

    Returns the number of turns that the operation took. Raises AssertionError where it does not end after the cancel,
    or does not complete by itself in `MOST` turns.
    """
    for turns in range(MOST):
        fast = await _with_cancel_after(turns, scenario)
        if fast:
            return turns
    raise AssertionError(f"the operation did not complete by itself in {MOST} turns of the loop")


async def _with_cancel_after(turns: int, scenario: Callable[[Cancel], Awaitable[None]]) -> bool:
    """Tell whether the operation was over before the cancel."""
    done: list[bool] = []

    async def cancel(operation: Awaitable[Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(operation)
        for turn in range(turns):
            if task.done():
                break
            await asyncio.sleep(0 if turn < 20 else 0.001)
        done.append(task.done())
        task.cancel()
        await until(task.done, f"the end of an operation that was cancelled after {turns} turns")
        return task

    await scenario(cancel)
    return done[0]
