"""The loop that saboteurs of stream transports derive from: stock asyncio with transports of a class of its own."""

import asyncio
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from typing import Any, ClassVar

SocketTransport: Any = _SelectorSocketTransport


class Transports(asyncio.SelectorEventLoop):
    """Makes its stream transports of the class ``transport``."""

    transport: ClassVar[type[Any]]

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> Any:
        return self.transport(self, *args, **kwargs)
