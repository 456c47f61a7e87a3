"""Connections that are lost while a file is sent: the error, the position of the file, what the protocol is told."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import raises, requires, until
from loopproof.authoring.files import TRANSPORTS, file_of, on_ways, sending, sparse_file
from loopproof.authoring.links import WIDTH
from loopproof.authoring.sockets import ended
from loopproof.faultkit import close, drain, hold, receive, reset

SIZE = 4 * WIDTH
GIB = 1 << 30
END = {"reset": reset, "close": close}


@requires("SENDF-SENDFILE-12", "SENDF-SENDFILE-22", "SENDF-SENDFILE-11")
@on_ways("tcp transport", "unix transport")
@pytest.mark.parametrize("how", sorted(END))
@pytest.mark.parametrize("kind", ["raw", "memory"])
async def test_a_transport_in_the_middle(loop: asyncio.AbstractEventLoop, way: str, kind: str, how: str) -> None:
    """A connection that is lost in the middle raises ConnectionError; the transport's protocol is told, once."""
    async with sending(loop, way, [receive(WIDTH), hold(), END[how]()], narrow=True) as send:
        assert send.link is not None
        with file_of(SIZE, kind) as file:
            task = await send.stalled(file)
            send.peer.release()
            with raises(ConnectionError):
                await ended(task)
            await send.link.lost()


@requires("SENDF-SENDFILE-12", "SENDF-SENDFILE-22")
@on_ways("tls transport")
async def test_a_reset_of_a_tls_connection(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A TLS connection that is reset in the middle raises ConnectionError; the transport's protocol is told, once."""
    await check_a_tls_connection(loop, way, "reset")


@requires("SENDF-SENDFILE-12", "SENDF-SENDFILE-22")
@on_ways("tls transport")
async def test_the_end_of_a_tls_connection(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A TLS connection that the peer closes in the middle raises OSError; the transport's protocol is told, once."""
    await check_a_tls_connection(loop, way, "close")


async def check_a_tls_connection(loop: asyncio.AbstractEventLoop, way: str, how: str) -> None:
    """Let the peer end a TLS connection in the middle of a file."""
    async with sending(loop, way, [receive(WIDTH), hold(), END[how]()], narrow=True) as send:
        assert send.link is not None
        with file_of(SIZE) as file:
            task = await send.stalled(file)
            send.peer.release()
            with raises(OSError):
                await ended(task)
            await send.link.lost()


@requires("SENDF-SOCK_SENDFILE-14")
@on_ways("tcp socket", "unix socket")
@pytest.mark.parametrize("how", sorted(END))
@pytest.mark.parametrize("kind", ["raw", "memory"])
async def test_a_socket_in_the_middle(loop: asyncio.AbstractEventLoop, way: str, kind: str, how: str) -> None:
    """A connection that is lost in the middle raises ConnectionResetError or BrokenPipeError."""
    async with sending(loop, way, [receive(WIDTH), hold(), END[how]()], narrow=True) as send:
        with file_of(SIZE, kind) as file:
            task = await send.stalled(file)
            send.peer.release()
            with raises(ConnectionResetError, BrokenPipeError):
                await ended(task)


@requires("SENDF-SENDFILE-03")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("kind", ["raw", "memory"])
@pytest.mark.parametrize("offset", [0, 1000])
async def test_the_position_after_a_loss(loop: asyncio.AbstractEventLoop, way: str, kind: str, offset: int) -> None:
    """After the loss of the connection the file is behind what the peer has got, and before what was never sent."""
    await check_the_position(loop, way, kind, offset)


@requires("SENDF-SOCK_SENDFILE-14")
@on_ways("tcp socket", "unix socket")
@pytest.mark.parametrize("offset", [0, 1000])
async def test_the_position_after_a_loss_of_a_socket(loop: asyncio.AbstractEventLoop, way: str, offset: int) -> None:
    """After the loss of the connection the file is behind what the peer has got, and before what was never sent."""
    await check_the_position(loop, way, "raw", offset)


async def check_the_position(loop: asyncio.AbstractEventLoop, way: str, kind: str, offset: int) -> None:
    """Let the peer reset the connection in the middle of a file and look where that is."""
    async with sending(loop, way, [receive(WIDTH), hold(), reset()], narrow=True) as send:
        with file_of(SIZE, kind) as file:
            task = await send.stalled(file, offset)
            await send.reached(1)
            send.peer.release()
            with raises(OSError):
                await ended(task)
            sent = file.tell() - offset
            assert WIDTH <= sent < SIZE - offset, f"the position tells of {sent} bytes, the peer has received {WIDTH}"


@requires("SENDF-COMMON-03")
@on_ways()
@pytest.mark.parametrize("count", [None, 2 * GIB + 1, 3 * GIB, 5 * GIB])
async def test_in_the_middle_of_a_large_file(loop: asyncio.AbstractEventLoop, way: str, count: Any) -> None:
    """More than 2 GiB are under way when the connection is lost: the error is raised, the position not wrapped."""
    async with sending(loop, way, [receive(WIDTH), reset()], narrow=True) as send:
        with sparse_file(5 * GIB) as file:
            with raises(OSError):
                await ended(asyncio.ensure_future(send(file, GIB, count)))
            assert GIB + WIDTH <= file.tell() < 2 * GIB


@requires("SENDF-SENDFILE-12", "SENDF-SENDFILE-22")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_connection_that_was_lost_before(loop: asyncio.AbstractEventLoop, way: str, fallback: bool) -> None:
    """A large file for a peer that is gone, which the transport has not seen yet, raises OSError or RuntimeError."""
    async with sending(loop, way, [hold(), reset()], narrow=True) as send:
        assert send.link is not None
        send.link.transport.pause_reading()
        send.peer.release()
        await until(lambda: send.peer.ended, "the end of the peer's script")
        with file_of(SIZE) as file, raises(OSError, RuntimeError):
            await ended(asyncio.ensure_future(send(file, fallback=fallback)))
        send.link.transport.abort()
        await send.link.lost()


@requires("SENDF-SENDFILE-21")
@on_ways("tcp transport", "unix transport")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_transport_that_is_ended(loop: asyncio.AbstractEventLoop, way: str, how: str) -> None:
    """close() and abort() while the kernel sends a file end the call: with an error, or when all is sent."""
    await check_an_end(loop, way, "raw", how, share=0.2)


@requires("SENDF-SENDFILE-21")
@on_ways(*TRANSPORTS)
async def test_an_abort_in_the_fallback(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """abort() while the fallback sends a file ends the call, with an error."""
    await check_an_end(loop, way, "memory", "abort")


@requires("SENDF-SENDFILE-21")
@on_ways("tls transport")
async def test_a_tls_close_in_the_fallback(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """close() of a TLS transport while the fallback sends a file ends the call: with an error, or when all is sent."""
    await check_an_end(loop, way, "memory", "close")


@requires("SENDF-SENDFILE-21")
@on_ways("tcp transport", "unix transport")
async def test_a_close_in_the_fallback(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """close() while the fallback sends a file ends the call: with an error, or when all is sent."""
    await check_an_end(loop, way, "memory", "close")


async def check_an_end(loop: asyncio.AbstractEventLoop, way: str, kind: str, how: str, share: float = 1) -> None:
    """End the transport in the middle of a file."""
    async with sending(loop, way, [hold(), drain(), hold()], narrow=True) as send:
        assert send.link is not None
        with file_of(SIZE, kind) as file:
            task = await send.stalled(file)
            getattr(send.link.transport, how)()
            send.peer.release()
            await until(task.done, f"the end of a call whose transport got {how}()", share=share)
            error = task.exception()
            assert isinstance(error, OSError | RuntimeError) or task.result() == SIZE, f"it ended with {error!r}"


@requires("SENDF-SENDFILE-19", "SENDF-SENDFILE-22")
@on_ways("tls transport")
async def test_a_paused_protocol_that_is_lost(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A protocol that is paused when the fallback begins hears nothing after connection_lost()."""
    await check_a_loss_with_queued_data(loop, way)


@requires("SENDF-SENDFILE-12", "SENDF-SENDFILE-22")
@on_ways("tcp transport")
async def test_a_loss_while_queued_data_go_out(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A connection that is lost while queued data go out raises ConnectionError, and nothing else is reported."""
    await check_a_loss_with_queued_data(loop, way)


async def check_a_loss_with_queued_data(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """Let the peer reset the connection while the protocol is paused and a file waits."""
    async with sending(loop, way, [hold(), reset()], narrow=True) as send:
        assert send.link is not None
        send.link.transport.set_write_buffer_limits(high=1000)
        for _ in range(2):
            await send.write(bytes(SIZE))
        await send.paused()
        with file_of(SIZE) as file:
            task = await send.stalled(file)
            send.peer.release()
            with raises(ConnectionError):
                await ended(task)
            await send.link.lost()
