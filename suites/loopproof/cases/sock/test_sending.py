"""sock_sendall(): everything is sent, in order, however little the kernel takes at a time."""

import array
import asyncio
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.sockets import Kind, ended, played, plugged, verified, waiting
from loopproof.faultkit import (
    GuardedBuffer,
    Injector,
    close,
    drain,
    expect,
    expect_eof,
    expect_pattern,
    hold,
    pattern,
    reset,
    short,
)

KINDS: list[Kind] = ["tcp", "unix"]


@requires("SOCK-SOCK_SENDALL-01", "SOCK-SOCK_SENDALL-03")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 1460, 70_000, 3 * WIDTH])
async def test_all_is_sent(loop: Any, kind: Kind, size: int) -> None:
    """Data of any size arrive whole, and the operation returns None."""
    with plugged(kind, [expect_pattern(2, size), expect_eof()], narrow=True) as (ours, peer):
        assert await loop.sock_sendall(ours, pattern(2, size)) is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_SENDALL-01", "SOCK-SOCK_SENDALL-02")
@pytest.mark.parametrize("kind", KINDS)
async def test_the_peer_reads_nothing_yet(loop: Any, kind: Kind) -> None:
    """The operation does not end before the kernel has taken the last byte."""
    with plugged(kind, [hold(), expect_pattern(2, 3 * WIDTH), expect_eof()], narrow=True) as (ours, peer):
        task = await waiting(loop.sock_sendall(ours, pattern(2, 3 * WIDTH)))
        await polls(20)
        assert not task.done(), "sock_sendall() returned though the peer has read nothing"
        peer.release()
        assert await ended(task) is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_SENDALL-02")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_that_reads_in_steps(loop: Any, kind: Kind) -> None:
    """A peer that takes a part at a time gets every byte once and in order."""
    total, step = 2 * WIDTH, 100_000
    script = [part for at in range(0, total, step) for part in (hold(), expect_pattern(2, step, offset=at))]
    with plugged(kind, [*script, expect_eof()], narrow=True) as (ours, peer):
        task = await waiting(loop.sock_sendall(ours, pattern(2, total)))
        for number in range(total // step):
            peer.release()
            await played(peer, 2 * number + 2)
        assert await ended(task) is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_SENDALL-01", "SOCK-SOCK_SENDALL-02")
@needs("short_transfers")
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_kernel_takes_little_at_a_time(loop: asyncio.AbstractEventLoop, size: int) -> None:
    """Where every system call takes a few bytes only, all is sent all the same."""
    total = 150 * size

    async def scenario() -> None:
        with plugged("unix", [expect_pattern(2, total), expect_eof()]) as (ours, peer):
            await loop.sock_sendall(ours, pattern(2, total))
            ours.shutdown(socket.SHUT_WR)
            await verified(peer)

    injector = Injector([short(("send", "sendto", "sendmsg", "write", "writev"), size, kind="unix")])
    injector.run(loop.run_until_complete, scenario())
    assert injector.chosen[0] > 100, "the system calls that the loop sends with were not seen"


DATA: dict[str, Any] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "part of a view": lambda data: memoryview(b"before" + data + b"behind")[6:-6],
    "read-only": lambda data: memoryview(bytearray(data)).toreadonly(),
    "array": lambda data: array.array("B", data),
}


@requires("SOCK-SOCK_SENDALL-04")
@pytest.mark.parametrize("given", sorted(DATA))
@pytest.mark.parametrize("size", [0, 10, 2 * WIDTH])
async def test_data_of_any_kind(loop: Any, given: str, size: int) -> None:
    """bytes, bytearray, memoryview and what else gives bytes are sent, at once or in parts."""
    with plugged("unix", [expect_pattern(2, size), expect_eof()], narrow=True) as (ours, peer):
        assert await loop.sock_sendall(ours, DATA[given](pattern(2, size))) is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_SENDALL-06")
@pytest.mark.parametrize("size", [8, 80_000])
async def test_items_of_several_bytes(loop: Any, size: int) -> None:
    """Of a buffer with items of several bytes all bytes are sent: its size in bytes counts, not its number of items."""
    with plugged("unix", [expect_pattern(2, size), expect_eof()]) as (ours, peer):
        task = asyncio.ensure_future(loop.sock_sendall(ours, memoryview(pattern(2, size)).cast("d")))
        await until(task.done, "the end of sock_sendall() of what the kernel takes at once", share=0.1)
        assert task.result() is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-SOCK_SENDALL-07")
@pytest.mark.parametrize("size", [10, 2 * WIDTH])
async def test_the_buffer_is_let_go_of(loop: asyncio.AbstractEventLoop, size: int) -> None:
    """When the operation is over nothing refers to the memory that was sent."""
    buffer = GuardedBuffer(size, name="sock_sendall()")
    memoryview(buffer)[:] = pattern(2, size)
    with plugged("unix", [expect_pattern(2, size), expect_eof()], narrow=True) as (ours, peer):
        await loop.sock_sendall(ours, buffer)
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)
    await polls(2)
    buffer.check()
    assert buffer.exports == 0, f"{buffer.exports} views of the buffer are left"


@requires("SOCK-SOCK_SENDALL-05", "SOCK-COMMON-05")
async def test_a_reset_while_it_waits(loop: asyncio.AbstractEventLoop) -> None:
    """A reset ends an operation that waits with ConnectionResetError or BrokenPipeError."""
    with plugged("tcp", [hold(), reset()], narrow=True) as (ours, peer):
        task = await waiting(loop.sock_sendall(ours, bytes(3 * WIDTH)))
        peer.release()
        with raises(ConnectionResetError, BrokenPipeError):
            await ended(task)


@requires("SOCK-SOCK_SENDALL-05")
@pytest.mark.parametrize("size", [10, 3 * WIDTH])
async def test_a_reset_before_it(loop: asyncio.AbstractEventLoop, size: int) -> None:
    """On a connection that was reset it raises ConnectionResetError, or BrokenPipeError once that was told."""
    with plugged("tcp", [reset()]) as (ours, peer):
        await played(peer, 1)
        for _ in range(3):
            with raises(ConnectionResetError, BrokenPipeError):
                await loop.sock_sendall(ours, bytes(size))


@requires("SOCK-SOCK_SENDALL-05")
@pytest.mark.parametrize("waits", [False, True])
async def test_a_peer_that_has_closed(loop: asyncio.AbstractEventLoop, waits: bool) -> None:
    """Where the other end is closed it raises BrokenPipeError or ConnectionResetError, at once or while it waits."""
    with plugged("unix", [hold(), close()], narrow=True) as (ours, peer):
        if waits:
            task = await waiting(loop.sock_sendall(ours, bytes(3 * WIDTH)))
        peer.release()
        await played(peer, 2)
        with raises(BrokenPipeError, ConnectionResetError):
            await (ended(task) if waits else loop.sock_sendall(ours, b"data"))


@requires("SOCK-COMMON-06")
@needs("sock")
@pytest.mark.parametrize("size", [0, 5])
async def test_what_the_kernel_takes_needs_no_iteration(loop: asyncio.AbstractEventLoop, size: int) -> None:
    """What the kernel takes is sent before the loop runs anything else."""
    with plugged("unix", [drain()]) as (ours, _):
        marks: list[str] = []
        loop.call_soon(marks.append, "another callback")
        await loop.sock_sendall(ours, bytes(size))
        assert not marks, "the operation waited for another iteration"
        await polls(1)


@requires("SOCK-SOCK_SENDALL-01")
async def test_one_after_the_other(loop: asyncio.AbstractEventLoop) -> None:
    """Operations that follow each other, some at once and some after a wait, send in their order."""
    sizes = (1, 0, 2 * WIDTH, 5, 0, WIDTH, 1)
    total = sum(sizes)
    data = memoryview(pattern(2, total))
    with plugged("tcp", [expect_pattern(2, total), expect(b"end"), expect_eof()], narrow=True) as (ours, peer):
        for size in sizes:
            await loop.sock_sendall(ours, data[:size])
            data = data[size:]
        await loop.sock_sendall(ours, b"end")
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)
