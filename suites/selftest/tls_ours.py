"""Our side of a connection to a peer that speaks TLS: Python's ssl over a blocking socket, and what came over it."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
import trustme

from loopproof import faultkit

Steps = list[dict[str, Any]]

AUTHORITY = trustme.CA()
OTHER_AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("localhost")
TRUST = AUTHORITY.cert_pem.bytes()
CERTIFICATE = b"".join(part.bytes() for part in LEAF.cert_chain_pems)
KEY = LEAF.private_key_pem.bytes()


both_versions = pytest.mark.parametrize("version", ["1.2", "1.3"])
both_roles = pytest.mark.parametrize("role", ["server", "client"])


def client_context() -> ssl.SSLContext:
    """Return the context of a client that trusts AUTHORITY."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    return context


def server_context() -> ssl.SSLContext:
    """Return the context of a server with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    LEAF.configure_cert(context)
    return context


class Ours:
    """A TLS connection of Python's; `segments` are the bytes that each recv() gave."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext | None = None, server: bool = False) -> None:
        self.connection = connection
        self.segments: list[bytes] = []
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ended = ""
        if context is None:
            context = server_context() if server else client_context()
        name = None if server else "localhost"
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def _flush(self) -> None:
        try:
            self.connection.sendall(self._outgoing.read())
        except (BrokenPipeError, ConnectionResetError):
            self._ended = "reset"

    def _feed(self) -> None:
        try:
            data = self.connection.recv(1 << 20)
        except ConnectionResetError:
            self._ended = "reset"
            data = b""
        if data:
            self.segments.append(data)
            self._incoming.write(data)
        else:
            self._ended = self._ended or "truncated"
            self._incoming.write_eof()

    def shake_hands(self) -> str:
        """Shake hands; return "" or how it failed: "truncated", "reset", or the reason of the SSLError."""
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLEOFError:
                return self._ended
            except ssl.SSLError as error:
                self._flush()
                return error.reason or str(error)
            else:
                return ""

    def read(self, size: int = 1 << 20) -> bytes:
        """Read what comes, b"" at close_notify. Raises SSLError."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLZeroReturnError:
                return b""
            finally:
                self._flush()

    def read_to_end(self) -> tuple[bytes, str]:
        """Return all that comes, and "close_notify", "truncated", "reset", or the reason of the SSLError."""
        received = b""
        while True:
            try:
                data = self.read()
            except ssl.SSLEOFError:
                return received, self._ended
            except ssl.SSLError as error:
                return received, error.reason or str(error)
            if not data:
                return received, "close_notify"
            received += data

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self.tls.write(data)
        self._flush()

    def close_notify(self) -> None:
        """Say that nothing follows, and wait for nothing."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self._flush()

    def end(self) -> None:
        """End the stream below TLS, if it has not been reset."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def data_segments(self) -> int:
        """Return how many TCP segments with data have come (tcpi_data_segs_in of Linux)."""
        information = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        return struct.unpack_from("I", information, 152)[0]


def records(data: bytes) -> list[bytes]:
    """Cut bytes into the records that they are."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5])
        found.append(data[:size])
        data = data[size:]
    return found


@contextmanager
def facing(role: str, script: Steps, context: ssl.SSLContext | None = None, **settings: Any) -> Iterator[Ours]:
    """Give our side of a connection to a peer of that role, whose script is verified at the end.

    The peer stays until we are done: what it has not received would make a reset of its end.
    """
    end = faultkit.hold()
    with contextlib.ExitStack() as stack:
        if role == "server":
            script = [faultkit.accept(), faultkit.tls_server(CERTIFICATE, KEY, **settings), *script, end]
            peer = stack.enter_context(faultkit.Peer(script, listen="tcp", deadline=60))
            connection = socket.create_connection(peer.address)
        else:
            settings = {"authority": TRUST, "server_name": "localhost"} | settings
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            script = [faultkit.connect(listener.getsockname()), faultkit.tls_client(**settings), *script, end]
            peer = stack.enter_context(faultkit.Peer(script, deadline=60))
            connection = listener.accept()[0]
        ours = stack.enter_context(Ours(connection, context, server=role == "client"))
        yield ours
        peer.release()
        peer.join()
