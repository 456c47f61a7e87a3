"""The loop that saboteurs of servers derive from: stock asyncio whose servers are of a class of its own."""

import asyncio
from asyncio.base_events import Server
from typing import Any, ClassVar

__all__ = ["Server", "Servers"]


class Servers(asyncio.SelectorEventLoop):
    """Makes its servers of the class ``server``, and lets `options` change what they are made with."""

    server: ClassVar[type[Any]] = Server

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """What create_server() or create_unix_server() is called with, by name."""
        return given

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **given: Any) -> Any:
        named = self.options({"protocol_factory": protocol_factory, "host": host, "port": port, **given})
        return self.changed(await super().create_server(**named))

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **given: Any) -> Any:
        named = self.options({"protocol_factory": protocol_factory, "path": path, **given})
        return self.changed(await super().create_unix_server(**named))

    def changed(self, server: Any) -> Any:
        """Make a server one of the class ``server``."""
        server.__class__ = self.server
        return server
