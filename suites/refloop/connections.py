"""Connections over sockets: create_connection(), connect_accepted_socket(), and what makes their transports."""

import asyncio
import contextvars
import errno
import functools
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from refloop import _core
from refloop.addresses import Addresses, Info, interleaved, numeric_info
from refloop.arguments import check_plain, check_stream, check_tls_timeouts, refuse_tls
from refloop.eyeballs import race

P = TypeVar("P", bound=asyncio.BaseProtocol)
Factory = Callable[[], P]

logger = logging.getLogger("asyncio")

Sock = socket.SocketType
"""What socket.socket is derived from: enough for a connection that will have a transport."""
NONBLOCK = int(socket.SOCK_NONBLOCK)


def bind_error(exc: OSError, address: Any) -> OSError:
    """The error of a local address, which it names."""
    text = str(exc) if sys.version_info >= (3, 13) else exc.strerror
    return OSError(exc.errno, f"error while attempting to bind on address {address!r}: {(text or str(exc)).lower()}")


def bind(sock: Sock, family: int, local_infos: list[Info], errors: list[OSError]) -> None:
    """Bind to the first local address of the family that there is; the errors of those before it are appended.

    Raises:
        OSError: there is none.
    """
    error = None
    for local_family, _, _, _, address in local_infos:
        if local_family != family:
            continue
        if error is not None:
            errors.append(error)
        try:
            return sock.bind(address)
        except OSError as exc:
            error = bind_error(exc, address)
    try:
        raise error or OSError(f"no matching local address with {family=} found")
    finally:
        del error, errors  # else its traceback keeps it


def begin_connecting(sock: Sock, address: Any) -> bool:
    """Connect a socket that does not block; returns whether that is done already.

    Raises:
        OSError: it failed; BlockingIOError if a UNIX server has no place in its queue.
    """
    error = sock.connect_ex(address)
    if error == 0:
        return True
    if error not in (errno.EINPROGRESS, errno.EINTR):
        raise OSError(error, os.strerror(error))
    # A peer on this machine has answered by now: asked once more, the kernel says so, and there is nothing to wait for.
    error = sock.connect_ex(address)
    if error in (errno.EALREADY, errno.EINPROGRESS, errno.EINTR):
        return False
    check_connected(0 if error == errno.EISCONN else error, address)
    return True


def check_connected(error: int, address: Any) -> None:
    """Raise the OSError that an error number stands for, unless it is 0."""
    if error != 0:
        raise OSError(error, f"Connect call failed {address}")


def begin_connection(info: Info, local_infos: list[Info] | None, errors: list[OSError]) -> tuple[Sock, bool]:
    """A socket that is about to connect to an address, and whether it is connected already.

    Raises:
        OSError: it failed. Each one is appended to the list.
    """
    family, kind, proto, _, address = info
    sock = None
    try:
        sock = Sock(family, kind | NONBLOCK, proto)
        if local_infos is not None:
            bind(sock, family, local_infos, errors)
        return sock, begin_connecting(sock, address)
    except BaseException as exc:
        if sock is not None:
            sock.close()
        if isinstance(exc, OSError):
            errors.append(exc)
        raise
    finally:
        del errors  # else the traceback of each keeps all


def combined(errors: list[OSError], all_errors: bool) -> Exception:
    """The exception that stands for those of all attempts."""
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    texts = [str(error) for error in errors]
    return errors[0] if len(set(texts)) == 1 else OSError(f"Multiple exceptions: {', '.join(texts)}")


class Connections(Addresses):
    """Making of connections."""

    async def _connected(self, sock: Sock, address: Any, errors: list[OSError]) -> None:
        """Wait until a socket is connected; it is closed if that fails. An OSError is also appended to the list."""
        try:
            await self._sock_writable(sock)
            check_connected(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), address)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, OSError):
                errors.append(exc)
            raise
        finally:
            del errors  # else the traceback of each keeps all

    async def _open(self, info: Info, local_infos: list[Info] | None, errors: list[OSError]) -> Sock:
        """A socket that is connected to an address. Each OSError is appended to the list, the last one raised."""
        try:
            sock, connected = begin_connection(info, local_infos, errors)
            if not connected:
                await self._connected(sock, info[4], errors)
        finally:
            del errors
        return sock

    async def _open_any(
        self, infos: list[Info], local_infos: list[Info] | None, delay: float | None, all_errors: bool
    ) -> Sock:
        """A socket that is connected to one of the addresses, in this order; raises what `combined` makes of errors."""
        errors: list[OSError] = []
        try:
            if delay is None:
                for info in infos:
                    try:
                        sock, connected = begin_connection(info, local_infos, errors)
                        if not connected:
                            await self._connected(sock, info[4], errors)
                    except OSError:
                        continue
                    return sock
            else:
                found = await race([functools.partial(self._open, info, local_infos, errors) for info in infos], delay)
                if found is not None:
                    return found
            raise combined(errors, all_errors)
        finally:
            del errors

    async def _transport(
        self, sock: Sock, protocol_factory: Factory[P], *, ours: bool
    ) -> tuple[_core.SocketTransport, P]:
        """The transport and protocol of a connected socket, which the transport takes over.

        Args:
            ours: nobody else knows the socket, which does not block, so the transport takes its descriptor alone, and
                it is closed if it gets no transport. (Others are left as they are, and since Python 3.14 closed, too.)
        """
        try:
            if not ours:
                sock.setblocking(False)
            context = contextvars.copy_context() if sys.version_info >= (3, 15) else None
            protocol = protocol_factory()
            waiter = self.create_future()
            if ours:
                transport = _core.SocketTransport._adopt(self, sock, protocol, waiter, context)
            else:
                transport = _core.SocketTransport(self, sock, protocol, waiter, None, None, context)
        except BaseException:
            if ours or sys.version_info >= (3, 14):
                sock.close()
            raise
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
        ssl: object = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[_core.SocketTransport, P]:
        """A transport and protocol over a connection that was accepted elsewhere; the transport takes the socket over.

        Raises:
            ValueError: it is no stream socket, or there are arguments of TLS without TLS.
            TypeError: it is a socket of TLS.
            NotImplementedError: TLS is asked for.
        """
        check_stream(sock)
        check_tls_timeouts(bool(ssl), ssl_handshake_timeout, ssl_shutdown_timeout)
        check_plain(sock)
        refuse_tls(ssl)
        transport, protocol = await self._transport(sock, protocol_factory, ours=False)
        if self.get_debug():
            logger.debug("%r handled: (%r, %r)", transport.get_extra_info("socket"), transport, protocol)
        return transport, protocol

    async def create_connection(
        self,
        protocol_factory: Factory[P],
        host: str | bytes | None = None,
        port: int | str | bytes | None = None,
        *,
        ssl: object = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Sock | None = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[_core.SocketTransport, P]:
        """Connect to a host and port; returns a transport and its protocol.

        Args:
            protocol_factory: makes the protocol once there is a connection.
            host, port: where to; a name may have several addresses, which are tried in order.
            ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout: of TLS, which is still to come.
            family, proto, flags: of getaddrinfo().
            sock: a connected stream socket instead of host and port, which the transport takes over.
            local_addr: host and port to connect from.
            happy_eyeballs_delay: so many seconds after an attempt has started the next address is tried beside it.
            interleave: have the families of addresses in turns, after so many of the first one less one; 1 unless
                given, with happy_eyeballs_delay.
            all_errors: if all fail, raise an ExceptionGroup of all errors.

        Raises:
            ValueError, TypeError: the arguments do not go together, or the socket is none of a plain stream.
            OSError: no connection; of several different errors, one whose text has the texts of all.
            NotImplementedError: TLS is asked for.
        """
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        if ssl and server_hostname is None and not host:
            raise ValueError("You must set server_hostname when using ssl without a host")
        check_tls_timeouts(bool(ssl), ssl_handshake_timeout, ssl_shutdown_timeout)
        if sock is not None:
            check_plain(sock)
        ours = host is not None or port is not None
        if ours and sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        if not ours and sock is None:
            raise ValueError("host and port was not specified and no sock specified")
        refuse_tls(ssl)
        if sock is not None:
            check_stream(sock)
        else:
            info = numeric_info((host, port), family, proto)
            infos = [info] if info is not None else await self._look_up((host, port), family, proto, flags)
            local_infos = None
            if local_addr is not None:
                local_infos = await self._resolve(local_addr, family, proto, flags)
            if not infos or local_infos == []:
                raise OSError("getaddrinfo() returned empty list")
            if interleave is None and happy_eyeballs_delay is not None:
                interleave = 1
            if interleave:
                infos = interleaved(infos, interleave)
            sock = await self._open_any(infos, local_infos, happy_eyeballs_delay, all_errors)
        transport, protocol = await self._transport(sock, protocol_factory, ours=ours)
        if self.get_debug():
            wrapper = transport.get_extra_info("socket")
            logger.debug("%r connected to %s:%r: (%r, %r)", wrapper, host, port, transport, protocol)
        return transport, protocol
