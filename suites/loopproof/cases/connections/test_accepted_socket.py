"""connect_accepted_socket(): a transport on a socket that somebody else has accepted, and whose that socket is."""

import fcntl
import os
import socket
import ssl
from operator import methodcaller
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.cancellation import Turns
from loopproof.authoring.certificates import authority, server_context
from loopproof.authoring.descriptors import closed_once, closed_since
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended, unverified, warmed_up
from loopproof.authoring.ports import Port
from loopproof.faultkit import Peer, connect, drain, expect, expect_eof, send, tls_client, tls_forget, tls_handshake

Loop = Any  # typeshed does not know all arguments that are tried here


def accepted_from(*script: dict[str, Any]) -> tuple[socket.socket, Peer]:
    """Return a socket that was accepted, and the peer at its other end, whose first step was to connect."""
    with Port().listen() as port:
        peer = Peer([connect(("127.0.0.1", port.number)), *script])
        return port.accept(), peer


def shake_hands(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The steps of a TLS client that trusts the authority."""
    return tls_client(authority=authority(), server_name="localhost", **options), tls_handshake()


@requires("CONN-CONNECT_ACCEPTED_SOCKET-01")
@pytest.mark.parametrize("mode", ["blocking", "timeout", "non-blocking"])
async def test_the_pair_that_is_returned(loop: Loop, mode: str) -> None:
    """A transport and the very protocol that the factory made are returned, connected, and bytes go both ways."""
    accepted, peer = accepted_from(expect(b"ask"), send(b"answer"), expect_eof())
    with peer:
        accepted.settimeout({"blocking": None, "timeout": 5.0, "non-blocking": 0.0}[mode])
        made: list[Any] = []

        def factory(*arguments: Any) -> Any:
            assert not arguments
            made.append(RecordingProtocol())
            return made[-1]

        transport, protocol = await loop.connect_accepted_socket(factory, accepted)
        assert [protocol] == made
        assert protocol.history.names[0] == "connection_made"
        assert fcntl.fcntl(accepted.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
        assert transport.get_extra_info("socket").fileno() == accepted.fileno()
        assert transport.get_extra_info("peername") == accepted.getpeername()
        transport.write(b"ask")
        await until(lambda: protocol.history.received == b"answer", "the answer")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        protocol.history.check()


@requires("CONN-CONNECT_ACCEPTED_SOCKET-01")
async def test_arguments_by_name(loop: Loop) -> None:
    """Every parameter may be given by name; a UNIX socket is taken, too."""
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await loop.connect_accepted_socket(
            protocol_factory=RecordingProtocol,
            sock=ours,
            ssl=None,
            ssl_handshake_timeout=None,
            ssl_shutdown_timeout=None,
        )
        theirs.send(b"data")
        await until(lambda: protocol.history.received == b"data", "data")
        await ended(transport, protocol)
        assert theirs.recv(1) == b""


@requires("CONN-CONNECT_ACCEPTED_SOCKET-06")
@pytest.mark.parametrize("how", ["close", "abort", "peer"])
async def test_the_transport_closes_the_socket(loop: Loop, how: str) -> None:
    """The socket is closed with the transport, once: what has its number by then is left alone."""
    pair = list(socket.socketpair())
    with pair.pop() as theirs:
        await closed_once(
            lambda ours: loop.connect_accepted_socket(RecordingProtocol, ours),
            pair.pop(),
            (lambda _: theirs.close()) if how == "peer" else methodcaller(how),
        )


@requires("CONN-CONNECT_ACCEPTED_SOCKET-03")
async def test_a_datagram_socket(loop: Loop) -> None:
    """A datagram socket is a ValueError, and stays open."""
    with socket.socket(type=socket.SOCK_DGRAM) as ours:
        with raises(ValueError):
            await loop.connect_accepted_socket(RecordingProtocol, ours)
        assert faultkit.descriptor(ours).kind == "socket"


@requires("CONN-CONNECT_ACCEPTED_SOCKET-04")
@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("value", [0, 10.0])
async def test_arguments_of_tls_without_it(loop: Loop, name: str, value: float) -> None:
    """ssl_handshake_timeout and ssl_shutdown_timeout without ssl are a ValueError, and the socket stays open."""
    options: dict[str, Any] = {name: value}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with raises(ValueError):
            await loop.connect_accepted_socket(RecordingProtocol, ours, **options)
        theirs.send(b"still here")
        assert ours.recv(20) == b"still here"


@requires("CONN-CONNECT_ACCEPTED_SOCKET-05")
async def test_a_socket_with_tls(loop: Loop) -> None:
    """An ssl.SSLSocket is a TypeError, and stays open."""
    with server_context("localhost").wrap_socket(socket.socket(), server_side=True) as ours:
        with raises(TypeError):
            await loop.connect_accepted_socket(RecordingProtocol, ours)
        assert faultkit.descriptor(ours).kind == "socket"


@requires("CONN-CONNECT_ACCEPTED_SOCKET-08")
async def test_the_factory_raises(loop: Loop) -> None:
    """What the factory raises comes out of connect_accepted_socket()."""
    error = ZeroDivisionError("in the factory")

    def factory() -> Any:
        raise error

    ours, theirs = socket.socketpair()
    with ours, theirs, raises(ZeroDivisionError) as raised:
        await loop.connect_accepted_socket(factory, ours)
    assert raised.value is error


@requires("CONN-CONNECT_ACCEPTED_SOCKET-09")
async def test_cancelled_at_each_turn(loop: Loop) -> None:
    """Whenever it is cancelled CancelledError comes out, the socket is closed, and a connected protocol is lost."""
    before = await warmed_up(loop)
    for turn in (turns := Turns()):
        ours, theirs = socket.socketpair()
        with theirs:
            protocol = RecordingProtocol()
            task = await turns.cancel(
                loop.connect_accepted_socket(lambda: protocol, ours)  # noqa: B023 - called before the next turn
            )
            if task.cancelled() and turn == 0:  # it has not begun
                ours.close()
            elif not task.cancelled():
                await ended(*task.result())
        await closed_since(before, f"connect_accepted_socket(), cancelled at its turn {turn},")
        if protocol.transport is not None:
            await until(protocol.closed.is_set, "connection_lost()")
        protocol.history.check()


@requires("CONN-CONNECT_ACCEPTED_SOCKET-02")
@needs("tls")
async def test_tls(loop: Loop) -> None:
    """With ssl the handshake is done before the pair is returned, and bytes go both ways."""
    context = server_context("localhost")
    accepted, peer = accepted_from(*shake_hands(), expect(b"ask"), send(b"answer"), tls_forget(), drain())
    protocol = RecordingProtocol()
    with peer:
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=context, ssl_handshake_timeout=9, ssl_shutdown_timeout=9
        )
        assert protocol.history.names[0] == "connection_made"
        assert transport.get_extra_info("sslcontext") is context
        assert transport.get_extra_info("cipher")
        transport.write(b"ask")
        await until(lambda: protocol.history.received == b"answer", "the answer")
        await ended(transport, protocol)
        assert accepted.fileno() == -1


@requires("CONN-CONNECT_ACCEPTED_SOCKET-01")
@needs("tls")
async def test_the_pair_that_is_returned_with_tls(loop: Loop) -> None:
    """With ssl, too, the protocol that is returned is the one that the factory made."""
    accepted, peer = accepted_from(*shake_hands(), drain())
    protocol = RecordingProtocol()
    with unverified(peer):
        transport, returned = await loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=server_context("localhost")
        )
        await ended(transport, protocol)
        assert returned is protocol


@requires("CONN-CONNECT_ACCEPTED_SOCKET-07")
@needs("tls")
@pytest.mark.parametrize("how", ["garbage", "end", "reset", "not trusted"])
async def test_a_handshake_that_fails(loop: Loop, how: str, reports: list[Any]) -> None:
    """The error of the handshake comes out, the socket is closed, and connection_made() is not called."""
    scripts: dict[str, list[dict[str, Any]]] = {
        "garbage": [send(b"GET / HTTP/1.0\r\n\r\n"), drain()],
        "end": [send(b"\x16\x03\x01"), faultkit.shutdown(), drain()],
        "reset": [send(b"\x16\x03\x01"), faultkit.pause(0.01), faultkit.reset()],
        "not trusted": [*shake_hands(), drain()],
    }
    protocol = RecordingProtocol()
    name = "other.test" if how == "not trusted" else "localhost"
    accepted, peer = accepted_from(*scripts[how])
    number = accepted.fileno()
    with unverified(peer):
        with raises(OSError) as raised:
            await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=server_context(name), ssl_handshake_timeout=9
            )
        assert isinstance(raised.value, ssl.SSLError if how in ("garbage", "not trusted") else OSError)
        await until(lambda: number not in faultkit.descriptors(), "the end of the socket")
        await until(lambda: peer.ended, "the end of the connection at the peer")
    assert "connection_made" not in protocol.history.names
