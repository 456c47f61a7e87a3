"""Certificates for cases with TLS: an authority of the process's own, and what it has signed."""

import functools
import ssl

import trustme


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def certificate(*names: str) -> tuple[bytes, bytes]:
    """Return certificate and private key in PEM, signed by the authority, for host names and IP addresses."""
    leaf = _authority().issue_cert(*names)
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems), leaf.private_key_pem.bytes()


def authority() -> bytes:
    """Return the certificate of the authority in PEM."""
    return _authority().cert_pem.bytes()


def client_context() -> ssl.SSLContext:
    """Return a context for clients that trusts the authority, and nobody else."""
    return ssl.create_default_context(cadata=authority().decode())


def server_context(*names: str) -> ssl.SSLContext:
    """Return a context for servers with a certificate for host names and IP addresses."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert(*names).configure_cert(context)
    return context
