"""create_connection(ssl=...): whom it trusts, under which name, and for how long it waits."""

import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.certificates import authority, certificate, client_context
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended, unverified
from loopproof.faultkit import Peer, accept, drain, expect, receive, reset, send, tls_forget, tls_handshake, tls_server

Loop = Any  # typeshed does not know all arguments that are tried here


def server(*script: dict[str, Any], name: str = "localhost", sni: str = "") -> Peer:
    """A peer that shakes hands with a certificate for a name, then plays a script; ``sni``: what it wants to hear."""
    begin = [accept(), tls_server(*certificate(name), server_name=sni), tls_handshake()]
    return Peer([*begin, *script], listen="tcp")


async def verified(loop: Loop, peer: Peer, **options: Any) -> Any:
    """Connect with TLS, exchange data, end; return the transport."""
    transport, protocol = await loop.create_connection(RecordingProtocol, **options)
    assert protocol.history.names == ["connection_made"]
    transport.write(b"ask")
    await until(lambda: protocol.history.received == b"answer", "the answer")
    await ended(transport, protocol)
    await until(lambda: peer.ended, "the end of the peer's script")
    peer.verify()
    return transport


ANSWER = (expect(b"ask"), send(b"answer"), tls_forget(), drain())


@requires("CONN-CREATE_CONNECTION-37", "CONN-CREATE_CONNECTION-38")
@needs("tls")
async def test_a_context_is_used(loop: Loop) -> None:
    """The context that was given decides whom to trust; host is the name that is asked for and verified."""
    context = client_context()
    with server(*ANSWER, sni="localhost") as peer:
        transport = await verified(
            loop, peer, host="localhost", port=peer.address[1], family=socket.AF_INET, ssl=context
        )
        assert transport.get_extra_info("sslcontext") is context


@requires("CONN-CREATE_CONNECTION-37")
@needs("tls")
async def test_a_context_that_trusts_somebody_else(loop: Loop) -> None:
    """A peer that the context does not trust is a ssl.SSLCertVerificationError; nobody is told of a connection."""
    protocol = RecordingProtocol()
    with unverified(server()) as peer, raises(ssl.SSLCertVerificationError):
        await loop.create_connection(
            lambda: protocol,
            *peer.address,
            ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            server_hostname="localhost",
        )
    assert protocol.history.names == []


@requires("CONN-CREATE_CONNECTION-38")
@needs("tls")
@pytest.mark.parametrize("right", [False, True])
async def test_the_host_may_be_an_address(loop: Loop, right: bool) -> None:
    """An address as host is what the certificate has to be for."""
    with unverified(server(*ANSWER, name="127.0.0.1" if right else "127.0.0.2")) as peer:
        if right:
            await verified(loop, peer, host="127.0.0.1", port=peer.address[1], ssl=client_context())
        else:
            with raises(ssl.SSLCertVerificationError):
                await loop.create_connection(RecordingProtocol, *peer.address, ssl=client_context())


@requires("CONN-CREATE_CONNECTION-36")
@needs("tls")
@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("name", ["localhost", "other.test"])
async def test_the_default_context(loop: Loop, name: str, trusted: bool, tmp_path: Path) -> None:
    """ssl=True trusts the default authorities alone, and verifies the host name."""
    file = tmp_path / "authorities.pem"
    file.write_bytes(authority() if trusted else b"")
    kept = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(file)
    options: dict[str, Any] = {"host": "localhost", "family": socket.AF_INET, "ssl": True}
    try:
        with unverified(server(*ANSWER, name=name)) as peer:
            if trusted and name == "localhost":
                await verified(loop, peer, port=peer.address[1], **options)
            else:
                with raises(ssl.SSLCertVerificationError):
                    await loop.create_connection(RecordingProtocol, port=peer.address[1], **options)
    finally:
        if kept is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = kept


@requires("CONN-CREATE_CONNECTION-41")
@needs("tls")
async def test_another_name_than_the_host(loop: Loop) -> None:
    """server_hostname is the name that is asked for and verified, whatever the host."""
    with server(*ANSWER, name="other.test", sni="other.test") as peer:
        await verified(
            loop, peer, host="127.0.0.1", port=peer.address[1], ssl=client_context(), server_hostname="other.test"
        )


@requires("CONN-CREATE_CONNECTION-41")
@needs("tls")
async def test_another_name_than_the_certificate(loop: Loop) -> None:
    """A certificate for the host is refused where server_hostname is another."""
    with unverified(server()) as peer, raises(ssl.SSLCertVerificationError):
        await loop.create_connection(
            RecordingProtocol,
            "localhost",
            peer.address[1],
            family=socket.AF_INET,
            ssl=client_context(),
            server_hostname="other.test",
        )


@requires("CONN-CREATE_CONNECTION-41", "CONN-CREATE_CONNECTION-12")
@needs("tls")
async def test_tls_on_a_given_socket(loop: Loop) -> None:
    """With sock the name is server_hostname, and the handshake is done before the pair is returned."""
    with server(*ANSWER, sni="localhost") as peer:
        ours = socket.create_connection(peer.address)
        await verified(loop, peer, sock=ours, ssl=client_context(), server_hostname="localhost")
        assert ours.fileno() == -1


@requires("CONN-CREATE_CONNECTION-42")
@needs("tls")
@pytest.mark.parametrize("given", ["host", "sock"])
async def test_an_empty_name(loop: Loop, given: str) -> None:
    """An empty server_hostname goes with a context that checks no names, and no name is sent."""
    context = client_context()
    context.check_hostname = False
    with server(*ANSWER, name="other.test") as peer:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": peer.address[1]}
        if given == "sock":
            options = {"sock": socket.create_connection(peer.address)}
        await verified(loop, peer, ssl=context, server_hostname="", **options)


@requires("CONN-CREATE_CONNECTION-43")
@needs("tls")
async def test_an_empty_name_that_is_to_be_checked(loop: Loop) -> None:
    """An empty server_hostname is a ValueError where the context checks names."""
    with unverified(server()) as peer, socket.create_connection(peer.address) as ours, raises(ValueError):
        await loop.create_connection(RecordingProtocol, sock=ours, ssl=client_context(), server_hostname="")


@requires("CONN-CREATE_CONNECTION-46")
@needs("tls")
@pytest.mark.parametrize("timeout", [0.02, 0.1])
async def test_the_peer_does_not_answer(loop: Loop, timeout: float) -> None:
    """After ssl_handshake_timeout, and not before, a ConnectionError comes out and the peer sees the end."""
    with Peer([accept(), receive(5), drain()], listen="tcp") as peer:
        began = time.monotonic()
        with raises(ConnectionError):
            await loop.create_connection(
                RecordingProtocol,
                *peer.address,
                ssl=client_context(),
                server_hostname="localhost",
                ssl_handshake_timeout=timeout,
            )
        assert time.monotonic() - began >= timeout * 0.99
        await until(lambda: peer.ended, "the end of the connection")


@requires("CONN-CREATE_CONNECTION-46")
@needs("tls")
async def test_the_timeout_is_over_with_the_handshake(loop: Loop) -> None:
    """The timeout of the handshake does not end a connection that it was done on."""
    with server(*ANSWER) as peer:
        transport, protocol = await loop.create_connection(
            RecordingProtocol,
            *peer.address,
            ssl=client_context(),
            server_hostname="localhost",
            ssl_handshake_timeout=1,
            ssl_shutdown_timeout=1,
        )
        passed = loop.create_future()
        loop.call_later(1.05, passed.set_result, None)
        await passed
        transport.write(b"ask")
        await until(lambda: protocol.history.received == b"answer", "the answer")
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-60")
@needs("tls")
@pytest.mark.parametrize("how", ["end", "reset", "garbage"])
async def test_the_peer_spoils_the_handshake(loop: Loop, how: str) -> None:
    """The end, a reset, or what is no TLS in the handshake raises an OSError; connection_made() is not called."""
    protocol = RecordingProtocol()
    last = {"end": [faultkit.shutdown(), drain()], "reset": [reset()], "garbage": [send(b"no TLS at all"), drain()]}
    with unverified(Peer([accept(), receive(5), *last[how]], listen="tcp")) as peer:
        with raises(OSError) as raised:
            await loop.create_connection(
                lambda: protocol, *peer.address, ssl=client_context(), server_hostname="localhost"
            )
        if how == "garbage":
            assert isinstance(raised.value, ssl.SSLError)
        await until(lambda: peer.ended, "the end of the connection")
    assert "connection_made" not in protocol.history.names
