"""create_datagram_endpoint(sock=...): a socket in every state, and whose it is."""

import asyncio
import os
import socket
from operator import methodcaller
from typing import Any

import pytest

from loopproof.authoring import requires
from loopproof.authoring.datagrams import bound, endpoint
from loopproof.authoring.descriptors import closed_once
from loopproof.authoring.history import RecordingDatagramProtocol

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12", "DGRAM-CREATE_DATAGRAM_ENDPOINT-30")
@pytest.mark.parametrize("mode", ["blocking", "timeout", "non-blocking"])
async def test_the_socket_is_used_as_it_is(loop: Loop, mode: str) -> None:
    """Datagrams go both ways through the socket that is given, and it does not block."""
    with bound() as ours, bound() as beyond:
        ours.settimeout({"blocking": None, "timeout": 5.0, "non-blocking": 0.0}[mode])
        name, number = ours.getsockname(), ours.fileno()
        async with endpoint(loop, sock=ours) as link:
            assert ours.gettimeout() == 0.0
            assert os.get_blocking(number) is False
            assert link.transport.get_extra_info("sockname") == name
            assert link.transport.get_extra_info("socket").fileno() == number
            beyond.sendto(b"hello", name)
            assert await link.delivered(1) == [b"hello"]
            link.transport.sendto(b"answer", beyond.getsockname())
            beyond.settimeout(5)
            assert beyond.recvfrom(100) == (b"answer", name)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-30")
@pytest.mark.parametrize("how", ["local_addr", "remote_addr", "family"])
async def test_a_socket_of_the_loop_does_not_block(loop: Loop, how: str) -> None:
    """A socket that the loop makes does not block."""
    arguments: dict[str, Any] = {
        "local_addr": ("127.0.0.1", 0),
        "remote_addr": ("127.0.0.1", 9),
        "family": socket.AF_INET,
    }
    async with endpoint(loop, **{how: arguments[how]}) as link:
        assert os.get_blocking(link.transport.get_extra_info("socket").fileno()) is False


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12", "DGRAM-SENDTO-02")
@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
async def test_a_connected_socket(loop: Loop, family: str) -> None:
    """A connected socket sends without an address, and peername is that of its peer."""
    with bound(getattr(socket, family)) as ours, bound(getattr(socket, family)) as beyond:
        ours.connect(beyond.getsockname())
        async with endpoint(loop, sock=ours) as link:
            assert link.transport.get_extra_info("peername") == beyond.getsockname()
            link.transport.sendto(b"hello")
            beyond.settimeout(5)
            assert beyond.recvfrom(100) == (b"hello", link.name)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12")
async def test_a_socket_that_is_not_bound(loop: Loop) -> None:
    """A socket without any address sends, and is bound by that."""
    with bound() as beyond:
        async with endpoint(loop, sock=socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as link:
            link.transport.sendto(b"hello", beyond.getsockname())
            beyond.settimeout(5)
            data, sender = beyond.recvfrom(100)
            beyond.sendto(b"answer", sender)
            assert data == b"hello"
            assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12")
async def test_one_end_of_a_pair_receives(loop: Loop) -> None:
    """One end of a pair of datagram sockets, which have no names, receives."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        async with endpoint(loop, sock=ours) as link:
            theirs.send(b"hello")
            assert await link.delivered(1) == [b"hello"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-32")
async def test_one_end_of_a_pair_sends(loop: Loop, reports: list[Any]) -> None:
    """One end of a pair of datagram sockets, which have no names, sends to the other."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.setblocking(False)
        async with endpoint(loop, sock=ours) as link:
            link.transport.sendto(b"hello")
            await asyncio.sleep(0)
            assert not reports, f"sendto() to a peer without a name was taken for a bug: {reports.pop()}"
            assert theirs.recv(100) == b"hello"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-31", "DGRAM-RECEIVED-09", "DGRAM-RECEIVED-05")
async def test_what_came_before_the_loop(loop: Loop) -> None:
    """What the socket has received before is delivered behind connection_made(), in order."""
    with bound() as ours, bound() as beyond:
        for data in (b"one", b"", b"two"):
            beyond.sendto(data, ours.getsockname())
        async with endpoint(loop, sock=ours) as link:
            assert await link.delivered(3) == [b"one", b"", b"two"]
            assert link.names == ["connection_made", *["datagram_received"] * 3]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12", "DGRAM-CLOSE-05")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_transport_closes_the_socket(loop: Loop, how: str) -> None:
    """The socket is closed with the transport, once: what has its number by then is left alone."""
    with bound() as ours:
        await closed_once(
            lambda ours: loop.create_datagram_endpoint(RecordingDatagramProtocol, sock=ours), ours, methodcaller(how)
        )


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12")
async def test_a_socket_that_nobody_keeps(loop: Loop) -> None:
    """The transport keeps the socket alive on its own."""
    with bound() as beyond:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.bind(("127.0.0.1", 0))
        name = ours.getsockname()
        arguments: dict[str, Any] = {"sock": ours}
        del ours
        async with endpoint(loop, **arguments) as link:
            arguments.clear()
            beyond.sendto(b"hello", name)
            assert await link.delivered(1) == [b"hello"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-14", "DGRAM-SENDTO-02")
async def test_a_socket_of_packets(loop: Loop) -> None:
    """Since Python 3.13 a socket of another type than SOCK_STREAM is taken: SOCK_SEQPACKET keeps boundaries, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, bound(socket.AF_UNIX) as place:
        name = place.getsockname() + "-packets"
        listener.bind(name)
        listener.listen()
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.connect(name)
        theirs, _ = listener.accept()
        with ours, theirs:
            async with endpoint(loop, sock=ours) as link:
                theirs.send(b"one")
                theirs.send(b"two")
                assert await link.delivered(2) == [b"one", b"two"]
                link.transport.sendto(b"answer")
                theirs.settimeout(5)
                assert theirs.recv(100) == b"answer"
