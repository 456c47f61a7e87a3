"""start_server(), start_unix_server() and start_tls(): streams on the side of the server, and TLS on both."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, requires, until
from loopproof.authoring.certificates import authority, certificate, client_context, server_context
from loopproof.authoring.links import unverified
from loopproof.faultkit import Peer, accept, connect, drain, expect, expect_eof, hold, send

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a question and close."""
    assert await reader.readexactly(3) == b"ask"
    writer.write(b"answer")
    writer.close()
    await writer.wait_closed()


async def serve(serving: Streams, script: list[dict[str, Any]], path: str | None = None) -> None:
    """Start a server, on TCP or at a path, and let a peer that connects play a script to its end."""
    ended: list[BaseException | None] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serving(reader, writer)
        except BaseException as error:
            ended.append(error)
            raise
        ended.append(None)

    if path is None:
        server = await asyncio.start_server(noted, "127.0.0.1", 0)
        address: Any = server.sockets[0].getsockname()
    else:
        server = await asyncio.start_unix_server(noted, path)
        address = path
    peer = Peer([connect(address), *script])
    try:
        await until(lambda: peer.ended, "the end of the peer's script")
        peer.verify()
        await until(lambda: ended, "the end of the callback")
    finally:
        peer.stop()
        server.close()
        await server.wait_closed()
    if isinstance(ended[0], AssertionError):
        raise ended[0]


@requires("STREAM-OPEN_CONNECTION-01")
@needs("servers")
async def test_a_server(loop: Loop) -> None:
    """start_server() calls back with a reader and a writer that exchange data with the peer."""
    await serve(answer, [send(b"ask"), expect(b"answer"), expect_eof()])


@requires("STREAM-OPEN_CONNECTION-02")
@needs("unix")
async def test_a_unix_server(loop: Loop, tmp_path: Path) -> None:
    """start_unix_server() calls back with a reader and a writer that exchange data with the peer."""
    await serve(answer, [send(b"ask"), expect(b"answer"), expect_eof()], str(tmp_path / "socket"))


@requires("STREAM-OPEN_CONNECTION-10")
@needs("servers")
async def test_the_callback_fails(loop: Loop, reports: list[Report]) -> None:
    """What a coroutine function as callback raises goes to the exception handler, and the peer sees the end."""

    async def fail(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise ZeroDivisionError

    await serve(fail, [expect_eof()])
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


@requires("STREAM-OPEN_CONNECTION-11")
@needs("servers")
async def test_a_plain_callback_fails(loop: Loop, reports: list[Report]) -> None:
    """What a plain function as callback raises goes to the exception handler, and the peer sees the end."""

    def fail(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise ZeroDivisionError

    server = await asyncio.start_server(fail, "127.0.0.1", 0)
    with Peer([connect(server.sockets[0].getsockname()), expect_eof()]) as peer:
        await until(lambda: peer.ended, "the end of the connection")
    server.close()
    await server.wait_closed()
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


@requires("STREAM-OPEN_CONNECTION-08")
@needs("tls", "tcp")
async def test_tls_is_begun_by_a_client(loop: Loop) -> None:
    """StreamWriter.start_tls() of a client makes the rest of the stream go over TLS, with the name that was given."""
    tls = [faultkit.tls_server(*certificate("localhost"), server_name="localhost"), faultkit.tls_handshake()]
    script = [accept(), expect(b"STARTTLS"), send(b"OK"), *tls, expect(b"ask"), send(b"answer"), hold()]
    with unverified(Peer(script, listen="tcp")) as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        writer.write(b"STARTTLS")
        assert await reader.readexactly(2) == b"OK"
        await writer.start_tls(client_context(), server_hostname="localhost")
        assert writer.get_extra_info("cipher")
        writer.write(b"ask")
        await writer.drain()
        assert await reader.readexactly(6) == b"answer"
        writer.transport.abort()
        await until(lambda: writer.transport.is_closing(), "the end of the connection")


@requires("STREAM-OPEN_CONNECTION-08")
@needs("tls", "servers")
async def test_tls_is_begun_by_a_server(loop: Loop) -> None:
    """StreamWriter.start_tls() in a server's callback makes the rest of the stream go over TLS."""

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == b"STARTTLS"
        writer.write(b"OK")
        await writer.drain()
        await writer.start_tls(server_context("localhost"))
        assert await reader.readexactly(3) == b"ask"
        writer.write(b"answer")
        await writer.drain()
        await reader.read()
        writer.close()

    tls = [faultkit.tls_client(authority=authority(), server_name="localhost"), faultkit.tls_handshake()]
    talk = [send(b"ask"), expect(b"answer"), faultkit.tls_close_notify(), faultkit.shutdown()]
    await serve(upgrade, [send(b"STARTTLS"), expect(b"OK"), *tls, *talk, faultkit.tls_forget(), drain()])


@requires("STREAM-OPEN_CONNECTION-09")
@needs("tls", "tcp")
@pytest.mark.parametrize("size", [4_000_000])
async def test_the_upgraded_transport_is_paused(loop: Loop, size: int) -> None:
    """After start_tls() a reader that does not keep up makes the peer wait, and gets all bytes once it reads."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake()]
    script = [accept(), expect(b"STARTTLS"), *tls, faultkit.send_pattern(3, size), hold()]
    with unverified(Peer(script, listen="tcp", send_buffer=65_536)) as peer:
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
        ours.connect(peer.address)
        reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
        writer.write(b"STARTTLS")
        await writer.start_tls(client_context(), server_hostname="localhost")
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert peer.completed < 5, "the peer has sent all although nobody reads"
        assert await reader.readexactly(size) == faultkit.pattern(3, size)
        writer.transport.abort()
