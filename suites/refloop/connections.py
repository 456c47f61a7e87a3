"""Connections and servers: coroutines around the transports of the core.

As little as drives a transport; addresses by name, TLS, several sockets a server and so on are still to come here.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from refloop import _core
from refloop.core import Core

P = TypeVar("P", bound=asyncio.BaseProtocol)
T = TypeVar("T", _core.ReadPipeTransport, _core.WritePipeTransport)
Factory = Callable[[], P]

logger = logging.getLogger("asyncio")

BACKLOG = 100


class Server(asyncio.AbstractServer):
    """Accepts connections on one listening socket; its transports tell it when they begin and end."""

    def __init__(self, loop: "Connections", sock: socket.socket, factory: Factory[asyncio.BaseProtocol]) -> None:
        self._loop = loop
        self._sock: socket.socket | None = sock
        self._factory = factory
        self.sockets = (sock,)
        loop.add_reader(sock, self._accept)

    def _attach(self, transport: asyncio.BaseTransport) -> None: ...

    def _detach(self, transport: asyncio.BaseTransport) -> None: ...

    def _accept(self) -> None:
        assert self._sock is not None
        for _ in range(BACKLOG):
            try:
                connection, peername = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            connection.setblocking(False)
            _core.SocketTransport(self._loop, connection, self._factory(), None, {"peername": peername}, self)

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._sock is not None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it accepts connections in."""
        return self._loop

    def close(self) -> None:
        """Accept no more connections; those that there are go on."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    async def wait_closed(self) -> None:
        """Nothing to wait for yet."""


class Connections(Core):
    """Making of connections and servers."""

    async def _connect(self, factory: Factory[P], sock: socket.socket) -> tuple[_core.SocketTransport, P]:
        """The transport and protocol of a connected socket, which the transport takes over."""
        sock.setblocking(False)
        protocol = factory()
        waiter = self.create_future()
        transport = _core.SocketTransport(self, sock, protocol, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def connect_accepted_socket(  # type: ignore[override]
        self, protocol_factory: Factory[P], sock: socket.socket
    ) -> tuple[_core.SocketTransport, P]:
        """A transport and protocol over a connection that was accepted elsewhere; the transport takes the socket over.

        Raises:
            ValueError: it is no stream socket.
        """
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        return await self._connect(protocol_factory, sock)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Factory[P], *, sock: socket.socket
    ) -> tuple[_core.SocketTransport, P]:
        """A transport and protocol over a connected socket, which the transport takes over.

        Raises:
            ValueError: it is no stream socket.
        """
        return await self.connect_accepted_socket(protocol_factory, sock)

    async def connect_read_pipe(
        self, protocol_factory: Factory[P], pipe: "_core.Pipe"
    ) -> tuple[_core.ReadPipeTransport, P]:
        """A transport and protocol that read from a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        return await self._connect_pipe(_core.ReadPipeTransport, protocol_factory, pipe)

    async def connect_write_pipe(
        self, protocol_factory: Factory[P], pipe: "_core.Pipe"
    ) -> tuple[_core.WritePipeTransport, P]:
        """A transport and protocol that write to a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        return await self._connect_pipe(_core.WritePipeTransport, protocol_factory, pipe)

    async def _connect_pipe(self, kind: type[T], factory: Factory[P], pipe: "_core.Pipe") -> tuple[T, P]:
        protocol = factory()
        waiter = self.create_future()
        transport = kind(self, pipe, protocol, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        if self.get_debug():
            logger.debug("Pipe %r connected: (%r, %r)", pipe.fileno(), transport, protocol)
        return transport, protocol

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Factory[asyncio.BaseProtocol], host: str, port: int
    ) -> Server:
        """A TCP server on one numeric IPv4 address."""
        return self._serve(socket.socket(socket.AF_INET, socket.SOCK_STREAM), (host, port), protocol_factory)

    async def create_unix_server(  # type: ignore[override]
        self, protocol_factory: Factory[asyncio.BaseProtocol], path: str
    ) -> Server:
        """A UNIX server on a path."""
        return self._serve(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, protocol_factory)

    def _serve(self, sock: socket.socket, address: Any, factory: Factory[asyncio.BaseProtocol]) -> Server:
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        return Server(self, sock, factory)  # type: ignore[abstract]
