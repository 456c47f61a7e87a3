"""The timeouts of connections over TLS: peers that begin no handshake, and peers that do not answer its end."""

import asyncio
import contextlib
import pathlib
import socket
from typing import Any

import pytest

from loopproof.authoring import Serve, needs, on_servers, requires, until
from loopproof.authoring.certificates import authority, certificate, client_context, server_context
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import unverified
from loopproof.authoring.serving import ended
from loopproof.faultkit import Peer, accept, drain, tls_client, tls_forget, tls_handshake, tls_server

Loop = Any  # typeshed does not know all arguments that are tried here

NAME = "localhost"
SHORT = 0.02
"""Seconds: much less than the default timeouts, 60 and 30, and than the life of the peers here."""


async def refused(making: Any) -> None:
    """Check that the handshake with a peer that says nothing is given up in time."""
    task = asyncio.ensure_future(making)
    await until(task.done, "the end of the handshake")
    assert isinstance(task.exception(), ConnectionError), f"the handshake ended as {task!r}"


async def closed(transport: Any, protocol: Any) -> None:
    """Close a connection whose peer does not answer, and check that it is over in time."""
    transport.close()
    await until(protocol.closed.is_set, "connection_lost() of a connection whose peer does not answer the end of TLS")


def mute(begin: list[dict[str, Any]], **options: Any) -> contextlib.AbstractContextManager[Peer]:
    """A peer that shakes hands, and then reads and says nothing, not even at the end."""
    return unverified(Peer([*begin, tls_handshake(), tls_forget(), drain()], deadline=60, **options))


@requires("CONN-CREATE_CONNECTION-63")
@needs("tls")
async def test_the_end_of_a_connection(loop: Loop) -> None:
    """create_connection(ssl_shutdown_timeout=): close() waits no longer than that for the peer."""
    with mute([accept(), tls_server(*certificate(NAME))], listen="tcp") as peer:
        made = await loop.create_connection(
            RecordingProtocol,
            *peer.address,
            ssl=client_context(),
            server_hostname=NAME,
            ssl_shutdown_timeout=SHORT,
        )
        await closed(*made)


@requires("UNIX-CREATE_UNIX_CONNECTION-14")
@needs("unix", "tls")
@pytest.mark.parametrize("which", ["handshake", "shutdown"])
async def test_unix_connections(loop: Loop, tmp_path: pathlib.Path, which: str) -> None:
    """create_unix_connection() bounds the handshake, and the end, by its timeouts."""
    options: dict[str, Any] = {"ssl": client_context(), "server_hostname": NAME, f"ssl_{which}_timeout": SHORT}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        making = loop.create_unix_connection(RecordingProtocol, listener.getsockname(), **options)
        if which == "handshake":
            await refused(making)
        else:
            with mute([accept(), tls_server(*certificate(NAME))], connection=listener):
                await closed(*await making)


@requires("CONN-CONNECT_ACCEPTED_SOCKET-10")
@needs("tls", "accepted_socket")
@pytest.mark.parametrize("which", ["handshake", "shutdown"])
async def test_accepted_sockets(loop: Loop, which: str) -> None:
    """connect_accepted_socket() bounds the handshake, and the end, by its timeouts."""
    options: dict[str, Any] = {"ssl": server_context(NAME), f"ssl_{which}_timeout": SHORT}
    ours, theirs = socket.socketpair()
    protocol = RecordingProtocol()
    making = loop.connect_accepted_socket(lambda: protocol, ours, **options)
    with theirs:
        if which == "handshake":
            await refused(making)
        else:
            with mute([tls_client(authority=authority(), server_name=NAME)], connection=theirs):
                transport, _ = await making
                await closed(transport, protocol)


@requires("SERV-CREATE_SERVER-46")
@on_servers()
@needs("tls")
@pytest.mark.parametrize("which", ["handshake", "shutdown"])
async def test_servers(serve: Serve, which: str, reports: list[Any]) -> None:
    """A server bounds the handshake of its connections, and their end, by its timeouts."""
    options: dict[str, Any] = {f"ssl_{which}_timeout": SHORT}
    service = await serve(ssl=server_context(NAME), **options)
    if which == "handshake":
        client = service.knock()
        await until(lambda: ended(client), "the end of a connection on which there was no handshake")
    else:
        service.client([tls_client(authority=authority(), server_name=NAME), tls_handshake(), tls_forget(), drain()])
        await service.made_connection(1)
        (protocol,) = service.connected
        await closed(protocol.transport, protocol)
