"""get_write_buffer_size(): the bytes that the transport still holds, at every step."""

from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Connect, Link, on_streams, requires
from loopproof.authoring.links import WIDTH, clogged
from loopproof.faultkit import drain, expect_pattern, hold, pattern


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_nothing_is_buffered_at_first(connect: Connect) -> None:
    """The size is 0 before the first write, after an empty one, and when the system has taken all."""
    link = await connect([drain()])
    assert link.transport.get_write_buffer_size() == 0
    link.transport.write(b"")
    link.transport.writelines([])
    assert link.transport.get_write_buffer_size() == 0
    link.transport.write(b"x")
    assert link.transport.get_write_buffer_size() == 0, "the system takes a byte, and yet it was queued"


MORE = 4 * WIDTH
"""Bytes of a write of which the kernel may take some after all, but by far not half."""


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_what_is_written_behind_others_adds_up(connect: Connect, kind: Any) -> None:
    """A write behind what is queued adds its bytes, each of them once."""
    link = await clogged(connect)
    await check_growth(link, lambda: link.transport.write(kind(bytes(MORE))))
    await check_growth(link, lambda: link.transport.writelines([kind(bytes(MORE // 8))] * 8))


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_wide_items_count_with_all_their_bytes(connect: Connect) -> None:
    """Of a memoryview whose items have several bytes the bytes count, not the items."""
    link = await clogged(connect)
    await check_growth(link, lambda: link.transport.write(memoryview(bytes(MORE)).cast("Q")))


async def check_growth(link: Link, write: Callable[[], None]) -> None:
    """Check that a write of `MORE` bytes makes the buffer grow by so many, less what the kernel may have taken."""
    before = link.transport.get_write_buffer_size()
    write()
    grown = link.transport.get_write_buffer_size() - before
    assert MORE - WIDTH <= grown <= MORE, f"after a write of {MORE} bytes {grown} more are said to be queued"


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_the_size_falls_as_the_peer_reads(connect: Connect) -> None:
    """When the peer reads the size falls to 0, and all bytes arrive in order."""
    link = await connect([hold(), expect_pattern(5, 3 * WIDTH), hold()], narrow=True)
    for start in range(0, 3 * WIDTH, WIDTH):
        link.transport.write(pattern(5, WIDTH, offset=start))
    assert link.transport.get_write_buffer_size() > 0
    link.peer.release()
    await link.reached(2)
    assert link.transport.get_write_buffer_size() == 0, "the peer has all bytes, and yet some are said to be queued"


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_the_size_after_an_abort(connect: Connect) -> None:
    """abort() throws away what is queued: afterwards the size is 0."""
    link = await clogged(connect)
    link.transport.abort()
    assert link.transport.get_write_buffer_size() == 0
    await link.lost()
    assert link.transport.get_write_buffer_size() == 0


@requires("FLOW-GET_WRITE_BUFFER_SIZE-02", "FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams("tcp-client", "unix-client")
async def test_the_size_of_very_many_chunks(connect: Connect) -> None:
    """With up to 50,000 chunks queued each question gets the right answer, in time that does not grow with them."""
    link = await clogged(connect)
    size = link.transport.get_write_buffer_size()
    for number in range(1, 50_001):
        link.transport.write(b"xy")
        assert link.transport.get_write_buffer_size() == size + 2 * number
