"""The data that refloop's transports hand out: memory is used again, but for what the protocol has kept."""

import socket
import sys
import tracemalloc

import pytest
from recorders import LOOPS, Recorder, Reports, connected, run

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)


@both
@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_data_that_is_kept_stays_as_it_was(loop: str, keep: int) -> None:
    """Also when it was hashed, and the memory of data that nobody keeps is used again."""

    async def scene(_: Reports) -> None:
        kept: dict[bytes, int] = {}
        offset = 0

        def look(_: object, data: bytes) -> None:
            nonlocal offset
            expected = faultkit.pattern(5, len(data), offset)
            assert data == expected
            assert hash(data) == hash(expected)
            assert sys.getsizeof(data) == sys.getsizeof(expected)
            assert data + b"x" == expected + b"x"
            if keep and (len(kept) + offset) % keep == 0:
                kept[data] = offset
            offset += len(data)

        protocol = Recorder(data_received=look)
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        async with connected(protocol, (ours, theirs)):
            sent = 0
            small = [1, 600, 600, 599, 300, 599, 1, 5000, 4000, 2500, 2499, 5000, 512, 511, 512, 30_000, 20_000, 0]
            edges = [10_000, 16_384, 65_536, 65_537, 16_383, 16_385, 4096, 4095] * 3
            for size in [*small, *edges, *[150_000, 70_000, 90] * 4]:
                theirs.sendall(faultkit.pattern(5, size, sent))
                sent += size
                await protocol.until(lambda sent=sent: offset == sent)
        for data, start in kept.items():
            assert data == faultkit.pattern(5, len(data), start)
            assert kept[bytes(bytearray(data))] == start

    assert run(loop, scene) == []


def test_one_short_message_does_not_have_long_ones_read_in_parts() -> None:
    pieces: list[int] = []

    async def scene(_: Reports) -> None:
        protocol = Recorder(data_received=lambda _, data: pieces.append(len(data)))
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        async with connected(protocol, (ours, theirs)):
            for sent, size in enumerate([100_000, 100_000, 40_000, *[100_000] * 5], 1):
                theirs.sendall(bytes(size))
                await protocol.until(lambda sent=sent: len(pieces) >= sent)

    assert run("refloop", scene) == []
    assert pieces == [100_000, 100_000, 40_000, *[100_000] * 5]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("size", [5000, 10_240, 20_000, 70_000])
def test_data_that_is_kept_takes_four_times_its_size_at_most(size: int, every: int) -> None:
    kept: list[bytes] = []

    async def scene(_: Reports) -> None:
        seen = 0

        def look(_: object, data: bytes) -> None:
            nonlocal seen
            if seen // size % every == 0:
                kept.append(data)
            seen += len(data)

        protocol = Recorder(data_received=look)
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        async with connected(protocol, (ours, theirs)):
            for number in range(100 * every):
                theirs.sendall(bytes(size))
                await protocol.until(lambda number=number: seen == (number + 1) * size)

    tracemalloc.start()
    try:
        assert run("refloop", scene) == []
        length = sum(map(len, kept))
        before = tracemalloc.get_traced_memory()[0]
        kept.clear()
        freed = before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert length <= freed < 4 * length + 100_000
