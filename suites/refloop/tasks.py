"""Tasks by a task factory: what it is called with, version by version."""

import asyncio
import sys
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from refloop.core import Core

T = TypeVar("T")


class Tasks(Core):
    """create_task() when a task factory is set."""

    def _create_task_by_factory(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **kwargs: Any
    ) -> asyncio.Task[T]:
        """Call the factory with what the running version of Python gives to it."""
        factory = self.get_task_factory()
        assert factory is not None
        task: asyncio.Task[T]
        if sys.version_info >= (3, 14) or sys.version_info[:3] == (3, 13, 3):
            task = factory(self, coro, **kwargs)
            return task
        name = kwargs.pop("name", None)
        if kwargs.get("context", self) is None:
            del kwargs["context"]
        task = factory(self, coro, **kwargs)
        if name is not None:
            set_name = getattr(task, "set_name", None)  # a factory may return another future
            if set_name is not None:
                set_name(name)
        return task
