"""create_datagram_endpoint(): what it makes of addresses, families and names, and what the transport tells."""

import asyncio
import contextlib
import errno
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, raises, requires
from loopproof.authoring.datagrams import bound, datagram_link, endpoint
from loopproof.authoring.descriptors import closed_since
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import until, warmed_up
from loopproof.authoring.resolution import HOST, Resolver
from loopproof.machine import link_local_addresses

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-01", "DGRAM-CREATE_DATAGRAM_ENDPOINT-20")
async def test_the_pair_that_is_returned(loop: Loop) -> None:
    """The factory is called once and without arguments, and the pair is returned after connection_made()."""
    made: list[Any] = []

    def factory(*arguments: Any, **named: Any) -> Any:
        assert not arguments, f"the factory was called with {arguments}"
        assert not named, f"the factory was called with {named}"
        made.append(RecordingDatagramProtocol())
        return made[-1]

    transport, protocol = await loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0))
    assert made == [protocol]
    assert protocol.history.names == ["connection_made"]
    assert protocol.transport is transport
    assert transport.get_protocol() is protocol
    transport.close()
    await until(protocol.closed.is_set, "connection_lost()")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-29")
async def test_the_type_of_the_transport(loop: Loop) -> None:
    """The transport is an asyncio.DatagramTransport."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
        assert isinstance(link.transport, asyncio.DatagramTransport)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-02", "DGRAM-RECEIVED-01")
async def test_a_local_address(loop: Loop) -> None:
    """local_addr is bound, with a free port for port 0, and what comes there from anybody is received."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
        host, port = link.transport.get_extra_info("sockname")
        assert (host, port) == link.name
        assert host == "127.0.0.1"
        assert port > 0
        with bound() as one, bound() as other:
            one.sendto(b"one", (host, port))
            await link.delivered(1)
            other.sendto(b"other", (host, port))
            await link.delivered(2)
            assert link.told == [(b"one", one.getsockname()), (b"other", other.getsockname())]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-02")
async def test_a_port_that_is_wanted(loop: Loop) -> None:
    """local_addr binds the very port that it names, given by position."""
    with bound() as before:
        name = before.getsockname()
    protocol = RecordingDatagramProtocol()
    transport, _ = await loop.create_datagram_endpoint(lambda: protocol, name)
    assert transport.get_extra_info("sockname") == name
    transport.close()
    await until(protocol.closed.is_set, "connection_lost()")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-03", "DGRAM-SENDTO-02")
async def test_a_remote_address(loop: Loop) -> None:
    """remote_addr connects the socket: datagrams go there without an address, and those of others do not come."""
    with bound() as beyond, bound() as stranger:
        async with endpoint(loop, remote_addr=beyond.getsockname()) as link:
            assert link.transport.get_extra_info("socket").getpeername() == beyond.getsockname()
            stranger.sendto(b"strange", link.name)
            beyond.sendto(b"known", link.name)
            assert await link.delivered(1) == [b"known"]
            link.transport.sendto(b"answer")
            await until(lambda: receivable(beyond), "the answer")
            assert beyond.recvfrom(100) == (b"answer", link.name)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-02", "DGRAM-CREATE_DATAGRAM_ENDPOINT-03")
async def test_both_addresses(loop: Loop) -> None:
    """local_addr and remote_addr together bind the socket and connect it."""
    with bound() as before:
        name = before.getsockname()
    with bound() as beyond:
        async with endpoint(loop, local_addr=name, remote_addr=beyond.getsockname()) as link:
            assert link.transport.get_extra_info("sockname") == name
            assert link.transport.get_extra_info("peername") == beyond.getsockname()
            link.transport.sendto(b"hello")
            await until(lambda: receivable(beyond), "the datagram")
            assert beyond.recvfrom(100) == (b"hello", name)


def receivable(sock: socket.socket) -> bool:
    """Tell whether a datagram waits at a socket that does not block."""
    with contextlib.suppress(BlockingIOError):
        sock.recv(1, socket.MSG_PEEK)
        return True
    return False


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-04")
@pytest.mark.parametrize(
    ("family", "host"),
    [
        ("AF_INET", "127.0.0.1"),
        pytest.param("AF_INET6", "::1", marks=pytest.mark.needs("ipv6")),
    ],
)
async def test_a_family_alone(loop: Loop, family: str, host: str) -> None:
    """family without an address gives a socket of that family, which is bound by the first datagram that it sends."""
    with bound(getattr(socket, family)) as beyond:
        async with endpoint(loop, family=getattr(socket, family)) as link:
            ours = link.transport.get_extra_info("socket")
            assert ours.family == getattr(socket, family)
            assert ours.type == socket.SOCK_DGRAM
            assert ours.getsockname()[1] == 0, "the socket was bound"
            link.transport.sendto(b"hello", beyond.getsockname())
            await until(lambda: receivable(beyond), "the datagram")
            data, name = beyond.recvfrom(100)
            assert (data, name[0]) == (b"hello", host)
            beyond.sendto(b"answer", name)
            assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-21")
async def test_names_of_hosts(loop: Loop) -> None:
    """Names are looked up, for local_addr and for remote_addr."""
    with bound(host="127.0.0.1") as beyond:
        remote = ("localhost", beyond.getsockname()[1])
        async with endpoint(loop, local_addr=("localhost", 0), remote_addr=remote, family=socket.AF_INET) as link:
            assert link.transport.get_extra_info("sockname")[0] == "127.0.0.1"
            assert link.transport.get_extra_info("peername") == beyond.getsockname()


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-21")
@needs("udp", "resolver")
async def test_what_is_looked_up(loop: Loop) -> None:
    """A name is looked up for datagram sockets, with family, proto and flags as they were given."""
    given: dict[str, Any] = {"family": socket.AF_INET, "proto": socket.IPPROTO_UDP, "flags": socket.AI_NUMERICSERV}
    with Resolver({HOST: [("127.0.0.1", 0)]}) as resolver:
        async with endpoint(loop, local_addr=(HOST, 0), **given):
            pass
    (request,) = resolver.requests
    assert request["type"] == socket.SOCK_DGRAM
    assert {name: request[name] for name in given} == given


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-22")
@pytest.mark.parametrize(
    "wrong",
    [
        {"flags": socket.AI_NUMERICHOST, "local_addr": ("localhost", 0)},
        {"family": socket.AF_INET6, "local_addr": ("127.0.0.1", 0)},
        {"family": socket.AF_INET, "remote_addr": ("::1", 9)},
    ],
    ids=["flags", "local family", "remote family"],
)
async def test_a_look_up_that_is_restricted(loop: Loop, wrong: dict[str, Any]) -> None:
    """Addresses that do not go with family and flags raise socket.gaierror."""
    with raises(socket.gaierror):
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, **wrong)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-22")
@pytest.mark.parametrize("arguments", [{"local_addr": ("127.0.0.1", 0)}, {"family": socket.AF_INET}])
@pytest.mark.parametrize("proto", [0, socket.IPPROTO_UDP])
async def test_a_protocol(loop: Loop, arguments: dict[str, Any], proto: int) -> None:
    """proto may be 0 or that of UDP, and is UDP for the kernel in either case."""
    async with endpoint(loop, proto=proto, **arguments) as link:
        ours = link.transport.get_extra_info("socket")
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_UDP


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-22")
@needs("udp_lite")
@pytest.mark.parametrize("arguments", [{"local_addr": ("127.0.0.1", 0)}, {"family": socket.AF_INET}])
async def test_another_protocol_of_datagrams(loop: Loop, arguments: dict[str, Any]) -> None:
    """The socket is of the protocol that proto names, which need not be UDP."""
    async with endpoint(loop, proto=socket.IPPROTO_UDPLITE, **arguments) as link:
        ours = link.transport.get_extra_info("socket")
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_UDPLITE


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-26", "DGRAM-RECEIVED-07")
@needs("ipv6")
async def test_an_address_with_flow_and_scope(loop: Loop) -> None:
    """IPv6 addresses have four items; sendto() takes two, three or four of them."""
    with bound(socket.AF_INET6) as beyond:
        async with endpoint(loop, local_addr=("::1", 0)) as link:
            assert link.transport.get_extra_info("sockname") == link.name
            assert len(link.name) == 4
            for count in (2, 3, 4):
                link.transport.sendto(b"%d" % count, beyond.getsockname()[:count])
                await until(lambda: receivable(beyond), f"a datagram for an address of {count} items")
                assert beyond.recvfrom(100) == (b"%d" % count, link.name)
            beyond.sendto(b"answer", link.name)
            await link.delivered(1)
            assert link.told == [(b"answer", beyond.getsockname())]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-26", "DGRAM-RECEIVED-07")
@needs("link_local")
async def test_a_link_local_address(loop: Loop) -> None:
    """A link-local host with its interface is bound and connected to, and the scope is in the addresses."""
    host = link_local_addresses()[0]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as beyond:
        beyond.setblocking(False)
        beyond.bind(socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0][4])
        scope = socket.if_nametoindex(host.partition("%")[2])
        remote = (host, beyond.getsockname()[1])
        async with endpoint(loop, local_addr=(host, 0), remote_addr=remote) as link:
            assert link.transport.get_extra_info("sockname") == link.name
            assert link.name[3] == scope
            beyond.sendto(b"hello", link.name)
            await link.delivered(1)
            assert link.told == [(b"hello", beyond.getsockname())]
            link.transport.sendto(b"answer")
            await until(lambda: receivable(beyond), "the answer")
            assert beyond.recvfrom(100) == (b"answer", link.name)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-33")
@needs("resolver", "ipv6")
async def test_the_second_address_is_good(loop: Loop) -> None:
    """Where the first address of a name is taken the second one is bound, and the first attempt leaves nothing open."""
    before = await warmed_up(loop)
    with bound() as taken, Resolver({HOST: [taken.getsockname(), ("::1", 0, 0, 0)]}):
        async with endpoint(loop, local_addr=(HOST, 0)) as link:
            assert link.name[0] == "::1"
        del link
    await closed_since(before, "an address that is taken")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-33", "DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
@needs("resolver", "ipv6")
async def test_no_address_is_good(loop: Loop) -> None:
    """Where no address of a name can be bound the error of the first one is raised, and nothing is left open."""
    before = await warmed_up(loop)
    with bound() as taken:
        answers = {HOST: [taken.getsockname(), ("2001:db8::1", 0, 0, 0)]}
        with Resolver(answers), raises(OSError) as caught:
            await loop.create_datagram_endpoint(RecordingDatagramProtocol, local_addr=(HOST, 0))
    assert getattr(caught.value, "errno", None) == errno.EADDRINUSE, f"the error is {caught.value!r}"
    await closed_since(before, "a name without an address that can be bound")


@requires("DGRAM-GET_EXTRA_INFO-01")
@on_datagrams()
async def test_what_the_transport_tells(loop: Loop, kind: str) -> None:
    """socket, sockname and peername agree with the kernel, a name that is not known gives the default."""
    async with datagram_link(loop, kind) as link:
        told = link.transport.get_extra_info
        ours = told("socket")
        assert told("sockname") == ours.getsockname()
        assert told("peername") == (None if link.to else link.beyond.getsockname())
        assert (ours.family, ours.type) == (link.beyond.family, socket.SOCK_DGRAM)
        assert ours.fileno() >= 0
        default = object()
        assert told("no such thing") is None
        assert told("no such thing", default) is default
        assert told("sslcontext") is None
        addresses = told("sockname"), told("peername")
        link.transport.close()
        await link.lost()
        assert (told("sockname"), told("peername")) == addresses


@requires("DGRAM-GET_EXTRA_INFO-01", "TRANS-REPR-01")
@on_datagrams("udp", "unix-connected")
async def test_repr_in_every_state(loop: Loop, kind: str) -> None:
    """repr() works on an endpoint that is open, closing and lost."""
    async with datagram_link(loop, kind) as link:
        assert repr(link.transport).startswith("<")
        link.transport.close()
        assert repr(link.transport).startswith("<")
        await link.lost()
        assert repr(link.transport).startswith("<")
