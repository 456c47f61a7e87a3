"""write(): every byte, once, in order, whatever it is given, and whatever is done to it afterwards."""

import array
import contextlib
import logging
import socket
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, raises, requires
from loopproof.authoring.links import WIDTH, clogged, polls
from loopproof.faultkit import close, drain, expect, expect_eof, expect_pattern, hold, pattern


@requires("TRANS-WRITE-02", "TRANS-WRITE-01")
@on_streams()
@pytest.mark.parametrize("sizes", [(1,), (1, 1460, 7), (65_536,), (65_537, 1), (300_000, 3), (3_000_000,)], ids=str)
async def test_all_writes_arrive_in_order(connect: Connect, sizes: tuple[int, ...]) -> None:
    """The peer receives the writes, of whatever sizes, one behind the other; each returns None."""
    total = min(300 * sum(sizes), 6_000_000)
    link = await connect([expect_pattern(2, total), expect_eof()])
    done = turn = 0
    while done < total:
        size = min(sizes[turn % len(sizes)], total - done)
        assert link.transport.write(pattern(2, size, offset=done)) is None
        done += size
        turn += 1
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITE-02")
@on_streams()
async def test_bytes_behind_a_partial_send_keep_their_order(connect: Connect) -> None:
    """What is queued because the kernel took only a part leaves in the order of the writes, once each."""
    link = await connect([hold(), expect_pattern(7, 5 * WIDTH), expect_eof()], narrow=True)
    done = 0
    for size in (WIDTH, 1, 65_537, 3, WIDTH, 7, 1460, 2 * WIDTH):
        link.transport.write(pattern(7, size, offset=done))
        done += size
        await polls(1)
    link.peer.release()
    while done < 5 * WIDTH:
        size = min(10_007, 5 * WIDTH - done)
        link.transport.write(pattern(7, size, offset=done))
        done += size
        await polls(1) if done % 7 == 0 else None
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


KINDS: dict[str, Any] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of a bytearray": lambda data: memoryview(bytearray(data)),
    "slice": lambda data: memoryview(b"before" + data + b"after")[6:-5],
    "signed items": lambda data: memoryview(data).cast("b"),
}
SHAPED: dict[str, Any] = {
    "items of four bytes": lambda data: memoryview(data).cast("I"),
    "two dimensions": lambda data: memoryview(data).cast("B", (4, len(data) // 4)),
}


@requires("TRANS-WRITE-03", "TRANS-WRITE-11", "TRANS-WRITE-02")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("queued", [False, True])
async def test_what_can_be_written(connect: Connect, kind: str, queued: bool) -> None:
    """bytes, bytearray and memoryviews are sent with all their bytes, at once or behind others."""
    await write_twice(connect, KINDS[kind], 2 * WIDTH if queued else 1000)


@requires("TRANS-WRITE-03", "TRANS-WRITE-11", "TRANS-WRITE-02")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", sorted(SHAPED))
async def test_views_with_a_shape(connect: Connect, kind: str) -> None:
    """A contiguous memoryview with wide items, or of several dimensions, is sent with all its bytes."""
    await write_twice(connect, SHAPED[kind], 1000)


@requires("TRANS-WRITE-03", "TRANS-WRITE-11", "TRANS-WRITE-02")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", sorted(SHAPED))
async def test_views_with_a_shape_of_which_a_part_is_sent(connect: Connect, kind: str) -> None:
    """Of such a view the kernel takes a part, and all other bytes follow."""
    await write_twice(connect, SHAPED[kind], 2 * WIDTH)


async def write_twice(connect: Connect, kind: Any, size: int) -> None:
    """Write two patterns, of so many bytes each, in buffers of a kind to a peer that expects them."""
    script = [hold(), expect_pattern(3, size), expect_pattern(4, size), expect_eof()]
    link = await connect(script, narrow=True)
    link.transport.write(kind(pattern(3, size)))
    link.transport.write(kind(pattern(4, size)))
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITE-03")
@on_streams()
@pytest.mark.parametrize("wrong", ["text", 5, 1.5, ["list"], object()], ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("queued", [False, True])
async def test_what_cannot_be_written(connect: Connect, wrong: Any, queued: bool) -> None:
    """Anything else is a TypeError at once, and the connection goes on."""
    await write_wrongly(connect, wrong, queued)


@requires("TRANS-WRITE-03")
@on_streams()
@pytest.mark.parametrize("queued", [False, True])
async def test_none_cannot_be_written(connect: Connect, queued: bool) -> None:
    """None is a TypeError, too."""
    await write_wrongly(connect, None, queued)


async def write_wrongly(connect: Connect, wrong: Any, queued: bool) -> None:
    """Try to write something that is refused, and see that the connection goes on."""
    link = await clogged(connect) if queued else await connect([expect(b"right"), expect_eof()])
    with raises(TypeError):
        link.transport.write(wrong)
    link.transport.write(b"right")
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    await link.verified()
    if queued:
        assert link.peer.log[-1].bytes == WIDTH + 5


@requires("TRANS-WRITE-04")
@on_streams()
@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b"")], ids=lambda empty: type(empty).__name__)
@pytest.mark.parametrize("queued", [False, True])
async def test_an_empty_write(connect: Connect, empty: Any, queued: bool) -> None:
    """Writing nothing sends nothing and stalls nothing, also between others."""
    link = await clogged(connect) if queued else await connect([expect(b"ab"), expect_eof()])
    for data in (empty, b"a", empty, empty, b"b", empty):
        link.transport.write(data)
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    await link.verified()
    if queued:
        assert link.peer.log[-1].bytes == WIDTH + 2


@requires("TRANS-WRITE-05")
@on_streams()
async def test_a_write_after_write_eof(connect: Connect) -> None:
    """write() after write_eof() raises RuntimeError, and sends nothing."""
    link = await connect([expect(b"x"), expect_eof(), hold()])
    link.transport.write(b"x")
    link.transport.write_eof()
    with raises(RuntimeError):
        link.transport.write(b"y")
    await link.reached(2)
    link.peer.release()


@requires("TRANS-WRITELINES-03")
@on_streams()
async def test_writelines_after_write_eof(connect: Connect) -> None:
    """writelines() after write_eof() raises RuntimeError, and sends nothing."""
    link = await connect([expect(b"x"), expect_eof(), hold()])
    link.transport.writelines([b"x"])
    link.transport.write_eof()
    with raises(RuntimeError):
        link.transport.writelines([b"y"])
    await link.reached(2)
    link.peer.release()


@requires("TRANS-WRITE-06", "TRANS-WRITELINES-05")
@on_streams()
@pytest.mark.parametrize("call", ["write", "writelines"])
async def test_writes_to_a_lost_connection(connect: Connect, logged: list[logging.LogRecord], call: str) -> None:
    """They are ignored; from some point on, not before the fifth, a warning is logged for each."""
    link = await connect([close()])
    await link.lost()
    for number in range(1, 12):
        link.transport.write(b"x") if call == "write" else link.transport.writelines([b"x", b"y"])
        if number < 5:
            assert not logged, f"a warning was logged for the {number}. write: {logged[0].getMessage()}"
    assert call == "writelines" or logged, "no warning was logged for eleven writes to a lost connection"
    assert {record.levelno for record in logged} <= {logging.WARNING}


@requires("TRANS-WRITE-07")
@on_streams()
async def test_a_write_to_a_closing_transport(connect: Connect) -> None:
    """write() after close() while bytes are queued does not raise; what was queued before is sent whole."""
    link = await clogged(connect)
    link.transport.close()
    link.transport.write(b"late")
    link.peer.release()
    assert await link.lost() is None
    await link.verified()
    assert link.peer.log[-1].bytes in (WIDTH, WIDTH + 4)


@requires("TRANS-WRITE-08")
@on_streams()
async def test_a_buffer_that_is_changed_after_the_write(connect: Connect) -> None:
    """A bytearray that the caller changes once write() has returned is sent as it was."""
    size = 2 * WIDTH
    link = await connect([hold(), expect_pattern(3, size), expect_pattern(4, size), expect_eof()], narrow=True)
    buffer = bytearray(pattern(3, size))
    link.transport.write(buffer)
    buffer[:] = pattern(4, size)
    link.transport.write(buffer)
    buffer[:] = bytes(size)
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITE-09")
@on_streams()
async def test_a_buffer_that_is_changed_while_it_is_queued(connect: Connect) -> None:
    """A caller who changes a buffer too early may change what is sent, but not how much that is."""
    link = await connect([hold(), drain()], narrow=True)
    buffer = bytearray(b"a" * 2 * WIDTH)
    link.transport.write(buffer)
    buffer[:] = b"b" * 2 * WIDTH
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()
    assert link.peer.log[-1].bytes == 2 * WIDTH


@requires("TRANS-WRITE-10")
@on_streams()
async def test_a_write_is_on_its_way_when_it_returns(connect: Connect) -> None:
    """With nothing queued write() hands the data to the system itself: the peer has it though the loop does not run."""
    link = await connect([expect(b"hello"), hold()])
    link.transport.write(b"hello")
    assert link.arrives(1), "the peer did not get the data before the loop's next iteration"
    link.peer.release()


@requires("TRANS-WRITE-11")
@on_streams("tcp-client", "unix-server")
async def test_a_strided_view(connect: Connect, reports: list[dict[str, Any]]) -> None:
    """A memoryview that is not contiguous is sent as its bytes are, or refused; never as the memory it lies in."""
    data = pattern(5, 2000)
    link = await connect([drain()])
    with contextlib.suppress(BufferError, TypeError, ValueError):
        link.transport.write(memoryview(data)[::2])
    link.transport.close()
    await link.lost()
    await link.verified()
    assert link.peer.log[-1].bytes in (0, 1000)
    reports.clear()  # a loop may also see an error of the connection in it


@requires("TRANS-WRITE-11", "TRANS-WRITE-02")
@on_streams("tcp-client", "unix-server")
async def test_an_array(connect: Connect) -> None:
    """Of an array of doubles all bytes are sent, not as many as it has items."""
    data = array.array("d", range(1000))
    link = await connect([expect(data.tobytes()), expect_eof()])
    link.transport.write(memoryview(data))
    link.transport.close()
    await link.lost()
    await link.verified()


@requires("TRANS-NODELAY-01")
@on_streams("tcp-client", "tcp-server", "accepted", "connected")
async def test_small_segments_leave_at_once(connect: Connect) -> None:
    """TCP transports have TCP_NODELAY, however they came to be."""
    link = await connect([hold()])
    ours = link.transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
