"""create_connection() to a host and port: what it returns, when it calls whom, and what the socket is like."""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.links import ended
from loopproof.authoring.ports import Port
from loopproof.authoring.sockets import verified
from loopproof.faultkit import Peer, accept, expect, expect_eof, send

Loop = Any  # typeshed does not know all arguments that are tried here
Report = dict[str, Any]


@requires("CONN-CREATE_CONNECTION-01")
@pytest.mark.parametrize("kind", [RecordingProtocol, RecordingBufferedProtocol])
async def test_the_pair_that_is_returned(loop: Loop, kind: Callable[[], Any]) -> None:
    """A transport and the very protocol that the factory made are returned, and bytes go both ways."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(kind())
        return made[-1]

    with Peer([accept(), expect(b"ask"), send(b"answer"), expect_eof()], listen="tcp") as peer:
        returned = await loop.create_connection(factory, *peer.address)
        assert type(returned) is tuple
        transport, protocol = returned
        assert [protocol] == made
        assert transport.get_protocol() is protocol
        assert transport.get_extra_info("peername") == peer.address
        transport.write(b"ask")
        await until(lambda: len(protocol.history.received) == 6, "the answer")
        assert protocol.history.received == b"answer"
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        protocol.history.check()
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-61")
async def test_the_class_of_the_transport(loop: Loop) -> None:
    """The transport is an instance of asyncio.Transport."""
    with Port().listen() as listener:
        transport, protocol = await loop.create_connection(RecordingProtocol, "127.0.0.1", listener.number)
        assert isinstance(transport, asyncio.Transport)
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-01")
@pytest.mark.parametrize("port", ["number", "text", "bytes"])
@pytest.mark.parametrize("host", ["address", "name", "bytes", "None"])
async def test_forms_of_host_and_port(loop: Loop, host: str, port: str) -> None:
    """The host may be an address, a name, bytes or None (this machine), the port a number or its digits."""
    with Port("127.0.0.1").listen() as listener:
        number = listener.number
        ports: dict[str, Any] = {"number": number, "text": str(number), "bytes": str(number).encode()}
        hosts: dict[str, Any] = {"address": "127.0.0.1", "name": "localhost", "bytes": b"127.0.0.1", "None": None}
        transport, protocol = await loop.create_connection(RecordingProtocol, hosts[host], ports[port])
        assert transport.get_extra_info("peername") == ("127.0.0.1", number)
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-01")
@needs("ipv6")
@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"])
async def test_ipv6_addresses(loop: Loop, host: str) -> None:
    """IPv6 addresses may be given in any notation, also those of IPv4."""
    with Port("127.0.0.1", "::1").listen() as listener:
        transport, protocol = await loop.create_connection(RecordingProtocol, host, listener.number)
        assert transport.get_extra_info("socket").family == socket.AF_INET6
        assert transport.get_extra_info("peername")[1] == listener.number
        assert listener.waiting("127.0.0.1" if "ffff" in host else "::1")
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-01")
async def test_all_arguments_by_name_with_their_defaults(loop: Loop) -> None:
    """Every parameter may be given by name, and its documented default changes nothing."""
    with Port().listen() as listener:
        transport, protocol = await loop.create_connection(
            RecordingProtocol,
            host="127.0.0.1",
            port=listener.number,
            ssl=None,
            family=0,
            proto=0,
            flags=0,
            sock=None,
            local_addr=None,
            server_hostname=None,
            ssl_handshake_timeout=None,
            ssl_shutdown_timeout=None,
        )
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-02")
async def test_the_factory_is_called_once_the_connection_is_there(loop: Loop) -> None:
    """The factory is called once, without arguments, when the peer has the connection already."""
    calls: list[tuple[Any, Any, bool]] = []
    with Port().listen() as listener:

        def factory(*arguments: Any, **named: Any) -> RecordingProtocol:
            calls.append((arguments, named, listener.waiting()))
            return RecordingProtocol()

        transport, protocol = await loop.create_connection(factory, "127.0.0.1", listener.number)
        await ended(transport, protocol)
    assert calls == [((), {}, True)], "calls of the factory: arguments, named ones, whether the connection was there"


@requires("CONN-CREATE_CONNECTION-03")
async def test_the_protocol_knows_before_the_caller(loop: Loop) -> None:
    """connection_made() was called once, with the transport that is returned."""
    with Port().listen() as listener:
        transport, protocol = await loop.create_connection(RecordingProtocol, "127.0.0.1", listener.number)
        assert protocol.history.names == ["connection_made"]
        assert protocol.transport is transport
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-05")
async def test_connection_made_raises(loop: Loop, reports: list[Report]) -> None:
    """What connection_made() raises goes to the exception handler; the pair is returned, and the connection works."""
    error = ZeroDivisionError("in connection_made()")

    def fail(_: Any) -> None:
        raise error

    with Peer([accept(), send(b"data"), expect(b"more"), expect_eof()], listen="tcp") as peer:
        transport, protocol = await loop.create_connection(
            lambda: RecordingProtocol(on={"connection_made": fail}), *peer.address
        )
        assert [report["exception"] for report in reports] == [error]
        await until(lambda: protocol.history.received == b"data", "data")
        transport.write(b"more")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-52")
async def test_the_factory_raises(loop: Loop) -> None:
    """What the factory raises comes out of create_connection(), and the connection can be closed by its socket."""
    error = ZeroDivisionError("in the factory")

    def factory() -> Any:
        raise error

    with Port().listen() as listener, socket.create_connection(("127.0.0.1", listener.number)) as ours:
        with raises(ZeroDivisionError) as raised:
            await loop.create_connection(factory, sock=ours)
        assert raised.value is error


@requires("CONN-CREATE_CONNECTION-06")
async def test_the_factory_raises_and_the_socket_is_closed(loop: Loop) -> None:
    """What the factory raises comes out of create_connection(), and the peer sees the end at once."""

    def factory() -> Any:
        raise ZeroDivisionError

    with Port().listen() as listener:
        with raises(ZeroDivisionError) as raised:
            await loop.create_connection(factory, "127.0.0.1", listener.number)
        with listener.accept() as accepted:
            assert accepted.recv(1) == b""
        assert raised.value.__traceback__ is not None


@requires("CONN-CREATE_CONNECTION-53")
@pytest.mark.parametrize("factory", [None, 5, "RecordingProtocol"])
async def test_the_factory_cannot_be_called(loop: Loop, factory: Any) -> None:
    """A factory that cannot be called raises TypeError."""
    ours, theirs = socket.socketpair()
    with ours, theirs, raises(TypeError):
        await loop.create_connection(factory, sock=ours)


@requires("CONN-CREATE_CONNECTION-09")
@needs("ipv6")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_small_writes_are_not_delayed(loop: Loop, host: str) -> None:
    """TCP_NODELAY is set when the protocol gets the transport."""
    seen: list[int] = []

    def look(protocol: Any) -> None:
        ours = protocol.transport.get_extra_info("socket")
        seen.append(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with Port(host).listen() as listener:
        transport, protocol = await loop.create_connection(
            lambda: RecordingProtocol(on={"connection_made": look}), host, listener.number
        )
        await ended(transport, protocol)
    assert seen == [1]


@requires("CONN-CREATE_CONNECTION-54")
async def test_the_socket_is_not_inherited(loop: Loop) -> None:
    """The socket that create_connection() makes is closed in child processes, and does not block."""
    with Port().listen() as listener:
        transport, protocol = await loop.create_connection(RecordingProtocol, "127.0.0.1", listener.number)
        number = transport.get_extra_info("socket").fileno()
        assert fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        assert fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NONBLOCK
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-01")
async def test_many_at_once(loop: Loop) -> None:
    """Connections that are made concurrently each get a protocol and a transport of their own."""
    with Port().listen() as listener:
        pairs = await asyncio.gather(
            *(loop.create_connection(RecordingProtocol, "127.0.0.1", listener.number) for _ in range(50))
        )
        names = {transport.get_extra_info("sockname") for transport, _ in pairs}
        assert len(names) == 50
        for _ in range(50):
            with listener.accept() as accepted:
                names.remove(accepted.getpeername())
        for transport, protocol in pairs:
            await ended(transport, protocol)
