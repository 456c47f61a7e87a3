"""connect_read_pipe(): what comes through a pipe, its end, pauses, and who closes the descriptor."""

import asyncio
import os
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import KINDS, fill, identity, opened, reading_pipe
from loopproof.faultkit import pattern, verify_pattern

Report = dict[str, Any]


@requires("PIPE-CONNECT_READ_PIPE-01", "PIPE-CONNECT_READ_PIPE-05")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_data(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """What is written into any kind of pipe is received, after connection_made()."""
    async with reading_pipe(loop, kind) as link:
        assert link.names == ["connection_made"]
        assert link.protocol.transport is link.transport
        os.write(link.beyond, b"one")
        assert await link.received(3) == b"one"
        os.write(link.beyond, b"two")
        assert await link.received(6) == b"onetwo"
        assert {type(event.arguments[0]) for event in link.protocol.history.events[1:]} == {bytes}


@requires("PIPE-CONNECT_READ_PIPE-01")
async def test_data_that_are_there_before(loop: asyncio.AbstractEventLoop) -> None:
    """Data that were written before the transport was made are received after connection_made()."""
    with opened() as (reading, writing):
        os.write(writing, b"early")
        protocol = RecordingProtocol()
        file = os.fdopen(reading, "rb", 0)
        transport, returned = await loop.connect_read_pipe(lambda: protocol, file)
        assert returned is protocol
        await until(lambda: protocol.history.received, "data")
        assert protocol.history.received == b"early"
        assert protocol.history.names[0] == "connection_made"
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: file.closed, "the end of the file object")


@requires("PIPE-CONNECT_READ_PIPE-01")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_a_long_stream(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """Every byte of a long stream is in its place."""
    total = 2_000_000
    data = memoryview(pattern(3, total))
    async with reading_pipe(loop, kind) as link:
        sent = 0
        while sent < total:
            try:
                sent += os.write(link.beyond, data[sent : sent + 70_001])
            except BlockingIOError:
                await asyncio.sleep(0)
        os.close(link.beyond)
        assert await link.lost() is None
        assert verify_pattern(link.protocol.history.received, 3) is None
        assert len(link.protocol.history.received) == total


@requires("PIPE-CONNECT_READ_PIPE-02", "PIPE-CONNECT_READ_PIPE-08")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
@pytest.mark.parametrize("data", [False, True])
async def test_the_end(loop: asyncio.AbstractEventLoop, kind: str, data: bool) -> None:
    """Behind the last data eof_received() is called, then connection_lost(None), and the pipe is closed."""
    async with reading_pipe(loop, kind) as link:
        if data:
            os.write(link.beyond, b"last words")
        os.close(link.beyond)
        assert await link.lost() is None
        assert link.protocol.history.received == (b"last words" if data else b"")
        assert [name for name in link.names if name != "data_received"] == [
            "connection_made",
            "eof_received",
            "connection_lost",
        ]
        assert link.transport.is_closing()
        await until(lambda: link.file.closed, "the end of the file object")


@requires("PIPE-CONNECT_READ_PIPE-03")
async def test_a_protocol_that_wants_to_stay(loop: asyncio.AbstractEventLoop) -> None:
    """The pipe is closed after its end though eof_received() returns a true value."""
    async with reading_pipe(loop, on={"eof_received": lambda _: True}) as link:
        os.close(link.beyond)
        assert await link.lost() is None


@requires("PIPE-CONNECT_READ_PIPE-10")
async def test_a_terminal_hangs_up(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """When the master of a terminal is closed the connection is lost, and nothing is reported."""
    async with reading_pipe(loop, "terminal") as link:
        os.write(link.beyond, b"typed")
        assert await link.received(5) == b"typed"
        os.close(link.beyond)
        error = await link.lost()
        assert error is None or isinstance(error, OSError)
        assert not reports


@requires("PIPE-CONNECT_READ_PIPE-04")
async def test_the_pipe_does_not_block(loop: asyncio.AbstractEventLoop) -> None:
    """A pipe that blocks is switched to non-blocking mode."""
    async with reading_pipe(loop) as link:
        assert os.get_blocking(link.file.fileno()) is False


@requires("PIPE-CONNECT_READ_PIPE-06")
async def test_what_the_transport_tells(loop: asyncio.AbstractEventLoop) -> None:
    """get_extra_info('pipe') is the file object; a name that is not known gives the default; repr() works."""
    async with reading_pipe(loop) as link:
        assert link.transport.get_extra_info("pipe") is link.file
        assert link.transport.get_extra_info("no such thing", 5) == 5
        assert link.transport.get_protocol() is link.protocol
        assert repr(link.transport).startswith("<")
        link.transport.close()
        assert repr(link.transport).startswith("<")
        await link.lost()
        assert repr(link.transport).startswith("<")


@requires("PIPE-CONNECT_READ_PIPE-07")
async def test_a_pause(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing is received in a pause and everything after it; is_reading() tells; repeating does nothing."""
    async with reading_pipe(loop) as link:
        assert link.transport.is_reading() is True
        link.transport.pause_reading()
        link.transport.pause_reading()
        assert link.transport.is_reading() is False
        os.write(link.beyond, b"hello")
        await polls(5)
        assert link.names == ["connection_made"], "data were delivered during the pause"
        link.transport.resume_reading()
        link.transport.resume_reading()
        assert link.transport.is_reading() is True
        assert await link.received(5) == b"hello"
        link.transport.close()
        assert link.transport.is_reading() is False


@requires("PIPE-CONNECT_READ_PIPE-07")
async def test_a_pause_in_connection_made(loop: asyncio.AbstractEventLoop) -> None:
    """A protocol that pauses reading in connection_made() gets nothing until it resumes."""
    async with reading_pipe(loop, on={"connection_made": lambda p: p.transport.pause_reading()}) as link:
        os.write(link.beyond, b"hello")
        await polls(5)
        assert link.names == ["connection_made"]
        link.transport.resume_reading()
        assert await link.received(5) == b"hello"


@requires("PIPE-CONNECT_READ_PIPE-07")
async def test_the_end_in_a_pause(loop: asyncio.AbstractEventLoop) -> None:
    """The end that comes in a pause is told after it, behind the data."""
    async with reading_pipe(loop) as link:
        link.transport.pause_reading()
        os.write(link.beyond, b"hello")
        os.close(link.beyond)
        await polls(5)
        assert link.names == ["connection_made"]
        link.transport.resume_reading()
        assert await link.lost() is None
        assert link.protocol.history.received == b"hello"


@requires("PIPE-CONNECT_READ_PIPE-08")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_close(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """close() is over at once: nothing is received any more, connection_lost(None) comes, then the pipe is closed."""
    open_then: list[bool] = []
    number = -1
    on = {"connection_lost": lambda p: open_then.append(identity(number) is not None)}
    async with reading_pipe(loop, kind, on=on) as link:
        number = link.file.fileno()
        os.write(link.beyond, b"too late")
        link.transport.close()
        assert link.transport.is_closing()
        assert link.names == ["connection_made"], "a callback was called from within close()"
        link.transport.close()
        assert await link.lost() is None
        await until(lambda: identity(number) is None, "the end of the descriptor")
        assert link.names == ["connection_made", "connection_lost"]
        assert open_then == [True], "the pipe was closed before connection_lost()"


@requires("PIPE-CONNECT_READ_PIPE-08")
async def test_close_in_data_received(loop: asyncio.AbstractEventLoop) -> None:
    """A protocol that closes while it receives is told of nothing but the end."""
    async with reading_pipe(loop, on={"data_received": lambda p: p.transport.close()}) as link:
        fill(link.beyond)
        assert await link.lost() is None
        assert link.names == ["connection_made", "data_received", "connection_lost"]


@requires("PIPE-CONNECT_READ_PIPE-11")
async def test_another_protocol(loop: asyncio.AbstractEventLoop) -> None:
    """After set_protocol() the new protocol is told of data and of the end."""
    other = RecordingProtocol()
    async with reading_pipe(loop) as link:
        link.transport.set_protocol(other)
        assert link.transport.get_protocol() is other
        os.write(link.beyond, b"hello")
        await until(lambda: other.history.received == b"hello", "data for the new protocol")
        link.transport.set_protocol(link.protocol)
        os.close(link.beyond)
        await link.lost()
