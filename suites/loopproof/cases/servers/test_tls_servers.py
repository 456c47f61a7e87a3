"""create_server(ssl=): connections over TLS, clients that spoil the handshake, and how such connections are ended."""

import functools
import ssl
from typing import Any

import pytest

from loopproof.authoring import Link, Serve, Service, needs, on_servers, requires, until
from loopproof.authoring.certificates import authority, server_context
from loopproof.authoring.expectations import left_to_the_collector
from loopproof.authoring.links import polls
from loopproof.authoring.serving import ended
from loopproof.faultkit import (
    close,
    drain,
    expect,
    reset,
    send,
    tls_client,
    tls_expect_close_notify,
    tls_handshake,
)

Report = dict[str, Any]
NAME = "localhost"


@functools.cache
def context() -> ssl.SSLContext:
    """The context of all servers here."""
    return server_context(NAME)


def begin() -> list[dict[str, Any]]:
    """The steps of a client that shakes hands and trusts the authority."""
    return [tls_client(authority=authority(), server_name=NAME), tls_handshake()]


async def serve_tls(serve: Serve, **options: Any) -> Service:
    """Make a server with a certificate."""
    return await serve(ssl=context(), **options)


@requires("SERV-CREATE_SERVER-24")
@on_servers()
@needs("tls")
@pytest.mark.parametrize("timeouts", [{}, {"ssl_handshake_timeout": 5.0, "ssl_shutdown_timeout": 5.0}])
async def test_connections_over_tls(serve: Serve, timeouts: Any) -> None:
    """With a context connection_made() comes after the handshake, bytes go both ways over TLS, and it ends in order."""
    service = await serve_tls(serve, **timeouts)
    link = await service.visit([*begin(), send(b"question"), expect(b"answer"), tls_expect_close_notify(), close()])
    assert link.transport.get_extra_info("sslcontext") is context()
    assert link.transport.get_extra_info("cipher")
    assert await link.received(8) == b"question"
    link.transport.write(b"answer")
    link.transport.close()
    await link.verified()
    assert await link.lost() is None


@requires("SERV-CREATE_SERVER-24")
@on_servers()
@needs("tls")
@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1])
async def test_timeouts_that_are_no_time(serve: Serve, reports: list[Report], name: str, seconds: float) -> None:
    """A timeout of 0 or less is refused: by ValueError, or for each connection, which then sees the end."""
    try:
        service = await serve_tls(serve, **{name: seconds})
    except ValueError:
        return
    client = service.knock()
    with left_to_the_collector():
        await until(lambda: service.made or ended(client), "the call of the factory")
        await polls()
        reports.clear()
    await until(lambda: ended(client), "the end of a connection with such a timeout")
    reports.clear()


@requires("SERV-CREATE_SERVER-29")
@on_servers()
@needs("tls")
@pytest.mark.parametrize(
    "spoil",
    [[send(b"GET / HTTP/1.0\r\n\r\n" + bytes(100)), drain()], [close()], [reset()], [send(b"\x16\x03"), close()]],
    ids=["no-tls", "close", "reset", "half-a-record"],
)
async def test_a_handshake_that_fails(serve: Serve, reports: list[Report], spoil: list[Any]) -> None:
    """A client that spoils its handshake is dropped; another one, in whose midst that happens, is served."""
    service = await serve_tls(serve)
    good = service.client([*begin(), expect(b"hello"), drain()])
    bad = service.client(spoil)
    await until(lambda: bad.ended, "the end of the client that spoils its handshake")
    await service.made_connection(1)
    await polls()
    (protocol,) = service.connected
    protocol.transport.write(b"hello")
    protocol.transport.close()
    await until(lambda: good.ended, "the end of the other client")
    good.verify()
    reports.clear()


@requires("SERV-CREATE_SERVER-29")
@on_servers()
@needs("tls")
async def test_a_client_that_says_nothing(serve: Serve) -> None:
    """A client that begins no handshake keeps nobody else waiting."""
    service = await serve_tls(serve)
    service.knock()
    await polls(2)
    link = await service.visit([*begin(), expect(b"hello"), drain()])
    link.transport.write(b"hello")
    link.transport.close()
    await link.lost()


@requires("SERV-SERVER_ABORT_CLIENTS-02")
@on_servers()
@needs("tls")
@pytest.mark.parametrize("call", ["close_clients", "abort_clients"])
async def test_clients_over_tls(serve: Serve, call: str) -> None:
    """close_clients() and abort_clients() end connections over TLS, too."""
    service = await serve_tls(serve)
    links: list[Link] = [await service.visit([*begin(), drain()]) for _ in range(2)]
    getattr(service.server, call)()
    for link in links:
        await link.lost()


@requires("SERV-CREATE_SERVER-24")
@on_servers()
@needs("tls")
@pytest.mark.parametrize("given", ["context", 1, object()])
async def test_what_is_no_context(serve: Serve, reports: list[Report], given: Any) -> None:
    """What is no context raises TypeError, or ends each connection: nobody is served without TLS."""
    try:
        service = await serve(ssl=given)
    except (TypeError, ValueError, AttributeError):
        return
    client = service.knock()
    with left_to_the_collector():
        await until(lambda: service.made or ended(client), "the call of the factory")
        await polls()
        reports.clear()
    await until(lambda: ended(client), "the end of a connection without a context")
    assert service.connected == []
    reports.clear()
