"""Checks of arguments that several methods of the loop have."""

import socket

from refloop.sockets import tls_sockets


def check_plain(sock: socket.SocketType) -> None:
    """Raise TypeError if the socket is one of TLS."""
    if isinstance(sock, tls_sockets):
        raise TypeError("Socket cannot be of type SSLSocket")


def check_stream(sock: socket.SocketType) -> None:
    """Raise ValueError if the socket is not one of a byte stream."""
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")


def check_unix_stream(sock: socket.SocketType) -> None:
    """Raise ValueError if the socket is not a UNIX one of a byte stream."""
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


def check_tls_timeouts(tls: bool, handshake: float | None, shutdown: float | None) -> None:
    """Raise ValueError if there is a time limit of TLS without TLS."""
    if tls:
        return
    if handshake is not None:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown is not None:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")


def refuse_tls(tls: object) -> None:
    """Raise NotImplementedError if TLS is asked for."""
    if tls:
        raise NotImplementedError("refloop has no TLS yet")
