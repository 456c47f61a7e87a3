"""Names and addresses: getaddrinfo() and getnameinfo(), in a thread unless the answer needs no look-up."""

import logging
import socket
from collections.abc import Callable
from typing import Any

from refloop.core import Core

logger = logging.getLogger("asyncio")

Host = str | bytes | None
Service = str | bytes | int | None
SocketAddress = tuple[str, int] | tuple[str, int, int, int]

NUMERIC_NAME = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

# The standard library's own. A program may put another in its place, which is then called, and in a thread: it may
# block.
standard_getaddrinfo = socket.getaddrinfo
standard_getnameinfo = socket.getnameinfo


def is_address(host: Host) -> bool:
    """Whether ``host`` is an IP address (IPv6 also with a scope), or None, which stands for one."""
    if host is None:
        return True
    try:
        text = host if isinstance(host, str) else host.decode("ascii")
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        socket.inet_pton(family, text.partition("%")[0] if family == socket.AF_INET6 else text)
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    return True


def is_port(service: Service) -> bool:
    """Whether ``service`` is a port, as a number or in digits, or None, which stands for one."""
    return (
        service is None
        or isinstance(service, int)
        or (isinstance(service, str | bytes) and service.isascii() and service.isdigit())
    )


class Names(Core):
    """Name resolution. Look-ups run in the default executor, as those of asyncio: what the program has put in the place
    of socket.getaddrinfo() is called, and every error is that of the standard library.
    """

    async def getaddrinfo(
        self,
        host: Host,
        port: Service,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """What socket.getaddrinfo() returns for these arguments, or raises. Numeric addresses are answered at once."""
        arguments = (host, port, family, type, proto, flags)
        lookup = socket.getaddrinfo
        call: Callable[..., list[Any]] = self._timed_getaddrinfo if self.get_debug() else lookup
        if lookup is standard_getaddrinfo and is_address(host) and is_port(port):
            return call(*arguments)
        return await self.run_in_executor(None, call, *arguments)

    async def getnameinfo(self, sockaddr: SocketAddress, flags: int = 0) -> tuple[str, str]:
        """What socket.getnameinfo() returns for these arguments, or raises; at once if both parts are to be numeric."""
        lookup = socket.getnameinfo
        if lookup is standard_getnameinfo and isinstance(flags, int) and flags & NUMERIC_NAME == NUMERIC_NAME:
            return lookup(sockaddr, flags)
        return await self.run_in_executor(None, lookup, sockaddr, flags)

    def _timed_getaddrinfo(self, *arguments: Any) -> list[Any]:
        """Look up and log how long it took (debug mode); may run in a thread of the executor."""
        begin = self.time()
        result = socket.getaddrinfo(*arguments)
        took = self.time() - begin
        logger.log(
            logging.INFO if took >= self.slow_callback_duration else logging.DEBUG,
            "getaddrinfo%r took %.3f ms: %r",
            arguments,
            took * 1e3,
            result,
        )
        return result
