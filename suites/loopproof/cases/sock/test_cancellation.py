"""Operations on sockets that are cancelled, and descriptors that are closed or given to somebody else meanwhile."""

import asyncio
import errno
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.concurrency import Background
from loopproof.authoring.descriptors import Squatters, successor
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.sockets import (
    OPERATIONS,
    RECEIVING,
    Kind,
    cancelled,
    ended,
    listening,
    on_operations,
    played,
    playing,
    plugged,
    unbound,
    waiting,
)
from loopproof.faultkit import (
    accept,
    descriptors,
    drain,
    expect,
    expect_eof,
    expect_pattern,
    hold,
    pattern,
    send,
    verify_pattern,
)

KINDS: list[Kind] = ["tcp", "unix"]


@requires("SOCK-COMMON-03")
@on_operations(*RECEIVING)
@pytest.mark.parametrize("kind", ["tcp", "unix", "datagram"])
async def test_data_after_a_cancel(loop: asyncio.AbstractEventLoop, kind: Kind, operation: str) -> None:
    """Data that come after the operation was cancelled are not taken."""
    with plugged(kind, [hold(), send(b"hello"), hold()]) as (ours, peer):
        await cancelled(await waiting(OPERATIONS[operation](loop, ours)))
        peer.release()
        await played(peer, 2)
        await polls(3)
        assert ours.recv(100) == b"hello"


@requires("SOCK-COMMON-03")
@on_operations(*RECEIVING)
async def test_data_before_the_cancelled_operation_runs_on(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """Data that come after cancel(), but before the loop polls again, are not taken."""
    with plugged("unix", [hold(), send(b"hello"), hold()]) as (ours, peer):
        task = await waiting(OPERATIONS[operation](loop, ours))
        task.cancel()
        peer.release()
        assert peer.wait(2, timeout=5)
        await until(task.done, "the end of an operation that was cancelled")
        assert task.cancelled()
        await polls(3)
        assert ours.recv(100) == b"hello"


@requires("SOCK-COMMON-03")
@on_operations("sock_recv_into", "sock_recvfrom_into")
async def test_the_buffer_after_a_cancel(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """The buffer of a cancelled operation is not written to any more and can be resized."""
    buffer = bytearray(100)
    with plugged("unix", [hold(), send(b"hello"), hold()]) as (ours, peer):
        task = await waiting(getattr(loop, operation)(ours, buffer))
        await cancelled(task)
        del task
        await polls(2)
        buffer.append(1)
        peer.release()
        await played(peer, 2)
        await polls(3)
        assert not any(buffer[:100])


@requires("SOCK-COMMON-03", "SOCK-SOCK_SENDALL-07")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_sender_is_cancelled(loop: asyncio.AbstractEventLoop, kind: Kind) -> None:
    """After a cancel nothing more is sent: what follows is right behind what the kernel had taken."""
    total = 3 * WIDTH
    data = bytearray(pattern(2, total))
    ours, theirs = socket.socketpair() if kind == "unix" else tcp_pair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 131_072)
        ours.setblocking(False)
        task = await waiting(loop.sock_sendall(ours, data))
        await cancelled(task)
        del task
        await polls(2)
        data.append(1)
        with Background(read_all, theirs) as reading:
            await polls(5)
            await loop.sock_sendall(ours, b"tail")
            ours.shutdown(socket.SHUT_WR)
            await until(lambda: not reading.thread.is_alive(), "the end of the stream at the other end")
        received = reading.result
    assert received.endswith(b"tail")
    assert 4 < len(received) < total
    wrong = verify_pattern(received[:-4], 2)
    assert wrong is None, f"of {len(received)} bytes that one at offset {wrong} is wrong"


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection with small windows."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]


def read_all(theirs: socket.socket) -> bytes:
    """Read until the end of the stream."""
    received = bytearray()
    while piece := theirs.recv(65_536):
        received += piece
    return bytes(received)


@requires("SOCK-COMMON-03", "SOCK-COMMON-08")
@on_operations("sock_recv", "sock_recv_into", "sock_sendall", "sock_accept")
async def test_the_number_of_a_closed_socket(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """After cancel and close the number belongs to somebody else: the loop does not touch or poll it."""
    with Squatters() as squatters, waiting_socket(operation) as ours:
        task = await waiting(start(loop, operation, ours))
        await cancelled(task)
        number = ours.fileno()
        ours.close()
        squatters.occupy(number)
        await polls(5)


@requires("SOCK-COMMON-09")
@on_operations("sock_recv", "sock_recv_into", "sock_sendall", "sock_accept")
@pytest.mark.parametrize("polled", [True, False])
async def test_closed_while_it_waits(loop: asyncio.AbstractEventLoop, operation: str, polled: bool) -> None:
    """A socket that is closed under an operation leaves it waiting or fails it; a cancel ends it."""
    with Squatters() as squatters, waiting_socket(operation) as ours:
        if polled:
            task = await waiting(start(loop, operation, ours))
        else:
            task = asyncio.ensure_future(start(loop, operation, ours))
            await asyncio.sleep(0)  # its first step, and no poll after it
        number = ours.fileno()
        ours.close()
        if polled and number not in descriptors():  # a loop may keep it open for as long as the operation waits
            squatters.occupy(number)
        await polls(5)
        task.cancel()
        await until(task.done, "the end of an operation that was cancelled")
        assert task.cancelled() or isinstance(task.exception(), OSError), f"it ended as {task!r}"
        await polls(3)


def waiting_socket(operation: str) -> Any:
    """A socket on which an operation has to wait."""
    if operation == "sock_accept":
        return listening(socket.AF_INET, ("127.0.0.1", 0))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    class Pair:
        def __enter__(self) -> socket.socket:
            return ours

        def __exit__(self, *_: object) -> None:
            ours.close()
            theirs.close()

    return Pair()


def start(loop: asyncio.AbstractEventLoop, operation: str, ours: socket.socket) -> Any:
    """Call an operation that has to wait."""
    return (
        loop.sock_sendall(ours, bytes(5 * WIDTH)) if operation == "sock_sendall" else OPERATIONS[operation](loop, ours)
    )


@requires("SOCK-COMMON-08", "SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_the_number_is_used_again(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Cancel, close, and a new socket with the same number at once: an operation on it gets its own data."""
    with plugged("unix", [send(b"old"), hold()]) as (old, old_peer):
        await played(old_peer, 1)
        assert await loop.sock_recv(old, 10) == b"old"
        task = await waiting(loop.sock_recv(old, 10))
        number = old.fileno()
        task.cancel()
        old.close()
        with successor(number) as (ours, theirs):
            for _ in range(turns):
                await asyncio.sleep(0)
            again = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await polls(3)
            assert not again.done()
            theirs.send(b"new")
            assert await ended(again) == b"new"
            assert task.cancelled()


@requires("SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_receiver_is_cancelled_at_every_turn(loop: asyncio.AbstractEventLoop, kind: Kind) -> None:
    """Whenever it is cancelled, an operation ends, and the socket goes on with what comes after."""

    async def scenario(cancel: Cancel) -> None:
        with plugged(kind, [send(b"one"), hold(), send(b"two"), hold()]) as (ours, peer):
            task = await cancel(loop.sock_recv(ours, 3))
            await played(peer, 1)
            if task.cancelled():
                left = received(ours)  # what the operation had taken when it was cancelled is lost in stock loops too
                assert left in (b"one", b""), f"a part of the data is lost: {left!r} is left"
            else:
                assert task.result() == b"one"
            peer.release()
            assert await ended(asyncio.ensure_future(loop.sock_recv(ours, 10))) == b"two"

    await at_every_turn(scenario)


def received(ours: socket.socket) -> bytes:
    """Receive what is there."""
    try:
        return ours.recv(100)
    except BlockingIOError:
        return b""


@requires("SOCK-COMMON-03", "SOCK-SOCK_SENDALL-01")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_sender_is_cancelled_at_every_turn(loop: asyncio.AbstractEventLoop, kind: Kind) -> None:
    """Whenever it is cancelled, what was sent is a beginning of the data, and all of it if the operation returned."""
    total = WIDTH

    async def scenario(cancel: Cancel) -> None:
        with plugged(kind, [expect_pattern(2, total), expect_eof()], narrow=True) as (ours, peer):
            task = await cancel(loop.sock_sendall(ours, pattern(2, total)))
            ours.shutdown(socket.SHUT_WR)
            await until(lambda: peer.ended, "the end of the peer's script")
            if not task.cancelled():
                assert task.result() is None
                peer.verify()
            else:
                assert "is wrong" not in peer.log[0].detail, peer.log[0].detail

    await at_every_turn(scenario)


@requires("SOCK-SOCK_CONNECT-06")
async def test_connecting_is_cancelled_at_every_turn(loop: asyncio.AbstractEventLoop) -> None:
    """Whenever it is cancelled, sock_connect() ends, and the socket can be closed and its number used again."""

    async def scenario(cancel: Cancel) -> None:
        with playing([accept(), hold()], listen="tcp") as peer, Squatters() as squatters:
            with unbound(socket.AF_INET) as ours:
                task = await cancel(loop.sock_connect(ours, ("localhost", peer.address[1])))
                assert task.cancelled() or task.result() is None
                number = ours.fileno()
            squatters.occupy(number)
            await polls(2)

    await at_every_turn(scenario)


@requires("SOCK-SOCK_CONNECT-06")
@needs("linux")
async def test_a_connect_that_waits_is_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """A connection that a full backlog keeps waiting is cancelled: the number of the socket can be used again."""
    with listening(socket.AF_INET, ("127.0.0.1", 0), backlog=0) as listener, unbound(socket.AF_INET) as first:
        assert first.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        with Squatters() as squatters, unbound(socket.AF_INET) as ours:
            await cancelled(await waiting(loop.sock_connect(ours, listener.getsockname())))
            number = ours.fileno()
            ours.close()
            squatters.occupy(number)
            await polls(5)


@requires("SOCK-COMMON-03")
@needs("sock")
async def test_a_timeout_again_and_again(loop: asyncio.AbstractEventLoop) -> None:
    """A receiver that times out many times takes nothing with it: the data arrive with the one that waits for them."""
    with plugged("unix", [hold(), send(b"hello"), expect(b"ok"), drain()]) as (ours, peer):
        for _ in range(30):
            try:
                await asyncio.wait_for(loop.sock_recv(ours, 10), 0.001)
            except TimeoutError:
                continue
            raise AssertionError("the operation did not wait")
        peer.release()
        assert await ended(asyncio.ensure_future(loop.sock_recv(ours, 10))) == b"hello"
        await loop.sock_sendall(ours, b"ok")
        await played(peer, 3)
