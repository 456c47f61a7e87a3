"""What transports report: the keys transport and protocol."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import needs, requires

Report = dict[str, Any]
Loop = asyncio.AbstractEventLoop


class Failing(asyncio.Protocol):
    """Raises in the callback that is named, and tells when the connection is over."""

    def __init__(self, loop: Loop, where: str) -> None:
        self.where = where
        self.transport: asyncio.BaseTransport | None = None
        self.lost: asyncio.Future[BaseException | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.fail("connection_made")

    def data_received(self, data: bytes) -> None:
        self.fail("data_received")

    def eof_received(self) -> bool | None:
        self.fail("eof_received")
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)
        self.fail("connection_lost")

    def fail(self, where: str) -> None:
        """Raise if it is the turn of ``where``."""
        if where == self.where:
            raise ZeroDivisionError(where)


async def settle(future: "asyncio.Future[Any]") -> bool:
    """Let the loop poll until the future is done, some hundred times at most; tell whether it is."""
    for _ in range(300):
        if future.done():
            break
        await asyncio.sleep(0.001)
    return future.done()


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    """A plain socket that listens on the loopback interface."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


@requires("ERR-CALL_EXCEPTION_HANDLER-08")
@needs("tcp")
@pytest.mark.parametrize("where", ["data_received", "eof_received"])
async def test_a_failing_protocol(loop: Loop, reports: list[Report], where: str) -> None:
    """An Exception of the protocol is reported with message, exception, transport and protocol."""
    with listener() as server:
        transport, protocol = await loop.create_connection(lambda: Failing(loop, where), *server.getsockname())
        peer, _ = server.accept()
        with peer:
            if where == "data_received":
                peer.send(b"x")
            else:
                peer.shutdown(socket.SHUT_WR)
            await settle(protocol.lost)
            transport.abort()
    await asyncio.sleep(0)
    contexts = list(reports)
    reports.clear()
    assert len(contexts) == 1, f"one report was expected, there are {contexts}"
    assert contexts[0]["exception"].args == (where,)
    assert isinstance(contexts[0]["message"], str)
    assert contexts[0].get("transport") is transport, f"the report does not name the transport: {contexts[0]}"
    assert contexts[0].get("protocol") is protocol, f"the report does not name the protocol: {contexts[0]}"


@requires("ERR-CALL_EXCEPTION_HANDLER-05", "PROTO-CONNECTION_LOST-05")
@needs("tcp")
@pytest.mark.parametrize("where", ["connection_made", "connection_lost"])
async def test_a_protocol_that_fails_first_or_last(loop: Loop, reports: list[Report], where: str) -> None:
    """An Exception in connection_made() or connection_lost() is reported once."""
    with listener() as server:
        transport, protocol = await loop.create_connection(lambda: Failing(loop, where), *server.getsockname())
        peer, _ = server.accept()
        with peer:
            transport.close()
            await settle(protocol.lost)
            transport.abort()
    await asyncio.sleep(0)
    contexts = list(reports)
    reports.clear()
    assert len(contexts) == 1, f"one report was expected, there are {contexts}"
    assert contexts[0]["exception"].args == (where,)
    assert isinstance(contexts[0]["message"], str)


@requires("ERR-CALL_EXCEPTION_HANDLER-08", "PROTO-CONNECTION_LOST-04")
@needs("tcp")
async def test_a_connection_that_is_reset_is_no_report(loop: Loop) -> None:
    """A peer that resets the connection is told to the protocol and not to the exception handler."""
    with listener() as server:
        transport, protocol = await loop.create_connection(lambda: Failing(loop, "nowhere"), *server.getsockname())
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        told = await settle(protocol.lost)
        transport.abort()
    assert told, "connection_lost() was not called although the peer reset the connection"
    assert isinstance(protocol.lost.result(), ConnectionResetError)
