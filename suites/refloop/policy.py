"""The event loop policy, for versions of Python that have policies."""

import asyncio
import asyncio.events
import sys

from refloop.loop import Loop

if sys.version_info >= (3, 14):  # where the public name is deprecated
    from asyncio.unix_events import _DefaultEventLoopPolicy as DefaultPolicy
else:
    DefaultPolicy = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(DefaultPolicy):
    """asyncio's default policy with our loop."""

    def _loop_factory(self) -> asyncio.AbstractEventLoop:
        return Loop()  # type: ignore[abstract]


def install() -> None:
    """Make our loop the one that asyncio makes by default."""
    asyncio.set_event_loop_policy(EventLoopPolicy())
