"""StreamWriter on transports of the loop: drain() under pressure, the loss of a connection, and the end."""

import asyncio
import gc
import socket
import warnings
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import WIDTH, polls, unverified
from loopproof.authoring.sockets import ended, verified
from loopproof.faultkit import Peer, accept, drain, expect_eof, expect_pattern, hold, pattern, reset

Loop = asyncio.AbstractEventLoop


async def clogged(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a peer that reads nothing, and write more than the kernel takes."""
    reader, writer = await asyncio.open_connection(*peer.address)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 131_072)
    writer.write(pattern(5, 2 * WIDTH))
    return reader, writer


@requires("STREAM-OPEN_CONNECTION-03", "STREAM-OPEN_CONNECTION-05")
@needs("tcp")
@pytest.mark.parametrize("tasks", [1, 5])
async def test_drain_waits(loop: Loop, tasks: int) -> None:
    """While the peer reads nothing drain() waits, in any number of tasks, and all go on once it does."""
    script = [accept(), hold(), expect_pattern(5, 2 * WIDTH), expect_eof()]
    with Peer(script, listen="tcp", receive_buffer=131_072) as peer:
        _, writer = await clogged(peer)
        waiting = [asyncio.ensure_future(writer.drain()) for _ in range(tasks)]
        await polls(10)
        assert not any(task.done() for task in waiting), "drain() returned although writing is paused"
        peer.release()
        await until(lambda: all(task.done() for task in waiting), "the end of drain()")
        assert [task.result() for task in waiting] == [None] * tasks
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await verified(peer)


@requires("STREAM-OPEN_CONNECTION-04")
@needs("tcp")
@pytest.mark.parametrize("tasks", [1, 3])
async def test_the_connection_is_lost_while_drain_waits(loop: Loop, tasks: int) -> None:
    """A drain() that waits when the peer resets the connection raises ConnectionError, and so does each after it."""
    with Peer([accept(), hold(), reset()], listen="tcp", receive_buffer=131_072) as peer:
        _, writer = await clogged(peer)
        waiting = [asyncio.ensure_future(writer.drain()) for _ in range(tasks)]
        await polls(5)
        peer.release()
        await until(lambda: all(task.done() for task in waiting), "the end of drain()")
        assert all(isinstance(task.exception(), ConnectionError) for task in waiting)
        with raises(ConnectionError):
            await writer.drain()
        writer.close()
        with raises(ConnectionError):
            await writer.wait_closed()


@requires("STREAM-OPEN_CONNECTION-06")
@needs("tcp")
async def test_the_end_is_waited_for(loop: Loop) -> None:
    """wait_closed() returns when all is sent and the connection closed, and at once when it is called again."""
    script = [accept(), hold(), expect_pattern(5, 2 * WIDTH), expect_eof()]
    with Peer(script, listen="tcp", receive_buffer=131_072) as peer:
        _, writer = await clogged(peer)
        writer.close()
        assert writer.is_closing()
        waiting = asyncio.ensure_future(writer.wait_closed())
        await polls(5)
        assert not waiting.done(), "wait_closed() returned although bytes are to be sent"
        peer.release()
        await until(waiting.done, "the end of wait_closed()")
        assert waiting.result() is None
        await writer.wait_closed()
        await verified(peer)


@requires("STREAM-OPEN_CONNECTION-06")
@needs("tcp")
async def test_the_end_by_a_reset(loop: Loop) -> None:
    """wait_closed() raises the error that the connection was lost with."""
    with Peer([accept(), hold(), reset()], listen="tcp") as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        peer.release()
        with raises(ConnectionResetError):
            await ended(asyncio.ensure_future(reader.read()), "the end of the read")
        with raises(ConnectionResetError):
            await writer.wait_closed()
        writer.close()


@requires("STREAM-OPEN_CONNECTION-12")
@needs("tcp")
async def test_a_writer_that_is_forgotten(loop: Loop) -> None:
    """A writer that is collected without close() warns with a ResourceWarning, and the peer sees the end."""
    with unverified(Peer([accept(), drain()], listen="tcp")) as peer:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await open_and_forget(peer)
            gc.collect()
            await polls(3)
        assert any(issubclass(entry.category, ResourceWarning) for entry in caught)
        await until(lambda: peer.ended, "the end of the connection")


async def open_and_forget(peer: Any) -> None:
    """Open a stream and keep nothing of it."""
    await asyncio.open_connection(*peer.address)
