"""Saboteurs of addresses: they resolve, leave out and remember them wrongly."""

import asyncio
import socket
from typing import Any

from saboteurs import saboteur
from saboteurs.server_loop import Servers


@saboteur("CONN-CREATE_CONNECTION-62")
class WantsNumbersForPorts(asyncio.SelectorEventLoop):
    """Knows no services."""

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        number = None if port is None else int(port)
        return await super().create_connection(factory, host, number, **options)


@saboteur("CONN-CREATE_CONNECTION-30")
class BeginsAnywhere(asyncio.SelectorEventLoop):
    """Forgets local_addr where attempts overlap."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("happy_eyeballs_delay") is not None:
            options["local_addr"] = None
        return await super().create_connection(*args, **options)


@saboteur("SOCK-SOCK_CONNECT-03")
class LeavesNamesToTheSocket(asyncio.SelectorEventLoop):
    """Has names looked up by connect(), which blocks."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        if sock.family == socket.AF_INET and address[0].strip("0123456789."):
            sock.setblocking(True)
            sock.connect(address)
            sock.setblocking(False)
        else:
            await super().sock_connect(sock, address)


@saboteur("SERV-CREATE_SERVER-44")
class WantsEveryFamily(Servers):
    """Raises when the system makes no socket for one of several addresses."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        if isinstance(given.get("host"), list):
            socket.socket().close()
        return given


@saboteur("SERV-CREATE_SERVER-45")
class AsksForThePeerLater(Servers):
    """Forgets the address that was accepted, and asks the socket for it."""

    def _make_socket_transport(self, *args: Any, **options: Any) -> Any:
        return super()._make_socket_transport(*args, **{**options, "extra": None})  # type: ignore[misc]


@saboteur("CONN-CREATE_CONNECTION-64")
class TakesBytesForNothing(asyncio.SelectorEventLoop):
    """Takes a port that is bytes for none."""

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        number = 0 if isinstance(port, bytes) else port
        return await super().create_connection(factory, host, number, **options)


@saboteur("SERV-CREATE_SERVER-49")
class NumbersEmptyPorts(Servers):
    """Makes a number of every port that is text."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        port = given.get("port")
        return {**given, "port": int(port)} if isinstance(port, str | bytes) else given
