"""Protocols that end the endpoint, or change the protocol, in a callback; protocols of any class."""

from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, requires, until
from loopproof.authoring.datagrams import DatagramLink, bound, clogged, datagram_link, endpoint
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import polls

Loop = Any  # typeshed does not know all arguments that are tried here


ENDS: dict[str, Any] = {
    "close": lambda protocol: protocol.transport.close(),
    "abort": lambda protocol: protocol.transport.abort(),
    "close twice": lambda protocol: (protocol.transport.close(), protocol.transport.close()),
    "close and abort": lambda protocol: (protocol.transport.close(), protocol.transport.abort()),
}


def ends(how: str) -> Any:
    """A reaction that ends the endpoint and returns nothing."""

    def react(protocol: Any) -> None:
        ENDS[how](protocol)

    return react


@requires("DGRAM-CLOSE-06", "DGRAM-CLOSE-03")
@on_datagrams("udp", "udp-connected", "unix-connected")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_connection_made(loop: Loop, kind: str, how: str, reports: list[Any]) -> None:
    """After an end in connection_made() the pair is returned, and connection_lost(None) is all that is told."""
    async with datagram_link(loop, kind, on={"connection_made": ends(how)}) as link:
        assert await link.lost() is None
        await polls(2)
        assert link.names == ["connection_made", "connection_lost"]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-CLOSE-06", "DGRAM-CLOSE-03")
@on_datagrams("udp", "udp-connected", "unix-connected")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_datagram_received(loop: Loop, kind: str, how: str, reports: list[Any]) -> None:
    """After an end in datagram_received() no datagram is delivered any more, though several are there."""
    async with datagram_link(loop, kind, on={"datagram_received": ends(how)}) as link:
        link.come(b"one", b"two", b"three")
        assert await link.lost() is None
        await polls(2)
        assert link.names == ["connection_made", "datagram_received", "connection_lost"]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-CLOSE-06", "DGRAM-CLOSE-03")
@on_datagrams("udp", "udp-connected")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_error_received(loop: Loop, kind: str, how: str, reports: list[Any]) -> None:
    """After an end in error_received() for a sendto() there is connection_lost(None) and nothing else."""
    async with datagram_link(loop, kind, on={"error_received": ends(how)}) as link:
        link.send(bytes(70_000))
        assert await link.lost() is None
        await polls(2)
        assert link.names == ["connection_made", "error_received", "connection_lost"]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-CLOSE-06", "DGRAM-CLOSE-03")
@needs("udp", "linux")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_error_received_of_a_receiver(loop: Loop, how: str, reports: list[Any]) -> None:
    """After an end in error_received() for what was received there is connection_lost(None) and nothing else."""
    with bound() as beyond:
        async with endpoint(loop, on={"error_received": ends(how)}, remote_addr=beyond.getsockname()) as link:
            beyond.close()
            link.transport.sendto(b"hello")
            assert await link.lost() is None
            await polls(2)
            assert link.names == ["connection_made", "error_received", "connection_lost"]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-CLOSE-06")
@on_datagrams("unix", "unix-connected")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_pause_writing(loop: Loop, kind: str, how: str, reports: list[Any]) -> None:
    """After an end in pause_writing() connection_lost(None) follows, once the queue is sent or dropped."""
    async with datagram_link(loop, kind, on={"pause_writing": ends(how)}) as link:
        link.transport.set_write_buffer_limits(high=0)
        await fill(link)
        assert await link.drained() is None
        await polls(2)
        assert link.names[:2] == ["connection_made", "pause_writing"]
    assert not reports, f"reports: {reports}"


async def fill(link: DatagramLink) -> None:
    """Send until the protocol is paused."""
    for _ in range(100_000):
        if "pause_writing" in link.names:
            return
        link.send(b"full")
    raise AssertionError("pause_writing() did not come")


@requires("DGRAM-CLOSE-06")
@on_datagrams("unix-connected")
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_an_end_in_resume_writing(loop: Loop, kind: str, how: str, reports: list[Any]) -> None:
    """After an end in resume_writing() connection_lost(None) follows, once, and nothing is reported."""
    async with datagram_link(loop, kind, on={"resume_writing": ends(how)}) as link:
        link.transport.set_write_buffer_limits(high=4000, low=3000)
        total = await clogged(link, 5000)
        await link.sent(total)
        assert await link.lost() is None
        await polls(2)
        assert link.names == ["connection_made", "pause_writing", "resume_writing", "connection_lost"]
        contexts = list(reports)
        reports.clear()
        assert not contexts, f"reports: {contexts}"


@requires("DGRAM-CLOSE-06", "DGRAM-CLOSE-04")
@on_datagrams("udp", "unix-connected")
async def test_an_end_in_connection_lost(loop: Loop, kind: str, reports: list[Any]) -> None:
    """close() and abort() in connection_lost() do nothing."""
    async with datagram_link(loop, kind, on={"connection_lost": ends("close and abort")}) as link:
        link.transport.close()
        assert await link.lost() is None
        await polls(2)
        assert link.names == ["connection_made", "connection_lost"]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-SET_PROTOCOL-01")
@on_datagrams("udp", "udp-connected", "unix-connected")
async def test_another_protocol(loop: Loop, kind: str) -> None:
    """After set_protocol() the new protocol is told of datagrams, errors and the end, and the old one of nothing."""
    other = RecordingDatagramProtocol()
    async with datagram_link(loop, kind) as link:
        link.transport.set_protocol(other)
        assert link.transport.get_protocol() is other
        link.come(b"hello")
        link.send(bytes(8_000_000))
        await until(lambda: len(other.history.names) == 2, "a datagram and an error for the new protocol")
        assert sorted(other.history.names) == ["datagram_received", "error_received"]
        assert link.names == ["connection_made"]
        link.transport.set_protocol(link.protocol)
        link.come(b"back")
        assert await link.delivered(1) == [b"back"]


@requires("DGRAM-SET_PROTOCOL-01")
@on_datagrams("udp", "unix-connected")
async def test_another_protocol_in_a_callback(loop: Loop, kind: str) -> None:
    """set_protocol() in datagram_received() holds from the next datagram on."""
    other = RecordingDatagramProtocol()
    on = {"datagram_received": lambda protocol: protocol.transport.set_protocol(other)}
    async with datagram_link(loop, kind, on=on) as link:
        link.come(b"one", b"two", b"three")
        await until(lambda: len(other.history.names) == 2, "two datagrams for the new protocol")
        assert other.history.received == b"twothree"
        assert link.names == ["connection_made", "datagram_received"]
        link.transport.set_protocol(link.protocol)


@requires("DGRAM-SET_PROTOCOL-01")
@on_datagrams("udp")
async def test_the_end_of_another_protocol(loop: Loop, kind: str) -> None:
    """connection_lost() is told to the protocol that the endpoint has then."""
    other = RecordingDatagramProtocol()
    async with datagram_link(loop, kind) as link:
        link.transport.set_protocol(other)
        link.transport.close()
        await until(other.closed.is_set, "connection_lost() of the new protocol")
        assert other.history.names == ["connection_lost"]
        link.protocol.history.ends = False
        link.protocol.closed.set()
        assert link.names == ["connection_made"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-01", "DGRAM-RECEIVED-01")
@needs("udp")
async def test_a_protocol_that_derives_from_nothing(loop: Loop) -> None:
    """A protocol is what has the methods; it need not derive from asyncio's classes."""

    class Plain:
        def __init__(self) -> None:
            self.told: list[Any] = []

        def connection_made(self, transport: Any) -> None:
            self.told.append("made")

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.told.append(data)

        def error_received(self, error: Exception) -> None:
            self.told.append(error)

        def connection_lost(self, error: Exception | None) -> None:
            self.told.append(error)

    with bound() as beyond:
        transport, protocol = await loop.create_datagram_endpoint(Plain, local_addr=("127.0.0.1", 0))
        beyond.sendto(b"hello", transport.get_extra_info("sockname"))
        await until(lambda: len(protocol.told) == 2, "the datagram")
        transport.close()
        await until(lambda: len(protocol.told) == 3, "connection_lost()")
        assert protocol.told == ["made", b"hello", None]
