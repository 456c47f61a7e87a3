"""Operations on sockets: what happens once a connection, or on sockets that are not plain ones."""

import errno
import socket
from typing import Any

from refloop.core import Core
from refloop.dns import is_address

try:
    import ssl
except ImportError:  # the interpreter may be built without
    tls_sockets: tuple[type, ...] = ()
else:
    tls_sockets = (ssl.SSLSocket,)


class Sockets(Core):
    """The part of the operations on sockets that is not in the core."""

    def _check_socket(self, sock: socket.socket) -> None:
        """Raise TypeError if the socket is one of TLS, ValueError if it is blocking (debug mode)."""
        if isinstance(sock, tls_sockets):
            raise TypeError("Socket cannot be of type SSLSocket")
        if self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; a name in the address of an IP socket is looked up.

        Raises:
            OSError: it failed, or there is no such name; BlockingIOError if a UNIX server has no place in its queue.
        """
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            address = await self._numeric_address(sock, address)
        try:
            sock.connect(address)
        except (BlockingIOError, InterruptedError) as exc:
            if exc.errno == errno.EAGAIN:  # nothing is under way
                raise
        else:
            return
        await self._sock_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error != 0:
            raise OSError(error, f"Connect call failed {address}")

    async def _numeric_address(self, sock: socket.socket, address: Any) -> Any:
        """The address to connect an IP socket to: the first one if there is something to look up."""
        host, port = address[:2]
        if isinstance(port, int) and isinstance(host, str) and "%" not in host and is_address(host):
            return address[:2] if sock.family == socket.AF_INET else address
        infos = await self.getaddrinfo(host, port, family=sock.family, type=sock.type, proto=sock.proto)
        return infos[0][4]
