"""Asynchronous generators: closing those that are dropped or left over."""

import asyncio
import warnings
import weakref
from collections.abc import AsyncGenerator
from typing import Any

from refloop.core import Core

Generator = AsyncGenerator[Any, Any]


class Generators(Core):
    """The generators that were iterated under the loop and are still open; the loop does not keep them alive."""

    def __init__(self) -> None:
        super().__init__()
        self._asyncgens: weakref.WeakSet[Generator] = weakref.WeakSet()
        self._asyncgens_are_shut_down = False

    def _asyncgen_firstiter_hook(self, generator: Generator) -> None:
        if self._asyncgens_are_shut_down:
            warnings.warn(
                f"asynchronous generator {generator!r} was scheduled after loop.shutdown_asyncgens() call",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        self._asyncgens.add(generator)

    def _asyncgen_finalizer_hook(self, generator: Generator) -> None:
        self._asyncgens.discard(generator)
        if not self.is_closed():  # maybe in another thread
            self.call_soon_threadsafe(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close all open generators, and warn of new ones from now on."""
        self._asyncgens_are_shut_down = True
        generators = list(self._asyncgens)
        if not generators:
            return
        self._asyncgens.clear()
        results = await asyncio.gather(*(generator.aclose() for generator in generators), return_exceptions=True)
        for generator, result in zip(generators, results, strict=True):
            if isinstance(result, Exception):
                self.call_exception_handler(
                    {
                        "message": f"an error occurred during closing of asynchronous generator {generator!r}",
                        "exception": result,
                        "asyncgen": generator,
                    }
                )
