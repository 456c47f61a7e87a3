"""Saboteurs of create_datagram_endpoint(): they misread arguments, and own sockets wrongly."""

import asyncio
import os
import pathlib
import socket
from typing import Any

from saboteurs import saboteur
from saboteurs.datagram_loop import Datagrams


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-03")
class DoesNotConnect(Datagrams):
    """Notes the remote address, and does not connect the socket."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        pass


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-06")
class CutsAddresses(Datagrams):
    """Takes the first two items of an address for host and port."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        cut = {name: given[name][:2] for name in ("local_addr", "remote_addr") if isinstance(given[name], tuple)}
        return {**given, **cut}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-08")
class ForgetsBroadcast(Datagrams):
    """Does not allow broadcasts."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "allow_broadcast": None}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-09")
class ConnectsInSpiteOfBroadcast(Datagrams):
    """Connects the socket though broadcasts are allowed."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        if not (given.get("allow_broadcast") and given["remote_addr"]):
            return given
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.connect(given["remote_addr"])
        return {"sock": sock}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-10")
class SharesNoPort(Datagrams):
    """Ignores reuse_port."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "reuse_port": None}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-11")
class TakesReuseAddress(Datagrams):
    """Still knows reuse_address, and ignores it."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name != "reuse_address"}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-13")
class PrefersTheSocket(Datagrams):
    """Ignores what is given beside a socket."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"sock": given["sock"]} if given.get("sock") is not None else given


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-17")
class LeavesStaleFiles(Datagrams):
    """Does not remove a socket file that was left behind."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given["local_addr"]
        if isinstance(path, str) and "\0" not in path and pathlib.Path(path).is_socket():
            raise OSError(98, "Address already in use")
        return given


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-18")
class TakesPaths(Datagrams):
    """Takes bytes and path objects for paths."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given["local_addr"]
        return {**given, "local_addr": os.fsdecode(path)} if isinstance(path, bytes | os.PathLike) else given


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
class SaysFailed(Datagrams):
    """Raises one exception for all reasons."""

    async def create_datagram_endpoint(self, *args: Any, **given: Any) -> Any:
        try:
            return await super().create_datagram_endpoint(*args, **given)
        except OSError:
            raise OSError("no endpoint") from None


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-20")
class AsksTheFactoryTwice(Datagrams):
    """Calls the factory once to see whether it works."""

    async def create_datagram_endpoint(self, protocol_factory: Any, *args: Any, **given: Any) -> Any:
        protocol_factory()
        return await super().create_datagram_endpoint(protocol_factory, *args, **given)


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-22")
class ForgetsFlags(Datagrams):
    """Looks addresses up without flags."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name != "flags"}


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-24", "fail", "leak")
class GoesOnWhenCancelled(Datagrams):
    """Makes the endpoint though nobody waits for it any more."""

    async def create_datagram_endpoint(self, *args: Any, **given: Any) -> Any:
        making = asyncio.ensure_future(super().create_datagram_endpoint(*args, **given))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda made: made.exception())
            raise


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
class AsksTheFactoryFirst(Datagrams):
    """Calls the factory before it looks at the arguments."""

    async def create_datagram_endpoint(self, protocol_factory: Any, *args: Any, **given: Any) -> Any:
        protocol = protocol_factory()
        return await super().create_datagram_endpoint(lambda: protocol, *args, **given)


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-30")
class LeavesItBlocking(Datagrams):
    """Sets a socket back to how it was."""

    async def create_datagram_endpoint(self, *args: Any, **given: Any) -> Any:
        blocking = given["sock"].getblocking() if given.get("sock") else False
        made = await super().create_datagram_endpoint(*args, **given)
        if blocking:
            given["sock"].setblocking(True)
        return made


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-34")
class TakesStreams(Datagrams):
    """Takes stream sockets for those of datagrams."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        sock = given.get("sock")
        if sock is not None and sock.type == socket.SOCK_STREAM:
            return {"sock": socket.socket(sock.family, socket.SOCK_DGRAM)}
        return given
