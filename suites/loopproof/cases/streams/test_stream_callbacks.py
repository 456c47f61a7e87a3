"""What start_server() calls for each connection: functions and coroutines of any kind, several at once, cancelled."""

import asyncio
import functools
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.links import polls
from loopproof.faultkit import Peer, connect, expect, expect_eof, hold, reset, send

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]


class Greeter:
    """Greets, in every way in which something can be called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet at once."""
        self.calls.append((reader, writer))
        writer.write(b"hello")
        writer.close()

    async def greet_later(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet as a task."""
        await asyncio.sleep(0)
        self.greet(reader, writer)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        return self.greet_later(reader, writer)


@requires("STREAM-START_SERVER-03")
@needs("servers")
@pytest.mark.parametrize("kind", ["function", "coroutine function", "object", "partial"])
async def test_whatever_can_be_called(loop: Loop, kind: str) -> None:
    """The callback is called once for each connection, with a reader and a writer; a coroutine is run as a task."""
    greeter = Greeter()
    callback: Any = {
        "function": greeter.greet,
        "coroutine function": greeter.greet_later,
        "object": greeter,
        "partial": functools.partial(greeter.greet_later),
    }[kind]
    server = await asyncio.start_server(callback, "127.0.0.1", 0)
    for number in range(1, 3):
        with Peer([connect(server.sockets[0].getsockname()), expect(b"hello"), expect_eof()]) as peer:
            await until(lambda: peer.ended, "the greeting")
        assert len(greeter.calls) == number
    assert all(isinstance(reader, asyncio.StreamReader) for reader, _ in greeter.calls)
    assert all(isinstance(writer, asyncio.StreamWriter) for _, writer in greeter.calls)
    server.close()
    await server.wait_closed()


@requires("STREAM-START_SERVER-03")
@needs("servers")
async def test_several_connections_at_once(loop: Loop) -> None:
    """Connections are served side by side: one that says nothing does not keep the others waiting."""
    met: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)
        writer.write(await reader.readexactly(3))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    silent = Peer([connect(address), hold(), send(b"one"), expect(b"one")])
    try:
        await until(lambda: met, "the first connection")
        for data in (b"two", b"abc"):
            with Peer([connect(address), send(data), expect(data)]) as peer:
                await until(lambda: peer.ended, "an echo")
        assert silent.completed == 1
        silent.release()
        await until(lambda: silent.ended, "the last echo")
        silent.verify()
    finally:
        silent.stop()
    await until(lambda: all(writer.is_closing() for writer in met), "the end of all connections")
    server.close()
    await server.wait_closed()


@requires("STREAM-START_SERVER-04")
@needs("servers")
async def test_a_callback_that_is_cancelled(loop: Loop, reports: list[Report]) -> None:
    """When the task of a callback is cancelled the connection is closed, and nothing is reported."""
    tasks: list[Any] = []

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        await reader.read()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    with Peer([connect(server.sockets[0].getsockname()), expect_eof()]) as peer:
        await until(lambda: tasks, "the callback")
        await polls(2)
        tasks[0].cancel()
        await until(lambda: peer.ended, "the end of the connection")
    server.close()
    await server.wait_closed()
    assert not reports


@requires("STREAM-START_SERVER-05")
@needs("servers")
async def test_a_peer_that_resets(loop: Loop, reports: list[Report]) -> None:
    """A callback that reads when the peer resets gets ConnectionResetError, and nothing is reported."""
    seen: list[Any] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except ConnectionResetError as error:
            seen.append(error)
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    with Peer([connect(server.sockets[0].getsockname()), send(b"hello"), hold(), reset()]) as peer:
        await until(lambda: peer.completed == 2, "the connection")
        await polls(2)
        peer.release()
        await until(lambda: seen, "the reset")
    server.close()
    await server.wait_closed()
    await polls(2)
    assert not reports


@requires("STREAM-START_SERVER-03")
@needs("servers")
async def test_data_that_come_with_the_connection(loop: Loop) -> None:
    """Nothing is lost of what the peer sends before the callback reads, even if it ends at once."""
    found: list[bytes] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await polls(5)
        found.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    with Peer([connect(server.sockets[0].getsockname()), send(b"hello" * 1000)]) as peer:
        await until(lambda: peer.ended, "the end of the peer")
    await until(lambda: found, "the end of the callback")
    assert found == [b"hello" * 1000]
    server.close()
    await server.wait_closed()
