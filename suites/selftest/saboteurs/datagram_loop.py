"""The loop that saboteurs of datagram transports derive from: stock asyncio with transports of a class of its own."""

import asyncio
from asyncio.selector_events import _SelectorDatagramTransport  # type: ignore[attr-defined]
from typing import Any, ClassVar

DatagramTransport: Any = _SelectorDatagramTransport


class Datagrams(asyncio.SelectorEventLoop):
    """Makes its datagram transports of the class ``transport``; `changes` may change what they are made with."""

    transport: ClassVar[type[Any]] = _SelectorDatagramTransport

    def _make_datagram_transport(self, *args: Any, **kwargs: Any) -> Any:
        return self.transport(self, *args, **kwargs)

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        """What create_datagram_endpoint() is called with, by name, but for the protocol factory."""
        return given

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **given: Any
    ) -> Any:
        named = self.changes({"local_addr": local_addr, "remote_addr": remote_addr, **given})
        return await super().create_datagram_endpoint(protocol_factory, **named)
