"""get_write_buffer_size(): the bytes that the transport still holds, at every step."""

from loopproof.authoring import Connect, on_streams, requires
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


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_what_is_written_behind_a_full_kernel_adds_up(connect: Connect) -> None:
    """Behind a kernel that takes no more each write adds exactly its bytes, however they are given."""
    link = await clogged(connect)
    size = link.transport.get_write_buffer_size()
    for data in (b"x", bytearray(1000), memoryview(bytes(70_000)), memoryview(b"signed").cast("b"), b""):
        link.transport.write(data)
        size += len(data)
        assert link.transport.get_write_buffer_size() == size, f"after a write of {data!r:.40}"
    link.transport.writelines([b"abc", bytearray(5), memoryview(b"xy"), b""])
    assert link.transport.get_write_buffer_size() == size + 10


@requires("FLOW-GET_WRITE_BUFFER_SIZE-01")
@on_streams()
async def test_wide_items_count_with_all_their_bytes(connect: Connect) -> None:
    """Of a memoryview whose items have several bytes the bytes count, not the items."""
    link = await clogged(connect)
    size = link.transport.get_write_buffer_size()
    link.transport.write(memoryview(bytes(8000)).cast("I"))
    assert link.transport.get_write_buffer_size() == size + 8000


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
