"""Datagrams that the kernel does not take at once: their order, the size of the buffer, marks, pauses."""

from typing import Any

import pytest

from loopproof.authoring import on_datagrams, raises, requires, until
from loopproof.authoring.datagrams import clogged, datagram_link, numbered
from loopproof.authoring.links import pauses, polls
from loopproof.faultkit import pattern

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-SENDTO-07", "DGRAM-SENDTO-09")
@on_datagrams("unix", "unix-connected")
async def test_what_is_queued_is_sent_in_order(loop: Loop, kind: str) -> None:
    """sendto() returns though the receiver is full, and what is queued is sent in order when it reads."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(*map(numbered, range(count, count + 50)))
        await polls(2)
        assert await link.sent(count + 50) == [*map(numbered, range(count + 50))]
        assert not link.errors


@requires("DGRAM-SENDTO-07")
@on_datagrams("unix-connected")
async def test_what_is_sent_while_others_are_queued(loop: Loop, kind: str) -> None:
    """A datagram does not pass those that are queued, though there is room for it."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.arrived()
        link.send(b"last")  # the kernel would take it by now
        assert await link.sent(count + 1) == [*map(numbered, range(count)), b"last"]


@requires("DGRAM-SENDTO-05", "DGRAM-SENDTO-07")
@on_datagrams("unix-connected")
async def test_empty_datagrams_are_queued(loop: Loop, kind: str) -> None:
    """Empty datagrams are queued and sent like others."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(b"", b"full", b"", b"last")
        await until(lambda: b"last" in link.arrived(), "the last datagram")
        assert link.arrived()[count:] == [b"", b"full", b"", b"last"]


@requires("DGRAM-SENDTO-08")
@on_datagrams("unix", "unix-connected")
@pytest.mark.parametrize("kind_of_data", [bytearray, memoryview])
async def test_a_buffer_that_changes(loop: Loop, kind: str, kind_of_data: Any) -> None:
    """A caller may change its buffer, and resize it, as soon as sendto() has returned."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        buffer = bytearray(pattern(5, 200))
        if kind_of_data is memoryview:
            with memoryview(buffer) as view:
                link.send(view)
        else:
            link.send(buffer)
        buffer[:] = bytes(200)
        buffer.clear()
        assert (await link.sent(count + 1))[-1] == pattern(5, 200)


@requires("DGRAM-SENDTO-12", "DGRAM-SENDTO-07")
@on_datagrams("unix-connected")
async def test_views_are_queued_with_all_their_bytes(loop: Loop, kind: str) -> None:
    """Of views with wide items or several dimensions that are queued all bytes are sent."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        data = pattern(5, 240)
        link.send(memoryview(data).cast("Q"), memoryview(data).cast("B", (12, 20)), memoryview(data)[40:80])
        assert (await link.sent(count + 3))[count:] == [data, data, data[40:80]]


@requires("DGRAM-FLOW-01")
@on_datagrams("unix", "unix-connected")
async def test_the_size_of_the_buffer(loop: Loop, kind: str) -> None:
    """What is queued counts, each datagram once, and what the kernel has taken does not."""
    async with datagram_link(loop, kind) as link:
        assert link.transport.get_write_buffer_size() == 0
        await clogged(link, 500)
        one = link.transport.get_write_buffer_size()
        assert 500 <= one < 600
        link.send(bytes(500), bytearray(500), memoryview(bytes(500)))
        assert link.transport.get_write_buffer_size() == 4 * one
        link.send(bytes(1500))
        assert link.transport.get_write_buffer_size() == 5 * one + 1000


@requires("DGRAM-FLOW-02")
@on_datagrams("unix-connected")
async def test_headers_count(loop: Loop, kind: str) -> None:
    """Since Python 3.13 a queued datagram counts for more than its bytes, so that empty ones count, too."""
    async with datagram_link(loop, kind) as link:
        await clogged(link, 500)
        one = link.transport.get_write_buffer_size()
        assert one > 500
        for number in range(1, 10):
            link.send(b"")
            assert link.transport.get_write_buffer_size() == one + number * (one - 500)


@requires("DGRAM-FLOW-06")
@on_datagrams("unix-connected")
async def test_wide_items_count_with_all_their_bytes(loop: Loop, kind: str) -> None:
    """Of a memoryview whose items have several bytes the bytes count, not the items."""
    async with datagram_link(loop, kind) as link:
        await clogged(link, 500)
        one = link.transport.get_write_buffer_size()
        link.send(memoryview(bytes(800)).cast("Q"))
        grown = link.transport.get_write_buffer_size() - one
        assert grown == 800 + one - 500, f"for 800 bytes the buffer has grown by {grown}"


@requires("DGRAM-FLOW-03")
@on_datagrams("unix", "unix-connected")
async def test_the_size_when_all_is_sent(loop: Loop, kind: str) -> None:
    """When all datagrams have left the size is 0, time and again."""
    async with datagram_link(loop, kind) as link:
        total = 0
        for _ in range(3):
            total += await clogged(link) + 2
            link.send(b"one", b"two")
            await link.sent(total)
            await until(lambda: link.transport.get_write_buffer_size() == 0, "a buffer size of 0", share=0.1)


@requires("DGRAM-FLOW-08")
@on_datagrams("unix", "unix-connected")
async def test_the_size_after_an_abort(loop: Loop, kind: str) -> None:
    """abort() throws away what is queued: afterwards the size is 0."""
    async with datagram_link(loop, kind) as link:
        await clogged(link)
        link.transport.abort()
        assert link.transport.get_write_buffer_size() == 0
        await link.lost()
        assert link.transport.get_write_buffer_size() == 0


@requires("DGRAM-FLOW-05")
@on_datagrams()
async def test_the_marks_of_a_new_transport(loop: Loop, kind: str) -> None:
    """The marks of a new transport are 16 KiB and 64 KiB, as (low, high); they can be set."""
    async with datagram_link(loop, kind) as link:
        assert link.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        link.transport.set_write_buffer_limits(high=1003)
        assert link.transport.get_write_buffer_limits() == (250, 1003)
        link.transport.set_write_buffer_limits(low=1003)
        assert link.transport.get_write_buffer_limits() == (1003, 4012)
        link.transport.set_write_buffer_limits(0, 0)
        assert link.transport.get_write_buffer_limits() == (0, 0)
        with raises(ValueError):
            link.transport.set_write_buffer_limits(high=1, low=2)
        with raises(ValueError):
            link.transport.set_write_buffer_limits(high=-1)
        assert link.transport.get_write_buffer_limits() == (0, 0), "the marks changed though they were refused"
        link.transport.set_write_buffer_limits()
        assert link.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)


@requires("DGRAM-FLOW-01")
@on_datagrams("unix", "unix-connected")
async def test_a_pause_and_its_end(loop: Loop, kind: str) -> None:
    """pause_writing() is called within the sendto() that goes above the mark, once, resume_writing() below the low."""
    async with datagram_link(loop, kind) as link:
        link.transport.set_write_buffer_limits(high=2000, low=1000)
        total = await clogged(link, 500)
        while not pauses(link):
            before = link.transport.get_write_buffer_size()
            assert before <= 2000, "the protocol is not paused though the buffer is above the mark"
            link.send(bytes(500))
            total += 1
        assert link.transport.get_write_buffer_size() > 2000, "the protocol was paused below the mark"
        link.send(bytes(500))
        await polls(2)
        assert pauses(link) == ["pause_writing"]
        await link.sent(total + 1)
        await link.seen("resume_writing")
        await polls(1)
        assert pauses(link) == ["pause_writing", "resume_writing"]


@requires("DGRAM-FLOW-01")
@on_datagrams("unix-connected")
async def test_the_size_at_resume_writing(loop: Loop, kind: str) -> None:
    """resume_writing() is called with no more than the low mark queued, and another pause may follow it."""
    sizes: list[int] = []
    on = {"resume_writing": lambda protocol: sizes.append(protocol.transport.get_write_buffer_size())}
    async with datagram_link(loop, kind, on=on) as link:
        link.transport.set_write_buffer_limits(high=3000, low=1500)
        total = 0
        for turn in range(1, 4):
            total += await clogged(link, 500)
            while len(pauses(link)) < 2 * turn - 1:
                link.send(bytes(500))
                total += 1
            await link.sent(total)
            await link.seen("resume_writing", turn)
        assert all(size <= 1500 for size in sizes), f"resume_writing() was called with {sizes} bytes queued"


@requires("DGRAM-FLOW-01", "DGRAM-FLOW-05", "DGRAM-FLOW-03")
@on_datagrams("unix-connected")
async def test_marks_of_zero(loop: Loop, kind: str) -> None:
    """With high=0 the first datagram that is queued pauses, and new marks do so at once."""
    async with datagram_link(loop, kind) as link:
        link.transport.set_write_buffer_limits(high=0)
        total = await clogged(link)
        assert pauses(link) == ["pause_writing"]
        await link.sent(total)
        await until(lambda: "resume_writing" in link.names, "resume_writing()", share=0.1)
        link.transport.set_write_buffer_limits()
        await clogged(link)
        assert pauses(link) == ["pause_writing", "resume_writing"]
        link.transport.set_write_buffer_limits(high=0)
        assert pauses(link) == ["pause_writing", "resume_writing", "pause_writing"]


@requires("DGRAM-FLOW-05")
@on_datagrams("udp", "udp-connected")
async def test_what_the_system_takes_does_not_pause(loop: Loop, kind: str) -> None:
    """Even with high=0 there is no pause where the system takes each datagram."""
    async with datagram_link(loop, kind) as link:
        link.transport.set_write_buffer_limits(high=0)
        for number in range(20):
            link.send(bytes(1000))
            await link.sent(number + 1)
            assert link.transport.get_write_buffer_size() == 0
        assert pauses(link) == []


def fails(_: Any) -> None:
    """A reaction that raises."""
    raise ZeroDivisionError


@requires("DGRAM-FLOW-07")
@on_datagrams("unix-connected")
@pytest.mark.parametrize("where", ["pause_writing", "resume_writing"])
async def test_a_protocol_that_fails_when_told(loop: Loop, kind: str, where: str, reports: list[Any]) -> None:
    """An Exception of pause_writing() or resume_writing() is reported once, and all datagrams are sent."""
    async with datagram_link(loop, kind, on={where: fails}) as link:
        link.transport.set_write_buffer_limits(high=4000, low=3000)
        total = await clogged(link, 5000)
        link.send(b"one", b"two")
        await link.sent(total + 2)
        await link.seen("resume_writing")
        await polls(1)
        contexts = list(reports)
        reports.clear()
        assert [type(context.get("exception")) for context in contexts] == [ZeroDivisionError], f"reports: {contexts}"
        assert contexts[0].get("transport") is link.transport, f"the report does not name the transport: {contexts[0]}"
        assert contexts[0].get("protocol") is link.protocol, f"the report does not name the protocol: {contexts[0]}"


@requires("DGRAM-FLOW-09")
@on_datagrams("unix-connected")
async def test_an_abort_while_paused(loop: Loop, kind: str) -> None:
    """An endpoint that is aborted while paused is lost without resume_writing()."""
    async with datagram_link(loop, kind) as link:
        link.transport.set_write_buffer_limits(high=0)
        await clogged(link)
        link.transport.abort()
        assert await link.lost() is None
        assert pauses(link) == ["pause_writing"], "resume_writing() was called on an endpoint that is lost"


@requires("DGRAM-FLOW-01", "DGRAM-SENDTO-07")
@on_datagrams("unix-connected")
@pytest.mark.parametrize("more", [1, 200])
async def test_what_is_sent_in_resume_writing(loop: Loop, kind: str, more: int) -> None:
    """A protocol may send in resume_writing(): it is paused again if need be, and all is sent in order."""

    def send(protocol: Any) -> None:
        if protocol.history.names.count("resume_writing") == 1:
            for number in range(more):
                protocol.transport.sendto(numbered(number, 400))

    async with datagram_link(loop, kind, on={"resume_writing": send}) as link:
        link.transport.set_write_buffer_limits(high=4000, low=3000)
        total = await clogged(link, 5000)
        expected = [numbered(number, 5000) for number in range(total)]
        expected += [numbered(number, 400) for number in range(more)]
        assert await link.sent(total + more) == expected
        await until(lambda: pauses(link)[-1] == "resume_writing", "the end of the last pause")
        assert len(pauses(link)) == (2 if more == 1 else 4)


@requires("DGRAM-SENDTO-14", "DGRAM-SENDTO-07")
@on_datagrams("unix")
@pytest.mark.parametrize("wrong", [None, 5, ("127.0.0.1", 9)], ids=repr)
async def test_a_wrong_address_behind_others(loop: Loop, kind: str, wrong: Any, reports: list[Any]) -> None:
    """Behind a queue a wrong address is told as well, in one way; what was queued before it is sent."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        raised = False
        try:
            link.transport.sendto(b"wrong", wrong)
        except (TypeError, ValueError, OSError):
            raised = True
        assert await link.sent(count) == [*map(numbered, range(count))]
        await polls(3)
        told = [raised, bool(link.errors), link.protocol.error is not None]
        assert sum(told) == 1, f"sendto() raised, error_received(), connection_lost() with the error: {told}"
        if not link.protocol.closed.is_set():
            link.send(b"next")
            assert (await link.sent(count + 1))[-1] == b"next"
    reports.clear()  # where the error ends the endpoint it is reported, too
