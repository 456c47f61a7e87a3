"""What a poll reported is out of date when the operation looks: it was cancelled meanwhile, or another was quicker."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import (
    OPERATIONS,
    RECEIVING,
    ahead,
    ended,
    is_ready,
    listening,
    on_operations,
    readable,
    unbound,
    waiting,
)


@contextlib.contextmanager
def pair(operation: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected and do not block: of datagrams for an operation on these, else of streams."""
    kind = socket.SOCK_DGRAM if "from" in operation else socket.SOCK_STREAM
    ours, theirs = socket.socketpair(type=kind)
    with ours, theirs:
        for end in (ours, theirs):
            end.setblocking(False)
        yield ours, theirs


def fill(ours: socket.socket) -> int:
    """Send zeros until the kernel takes no more; return their number."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += ours.send(bytes(4096))
    return sent


async def is_cancelled(task: "asyncio.Task[Any]") -> None:
    """Let the loop run until an operation ends, which has to be by a cancel."""
    await until(task.done, "the end of an operation that was cancelled")
    assert task.cancelled(), f"the operation ended as {task!r}"


@requires("SOCK-COMMON-03")
@on_operations(*RECEIVING)
async def test_cancelled_while_data_are_ready(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """An operation that is cancelled after the poll that saw its data takes none of them."""
    with pair(operation) as (ours, theirs):
        task = await waiting(OPERATIONS[operation](loop, ours))
        theirs.send(b"hello")
        is_ready(ours)
        if await ahead(loop, lambda: readable(ours), task.cancel):
            await is_cancelled(task)
            await polls(3)
            assert ours.recv(100) == b"hello"
        else:
            await ended(task)


@requires("SOCK-SOCK_ACCEPT-03")
@needs("sock")
async def test_cancelled_while_a_connection_is_ready(loop: asyncio.AbstractEventLoop) -> None:
    """sock_accept() that is cancelled after the poll that saw a connection does not take it from the next one."""
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener, socket.socket() as client:
        task = await waiting(loop.sock_accept(listener))
        client.connect(listener.getsockname())
        is_ready(listener)
        if await ahead(loop, lambda: readable(listener), task.cancel):
            await is_cancelled(task)
            task = asyncio.ensure_future(loop.sock_accept(listener))
        accepted, address = await ended(task)
        with accepted:
            assert address == client.getsockname()


@requires("SOCK-COMMON-03")
@needs("sock")
async def test_cancelled_while_there_is_room(loop: asyncio.AbstractEventLoop) -> None:
    """sock_sendall() that is cancelled after the poll that saw room for its data sends none of them."""
    with pair("sock_sendall") as (ours, theirs):
        filled = fill(ours)
        task = await waiting(loop.sock_sendall(ours, b"hello"))
        received = take(theirs, filled)
        is_ready(ours, "write")
        if await ahead(loop, lambda: not readable(theirs), task.cancel):
            await is_cancelled(task)
            await polls(3)
            assert received + take(theirs, 100) == bytes(filled), "the cancelled operation has sent its data"
        else:
            await ended(task)


def take(theirs: socket.socket, most: int) -> bytes:
    """Receive what is there, up to a number of bytes."""
    received = bytearray()
    with contextlib.suppress(BlockingIOError):
        while len(received) < most and (piece := theirs.recv(most - len(received))):
            received += piece
    return bytes(received)


@requires("SOCK-COMMON-10")
@on_operations(*RECEIVING)
async def test_another_reader_was_quicker(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """An operation whose data somebody else takes after the poll that saw them waits for the next ones."""
    results = {"sock_recv": b"next", "sock_recv_into": 4, "sock_recvfrom": (b"next", None)}
    with pair(operation) as (ours, theirs), ours.dup() as other:
        task = await waiting(OPERATIONS[operation](loop, ours))
        theirs.send(b"hello")
        is_ready(ours)
        if await ahead(loop, lambda: readable(ours), lambda: other.recv(100)):
            await polls(3)
            assert not task.done(), f"the operation ended without data as {task!r}"
            theirs.send(b"next")
            assert await ended(task) == results.get(operation, (4, None))
        else:
            await ended(task)


@requires("SOCK-COMMON-10")
@needs("sock")
async def test_another_server_was_quicker(loop: asyncio.AbstractEventLoop) -> None:
    """sock_accept() whose connection somebody else accepts after the poll that saw it waits for the next one."""
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener, listener.dup() as other:
        task = await waiting(loop.sock_accept(listener))
        with socket.create_connection(listener.getsockname()):
            is_ready(listener)
            was_ahead = await ahead(loop, lambda: readable(listener), lambda: other.accept()[0].close())
            await polls(3)
            assert task.done() != was_ahead, f"there is no connection for the operation, and it is {task!r}"
        with socket.create_connection(listener.getsockname()) as client:
            accepted, address = await ended(task)
            with accepted:
                assert not was_ahead or address == client.getsockname()


@requires("SOCK-COMMON-10", "SOCK-SOCK_SENDALL-01")
@needs("sock")
async def test_another_writer_was_quicker(loop: asyncio.AbstractEventLoop) -> None:
    """sock_sendall() whose room somebody else fills after the poll that saw it waits, and sends all of its data."""
    with pair("sock_sendall") as (ours, theirs), ours.dup() as other:
        filled = fill(ours)
        task = await waiting(loop.sock_sendall(ours, b"hello"))
        received = take(theirs, filled)
        is_ready(ours, "write")
        if await ahead(loop, lambda: not readable(theirs), lambda: fill(other)):
            await polls(3)
            assert not task.done(), f"the operation ended without room for its data as {task!r}"
        while not task.done():
            received += take(theirs, 1_000_000)
            await polls(1)
        assert await ended(task) is None
        received += take(theirs, 1_000_000)
        assert received.endswith(b"hello")
        assert not any(received[:-5])


@requires("SOCK-SOCK_SENDALL-02")
@needs("sock")
async def test_no_room_at_first(loop: asyncio.AbstractEventLoop) -> None:
    """sock_sendall() on a socket that takes nothing at first sends its data from the first byte."""
    with pair("sock_sendall") as (ours, theirs):
        filled = fill(ours)
        task = await waiting(loop.sock_sendall(ours, b"hello"))
        assert take(theirs, filled) == bytes(filled)
        assert await ended(task) is None
        assert take(theirs, 100) == b"hello"


@contextlib.contextmanager
def full_queue(folder: Path) -> Iterator[tuple[socket.socket, socket.socket, str]]:
    """A socket of datagrams whose receiver has a full queue, the receiver, and its address."""
    address = str(folder / "theirs")
    with unbound(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs, unbound(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        theirs.bind(address)
        ours.connect(address)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"first")
        yield ours, theirs, address


def datagrams(theirs: socket.socket) -> list[bytes]:
    """Receive all datagrams that are there."""
    received = []
    with contextlib.suppress(BlockingIOError):
        while True:
            received.append(theirs.recv(100))
    return received


@requires("SOCK-COMMON-03", "SOCK-SOCK_SENDTO-03")
@needs("sock_datagram")
async def test_a_datagram_is_cancelled_while_there_is_room(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """sock_sendto() that is cancelled after the poll that saw room for its datagram does not send it."""
    with full_queue(tmp_path) as (ours, theirs, address):
        task = await waiting(loop.sock_sendto(ours, b"last", address))
        datagrams(theirs)
        is_ready(ours, "write")
        if await ahead(loop, lambda: not readable(theirs), task.cancel):
            await is_cancelled(task)
            await polls(3)
            assert datagrams(theirs) == []
        else:
            await ended(task)


@requires("SOCK-COMMON-10", "SOCK-SOCK_SENDTO-03")
@needs("sock_datagram")
async def test_another_datagram_was_quicker(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """sock_sendto() whose room somebody else fills after the poll that saw it waits, and sends its datagram."""
    with full_queue(tmp_path) as (ours, theirs, address), ours.dup() as other:
        task = await waiting(loop.sock_sendto(ours, b"last", address))
        filled = len(datagrams(theirs))
        is_ready(ours, "write")

        def send_as_many() -> None:
            for _ in range(filled):
                other.send(b"again")

        if await ahead(loop, lambda: not readable(theirs), send_as_many):
            await polls(3)
            assert not task.done(), f"the operation ended without room for its datagram as {task!r}"
            assert datagrams(theirs) == [b"again"] * filled
        assert await ended(task) == 4
        assert datagrams(theirs) == [b"last"]


@requires("SOCK-COMMON-05", "SOCK-SOCK_SENDTO-03")
@needs("sock_datagram")
async def test_the_receiver_goes_while_a_datagram_waits(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """sock_sendto() that waits for a receiver raises the error that the system has for it once that is gone."""
    with full_queue(tmp_path) as (ours, theirs, address):
        task = await waiting(loop.sock_sendto(ours, b"last", address))
        theirs.close()
        await until(task.done, "the end of an operation whose receiver is gone")
        assert isinstance(task.exception(), ConnectionError), f"the operation ended as {task!r}"


@contextlib.contextmanager
def blocked(operation: str) -> Iterator[tuple[socket.socket, Callable[["asyncio.Task[Any]"], Awaitable[None]]]]:
    """A socket on which an operation has to wait, and a function that lets its task go on, and end well."""
    with contextlib.ExitStack() as stack:
        if operation == "sock_accept":
            ours = stack.enter_context(listening(socket.AF_INET, ("127.0.0.1", 0)))
        else:
            ours, theirs = stack.enter_context(pair(operation))
        filled = fill(ours) if operation == "sock_sendall" else 0

        async def let_end(task: "asyncio.Task[Any]") -> None:
            if operation == "sock_accept":
                stack.enter_context(socket.create_connection(ours.getsockname()))
                stack.enter_context((await ended(task))[0])
            elif operation == "sock_sendall":
                take(theirs, filled)
                await ended(task)
                assert take(theirs, 100) == b"data"
            else:
                theirs.send(b"hello")
                await ended(task)

        yield ours, let_end


@requires("SOCK-COMMON-03")
@on_operations(*RECEIVING, "sock_sendall", "sock_accept")
@pytest.mark.parametrize("cancel", [False, True])
async def test_nothing_is_watched_afterwards(loop: asyncio.AbstractEventLoop, operation: str, cancel: bool) -> None:
    """An operation that has waited, and ended or was cancelled, leaves no watch of its descriptor behind."""
    with blocked(operation) as (ours, let_end):
        task = await waiting(OPERATIONS[operation](loop, ours))
        if cancel:
            task.cancel()
            await until(task.done, "the end of an operation that was cancelled")
        else:
            await let_end(task)
        await polls(2)
        assert not loop.remove_reader(ours.fileno()), "the descriptor is still watched for data"
        assert not loop.remove_writer(ours.fileno()), "the descriptor is still watched for room"


@requires("SOCK-COMMON-08", "SOCK-COMMON-03")
@on_operations(*RECEIVING, "sock_sendall", "sock_accept")
async def test_another_operation_takes_over(loop: asyncio.AbstractEventLoop, operation: str) -> None:
    """An operation that begins as another one on the same socket is cancelled is not cancelled with it."""
    with blocked(operation) as (ours, let_end):
        first = await waiting(OPERATIONS[operation](loop, ours))
        second = asyncio.ensure_future(OPERATIONS[operation](loop, ours))  # takes its turn before the cancel does
        first.cancel()
        await polls(3)
        assert first.cancelled()
        assert not second.done(), f"the second operation did not wait: {second!r}"
        await let_end(second)


@requires("SOCK-COMMON-08", "SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_the_number_of_a_sender_is_used_again(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Cancel, close, and a new socket with the same number at once: what is sent on it goes to its own peer, whole."""
    with pair("sock_sendall") as (old, _):
        fill(old)
        task = await waiting(loop.sock_sendall(old, b"old"))
        number = old.fileno()
        task.cancel()
        old.close()
        with pair("sock_sendall") as (ours, theirs):
            if number not in (ours.fileno(), theirs.fileno()):
                return  # the loop keeps the old socket open until it has heard of the cancel
            if ours.fileno() != number:
                ours, theirs = theirs, ours
            filled = fill(ours)
            for _ in range(turns):
                await asyncio.sleep(0)
            again = await waiting(loop.sock_sendall(ours, b"new"))
            take(theirs, filled)
            await ended(again)
            assert take(theirs, 100) == b"new"
            assert task.cancelled()


@requires("SOCK-COMMON-08", "SOCK-SOCK_ACCEPT-01")
@needs("sock")
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_the_number_of_a_listener_is_used_again(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Cancel, close, and a new listener with the same number at once: sock_accept() gets its own connection."""
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(listening(socket.AF_INET, ("127.0.0.1", 0)))
        task = await waiting(loop.sock_accept(old))
        number = old.fileno()
        task.cancel()
        old.close()
        ours = stack.enter_context(listening(socket.AF_INET, ("127.0.0.1", 0)))
        if ours.fileno() != number:
            return  # the loop keeps the old one open until it has heard of the cancel
        for _ in range(turns):
            await asyncio.sleep(0)
        again = await waiting(loop.sock_accept(ours))
        client = stack.enter_context(socket.create_connection(ours.getsockname()))
        accepted, address = await ended(again)
        with accepted:
            assert address == client.getsockname()
        assert task.cancelled()


@requires("SOCK-COMMON-08", "SOCK-COMMON-03")
@needs("sock_datagram")
async def test_another_datagram_takes_over(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """sock_sendto() that begins as another one on the same socket is cancelled is not cancelled with it."""
    with full_queue(tmp_path) as (ours, theirs, address):
        first = await waiting(loop.sock_sendto(ours, b"cancelled", address))
        second = asyncio.ensure_future(loop.sock_sendto(ours, b"last", address))  # its turn is before the cancel's
        first.cancel()
        await polls(3)
        assert first.cancelled()
        datagrams(theirs)
        assert await ended(second) == 4
        assert datagrams(theirs) == [b"last"]
