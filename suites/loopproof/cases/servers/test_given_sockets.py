"""create_server(sock=): a socket that is given is served, and belongs to the server."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import Serve, needs, on_servers, raises, requires, until
from loopproof.authoring.descriptors import Squatters
from loopproof.authoring.links import polls
from loopproof.authoring.serving import listening
from loopproof.faultkit import expect, send


def bound(family: int = socket.AF_INET) -> socket.socket:
    """Return a socket that is bound to a free port."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


@requires("SERV-CREATE_SERVER-08")
@on_servers("tcp")
@pytest.mark.parametrize("state", ["bound", "listening", "blocking", "timeout", "unbound"])
async def test_a_socket_in_each_state(serve: Serve, state: str) -> None:
    """A stream socket that is not connected is served in whatever state it is given."""
    sock = listening() if state == "listening" else socket.socket() if state == "unbound" else bound()
    sock.settimeout({"blocking": None, "timeout": 3.0}.get(state, 0.0))
    service = await serve(sock=sock)
    if state == "unbound":  # listen() gives it a port of all interfaces
        with socket.create_connection(("127.0.0.1", service.address[1])):
            await service.made_connection(1)
        return
    assert service.address == sock.getsockname()
    await service.visit()


@requires("SERV-CREATE_SERVER-08")
@on_servers("tcp")
@needs("ipv6")
async def test_a_socket_of_ipv6(serve: Serve) -> None:
    """A socket of IPv6 is served as it is, and IPV6_V6ONLY is left as the caller has set it."""
    sock = bound(socket.AF_INET6)
    before = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    service = await serve(sock=sock)
    assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == before
    await service.visit()


@requires("SERV-CREATE_SERVER-50")
@on_servers("tcp")
async def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    """A UNIX stream socket is served by create_server() as well, and each connection tells its names."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    link = await (await serve(sock=sock)).visit([send(b"question"), expect(b"answer")])
    assert await link.received(8) == b"question"
    link.transport.write(b"answer")
    await link.verified()
    assert link.transport.get_extra_info("sockname") == str(tmp_path / "socket")
    assert not link.transport.get_extra_info("peername")


@requires("SERV-CREATE_SERVER-08")
@on_servers("tcp")
async def test_connections_that_waited_before(serve: Serve) -> None:
    """Connections that wait in a listening socket when it is given are served, with the data that they sent."""
    sock = listening()
    clients = [socket.create_connection(sock.getsockname()) for _ in range(5)]
    for client in clients:
        client.sendall(b"early")
    service = await serve(sock=sock)
    await until(lambda: [bytes(p.history.received) for p in service.connected] == [b"early"] * 5, "the early data")
    for client in clients:
        client.close()


@requires("SERV-CREATE_SERVER-08", "SERV-SERVER_CLOSE-01")
@on_servers("tcp")
async def test_a_given_socket_is_closed_with_the_server(serve: Serve) -> None:
    """close() closes the socket that was given, once, and its number is not touched after that."""
    with Squatters() as squatters:
        sock = bound()
        number = sock.fileno()
        identity = os.fstat(number).st_ino
        service = await serve(sock=sock)
        service.server.close()
        await until(lambda: faultkit.descriptors().get(number, ("", 0, 0))[2] != identity, "the end of the socket")
        if sock.fileno() != -1:
            sock.detach()
        squatters.occupy(number)
        service.server.close()
        await service.server.wait_closed()
        await polls()


@requires("SERV-CREATE_SERVER-08")
@on_servers("tcp")
async def test_a_socket_that_is_closed(serve: Serve) -> None:
    """A closed socket raises OSError or ValueError."""
    sock = bound()
    sock.close()
    with raises(OSError, ValueError):
        await serve(sock=sock)


@requires("SERV-CREATE_SERVER-08")
@on_servers("tcp")
@pytest.mark.parametrize("given", [7, "socket", object()])
async def test_what_is_no_socket(serve: Serve, given: Any) -> None:
    """What is no socket raises AttributeError, TypeError or ValueError."""
    with raises(AttributeError, TypeError, ValueError):
        await serve(sock=given)
