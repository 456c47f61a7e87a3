"""StreamReader on transports of the loop: the same bytes whatever the chunks, and a reader that cannot keep up."""

import asyncio
import socket

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.streaming import over, unix_peer
from loopproof.faultkit import Peer, accept, drain, expect, hold, pattern, send, send_pattern, shutdown

Loop = asyncio.AbstractEventLoop
LINES = b"".join(b"%d:%s\r\n" % (size, b"x" * size) for size in (0, 1, 2, 3, 100, 1000, 5000))


@requires("STREAM-OPEN_CONNECTION-01")
@needs("tcp")
async def test_a_client(loop: Loop) -> None:
    """open_connection() gives a reader and a writer that exchange data with the peer."""
    with Peer([accept(), expect(b"ask"), send(b"answer"), drain()], listen="tcp") as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        writer.write(b"ask")
        await writer.drain()
        assert await reader.readexactly(6) == b"answer"
        assert writer.get_extra_info("peername") == peer.address
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-02")
@needs("unix")
async def test_a_unix_client(loop: Loop) -> None:
    """open_unix_connection() gives a reader and a writer that exchange data with the peer."""
    with unix_peer([expect(b"ask"), send(b"answer"), drain()]) as (path, peer):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"ask")
        assert await reader.readexactly(6) == b"answer"
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-13")
@needs("tcp")
@pytest.mark.parametrize("chunks", [(1,), (2, 1), (7,), (1460,), (100_000,)], ids=str)
@pytest.mark.parametrize("how", ["read", "readline", "readuntil", "readexactly"])
async def test_whatever_the_chunks(loop: Loop, how: str, chunks: tuple[int, ...]) -> None:
    """Every way to read yields the bytes that the peer has sent, in whatever chunks, and then the end."""
    with Peer([accept(), send(LINES, chunks=chunks), shutdown(), drain()], listen="tcp") as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        received = bytearray()
        while len(received) < len(LINES):
            if how == "read":
                part = await reader.read(10)
                assert part, "the stream has ended early"
                received += part
            elif how == "readexactly":
                received += await reader.readexactly(1)
            else:
                part = await (reader.readline() if how == "readline" else reader.readuntil(b"\r\n"))
                assert part.endswith(b"\r\n")
                received += part
        assert received == LINES
        assert await reader.read() == b""
        assert reader.at_eof()
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-13")
@needs("tcp")
async def test_the_end_comes_early(loop: Loop) -> None:
    """At the end readexactly() and readuntil() raise IncompleteReadError with the rest, readline() returns it."""
    for how in ("readexactly", "readuntil", "readline"):
        with Peer([accept(), send(b"rest"), shutdown(), drain()], listen="tcp") as peer:
            reader, writer = await asyncio.open_connection(*peer.address)
            if how == "readline":
                assert await reader.readline() == b"rest"
            else:
                with raises(asyncio.IncompleteReadError) as raised:
                    await (reader.readexactly(5) if how == "readexactly" else reader.readuntil(b"!"))
                assert isinstance(raised.value, asyncio.IncompleteReadError)
                assert raised.value.partial == b"rest"
            await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-07", "STREAM-OPEN_CONNECTION-13")
@needs("tcp")
async def test_a_reader_that_does_not_keep_up(loop: Loop) -> None:
    """While nobody reads the transport is paused, so that the peer has to wait; all bytes come once they are read."""
    script = [accept(), send_pattern(3, 4 * WIDTH), shutdown(), drain()]
    with Peer(script, listen="tcp", send_buffer=65_536) as peer:
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
        ours.connect(peer.address)
        reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
        await polls(50)
        assert peer.completed == 1, "the peer has sent all although nobody reads"
        received = bytearray()
        while part := await reader.read(100_000):
            received += part
        assert received == pattern(3, 4 * WIDTH)
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-14")
@needs("tcp")
async def test_a_read_that_is_cancelled(loop: Loop) -> None:
    """A read that is cancelled when a part has come loses nothing: the next one gets it."""
    with Peer([accept(), send(b"half"), hold(), send(b"more"), drain()], listen="tcp") as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        for _ in range(3):
            task = asyncio.ensure_future(reader.readexactly(8))
            await until(lambda: peer.completed == 2, "the peer's first data")
            await polls(5)
            task.cancel()
            with raises(asyncio.CancelledError):
                await task
        peer.release()
        assert await reader.readexactly(8) == b"halfmore"
        await over(writer, peer)
