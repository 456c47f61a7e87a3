"""Connections that go wrong as they are accepted: peers that are gone, factories that fail, servers that close."""

import asyncio
import contextlib
import socket
import struct
from typing import Any

import pytest

from loopproof.authoring import Serve, Service, needs, on_servers, requires, until
from loopproof.authoring.expectations import left_to_the_collector
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.serving import ended, listening

Report = dict[str, Any]


def vanish(client: socket.socket, how: str) -> None:
    """End a connection as a peer may: by close, by reset, or by close with data sent before."""
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "data":
        client.sendall(b"last words")
    client.close()


def greeter() -> RecordingProtocol:
    """A protocol that begins with a word for its peer."""
    return RecordingProtocol(on={"connection_made": lambda protocol: protocol.transport.write(b"welcome")})


def greeted(client: socket.socket) -> bool:
    """Tell whether a peer has got the word."""
    try:
        return client.recv(7) == b"welcome"
    except BlockingIOError:
        return False


async def gone(service: Service, stayed: int) -> None:
    """Let the loop run until all connections but so many are lost."""
    await until(
        lambda: sum(not protocol.closed.is_set() for protocol in service.connected) <= stayed,
        "connection_lost() of each peer that is gone",
    )


@requires("SERV-CREATE_SERVER-36")
@on_servers()
@pytest.mark.parametrize("how", ["close", "reset", "data"])
async def test_peers_that_are_gone_before_they_are_accepted(serve: Serve, how: str, tmp_path: Any) -> None:
    """Peers that are gone when they are accepted keep nobody else from being served, and nothing is reported."""
    listener = listening(serve.kind, str(tmp_path))
    address = listener.getsockname()
    for _ in range(3):
        client = socket.socket(listener.family)
        client.connect(address)
        vanish(client, how)
    service = await serve(protocol=greeter, sock=listener)
    client = service.knock()
    await until(lambda: greeted(client), "a word for the peer that stayed")
    await gone(service, 1)
    for protocol in service.connected:
        assert bytes(protocol.history.received) in (b"", b"last words")


@requires("SERV-CREATE_SERVER-32")
@on_servers()
@pytest.mark.parametrize("backlog", [1, 100])
async def test_many_that_wait(serve: Serve, backlog: int, tmp_path: Any) -> None:
    """All connections that wait when serving begins are accepted, however small the backlog is."""
    listener = listening(serve.kind, str(tmp_path))
    service = await serve(sock=listener, start_serving=False, backlog=backlog)
    for _ in range(50):
        service.knock()
    await service.server.start_serving()
    await service.made_connection(50)


@requires("SERV-CREATE_SERVER-32")
@on_servers()
async def test_many_that_wait_do_not_take_a_poll_each(serve: Serve, tmp_path: Any) -> None:
    """Connections that wait are accepted several at a time: for 50 of them the loop polls less than 50 times."""
    listener = listening(serve.kind, str(tmp_path))
    service = await serve(sock=listener, start_serving=False)
    for _ in range(50):
        service.knock()
    await service.server.start_serving()
    turns = 0
    while len(service.connected) < 50:
        assert turns < 50, f"{len(service.connected)} connections after {turns} polls"
        await asyncio.sleep(0)
        turns += 1


def failing(kind: type[BaseException], times: int = 1000) -> Any:
    """Return a factory that raises an exception so many times before it makes protocols."""
    left = [kind] * times

    def factory() -> RecordingProtocol:
        if left:
            raise left.pop()("mine")
        return RecordingProtocol()

    return factory


@requires("SERV-CREATE_SERVER-30")
@on_servers()
@pytest.mark.parametrize("kind", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_factory_that_raises(serve: Serve, reports: list[Report], kind: type[BaseException]) -> None:
    """Where the factory raises, its connection is ended, which the peer sees, and the next one is served."""
    service = await serve(protocol=failing(kind, 1))
    client = service.knock()
    with left_to_the_collector():
        await until(lambda: service.made, "the call of the factory")
        await polls()
        reports.clear()
    await until(lambda: ended(client), "the end of the connection whose factory failed")
    await service.visit()
    reports.clear()


@requires("SERV-CREATE_SERVER-42")
@on_servers()
async def test_a_factory_that_raises_leaves_nothing_to_the_collector(serve: Serve, reports: list[Report]) -> None:
    """The connection of a factory that raised is closed by the loop, and not left to the garbage collector."""
    service = await serve(protocol=failing(ZeroDivisionError))
    client = service.knock()
    await until(lambda: ended(client), "the end of the connection whose factory failed")
    reports.clear()


@requires("SERV-CREATE_SERVER-31")
@on_servers()
@needs("debug")
async def test_a_factory_that_raises_is_reported_in_debug_mode(serve: Serve, reports: list[Report]) -> None:
    """In debug mode the exception of a factory is told to the exception handler."""
    serve.loop.set_debug(True)
    service = await serve(protocol=failing(ZeroDivisionError))
    service.knock()
    await until(lambda: reports, "a report")
    assert [repr(report.get("exception")) for report in reports] == ["ZeroDivisionError('mine')"]
    with left_to_the_collector():
        reports.clear()


@requires("SERV-CREATE_SERVER-41")
@on_servers()
async def test_close_at_each_turn_of_an_accept(serve: Serve) -> None:
    """close() at any turn after a client has connected: it is served, or it sees the end, and nothing is left over."""
    for turns in range(8):
        service = await serve(protocol=greeter)
        client = service.knock()
        for _ in range(turns):
            await asyncio.sleep(0)
        service.server.close()
        await until(lambda: service.connected or ended(client), f"service or the end after {turns} turns", share=0.2)  # noqa: B023
        for protocol in service.connected:
            protocol.transport.close()
            await until(protocol.closed.is_set, "connection_lost()")


@requires("SERV-CREATE_SERVER-36")
@on_servers()
async def test_a_storm_of_peers_that_come_and_go(serve: Serve) -> None:
    """Among many peers that connect and are gone at once, one that stays is served in full."""
    service = await serve(protocol=greeter)
    for how in ["close", "reset", "data"] * 20:
        with contextlib.suppress(ConnectionError):
            vanish(service.knock(), how)
        await asyncio.sleep(0)
    client = service.knock()
    await until(lambda: greeted(client), "a word for the peer that stayed")
    await gone(service, 1)


@requires("SERV-CREATE_SERVER-45")
@on_servers("tcp")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_address_of_a_peer_that_is_gone(serve: Serve, how: str) -> None:
    """The peername of a connection whose peer was gone before it was accepted is the address of that peer."""
    listener = listening()
    with socket.socket() as client:
        client.connect(listener.getsockname())
        address = client.getsockname()
        vanish(client, how)
    names: list[Any] = []

    def note(protocol: Any) -> None:
        names.append(protocol.transport.get_extra_info("peername"))

    await serve(protocol=lambda: RecordingProtocol(on={"connection_made": note}), sock=listener)
    await until(lambda: names, "the connection")
    assert names == [address]
