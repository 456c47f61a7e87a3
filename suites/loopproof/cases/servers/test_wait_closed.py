"""Server.wait_closed(): what it waits for, and who else waits."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import Link, Serve, Service, on_servers, requires, until
from loopproof.authoring.expectations import left_to_the_collector
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.faultkit import close, drain, expect_eof, hold, reset, shutdown


def waiting(service: Service) -> "asyncio.Future[None]":
    """Wait for the server in a task."""
    waiter: asyncio.Future[None] = asyncio.ensure_future(service.server.wait_closed())
    return waiter


@requires("SERV-SERVER_WAIT_CLOSED-01")
@on_servers()
@pytest.mark.parametrize("first", ["close", "wait"])
async def test_it_waits_for_the_last_connection(serve: Serve, first: str) -> None:
    """wait_closed() goes on until close() was called and the last connection is lost, whichever comes first."""
    service = await serve()
    links = [await service.visit([drain()]) for _ in range(3)]
    if first == "close":
        service.server.close()
    waiter = waiting(service)
    await polls(2)
    if first == "wait":
        service.server.close()
    for link in links:
        await polls(5)
        assert not waiter.done(), "wait_closed() returned although a connection is open"
        link.transport.close()
        await link.lost()
    await until(waiter.done, "the end of wait_closed()")
    assert waiter.result() is None


@requires("SERV-SERVER_WAIT_CLOSED-01")
@on_servers()
async def test_connections_that_go_before_close(serve: Serve) -> None:
    """wait_closed() does not end because the last connection has gone while the server is open."""
    service = await serve()
    link = await service.visit([drain()])
    waiter = waiting(service)
    link.transport.close()
    await link.lost()
    await polls()
    assert not waiter.done(), "wait_closed() returned although the server is open"
    await service.visit()
    service.made[-1].transport.abort()
    service.server.close()
    await until(waiter.done, "the end of wait_closed()")


@requires("SERV-SERVER_WAIT_CLOSED-01")
@on_servers()
async def test_it_ends_after_connection_lost(serve: Serve) -> None:
    """When wait_closed() returns, connection_lost() of the last connection has been called."""
    order: list[str] = []
    lost = {"connection_lost": lambda _: order.append("connection_lost")}
    service = await serve(protocol=lambda: RecordingProtocol(on=lost))
    link = await service.visit([drain()])
    service.server.close()
    waiter = waiting(service)
    waiter.add_done_callback(lambda _: order.append("wait_closed"))
    await polls(2)
    link.transport.close()
    await until(lambda: len(order) == 2, "connection_lost() and the end of wait_closed()")
    assert order == ["connection_lost", "wait_closed"]


@requires("SERV-SERVER_WAIT_CLOSED-02")
@on_servers()
async def test_a_closed_server_with_connections(serve: Serve) -> None:
    """Before Python 3.12 wait_closed() of a closed server returns at once, though a connection is open."""
    service = await serve()
    await service.visit([hold()])
    service.server.close()
    waiter = waiting(service)
    await until(waiter.done, "the end of wait_closed()")


@requires("SERV-SERVER_WAIT_CLOSED-03")
@on_servers()
@pytest.mark.parametrize("started", [True, False])
async def test_an_open_server_without_connections(serve: Serve, started: bool) -> None:
    """wait_closed() of an open server goes on until close(), though nobody is connected."""
    service = await serve(start_serving=started)
    waiter = waiting(service)
    await polls()
    assert not waiter.done(), "wait_closed() returned although the server is open"
    service.server.close()
    await until(waiter.done, "the end of wait_closed()")


@requires("SERV-SERVER_WAIT_CLOSED-04")
@on_servers()
@pytest.mark.parametrize("connected", [False, True])
async def test_many_wait(serve: Serve, connected: bool) -> None:
    """All that wait are released, those that came before close(), after it, and after the end."""
    service = await serve()
    link = await service.visit([drain()]) if connected else None
    waiters = [waiting(service) for _ in range(3)]
    await polls(2)
    service.server.close()
    waiters += [waiting(service) for _ in range(3)]
    await polls(2)
    if link:
        link.transport.close()
        await link.lost()
    await until(lambda: all(waiter.done() for waiter in waiters), "the end of each wait_closed()")
    last = waiting(service)
    await until(last.done, "the end of wait_closed() of a server that is over")
    assert [waiter.result() for waiter in [*waiters, last]] == [None] * 7


@requires("SERV-SERVER_WAIT_CLOSED-05")
@on_servers()
async def test_one_of_those_who_wait_is_cancelled(serve: Serve) -> None:
    """A wait_closed() that is cancelled ends alone: the server serves on, and others still wait and are released."""
    service = await serve()
    first, second, third = (waiting(service) for _ in range(3))
    await polls(2)
    second.cancel()
    await until(second.done, "the end of the cancelled wait_closed()")
    assert second.cancelled()
    assert not first.done()
    link = await service.visit([drain()])
    service.server.close()
    link.transport.close()
    await until(lambda: first.done() and third.done(), "the end of the others' wait_closed()")
    assert not first.cancelled()
    assert not third.cancelled()


async def goes(link: Link, how: str) -> None:
    """Let a connection end in one of the ways in which it can."""
    if how in ("abort", "close"):
        getattr(link.transport, how)()
    else:
        link.peer.release()
    await link.lost()


@requires("SERV-SERVER_WAIT_CLOSED-06")
@on_servers()
@pytest.mark.parametrize("how", ["abort", "close", "eof", "reset", "peer closes"])
@pytest.mark.parametrize("first", [False, True])
async def test_connections_that_end_in_each_way(serve: Serve, how: str, first: bool) -> None:
    """A connection counts no more once it was closed, aborted, or ended or reset by its peer."""
    last = {"eof": [shutdown(), expect_eof()], "reset": [reset()], "peer closes": [close()]}.get(how, [drain()])
    service = await serve()
    link = await service.visit([hold(), *last])
    if first:
        await goes(link, how)
        service.server.close()
        waiter = waiting(service)
    else:
        service.server.close()
        waiter = waiting(service)
        await polls(2)
        await goes(link, how)
    await until(waiter.done, "the end of wait_closed()")
    link.peer.release()


@requires("SERV-SERVER_WAIT_CLOSED-06")
@on_servers()
async def test_connections_whose_callbacks_fail(serve: Serve, reports: list[dict[str, Any]]) -> None:
    """A connection counts no more when connection_lost() raises."""

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    service = await serve(protocol=lambda: RecordingProtocol(on={"connection_lost": fail}))
    link = await service.visit([drain()])
    service.server.close()
    waiter = waiting(service)
    await polls(2)
    link.transport.close()
    await link.lost()
    await until(waiter.done, "the end of wait_closed()")
    await until(lambda: reports, "the report of the error")
    assert [type(report.get("exception")) for report in reports] == [ZeroDivisionError]


@requires("SERV-SERVER_WAIT_CLOSED-06")
@on_servers()
async def test_connections_whose_factory_fails(serve: Serve, reports: list[dict[str, Any]]) -> None:
    """A connection whose factory has raised does not count."""

    def fail() -> Any:
        raise ZeroDivisionError

    service = await serve(protocol=fail)
    service.knock()
    with left_to_the_collector():
        await until(lambda: service.made, "the call of the factory")
        await polls()
        reports.clear()
    service.server.close()
    waiter = waiting(service)
    await until(waiter.done, "the end of wait_closed()")
