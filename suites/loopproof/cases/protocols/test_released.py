"""What a transport lets go of when its connection is lost."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.history import RecordingDatagramProtocol, RecordingProtocol
from loopproof.authoring.links import polls

Loop = asyncio.AbstractEventLoop

MAKING: dict[str, Callable[[Loop, socket.socket], Awaitable[tuple[Any, Any]]]] = {
    "tcp": lambda loop, ours: loop.create_connection(RecordingProtocol, sock=ours),
    "udp": lambda loop, ours: loop.create_datagram_endpoint(RecordingDatagramProtocol, sock=ours),
    "reader": lambda loop, ours: loop.connect_read_pipe(RecordingProtocol, ours),
    "writer": lambda loop, ours: loop.connect_write_pipe(RecordingProtocol, ours),
}
"""What makes a transport of a socket, by kind."""

KINDS = [pytest.param(kind, marks=pytest.mark.needs(kind if kind in ("tcp", "udp") else "pipes")) for kind in MAKING]


@requires("PROTO-CONNECTION_LOST-07")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["close", "abort", "the peer"])
async def test_a_transport_that_is_kept(loop: Loop, kind: str, how: str) -> None:
    """A transport that the program keeps after connection_lost() does not keep the protocol."""
    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    with theirs:
        transport, protocol = await MAKING[kind](loop, ours)
        if how == "the peer" and kind != "udp":
            theirs.close()
        elif how == "abort" and kind != "reader":
            transport.abort()
        else:
            transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        kept = weakref.ref(protocol)
        del protocol
        await polls(2)
        gc.collect()
        assert kept() is None, f"{transport!r} still keeps its protocol"
