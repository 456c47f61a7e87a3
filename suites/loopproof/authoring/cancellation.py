"""Cancellation at every turn: a coroutine of the loop under test is cancelled in each state that it goes through."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from .links import until

_MOST = 1000
"""A coroutine that has so many turns waits for something that does not come."""


class Turns:
    """The turns of a coroutine: iterate over it, and have the coroutine, made anew, cancelled one turn later each time.

    The last one is not cancelled, since the coroutine is over by then:

        turns = Turns()
        for turn in turns:
            task = await turns.cancel(loop.create_connection(...))
    """

    def __init__(self) -> None:
        self._over = False
        self._turn = 0

    def __iter__(self) -> Iterator[int]:
        for self._turn in range(_MOST):
            yield self._turn
            if self._over:
                return
        raise AssertionError(f"the coroutine has more than {_MOST} turns")

    async def cancel(self, coroutine: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Run the coroutine as a task, cancel it at the present turn, and return the task once it is done.

        Raises AssertionError if it does not end, or if it was cancelled and does not end with CancelledError.
        """
        task = await self.try_to_cancel(coroutine)
        if not self._over and not task.cancelled():
            outcome = task.exception() or task.result()
            raise AssertionError(f"cancelled at its turn {self._turn}, the coroutine ended with {outcome!r}")
        return task

    async def try_to_cancel(self, coroutine: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Do the same with a coroutine that may be about to succeed, and then does; the task tells how it ended."""
        task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
        for turn in range(self._turn):
            if task.done():
                break
            await asyncio.sleep(0.001 if turn > 10 else 0)
        self._over = not task.cancel()
        await until(task.done, f"the end of the coroutine that was cancelled at its turn {self._turn}")
        return task


Cancel = Callable[[Awaitable[Any]], Awaitable["asyncio.Task[Any]"]]


async def at_every_turn(scenario: Callable[[Cancel], Awaitable[None]]) -> None:
    """Run ``scenario(cancel)`` with a cancel one turn later each time, until the operation is over by then.

    The scenario makes what it needs, awaits ``cancel(operation)`` once, looks at the finished task that this returns
    (see `Turns.try_to_cancel`), and checks that nothing leaked and nothing was lost.
    """
    turns = Turns()
    for _ in turns:
        await scenario(turns.try_to_cancel)
