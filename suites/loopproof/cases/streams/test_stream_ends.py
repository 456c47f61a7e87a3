"""The ends of a stream: write_eof(), close(), wait_closed() by cause, and what drain() says of each."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.streaming import streams
from loopproof.faultkit import close, drain, expect, expect_eof, expect_pattern, hold, pattern, reset, send, shutdown

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]


@requires("STREAM-STREAMWRITER_WRITE-01")
@needs("tcp")
async def test_whatever_has_bytes(loop: Loop) -> None:
    """write() and writelines() send any kind of bytes in the order of the calls."""
    async with streams([expect(b"onetwothreefourfivesix"), hold()]) as link:
        link.writer.write(b"one")
        link.writer.write(bytearray(b"two"))
        link.writer.writelines([b"three", b"", bytearray(b"four")])
        link.writer.write(b"")
        link.writer.write(memoryview(b"five"))
        link.writer.writelines(part for part in (b"s", b"ix"))
        await link.writer.drain()
        await link.reached(1)


@requires("STREAM-STREAMWRITER_WRITE_EOF-01")
@needs("tcp")
async def test_the_stream_is_closed_by_half(loop: Loop) -> None:
    """After write_eof() the peer sees the end behind all data, and what it still sends can be read."""
    script = [expect_pattern(5, 2 * WIDTH), expect_eof(), send(b"late answer"), shutdown(), hold()]
    async with streams(script, narrow=True) as link:
        assert link.writer.can_write_eof() is True
        link.writer.write(pattern(5, 2 * WIDTH))
        link.writer.write_eof()
        assert not link.writer.is_closing(), "write_eof() has closed the stream"
        assert await link.reader.read() == b"late answer"
        await link.reached(4)


@requires("STREAM-STREAMWRITER_WRITE_EOF-01")
@needs("tcp")
async def test_the_peer_closes_by_half(loop: Loop) -> None:
    """After the peer's end the stream stays open: what is written then arrives."""
    async with streams([shutdown(), expect(b"late answer"), expect_eof()]) as link:
        assert await link.reader.read() == b""
        await polls(2)
        assert not link.writer.is_closing()
        link.writer.write(b"late answer")
        await link.writer.drain()
        link.writer.close()
        await link.writer.wait_closed()
        await link.verified()


@requires("STREAM-STREAMWRITER_CLOSE-01")
@needs("tcp")
async def test_close(loop: Loop) -> None:
    """close() ends the stream once; what is written after it is not sent, and the reader gets to its end."""
    async with streams([expect(b"before"), expect_eof()]) as link:
        link.writer.write(b"before")
        assert link.writer.is_closing() is False
        link.writer.close()
        link.writer.close()
        assert link.writer.is_closing() is True
        with contextlib.suppress(RuntimeError):  # that a transport raises this is another case
            link.writer.write(b"after")
        await link.writer.wait_closed()
        await link.verified()
        assert await link.reader.read() == b""
        assert link.reader.at_eof()


@requires("STREAM-STREAMWRITER_CLOSE-01")
@needs("tcp")
async def test_close_while_a_read_waits(loop: Loop) -> None:
    """A read that waits when the stream is closed gets the end."""
    async with streams([hold()]) as link:
        waiting = asyncio.ensure_future(link.reader.read(10))
        await polls(2)
        link.writer.close()
        assert await waiting == b""


@requires("STREAM-STREAMWRITER_EXTRA-01")
@needs("tcp")
async def test_what_the_writer_tells(loop: Loop) -> None:
    """get_extra_info() is that of the transport, which the writer gives away, and repr() works in every state."""
    async with streams([hold()]) as link:
        peername = link.writer.get_extra_info("peername")
        assert peername == link.peer.address == link.writer.transport.get_extra_info("peername")
        assert link.writer.get_extra_info("no such thing", 5) == 5
        assert link.writer.get_extra_info("socket").family == socket.AF_INET
        assert repr(link.writer).startswith("<")
        link.writer.close()
        await link.writer.wait_closed()
        assert repr(link.writer).startswith("<")
        assert link.writer.get_extra_info("peername") == peername


@requires("STREAM-STREAMWRITER_WAIT_CLOSED-01")
@needs("tcp")
@pytest.mark.parametrize("how", ["close", "abort", "abort with data", "the peer's end"])
async def test_an_end_without_error(loop: Loop, how: str) -> None:
    """wait_closed() returns when the program has ended the stream, in any way, in each of the tasks that wait."""
    async with streams([hold(), drain()], narrow=True) as link:
        if how == "abort with data":
            link.writer.write(bytes(2 * WIDTH))
        waiting = [asyncio.ensure_future(link.writer.wait_closed()) for _ in range(3)]
        await polls(2)
        assert not any(task.done() for task in waiting), "wait_closed() returned though the stream is open"
        if how.startswith("abort"):
            link.writer.transport.abort()
        else:
            link.writer.close()
        assert await asyncio.gather(*waiting) == [None, None, None]
        await link.writer.wait_closed()


@requires("STREAM-STREAMWRITER_WAIT_CLOSED-02")
@needs("tcp")
@pytest.mark.parametrize("data", [False, True])
async def test_an_end_with_an_error(loop: Loop, data: bool) -> None:
    """wait_closed() raises ConnectionError in each of the tasks that wait when the peer has reset the connection."""
    async with streams([hold(), reset()], narrow=True) as link:
        if data:
            link.writer.write(bytes(2 * WIDTH))
            link.writer.close()
        waiting = [asyncio.ensure_future(link.writer.wait_closed()) for _ in range(3)]
        await polls(2)
        link.peer.release()
        await until(lambda: all(task.done() for task in waiting), "the end of wait_closed()")
        for task in waiting:
            assert isinstance(task.exception(), ConnectionError), f"wait_closed() ended with {task!r}"
        with raises(ConnectionError):
            await link.writer.wait_closed()


@requires("STREAM-STREAMWRITER_DRAIN-01")
@needs("tcp")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_drain_of_a_stream_that_was_ended(loop: Loop, how: str) -> None:
    """drain() raises ConnectionResetError once the stream was closed or aborted, also in a loop that never waits."""
    async with streams([drain()]) as link:
        (link.writer.close if how == "close" else link.writer.transport.abort)()
        with raises(ConnectionResetError):
            for _ in range(1000):
                await link.writer.drain()
        await link.writer.wait_closed()
        with raises(ConnectionResetError):
            await link.writer.drain()


@requires("STREAM-STREAMWRITER_DRAIN-01")
@needs("tcp")
async def test_a_program_that_writes_to_nobody(loop: Loop) -> None:
    """A program that writes and drains in a loop gets ConnectionError soon after the peer has gone."""
    async with streams([hold(), close()]) as link:
        link.peer.release()
        await link.reached(2)
        with raises(ConnectionError):
            for _ in range(2000):
                link.writer.write(bytes(1000))
                await link.writer.drain()
                await asyncio.sleep(0)


@requires("STREAM-STREAMWRITER_DRAIN-02")
@needs("tcp")
async def test_a_drain_that_is_cancelled(loop: Loop) -> None:
    """A drain() that is cancelled disturbs neither the others nor the data."""
    async with streams([hold(), expect_pattern(5, 2 * WIDTH), expect_eof()], narrow=True) as link:
        link.writer.write(pattern(5, 2 * WIDTH))
        waiting = [asyncio.ensure_future(link.writer.drain()) for _ in range(3)]
        await polls(2)
        waiting[1].cancel()
        with raises(asyncio.CancelledError):
            await waiting[1]
        assert not waiting[0].done()
        assert not waiting[2].done()
        link.peer.release()
        await asyncio.gather(waiting[0], waiting[2])
        link.writer.close()
        await link.writer.wait_closed()
        await link.verified()


@requires("STREAM-STREAMWRITER_DRAIN-03")
@needs("tcp")
@pytest.mark.parametrize("tasks", [1, 3])
async def test_an_abort_while_drain_waits(loop: Loop, tasks: int) -> None:
    """When the stream is aborted no drain() waits any longer."""
    async with streams([hold(), drain()], narrow=True) as link:
        link.writer.write(bytes(2 * WIDTH))
        waiting = [asyncio.ensure_future(link.writer.drain()) for _ in range(tasks)]
        await polls(2)
        assert not any(task.done() for task in waiting)
        link.writer.transport.abort()
        await until(lambda: all(task.done() for task in waiting), "the end of drain()")
        for task in waiting:
            assert task.exception() is None or isinstance(task.exception(), ConnectionError)


@requires("STREAM-OPEN_CONNECTION-03", "STREAM-STREAMWRITER_DRAIN-02")
@needs("tcp")
async def test_tasks_that_write_under_pressure(loop: Loop) -> None:
    """Tasks that write and drain at once while the peer reads slowly all come to their ends, and no byte is lost."""
    pieces, size = 20, 20_000
    async with streams([expect(b"x" * (5 * pieces * size), chunks=(70_001,)), hold()], narrow=True) as link:

        async def work() -> None:
            for _ in range(pieces):
                link.writer.write(b"x" * size)
                await link.writer.drain()

        await asyncio.gather(*(work() for _ in range(5)))
        await link.reached(1)
