"""close() and abort() of endpoints: what is still sent, what is still told, and when the descriptor is closed."""

import asyncio
import gc
import os
import weakref
from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, requires, until
from loopproof.authoring.datagrams import LOOPBACK, bound, clogged, datagram_link, numbered
from loopproof.authoring.descriptors import is_open
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import polls

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-CLOSE-01", "DGRAM-CLOSE-04", "DGRAM-CLOSE-07")
@on_datagrams()
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_end(loop: Loop, kind: str, how: str) -> None:
    """connection_lost(None) is called, not from within close() or abort(), and is_closing() tells."""
    async with datagram_link(loop, kind) as link:
        assert link.transport.is_closing() is False
        link.send(b"hello")
        assert getattr(link.transport, how)() is None
        assert link.transport.is_closing() is True
        assert link.names == ["connection_made"], "a callback was called from within"
        assert await link.lost() is None
        assert link.names == ["connection_made", "connection_lost"]
        assert link.transport.is_closing() is True
        assert await link.sent(1) == [b"hello"]


@requires("DGRAM-CLOSE-01")
@on_datagrams("unix", "unix-connected")
async def test_close_sends_what_is_queued(loop: Loop, kind: str) -> None:
    """close() sends what is queued when the receiver reads, in order, and then connection_lost(None) is called."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(*map(numbered, range(count, count + 30)))
        link.transport.close()
        await polls(5)
        assert "connection_lost" not in link.names, "the endpoint was lost before all was sent"
        assert await link.sent(count + 30) == [*map(numbered, range(count + 30))]
        assert await link.lost() is None


@requires("DGRAM-CLOSE-02")
@on_datagrams("unix", "unix-connected")
@pytest.mark.parametrize("first", ["nothing", "close"])
async def test_abort_drops_what_is_queued(loop: Loop, kind: str, first: str, reports: list[Any]) -> None:
    """abort() ends the endpoint at once though the receiver reads nothing, also after close(); nothing is reported."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(b"dropped")
        if first == "close":
            link.transport.close()
        link.transport.abort()
        assert "connection_lost" not in link.names, "connection_lost() was called from within abort()"
        assert await link.lost() is None
        await polls(2)
        assert link.arrived() == [*map(numbered, range(count - 1))]
        assert not link.errors
        assert not reports, f"reports: {reports}"


@requires("DGRAM-CLOSE-08")
@on_datagrams("unix-connected")
async def test_a_closing_endpoint_waits(loop: Loop, kind: str) -> None:
    """A receiver that does not read keeps a closing endpoint open, until abort()."""
    async with datagram_link(loop, kind) as link:
        await clogged(link)
        link.transport.close()
        await polls(20)
        assert "connection_lost" not in link.names
        assert link.transport.is_closing()
        link.transport.abort()
        assert await link.lost() is None


@requires("DGRAM-CLOSE-03")
@on_datagrams()
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_nothing_is_told_after_the_end(loop: Loop, kind: str, how: str) -> None:
    """What has come before close() or abort() and was not delivered is not delivered after it."""
    async with datagram_link(loop, kind) as link:
        link.come(b"early")
        await link.delivered(1)
        link.come(b"late", b"later")
        getattr(link.transport, how)()
        await link.lost()
        await polls(2)
        assert link.names == ["connection_made", "datagram_received", "connection_lost"]


@requires("DGRAM-CLOSE-03")
@on_datagrams("unix-connected")
async def test_nothing_is_received_while_the_queue_is_sent(loop: Loop, kind: str) -> None:
    """A closing endpoint that still has datagrams to send receives none."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.transport.close()
        link.come(b"late")
        await polls(5)
        assert link.told == [], "a datagram was delivered after close()"
        await link.sent(count)
        assert await link.lost() is None
        assert link.told == []


@requires("DGRAM-CLOSE-04")
@on_datagrams("unix-connected", "udp")
@pytest.mark.parametrize("calls", ["cc", "aa", "ca", "ac", "caca", "cccaaa"])
@pytest.mark.parametrize("queued", [False, True])
async def test_the_end_is_asked_for_repeatedly(loop: Loop, kind: str, calls: str, queued: bool) -> None:
    """close() and abort() may be called in any order and number: connection_lost(None) is called once."""
    async with datagram_link(loop, kind) as link:
        if queued and kind != "udp":
            await clogged(link)
        for call in calls:
            link.transport.close() if call == "c" else link.transport.abort()
            assert link.transport.is_closing()
        assert await link.drained() is None
        await polls(2)
        assert link.names.count("connection_lost") == 1


@requires("DGRAM-CLOSE-04")
@on_datagrams("udp", "unix")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_end_of_what_is_lost(loop: Loop, kind: str, how: str) -> None:
    """close() and abort() of an endpoint that is lost do nothing."""
    async with datagram_link(loop, kind) as link:
        getattr(link.transport, how)()
        await link.lost()
        link.transport.close()
        link.transport.abort()
        await polls(2)
        assert link.names == ["connection_made", "connection_lost"]


@requires("DGRAM-CLOSE-04")
@on_datagrams("unix-connected")
async def test_an_abort_when_the_endpoint_has_closed_behind_datagrams(loop: Loop, kind: str) -> None:
    """abort() does nothing on an endpoint that was closed with datagrams to send, has sent them and is lost."""
    async with datagram_link(loop, kind) as link:
        await clogged(link)
        link.transport.close()
        await link.drained()
        await polls(1)
        link.transport.abort()
        await polls(2)
        assert link.names == ["connection_made", "connection_lost"]


@requires("DGRAM-CLOSE-05")
@on_datagrams()
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_descriptor_is_closed(loop: Loop, kind: str, how: str, fails: bool, reports: list[Any]) -> None:
    """The descriptor is open in connection_lost() and closed soon after it, also if that raises, which is reported."""
    seen: list[bool] = []
    number = identity = -1

    def look(_: Any) -> None:
        seen.append(is_open(number, identity))
        if fails:
            raise ZeroDivisionError

    async with datagram_link(loop, kind, on={"connection_lost": look}) as link:
        number = link.transport.get_extra_info("socket").fileno()
        identity = os.fstat(number).st_ino
        getattr(link.transport, how)()
        await link.lost()
        await until(lambda: not is_open(number, identity), f"the end of descriptor {number}")
        assert seen == [True], "the descriptor was closed before connection_lost() was called"
        assert len(reports) == fails, f"reports: {reports}"
        reports.clear()


@requires("DGRAM-CLOSE-05")
@needs("udp")
async def test_the_address_is_free_after_the_end(loop: Loop) -> None:
    """The address of an endpoint that is lost can be bound by another one."""
    protocol = RecordingDatagramProtocol()
    transport, _ = await loop.create_datagram_endpoint(lambda: protocol, local_addr=(LOOPBACK, 0))
    name = transport.get_extra_info("sockname")
    for _ in range(5):
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await polls(1)
        protocol = RecordingDatagramProtocol()
        make: Any = lambda given=protocol: given  # noqa: E731
        transport, _ = await loop.create_datagram_endpoint(make, local_addr=name)
    transport.close()
    await until(protocol.closed.is_set, "connection_lost()")


@requires("DGRAM-CLOSE-09")
@needs("udp")
async def test_an_endpoint_that_nobody_keeps(loop: Loop) -> None:
    """An endpoint that the program does not refer to receives on, until it is closed."""

    class Plain(asyncio.DatagramProtocol):
        def __init__(self, told: list[Any]) -> None:
            self.told = told

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.told.append(data)
            if data == b"end":
                self.transport.close()

        def connection_lost(self, error: Exception | None) -> None:
            self.told.append(error)

    told: list[Any] = []
    with bound() as beyond:
        transport, protocol = await loop.create_datagram_endpoint(lambda: Plain(told), local_addr=("127.0.0.1", 0))
        name, kept = transport.get_extra_info("sockname"), weakref.ref(protocol)
        del transport, protocol
        gc.collect()
        beyond.sendto(b"hello", name)
        await until(lambda: told, "the datagram")
        beyond.sendto(b"end", name)
        await until(lambda: None in told, "connection_lost()")
        assert told == [b"hello", b"end", None]
        await polls(2)
        gc.collect()
        assert kept() is None, "the protocol is kept after connection_lost()"
