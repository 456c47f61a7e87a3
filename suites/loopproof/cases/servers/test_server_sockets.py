"""Server.sockets: objects that tell about the listening sockets, and cannot spoil them."""

import socket
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import Serve, on_servers, raises, requires


@requires("SERV-SERVER_SOCKETS-01")
@on_servers()
async def test_the_listening_sockets(serve: Serve) -> None:
    """Each object tells descriptor, family, type and address of a socket that listens, as the kernel does."""
    service = await serve()
    (listener,) = service.server.sockets
    found = faultkit.descriptor(listener.fileno())
    assert found.listening
    assert listener.getsockname() == found.local
    assert listener.family == found.family
    assert listener.type == found.type == socket.SOCK_STREAM
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    with listener.dup() as copy:
        assert copy.getsockname() == listener.getsockname()


@requires("SERV-SERVER_SOCKETS-01")
@on_servers()
async def test_sockets_of_a_server_that_was_not_started(serve: Serve) -> None:
    """sockets tells of the bound sockets also before serving is started, and the same ones afterwards."""
    service = await serve(start_serving=False)
    before = [(sock.fileno(), sock.getsockname()) for sock in service.server.sockets]
    assert len(before) == 1
    await service.server.start_serving()
    assert [(sock.fileno(), sock.getsockname()) for sock in service.server.sockets] == before


@requires("SERV-SERVER_SOCKETS-01")
@on_servers()
async def test_the_sockets_are_those_of_the_server(serve: Serve) -> None:
    """What is done to the sequence that sockets returned does nothing to the server."""
    service = await serve()
    seen = service.server.sockets
    if hasattr(seen, "clear"):
        seen.clear()
    assert len(service.server.sockets) == 1
    await service.visit()


@requires("SERV-SERVER_SOCKETS-02")
@on_servers()
async def test_no_sockets_after_close(serve: Serve) -> None:
    """After close() sockets is an empty tuple."""
    service = await serve()
    service.server.close()
    assert service.server.sockets == ()


@requires("SERV-SERVER_SOCKETS-03")
@on_servers()
async def test_the_mode_cannot_be_changed(serve: Serve) -> None:
    """setblocking(True) and a timeout raise ValueError; what says that the socket does not block is allowed."""
    service = await serve()
    (listener,) = service.server.sockets
    with raises(ValueError):
        listener.setblocking(True)
    for timeout in (1, 0.001, 1e9):
        with raises(ValueError):
            listener.settimeout(timeout)
    listener.setblocking(False)
    listener.settimeout(0)
    assert listener.gettimeout() == 0
    await service.visit()


@requires("SERV-SERVER_SOCKETS-03")
@on_servers()
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("accept", ()), ("close", ()), ("detach", ()), ("listen", (1,)), ("recv", (1,)), ("send", (b"x",))],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_what_belongs_to_the_server_cannot_be_done(serve: Serve, name: str, arguments: tuple[Any, ...]) -> None:
    """The objects cannot accept, close, detach, or move bytes: AttributeError or TypeError, and serving goes on."""
    service = await serve()
    (listener,) = service.server.sockets
    with raises(AttributeError, TypeError):
        getattr(listener, name)(*arguments)
    await service.visit()
