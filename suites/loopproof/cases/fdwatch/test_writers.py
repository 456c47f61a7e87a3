"""add_writer(): when its callback runs, and that a reader and a writer of one descriptor go their own ways."""

import asyncio
import os
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import KINDS, drained, fill, opened


@requires("FD-ADD_WRITER-01", "FD-ADD_READER-09", "FD-ADD_WRITER-04")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_room_makes_the_callback_run(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """The callback runs for as long as there is room, with its arguments, and all else runs on."""
    seen: list[tuple[Any, ...]] = []
    with opened(kind) as (_, writing):
        loop.add_writer(writing, lambda *given: seen.append(given), 1, "two")
        await until(lambda: len(seen) >= 3, "three calls")
        assert set(seen) == {(1, "two")}
        loop.remove_writer(writing)


@requires("FD-ADD_WRITER-01")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
async def test_no_room(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """While there is no room the callback does not run, and then it does."""
    seen: list[int] = []
    with opened(kind) as (reading, writing):
        fill(writing)
        loop.add_writer(writing, seen.append, 1)
        await polls(5)
        assert not seen, "the callback ran though there is no room"
        drained(reading)
        await until(lambda: seen, "the callback")
        loop.remove_writer(writing)


@requires("FD-ADD_WRITER-05")
@pytest.mark.parametrize("full", [False, True])
async def test_the_reading_end_is_closed(loop: asyncio.AbstractEventLoop, full: bool) -> None:
    """The end of the reader makes the callback run, also where there was no room."""
    seen: list[int] = []
    with opened() as (reading, writing):
        if full:
            fill(writing)
            loop.add_writer(writing, seen.append, 1)
            await polls(2)
        os.close(reading)
        if not full:
            loop.add_writer(writing, seen.append, 1)
        await until(lambda: seen, "the callback")
        loop.remove_writer(writing)


@requires("FD-ADD_WRITER-02")
async def test_a_second_callback(loop: asyncio.AbstractEventLoop) -> None:
    """A second add_writer() replaces the callback: the first one does not run any more."""
    seen: list[str] = []
    with opened() as (_, writing):
        loop.add_writer(writing, seen.append, "first")
        loop.add_writer(writing, seen.append, "second")
        await until(lambda: len(seen) > 2, "three calls")
        assert set(seen) == {"second"}
        loop.add_writer(writing, seen.append, "third")
        seen.clear()
        await until(lambda: len(seen) > 2, "three calls")
        assert set(seen) == {"third"}
        loop.remove_writer(writing)


@requires("FD-ADD_WRITER-03")
async def test_both_on_one_descriptor(loop: asyncio.AbstractEventLoop) -> None:
    """A reader and a writer of one descriptor both run, each for its own reason."""
    seen: list[str] = []
    with opened("socket") as (ours, theirs):
        loop.add_reader(ours, lambda: seen.append(f"read {os.read(ours, 10)!r}"))
        loop.add_writer(ours, seen.append, "write")
        await until(lambda: len(seen) > 2, "three calls")
        assert set(seen) == {"write"}
        os.write(theirs, b"x")
        await until(lambda: "read b'x'" in seen, "the reader's callback")
        loop.remove_writer(ours)
        loop.remove_reader(ours)


@requires("FD-ADD_WRITER-03", "FD-REMOVE_READER-01", "FD-REMOVE_WRITER-01")
@pytest.mark.parametrize("goes", ["reader", "writer"])
@pytest.mark.parametrize("first", ["reader", "writer"])
async def test_one_of_both_is_removed(loop: asyncio.AbstractEventLoop, goes: str, first: str) -> None:
    """When the reader is removed the writer stays, and the other way round; removing twice finds nothing."""
    seen: list[str] = []
    stays = "writer" if goes == "reader" else "reader"
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        for name in (first, "writer" if first == "reader" else "reader"):
            getattr(loop, f"add_{name}")(ours, seen.append, name)
        await until(lambda: len(set(seen)) == 2, "both callbacks")
        found = [getattr(loop, f"remove_{goes}")(ours), getattr(loop, f"remove_{goes}")(ours)]
        seen.clear()
        await until(lambda: len(seen) > 2, f"three calls of the {stays}'s callback")
        left = set(seen)
        found += [getattr(loop, f"remove_{stays}")(ours), getattr(loop, f"remove_{stays}")(ours)]
        seen.clear()
        await polls(3)
    assert left == {stays}
    assert not seen
    assert found == [True, False, True, False], "what the removals returned"


@requires("FD-ADD_WRITER-03", "FD-ADD_READER-02", "FD-ADD_WRITER-02")
async def test_one_of_both_is_replaced(loop: asyncio.AbstractEventLoop) -> None:
    """Replacing the reader leaves the writer in place, and the other way round."""
    seen: list[str] = []
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        loop.add_reader(ours, seen.append, "reader")
        loop.add_writer(ours, seen.append, "writer")
        loop.add_reader(ours, seen.append, "new reader")
        await until(lambda: len(set(seen)) == 2, "both callbacks")
        assert set(seen) == {"new reader", "writer"}
        loop.add_writer(ours, seen.append, "new writer")
        seen.clear()
        await until(lambda: len(set(seen)) == 2, "both callbacks")
        assert set(seen) == {"new reader", "new writer"}
        loop.remove_reader(ours)
        loop.remove_writer(ours)


@requires("FD-REMOVE_READER-02", "FD-REMOVE_WRITER-02")
async def test_one_callback_removes_the_other(loop: asyncio.AbstractEventLoop) -> None:
    """Of a reader and a writer that are due at once, the first removes the other, which does not run."""
    seen: list[str] = []

    def reader() -> None:
        seen.append("reader")
        loop.remove_writer(ours)

    def writer() -> None:
        seen.append("writer")
        loop.remove_reader(ours)

    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        loop.add_reader(ours, reader)
        loop.add_writer(ours, writer)
        await until(lambda: len(seen) > 2, "three calls")
        assert len(set(seen)) == 1, f"a callback ran after it was removed: {seen}"
        loop.remove_reader(ours)
        loop.remove_writer(ours)


@requires("FD-ADD_WRITER-04")
async def test_a_descriptor_that_is_always_ready(loop: asyncio.AbstractEventLoop) -> None:
    """A writer that is always due keeps neither other descriptors nor timers nor callbacks from their turn."""
    calls: list[int] = []
    seen: list[str] = []
    with opened() as (_, busy), opened() as (reading, writing):
        loop.add_writer(busy, calls.append, 1)
        loop.add_reader(reading, lambda: seen.append(f"read {os.read(reading, 10)!r}"))
        os.write(writing, b"x")
        loop.call_later(0.001, seen.append, "timer")
        loop.call_soon(seen.append, "callback")
        await until(lambda: len(seen) == 3, "the reader, the timer and the callback")
        assert set(seen) == {"read b'x'", "timer", "callback"}
        assert calls
        loop.remove_writer(busy)
        loop.remove_reader(reading)
