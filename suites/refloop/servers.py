"""Servers: create_server(), and the Server that it returns."""

import asyncio
import collections.abc
import contextvars
import errno
import itertools
import logging
import socket
import sys
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Sequence

from refloop import _core
from refloop.addresses import Addresses, Info
from refloop.arguments import check_plain, check_stream, check_tls_timeouts, refuse_tls

Factory = Callable[[], asyncio.BaseProtocol]

logger = logging.getLogger("asyncio")


class Server(_core.Server, asyncio.AbstractServer):
    """A server on listening sockets, which it closes. Its transports tell it when they begin and end."""

    def __init__(
        self,
        loop: "Servers",
        sockets: Sequence[socket.socket],
        protocol_factory: Factory,
        backlog: int,
        clean_up: Callable[[], None] | None = None,
    ) -> None:
        """Make a server that does not serve yet.

        Args:
            loop: the loop.
            sockets: stream sockets that are bound and do not block.
            protocol_factory: makes the protocol of a connection.
            backlog: how many connections may wait to be accepted, for each socket.
            clean_up: is called when the sockets are closed.
        """
        self._loop = loop
        self._sockets: Sequence[socket.socket] | None = sockets
        self._protocol_factory = protocol_factory
        self._backlog = backlog
        self._clean_up = clean_up
        self._context = contextvars.copy_context() if sys.version_info >= (3, 15) else None
        self._listeners: list[_core.Listener] = []
        self._waiters: list[asyncio.Future[None]] | None = []  # None: closed, and no client is left
        self._serving = False
        self._forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sockets={self.sockets!r}>"

    def _wake_up(self) -> None:
        """Wake up who waits in wait_closed(), if there is no more to wait for."""
        if self._sockets is not None or self._waiters is None or self._transports():
            return
        waiters, self._waiters = self._waiters, None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The listening sockets; none once it is closed."""
        return tuple(TransportSocket(sock) for sock in self._sockets or ())

    def get_loop(self) -> "Servers":
        """The loop that it serves in."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._serving

    def _start(self) -> None:
        """Accept connections from now on.

        Raises:
            RuntimeError: it is closed.
            OSError: a socket cannot listen; then none is served.
        """
        if self._serving:
            return
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        context = self._context or contextvars.copy_context()
        for sock in self._sockets:
            sock.listen(self._backlog)
        self._serving = True
        try:
            for sock in self._sockets:
                listener = _core.Listener(self._loop, sock, self._protocol_factory, self, context)
                self._listeners.append(listener)
                listener.start()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        """Accept no more connections."""
        self._serving = False
        for listener in self._listeners:
            listener.stop()
        self._listeners.clear()

    async def start_serving(self) -> None:
        """Accept connections from now on; nothing if it does already.

        Raises:
            RuntimeError: it is closed.
        """
        self._start()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept connections until this is cancelled, or the server closed; then it is closed.

        Raises:
            RuntimeError: it is closed, or this is under way already.
        """
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._start()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            try:
                self.close()
                if sys.version_info >= (3, 14):
                    self.close_clients()
                await self.wait_closed()
            finally:
                raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Accept no more connections, and close the listening sockets; the connections that there are go on."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        self._stop()
        for sock in sockets:
            sock.close()
        if self._clean_up is not None:
            self._clean_up()
        if self._forever is not None:
            self._forever.cancel()
            self._forever = None
        self._wake_up()

    def close_clients(self) -> None:
        """Close the transports of all connections that there are."""
        for transport in self._transports():
            transport.close()

    def abort_clients(self) -> None:
        """Abort the transports of all connections that there are."""
        for transport in self._transports():
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until it is closed and no connection is left.

        Before Python 3.12 that returns at once if it is closed, in 3.12.0 if there are no connections.
        """
        if sys.version_info < (3, 12):
            over = self._sockets is None
        else:
            over = sys.version_info < (3, 12, 1) and not self._transports()
        if over or self._waiters is None:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter


def hosts_of(host: object) -> list[str | bytes | None]:
    """The hosts that the argument of that name stands for."""
    if isinstance(host, str | bytes):
        return [host or None]
    if not isinstance(host, collections.abc.Iterable):
        return [host]  # type: ignore[list-item]
    return list(host)


def set_options(sock: socket.socket, reuse_address: bool, reuse_port: bool, keep_alive: bool) -> None:
    """Set the options of a socket that is to listen."""
    if reuse_address:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
    if reuse_port:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
        except OSError:
            raise ValueError(
                "reuse_port not supported by socket module, SO_REUSEPORT defined but not implemented."
            ) from None
    if keep_alive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
    if sock.family == socket.AF_INET6:  # that of IPv4 is another address
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)


class Servers(Addresses):
    """Making of servers."""

    def _listening_socket(self, info: Info, options: tuple[bool, bool, bool]) -> socket.socket | None:
        """A socket that is bound to an address; None if this machine has no such sockets or, from Python 3.13 on, no
        such address.

        Raises:
            OSError: it cannot be bound.
        """
        family, kind, proto, _, address = info
        try:
            sock = socket.socket(family, kind, proto)
        except OSError:
            if self.get_debug():
                complaint = "create_server() failed to create socket.socket(%r, %r, %r)"
                logger.warning(complaint, family, kind, proto, exc_info=True)
            return None
        try:
            set_options(sock, *options)
            sock.setblocking(False)
            sock.bind(address)
        except OSError as exc:
            sock.close()
            text = str(exc) if sys.version_info >= (3, 13) else exc.strerror or ""
            complaint = f"error while attempting to bind on address {address!r}: {text.lower()}"
            if exc.errno != errno.EADDRNOTAVAIL or sys.version_info < (3, 13):
                raise OSError(exc.errno, complaint) from None
            if self.get_debug():
                logger.warning(complaint)
            return None
        except BaseException:
            sock.close()
            raise
        return sock

    async def _resolve_host(
        self, host: str | bytes | None, port: int | str | None, family: int, flags: int
    ) -> list[Info]:
        infos = await self._resolve((host, port), family, 0, flags)
        if not infos:
            raise OSError(f"getaddrinfo({host!r}) returned empty list")
        return infos

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Factory,
        host: str | Sequence[str] | None = None,
        port: int | str | None = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: object = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """A TCP server.

        Args:
            protocol_factory: makes the protocol of each connection.
            host, port: where; None or "" is all interfaces, and a sequence all of its hosts.
            family, flags: of getaddrinfo().
            sock: a bound stream socket instead of host and port, which the server takes over.
            backlog: how many connections may wait to be accepted.
            ssl, ssl_handshake_timeout, ssl_shutdown_timeout: of TLS, which is still to come.
            reuse_address: whether the address may be one with connections of an earlier server; unless given, it may.
            reuse_port: whether the address may be that of other servers, too.
            keep_alive: whether idle connections are probed.
            start_serving: accept connections at once, not only when start_serving() of the server is called.

        Raises:
            ValueError, TypeError: the arguments do not go together, or the socket is none of a plain stream.
            OSError: there is no such host, or no address could be bound.
            NotImplementedError: TLS is asked for.
        """
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        check_tls_timeouts(ssl is not None, ssl_handshake_timeout, ssl_shutdown_timeout)
        if sock is not None:
            check_plain(sock)
        refuse_tls(ssl)
        if host is not None or port is not None:
            if sock is not None:
                raise ValueError("host/port and sock can not be specified at the same time")
            options = (reuse_address is None or reuse_address, bool(reuse_port), bool(keep_alive))
            lookups = [self._resolve_host(each, port, family, flags) for each in hosts_of(host)]
            infos = list(dict.fromkeys(itertools.chain.from_iterable(await asyncio.gather(*lookups))))
            sockets = self._listening_sockets(infos, options)
        elif sock is None:
            raise ValueError("Neither host/port nor sock were specified")
        else:
            check_stream(sock)
            sock.setblocking(False)
            sockets = [sock]
        server = await self._serve(Server(self, sockets, protocol_factory, backlog), start_serving)
        if self.get_debug():
            logger.info("%r is serving", server)
        return server

    def _listening_sockets(self, infos: Sequence[Info], options: tuple[bool, bool, bool]) -> list[socket.socket]:
        """Sockets that are bound to all of these addresses that there are."""
        sockets: list[socket.socket] = []
        try:
            for info in infos:
                sock = self._listening_socket(info, options)
                if sock is not None:
                    sockets.append(sock)
            if not sockets and sys.version_info >= (3, 13):
                raise OSError(f"could not bind on any address out of {[info[4] for info in infos]!r}")
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        return sockets

    async def _serve(self, server: Server, start: bool) -> Server:
        """Start a server, if that is wished; it is closed if this fails."""
        try:
            if start:
                await server.start_serving()
        except BaseException:
            server.close()
            raise
        return server
