"""Transports over pipes: connect_read_pipe() and connect_write_pipe()."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from refloop import _core
from refloop.core import Core

P = TypeVar("P", bound=asyncio.BaseProtocol)
T = TypeVar("T", _core.ReadPipeTransport, _core.WritePipeTransport)

logger = logging.getLogger("asyncio")


class Pipes(Core):
    """Making of transports over pipes."""

    async def connect_read_pipe(
        self, protocol_factory: Callable[[], P], pipe: "_core.Pipe"
    ) -> tuple[_core.ReadPipeTransport, P]:
        """A transport and protocol that read from a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        return await self._connect_pipe(_core.ReadPipeTransport, "Read", protocol_factory, pipe)

    async def connect_write_pipe(
        self, protocol_factory: Callable[[], P], pipe: "_core.Pipe"
    ) -> tuple[_core.WritePipeTransport, P]:
        """A transport and protocol that write to a pipe, which the transport takes over.

        Raises:
            ValueError: it is neither a pipe nor a socket nor a character device.
        """
        return await self._connect_pipe(_core.WritePipeTransport, "Write", protocol_factory, pipe)

    async def _connect_pipe(
        self, kind: type[T], name: str, protocol_factory: Callable[[], P], pipe: "_core.Pipe"
    ) -> tuple[T, P]:
        protocol = protocol_factory()
        waiter = self.create_future()
        transport = kind(self, pipe, protocol, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        if self.get_debug():
            logger.debug("%s pipe %r connected: (%r, %r)", name, pipe.fileno(), transport, protocol)
        return transport, protocol
