"""Arguments of the UNIX calls that make no sense, alone or together: the exception, and nothing left open."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.certificates import client_context

CALLS = pytest.mark.parametrize("call", ["create_unix_connection", "create_unix_server"])


async def refused(loop: Any, call: str, kind: type[Exception], *arguments: Any, **options: Any) -> None:
    """Call with arguments that make no sense, and expect an exception."""
    with raises(kind):
        await getattr(loop, call)(asyncio.Protocol, *arguments, **options)


@contextlib.contextmanager
def wrong(kind: str) -> Iterator[socket.socket]:
    """A socket that is not for UNIX streams, open at the end of the block."""
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    types = {"datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}
    with socket.socket(family, types.get(kind, socket.SOCK_STREAM)) as sock:
        yield sock
        assert sock.fileno() != -1, "the socket was closed"
        sock.getsockname()


@requires("UNIX-CREATE_UNIX_CONNECTION-04", "UNIX-CREATE_UNIX_SERVER-05")
@needs("unix")
@CALLS
async def test_a_path_and_a_socket(loop: asyncio.AbstractEventLoop, call: str, tmp_path: Any) -> None:
    """path beside sock raises ValueError, makes no file, and leaves the socket to the caller."""
    with wrong("stream") as sock:
        await refused(loop, call, ValueError, str(tmp_path / "socket"), sock=sock)
    assert list(tmp_path.iterdir()) == []


@requires("UNIX-CREATE_UNIX_CONNECTION-04", "UNIX-CREATE_UNIX_SERVER-05")
@needs("unix")
@CALLS
async def test_neither_a_path_nor_a_socket(loop: asyncio.AbstractEventLoop, call: str) -> None:
    """Without path and sock there is ValueError."""
    await refused(loop, call, ValueError)
    await refused(loop, call, ValueError, None, sock=None)


@requires("UNIX-CREATE_UNIX_CONNECTION-05", "UNIX-CREATE_UNIX_SERVER-08")
@needs("unix")
@CALLS
@pytest.mark.parametrize("kind", ["tcp", "datagram", "seqpacket"])
async def test_sockets_of_another_kind(loop: asyncio.AbstractEventLoop, call: str, kind: str) -> None:
    """A socket of another family or type raises ValueError, and stays open and the caller's."""
    with wrong(kind) as sock:
        await refused(loop, call, ValueError, sock=sock)


@requires("UNIX-CREATE_UNIX_CONNECTION-06")
@needs("unix", "tls")
async def test_a_context_without_a_name(loop: asyncio.AbstractEventLoop) -> None:
    """ssl without server_hostname raises ValueError."""
    await refused(loop, "create_unix_connection", ValueError, "/nowhere", ssl=client_context())
    await refused(loop, "create_unix_connection", ValueError, "/nowhere", ssl=True)


@requires("UNIX-CREATE_UNIX_CONNECTION-07")
@needs("unix")
@pytest.mark.parametrize("ssl", [None, False])
@pytest.mark.parametrize("name", ["localhost", ""])
async def test_a_name_without_a_context(loop: asyncio.AbstractEventLoop, ssl: Any, name: str) -> None:
    """server_hostname without ssl raises ValueError, also an empty one."""
    await refused(loop, "create_unix_connection", ValueError, "/nowhere", ssl=ssl, server_hostname=name)


@requires("UNIX-CREATE_UNIX_CONNECTION-08", "UNIX-CREATE_UNIX_SERVER-07")
@needs("unix")
@CALLS
@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, 1, 10.5, -1])
async def test_timeouts_without_a_context(
    loop: asyncio.AbstractEventLoop, call: str, name: str, seconds: float, tmp_path: Any
) -> None:
    """The timeouts of TLS without ssl raise ValueError, whatever their value is, and no file is made."""
    await refused(loop, call, ValueError, str(tmp_path / "socket"), **{name: seconds})
    assert list(tmp_path.iterdir()) == []


@requires("UNIX-CREATE_UNIX_SERVER-06")
@needs("unix")
@pytest.mark.parametrize("given", [True, False])
async def test_a_bool_as_context(loop: asyncio.AbstractEventLoop, given: bool, tmp_path: Any) -> None:
    """True and False as ssl of a server raise TypeError, and no file is made."""
    await refused(loop, "create_unix_server", TypeError, str(tmp_path / "socket"), ssl=given)
    assert list(tmp_path.iterdir()) == []


@requires("UNIX-CREATE_UNIX_SERVER-17")
async def test_on_windows(loop: asyncio.AbstractEventLoop) -> None:
    """On Windows both calls raise NotImplementedError, or do not exist."""
    for call in ("create_unix_connection", "create_unix_server"):
        with raises(NotImplementedError, AttributeError):
            await getattr(loop, call)(asyncio.Protocol, "socket")
