"""Streams that nobody keeps, or nobody asks for their end."""

import asyncio
import gc
import sys
import warnings
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.links import polls, unverified
from loopproof.authoring.sockets import playing
from loopproof.faultkit import Peer, accept, connect, drain, expect, hold, reset, send

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]


@requires("STREAM-START_SERVER-06")
@needs("servers")
async def test_the_task_of_a_callback(loop: Loop, reports: list[Report]) -> None:
    """The task that serves a connection lives on through garbage collections, though nobody keeps it."""
    waiting: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(True)
        writer.write(await reader.readexactly(5))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with playing([connect(server.sockets[0].getsockname()), hold(), send(b"hello"), expect(b"hello")]) as peer:
        await until(lambda: waiting, "the callback")
        for _ in range(3):
            await polls(1)
            gc.collect()
        peer.release()
        await until(lambda: peer.ended, "the answer")
        peer.verify()
    server.close()
    await server.wait_closed()
    assert not reports


@requires("STREAM-STREAMWRITER_WAIT_CLOSED-03")
@needs("tcp")
async def test_a_loss_that_nobody_waits_for(loop: Loop, reports: list[Report]) -> None:
    """A stream that was reset, was closed, and is collected without a wait_closed(), is not reported."""

    async def use() -> None:
        with unverified(Peer([accept(), hold(), reset()], listen="tcp")) as peer:
            reader, writer = await asyncio.open_connection(*peer.address)
            peer.release()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    await use()
    await polls(3)
    gc.collect()
    await polls(3)
    assert not reports


@requires("STREAM-OPEN_CONNECTION-18")
@needs("tcp")
def test_a_writer_that_outlives_its_loop(loop_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that is collected when its loop is closed raises nothing that somebody had to handle."""
    raised: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(repr(unraisable.exc_value)))
    loop = loop_factory()
    with unverified(Peer([accept(), drain()], listen="tcp")) as peer:
        streams = [loop.run_until_complete(asyncio.open_connection(*peer.address))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # that it warns is a case of its own
            loop.close()
            streams.clear()
            del loop  # which may keep the transport
            gc.collect()
            gc.collect()
    assert not raised, f"raised by a finalizer: {raised}"
