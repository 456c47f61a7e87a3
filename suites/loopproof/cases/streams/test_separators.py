"""readuntil(), readline() and iteration: separators across chunks, the limit, and what is left when it is exceeded."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.links import polls
from loopproof.authoring.streaming import streams
from loopproof.faultkit import hold, send, shutdown

Loop = asyncio.AbstractEventLoop
Link = Any


@requires("STREAM-STREAMREADER_READUNTIL-01")
@needs("tcp")
@pytest.mark.parametrize("at", range(1, 12))
async def test_a_separator_in_two_parts(loop: Loop, at: int) -> None:
    """A separator is found wherever the data are cut, and what follows it is left for the next read."""
    data = b"abab<END>xyz"
    async with streams([hold(), send(data[:at]), hold(), send(data[at:]), hold()]) as link:
        waiting = asyncio.ensure_future(link.reader.readuntil(b"b<END>"))
        link.peer.release()
        await link.reached(2)
        await polls(2)
        if at < 9:
            assert not waiting.done(), "readuntil() returned before the separator was there"
        link.peer.release()
        assert await waiting == b"abab<END>"
        assert await link.reader.readexactly(3) == b"xyz"


@requires("STREAM-STREAMREADER_READUNTIL-01")
@needs("tcp")
async def test_a_separator_byte_by_byte(loop: Loop) -> None:
    """A separator that begins like itself is found though its bytes come one by one, behind a false start."""
    data = b"aabaabaaab--rest"
    async with streams([send(data, chunks=(1,)), hold()]) as link:
        assert await link.reader.readuntil(b"aaab") == b"aabaabaaab"
        assert await link.reader.readuntil(b"--") == b"--"
        assert await link.reader.readuntil(b"t") == b"rest"


@requires("STREAM-STREAMREADER_READUNTIL-02")
@needs("tcp")
@pytest.mark.parametrize("size", [9, 10, 11])
async def test_a_separator_around_the_limit(loop: Loop, size: int) -> None:
    """What comes before a separator may have the limit's size, not more; then it is left in the reader."""
    data = b"x" * size
    async with streams([send(data + b"!rest"), hold()], limit=10) as link:
        if size <= 10:
            assert await link.reader.readuntil(b"!") == data + b"!"
        else:
            with raises(asyncio.LimitOverrunError) as raised:
                await link.reader.readuntil(b"!")
            assert isinstance(raised.value, asyncio.LimitOverrunError)
            assert raised.value.consumed == size
            assert await link.reader.readexactly(raised.value.consumed + 1) == data + b"!"
        assert await link.reader.readexactly(4) == b"rest"


@requires("STREAM-STREAMREADER_READUNTIL-02")
@needs("tcp")
async def test_no_separator_within_the_limit(loop: Loop) -> None:
    """More bytes than the limit without a separator are a LimitOverrunError; they and what follows can be read."""
    async with streams([send(b"x" * 1000), hold(), send(b"!"), hold()], limit=10) as link:
        with raises(asyncio.LimitOverrunError):
            await link.reader.readuntil(b"!")
        link.peer.release()
        assert await link.reader.readexactly(1001) == b"x" * 1000 + b"!"


@requires("STREAM-STREAMREADER_READUNTIL-03")
@needs("tcp")
@pytest.mark.parametrize("at", range(1, 12))
async def test_several_separators_in_two_parts(loop: Loop, at: int) -> None:
    """Of several separators the one that makes the result shortest counts, wherever the data are cut."""
    data = b"one\r\ntwo\nx;"
    separators: Any = (b"\r\n", b"\n", b";")
    async with streams([send(data[:at]), hold(), *([send(data[at:])] if data[at:] else []), hold()]) as link:
        waiting = asyncio.ensure_future(read_parts(link, separators))
        await link.reached(1)
        link.peer.release()
        assert await waiting == [b"one\r\n", b"two\n", b"x;"]


async def read_parts(link: Link, separators: Any) -> list[bytes]:
    """Read three parts."""
    return [await link.reader.readuntil(separators) for _ in range(3)]


@requires("STREAM-STREAMREADER_READUNTIL-03")
@needs("tcp")
async def test_separators_that_contain_each_other(loop: Loop) -> None:
    """A separator that ends another one ends the result as early as it can; no separator at all is a ValueError."""
    separators: Any = (b"abc", b"bc", b"b")
    nothing: Any = ()
    async with streams([send(b"xabcd"), hold()]) as link:
        with raises(ValueError):
            await link.reader.readuntil(nothing)
        assert await link.reader.readuntil(separators) == b"xab"
        assert await link.reader.readexactly(2) == b"cd"


@requires("STREAM-STREAMREADER_READUNTIL-04")
@needs("tcp")
async def test_an_empty_separator(loop: Loop) -> None:
    """An empty separator is a ValueError, and nothing is lost."""
    async with streams([send(b"hello\n"), hold()]) as link:
        with raises(ValueError):
            await link.reader.readuntil(b"")
        assert await link.reader.readuntil() == b"hello\n"


@requires("STREAM-STREAMREADER_READLINE-01")
@needs("tcp")
@pytest.mark.parametrize("at", [5, 25, 27])
async def test_a_line_over_the_limit(loop: Loop, at: int) -> None:
    """A line that is longer than the limit is a ValueError, and the lines behind it can be read."""
    async with streams(
        [send(b"first\n" + b"x" * 26 + b"\nlast\n", chunks=(6, 27, 5)), shutdown(), hold()], limit=at
    ) as link:
        assert await link.reader.readline() == b"first\n"
        found: list[bytes] = []
        refused = 0
        while not link.reader.at_eof():
            try:
                found.append(await link.reader.readline())
            except ValueError:
                refused += 1
        assert (refused > 0) is (at < 26)
        assert b"last\n" in found


@requires("STREAM-STREAMREADER_AITER-01")
@needs("tcp")
@pytest.mark.parametrize("end", [b"", b"rest"])
async def test_iteration(loop: Loop, end: bytes) -> None:
    """async for yields the lines with their ends, and last what has none, until the stream ends."""
    async with streams([send(b"one\n\ntwo\n" + end, chunks=(1,)), shutdown(), hold()]) as link:
        assert [line async for line in link.reader] == [b"one\n", b"\n", b"two\n", *([end] if end else [])]
