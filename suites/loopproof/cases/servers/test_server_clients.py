"""Server.close_clients() and abort_clients(): the connections that a server has accepted, and no others."""

import pytest

from loopproof.authoring import Serve, on_servers, requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, polls, settled
from loopproof.faultkit import drain, expect_eof, expect_pattern, hold, pattern


@requires("SERV-SERVER_CLOSE_CLIENTS-01")
@on_servers()
async def test_close_clients_sends_what_is_queued(serve: Serve) -> None:
    """close_clients() closes each connection, which first gets what was written, and then the end."""
    service = await serve()
    size = 4 * WIDTH
    links = [await service.visit([hold(), expect_pattern(2, size), expect_eof()]) for _ in range(3)]
    for link in links:
        link.transport.write(pattern(2, size))
    assert service.server.close_clients() is None
    assert all(link.transport.is_closing() for link in links)
    assert not any("connection_lost" in link.names for link in links), "connection_lost() came from close_clients()"
    for link in links:
        link.peer.release()
        await link.verified()
        assert await link.lost() is None


@requires("SERV-SERVER_ABORT_CLIENTS-01")
@on_servers()
async def test_abort_clients_throws_away_what_is_queued(serve: Serve) -> None:
    """abort_clients() ends each connection at once, though bytes are queued and the peers read nothing."""
    service = await serve()
    links = [await service.visit([hold(), drain()], receive_buffer=131_072) for _ in range(3)]
    for link in links:
        link.transport.write(bytes(8 * WIDTH))
        await settled(link)
    assert service.server.abort_clients() is None
    assert not any("connection_lost" in link.names for link in links), "connection_lost() came from abort_clients()"
    for link in links:
        assert await link.lost() is None
        link.peer.release()
        await until(lambda link=link: link.peer.ended, "the end of the peer's script")  # type: ignore[misc]
        assert link.peer.log[-1].bytes < 8 * WIDTH, "everything was sent in spite of abort_clients()"


@requires("SERV-SERVER_CLOSE_CLIENTS-01", "SERV-SERVER_ABORT_CLIENTS-01")
@on_servers()
@pytest.mark.parametrize("call", ["close_clients", "abort_clients"])
async def test_the_server_serves_on(serve: Serve, call: str) -> None:
    """The server goes on accepting, and connections of another server are left alone."""
    service, other = await serve(), await serve()
    link, left = await service.visit([drain()]), await other.visit([drain()])
    getattr(service.server, call)()
    await link.lost()
    await polls()
    assert not left.transport.is_closing(), f"{call}() ended a connection of another server"
    assert service.server.is_serving()
    await service.visit()


@requires("SERV-SERVER_CLOSE_CLIENTS-01", "SERV-SERVER_ABORT_CLIENTS-01")
@on_servers()
@pytest.mark.parametrize("call", ["close_clients", "abort_clients"])
@pytest.mark.parametrize("closed", [False, True])
async def test_no_clients(serve: Serve, call: str, closed: bool) -> None:
    """Without connections, and for those that are gone, nothing happens, also after close()."""
    service = await serve()
    getattr(service.server, call)()
    link = await service.visit([drain()])
    link.transport.close()
    await link.lost()
    if closed:
        service.server.close()
    getattr(service.server, call)()
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("SERV-SERVER_CLOSE_CLIENTS-01", "SERV-SERVER_WAIT_CLOSED-01")
@on_servers()
@pytest.mark.parametrize("call", ["close_clients", "abort_clients"])
async def test_the_way_to_end_a_server(serve: Serve, call: str) -> None:
    """close(), then close_clients() or abort_clients(), then wait_closed() ends a server with its connections."""
    service = await serve()
    links = [await service.visit([drain()]) for _ in range(5)]
    service.server.close()
    getattr(service.server, call)()
    getattr(service.server, call)()
    await service.server.wait_closed()
    assert [link.names for link in links] == [["connection_made", "connection_lost"]] * 5


@requires("SERV-SERVER_CLOSE_CLIENTS-01", "SERV-SERVER_ABORT_CLIENTS-01")
@on_servers()
@pytest.mark.parametrize("call", ["close_clients", "abort_clients"])
async def test_clients_that_are_ended_in_a_callback(serve: Serve, call: str) -> None:
    """A protocol may end all clients of its server, itself among them, in data_received()."""

    def end(_: RecordingProtocol) -> None:
        getattr(service.server, call)()

    service = await serve(protocol=lambda: RecordingProtocol(on={"data_received": end}))
    links = [await service.visit([drain()]) for _ in range(2)]
    service.knock().sendall(b"end")
    for link in links:
        assert await link.lost() is None
    await until(lambda: service.made[-1].closed.is_set(), "connection_lost()")
