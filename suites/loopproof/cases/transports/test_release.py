"""What a transport lets go of once its connection is lost, and how it goes away itself."""

import asyncio
import gc
import socket
import sys
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, polls
from loopproof.faultkit import hold, reset


@requires("TRANS-WRITE-12")
@on_streams()
@pytest.mark.parametrize("method", ["write", "writelines"])
@pytest.mark.parametrize("how", ["abort", "reset"])
async def test_what_was_queued(connect: Connect, method: str, how: str) -> None:
    """Data that were queued when the connection was lost are let go of."""
    data = bytes(WIDTH)
    before = sys.getrefcount(data)
    link = await connect([hold(), reset()], narrow=True)
    link.transport.set_write_buffer_limits(high=9 * WIDTH)
    if method == "write":
        link.transport.write(bytes(WIDTH))
        link.transport.write(data)
    else:
        link.transport.writelines([bytes(WIDTH), data, data])
    if how == "abort":
        link.transport.abort()
    else:
        link.peer.release()
    await link.lost()
    await polls(3)
    assert sys.getrefcount(data) == before, "the transport still refers to what was queued"


async def used(loop: Any, end: str) -> type[Any]:
    """Make a transport, use it, end it by a method, and keep nothing of it but its type."""
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await loop.create_connection(RecordingProtocol, sock=ours)
        transport.write(b"data")
        transport.pause_reading()
        transport.resume_reading()
        await polls(2)
        getattr(transport, end)()
        await until(protocol.closed.is_set, "connection_lost()")
        await polls(2)
        protocol.transport = None
        protocol.history.events.clear()
        return type(transport)


@requires("TRANS-CLOSE-09")
@pytest.mark.parametrize("end", ["close", "abort"])
def test_the_transport(loop: Any, end: str) -> None:
    """A transport whose connection is lost, and which nobody keeps, is gone without a garbage collection."""
    loop.run_until_complete(used(loop, end))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        kind = loop.run_until_complete(used(loop, end))
        loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
        left = [garbage for garbage in gc.garbage if type(garbage) is kind]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left, f"in a reference cycle: {left!r}"
