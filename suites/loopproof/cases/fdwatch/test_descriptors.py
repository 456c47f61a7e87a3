"""What watching does to a descriptor and its open file, what errors do to the watch, and callbacks that are let go."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import opened
from loopproof.authoring.watching import SIDES, add, remove


@requires("FD-ADD_READER-15")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_the_mode_of_the_descriptor(loop: Any, side: str, kind: str, blocking: bool) -> None:
    """A descriptor that blocks does so while it is watched and afterwards, and one that does not does not."""
    with opened(kind) as ends:
        ours = ends[SIDES.index(side)]
        os.set_blocking(ours, blocking)
        add(loop, side)(ours, list)
        added = os.get_blocking(ours)
        await polls(2)
        watched = os.get_blocking(ours)
        remove(loop, side)(ours)
        removed = os.get_blocking(ours)
    assert added is blocking, f"add_{side}() changed the mode"
    assert watched is blocking, "the mode was changed while the descriptor was watched"
    assert removed is blocking, f"remove_{side}() changed the mode"


@contextlib.contextmanager
def refused() -> Iterator[tuple[socket.socket, socket.socket, Any]]:
    """Two sockets for datagrams, ours connected to the address of theirs, which is not bound yet."""
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        ours.setblocking(False)
        ours.connect(address)
        yield ours, theirs, address


@requires("FD-ADD_READER-16")
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("both", [False, True])
async def test_an_error_that_is_read(loop: Any, times: int, both: bool) -> None:
    """When the callback has read an error of the descriptor, that is watched on, and later data make it run."""
    seen: list[Any] = []
    with refused() as (ours, theirs, address):

        def look() -> None:
            try:
                seen.append(ours.recv(100))
            except OSError as error:
                seen.append(type(error))

        loop.add_reader(ours.fileno(), look)
        if both:
            loop.add_writer(ours.fileno(), list)
        for turn in range(times):
            ours.send(b"to nobody")
            await until(lambda: seen.count(ConnectionRefusedError) > turn, "the error")  # noqa: B023
            await polls(2)
        theirs.bind(address)
        theirs.sendto(b"data", ours.getsockname())
        await until(lambda: b"data" in seen, "the data behind the error")
        loop.remove_reader(ours.fileno())
        loop.remove_writer(ours.fileno())


@requires("FD-ADD_READER-16", "FD-REMOVE_READER-03")
@pytest.mark.parametrize("first", SIDES)
async def test_removed_and_closed_in_an_error(loop: Any, first: str) -> None:
    """Of a reader and a writer that an error makes due the first removes both and closes; the other does not run."""
    seen: list[str] = []
    with refused() as (ours, _, __):
        number = ours.fileno()

        def give_up(side: str) -> None:
            seen.append(side)
            loop.remove_reader(number)
            loop.remove_writer(number)
            ours.close()

        ours.send(b"to nobody")
        for side in sorted(SIDES, key=lambda side: side != first):
            add(loop, side)(number, give_up, side)
        await until(lambda: seen, "a callback")
        await polls(3)
        assert len(seen) == 1, f"both ran: {seen}"
        assert not loop.remove_reader(number)
        assert not loop.remove_writer(number)


class Meddler:
    """An argument whose finalizer adds and removes a watch."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self.meddle = meddle

    def __del__(self) -> None:
        self.meddle()


@requires("FD-REMOVE_READER-06")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["replaced", "removed"])
@pytest.mark.parametrize("what", ["adds", "removes"])
async def test_a_finalizer_that_watches(loop: Any, side: str, how: str, what: str) -> None:
    """Where the finalizer of an argument adds or removes a watch of the descriptor, one watch or none is left."""
    seen: list[str] = []
    with opened("socket") as (ours, theirs):

        def meddle() -> None:
            if what == "adds":
                add(loop, side)(ours, seen.append, "finalizer")
            else:
                remove(loop, side)(ours)

        add(loop, side)(ours, list, [Meddler(meddle)])
        if how == "replaced":
            add(loop, side)(ours, seen.append, "replacement")
        else:
            remove(loop, side)(ours)
        os.write(theirs, b"x")
        await polls(5)
        assert len(set(seen)) <= 1, f"several callbacks run: {set(seen)}"
        if how == "removed" and what == "adds":
            assert seen, "the watch that the finalizer has added is lost"
        remove(loop, side)(ours)
        seen.clear()
        add(loop, side)(ours, seen.append, "last")
        await until(lambda: seen, "the callback that was added last")
        remove(loop, side)(ours)
        seen.clear()
        await polls(3)
        assert not seen
