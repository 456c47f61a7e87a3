"""create_server(): where it listens, when it begins to accept, and what comes of a connection."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Serve, needs, on_servers, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.faultkit import expect, expect_eof, hold, send


@requires("SERV-CREATE_SERVER-01", "SERV-CREATE_SERVER-02", "SERV-CREATE_SERVER-03")
@on_servers()
@pytest.mark.parametrize("clients", [1, 2, 30])
async def test_each_connection_has_a_protocol_of_its_own(serve: Serve, clients: int) -> None:
    """The factory is called once for each connection, connection_made() on each result, and bytes go both ways."""
    service = await serve()
    links = [await service.visit([send(b"%3d" % n), expect(b"%3d" % n), expect_eof()]) for n in range(clients)]
    for link in links:
        link.transport.write(await link.received(3))
        link.transport.close()
        await link.verified()
    assert len(service.made) == clients, f"the factory was called {len(service.made)} times for {clients} connections"
    assert len({id(link.protocol) for link in links}) == clients


@requires("SERV-CREATE_SERVER-02")
@on_servers()
async def test_nothing_is_made_before_somebody_connects(serve: Serve) -> None:
    """A server to which nobody has connected has not called its factory."""
    service = await serve()
    await polls()
    assert service.made == []


@requires("SERV-CREATE_SERVER-02")
@on_servers()
async def test_the_factory_is_any_callable(serve: Serve) -> None:
    """The factory is called without arguments, in the thread of the loop while it runs, and its result is used."""
    given: list[Any] = []

    def factory(*arguments: Any, **named: Any) -> asyncio.Protocol:
        given.append((arguments, named, asyncio.get_running_loop()))
        return RecordingProtocol()

    service = await serve(protocol=factory)
    await service.visit()
    assert given == [((), {}, serve.loop)]


@requires("SERV-CREATE_SERVER-01", "SERV-CREATE_SERVER-03")
@on_servers("tcp")
async def test_the_port_that_was_asked_for(serve: Serve) -> None:
    """A server listens on the host and the port that it was given, which sockets tells, and nowhere else."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    service = await serve(host="127.0.0.1", port=port)
    assert [sock.getsockname() for sock in service.server.sockets] == [("127.0.0.1", port)]
    await service.visit()
    with socket.socket() as elsewhere:
        assert elsewhere.connect_ex(("127.0.0.2", port)) != 0, "the server listens on 127.0.0.2, too"


@requires("SERV-CREATE_SERVER-03")
@on_servers("tcp")
@pytest.mark.parametrize("port", [0, "0", None])
async def test_a_free_port(serve: Serve, port: Any) -> None:
    """Port 0, or None beside a host, is a free port, another one for each server."""
    services = [await serve(port=port) for _ in range(3)]
    ports = {service.address[1] for service in services}
    assert len(ports) == 3
    assert 0 not in ports
    for service in services:
        await service.visit()


@requires("SERV-CREATE_SERVER-49")
@on_servers("tcp")
@pytest.mark.parametrize("port", ["", b""])
async def test_an_empty_port(serve: Serve, port: Any) -> None:
    """An empty port beside a host is a free port."""
    service = await serve(port=port)
    assert service.address[1] > 1023
    await service.visit()


@requires("SERV-CREATE_SERVER-04")
@on_servers("tcp")
@pytest.mark.parametrize("host", [None, ""])
async def test_all_interfaces(serve: Serve, host: Any) -> None:
    """Without a host the server listens on every address of IPv4, with IPv6 on the machine on those as well."""
    service = await serve(host=host, port=0)
    addresses = {sock.family: sock.getsockname() for sock in service.server.sockets}
    expected = {info[0] for info in socket.getaddrinfo(None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)}
    assert addresses.keys() == expected
    assert addresses[socket.AF_INET][0] == "0.0.0.0"
    for number, address in enumerate(("127.0.0.1", "127.0.0.2")):
        with socket.create_connection((address, addresses[socket.AF_INET][1])):
            await service.made_connection(number + 1)
    if socket.AF_INET6 in addresses:
        assert addresses[socket.AF_INET6][0] == "::"


@requires("SERV-CREATE_SERVER-05")
@on_servers("tcp")
@pytest.mark.parametrize("kind", [list, tuple, iter])
async def test_several_hosts(serve: Serve, kind: Callable[[Any], Any]) -> None:
    """Each host of a sequence is listened on."""
    service = await serve(host=kind(["127.0.0.1", "127.0.0.2", "127.0.0.3"]), port=0)
    addresses = [sock.getsockname() for sock in service.server.sockets]
    assert sorted(address for address, _ in addresses) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    for number, address in enumerate(addresses):
        with socket.create_connection(address):
            await service.made_connection(number + 1)


@requires("SERV-CREATE_SERVER-06")
@on_servers("tcp")
async def test_a_host_that_is_named_twice(serve: Serve) -> None:
    """A host that appears several times is bound once."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    service = await serve(host=["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.1"], port=port)
    assert sorted(sock.getsockname()[0] for sock in service.server.sockets) == ["127.0.0.1", "127.0.0.2"]


@requires("SERV-CREATE_SERVER-07")
@on_servers("tcp")
@needs("ipv6")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_one_family(serve: Serve, family: socket.AddressFamily) -> None:
    """With a family the server listens on addresses of that family only."""
    service = await serve(host=None, family=family)
    assert [sock.family for sock in service.server.sockets] == [family]
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_connection((host, service.address[1])):
        await service.made_connection(1)


@requires("SERV-CREATE_SERVER-19")
@on_servers("tcp")
@needs("ipv6")
async def test_both_families_on_one_port(serve: Serve) -> None:
    """A server on all addresses of IPv6 leaves the same port of IPv4 to somebody else."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = await serve(host="::", port=port)
        (listener,) = service.server.sockets
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        with socket.create_connection(("127.0.0.1", port)):
            other.accept()[0].close()
    await polls()
    assert service.made == [], "the server took a connection of IPv4"


@requires("SERV-CREATE_SERVER-23")
@on_servers()
@pytest.mark.parametrize("how", ["start_serving", "serve_forever"])
async def test_serving_that_starts_later(serve: Serve, how: str) -> None:
    """With start_serving=False the address is taken, but nobody is accepted until serving is started."""
    service = await serve(start_serving=False)
    assert not service.server.is_serving()
    assert service.refuses(), "the server listens although it was not started"
    await polls()
    assert service.made == []
    starting = asyncio.ensure_future(getattr(service.server, how)())
    await polls(3)
    assert service.server.is_serving()
    link = await service.visit([expect(b"hello"), hold()])
    link.transport.write(b"hello")
    await link.reached(1)
    starting.cancel()
    link.transport.abort()
    await asyncio.wait([starting])


@requires("SERV-CREATE_SERVER-28")
@on_servers("tcp")
async def test_small_writes_are_not_held_back(serve: Serve) -> None:
    """TCP_NODELAY is set on an accepted connection by the time of connection_made()."""
    seen: list[int] = []

    def look(protocol: Any) -> None:
        ours = protocol.transport.get_extra_info("socket")
        seen.append(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    service = await serve(protocol=lambda: RecordingProtocol(on={"connection_made": look}))
    await service.visit()
    assert seen[0] != 0
