"""Sockets, states and arguments that an operation on a socket refuses, and the errors that it raises for them."""

import asyncio
import errno
import socket
import ssl
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import OPERATIONS, RECEIVING, listening, on_operations, plugged, unbound, verified
from loopproof.faultkit import expect_eof, hold, send


@requires("SOCK-COMMON-01")
@on_operations()
async def test_an_ssl_socket(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """A socket of the module ssl is refused with TypeError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with unbound(socket.AF_INET) as plain, context.wrap_socket(plain) as wrapped, raises(TypeError):
        await OPERATIONS[operation](loop, wrapped)


@requires("SOCK-COMMON-02")
@needs("debug")
@on_operations()
@pytest.mark.parametrize("timeout", [None, 60.0])
async def test_a_blocking_socket_in_debug_mode(
    loop: asyncio.AbstractEventLoop, operation: str, timeout: float | None
) -> None:
    """In debug mode a socket that blocks, or has a timeout, is refused with ValueError."""
    loop.set_debug(True)
    with unbound(socket.AF_INET) as ours:
        ours.settimeout(timeout)
        with raises(ValueError):
            await OPERATIONS[operation](loop, ours)


@requires("SOCK-COMMON-02")
@needs("sock", "debug")
async def test_a_socket_that_does_not_block_in_debug_mode(loop: asyncio.AbstractEventLoop) -> None:
    """In debug mode a socket that does not block is taken."""
    loop.set_debug(True)
    with plugged("unix", [send(b"hello")]) as (ours, _):
        assert await loop.sock_recv(ours, 10) == b"hello"


@requires("SOCK-COMMON-05")
@on_operations()
async def test_a_closed_socket(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """A socket that is closed already makes an operation raise OSError or ValueError."""
    with unbound(socket.AF_INET) as ours:
        ours.close()
        with raises(OSError, ValueError):
            await OPERATIONS[operation](loop, ours)


@requires("SOCK-COMMON-05")
@on_operations()
@pytest.mark.parametrize("given", ["None", "'socket'"])
async def test_what_is_no_socket(loop: asyncio.AbstractEventLoop, operation: str, given: str) -> None:
    """What is no socket at all makes an operation raise TypeError, AttributeError or ValueError."""
    with raises(TypeError, AttributeError, ValueError):
        await OPERATIONS[operation](loop, None if given == "None" else "socket")


@requires("SOCK-COMMON-05")
@on_operations("sock_recv", "sock_recv_into", "sock_sendall")
@pytest.mark.parametrize("state", ["fresh", "listening"])
async def test_a_socket_that_is_not_connected(loop: asyncio.AbstractEventLoop, operation: str, state: str) -> None:
    """Data cannot be sent or received without a connection: the OSError of the system call is raised."""
    with unbound(socket.AF_INET) as ours:
        if state == "listening":
            ours.bind(("127.0.0.1", 0))
            ours.listen()
        task = asyncio.ensure_future(OPERATIONS[operation](loop, ours))
        await until(task.done, "the error of an operation on a socket that is not connected", share=0.1)
        with raises(OSError) as caught:
            task.result()
    assert isinstance(caught.value, OSError)
    assert caught.value.errno in (errno.ENOTCONN, errno.EPIPE), f"errno {caught.value.errno}"


@requires("SOCK-COMMON-05")
@needs("sock")
async def test_a_socket_that_does_not_listen(loop: asyncio.AbstractEventLoop) -> None:
    """sock_accept() on a socket that does not listen raises the OSError of the system call."""
    with unbound(socket.AF_INET) as ours, raises(OSError) as caught:
        await loop.sock_accept(ours)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EINVAL


@requires("SOCK-COMMON-05")
@needs("sock")
@pytest.mark.parametrize("state", ["connected", "listening"])
async def test_a_socket_that_cannot_connect(loop: asyncio.AbstractEventLoop, state: str) -> None:
    """sock_connect() on a socket that is connected or listens raises OSError with EISCONN."""
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener, unbound(socket.AF_INET) as ours:
        if state == "connected":
            ours.setblocking(True)  # else Linux takes the next connect() for a question how the first one went
            ours.connect(listener.getsockname())
            ours.setblocking(False)
        with raises(OSError) as caught:
            await loop.sock_connect(ours if state == "connected" else listener, listener.getsockname())
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EISCONN


WRONG: dict[str, Any] = {
    "sock_recv: str": (lambda loop, ours: loop.sock_recv(ours, "1"), TypeError),
    "sock_recv: float": (lambda loop, ours: loop.sock_recv(ours, 1.0), TypeError),
    "sock_recv: None": (lambda loop, ours: loop.sock_recv(ours, None), TypeError),
    "sock_recv: negative": (lambda loop, ours: loop.sock_recv(ours, -1), ValueError),
    "sock_recv: too large": (lambda loop, ours: loop.sock_recv(ours, 1 << 80), OverflowError),
    "sock_recv_into: bytes": (lambda loop, ours: loop.sock_recv_into(ours, b"abc"), TypeError),
    "sock_recv_into: read-only": (
        lambda loop, ours: loop.sock_recv_into(ours, memoryview(bytearray(3)).toreadonly()),
        TypeError,
    ),
    "sock_recv_into: int": (lambda loop, ours: loop.sock_recv_into(ours, 10), TypeError),
    "sock_recv_into: None": (lambda loop, ours: loop.sock_recv_into(ours, None), TypeError),
    "sock_recv_into: strided": (
        lambda loop, ours: loop.sock_recv_into(ours, memoryview(bytearray(9))[::2]),
        (BufferError, TypeError),
    ),
    "sock_sendall: str": (lambda loop, ours: loop.sock_sendall(ours, "text"), TypeError),
    "sock_sendall: int": (lambda loop, ours: loop.sock_sendall(ours, 3), TypeError),
    "sock_sendall: None": (lambda loop, ours: loop.sock_sendall(ours, None), TypeError),
    "sock_sendall: list": (lambda loop, ours: loop.sock_sendall(ours, [b"data"]), TypeError),
    "sock_sendall: strided": (
        lambda loop, ours: loop.sock_sendall(ours, memoryview(b"123456789")[::2]),
        (BufferError, TypeError),
    ),
}


@requires("SOCK-COMMON-05")
@needs("sock")
@pytest.mark.parametrize("wrong", sorted(WRONG))
async def test_a_wrong_argument(loop: asyncio.AbstractEventLoop, wrong: str) -> None:
    """A wrong argument raises what the method of the socket does, and the socket can be used after it."""
    call, kinds = WRONG[wrong]
    with plugged("unix", [send(b"hello"), expect_eof()]) as (ours, peer):
        with raises(*kinds if isinstance(kinds, tuple) else (kinds,)):
            await call(loop, ours)
        assert await loop.sock_recv(ours, 10) == b"hello", "data was lost to the call with a wrong argument"
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-COMMON-04")
@needs("tcp")
@on_operations(*RECEIVING)
async def test_the_socket_of_a_transport(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """An operation that has to wait on the socket of a live transport raises RuntimeError, and the transport lives."""
    protocol = RecordingProtocol()
    with plugged("tcp", [hold(), send(b"hello"), hold()]) as (ours, peer):
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        with raises(RuntimeError):
            await asyncio.wait_for(OPERATIONS[operation](loop, ours), 1)
        peer.release()
        while not protocol.history.received:
            await polls(1)
        assert protocol.history.received == b"hello"
        transport.abort()
        await protocol.closed.wait()
        await polls(2)
