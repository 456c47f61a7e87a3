"""Arguments of open_connection(), start_server() and their UNIX kind: the limit, and what is handed on to the loop."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.certificates import authority, certificate, client_context, server_context
from loopproof.authoring.links import unverified
from loopproof.authoring.streaming import over, unix_peer
from loopproof.faultkit import Peer, accept, connect, drain, expect, expect_eof, hold, send

Loop = asyncio.AbstractEventLoop


@requires("STREAM-OPEN_CONNECTION-15")
@needs("tcp")
async def test_a_limit_for_a_client(loop: Loop) -> None:
    """The limit of open_connection() is that of its reader."""
    with Peer([accept(), send(b"x" * 20 + b"\n"), drain()], listen="tcp") as peer:
        reader, writer = await asyncio.open_connection(*peer.address, limit=10)
        with raises(ValueError):
            await reader.readline()
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-15")
@needs("unix")
async def test_a_limit_for_a_unix_client(loop: Loop) -> None:
    """The limit of open_unix_connection() is that of its reader."""
    with unix_peer([send(b"x" * 20 + b"\n"), drain()]) as (path, peer):
        reader, writer = await asyncio.open_unix_connection(path, limit=10)
        with raises(ValueError):
            await reader.readline()
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-16")
@needs("tcp")
@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_that_is_none(loop: Loop, limit: int) -> None:
    """A limit that is not positive is a ValueError, and nothing is connected."""
    with unverified(Peer([accept()], listen="tcp")) as peer:
        with raises(ValueError):
            await asyncio.open_connection(*peer.address, limit=limit)
        assert peer.completed == 0


@requires("STREAM-OPEN_CONNECTION-15")
@needs("tcp")
@pytest.mark.parametrize("how", ["by name", "sock", "local_addr", "family"])
async def test_arguments_of_a_client(loop: Loop, how: str) -> None:
    """open_connection() hands on what it does not know itself."""
    with Peer([accept(), expect(b"ask"), send(b"answer"), drain()], listen="tcp") as peer:
        host, port = peer.address
        arguments: dict[str, dict[str, Any]] = {
            "by name": {"host": host, "port": port, "limit": 1000},
            "sock": {"sock": socket.create_connection(peer.address) if how == "sock" else None},
            "local_addr": {"host": host, "port": port, "local_addr": ("127.0.0.2", 0)},
            "family": {"host": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0},
        }
        reader, writer = await asyncio.open_connection(**arguments[how])
        writer.write(b"ask")
        assert await reader.readexactly(6) == b"answer"
        if how == "local_addr":
            assert writer.get_extra_info("sockname")[0] == "127.0.0.2"
        await over(writer, peer)


@requires("STREAM-OPEN_CONNECTION-15")
@needs("tcp")
async def test_nobody_listens(loop: Loop) -> None:
    """What the loop raises comes out of open_connection()."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with raises(ConnectionRefusedError):
            await asyncio.open_connection(*bound.getsockname())


@requires("STREAM-OPEN_CONNECTION-15")
@needs("tls", "tcp")
async def test_a_client_with_tls(loop: Loop) -> None:
    """open_connection() with ssl and server_hostname exchanges data over TLS, and its end is that of TLS."""
    tls = [faultkit.tls_server(*certificate("localhost"), server_name="localhost"), faultkit.tls_handshake()]
    script = [accept(), *tls, expect(b"ask"), send(b"answer"), faultkit.tls_close_notify(), hold()]
    with unverified(Peer(script, listen="tcp")) as peer:
        reader, writer = await asyncio.open_connection(*peer.address, ssl=client_context(), server_hostname="localhost")
        writer.write(b"ask")
        assert await reader.read() == b"answer"
        assert writer.get_extra_info("ssl_object") is not None
        writer.transport.abort()
        await writer.wait_closed()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a line, or say that it is too long."""
    try:
        assert await reader.readline() == b"ask\n"
        writer.write(b"answer")
    except ValueError:
        writer.write(b"too long")
    writer.close()  # and no more, so that the task is over when the peer sees the end


async def asked(address: Any, question: bytes = b"ask\n", expected: bytes = b"answer") -> None:
    """Ask a server."""
    peer = Peer([connect(address), send(question), expect(expected), expect_eof()])
    try:
        await until(lambda: peer.ended, "the answer")
        peer.verify()
    finally:
        peer.stop()


@requires("STREAM-START_SERVER-01")
@needs("servers")
@pytest.mark.parametrize("how", ["by name", "sock", "several hosts", "backlog", "family"])
async def test_arguments_of_a_server(loop: Loop, how: str) -> None:
    """start_server() hands on what it does not know itself, and returns the loop's server."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    arguments: dict[str, dict[str, Any]] = {
        "by name": {"host": "127.0.0.1", "port": 0, "limit": 1000},
        "sock": {"sock": listener},
        "several hosts": {"host": ["127.0.0.1", "127.0.0.2"], "port": 0},
        "backlog": {"host": "127.0.0.1", "port": 0, "backlog": 5, "reuse_address": True},
        "family": {"host": "localhost", "port": 0, "family": socket.AF_INET, "flags": socket.AI_PASSIVE},
    }
    try:
        server = await asyncio.start_server(client_connected_cb=answer, **arguments[how])
        assert server.is_serving()
        assert len(server.sockets) == (2 if how == "several hosts" else 1)
        for sock in server.sockets:
            await asked(sock.getsockname())
        server.close()
        await server.wait_closed()
    finally:
        listener.close()


@requires("STREAM-START_SERVER-01")
@needs("servers")
async def test_a_limit_for_a_server(loop: Loop) -> None:
    """The limit of start_server() is that of each reader."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=10)
    address = server.sockets[0].getsockname()
    await asked(address)
    await asked(address, b"x" * 20 + b"\n", b"too long")
    server.close()
    await server.wait_closed()


@requires("STREAM-START_SERVER-01")
@needs("servers")
async def test_a_server_that_is_started_later(loop: Loop) -> None:
    """With start_serving=False nobody is served until start_serving() is called."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(answer, sock=listener, start_serving=False)
        assert not server.is_serving()
        with socket.socket() as early, raises(ConnectionRefusedError):
            early.connect(listener.getsockname())
        await server.start_serving()
        await asked(listener.getsockname())
        server.close()
        await server.wait_closed()


@requires("STREAM-START_SERVER-01")
@needs("tls", "servers")
async def test_a_server_with_tls(loop: Loop) -> None:
    """start_server() with ssl serves over TLS."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context("localhost"))
    tls = [faultkit.tls_client(authority=authority(), server_name="localhost"), faultkit.tls_handshake()]
    talk = [send(b"ask\n"), expect(b"answer"), faultkit.tls_close_notify(), drain()]
    with Peer([connect(server.sockets[0].getsockname()), *tls, *talk]) as peer:
        await until(lambda: peer.ended, "the answer")
    server.close()
    await server.wait_closed()


@requires("STREAM-START_SERVER-02")
@needs("unix")
@pytest.mark.parametrize("how", ["str", "path", "sock"])
async def test_arguments_of_a_unix_server(loop: Loop, tmp_path: Path, how: str) -> None:
    """start_unix_server() takes a path as text or object, or a socket, and the limit is that of each reader."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        if how == "sock":
            listener.bind(str(path))
        arguments: dict[str, Any] = (
            {"path": str(path) if how == "str" else path} if how != "sock" else {"sock": listener}
        )
        server = await asyncio.start_unix_server(client_connected_cb=answer, limit=10, **arguments)
        await asked(str(path))
        await asked(str(path), b"x" * 20 + b"\n", b"too long")
        server.close()
        await server.wait_closed()


@requires("STREAM-OPEN_CONNECTION-17")
@needs("unix")
@pytest.mark.parametrize("how", ["str", "path", "sock"])
async def test_arguments_of_a_unix_client(loop: Loop, how: str) -> None:
    """open_unix_connection() takes a path as text or object, or a socket that is connected."""
    with unix_peer([expect(b"ask"), send(b"answer"), drain()]) as (path, peer):
        ours = socket.socket(socket.AF_UNIX)
        if how == "sock":
            ours.connect(path)
            given: dict[str, Any] = {"sock": ours}
        else:
            ours.close()
            given = {"path": path if how == "str" else Path(path)}
        reader, writer = await asyncio.open_unix_connection(**given)
        writer.write(b"ask")
        assert await reader.readexactly(6) == b"answer"
        await over(writer, peer)
