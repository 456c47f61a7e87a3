"""The context of callbacks: what was set before a connection or a server was asked for is seen in them."""

import asyncio
import contextvars
import socket
from typing import Any

from loopproof.authoring import Serve, needs, on_servers, requires, until
from loopproof.authoring.datagrams import endpoint
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.sockets import playing
from loopproof.faultkit import accept, expect_eof, send, shutdown

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")
CALLBACKS = ["connection_made", "data_received", "eof_received", "connection_lost"]


def listening_to(names: list[str], seen: dict[str, str]) -> dict[str, Any]:
    """What callbacks are to do: note the value of the variable."""
    return {name: lambda _, name=name: seen.__setitem__(name, WHO.get()) for name in names}


@requires("PROTO-CONTEXT-01")
@needs("tcp")
async def test_a_client(loop: Any) -> None:
    """The callbacks of a connection see what was set before create_connection() was called."""
    seen: dict[str, str] = {}
    protocol = RecordingProtocol(on=listening_to(CALLBACKS, seen))
    with playing([accept(), send(b"x"), shutdown(), expect_eof()], listen="tcp") as peer:
        WHO.set("client")
        await asyncio.create_task(loop.create_connection(lambda: protocol, *peer.address))
        await until(protocol.closed.is_set, "connection_lost()")
    assert seen == dict.fromkeys(CALLBACKS, "client")


@requires("PROTO-CONTEXT-01")
@on_servers()
async def test_a_connection_of_a_server(serve: Serve) -> None:
    """The callbacks of an accepted connection see what was set before the server was made."""
    seen: dict[str, str] = {}
    WHO.set("server")
    service = await serve(protocol=lambda: RecordingProtocol(on=listening_to(CALLBACKS, seen)))
    WHO.set("somebody else")
    link = await service.visit([send(b"x"), shutdown(), expect_eof()])
    await link.lost()
    assert seen == dict.fromkeys(CALLBACKS, "server")


@requires("PROTO-CONTEXT-01")
@needs("udp")
async def test_a_datagram_endpoint(loop: Any) -> None:
    """The callbacks of an endpoint see what was set before create_datagram_endpoint() was called."""
    seen: dict[str, str] = {}
    names = ["connection_made", "datagram_received"]
    WHO.set("endpoint")
    async with endpoint(loop, listening_to(names, seen), local_addr=("127.0.0.1", 0)) as link:
        WHO.set("somebody else")
        with socket.socket(type=socket.SOCK_DGRAM) as beyond:
            beyond.sendto(b"x", link.name)
            await link.delivered(1)
    assert seen == dict.fromkeys(names, "endpoint")
