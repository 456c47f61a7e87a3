"""add_reader(): when its callback runs, with what, and how often."""

import asyncio
import contextvars
import os
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import KINDS, drained, opened
from loopproof.authoring.sockets import playing
from loopproof.faultkit import accept, reset


@requires("FD-ADD_READER-01", "FD-ADD_READER-09")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_data_make_the_callback_run(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """The callback runs when data come, again when more come, and not in between."""
    seen: list[bytes] = []
    with opened(kind) as (reading, writing):
        loop.add_reader(reading, lambda: seen.append(os.read(reading, 100)))
        await polls(3)
        assert not seen, "the callback ran without data"
        for number in range(5):
            os.write(writing, b"%d" % number)
            await until(lambda: len(seen) > number, "the callback")  # noqa: B023
            await polls(2)
            assert seen == [b"%d" % n for n in range(number + 1)]
        loop.remove_reader(reading)


@requires("FD-ADD_READER-04")
async def test_what_is_returned(loop: Any) -> None:
    """add_reader() and add_writer() return None."""
    with opened("socket") as (ours, _):
        assert loop.add_reader(ours, list) is None
        assert loop.add_writer(ours, list) is None
        loop.remove_reader(ours)
        loop.remove_writer(ours)


@requires("FD-ADD_READER-01")
async def test_the_arguments(loop: asyncio.AbstractEventLoop) -> None:
    """The callback gets the arguments, the same objects, and nothing else."""
    seen: list[tuple[Any, ...]] = []
    given = object()

    def look(*arguments: Any) -> None:
        seen.append(arguments)
        loop.remove_reader(reading)

    with opened() as (reading, writing):
        os.write(writing, b"x")
        for arguments in ((), (given,), (given, None, "text", (1, 2))):
            loop.add_reader(reading, look, *arguments)
            await until(lambda: seen, "the callback")
            assert seen == [arguments]
            assert all(one is other for one, other in zip(seen.pop(), arguments, strict=True))


@requires("FD-ADD_READER-07")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_data_that_are_left(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """A callback that leaves data unread runs again, until all are read."""
    seen: list[bytes] = []
    with opened(kind) as (reading, writing):
        os.write(writing, b"abcdef")
        loop.add_reader(reading, lambda: seen.append(os.read(reading, 1)))
        await until(lambda: len(seen) == 6, "six calls")
        await polls(3)
        assert b"".join(seen) == b"abcdef"
        loop.remove_reader(reading)


@requires("FD-ADD_READER-07")
async def test_data_that_nobody_reads(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that reads nothing runs at most once an iteration, and all else runs on."""
    iterations: list[int] = [0]
    calls: list[int] = []

    def tick() -> None:
        iterations[0] += 1
        if iterations[0] < 50:
            loop.call_soon(tick)

    with opened() as (reading, writing):
        os.write(writing, b"x")
        loop.add_reader(reading, lambda: calls.append(iterations[0]))
        loop.call_soon(tick)
        loop.call_later(0.001, calls.append, -1)
        await until(lambda: iterations[0] == 50 and -1 in calls, "50 iterations and a timer")
        loop.remove_reader(reading)
    early = [call for call in calls if 0 <= call < 50]
    assert len(early) == len(set(early)), "the callback ran twice in one iteration"
    assert len(early) > 20, f"the callback ran {len(early)} times in 50 iterations"


@requires("FD-ADD_READER-01")
def test_added_before_the_loop_runs(loop: asyncio.AbstractEventLoop) -> None:
    """What is added while the loop does not run is watched in each run after it."""
    seen: list[bytes] = []
    with opened() as (reading, writing):
        loop.add_reader(reading, lambda: seen.append(os.read(reading, 100)))
        for word in (b"one", b"two"):
            os.write(writing, word)
            loop.run_until_complete(polls(3))
        loop.remove_reader(reading)
    assert seen == [b"one", b"two"]


@requires("FD-ADD_READER-02")
@pytest.mark.parametrize("ready", [False, True])
async def test_a_second_callback(loop: asyncio.AbstractEventLoop, ready: bool) -> None:
    """A second add_reader() replaces the callback: the first one does not run any more."""
    seen: list[str] = []
    with opened() as (reading, writing):
        if ready:
            os.write(writing, b"x")
        loop.add_reader(reading, seen.append, "first")
        loop.add_reader(reading, seen.append, "second")
        if not ready:
            os.write(writing, b"x")
        await until(lambda: len(seen) > 2, "three calls")
        assert set(seen) == {"second"}
        loop.remove_reader(reading)
        seen.clear()
        await polls(3)
        assert not seen


@requires("FD-ADD_READER-02")
async def test_a_callback_that_replaces_itself(loop: asyncio.AbstractEventLoop) -> None:
    """A callback may put another in its place."""
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        loop.add_reader(reading, seen.append, "second")

    with opened() as (reading, writing):
        os.write(writing, b"x")
        loop.add_reader(reading, first)
        await until(lambda: len(seen) > 3, "four calls")
        assert seen[:4] == ["first", "second", "second", "second"]
        loop.remove_reader(reading)


@requires("FD-ADD_READER-02")
async def test_a_callback_that_is_replaced_when_it_is_due(loop: asyncio.AbstractEventLoop) -> None:
    """Of two descriptors that are ready at once, the first callback replaces the other one's, which does not run."""
    seen: list[str] = []
    with opened() as (one, write_one), opened() as (other, write_other):

        def first(ours: int, theirs: int) -> None:
            seen.append("first")
            loop.remove_reader(ours)
            loop.add_reader(theirs, second)

        def second() -> None:
            seen.append("second")
            loop.remove_reader(one)
            loop.remove_reader(other)

        os.write(write_one, b"x")
        os.write(write_other, b"x")
        loop.add_reader(one, first, one, other)
        loop.add_reader(other, first, other, one)
        await until(lambda: "second" in seen, "the call of the new callback")
        await polls(3)
        assert seen == ["first", "second"], "a callback ran that had been replaced"


@requires("FD-ADD_READER-08")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
async def test_the_end_of_the_stream(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """The end of the stream makes the callback run."""
    seen: list[bytes] = []
    with opened(kind) as (reading, writing):
        loop.add_reader(reading, lambda: seen.append(os.read(reading, 100)))
        await polls(2)
        os.close(writing)
        await until(lambda: seen, "the callback")
        assert seen[0] == b""
        loop.remove_reader(reading)


@requires("FD-ADD_READER-08")
async def test_a_reset(loop: asyncio.AbstractEventLoop) -> None:
    """An error of the descriptor makes the callback run."""
    seen: list[int] = []
    with playing([accept(), reset()], listen="tcp") as peer, socket.create_connection(peer.address) as ours:
        ours.setblocking(False)

        def look() -> None:
            seen.append(ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            loop.remove_reader(ours.fileno())

        loop.add_reader(ours.fileno(), look)
        await until(lambda: seen, "the callback")


@requires("FD-ADD_READER-01", "FD-ADD_READER-09")
async def test_a_listening_socket(loop: asyncio.AbstractEventLoop) -> None:
    """A connection that waits for accept() makes the callback run."""
    seen: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        loop.add_reader(listener.fileno(), lambda: seen.append(listener.accept()[0]))
        with socket.create_connection(listener.getsockname()):
            await until(lambda: seen, "the callback")
        loop.remove_reader(listener.fileno())
        seen[0].close()


@requires("FD-ADD_READER-01")
async def test_many(loop: asyncio.AbstractEventLoop) -> None:
    """Of many watched descriptors exactly those that are ready have their callbacks run, each with its own."""
    seen: list[int] = []
    pairs = [socket.socketpair() for _ in range(150)]

    def look(number: int) -> None:
        seen.append(number)
        pairs[number][0].recv(10)

    try:
        for number, (ours, _) in enumerate(pairs):
            loop.add_reader(ours.fileno(), look, number)
        await polls(2)
        assert not seen
        for number in range(149, -1, -7):
            pairs[number][1].send(b"x")
        await until(lambda: len(seen) >= 22, "22 calls")
        await polls(3)
        assert sorted(seen) == sorted(range(149, -1, -7))
    finally:
        for ours, theirs in pairs:
            loop.remove_reader(ours.fileno())
            ours.close()
            theirs.close()


@requires("FD-ADD_READER-13")
async def test_the_context(loop: asyncio.AbstractEventLoop) -> None:
    """The callback runs in a copy of the context that add_reader() was called in."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def look() -> None:
        seen.append(variable.get())
        os.read(reading, 100)

    with opened() as (reading, writing):
        variable.set("when added")
        loop.add_reader(reading, look)
        variable.set("later")
        os.write(writing, b"x")
        await until(lambda: seen, "the callback")
        loop.remove_reader(reading)
    assert seen == ["when added"]


@requires("FD-ADD_READER-01")
async def test_added_in_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    """A callback may add others: what is ready already has its callback run in time."""
    seen: list[str] = []

    def first() -> None:
        drained(one)
        seen.append("first")
        loop.add_reader(other, second)

    def second() -> None:
        drained(other)
        seen.append("second")

    with opened() as (one, write_one), opened() as (other, write_other):
        os.write(write_one, b"x")
        os.write(write_other, b"x")
        loop.add_reader(one, first)
        await until(lambda: len(seen) == 2, "both callbacks")
        assert seen == ["first", "second"]
        loop.remove_reader(one)
        loop.remove_reader(other)


@requires("FD-ADD_READER-01")
@needs("linux")
async def test_two_numbers_of_one_file(loop: asyncio.AbstractEventLoop) -> None:
    """Two descriptors of the same open file are watched each for itself."""
    seen: list[str] = []
    with opened() as (reading, writing):
        again = os.dup(reading)
        try:
            loop.add_reader(reading, seen.append, "one")
            loop.add_reader(again, seen.append, "other")
            os.write(writing, b"x")
            await until(lambda: len(set(seen)) == 2, "both callbacks")
            loop.remove_reader(reading)
            await polls(1)
            seen.clear()
            await until(lambda: seen, "the callback that was left in place")
            assert set(seen) == {"other"}
            loop.remove_reader(again)
        finally:
            os.close(again)
