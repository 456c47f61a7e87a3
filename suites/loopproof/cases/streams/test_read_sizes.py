"""read(), readexactly() and at_eof(): how much they wait for, what they return, and the end of the stream."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import ended
from loopproof.authoring.streaming import streams
from loopproof.faultkit import hold, pattern, reset, send, send_pattern, shutdown

Loop = asyncio.AbstractEventLoop


@requires("STREAM-STREAMREADER_READ-01")
@needs("tcp")
async def test_read_returns_what_is_there(loop: Loop) -> None:
    """read(n) returns at least a byte and at most n as soon as any are there, and does not wait for more."""
    async with streams([send(b"hello"), hold(), send(b"more"), hold()]) as link:
        assert await link.reader.read(3) == b"hel"
        assert await link.reader.read(100) == b"lo"
        waiting = asyncio.ensure_future(link.reader.read(100))
        await polls(3)
        assert not waiting.done(), "read() returned although nothing has come"
        link.peer.release()
        assert await waiting == b"more"


@requires("STREAM-STREAMREADER_READ-01")
@needs("tcp")
async def test_read_nothing(loop: Loop) -> None:
    """read(0) returns no bytes without waiting for any."""
    async with streams([hold(), send(b"hello"), hold()]) as link:
        assert await link.reader.read(0) == b""
        link.peer.release()
        assert await link.reader.read(5) == b"hello"


@requires("STREAM-STREAMREADER_READ-01")
@needs("tcp")
@pytest.mark.parametrize("arguments", [(), (-1,), (-5,)], ids=str)
async def test_read_up_to_the_end(loop: Loop, arguments: tuple[int, ...]) -> None:
    """Without a number, or with a negative one, read() waits for the end and returns all, whatever the limit."""
    async with streams([send_pattern(3, 300_000), hold(), send(b"tail"), shutdown(), hold()], limit=100) as link:
        waiting = asyncio.ensure_future(link.reader.read(*arguments))
        await link.reached(1)
        await polls(3)
        assert not waiting.done(), "read() returned before the end of the stream"
        link.peer.release()
        assert await waiting == pattern(3, 300_000) + b"tail"
        assert await link.reader.read(*arguments) == b""


@requires("STREAM-STREAMREADER_READEXACTLY-01")
@needs("tcp")
@pytest.mark.parametrize("size", [1, 99, 100, 101, 199, 200, 201, 65_536, 300_000])
async def test_readexactly_around_the_limit(loop: Loop, size: int) -> None:
    """readexactly(n) waits for n bytes, whatever the limit is, and leaves the rest for the next read."""
    async with streams(
        [send_pattern(3, 300_003, chunks=(97,) if size < 1000 else (65_536,)), hold()], limit=100
    ) as link:
        first = await link.reader.readexactly(size)
        assert first + await link.reader.readexactly(300_003 - size) == pattern(3, 300_003)


@requires("STREAM-STREAMREADER_READEXACTLY-01")
@needs("tcp")
@pytest.mark.parametrize("sent", [0, 1, 7])
async def test_readexactly_at_the_end(loop: Loop, sent: int) -> None:
    """Where the stream ends early IncompleteReadError tells the bytes that came and the number that was expected."""
    data = bytes(range(sent))
    async with streams([*([send(data)] if data else []), shutdown(), hold()]) as link:
        with raises(asyncio.IncompleteReadError) as raised:
            await link.reader.readexactly(8)
        assert isinstance(raised.value, asyncio.IncompleteReadError)
        assert (raised.value.partial, raised.value.expected) == (data, 8)
        assert link.reader.at_eof()
        assert await link.reader.read(1) == b""


@requires("STREAM-STREAMREADER_READEXACTLY-02")
@needs("tcp")
async def test_readexactly_of_no_bytes(loop: Loop) -> None:
    """readexactly(0) returns at once; a negative number is a ValueError, and loses nothing."""
    async with streams([send(b"hello"), hold()]) as link:
        assert await link.reader.readexactly(0) == b""
        with raises(ValueError):
            await link.reader.readexactly(-1)
        assert await link.reader.readexactly(5) == b"hello"


@requires("STREAM-STREAMREADER_AT_EOF-01")
@needs("tcp")
async def test_at_eof(loop: Loop) -> None:
    """at_eof() is true once the end has come and all bytes before it were read, not earlier."""
    async with streams([send(b"hello"), hold(), shutdown(), hold()]) as link:
        assert not link.reader.at_eof()
        await link.reader.readexactly(2)
        link.peer.release()
        await link.reached(3)
        await polls(3)
        assert not link.reader.at_eof(), "at_eof() is true though bytes are there to be read"
        assert await link.reader.readexactly(3) == b"llo"
        await until(link.reader.at_eof, "at_eof()")
        assert not link.writer.is_closing(), "the end of what the peer sends has closed the stream"


@requires("STREAM-STREAMREADER_ERRORS-01")
@needs("tcp")
@pytest.mark.parametrize("how", ["read", "readline", "readexactly", "readuntil"])
async def test_a_reset_while_a_read_waits(loop: Loop, how: str) -> None:
    """A read that waits raises the error of the connection, and so does each after it; exception() returns it."""
    arguments: tuple[Any, ...] = {"readexactly": (5,), "readuntil": (b"!",)}.get(how, ())
    async with streams([send(b"part"), hold(), reset()]) as link:
        assert link.reader.exception() is None
        assert await link.reader.read(1) == b"p"
        waiting = asyncio.ensure_future(getattr(link.reader, how)(*arguments))
        await polls(2)
        assert not waiting.done()
        link.peer.release()
        with raises(ConnectionResetError):
            await ended(waiting, "the end of the read")
        for _ in range(2):
            with raises(ConnectionResetError):
                await getattr(link.reader, how)(*arguments)
        assert isinstance(link.reader.exception(), ConnectionResetError)


@requires("STREAM-STREAMREADER_WAITING-01")
@needs("tcp")
@pytest.mark.parametrize("how", ["read", "readline", "readexactly"])
async def test_two_tasks_that_read(loop: Loop, how: str) -> None:
    """A read while another task waits for data is a RuntimeError, and the one that waits gets them."""
    async with streams([hold(), send(b"hello\n"), hold()]) as link:
        waiting = asyncio.ensure_future(link.reader.readline())
        await polls(2)
        with raises(RuntimeError):
            await getattr(link.reader, how)(*((5,) if how != "readline" else ()))
        link.peer.release()
        assert await waiting == b"hello\n"
