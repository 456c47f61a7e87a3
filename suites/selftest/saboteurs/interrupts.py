"""Loops with one bug each in what comes out of run_until_complete() when an interrupt ends it."""

import asyncio
from typing import Any

from saboteurs import saboteur


class Interrupted(asyncio.SelectorEventLoop):
    """Lets `retrieve` see to the task of a run that an interrupt has ended."""

    def run_until_complete(self, future: Any) -> Any:
        task = asyncio.ensure_future(future, loop=self)
        try:
            return super().run_until_complete(task)
        except (KeyboardInterrupt, SystemExit):
            self.retrieve(task)
            raise

    def retrieve(self, task: asyncio.Future[Any]) -> None:
        """Do nothing more."""


@saboteur("LIFE-RUN_UNTIL_COMPLETE-16")
class RaisesTheCancel(Interrupted):
    """Asks a task that was cancelled for its exception."""

    def retrieve(self, task: asyncio.Future[Any]) -> None:
        if task.done():
            task.exception()


@saboteur("LIFE-RUN_UNTIL_COMPLETE-15")
class AsksTooEarly(Interrupted):
    """Asks a task that is not done for its exception."""

    def retrieve(self, task: asyncio.Future[Any]) -> None:
        if not task.cancelled():
            task.exception()
