"""Transports over sockets and pipes that are there already."""

import asyncio
import logging
import socket
import ssl as tls
from collections.abc import Callable
from typing import Any, TypeVar

from refloop import _core
from refloop.core import Core

P = TypeVar("P", bound=asyncio.BaseProtocol)
T = TypeVar("T", _core.SocketTransport, _core.ReadPipeTransport, _core.WritePipeTransport)
Factory = Callable[[], P]

logger = logging.getLogger("asyncio")


class Connections(Core):
    """Making of transports; what it gives to the core the transports take over."""

    async def _connect(self, kind: type[T], factory: Factory[P], file: Any) -> tuple[T, P]:
        """A transport of this kind over a file, with a new protocol that has been told of it."""
        protocol = factory()
        waiter = self.create_future()
        transport = kind(self, file, protocol, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def connect_accepted_socket(
        self,
        protocol_factory: Factory[P],
        sock: socket.socket,
        *,
        ssl: bool | tls.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[_core.SocketTransport, P]:
        """A transport and protocol over a connection that was accepted elsewhere; the transport takes the socket over.

        Raises:
            ValueError: it is no stream socket, or a timeout is given without ``ssl``.
            NotImplementedError: TLS is still to come.
        """
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        if ssl_handshake_timeout is not None and not ssl:
            raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
        if ssl_shutdown_timeout is not None and not ssl:
            raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
        if ssl:
            raise NotImplementedError("TLS")
        sock.setblocking(False)
        transport, protocol = await self._connect(_core.SocketTransport, protocol_factory, sock)
        if self.get_debug():
            logger.debug("%r handled: (%r, %r)", transport.get_extra_info("socket"), transport, protocol)
        return transport, protocol

    async def connect_read_pipe(
        self, protocol_factory: Factory[P], pipe: "_core.Pipe"
    ) -> tuple[_core.ReadPipeTransport, P]:
        """A transport and protocol that read from a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        transport, protocol = await self._connect(_core.ReadPipeTransport, protocol_factory, pipe)
        if self.get_debug():
            logger.debug("Read pipe %r connected: (%r, %r)", pipe.fileno(), transport, protocol)
        return transport, protocol

    async def connect_write_pipe(
        self, protocol_factory: Factory[P], pipe: "_core.Pipe"
    ) -> tuple[_core.WritePipeTransport, P]:
        """A transport and protocol that write to a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        transport, protocol = await self._connect(_core.WritePipeTransport, protocol_factory, pipe)
        if self.get_debug():
            logger.debug("Write pipe %r connected: (%r, %r)", pipe.fileno(), transport, protocol)
        return transport, protocol
