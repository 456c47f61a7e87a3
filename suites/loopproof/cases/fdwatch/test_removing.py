"""remove_reader() and remove_writer(): what they return, that nothing runs afterwards, that numbers come back."""

import asyncio
import gc
import os
import weakref

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.descriptors import Squatters
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import opened
from loopproof.authoring.watching import SIDES, add, remove


@requires("FD-REMOVE_READER-01", "FD-REMOVE_WRITER-01")
@pytest.mark.parametrize("side", SIDES)
async def test_what_removal_returns(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """True where something was watched, and False where not, for numbers that are not open as well."""
    with opened("socket") as (ours, _):
        assert remove(loop, side)(ours) is False
        found = [remove(loop, side)(ours)]
        add(loop, side)(ours, list)
        add(loop, side)(ours, int)
        found += [remove(loop, side)(ours), remove(loop, side)(ours)]
    found.append(remove(loop, side)(ours))
    assert found == [False, True, False, False], "what the removals returned"


@requires("FD-REMOVE_READER-02", "FD-REMOVE_WRITER-02")
@pytest.mark.parametrize("side", SIDES)
async def test_nothing_runs_after_removal(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """After the removal the callback does not run, though the descriptor is ready."""
    seen: list[int] = []
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        add(loop, side)(ours, seen.append, 1)
        await until(lambda: seen, "the callback")
        remove(loop, side)(ours)
        seen.clear()
        await polls(3)
        assert not seen


@requires("FD-REMOVE_READER-02", "FD-REMOVE_WRITER-02")
@pytest.mark.parametrize("side", SIDES)
async def test_removed_before_the_first_poll(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """What is added and removed again at once never runs."""
    seen: list[int] = []
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        for _ in range(3):
            add(loop, side)(ours, seen.append, 1)
            remove(loop, side)(ours)
            await polls(2)
        assert not seen


@requires("FD-REMOVE_READER-02", "FD-REMOVE_WRITER-02")
@pytest.mark.parametrize("side", SIDES)
async def test_removed_when_it_is_due(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """Of descriptors that are ready at once the first callback removes the others, and none of these runs."""
    seen: list[int] = []
    with opened("socket") as (a, to_a), opened("socket") as (b, to_b), opened("socket") as (c, to_c):

        def first(number: int) -> None:
            seen.append(number)
            for other in (a, b, c):
                remove(loop, side)(other)

        for theirs in (to_a, to_b, to_c):
            os.write(theirs, b"x")
        for ours in (a, b, c):
            add(loop, side)(ours, first, ours)
        await until(lambda: seen, "the callback")
        await polls(3)
        assert len(seen) == 1, "a callback ran after it was removed"


@requires("FD-REMOVE_READER-02", "FD-REMOVE_WRITER-02")
@pytest.mark.parametrize("side", SIDES)
async def test_closed_when_it_is_due(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A callback removes and closes another descriptor that is ready as well; its new owner is not touched."""
    seen: list[int] = []
    with opened("socket") as (a, to_a), opened("socket") as (b, to_b), Squatters() as squatters:

        def first(ours: int, other: int) -> None:
            seen.append(ours)
            remove(loop, side)(ours)
            remove(loop, side)(other)
            os.close(other)
            squatters.occupy(other)

        os.write(to_a, b"x")
        os.write(to_b, b"x")
        add(loop, side)(a, first, a, b)
        add(loop, side)(b, first, b, a)
        await until(lambda: seen, "the callback")
        await polls(3)
        assert len(seen) == 1, "a callback ran after it was removed"


@requires("FD-REMOVE_READER-03")
@pytest.mark.parametrize("side", SIDES)
async def test_a_callback_that_removes_itself(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A callback may remove itself, and be added again."""
    seen: list[int] = []

    def once() -> None:
        remove(loop, side)(ours)
        seen.append(1)

    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        for times in range(1, 4):
            add(loop, side)(ours, once)
            await until(lambda: len(seen) == times, "the callback")  # noqa: B023
            await polls(3)
            assert len(seen) == times


@requires("FD-REMOVE_READER-03")
@pytest.mark.parametrize("side", SIDES)
async def test_a_callback_that_removes_and_adds_itself(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A callback that removes itself and adds itself again in one go is watched on."""
    seen: list[int] = []

    def again() -> None:
        seen.append(1)
        remove(loop, side)(ours)
        if len(seen) < 5:
            add(loop, side)(ours, again)

    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        add(loop, side)(ours, again)
        await until(lambda: len(seen) == 5, "five calls")
        await polls(3)
        assert len(seen) == 5


@requires("FD-REMOVE_WRITER-03")
@pytest.mark.parametrize("side", SIDES)
async def test_the_number_is_used_again(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """After removal and close another descriptor of the same number is watched: its own callback runs, and no other."""
    seen: list[int] = []
    numbers: set[int] = set()
    for turn in range(5):
        with opened("socket") as (ours, theirs):
            numbers.add(ours)
            os.write(theirs, b"x")
            add(loop, side)(ours, seen.append, turn)
            await until(lambda: turn in seen, "the callback")  # noqa: B023
            remove(loop, side)(ours)
        seen.clear()
    assert len(numbers) == 1, "the kernel gave other numbers"


@requires("FD-REMOVE_WRITER-03")
@pytest.mark.parametrize("side", SIDES)
async def test_the_number_is_used_again_at_once(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """Removal, close, a new descriptor of the same number and its watch, all in one callback: nothing is mixed up."""
    seen: list[str] = []
    with opened("socket") as (old, to_old):
        os.write(to_old, b"x")
        add(loop, side)(old, seen.append, "old")
        await until(lambda: seen, "the callback")
        remove(loop, side)(old)
        os.close(old)
        with opened("socket") as (ours, theirs):
            assert ours == old, "the kernel gave another number"
            seen.clear()
            add(loop, side)(ours, seen.append, "new")
            os.write(theirs, b"x")
            await until(lambda: seen, "the callback")
            assert set(seen) == {"new"}
            remove(loop, side)(ours)


@requires("FD-REMOVE_READER-04")
@pytest.mark.parametrize("side", SIDES)
async def test_removed_after_it_was_closed(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A descriptor that was closed first can still be removed, and then its number can be watched again."""
    seen: list[str] = []
    with opened("socket") as (old, _):
        add(loop, side)(old, seen.append, "old")
        await polls(2)
        os.close(old)
        await polls(2)
        remove(loop, side)(old)
        seen.clear()
        with opened("socket") as (ours, theirs):
            assert ours == old, "the kernel gave another number"
            os.write(theirs, b"x")
            add(loop, side)(ours, seen.append, "new")
            await until(lambda: seen, "the callback")
            assert set(seen) == {"new"}
            remove(loop, side)(ours)


@requires("FD-REMOVE_READER-04")
@pytest.mark.parametrize("side", SIDES)
async def test_closed_before_the_first_poll(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A descriptor that is closed before the loop has polled it does no harm, and can still be removed."""
    with opened("socket") as (ours, _):
        add(loop, side)(ours, list)
        os.close(ours)
        await polls(3)
        remove(loop, side)(ours)


class Owner:
    """Something that can be referred to weakly."""

    def call(self, *_: object) -> None:
        """Do nothing."""


@requires("FD-REMOVE_READER-05")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("what", ["callback", "argument"])
async def test_what_is_let_go_of(loop: asyncio.AbstractEventLoop, side: str, how: str, what: str) -> None:
    """Once removed or replaced, nothing refers to the callback and its arguments."""
    owner = Owner()
    alive = weakref.ref(owner)
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        if what == "callback":
            add(loop, side)(ours, owner.call)
        else:
            add(loop, side)(ours, list, (owner,))
        await polls(2)
        if how == "removed":
            remove(loop, side)(ours)
        else:
            add(loop, side)(ours, list)
        del owner
        await polls(2)
        gc.collect()
        assert alive() is None, f"the {what} is still referred to"
        remove(loop, side)(ours)
