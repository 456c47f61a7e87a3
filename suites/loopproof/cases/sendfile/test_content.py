"""What arrives of a file: offsets, counts and sizes, over each transport and socket that files are sent over."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import raises, requires
from loopproof.authoring.files import FILES, NATIVE, SEED, file_of, on_ways, on_ways_and_files, sending, sparse_file
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.sockets import ended
from loopproof.faultkit import expect, expect_eof, expect_pattern, hold

GIB = 1 << 30
SIZE = 50_000


@requires("SENDF-COMMON-01")
@on_ways()
@pytest.mark.parametrize("kind", sorted(FILES))
@pytest.mark.parametrize("size", [1, 16_384, 16_385])
async def test_a_whole_file(loop: asyncio.AbstractEventLoop, way: str, kind: str, size: int) -> None:
    """A file of any size and kind arrives whole, and its size is the result."""
    async with sending(loop, way, [expect_pattern(SEED, size), expect_eof()]) as send:
        with file_of(size, kind) as file:
            sent = await send(file)
            assert type(sent) is int, f"the result is {sent!r}"
            assert sent == size
            assert file.tell() == size, f"the position is {file.tell()} after {size} bytes were sent"
            await send.over()


@requires("SENDF-COMMON-01")
@on_ways_and_files()
async def test_a_large_file(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """A file that the kernel does not take at once arrives whole, and its size is the result."""
    script = [expect_pattern(SEED, 3 * WIDTH), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        with file_of(3 * WIDTH, kind) as file:
            assert await send(file) == 3 * WIDTH
            assert file.tell() == 3 * WIDTH
            await send.over()


@requires("SENDF-COMMON-01")
@on_ways("tcp transport", "tls transport", "unix socket")
@pytest.mark.parametrize("kind", ["buffered", "memory"])
@pytest.mark.parametrize("count", [None, 1, 16_384, 16_385, SIZE + 1, 4 * GIB + 1])
@pytest.mark.parametrize("offset", [0, 1, 16_385, SIZE - 1])
async def test_a_part(loop: asyncio.AbstractEventLoop, way: str, kind: str, count: Any, offset: int) -> None:
    """count bytes from offset on arrive, or what there is up to the end; the result tells how many."""
    size = min(SIZE - offset, count or SIZE)
    async with sending(loop, way, [expect_pattern(SEED, size, offset=offset), expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            sent = await send(file, offset, count)
            assert sent == size, f"the result is {sent}, {size} bytes were to be sent"
            assert file.tell() == offset + size, f"the position is {file.tell()}, not {offset} + {size}"
            await send.over()


@requires("SENDF-COMMON-02")
@on_ways()
@pytest.mark.parametrize("kind", ["buffered", "memory"])
@pytest.mark.parametrize("count", [None, 1, 100_000])
@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, 5 * GIB])
async def test_from_the_end_on(loop: asyncio.AbstractEventLoop, way: str, kind: str, count: Any, offset: int) -> None:
    """Of an offset at the end of the file or beyond it nothing comes; the result is 0, and the file stays as it is."""
    async with sending(loop, way, [expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            assert await send(file, offset, count) == 0
            assert file.seek(0, 2) == SIZE
            await send.over()


@requires("SENDF-COMMON-02", "SENDF-COMMON-01")
@on_ways()
@pytest.mark.parametrize("kind", sorted(FILES))
@pytest.mark.parametrize("count", [None, 1, 100_000])
async def test_an_empty_file(loop: asyncio.AbstractEventLoop, way: str, kind: str, count: Any) -> None:
    """Of an empty file nothing comes, and the result is 0."""
    async with sending(loop, way, [expect_eof()]) as send:
        with file_of(0, kind) as file:
            assert await send(file, 0, count) == 0
            assert file.tell() == 0
            await send.over()


@requires("SENDF-COMMON-01")
@on_ways()
async def test_the_parameters_by_name(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """offset, count and fallback may be given by name, count may be None, and fallback by name alone."""
    script = [expect_pattern(SEED, 10, offset=5), expect_pattern(SEED, SIZE), expect_eof()]
    async with sending(loop, way, script) as send:
        with file_of(SIZE, "raw") as file:
            assert await send(file, offset=5, count=10, fallback=True) == 10
            file.seek(0)
            assert await send(fallback=True, count=None, offset=0, file=file) == SIZE
            with raises(TypeError):
                await send(file, 0, None, True)
            await send.over()


@requires("SENDF-COMMON-01")
@on_ways()
@pytest.mark.parametrize("kind", ["buffered", "memory"])
async def test_one_part_after_the_other(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Parts of a file that are sent one after the other, forwards and backwards, arrive in the order of the calls."""
    parts = [(1, 10_000), (10_001, 1), (40_000, 10_000), (5, 20_000), (10_002, 1), (3, None)]
    script = [expect_pattern(SEED, count or SIZE - offset, offset=offset) for offset, count in parts]
    async with sending(loop, way, [*script, expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            for offset, count in parts:
                assert await send(file, offset, count) == (count or SIZE - offset)
            await send.over()


@requires("SENDF-COMMON-01")
@on_ways()
async def test_data_before_and_behind_it(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """What is sent before the file comes before it, what is sent after it comes behind it."""
    script = [expect(b"before"), expect_pattern(SEED, WIDTH), expect(b"behind"), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        with file_of(WIDTH) as file:
            await send.write(b"before")
            assert await send(file) == WIDTH
            await send.write(b"behind")
            await send.over()


@requires("SENDF-COMMON-04")
@on_ways(*NATIVE)
@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("position", [1, 1000, SIZE, 2 * SIZE])
async def test_the_position_before(loop: asyncio.AbstractEventLoop, way: str, offset: int, position: int) -> None:
    """Where the kernel sends the file, its position before is of no account, also with an offset of 0."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE - offset, offset=offset), expect_eof()]) as send:
        with file_of(SIZE, "raw") as file:
            file.seek(position)
            assert await send(file, offset) == SIZE - offset
            assert file.tell() == SIZE
            await send.over()


@requires("SENDF-COMMON-03")
@on_ways()
@pytest.mark.parametrize("count", [None, 1000, 1001, 2 * GIB, 4 * GIB + 10])
@pytest.mark.parametrize("size", [2 * GIB, 2 * GIB + 500, 4 * GIB + 500, 5 * GIB])
async def test_the_end_of_a_large_file(loop: asyncio.AbstractEventLoop, way: str, size: int, count: Any) -> None:
    """Offsets of more than 2 and 4 GiB are exact, and so are counts that large."""
    async with sending(loop, way, [expect_pattern(SEED, 1000), expect_eof()]) as send:
        with sparse_file(size, tail=1000) as file:
            assert await send(file, size - 1000, count) == 1000
            assert file.tell() == size
            await send.over()


@requires("SENDF-COMMON-17")
@on_ways_and_files()
async def test_a_peer_that_reads_nothing(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """While the peer reads nothing the call waits, and the loop does not; it goes on when the peer does."""
    script = [hold(), expect_pattern(SEED, 3 * WIDTH), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        with file_of(3 * WIDTH, kind) as file:
            task = await send.stalled(file)
            await polls(20)
            assert not task.done(), "the call ended though the peer has read nothing"
            send.peer.release()
            assert await ended(task) == 3 * WIDTH
            await send.over()


@requires("SENDF-COMMON-17", "SENDF-COMMON-01")
@on_ways()
async def test_a_peer_that_reads_in_steps(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A peer that takes a part at a time gets every byte once and in order."""
    total, step = 2 * WIDTH, 200_000
    script = [part for at in range(0, total, step) for part in (hold(), expect_pattern(SEED, step, offset=at))]
    async with sending(loop, way, [*script, expect_eof()], narrow=True) as send:
        with file_of(total) as file:
            task = await send.stalled(file)
            for number in range(total // step):
                send.peer.release()
                await send.reached(2 * number + 2)
            assert await ended(task) == total
            await send.over()


@requires("SENDF-COMMON-16")
@on_ways(*NATIVE)
async def test_one_file_to_several_peers(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """One file that goes to several peers at the same time, from different offsets, arrives right at each."""
    total = 2 * WIDTH

    async def send_from(offset: int) -> None:
        script = [hold(), expect_pattern(SEED, total - offset, offset=offset), expect_eof()]
        async with sending(loop, way, script, narrow=True) as send:
            task = await send.stalled(file, offset)
            send.peer.release()
            assert await ended(task) == total - offset
            await send.over()

    with file_of(total) as file:
        await asyncio.gather(*(send_from(offset) for offset in (0, 1, 100_000)))
