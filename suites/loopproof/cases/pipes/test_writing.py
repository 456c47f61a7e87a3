"""connect_write_pipe(): what goes through a pipe, flow control, the ends, and a reader that is gone."""

import asyncio
import contextlib
import logging
import os
from typing import Any

import pytest

from loopproof.authoring import raises, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import KINDS, drained, identity, writing_pipe
from loopproof.faultkit import pattern, verify_pattern

WIDE = 1_000_000
"""More bytes than the kernel takes while nobody reads."""


@requires("PIPE-CONNECT_WRITE_PIPE-01")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_data(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """What is written arrives at the other end of any kind of pipe, in order."""
    async with writing_pipe(loop, kind) as link:
        assert link.names == ["connection_made"]
        assert link.protocol.transport is link.transport
        for piece in (b"one", bytearray(b"two"), memoryview(b"three"), b"", b"four"):
            link.transport.write(piece)
        assert await link.written(15) == b"onetwothreefour"


@requires("PIPE-CONNECT_WRITE_PIPE-01", "PIPE-CONNECT_WRITE_PIPE-10")
async def test_writelines(loop: asyncio.AbstractEventLoop) -> None:
    """writelines() writes what it is given, in order."""
    async with writing_pipe(loop) as link:
        link.transport.writelines([b"one", b"", b"two"])
        link.transport.writelines(bytes([number]) for number in range(5))
        assert await link.written(11) == b"onetwo\0\1\2\3\4"


@requires("PIPE-CONNECT_WRITE_PIPE-01", "PIPE-CONNECT_WRITE_PIPE-03")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
@pytest.mark.parametrize("how", ["close", "write_eof"])
async def test_what_is_queued_is_sent(loop: asyncio.AbstractEventLoop, kind: str, how: str) -> None:
    """After close() or write_eof() all that is queued still arrives, then the end, and connection_lost(None) comes."""
    async with writing_pipe(loop, kind) as link:
        number = link.file.fileno()
        data = pattern(4, 2 * WIDE)
        for at in range(0, len(data), 300_007):
            link.transport.write(data[at : at + 300_007])
        assert link.transport.get_write_buffer_size() > 0
        getattr(link.transport, how)()
        await polls(3)
        assert "connection_lost" not in link.names, "the connection was lost before all was sent"
        assert verify_pattern(await link.written(len(data)), 4) is None
        assert await link.lost() is None
        await until(lambda: identity(number) is None, "the end of the descriptor")
        assert os.read(link.beyond, 10) == b"", "the stream did not end"


@requires("PIPE-CONNECT_WRITE_PIPE-05")
async def test_write_eof_without_data(loop: asyncio.AbstractEventLoop) -> None:
    """can_write_eof() is True; write_eof() ends the stream, also when it is repeated or close() follows."""
    async with writing_pipe(loop) as link:
        assert link.transport.can_write_eof() is True
        link.transport.write_eof()
        link.transport.write_eof()
        link.transport.close()
        assert link.names == ["connection_made"]
        assert await link.lost() is None
        assert await link.written(0) == b""


@requires("PIPE-CONNECT_WRITE_PIPE-02")
async def test_flow_control(loop: asyncio.AbstractEventLoop) -> None:
    """A full pipe pauses the protocol once the buffer is above the mark, and a reader makes it resume."""
    async with writing_pipe(loop) as link:
        link.transport.set_write_buffer_limits(high=1000, low=100)
        assert link.transport.get_write_buffer_limits() == (100, 1000)
        while not link.transport.get_write_buffer_size():
            link.transport.write(bytes(500))
        assert "pause_writing" not in link.names
        while "pause_writing" not in link.names:
            before = link.transport.get_write_buffer_size()
            assert before <= 1000, "the protocol is not paused though the buffer is above the mark"
            link.transport.write(bytes(200))
            assert link.transport.get_write_buffer_size() == before + 200
        await polls(3)
        assert "resume_writing" not in link.names
        drained(link.beyond)
        await until(lambda: "resume_writing" in link.names, "resume_writing()")
        assert link.names == ["connection_made", "pause_writing", "resume_writing"]
        drained(link.beyond)
        await until(lambda: link.transport.get_write_buffer_size() == 0, "an empty buffer")


@requires("PIPE-CONNECT_WRITE_PIPE-04")
@pytest.mark.parametrize("first", ["nothing", "close", "write_eof"])
async def test_abort(loop: asyncio.AbstractEventLoop, first: str) -> None:
    """abort() throws away what is queued, also after close(), and ends with connection_lost(None)."""
    async with writing_pipe(loop) as link:
        link.transport.write(bytes(WIDE))
        if first != "nothing":
            getattr(link.transport, first)()
        link.transport.abort()
        assert "connection_lost" not in link.names, "connection_lost() was called from within abort()"
        assert await link.lost() is None
        assert len(await link.written(WIDE)) < WIDE, "everything was sent in spite of the abort()"


@requires("PIPE-CONNECT_WRITE_PIPE-06")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
async def test_the_reader_is_gone(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """When the reading end is closed connection_lost(None) is called, without a write."""
    async with writing_pipe(loop, kind) as link:
        link.transport.write(b"hello")
        assert await link.written(5) == b"hello"
        os.close(link.beyond)
        assert await link.lost() is None
        assert link.transport.is_closing()


@requires("PIPE-CONNECT_WRITE_PIPE-06")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
async def test_the_reader_is_gone_and_data_are_queued(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """When the reading end is closed and data are queued, connection_lost() gets BrokenPipeError or its like."""
    async with writing_pipe(loop, kind) as link:
        link.transport.write(bytes(WIDE))
        await polls(2)
        os.close(link.beyond)
        error = await link.lost()
        assert isinstance(error, BrokenPipeError | ConnectionResetError), f"connection_lost({error!r})"


@requires("PIPE-CONNECT_WRITE_PIPE-06")
async def test_a_write_when_the_reader_is_gone(loop: asyncio.AbstractEventLoop) -> None:
    """A write() to a pipe without reader raises nothing; the connection is lost."""
    async with writing_pipe(loop) as link:
        os.close(link.beyond)
        link.transport.write(b"hello")
        error = await link.lost()
        assert error is None or isinstance(error, BrokenPipeError)


@requires("PIPE-CONNECT_WRITE_PIPE-07")
async def test_writes_to_a_lost_pipe(loop: asyncio.AbstractEventLoop, logged: list[logging.LogRecord]) -> None:
    """Writes after the pipe was lost do nothing, and after several of them a warning is logged."""
    async with writing_pipe(loop) as link:
        os.close(link.beyond)
        await link.lost()
        for _ in range(10):
            link.transport.write(b"nobody reads")
        assert link.transport.get_write_buffer_size() == 0
        assert [record for record in logged if record.levelno == logging.WARNING], "no warning was logged"


@requires("PIPE-CONNECT_WRITE_PIPE-11")
@pytest.mark.parametrize("how", ["close", "write_eof", "abort"])
async def test_writes_after_the_end(loop: asyncio.AbstractEventLoop, how: str) -> None:
    """What is written after close(), write_eof() or abort() does not arrive."""
    async with writing_pipe(loop) as link:
        link.transport.write(b"before")
        getattr(link.transport, how)()
        with contextlib.suppress(RuntimeError):  # as for sockets
            link.transport.write(b"after")
        await link.lost()
        assert await link.written(6) == b"before"


@requires("PIPE-CONNECT_WRITE_PIPE-12")
@pytest.mark.parametrize("given", ["text", "None", "a number"])
async def test_wrong_data(loop: asyncio.AbstractEventLoop, given: str) -> None:
    """What has no bytes is refused, and what follows is sent."""
    wrong: Any = {"text": "text", "None": None, "a number": 5}[given]
    async with writing_pipe(loop) as link:
        with raises(TypeError, AssertionError):
            link.transport.write(wrong)
        link.transport.write(b"right")
        assert await link.written(5) == b"right"


@requires("PIPE-CONNECT_WRITE_PIPE-13")
async def test_a_buffer_that_changes(loop: asyncio.AbstractEventLoop) -> None:
    """A caller may change its buffer as soon as write() has returned."""
    async with writing_pipe(loop) as link:
        data = bytearray(pattern(4, WIDE))
        link.transport.write(data)
        data[:] = bytes(len(data))
        data.clear()
        assert verify_pattern(await link.written(WIDE), 4) is None


@requires("PIPE-CONNECT_WRITE_PIPE-14")
async def test_what_the_transport_tells(loop: asyncio.AbstractEventLoop) -> None:
    """get_extra_info('pipe') is the file object, the pipe does not block, and repr() works in every state."""
    async with writing_pipe(loop) as link:
        assert link.transport.get_extra_info("pipe") is link.file
        assert os.get_blocking(link.file.fileno()) is False
        assert link.transport.get_protocol() is link.protocol
        assert repr(link.transport).startswith("<")
        link.transport.write(bytes(WIDE))
        assert repr(link.transport).startswith("<")
        link.transport.abort()
        assert repr(link.transport).startswith("<")
        await link.lost()
        assert repr(link.transport).startswith("<")
