"""Several operations at the same time, on one socket and on many."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, requires
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.sockets import Kind, cancelled, ended, plugged, verified, waiting
from loopproof.faultkit import drain, echo, expect, expect_eof, expect_pattern, hold, pattern, send, verify_pattern

KINDS: list[Kind] = ["tcp", "unix"]


@requires("SOCK-COMMON-07", "SOCK-COMMON-08")
@needs("sock")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["receive", "send"])
async def test_a_receiver_and_a_sender(loop: asyncio.AbstractEventLoop, kind: Kind, first: str) -> None:
    """On one socket one operation waits for data and another for room; each ends by itself, in any order."""
    give, take = send(b"hello"), expect_pattern(2, 3 * WIDTH)
    steps = [hold(), give, hold(), take] if first == "receive" else [hold(), take, hold(), give]
    with plugged(kind, [*steps, expect_eof()], narrow=True) as (ours, peer):
        receiver = await waiting(loop.sock_recv(ours, 100))
        sender = await waiting(loop.sock_sendall(ours, pattern(2, 3 * WIDTH)))
        peer.release()
        early, late = (receiver, sender) if first == "receive" else (sender, receiver)
        early_result = await ended(early)
        await polls(3)
        assert not late.done(), "the other operation ended with the first one"
        peer.release()
        late_result = await ended(late)
        assert {early_result, late_result} == {b"hello", None}
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-COMMON-08", "SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gives_up", ["receiver", "sender"])
async def test_one_of_two_is_cancelled(loop: asyncio.AbstractEventLoop, kind: Kind, gives_up: str) -> None:
    """Where the receiver is cancelled the sender goes on, and the other way round."""
    with plugged(kind, [hold(), send(b"hello"), drain()], narrow=True) as (ours, peer):
        receiver = await waiting(loop.sock_recv(ours, 100))
        sender = await waiting(loop.sock_sendall(ours, pattern(2, 3 * WIDTH)))
        await cancelled(receiver if gives_up == "receiver" else sender)
        peer.release()
        if gives_up == "receiver":
            assert await ended(sender) is None
            assert await loop.sock_recv(ours, 100) == b"hello"
        else:
            assert await ended(receiver) == b"hello"


@requires("SOCK-COMMON-07", "SOCK-SOCK_SENDALL-02")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_echo(loop: asyncio.AbstractEventLoop, kind: Kind) -> None:
    """What is sent comes back while more is sent, and every byte is in its place."""
    total = 3 * WIDTH
    with plugged(kind, [echo(total), expect_eof()], narrow=True) as (ours, peer):
        sender = asyncio.ensure_future(loop.sock_sendall(ours, pattern(2, total)))
        received = bytearray()
        while len(received) < total:
            piece = await loop.sock_recv(ours, 70_000)
            assert piece, "the stream ended early"
            received += piece
        assert await ended(sender) is None
        assert verify_pattern(received, 2) is None
        ours.shutdown(socket.SHUT_WR)
        await verified(peer)


@requires("SOCK-COMMON-07", "SOCK-COMMON-08")
@needs("sock")
async def test_many_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """Operations that wait on many sockets get each what its own peer sends, though these answer in reverse order."""
    count = 40
    with contextlib.ExitStack() as stack:
        ends: list[Any] = [
            stack.enter_context(plugged("unix", [hold(), send(b"%d" % number), hold()])) for number in range(count)
        ]
        tasks = [asyncio.ensure_future(loop.sock_recv(ours, 10)) for ours, _ in ends]
        await polls(2)
        for (_, peer), task in reversed(list(zip(ends, tasks, strict=True))):
            peer.release()
            await ended(task)
        assert [task.result() for task in tasks] == [b"%d" % number for number in range(count)]


@requires("SOCK-COMMON-08")
@needs("sock")
async def test_question_and_answer(loop: asyncio.AbstractEventLoop) -> None:
    """A socket on which operations come and go, some at once and some after a wait, stays in step."""
    rounds = 200
    with plugged("unix", [expect(b"ask"), send(b"answer")] * rounds) as (ours, peer):
        for _ in range(rounds):
            receiver = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await loop.sock_sendall(ours, b"ask")
            assert await ended(receiver) == b"answer"
        await verified(peer)


@requires("SOCK-COMMON-08")
@needs("sock", "fdwatch")
async def test_watched_by_the_program_after_an_operation(loop: asyncio.AbstractEventLoop) -> None:
    """An operation that has ended leaves nothing: remove_reader() finds none, and add_reader() works."""
    with plugged("unix", [hold(), send(b"one"), hold(), send(b"two"), hold()]) as (ours, peer):
        task = await waiting(loop.sock_recv(ours, 10))
        peer.release()
        assert await ended(task) == b"one"
        assert not loop.remove_reader(ours.fileno())
        await cancelled(await waiting(loop.sock_recv(ours, 10)))
        assert not loop.remove_reader(ours.fileno())
        seen: list[bytes] = []
        loop.add_reader(ours.fileno(), lambda: seen.append(ours.recv(10)))
        peer.release()
        while not seen:
            await polls(1)
        assert seen == [b"two"]
        loop.remove_reader(ours.fileno())
