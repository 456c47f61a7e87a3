"""Services: a server of the loop under test with protocols that record, and the clients that come to it."""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from loopproof import faultkit

from .history import RecordingProtocol
from .links import LIFE, Link, Step, until


class Service:
    """A server, all that its factory has made, and its clients.

    ``made`` are the protocols in the order in which the factory was asked for them, None where it has raised.
    """

    def __init__(self, protocol: Callable[[], Any]) -> None:
        self.server: Any = None
        self.made: list[Any] = []
        self._protocol = protocol
        self._peers: list[faultkit.Peer] = []
        self._sockets: list[socket.socket] = []
        self._address: Any = None

    def make(self) -> Any:
        """Make a protocol: the factory of the server."""
        self.made.append(None)
        number = len(self.made) - 1
        self.made[number] = protocol = self._protocol()
        return protocol

    @property
    def address(self) -> Any:
        """Where the server listens, or did before it was closed: path of a UNIX socket, or address and port."""
        if self._address is None:
            self._address = self.server.sockets[0].getsockname()
        return self._address

    async def visit(self, script: Sequence[Step] = (), *, receive_buffer: int = 0) -> Link:
        """Let a peer connect and then play a script; return the link once connection_made() was called.

        Nobody else may be about to be accepted.
        """
        known = self.connected
        peer = self.client(script, receive_buffer=receive_buffer)
        await self.made_connection(len(known) + 1)
        protocol = next(protocol for protocol in self.connected if protocol not in known)
        link = Link(protocol.transport, protocol, peer)
        await link.reached(0)
        return link

    def client(self, script: Sequence[Step] = (), *, receive_buffer: int = 0) -> faultkit.Peer:
        """Start a peer that connects and then plays a script; it ends with the case at the latest."""
        first = faultkit.connect(self.address, receive_buffer=receive_buffer)
        self._peers.append(faultkit.Peer([first, *script], deadline=LIFE))
        return self._peers[-1]

    def knock(self) -> socket.socket:
        """Return a plain socket that is connected for the kernel and does not block; it ends with the case."""
        client = self._connect()
        client.setblocking(False)
        return client

    def refuses(self) -> bool:
        """Tell whether the kernel refuses a connection to the address: nobody listens there."""
        try:
            self._connect()
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        return False

    async def made_connection(self, times: int) -> None:
        """Let the loop run until connection_made() was called for so many protocols."""
        await until(lambda: len(self.connected) >= times, f"connection_made() for connection {times}")

    @property
    def connected(self) -> list[Any]:
        """The protocols whose connection_made() was called."""
        return [protocol for protocol in self.made if protocol is not None and protocol.transport is not None]

    async def close(self) -> None:
        """Close the server and whatever is left of its connections; check what each protocol was told in all."""
        try:
            if self.server is not None:
                self.server.close()
            for protocol in self.connected:
                if not protocol.closed.is_set():
                    protocol.transport.abort()
                    await until(protocol.closed.is_set, "connection_lost() after the abort() at the end", share=0.1)
                protocol.history.check()
        finally:
            for peer in self._peers:
                peer.stop()
            for client in self._sockets:
                client.close()
            await asyncio.sleep(0)

    def _connect(self) -> socket.socket:
        address = self.address
        family = socket.AF_UNIX if isinstance(address, str | bytes) else socket.AF_INET
        if isinstance(address, tuple) and len(address) == 4:
            family = socket.AF_INET6
        client = socket.socket(family)
        self._sockets.append(client)
        client.settimeout(5)
        client.connect(address)
        return client


class Serve:
    """Makes services of one kind, "tcp" or "unix"."""

    def __init__(self, loop: asyncio.AbstractEventLoop, kind: str) -> None:
        self.loop = loop
        self.kind = kind
        self._services: list[Service] = []
        self._folder = tempfile.TemporaryDirectory(prefix="loopproof-")

    async def __call__(self, *, protocol: Callable[[], Any] = RecordingProtocol, **options: Any) -> Service:
        """Make a server that is closed at the end of the case.

        ``options``: of create_server() or create_unix_server(); without a place to listen at it is a free one.
        ``protocol``: what makes the protocols, ones that record.
        """
        service = Service(protocol)
        loop: Any = self.loop
        if self.kind == "unix":
            if "sock" not in options and "path" not in options:
                options["path"] = self.path()
            service.server = await loop.create_unix_server(service.make, **options)
        else:
            if "sock" not in options:
                options = {"host": "127.0.0.1", "port": 0, **options}
            service.server = await loop.create_server(service.make, **options)
        self._services.append(service)
        return service

    def path(self) -> str:
        """Return a path for a socket, where nothing is so far, that is removed at the end of the case."""
        return f"{self._folder.name}/socket-{len(self._services)}"

    async def close(self) -> None:
        """Close every service. Raises AssertionError that names what no loop may do."""
        try:
            while self._services:
                await self._services.pop().close()
        finally:
            self._folder.cleanup()


def ended(client: socket.socket) -> bool:
    """Tell whether a client that expects no data sees the end of its connection, or a reset."""
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def listening(kind: str = "tcp", folder: str = "") -> socket.socket:
    """Return a socket that listens, on a free port or in a folder: connections wait in it until it is served."""
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/listening")
    else:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def sockets() -> set[int]:
    """Return the inodes of the sockets that this process has: what a call that failed may not have left open."""
    return {inode for kind, _, inode in faultkit.descriptors().values() if kind == "socket"}
