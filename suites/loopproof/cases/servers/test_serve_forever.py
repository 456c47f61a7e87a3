"""Server.serve_forever(): how it begins, how it ends, and who may call it."""

import asyncio

import pytest

from loopproof.authoring import Serve, Service, on_servers, raises, requires, until
from loopproof.authoring.links import polls
from loopproof.faultkit import drain, expect, expect_eof, hold


def serving(service: Service) -> "asyncio.Task[None]":
    """Serve in a task."""
    return asyncio.ensure_future(service.server.serve_forever())


@requires("SERV-SERVER_SERVE_FOREVER-01")
@on_servers()
@pytest.mark.parametrize("started", [False, True])
async def test_it_serves_until_it_is_cancelled(serve: Serve, started: bool) -> None:
    """serve_forever() starts serving where that was not done, and goes on though connections come and go."""
    service = await serve(start_serving=started)
    task = serving(service)
    await polls(2)
    assert service.server.is_serving()
    for _ in range(3):
        link = await service.visit([expect_eof()])
        link.transport.close()
        await link.verified()
        await link.lost()
    await polls()
    assert not task.done(), "serve_forever() returned"
    task.cancel()
    await until(task.done, "the end of serve_forever()")


@requires("SERV-SERVER_SERVE_FOREVER-02")
@on_servers()
async def test_cancelling_it_closes_the_server(serve: Serve) -> None:
    """A cancelled serve_forever() raises CancelledError, and the server is closed then."""
    service = await serve()
    assert service.address
    task = serving(service)
    await polls(2)
    task.cancel()
    await until(task.done, "the end of serve_forever()")
    assert task.cancelled()
    assert not service.server.is_serving()
    assert service.refuses(), "a connection is accepted although serve_forever() was cancelled"


@requires("SERV-SERVER_SERVE_FOREVER-02")
@on_servers()
async def test_cancelling_it_before_it_has_begun(serve: Serve) -> None:
    """A serve_forever() that is cancelled before its first step leaves the server as it was."""
    service = await serve()
    task = serving(service)
    task.cancel()
    await until(task.done, "the end of serve_forever()")
    assert task.cancelled()
    assert service.server.is_serving()
    await service.visit()


@requires("SERV-SERVER_SERVE_FOREVER-03")
@on_servers()
async def test_a_second_one(serve: Serve) -> None:
    """A second serve_forever() at the same time raises RuntimeError, and the first one goes on."""
    service = await serve()
    task = serving(service)
    await polls(2)
    with raises(RuntimeError):
        await service.server.serve_forever()
    assert not task.done()
    await service.visit()
    service.made[-1].transport.abort()
    task.cancel()
    await until(task.done, "the end of serve_forever()")
    assert task.cancelled()


@requires("SERV-SERVER_SERVE_FOREVER-04")
@on_servers()
@pytest.mark.parametrize("started", [False, True])
async def test_of_a_closed_server(serve: Serve, started: bool) -> None:
    """serve_forever() of a closed server raises RuntimeError, also where an earlier one was cancelled."""
    service = await serve(start_serving=started)
    service.server.close()
    with raises(RuntimeError):
        await service.server.serve_forever()
    other = await serve()
    task = serving(other)
    await polls(2)
    task.cancel()
    await until(task.done, "the end of serve_forever()")
    with raises(RuntimeError):
        await other.server.serve_forever()


@requires("SERV-SERVER_SERVE_FOREVER-05")
@on_servers()
async def test_cancelling_it_ends_the_clients(serve: Serve) -> None:
    """A cancelled serve_forever() closes the connections and ends, though no client leaves."""
    service = await serve()
    link = await service.visit([drain()])
    task = serving(service)
    await polls(2)
    task.cancel()
    await link.lost()
    await until(task.done, "the end of serve_forever()")
    assert task.cancelled()


@requires("SERV-SERVER_SERVE_FOREVER-02")
@on_servers()
async def test_cancelling_it_leaves_what_is_queued(serve: Serve) -> None:
    """What was written to a connection before serve_forever() was cancelled still arrives."""
    service = await serve()
    link = await service.visit([hold(), expect(bytes(1_000_000)), hold()])
    link.transport.write(bytes(1_000_000))
    task = serving(service)
    await polls(2)
    task.cancel()
    await polls(2)
    link.peer.release()
    await link.reached(2)
    link.peer.release()
    link.transport.abort()
    await until(task.done, "the end of serve_forever()")
    assert task.cancelled()


@requires("SERV-SERVER_SERVE_FOREVER-02")
@on_servers()
async def test_in_async_with(serve: Serve) -> None:
    """The documentation's recipe, serve_forever() inside async with, ends by cancellation with the server closed."""
    service = await serve(start_serving=False)

    async def recipe() -> None:
        async with service.server:
            await service.server.serve_forever()

    task = asyncio.ensure_future(recipe())
    await polls(2)
    link = await service.visit([drain()])
    link.transport.abort()
    task.cancel()
    await until(task.done, "the end of the block")
    assert task.cancelled()
    assert service.refuses()
