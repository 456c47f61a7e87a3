"""Server.close(), async with, is_serving(), get_loop(), start_serving(): the life of a server."""

import asyncio
import gc
import os
import socket
import weakref

import pytest

from loopproof import faultkit
from loopproof.authoring import Serve, on_servers, requires, until
from loopproof.authoring.descriptors import Squatters
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.faultkit import expect, expect_eof, hold, send


@requires("SERV-SERVER_CLOSE-01")
@on_servers()
@pytest.mark.parametrize("started", [True, False])
async def test_nobody_is_accepted_after_close(serve: Serve, started: bool) -> None:
    """After close() connections are refused, and the factory is not called any more."""
    service = await serve(start_serving=started)
    assert service.address
    service.server.close()
    await until(service.refuses, "the refusal of a connection after close()")
    await polls()
    assert len(service.made) == len(service.connected)


@requires("SERV-SERVER_CLOSE-02")
@on_servers()
async def test_connections_outlive_their_server(serve: Serve) -> None:
    """close() leaves a connection open: bytes go both ways after it, and the peer can end it."""
    service = await serve()
    link = await service.visit([hold(), send(b"question"), expect(b"answer"), expect_eof()])
    service.server.close()
    await polls()
    assert not link.transport.is_closing(), "close() closed a connection"
    link.peer.release()
    assert await link.received(8) == b"question"
    link.transport.write(b"answer")
    link.transport.write_eof()
    await link.verified()


@requires("SERV-SERVER_CLOSE-03")
@on_servers()
@pytest.mark.parametrize("connected", [False, True])
async def test_close_again(serve: Serve, connected: bool) -> None:
    """close() may be called again, at once and later, and returns None."""
    service = await serve()
    if connected:
        await service.visit()
    assert service.address
    assert service.server.close() is None
    assert service.server.close() is None
    await until(service.refuses, "the refusal of a connection after close()")
    assert service.server.close() is None


@requires("SERV-SERVER_CLOSE-03")
@on_servers()
async def test_close_again_when_the_number_belongs_to_somebody_else(serve: Serve) -> None:
    """close() and wait_closed() of a closed server touch no descriptor that has the number of a listening socket."""
    with Squatters() as squatters:
        service = await serve()
        number = service.server.sockets[0].fileno()
        listener = faultkit.descriptors()[number]
        service.server.close()
        await until(lambda: faultkit.descriptors().get(number) != listener, "the end of the listening socket")
        squatters.occupy(number)
        service.server.close()
        await service.server.wait_closed()
        await polls()


@requires("SERV-SERVER_CLOSE-04", "SERV-SERVER_SERVE_FOREVER-02")
@on_servers()
async def test_close_ends_serve_forever(serve: Serve) -> None:
    """close() makes serve_forever() end with CancelledError, though nobody has cancelled its task."""
    service = await serve()
    serving = asyncio.ensure_future(service.server.serve_forever())
    await polls(2)
    service.server.close()
    await until(serving.done, "the end of serve_forever()")
    assert serving.cancelled()


@requires("SERV-SERVER_CLOSE-01")
@on_servers()
async def test_close_in_the_factory_and_the_first_callback(serve: Serve) -> None:
    """A server that is closed in connection_made() serves this connection, and no other one."""
    service = await serve(protocol=lambda: RecordingProtocol(on={"connection_made": lambda _: service.server.close()}))
    assert service.address
    link = await service.visit([send(b"hello"), hold()])
    assert await link.received(5) == b"hello"
    await until(service.refuses, "the refusal of a connection after close()")


@requires("SERV-SERVER_IS_SERVING-01")
@on_servers()
async def test_is_serving(serve: Serve) -> None:
    """is_serving() is False before serving starts, True then, and False from close() on."""
    service = await serve(start_serving=False)
    assert service.server.is_serving() is False
    await service.server.start_serving()
    assert service.server.is_serving() is True
    service.server.close()
    assert service.server.is_serving() is False


@requires("SERV-SERVER_GET_LOOP-01")
@on_servers()
async def test_get_loop(serve: Serve) -> None:
    """get_loop() returns the loop, before serving and after close()."""
    service = await serve(start_serving=False)
    assert service.server.get_loop() is serve.loop
    service.server.close()
    assert service.server.get_loop() is serve.loop


@requires("SERV-SERVER_START_SERVING-01")
@on_servers()
async def test_start_serving_again(serve: Serve) -> None:
    """start_serving() of a server that serves does nothing, also when awaited twice at a time."""
    service = await serve(start_serving=False)
    assert await service.server.start_serving() is None
    assert await service.server.start_serving() is None
    await asyncio.gather(service.server.start_serving(), service.server.start_serving())
    for _ in range(3):
        await service.visit()
    assert len(service.made) == 3


@requires("SERV-SERVER_START_SERVING-02")
@on_servers()
async def test_start_serving_after_close(serve: Serve) -> None:
    """start_serving() of a closed server raises RuntimeError, and nothing is served."""
    service = await serve()
    service.server.close()
    try:
        await service.server.start_serving()
    except RuntimeError:
        assert not service.server.is_serving()
    else:
        raise AssertionError("start_serving() of a closed server raises nothing")


@requires("SERV-SERVER_ASYNC_WITH-01", "SERV-SERVER_ASYNC_WITH-02")
@on_servers()
@pytest.mark.parametrize("fails", [False, True])
async def test_async_with(serve: Serve, fails: bool) -> None:
    """async with gives the server itself, and it is closed at the end of the block, which lets exceptions through."""
    service = await serve()
    try:
        async with service.server as server:
            assert server is service.server
            link = await service.visit([expect_eof()])
            link.transport.close()
            await link.verified()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert not service.server.is_serving()
    assert service.refuses()


@requires("SERV-SERVER_ASYNC_WITH-02", "SERV-SERVER_WAIT_CLOSED-01")
@on_servers()
async def test_async_with_waits_for_connections(serve: Serve) -> None:
    """The end of an async with block waits until the last connection is gone."""
    service = await serve()
    inside = asyncio.Event()

    async def block() -> None:
        async with service.server:
            inside.set()

    link = await service.visit([hold()])
    task = asyncio.ensure_future(block())
    await inside.wait()
    await polls()
    assert not task.done(), "async with ended although a connection is open"
    link.transport.abort()
    await until(task.done, "the end of the async with block")
    await task


@requires("SERV-SERVER_ASYNC_WITH-03")
@on_servers()
async def test_the_type_of_servers(serve: Serve) -> None:
    """A server is an asyncio.AbstractServer."""
    assert isinstance((await serve()).server, asyncio.AbstractServer)


@requires("SERV-SERVER_CLOSE-05")
@on_servers()
async def test_a_server_that_nobody_refers_to(serve: Serve) -> None:
    """A server goes on serving though the program has dropped the last reference to it."""
    service = await serve()
    assert service.address
    server = weakref.ref(service.server)
    service.server = None
    gc.collect()
    await service.visit()
    assert server() is not None
    service.server = server()


@requires("SERV-SERVER_CLOSE-06")
@on_servers()
async def test_the_number_is_used_again(loop: asyncio.AbstractEventLoop, serve: Serve) -> None:
    """What gets the number of a listening socket after close() can be watched."""
    service = await serve()
    number = service.server.sockets[0].fileno()
    service.server.close()
    await until(lambda: number not in faultkit.descriptors(), "the end of the listening socket")
    pair = socket.socketpair()
    ours, theirs = pair if pair[1].fileno() != number else pair[::-1]
    with ours, theirs:
        if ours.fileno() != number:
            os.dup2(ours.fileno(), number)
        seen: list[int] = []
        try:
            loop.add_reader(number, seen.append, 1)
            theirs.send(b"x")
            await until(lambda: seen, "the callback")
            loop.remove_reader(number)
        finally:
            if ours.fileno() != number:
                os.close(number)
