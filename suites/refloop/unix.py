"""UNIX stream sockets: create_unix_connection(), create_unix_server() and the files of their paths."""

import asyncio
import errno
import functools
import logging
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from refloop import _core
from refloop.arguments import check_tls_timeouts, check_unix_stream, refuse_tls
from refloop.connections import Connections, Sock
from refloop.servers import Server, Servers

P = TypeVar("P", bound=asyncio.BaseProtocol)
Address = str | bytes | os.PathLike[str] | os.PathLike[bytes]

logger = logging.getLogger("asyncio")


def file_of(address: str | bytes) -> Path | None:
    """The path of a UNIX socket; None if its address is empty or abstract."""
    text = os.fsdecode(address)
    return None if text[:1] in ("", "\0") else Path(text)


def remove_stale(path: Path) -> None:
    """Remove a UNIX socket that may be left from a server that is over."""
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as exc:  # perhaps only the making of sockets is permitted here
        logger.error("Unable to check or remove stale UNIX socket %r: %r", str(path), exc)


def remove_own(path: Path, inode: int) -> None:
    """Remove our own socket, unless something else has its path now."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as exc:
        logger.error("Unable to clean up listening UNIX socket %r: %r", str(path), exc)


def clean_up_of(sock: socket.socket) -> Callable[[], None] | None:
    """What removes the path of a listening socket; None if it has none."""
    path = file_of(sock.getsockname())
    try:
        return functools.partial(remove_own, path, path.stat().st_ino) if path is not None else None
    except FileNotFoundError:
        return None


def bound_socket(path: str | bytes) -> socket.socket:
    """A UNIX socket at this path, whatever socket was there before."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if (file := file_of(path)) is not None:
            remove_stale(file)
        sock.bind(path)
    except BaseException as exc:
        sock.close()
        if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
        raise
    return sock


class Unix(Connections, Servers):
    """Making of UNIX connections and servers."""

    async def create_unix_connection(
        self,
        protocol_factory: Callable[[], P],
        path: Address | None = None,
        *,
        ssl: object = None,
        sock: Sock | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[_core.SocketTransport, P]:
        """Connect to a UNIX server; returns a transport and its protocol.

        Args:
            protocol_factory: makes the protocol once there is a connection.
            path: the address, which is abstract if it begins with a zero.
            ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout: of TLS, which is still to come.
            sock: a connected UNIX stream socket instead of the path, which the transport takes over.

        Raises:
            ValueError: the arguments do not go together, or the socket is none of a UNIX stream.
            OSError: no connection.
            NotImplementedError: TLS is asked for.
        """
        if ssl and server_hostname is None:
            raise ValueError("you have to pass server_hostname when using ssl")
        if not ssl and server_hostname is not None:
            raise ValueError("server_hostname is only meaningful with ssl")
        check_tls_timeouts(bool(ssl), ssl_handshake_timeout, ssl_shutdown_timeout)
        if path is not None and sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        refuse_tls(ssl)
        ours = path is not None
        if path is not None:
            address = os.fspath(path)
            sock = await self._open((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address), None, [])
        elif sock is None:
            raise ValueError("no path and sock were specified")
        else:
            check_unix_stream(sock)
        return await self._transport(sock, protocol_factory, ours=ours)

    async def create_unix_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        path: Address | None = None,
        *,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: object = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = sys.version_info >= (3, 13),
    ) -> Server:
        """A UNIX server.

        Args:
            protocol_factory: makes the protocol of each connection.
            path: the address, which is abstract if it begins with a zero. The socket that is there is removed first.
            sock: a bound UNIX stream socket instead of the path, which the server takes over.
            backlog: how many connections may wait to be accepted.
            ssl, ssl_handshake_timeout, ssl_shutdown_timeout: of TLS, which is still to come.
            start_serving: accept connections at once, not only when start_serving() of the server is called.
            cleanup_socket: remove the path when the server is closed.

        Raises:
            ValueError, TypeError: the arguments do not go together, or the socket is none of a UNIX stream.
            OSError: the path cannot be bound.
            NotImplementedError: TLS is asked for.
        """
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        check_tls_timeouts(bool(ssl), ssl_handshake_timeout, ssl_shutdown_timeout)
        if path is not None and sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        if path is None and sock is None:
            raise ValueError("path was not specified, and no sock specified")
        refuse_tls(ssl)
        if sock is None:
            assert path is not None
            sock = bound_socket(os.fspath(path))
        else:
            check_unix_stream(sock)
        sock.setblocking(False)
        clean_up = clean_up_of(sock) if cleanup_socket else None
        server = Server(self, [sock], protocol_factory, backlog, clean_up)
        return await self._serve(server, start_serving)
