"""backlog, reuse_address, reuse_port and keep_alive of create_server(): what the kernel has been told."""

import contextlib
import socket
from typing import Any

import pytest

from loopproof.authoring import Serve, needs, on_servers, raises, requires, until
from loopproof.authoring.expectations import left_to_the_collector
from loopproof.faultkit import Injector, fail


def backlog_of(listener: Any) -> int:
    """Return how many connections may wait, as the kernel has it: of a TCP socket that listens, tcpi_sacked."""
    information: bytes = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(information[28:32], "little")


@requires("SERV-CREATE_SERVER-13")
@on_servers("tcp")
@needs("linux")
@pytest.mark.parametrize("backlog", [None, 1, 7, 128])
async def test_the_backlog_is_passed_on(serve: Serve, backlog: int | None) -> None:
    """As many connections may wait as backlog says, 100 by default."""
    service = await serve() if backlog is None else await serve(backlog=backlog)
    assert backlog_of(service.server.sockets[0]) == (backlog or 100)


@requires("SERV-CREATE_SERVER-33")
@on_servers()
async def test_a_backlog_of_zero(serve: Serve) -> None:
    """With a backlog of 0 connections are accepted all the same."""
    service = await serve(backlog=0)
    for _ in range(3):
        await service.visit()


@requires("SERV-CREATE_SERVER-13")
@on_servers("tcp")
@pytest.mark.parametrize("backlog", ["100", None, 1.5])
async def test_a_backlog_of_a_wrong_type(serve: Serve, backlog: Any) -> None:
    """A backlog that is no integer raises TypeError."""
    with left_to_the_collector(), raises(TypeError):
        await serve(backlog=backlog)


@requires("SERV-CREATE_SERVER-14")
@on_servers("tcp")
@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, True), ({"reuse_address": None}, True), ({"reuse_address": True}, True), ({"reuse_address": False}, False)],
)
async def test_reuse_of_the_address(serve: Serve, options: Any, expected: bool) -> None:
    """SO_REUSEADDR is set unless reuse_address is false."""
    service = await serve(**options)
    (listener,) = service.server.sockets
    assert bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) is expected


@requires("SERV-CREATE_SERVER-15")
@on_servers("tcp")
async def test_several_servers_share_a_port(serve: Serve) -> None:
    """With reuse_port each server has SO_REUSEPORT, they listen on one port, and each connection has one server."""
    first = await serve(reuse_port=True)
    second = await serve(port=first.address[1], reuse_port=True)
    for service in (first, second):
        assert service.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(first.address))
        await until(lambda: len(first.connected) + len(second.connected) == 20, "the 20 connections")


@requires("SERV-CREATE_SERVER-15", "SERV-CREATE_SERVER-20")
@on_servers("tcp")
@pytest.mark.parametrize("options", [{}, {"reuse_port": None}, {"reuse_port": False}])
async def test_a_port_is_not_shared_unasked(serve: Serve, options: Any) -> None:
    """Without reuse_port SO_REUSEPORT is not set, and the port is nobody else's."""
    service = await serve(**options)
    assert not service.server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    with raises(OSError):
        await serve(port=service.address[1], reuse_port=True)


@requires("SERV-CREATE_SERVER-16")
@needs("servers", "injector")
def test_reuse_port_on_a_system_that_lacks_it(new_loop: Any) -> None:
    """Where the system knows no SO_REUSEPORT, reuse_port=True raises ValueError and leaves nothing open."""

    def scenario() -> None:
        loop = new_loop()
        with raises(ValueError):
            loop.run_until_complete(loop.create_server(object, "127.0.0.1", 0, reuse_port=True, reuse_address=False))
        loop.close()

    injector = Injector([fail("setsockopt", "ENOPROTOOPT", kind="tcp")])
    injector.run(scenario)
    assert any(call.action == "fail" for call in injector.trace), "the option was not asked for"


@requires("SERV-CREATE_SERVER-17")
@on_servers("tcp")
async def test_reuse_port_of_a_given_socket(serve: Serve) -> None:
    """reuse_port beside sock= changes nothing about a socket that is neither IPv4 nor IPv6."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(serve.path())
        service = await serve(sock=listener, reuse_port=True)
        await service.visit()
        service.server.close()
        listener.detach()


@requires("SERV-CREATE_SERVER-18")
@on_servers("tcp")
@pytest.mark.parametrize(("value", "expected"), [(None, False), (False, False), (True, True)])
async def test_keep_alive(serve: Serve, value: Any, expected: bool) -> None:
    """SO_KEEPALIVE is set on listening sockets if keep_alive is true, and only then."""
    service = await serve(keep_alive=value)
    (listener,) = service.server.sockets
    assert bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is expected
