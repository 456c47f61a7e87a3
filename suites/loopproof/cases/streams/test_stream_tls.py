"""StreamWriter.start_tls(): its arguments, what was buffered before it, and handshakes that fail."""

import asyncio
import ssl
import sys
from typing import Any

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.certificates import certificate, client_context
from loopproof.authoring.links import unverified
from loopproof.faultkit import Peer, accept, drain, expect, hold, send

Loop = asyncio.AbstractEventLoop


@requires("STREAM-START_TLS-01")
@needs("tls", "tcp")
async def test_a_name_that_is_not_in_the_certificate(loop: Loop) -> None:
    """start_tls() with another server_hostname than that of the certificate raises ssl.CertificateError."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake()]
    with unverified(Peer([accept(), expect(b"STARTTLS"), *tls, drain()], listen="tcp")) as peer:
        _, writer = await asyncio.open_connection(*peer.address)
        writer.write(b"STARTTLS")
        with raises(ssl.CertificateError):
            await writer.start_tls(client_context(), server_hostname="elsewhere")
        await until(writer.is_closing, "the end of the stream")
        await until(lambda: peer.ended, "the end of the connection")


@requires("STREAM-START_TLS-01")
@needs("tls", "tcp")
async def test_a_peer_that_does_not_shake_hands(loop: Loop) -> None:
    """When the peer says nothing for ssl_handshake_timeout seconds, ConnectionAbortedError is raised."""
    with unverified(Peer([accept(), expect(b"STARTTLS"), drain()], listen="tcp")) as peer:
        _, writer = await asyncio.open_connection(*peer.address)
        writer.write(b"STARTTLS")
        with raises(ConnectionAbortedError):
            await writer.start_tls(client_context(), server_hostname="localhost", ssl_handshake_timeout=0.02)
        await until(writer.is_closing, "the end of the stream")
        await until(lambda: peer.ended, "the end of the connection")


@requires("STREAM-START_TLS-01")
@needs("tls", "tcp")
async def test_all_arguments(loop: Loop) -> None:
    """start_tls() takes every argument by name, sends what was written before it in the clear, and reads go on."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake()]
    script = [accept(), expect(b"in the clear"), *tls, expect(b"ask"), send(b"answer"), hold()]
    options: dict[str, Any] = {"ssl_shutdown_timeout": 5.0} if sys.version_info >= (3, 12) else {}
    with unverified(Peer(script, listen="tcp")) as peer:
        reader, writer = await asyncio.open_connection(*peer.address)
        plain = writer.transport
        waiting = asyncio.ensure_future(reader.readexactly(6))
        writer.write(b"in the clear")
        await writer.start_tls(
            sslcontext=client_context(), server_hostname="localhost", ssl_handshake_timeout=5.0, **options
        )
        assert writer.transport is not plain
        assert isinstance(writer.get_extra_info("ssl_object"), ssl.SSLObject)
        writer.writelines([b"as", b"k"])
        assert await waiting == b"answer"
        writer.transport.abort()
        await writer.wait_closed()
