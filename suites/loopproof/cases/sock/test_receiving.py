"""sock_recv() and sock_recv_into(): what they return, when they do, and what is left."""

import array
import asyncio
import mmap
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import Kind, ended, played, plugged, waiting
from loopproof.faultkit import (
    GuardedBuffer,
    hold,
    pattern,
    reset,
    send,
    send_pattern,
    shutdown,
    verify_pattern,
)

KINDS: list[Kind] = ["tcp", "unix"]

Receive = Callable[[asyncio.AbstractEventLoop, Any, int], Awaitable[bytes]]


async def into(loop: asyncio.AbstractEventLoop, ours: Any, size: int) -> bytes:
    """Receive by sock_recv_into()."""
    buffer = bytearray(size)
    count = await loop.sock_recv_into(ours, buffer)
    assert type(count) is int
    assert buffer[count:] == bytes(size - count), "the buffer was written to behind the data"
    return bytes(buffer[:count])


WAYS: dict[str, Receive] = {"sock_recv": lambda loop, ours, size: loop.sock_recv(ours, size), "sock_recv_into": into}


@requires("SOCK-SOCK_RECV-01", "SOCK-SOCK_RECV_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4, 5, 6, 100_000])
async def test_data_that_are_there(loop: asyncio.AbstractEventLoop, way: str, kind: Kind, size: int) -> None:
    """Up to as many bytes as asked for are returned, and the others stay for the next call."""
    with plugged(kind, [send(b"hello"), shutdown(), hold()]) as (ours, peer):
        await played(peer, 2)
        received = await WAYS[way](loop, ours, size)
        assert type(received) is bytes
        assert received == b"hello"[:size]
        rest = b""
        while piece := await WAYS[way](loop, ours, size):
            rest += piece
        assert received + rest == b"hello"


@requires("SOCK-SOCK_RECV-01", "SOCK-SOCK_RECV_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("kind", KINDS)
async def test_data_that_come_later(loop: asyncio.AbstractEventLoop, way: str, kind: Kind) -> None:
    """Where there is nothing the operation waits, and ends with the first bytes, however many were asked for."""
    with plugged(kind, [hold(), send(b"hello"), hold()]) as (ours, peer):
        task = await waiting(WAYS[way](loop, ours, 1000))
        peer.release()
        assert await ended(task) == b"hello"


@requires("SOCK-SOCK_RECV-02", "SOCK-SOCK_RECV_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("waits", [False, True])
async def test_the_end_of_the_stream(loop: asyncio.AbstractEventLoop, way: str, kind: Kind, waits: bool) -> None:
    """At the end of the stream nothing is returned, again and again."""
    with plugged(kind, [hold(), shutdown(), hold()]) as (ours, peer):
        if waits:
            task = await waiting(WAYS[way](loop, ours, 1000))
            peer.release()
            assert await ended(task) == b""
        else:
            peer.release()
            await played(peer, 2)
        for _ in range(3):
            assert await WAYS[way](loop, ours, 1000) == b""


@requires("SOCK-COMMON-05")
@needs("sock")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("waits", [False, True])
async def test_a_reset(loop: asyncio.AbstractEventLoop, way: str, waits: bool) -> None:
    """A connection that its peer has reset raises ConnectionResetError, at once and in an operation that waits."""
    with plugged("tcp", [hold(), reset()]) as (ours, peer):
        if waits:
            task = await waiting(WAYS[way](loop, ours, 1000))
        peer.release()
        await played(peer, 2)
        with raises(ConnectionResetError):
            await (ended(task) if waits else WAYS[way](loop, ours, 1000))


@requires("SOCK-COMMON-06")
@needs("sock")
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_data_that_are_there_take_no_iteration(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """Data that are there are returned before the loop runs anything else."""
    with plugged("unix", [send(b"hello"), hold()]) as (ours, peer):
        await played(peer, 1)
        marks: list[str] = []
        loop.call_soon(marks.append, "another callback")
        assert await WAYS[way](loop, ours, 5) == b"hello"
        assert not marks, "the operation waited for another iteration"
        await polls(1)


@requires("SOCK-SOCK_RECV-01")
async def test_no_bytes_are_asked_for(loop: asyncio.AbstractEventLoop) -> None:
    """sock_recv() of 0 bytes returns none while data are there, and takes none of them."""
    with plugged("unix", [send(b"hello"), hold()]) as (ours, peer):
        await played(peer, 1)
        assert await loop.sock_recv(ours, 0) == b""
        assert await loop.sock_recv(ours, 10) == b"hello"


@requires("SOCK-SOCK_RECV-01", "SOCK-SOCK_RECV_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1000, 65_537, 3_000_000])
async def test_a_long_stream(loop: asyncio.AbstractEventLoop, way: str, kind: Kind, size: int) -> None:
    """A stream that is received in many pieces, some at once and some later, has every byte in its place."""
    total = 3_000_000 if size > 1000 else 200_000
    received = bytearray()
    with plugged(kind, [send_pattern(4, total, chunks=(1, 1460, 70_000)), shutdown(), hold()]) as (ours, _):
        while piece := await WAYS[way](loop, ours, size):
            assert len(piece) <= size
            received += piece
    wrong = verify_pattern(received, 4)
    assert wrong is None, f"the byte at offset {wrong} is wrong"
    assert len(received) == total


BUFFERS: dict[str, Any] = {
    "bytearray": lambda: bytearray(16),
    "memoryview": lambda: memoryview(bytearray(32))[8:24],
    "array": lambda: array.array("B", bytes(16)),
    "array of doubles": lambda: array.array("d", bytes(16)),
    "signed items": lambda: memoryview(bytearray(16)).cast("b"),
    "two dimensions": lambda: memoryview(bytearray(16)).cast("B", (4, 4)),
    "anonymous mmap": lambda: mmap.mmap(-1, 4096),
}


@requires("SOCK-SOCK_RECV_INTO-01", "SOCK-SOCK_RECV_INTO-02")
@pytest.mark.parametrize("buffer", sorted(BUFFERS))
@pytest.mark.parametrize("waits", [False, True])
async def test_any_writable_buffer_will_do(loop: asyncio.AbstractEventLoop, buffer: str, waits: bool) -> None:
    """sock_recv_into() fills whatever gives writable, contiguous memory, by its size in bytes."""
    given = BUFFERS[buffer]()
    data = pattern(5, 12)
    with plugged("unix", [hold(), send(data), hold()]) as (ours, peer):
        if waits:
            task = await waiting(loop.sock_recv_into(ours, given))
            peer.release()
            assert await ended(task) == 12
        else:
            peer.release()
            await played(peer, 2)
            assert await loop.sock_recv_into(ours, given) == 12
    view = memoryview(given).cast("B")
    assert view[:12] == data
    assert not any(view[12:]), "the buffer was written to behind the data"


@requires("SOCK-SOCK_RECV_INTO-02")
@pytest.mark.parametrize("waits", [False, True])
async def test_only_the_view_is_written_to(loop: asyncio.AbstractEventLoop, waits: bool) -> None:
    """What lies around a view in the same memory stays as it is."""
    memory = bytearray(b"-" * 30)
    with plugged("unix", [hold(), send(bytes(100)), hold()]) as (ours, peer):
        if not waits:
            peer.release()
            await played(peer, 2)
        operation = loop.sock_recv_into(ours, memoryview(memory)[10:20])
        task = await waiting(operation) if waits else asyncio.ensure_future(operation)
        peer.release()
        assert await ended(task) == 10
    assert memory == b"-" * 10 + bytes(10) + b"-" * 10


@requires("SOCK-SOCK_RECV_INTO-03")
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("size", [1, 100, 4096])
async def test_a_guarded_buffer(loop: asyncio.AbstractEventLoop, waits: bool, size: int) -> None:
    """sock_recv_into() writes nothing outside the buffer, and has let go of it when it returns."""
    buffer = GuardedBuffer(size, name="sock_recv_into()")
    with plugged("unix", [hold(), send(pattern(6, 5000)), hold()]) as (ours, peer):
        if not waits:
            peer.release()
            await played(peer, 2)
        operation = loop.sock_recv_into(ours, buffer)
        task = await waiting(operation) if waits else asyncio.ensure_future(operation)
        peer.release()
        assert await ended(task) == size
    del operation, task
    await polls(2)
    buffer.check()
    assert buffer.exports == 0, f"{buffer.exports} views of the buffer are left"
    assert bytes(memoryview(buffer)) == pattern(6, size)


@requires("SOCK-SOCK_RECV_INTO-01")
async def test_a_buffer_without_room(loop: asyncio.AbstractEventLoop) -> None:
    """sock_recv_into() an empty buffer returns 0 while data are there, and takes none of them."""
    with plugged("unix", [send(b"hello"), hold()]) as (ours, peer):
        await played(peer, 1)
        assert await loop.sock_recv_into(ours, bytearray()) == 0
        assert await loop.sock_recv(ours, 10) == b"hello"
