"""writelines(): as if each element was written, whatever iterable it is, and however many there are."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, raises, requires
from loopproof.authoring.links import WIDTH, clogged, pauses
from loopproof.faultkit import drain, expect, expect_eof, expect_pattern, hold, pattern

IOV_MAX = os.sysconf("SC_IOV_MAX")
COUNTS = [1, 2, IOV_MAX - 1, IOV_MAX, IOV_MAX + 1, 2 * IOV_MAX + 1, 100_000]


@requires("TRANS-WRITELINES-01", "TRANS-WRITELINES-07")
@on_streams()
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", [1, 100])
async def test_many_elements(connect: Connect, count: int, size: int) -> None:
    """All elements arrive in order, also more of them than one system call takes."""
    data = pattern(4, count * size)
    link = await connect([expect_pattern(4, count * size), expect_eof()])
    link.transport.writelines([data[at : at + size] for at in range(0, len(data), size)])
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITELINES-01", "TRANS-WRITELINES-07")
@on_streams()
@pytest.mark.parametrize("count", [3, IOV_MAX + 1])
async def test_elements_behind_a_partial_send(connect: Connect, count: int) -> None:
    """Elements that the kernel does not take at once leave in order, behind what was queued before."""
    size = 4 * WIDTH // count
    link = await connect([hold(), expect_pattern(4, 2 * count * size), expect_eof()], narrow=True)
    for half in range(2):
        data = pattern(4, count * size, offset=half * count * size)
        link.transport.writelines([data[at : at + size] for at in range(0, len(data), size)])
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


def generated(parts: list[bytes]) -> Iterator[bytes]:
    """The parts one by one."""
    yield from parts


ITERABLES: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "generator": generated,
    "dict": lambda parts: dict.fromkeys(parts),
    "map": lambda parts: map(bytes, parts),
}


@requires("TRANS-WRITELINES-02", "TRANS-WRITELINES-01")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", sorted(ITERABLES))
@pytest.mark.parametrize("queued", [False, True])
async def test_any_iterable(connect: Connect, kind: str, queued: bool) -> None:
    """A list, a tuple, a generator and every other iterable will do, at once and behind other bytes."""
    parts = [b"one", b"two", b"three"]
    link = await clogged(connect) if queued else await connect([expect(b"onetwothree"), expect_eof()])
    link.transport.writelines(ITERABLES[kind](parts))
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    await link.verified()
    if queued:
        assert link.peer.log[-1].bytes == WIDTH + 11


@requires("TRANS-WRITELINES-06")
@on_streams()
@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("parts", [[b"a", b""], [b""]], ids=["last", "alone"])
async def test_an_empty_element_before_the_end(connect: Connect, parts: list[Any], queued: bool) -> None:
    """A transport that is closed behind an empty element, with nothing after it, sends what there is and ends."""
    link = await clogged(connect) if queued else await connect([hold(), expect(b"".join(parts)), expect_eof()])
    link.transport.writelines(parts)
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITELINES-06", "TRANS-WRITELINES-01")
@on_streams()
@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize(
    "parts",
    [[], [b""], [b"", b"a"], [b"a", b""], [b"", b"", b"a", b"", b"b", b""], [bytearray(), memoryview(b""), b"a"]],
    ids=["none", "one", "first", "last", "several", "other kinds"],
)
async def test_empty_elements(connect: Connect, parts: list[Any], queued: bool) -> None:
    """Empty elements, and no elements at all, are skipped and stall nothing."""
    whole = b"".join(parts)
    script = [expect(whole + b"end"), expect_eof()]
    link = await clogged(connect) if queued else await connect(script)
    link.transport.writelines(parts)
    link.transport.write(b"end")
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    await link.verified()
    if queued:
        assert link.peer.log[-1].bytes == WIDTH + len(whole) + 3


@requires("TRANS-WRITELINES-01")
@on_streams("tcp-client", "unix-server")
async def test_elements_of_all_kinds(connect: Connect) -> None:
    """The elements may be of different kinds; each is sent with all its bytes."""
    parts = [b"ab", bytearray(b"cd"), memoryview(b"efgh").cast("b"), memoryview(bytearray(b"_ij_"))[1:3]]
    link = await connect([expect(b"abcdefghij"), expect_eof()])
    link.transport.writelines(parts)
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITELINES-01")
@on_streams("tcp-client", "unix-server")
async def test_elements_with_wide_items(connect: Connect) -> None:
    """Of a memoryview whose items have several bytes each byte is sent."""
    link = await connect([expect(b"abcdefghij"), expect_eof()])
    link.transport.writelines([b"ab", memoryview(b"cdefghij").cast("I")])
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITELINES-01")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("wrong", [5, ["text"], [b"a", 5]], ids=str)
async def test_what_is_no_iterable_of_bytes(connect: Connect, wrong: Any) -> None:
    """A number, or an element that is no bytes-like object, is a TypeError, and the connection goes on."""
    await write_wrong_lines(connect, wrong)


@requires("TRANS-WRITELINES-01")
@on_streams("tcp-client", "unix-server")
async def test_none_is_no_iterable(connect: Connect) -> None:
    """None is a TypeError, and the connection goes on."""
    await write_wrong_lines(connect, None)


async def write_wrong_lines(connect: Connect, wrong: Any) -> None:
    """Try to write something that is refused, and see that the connection goes on."""
    link = await connect([hold(), drain()])
    with raises(TypeError):
        link.transport.writelines(wrong)
    link.transport.write(b"right")
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()
    assert link.peer.log[-1].bytes in (5, 6)  # a loop may send what comes before the wrong element


@requires("TRANS-WRITELINES-04")
@on_streams()
async def test_elements_above_the_high_mark_pause(connect: Connect) -> None:
    """pause_writing() is called from within the writelines() that takes the buffer above the high mark, once."""
    link = await connect([hold(), drain()], narrow=True)
    link.transport.set_write_buffer_limits(high=1000)
    link.transport.writelines([bytes(WIDTH // 10)] * 20)
    assert pauses(link) == ["pause_writing"]
    link.peer.release()
    await link.seen("resume_writing")


@requires("TRANS-WRITELINES-01", "TRANS-WRITE-08")
@on_streams("tcp-client", "unix-server")
async def test_buffers_that_are_changed_after_writelines(connect: Connect) -> None:
    """Elements that the caller changes once writelines() has returned are sent as they were."""
    size = WIDTH
    link = await connect([hold(), expect_pattern(3, 3 * size), expect_eof()], narrow=True)
    parts = [bytearray(pattern(3, size, offset=number * size)) for number in range(3)]
    link.transport.writelines(parts)
    for part in parts:
        part[:] = bytes(size)
    link.peer.release()
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITELINES-08")
@on_streams()
async def test_elements_are_on_their_way_when_it_returns(connect: Connect) -> None:
    """With nothing queued the peer has what was given to writelines() though the loop does not run."""
    link = await connect([expect(b"hello"), hold()])
    link.transport.writelines([b"hel", b"", b"lo"])
    assert link.arrives(1), "the peer did not get the data before the loop's next iteration"
    link.peer.release()
