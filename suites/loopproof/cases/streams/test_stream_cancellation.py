"""Coroutines of streams that are cancelled at every turn: nothing leaks, hangs or is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, requires
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.certificates import certificate, client_context
from loopproof.authoring.descriptors import closed_since, opened_since
from loopproof.authoring.links import WIDTH, polls, unverified, warmed_up
from loopproof.authoring.streaming import streams, unix_peer
from loopproof.faultkit import Peer, accept, drain, expect, expect_eof, expect_pattern, hold, pattern, send

Loop = asyncio.AbstractEventLoop


async def over(task: "asyncio.Task[Any]") -> None:
    """Close the stream that a task has opened, if it has."""
    if not task.cancelled():
        _, writer = task.result()
        writer.close()
        await writer.wait_closed()


@requires("STREAM-CANCELLATION-01")
@needs("tcp")
async def test_open_connection(loop: Loop) -> None:
    """Whenever open_connection() is cancelled, no connection stays open."""

    async def scenario(cancel: Cancel) -> None:
        with unverified(Peer([accept(), drain()], listen="tcp")) as peer:
            before = await warmed_up(loop)
            task = await cancel(asyncio.open_connection(*peer.address))
            await over(task)
            del task
            await closed_since(before, "open_connection()")

    await at_every_turn(scenario)


@requires("STREAM-CANCELLATION-01")
@needs("unix")
async def test_open_unix_connection(loop: Loop) -> None:
    """Whenever open_unix_connection() is cancelled, no connection stays open."""

    async def scenario(cancel: Cancel) -> None:
        with unix_peer([drain()]) as (path, _):
            before = await warmed_up(loop)
            task = await cancel(asyncio.open_unix_connection(path))
            await over(task)
            del task
            await closed_since(before, "open_unix_connection()")

    await at_every_turn(scenario)


@requires("STREAM-CANCELLATION-04")
@needs("servers")
async def test_start_server(loop: Loop) -> None:
    """Whenever start_server() is cancelled, nothing listens any more."""
    await starting(loop, lambda: asyncio.start_server(lambda *_: None, "127.0.0.1", 0))


@requires("STREAM-CANCELLATION-04")
@needs("unix")
async def test_start_unix_server(loop: Loop, tmp_path: Path) -> None:
    """Whenever start_unix_server() is cancelled, nothing listens any more."""
    await starting(loop, lambda: asyncio.start_unix_server(lambda *_: None, tmp_path / "socket"))


async def starting(loop: Loop, start: Callable[[], Awaitable[Any]]) -> None:
    """Cancel the start of a server at every turn."""

    async def scenario(cancel: Cancel) -> None:
        before = await warmed_up(loop)
        task = await cancel(start())
        if not task.cancelled():
            task.result().close()
            await task.result().wait_closed()
        del task
        await polls(5)
        left = opened_since(before)
        assert not left, f"the start of a server leaves open: {'; '.join(left)}"

    await at_every_turn(scenario)


READS: dict[str, Callable[[asyncio.StreamReader], Awaitable[bytes]]] = {
    "read": lambda reader: reader.read(100),
    "readline": lambda reader: reader.readline(),
    "readexactly": lambda reader: reader.readexactly(6),
    "readuntil": lambda reader: reader.readuntil(b"o\n"),
}


@requires("STREAM-OPEN_CONNECTION-14")
@needs("tcp")
@pytest.mark.parametrize("how", sorted(READS))
async def test_reads(loop: Loop, how: str) -> None:
    """Whenever a read is cancelled, also when the data come in that turn, the next one gets what was not returned."""

    async def scenario(cancel: Cancel) -> None:
        async with streams([send(b"hel"), send(b"lo\n"), hold()]) as link:
            task = await cancel(READS[how](link.reader))
            found = b"" if task.cancelled() else task.result()
            rest = await link.reader.readexactly(6 - len(found))
            assert found + rest == b"hello\n", f"after a cancel the reader has {rest!r}"

    await at_every_turn(scenario)


@requires("STREAM-STREAMWRITER_DRAIN-02")
@needs("tcp")
async def test_drain(loop: Loop) -> None:
    """Whenever drain() is cancelled, every byte arrives, and the next drain() waits for it."""

    async def scenario(cancel: Cancel) -> None:
        async with streams([hold(), expect_pattern(5, WIDTH), expect_eof()], narrow=True) as link:
            link.writer.write(pattern(5, WIDTH))
            loop.call_later(0.005, link.peer.release)
            await cancel(link.writer.drain())
            await link.writer.drain()
            link.writer.close()
            await link.writer.wait_closed()
            await link.verified()

    await at_every_turn(scenario)


@requires("STREAM-CANCELLATION-02")
@needs("tcp")
async def test_wait_closed(loop: Loop) -> None:
    """Whenever wait_closed() is cancelled, the stream is closed all the same behind its last byte."""

    async def scenario(cancel: Cancel) -> None:
        async with streams([hold(), expect_pattern(5, WIDTH), expect_eof()], narrow=True) as link:
            link.writer.write(pattern(5, WIDTH))
            link.writer.close()
            loop.call_later(0.005, link.peer.release)
            await cancel(link.writer.wait_closed())
            await link.verified()

    await at_every_turn(scenario)


@requires("STREAM-CANCELLATION-03")
@needs("tls", "tcp")
async def test_start_tls(loop: Loop) -> None:
    """Whenever start_tls() is cancelled, it ends with CancelledError, and closing the stream leaves nothing open."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake(), drain()]

    async def scenario(cancel: Cancel) -> None:
        with unverified(Peer([accept(), expect(b"STARTTLS"), *tls], listen="tcp")) as peer:
            before = await warmed_up(loop)
            _, writer = await asyncio.open_connection(*peer.address)
            writer.write(b"STARTTLS")
            task = await cancel(writer.start_tls(client_context(), server_hostname="localhost"))
            writer.transport.abort()
            await polls(2)
            peer.stop()
            del writer, task, _
            await closed_since(before, "start_tls()")

    await at_every_turn(scenario)
