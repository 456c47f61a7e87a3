"""Arguments of create_server() that make no sense, alone or together: the exception, and nothing left open."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import Serve, on_servers, raises, requires


@contextlib.contextmanager
def bound(kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """A socket that is bound to a free port, and closed at the end of the block."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@requires("SERV-CREATE_SERVER-09")
@on_servers("tcp")
@pytest.mark.parametrize(
    "place", [{"host": "127.0.0.1"}, {"port": 0}, {"host": "127.0.0.1", "port": 0}, {"host": ""}, {"host": []}]
)
async def test_a_place_and_a_socket(serve: Serve, place: Any) -> None:
    """host or port beside sock raise ValueError, and the socket stays open and the caller's."""
    with bound() as sock:
        with raises(ValueError):
            await serve(sock=sock, **place)
        sock.listen()


@requires("SERV-CREATE_SERVER-10")
@on_servers("tcp")
@pytest.mark.parametrize("options", [{}, {"backlog": 5}, {"reuse_address": True}, {"start_serving": False}])
async def test_neither_a_place_nor_a_socket(serve: Serve, options: Any) -> None:
    """Without host, port and sock there is ValueError."""
    with raises(ValueError):
        await serve(host=None, port=None, **options)


@requires("SERV-CREATE_SERVER-11")
@on_servers("tcp")
async def test_a_datagram_socket(serve: Serve) -> None:
    """A sock for datagrams raises ValueError, and stays open and the caller's."""
    with bound(socket.SOCK_DGRAM) as sock:
        with raises(ValueError):
            await serve(sock=sock)
        sock.sendto(b"", sock.getsockname())


@requires("SERV-CREATE_SERVER-12")
@on_servers("tcp")
async def test_a_socket_of_the_module_ssl(serve: Serve) -> None:
    """An ssl.SSLSocket as sock raises TypeError, and stays open and the caller's."""
    with bound() as sock:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as wrapped:
            with raises(TypeError):
                await serve(sock=wrapped)
            wrapped.listen()


@requires("SERV-CREATE_SERVER-25")
@on_servers("tcp")
@pytest.mark.parametrize("given", [True, False])
async def test_a_bool_as_context(serve: Serve, given: bool) -> None:
    """True and False as ssl raise TypeError."""
    with raises(TypeError):
        await serve(ssl=given)


@requires("SERV-CREATE_SERVER-26")
@on_servers("tcp")
@pytest.mark.parametrize("seconds", [0, 1, 10.5, -1])
async def test_a_timeout_for_handshakes_without_a_context(serve: Serve, seconds: float) -> None:
    """ssl_handshake_timeout without ssl raises ValueError, whatever its value is."""
    with raises(ValueError):
        await serve(ssl_handshake_timeout=seconds)


@requires("SERV-CREATE_SERVER-27")
@on_servers("tcp")
@pytest.mark.parametrize("seconds", [0, 1, 10.5, -1])
async def test_a_timeout_for_the_end_without_a_context(serve: Serve, seconds: float) -> None:
    """ssl_shutdown_timeout without ssl raises ValueError, whatever its value is."""
    with raises(ValueError):
        await serve(ssl_shutdown_timeout=seconds)
