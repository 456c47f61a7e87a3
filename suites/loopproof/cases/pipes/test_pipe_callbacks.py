"""Protocols of pipes that raise, end the transport, write or pause in their callbacks."""

import asyncio
import contextlib
import os
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.execution import run_until_interrupted
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import drained, fill, opened, reading_pipe, writing_pipe
from loopproof.faultkit import pattern, verify_pattern

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]
WIDE = 1_000_000
"""More bytes than the kernel takes while nobody reads."""


def fail(_: Any) -> None:
    """Raise what no loop raises."""
    raise ZeroDivisionError


@requires("PIPE-CONNECT_READ_PIPE-14")
@pytest.mark.parametrize("callback", ["data_received", "eof_received", "connection_lost"])
async def test_an_error_of_a_protocol_that_reads(loop: Loop, reports: list[Report], callback: str) -> None:
    """What a callback raises is reported, once, and connection_lost() comes all the same, and the pipe is closed."""
    async with reading_pipe(loop, on={callback: fail}) as link:
        os.write(link.beyond, b"hello")
        await link.received(5)
        await until(lambda: reports or callback != "data_received", "the report")
        os.close(link.beyond)
        await link.lost()
        await until(lambda: link.file.closed, "the end of the file object")
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
        assert callback in link.names
        reports.clear()


@requires("PIPE-CONNECT_READ_PIPE-14")
async def test_an_error_of_connection_made(loop: Loop, reports: list[Report]) -> None:
    """What connection_made() raises is reported, and the pipe is read all the same."""
    async with reading_pipe(loop, on={"connection_made": fail}) as link:
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
        reports.clear()
        os.write(link.beyond, b"hello")
        await until(lambda: link.protocol.history.received == b"hello", "data", share=0.1)


@requires("PIPE-CONNECT_WRITE_PIPE-16")
@pytest.mark.parametrize("callback", ["connection_made", "pause_writing", "resume_writing", "connection_lost"])
async def test_an_error_of_a_protocol_that_writes(loop: Loop, reports: list[Report], callback: str) -> None:
    """What a callback raises is reported, once, and what was written arrives."""
    async with writing_pipe(loop, on={callback: fail}) as link:
        link.transport.write(pattern(4, WIDE))
        assert "pause_writing" in link.names
        await polls(2)
        assert verify_pattern(await link.written(WIDE), 4) is None
        await link.seen("resume_writing")
        link.transport.close()
        await link.lost()
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
        reports.clear()


@requires("PIPE-CONNECT_READ_PIPE-15")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt(loop: Loop, error: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit in data_received() come out of the run, and the loop can run on."""

    def interrupt(_: Any) -> None:
        raise error

    async def end(transport: Any) -> None:
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: file.closed, "the end of the file object")

    protocol = RecordingProtocol(on={"data_received": interrupt})
    with opened() as (reading, writing):
        file = os.fdopen(reading, "rb", 0)
        transport, _ = loop.run_until_complete(loop.connect_read_pipe(lambda: protocol, file))
        os.write(writing, b"hello")
        run_until_interrupted(loop, error)
        loop.run_until_complete(end(transport))
        protocol.history.check()


@requires("PIPE-CONNECT_READ_PIPE-08")
@pytest.mark.parametrize("callback", ["connection_made", "data_received", "eof_received", "connection_lost"])
async def test_close_in_a_callback_of_a_reader(loop: Loop, reports: list[Report], callback: str) -> None:
    """A protocol may close in any callback: nothing but connection_lost(None) comes after it, once."""
    async with reading_pipe(loop, on={callback: lambda p: p.transport.close()}) as link:
        with contextlib.suppress(BrokenPipeError):
            os.write(link.beyond, b"hello")
        await polls(3)
        os.close(link.beyond)
        assert await link.lost() is None
        at = link.names.index(callback)
        assert link.names[at + 1 :] == ([] if callback == "connection_lost" else ["connection_lost"])
        assert not reports


ENDS = ("close", "write_eof", "abort")


@requires("PIPE-CONNECT_WRITE_PIPE-17")
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("callback", ["connection_made", "pause_writing"])
async def test_an_end_in_a_callback_of_a_writer(loop: Loop, reports: list[Report], callback: str, how: str) -> None:
    """A protocol may end the transport in any callback: connection_lost(None) comes, once, and nothing is reported."""
    async with writing_pipe(loop, on={callback: lambda p: getattr(p.transport, how)()}) as link:
        if callback != "connection_made":
            link.transport.write(pattern(4, WIDE))
            await polls(2)
            received = await link.written(WIDE)
            assert len(received) == WIDE or (callback, how) == ("pause_writing", "abort")
            assert verify_pattern(received, 4) is None
        assert await link.lost() is None
        await polls(2)
        assert not reports


@requires("PIPE-CONNECT_WRITE_PIPE-17")
@pytest.mark.parametrize("how", ENDS)
async def test_an_end_in_resume_writing(loop: Loop, reports: list[Report], how: str) -> None:
    """A protocol may end the transport in resume_writing(): connection_lost(None) comes, once, nothing is reported."""
    async with writing_pipe(loop, on={"resume_writing": lambda p: getattr(p.transport, how)()}) as link:
        link.transport.write(bytes(WIDE))
        await link.written(WIDE)
        assert await link.lost() is None
        await polls(2)
        seen = [str(report) for report in reports]
        reports.clear()
        assert not seen, f"reported: {seen}"


@requires("PIPE-CONNECT_WRITE_PIPE-17")
@pytest.mark.parametrize("how", ["close", "write_eof"])
async def test_an_end_in_connection_lost(loop: Loop, reports: list[Report], how: str) -> None:
    """close() and write_eof() in connection_lost() do nothing, and neither does a write()."""

    def end(protocol: Any) -> None:
        getattr(protocol.transport, how)()
        with contextlib.suppress(RuntimeError):  # as for sockets
            protocol.transport.write(b"too late")

    async with writing_pipe(loop, on={"connection_lost": end}) as link:
        link.transport.close()
        assert await link.lost() is None
        await polls(2)
        assert await link.written(0) == b""
        assert not reports


@requires("PIPE-CONNECT_WRITE_PIPE-17")
@pytest.mark.parametrize("first", ENDS)
async def test_an_abort_when_the_transport_is_closing(loop: Loop, reports: list[Report], first: str) -> None:
    """An abort() behind another end does nothing more: connection_lost(None) comes once, and nothing is reported."""
    async with writing_pipe(loop) as link:
        getattr(link.transport, first)()
        link.transport.abort()
        assert await link.lost() is None
        await polls(2)
        seen = [str(report) for report in reports]
        reports.clear()
        assert not seen, f"reported: {seen}"


@requires("PIPE-CONNECT_WRITE_PIPE-17")
async def test_an_abort_when_the_connection_is_lost(loop: Loop) -> None:
    """An abort() of a transport whose connection is lost does nothing."""
    async with writing_pipe(loop) as link:
        link.transport.close()
        await link.lost()
        await polls(2)
        link.transport.abort()
        await polls(2)


@requires("PIPE-CONNECT_WRITE_PIPE-01", "PIPE-CONNECT_WRITE_PIPE-02")
async def test_a_protocol_that_writes_when_it_may(loop: Loop) -> None:
    """A protocol that writes on in each resume_writing() sends all bytes in order."""
    data = pattern(4, 5 * WIDE)
    sent = 0

    def more(protocol: Any) -> None:
        nonlocal sent
        while sent < len(data) and protocol.history.names[-1] != "pause_writing":
            protocol.transport.write(data[sent : sent + 100_003])
            sent += 100_003

    async with writing_pipe(loop, on={"connection_made": more, "resume_writing": more}) as link:
        assert verify_pattern(received := await link.written(len(data)), 4) is None
        assert len(received) == len(data)
        assert link.names.count("pause_writing") > 1


@requires("PIPE-CONNECT_WRITE_PIPE-22")
async def test_another_protocol_for_a_writer(loop: Loop) -> None:
    """After set_protocol() the new protocol is told of pauses and of the end, the old one of nothing."""
    async with writing_pipe(loop) as link:
        other = RecordingProtocol()
        link.transport.set_protocol(other)
        assert link.transport.get_protocol() is other
        link.transport.write(bytes(WIDE))
        await link.written(WIDE)
        await until(lambda: "resume_writing" in other.history.names, "resume_writing() for the new protocol")
        assert link.names == ["connection_made"], "the old protocol was told of what came after it"
        link.transport.close()
        await until(other.closed.is_set, "connection_lost() for the new protocol")
        assert other.history.names == ["pause_writing", "resume_writing", "connection_lost"]
        link.protocol.connection_lost(None)


@requires("PIPE-CONNECT_READ_PIPE-07")
async def test_a_pause_after_each_piece(loop: Loop) -> None:
    """A protocol that pauses in data_received() and resumes later gets one piece a time, and all bytes in order."""
    data = pattern(3, 3 * 65_536)

    def wait(protocol: Any) -> None:
        protocol.transport.pause_reading()
        before = len(protocol.history.received)
        loop.call_later(0.001, resume, protocol, before)

    def resume(protocol: Any, before: int) -> None:
        kept.append(len(protocol.history.received) == before)
        protocol.transport.resume_reading()

    kept: list[bool] = []
    async with reading_pipe(loop, on={"data_received": wait}) as link:
        sent = 0
        while sent < len(data):
            sent += os.write(link.beyond, data[sent : sent + 4096])
            await until(lambda: len(link.protocol.history.received) >= sent, "data")  # noqa: B023 - awaited here
        os.close(link.beyond)
        await link.lost()
        assert all(kept), "data were delivered during a pause"
        assert verify_pattern(link.protocol.history.received, 3) is None


@requires("PIPE-CONNECT_READ_PIPE-07")
async def test_pauses_behind_the_end(loop: Loop) -> None:
    """pause_reading() and resume_reading() of a transport that is closing, or lost, do nothing."""
    async with reading_pipe(loop) as link:
        os.write(link.beyond, b"unread")
        link.transport.close()
        for _ in range(2):
            link.transport.pause_reading()
            link.transport.resume_reading()
            assert link.transport.is_reading() is False
            await link.lost()
        await polls(2)
        assert link.names == ["connection_made", "connection_lost"]


@requires("PIPE-CONNECT_WRITE_PIPE-01", "PIPE-CONNECT_WRITE_PIPE-02")
@pytest.mark.parametrize("step", [1, 4095, 4096, 4097])
async def test_a_slow_reader(loop: Loop, step: int) -> None:
    """Writes of sizes around a page to a pipe that is full arrive in order, however little the reader takes a time."""
    sizes = (1, 4095, 4096, 4097, 3 * 4096 + 1)
    data = pattern(4, 2 * sum(sizes))
    async with writing_pipe(loop) as link:
        held = fill(link.file.fileno())
        sent = 0
        for size in 2 * sizes:
            link.transport.write(data[sent : sent + size])
            sent += size
            assert link.transport.get_write_buffer_size() == sent, "a full pipe has taken something"
        for _ in range(10):
            got = os.read(link.beyond, step)
            held -= len(got)
            await polls(1)
        found = await link.written(held + len(data))
        assert found[:held] == bytes(held)
        assert verify_pattern(found[held:], 4) is None
        assert len(found) == held + len(data)
        assert drained(link.beyond) == b""
