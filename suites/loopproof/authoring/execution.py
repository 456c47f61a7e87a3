"""Running the loop under test without believing its own word about how that ended."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from . import links
from .expectations import raises


def run_to_completion(
    loop: asyncio.AbstractEventLoop,
    function: Callable[..., Coroutine[Any, Any, None]],
    arguments: dict[str, Any],
) -> None:
    """Run ``function(**arguments)`` with ``loop.run_until_complete()`` and check that it really ran to its end.

    Raises whatever the coroutine raised, also where the loop swallowed it, and AssertionError where the loop
    returned before the coroutine had finished.
    """
    ending: list[BaseException | None] = []

    async def case() -> None:
        try:
            await function(**arguments)
        except BaseException as error:
            ending.append(error)
            raise
        ending.append(None)

    loop.run_until_complete(case())
    if not ending:
        raise AssertionError("run_until_complete() returned although the coroutine it was given has not finished")
    if ending[0] is not None:
        raise ending[0]


def run_until_interrupted(loop: asyncio.AbstractEventLoop, error: type[BaseException]) -> BaseException:
    """Run the loop, which an error of this type has to end; return that.

    Raises AssertionError where nothing comes out of the run, for which it gets seconds.
    """
    guard = loop.call_later(links.PATIENCE / 500, loop.stop)
    with raises(error) as caught:
        loop.run_forever()
    guard.cancel()
    return caught.value
