"""The addresses that create_connection() tries: what a host stands for, in which order, from which local address."""

import errno
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended
from loopproof.authoring.ports import Port
from loopproof.authoring.resolution import HOST, Resolver
from loopproof.machine import link_local_addresses

Loop = Any  # typeshed does not know all arguments that are tried here
BOTH = ("::1", "127.0.0.1")
THREE = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@requires("CONN-CREATE_CONNECTION-17")
@needs("ipv6")
@pytest.mark.parametrize("host", BOTH)
async def test_the_family_is_chosen(loop: Loop, host: str) -> None:
    """With family only addresses of it are tried, though the host has others."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with Port(*BOTH).listen() as port:
        transport, protocol = await loop.create_connection(RecordingProtocol, None, port.number, family=family)
        assert transport.get_extra_info("peername")[:2] == (host, port.number)
        assert [other for other in BOTH if port.waiting(other)] == [host]
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-17")
@needs("ipv6")
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET6), ("::1", socket.AF_INET)])
async def test_an_address_of_another_family(loop: Loop, host: str, family: int) -> None:
    """An address that is not of the family raises OSError, and nothing is tried."""
    with Port(*BOTH).listen() as port:
        with raises(OSError):
            await loop.create_connection(RecordingProtocol, host, port.number, family=family)
        assert not any(port.waiting(host) for host in BOTH)


@requires("CONN-CREATE_CONNECTION-18", "CONN-CREATE_CONNECTION-21")
@pytest.mark.parametrize(
    "options",
    [{"flags": socket.AI_NUMERICHOST}, {"proto": socket.IPPROTO_UDP}, {"proto": socket.IPPROTO_ICMP}],
    ids=str,
)
async def test_what_the_lookup_refuses(loop: Loop, options: dict[str, int]) -> None:
    """proto and flags reach the lookup: a name that is to be numeric, or another protocol than TCP, is an error."""
    with Port().listen() as port:
        with raises(socket.gaierror):
            await loop.create_connection(RecordingProtocol, "localhost", port.number, **options)
        assert not port.waiting()


@requires("CONN-CREATE_CONNECTION-18")
@needs("resolver")
async def test_what_the_lookup_is_asked(loop: Loop) -> None:
    """host, port, family, proto and flags reach the lookup as they were given, for streams, once."""
    with Port().listen() as port, Resolver({HOST: [("127.0.0.1", port.number)]}) as resolver:
        transport, protocol = await loop.create_connection(
            RecordingProtocol,
            HOST,
            80,
            family=socket.AF_INET,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_ADDRCONFIG | socket.AI_CANONNAME,
        )
        await ended(transport, protocol)
    assert resolver.requests == [
        {
            "host": HOST,
            "port": 80,
            "family": socket.AF_INET,
            "type": socket.SOCK_STREAM,
            "proto": socket.IPPROTO_TCP,
            "flags": socket.AI_ADDRCONFIG | socket.AI_CANONNAME,
        }
    ]


@requires("CONN-CREATE_CONNECTION-22")
@needs("resolver", "ipv6")
@pytest.mark.parametrize("host", BOTH)
@pytest.mark.parametrize("local", [False, True])
async def test_an_address_is_not_looked_up(loop: Loop, host: str, local: bool) -> None:
    """An address is used as it is, also as local address: getaddrinfo() is not called."""
    with Port(host).listen() as port, Resolver() as resolver:
        options: dict[str, Any] = {"local_addr": (host, 0)} if local else {}
        transport, protocol = await loop.create_connection(RecordingProtocol, host, port.number, **options)
        await ended(transport, protocol)
    assert resolver.requests == []


@requires("CONN-CREATE_CONNECTION-23")
@needs("link_local")
async def test_a_link_local_address(loop: Loop) -> None:
    """A link-local address with its scope is connected to."""
    host = link_local_addresses()[0]
    ((*_, address),) = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(address)
        listener.listen()
        transport, protocol = await loop.create_connection(RecordingProtocol, host, listener.getsockname()[1])
        assert transport.get_extra_info("socket").getpeername() == listener.getsockname()
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-19")
@needs("ipv6")
@pytest.mark.parametrize("listening", [BOTH[:1], BOTH[1:], BOTH], ids=str)
async def test_the_addresses_of_this_machine(loop: Loop, listening: tuple[str, ...]) -> None:
    """Of the two loopback addresses the first that does not refuse is connected to, and no other."""
    order = [address[0] for *_, address in socket.getaddrinfo(None, 1, type=socket.SOCK_STREAM)]
    first = next(host for host in order if host in listening)
    with Port(*BOTH).listen(*listening) as port:
        transport, protocol = await loop.create_connection(RecordingProtocol, None, port.number)
        assert transport.get_extra_info("peername")[0] == first
        assert [host for host in listening if port.waiting(host)] == [first]
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-19")
@needs("resolver")
@pytest.mark.parametrize("refusing", range(3))
async def test_addresses_are_tried_in_order(loop: Loop, refusing: int) -> None:
    """Of several addresses the first that does not refuse is connected to, and none behind it is tried."""
    with Port(*THREE).listen(*THREE[refusing:]) as port:
        with Resolver({HOST: [(host, port.number) for host in THREE]}):
            transport, protocol = await loop.create_connection(RecordingProtocol, HOST, 1)
        assert transport.get_extra_info("peername") == (THREE[refusing], port.number)
        assert [host for host in THREE[refusing:] if port.waiting(host)] == [THREE[refusing]]
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-20")
@needs("resolver")
@pytest.mark.parametrize("which", ["remote", "local"])
async def test_a_name_without_addresses(loop: Loop, which: str) -> None:
    """A name that resolves to no address at all raises OSError."""
    with Port().listen() as port, Resolver({HOST: []}):
        with raises(OSError):
            if which == "remote":
                await loop.create_connection(RecordingProtocol, HOST, port.number)
            else:
                await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number, local_addr=(HOST, 0))
        assert not port.waiting()


@requires("CONN-CREATE_CONNECTION-21")
@needs("resolver")
@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_the_lookup_fails(loop: Loop, code: int) -> None:
    """The socket.gaierror of a lookup comes out with its code, and the factory is not called."""
    calls: list[None] = []
    with Resolver({HOST: socket.gaierror(code, "does not resolve")}), raises(socket.gaierror) as raised:
        await loop.create_connection(lambda: calls.append(None), HOST, 1)
    assert isinstance(raised.value, socket.gaierror)
    assert raised.value.errno == code
    assert not calls


@requires("CONN-CREATE_CONNECTION-24")
@pytest.mark.parametrize("given", ["tuple", "list", "name"])
async def test_the_local_address(loop: Loop, given: str) -> None:
    """The connection comes from the local address and port that were given."""
    with Port().listen() as port:
        with socket.socket() as free:
            free.bind(("127.0.0.1" if given == "name" else "127.0.0.2", 0))
            local = free.getsockname()
        forms: dict[str, Any] = {"tuple": local, "list": list(local), "name": ("localhost", local[1])}
        transport, protocol = await loop.create_connection(
            RecordingProtocol, "127.0.0.1", port.number, local_addr=forms[given], family=socket.AF_INET
        )
        assert transport.get_extra_info("sockname") == local
        with port.accept() as accepted:
            assert accepted.getpeername() == local
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-24")
async def test_a_local_address_with_any_port(loop: Loop) -> None:
    """Port 0 of the local address stands for any that is free."""
    with Port().listen() as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, "127.0.0.1", port.number, local_addr=("127.0.0.2", 0)
        )
        host, number = transport.get_extra_info("sockname")
        assert host == "127.0.0.2"
        assert number > 0
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-25")
async def test_a_local_address_in_use(loop: Loop) -> None:
    """A local address that is taken raises OSError with the errno, and its message names the address."""
    with Port().listen() as port, Port("127.0.0.2").listen() as taken:
        with raises(OSError) as raised:
            await loop.create_connection(
                RecordingProtocol, "127.0.0.1", port.number, local_addr=("127.0.0.2", taken.number)
            )
        assert isinstance(raised.value, OSError)
        assert raised.value.errno == errno.EADDRINUSE
        assert "127.0.0.2" in str(raised.value)
        assert str(taken.number) in str(raised.value)
        assert not port.waiting()


@requires("CONN-CREATE_CONNECTION-25")
async def test_a_local_address_of_somebody_else(loop: Loop) -> None:
    """A local address that this machine has not raises OSError with the errno."""
    with Port().listen() as port:
        with raises(OSError) as raised:
            await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number, local_addr=("192.0.2.1", 0))
        assert isinstance(raised.value, OSError)
        assert raised.value.errno == errno.EADDRNOTAVAIL
        assert not port.waiting()


@requires("CONN-CREATE_CONNECTION-24")
@needs("resolver")
async def test_several_local_addresses(loop: Loop) -> None:
    """Of the local addresses that a name has the first that can be bound is used."""
    local = [("192.0.2.1", 0), ("127.0.0.3", 0), ("127.0.0.2", 0)]
    with Port().listen() as port, Resolver({HOST: local}):
        transport, protocol = await loop.create_connection(
            RecordingProtocol, "127.0.0.1", port.number, local_addr=(HOST, 0)
        )
        assert transport.get_extra_info("sockname")[0] == "127.0.0.3"
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-26")
@needs("ipv6")
@pytest.mark.parametrize(("host", "local"), [BOTH, BOTH[::-1]])
async def test_a_local_address_of_another_family(loop: Loop, host: str, local: str) -> None:
    """A local address of another family than the remote one raises OSError, and nothing is tried."""
    with Port(*BOTH).listen() as port:
        with raises(OSError):
            await loop.create_connection(RecordingProtocol, host, port.number, local_addr=(local, 0))
        assert not port.waiting(host)


@requires("CONN-CREATE_CONNECTION-26")
@needs("ipv6")
async def test_an_address_that_the_local_one_does_not_fit(loop: Loop) -> None:
    """Of the two loopback addresses that one is connected to whose family the local address has."""
    with Port(*BOTH).listen() as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, local_addr=("127.0.0.2", 0)
        )
        assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
        assert not port.waiting("::1")
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-64")
@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1", "localhost"])
@pytest.mark.parametrize("form", ["%d", b"%d"])
async def test_a_port_that_is_no_int(loop: Loop, host: Any, form: Any) -> None:
    """A port may be the text or the bytes of a number, and a host that is an address its bytes."""
    with Port().listen() as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, host, form % port.number, family=socket.AF_INET
        )
        assert transport.get_extra_info("peername") == ("127.0.0.1", port.number)
        await ended(transport, protocol)
