"""loop.sock_sendfile(): the sockets that it takes, what it refuses, and what goes on beside it."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.descriptors import opened_since
from loopproof.authoring.files import FILES, SEED, file_of
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, polls, until
from loopproof.authoring.sockets import Kind, ended, listening, played, plugged, unbound, verified, waiting
from loopproof.faultkit import descriptors, expect, expect_eof, expect_pattern, hold, send

SIZE = 50_000
LARGE = 4 * WIDTH
KINDS: list[Kind] = ["tcp", "unix"]


@requires("SENDF-SOCK_SENDFILE-01")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_file_over_a_socket(loop: asyncio.AbstractEventLoop, kind: Kind, fallback: bool) -> None:
    """A file goes over a socket, without the fallback as well; the result is the number of bytes."""
    with plugged(kind, [expect_pattern(SEED, LARGE), expect_eof()], narrow=True) as (ours, peer):
        with file_of(LARGE) as file:
            assert await loop.sock_sendfile(ours, file, fallback=fallback) == LARGE
            assert file.tell() == LARGE
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-09")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_kind", ["memory", "readable"])
async def test_the_fallback_of_a_socket(loop: asyncio.AbstractEventLoop, kind: Kind, file_kind: str) -> None:
    """What the kernel cannot send is read and sent, without being asked for it."""
    with plugged(kind, [expect_pattern(SEED, LARGE), expect_eof()], narrow=True) as (ours, peer):
        with file_of(LARGE, file_kind) as file:
            assert await loop.sock_sendfile(ours, file) == LARGE
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-10")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_kind", sorted(FILES))
async def test_an_empty_file_over_a_socket(loop: asyncio.AbstractEventLoop, kind: Kind, file_kind: str) -> None:
    """Of an empty file nothing is sent and the result is 0."""
    with plugged(kind, [expect_eof()]) as (ours, peer):
        with file_of(0, file_kind) as file:
            assert await loop.sock_sendfile(ours, file) == 0
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [SIZE, SIZE + 1, 1 << 31, 1 << 32, (1 << 62) - 1])
async def test_a_count_beyond_the_end(loop: asyncio.AbstractEventLoop, kind: Kind, count: int) -> None:
    """A count that is larger than the file sends the file; the result tells how much that was."""
    with plugged(kind, [expect_pattern(SEED, SIZE), expect_eof()]) as (ours, peer):
        with file_of(SIZE) as file:
            assert await loop.sock_sendfile(ours, file, 0, count) == SIZE
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-13")
@pytest.mark.parametrize("offset", [SIZE, SIZE + 1000])
async def test_the_position_when_nothing_was_sent(loop: asyncio.AbstractEventLoop, offset: int) -> None:
    """The file is moved to the offset also if there was nothing to send."""
    with plugged("unix", [expect_eof()]) as (ours, peer):
        with file_of(SIZE, "raw") as file:
            assert await loop.sock_sendfile(ours, file, offset) == 0
            assert file.tell() == offset
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-03")
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_datagram_socket(loop: asyncio.AbstractEventLoop, fallback: bool) -> None:
    """A datagram socket is refused with ValueError, and nothing is sent."""
    with plugged("datagram", [expect(b"behind")]) as (ours, peer):
        with file_of(100) as file, raises(ValueError):
            await loop.sock_sendfile(ours, file, fallback=fallback)
        ours.send(b"behind")
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-04")
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
@pytest.mark.parametrize(
    ("count", "kind"),
    [(1.5, TypeError), ("1", TypeError), (b"1", TypeError), ([], TypeError), (0, ValueError), (-1, ValueError)],
)
async def test_wrong_counts(loop: asyncio.AbstractEventLoop, count: Any, kind: type[Exception], file_kind: str) -> None:
    """A count that is no int raises TypeError, one of zero or less ValueError; nothing is sent."""
    await check_refusal(loop, file_kind, kind, count=count)


@requires("SENDF-SOCK_SENDFILE-05")
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
@pytest.mark.parametrize(
    ("offset", "kind"),
    [(1.5, TypeError), ("0", TypeError), (None, TypeError), (-1, ValueError), (-(1 << 64), ValueError)],
)
async def test_wrong_offsets(
    loop: asyncio.AbstractEventLoop, offset: Any, kind: type[Exception], file_kind: str
) -> None:
    """An offset that is no int raises TypeError, a negative one ValueError; nothing is sent."""
    await check_refusal(loop, file_kind, kind, offset=offset)


async def check_refusal(loop: asyncio.AbstractEventLoop, file_kind: str, kind: type[Exception], **given: Any) -> None:
    """Call with wrong arguments, and send something else."""
    with plugged("unix", [expect(b"behind"), expect_eof()]) as (ours, peer):
        with file_of(SIZE, file_kind) as file:
            with raises(kind):
                await loop.sock_sendfile(ours, file, **given)
            assert file.tell() == 0
        ours.send(b"behind")
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-06")
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
async def test_an_ssl_socket(loop: asyncio.AbstractEventLoop, file_kind: str) -> None:
    """A socket of the module ssl is refused with TypeError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with (
        unbound(socket.AF_INET) as plain,
        context.wrap_socket(plain) as wrapped,
        file_of(10, file_kind) as file,
        raises(TypeError),
    ):
        await loop.sock_sendfile(wrapped, file)


@requires("SENDF-SOCK_SENDFILE-07")
@needs("debug")
@pytest.mark.parametrize("timeout", [None, 60.0])
async def test_a_blocking_socket_in_debug_mode(loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
    """In debug mode a socket that blocks, or has a timeout, is refused with ValueError."""
    loop.set_debug(True)
    with plugged("unix", [expect_eof()]) as (ours, peer):
        ours.settimeout(timeout)
        with file_of(SIZE) as file, raises(ValueError):
            await loop.sock_sendfile(ours, file)
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-07")
@needs("debug")
async def test_a_socket_that_does_not_block_in_debug_mode(loop: asyncio.AbstractEventLoop) -> None:
    """In debug mode a socket that does not block is taken."""
    loop.set_debug(True)
    with plugged("unix", [expect_pattern(SEED, SIZE)]) as (ours, peer), file_of(SIZE) as file:
        assert await loop.sock_sendfile(ours, file) == SIZE
        await verified(peer)


@requires("SENDF-SOCK_SENDFILE-16")
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
@pytest.mark.parametrize("state", ["closed", "fresh", "listening"])
async def test_a_socket_without_a_peer(
    loop: asyncio.AbstractEventLoop, state: str, file_kind: str, fallback: bool
) -> None:
    """A socket that is closed, not connected or listening makes the call raise OSError, ValueError or RuntimeError."""
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener, unbound(socket.AF_INET) as fresh:
        if state == "closed":
            fresh.close()
        with file_of(SIZE, file_kind) as file:
            refused = (OSError, ValueError) if fallback else (OSError, ValueError, asyncio.SendfileNotAvailableError)
            with raises(*refused):
                await loop.sock_sendfile(listener if state == "listening" else fresh, file, fallback=fallback)


@requires("SENDF-SOCK_SENDFILE-16", "SENDF-COMMON-18")
@pytest.mark.parametrize("given", [None, "socket", 0])
async def test_what_is_no_socket(loop: Any, given: Any) -> None:
    """What is no socket makes the call raise TypeError, AttributeError or ValueError."""
    with file_of(SIZE) as file, raises(TypeError, AttributeError, ValueError):
        await loop.sock_sendfile(given, file)


@requires("SENDF-SOCK_SENDFILE-15")
@needs("tcp")
async def test_the_socket_of_a_transport(loop: asyncio.AbstractEventLoop) -> None:
    """A large file for the socket of a live transport raises RuntimeError, and the transport lives."""
    protocol = RecordingProtocol()
    with plugged("tcp", [hold(), send(b"answer"), hold()], narrow=True) as (ours, peer):
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        with file_of(LARGE) as file, raises(RuntimeError):
            await asyncio.wait_for(loop.sock_sendfile(ours, file), 1)
        peer.release()
        await until(lambda: protocol.history.received == b"answer", "what the peer has sent")
        transport.abort()
        await until(protocol.closed.is_set, "connection_lost()")
        await polls(2)


@requires("SENDF-SOCK_SENDFILE-17")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
async def test_receiving_beside_it(loop: asyncio.AbstractEventLoop, kind: Kind, file_kind: str) -> None:
    """What the peer sends while a file waits is received, and the file goes on."""
    script = [hold(), send(b"answer"), hold(), expect_pattern(SEED, LARGE), expect_eof()]
    with plugged(kind, script, narrow=True) as (ours, peer):
        with file_of(LARGE, file_kind) as file:
            receiving = await waiting(loop.sock_recv(ours, 10))
            sending = await waiting(loop.sock_sendfile(ours, file))
            peer.release()
            assert await ended(receiving) == b"answer"
            peer.release()
            assert await ended(sending) == LARGE
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SENDF-COMMON-08")
@needs("sock_sendfile")
@pytest.mark.parametrize("file_kind", ["buffered", "memory"])
async def test_descriptors_after_many_files(loop: asyncio.AbstractEventLoop, file_kind: str) -> None:
    """A hundred files later as many descriptors are open as before, and the socket is as it was."""
    with plugged("unix", [*[expect_pattern(SEED, 10_000)] * 100, hold()]) as (ours, peer):
        with file_of(10_000, file_kind) as file:
            assert await loop.sock_sendfile(ours, file) == 10_000
            before = descriptors()
            for _ in range(99):
                file.seek(0)
                assert await loop.sock_sendfile(ours, file) == 10_000
            assert opened_since(before) == []
        assert ours.gettimeout() == 0
        await played(peer, 100)
