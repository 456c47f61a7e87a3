"""create_connection(sock=...): a socket in every state, and whose it is."""

import socket
import ssl
from operator import methodcaller
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import raises, requires, until
from loopproof.authoring.descriptors import closed_once
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended
from loopproof.authoring.ports import Port
from loopproof.authoring.sockets import readable, verified
from loopproof.faultkit import Peer, accept, expect, expect_eof, hold, send, shutdown

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("CONN-CREATE_CONNECTION-12", "CONN-CREATE_CONNECTION-16")
@pytest.mark.parametrize("mode", ["blocking", "timeout", "non-blocking"])
async def test_a_connected_socket_is_used_as_it_is(loop: Loop, mode: str) -> None:
    """No other connection is made, bytes go both ways, and the socket does not block."""
    with Peer([accept(), expect(b"ask"), send(b"answer"), expect_eof()], listen="tcp") as peer:
        ours = socket.create_connection(peer.address)
        ours.settimeout({"blocking": None, "timeout": 5.0, "non-blocking": 0.0}[mode])
        name = ours.getsockname()
        transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        assert ours.gettimeout() == 0.0
        assert transport.get_extra_info("sockname") == name
        assert transport.get_extra_info("socket").fileno() == ours.fileno()
        transport.write(b"ask")
        await until(lambda: protocol.history.received == b"answer", "the answer")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-12")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_transport_closes_the_socket(loop: Loop, how: str) -> None:
    """The socket is closed with the transport, once: what has its number by then is left alone."""
    with Port().listen() as port:
        await closed_once(
            lambda ours: loop.create_connection(RecordingProtocol, sock=ours),
            socket.create_connection(("127.0.0.1", port.number)),
            methodcaller(how),
        )


@requires("CONN-CREATE_CONNECTION-12")
async def test_a_socket_that_nobody_keeps(loop: Loop) -> None:
    """The transport keeps the socket alive on its own."""
    with Peer([accept(), hold(), send(b"data"), expect_eof()], listen="tcp") as peer:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, sock=socket.create_connection(peer.address)
        )
        peer.release()
        await until(lambda: protocol.history.received == b"data", "data")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-12")
@pytest.mark.parametrize("end", [False, True])
async def test_what_came_before_the_loop(loop: Loop, end: bool) -> None:
    """What the socket has received before, be it the end, reaches the protocol behind connection_made()."""
    steps = [accept(), send(b"early"), *([shutdown()] if end else []), expect_eof()]
    with Peer(steps, listen="tcp") as peer, socket.create_connection(peer.address) as ours:
        assert peer.wait(3 if end else 2, 5)
        assert ours.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL) == b"early"
        transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        await until(lambda: protocol.history.received == b"early", "data")
        if end:
            await until(protocol.closed.is_set, "connection_lost()")
            assert protocol.history.names == ["connection_made", "data_received", "eof_received", "connection_lost"]
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-12")
async def test_a_connection_that_was_reset_before(loop: Loop) -> None:
    """A socket whose peer has reset the connection gives a protocol that is told of it, or an OSError."""
    peer = Peer([accept(), send(b"x"), faultkit.reset()], listen="tcp")
    with peer, socket.create_connection(peer.address) as ours:
        assert peer.wait(3, 5)
        try:
            _, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        except OSError:
            return
        await until(protocol.closed.is_set, "connection_lost()")
        assert isinstance(protocol.error, ConnectionResetError)
        protocol.history.check()


@requires("CONN-CREATE_CONNECTION-13")
@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
async def test_a_datagram_socket(loop: Loop, family: str) -> None:
    """A datagram socket is a ValueError, and stays open."""
    with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as ours:
        with raises(ValueError):
            await loop.create_connection(RecordingProtocol, sock=ours)
        assert faultkit.descriptor(ours).kind == "socket"


@requires("CONN-CREATE_CONNECTION-14")
async def test_a_socket_with_tls(loop: Loop) -> None:
    """An ssl.SSLSocket is a TypeError, and stays open."""
    with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="x") as ours:
        with raises(TypeError):
            await loop.create_connection(RecordingProtocol, sock=ours)
        assert faultkit.descriptor(ours).kind == "socket"


@requires("CONN-CREATE_CONNECTION-15")
@pytest.mark.parametrize("listen", ["tcp6", "unix"])
async def test_families_of_a_socket(loop: Loop, listen: Any) -> None:
    """Connected stream sockets of IPv6 and UNIX are taken, too."""
    with Peer([accept(), expect(b"ask"), send(b"answer"), expect_eof()], listen=listen) as peer:
        ours = socket.socket(socket.AF_UNIX if listen == "unix" else socket.AF_INET6)
        ours.connect(peer.address)
        transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        transport.write(b"ask")
        await until(lambda: protocol.history.received == b"answer", "the answer")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await verified(peer)


@requires("CONN-CREATE_CONNECTION-15")
async def test_one_end_of_a_pair(loop: Loop) -> None:
    """One end of socket.socketpair() is taken."""
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        theirs.send(b"data")
        await until(lambda: protocol.history.received == b"data", "data")
        await ended(transport, protocol)
        await until(lambda: readable(theirs), "the end of the stream")
        assert theirs.recv(10) == b""


@requires("CONN-CREATE_CONNECTION-58")
async def test_a_closed_socket(loop: Loop) -> None:
    """A socket that is closed is an OSError or a ValueError."""
    ours = socket.socket()
    ours.close()
    with raises(OSError, ValueError):
        await loop.create_connection(RecordingProtocol, sock=ours)


@requires("CONN-CREATE_CONNECTION-58")
@pytest.mark.parametrize("state", ["new", "bound", "listening"])
async def test_a_socket_that_is_not_connected(loop: Loop, state: str, reports: list[Any]) -> None:
    """A socket that is not connected is an OSError, or makes a transport that is lost with one."""
    with socket.socket() as ours:
        if state != "new":
            ours.bind(("127.0.0.1", 0))
        if state == "listening":
            ours.listen()
        try:
            transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        except OSError:
            return
        transport.write(b"data")
        await until(protocol.closed.is_set, "connection_lost()")
        assert isinstance(protocol.error, OSError)
        protocol.history.check()
