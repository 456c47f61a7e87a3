"""close gives back what the loop opened, and leaves alone what is the user's."""

import asyncio
import gc
import os
import socket
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


def descriptors() -> dict[int, str]:
    """Return the open descriptors of this process and what they are open on."""
    found = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):  # the one that iterdir() used
            found[int(entry.name)] = str(entry.readlink())
    return found


def opened_since(before: dict[int, str]) -> dict[int, str]:
    """Return the descriptors that are open now and were not ``before``, or not on the same thing."""
    return {number: target for number, target in descriptors().items() if before.get(number) != target}


def warm_up(factory: Factory) -> None:
    """Make, run and close one loop, so that what a loop opens once for the process is open."""
    loop = factory()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


def never_run(loop: asyncio.AbstractEventLoop) -> None:
    """Do nothing with the loop."""


def run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a task, a timer and a wake-up from a thread."""
    loop.run_until_complete(asyncio.sleep(0.001))
    with loop_in_thread(loop):
        pass


def interrupted(loop: asyncio.AbstractEventLoop) -> None:
    """Leave a run by an exception; a loop that swallows it is stopped."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    loop.call_later(0.01, loop.stop)
    with suppress(KeyboardInterrupt):
        loop.run_forever()


def with_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    """Leave callbacks and timers behind."""
    for _ in range(10):
        loop.call_soon(print)
        loop.call_later(3600, print)
        loop.call_soon_threadsafe(print)


def with_executor(loop: asyncio.AbstractEventLoop) -> None:
    """Use the default executor."""
    loop.run_until_complete(loop.run_in_executor(None, threading.get_ident))


USES: dict[str, Callable[[asyncio.AbstractEventLoop], None]] = {
    "never run": never_run,
    "run": run,
    "interrupted": interrupted,
    "with callbacks": with_callbacks,
    "with executor": with_executor,
}


@requires("LIFE-CLOSE-10", "GC-RESOURCE-04")
@pytest.mark.parametrize("use", ["never run", "run", "interrupted", "with callbacks", "with executor"])
def test_close_releases_every_descriptor(loop_factory: Factory, use: str) -> None:
    """After close() the process has the descriptors open that it had before the loop was made, whatever it did."""
    warm_up(loop_factory)
    before = descriptors()
    loops = [loop_factory() for _ in range(3)]
    for loop in loops:
        USES[use](loop)
    for loop in loops:
        loop.close()
    left = opened_since(before)
    assert left == {}, f"three loops were opened and closed, these descriptors are left: {left}"


@requires("LIFE-CLOSE-10")
def test_close_in_another_thread_releases_every_descriptor(loop_factory: Factory) -> None:
    """A loop closed by another thread than the one that made and ran it leaves no descriptor open."""
    warm_up(loop_factory)
    before = descriptors()
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0))
    with Background(loop.close):
        pass
    assert opened_since(before) == {}


@requires("LIFE-CLOSE-10", "LIFE-CLOSE-02")
def test_a_second_close_does_not_close_descriptors_of_others(loop_factory: Factory) -> None:
    """close() of a closed loop does not touch descriptor numbers that were given to somebody else meanwhile."""
    warm_up(loop_factory)
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with ExitStack() as stack:
        pairs = [[stack.enter_context(end) for end in socket.socketpair()] for _ in range(10)]
        numbers = {end.fileno() for pair in pairs for end in pair}  # and not what close() should have closed before
        mine = {number: target for number, target in descriptors().items() if number in numbers}
        loop.close()
        del loop
        gc.collect()
        left = descriptors()
        gone = {number: target for number, target in mine.items() if left.get(number) != target}
        assert gone == {}, f"a second close() closed descriptors that are not the loop's: {gone}"
        for number, (here, there) in enumerate(pairs):
            there.send(bytes([number]))
            assert here.recv(10) == bytes([number])


@requires("LIFE-CLOSE-13")
@needs("fdwatch")
@pytest.mark.parametrize("direction", ["reader", "writer", "both"])
def test_watched_sockets_stay_open_and_usable(new_loop: Factory, direction: str) -> None:
    """Sockets whose descriptors are watched at close() stay open, work, and can be watched by another loop."""
    loop, other = new_loop(), new_loop()
    received: list[bytes] = []
    here, there = socket.socketpair()
    with here, there:
        if direction in ("reader", "both"):
            loop.add_reader(here.fileno(), print)
        if direction in ("writer", "both"):
            loop.add_writer(here.fileno(), len, "")
        loop.stop()
        loop.run_forever()
        loop.close()
        here.send(b"out")
        assert there.recv(10) == b"out"
        there.send(b"in")

        def read() -> None:
            received.append(here.recv(10))
            other.stop()

        other.add_reader(here.fileno(), read)
        other.run_forever()
        other.remove_reader(here.fileno())
    assert received == [b"in"]


@requires("LIFE-CLOSE-13")
@needs("fdwatch")
def test_watched_pipes_stay_open(new_loop: Factory) -> None:
    """Plain descriptors, as of a pipe, that are watched at close() stay open."""
    loop = new_loop()
    read, write = os.pipe()
    try:
        loop.add_reader(read, print)
        loop.add_writer(write, print)
        loop.close()
        assert os.write(write, b"x") == 1
        assert os.read(read, 10) == b"x"
    finally:
        os.close(read)
        os.close(write)


@requires("LIFE-CLOSE-10", "GC-RESOURCE-04")
def test_fifty_loops_one_after_another_use_no_more_descriptors(loop_factory: Factory) -> None:
    """Making, running and closing a loop fifty times over leaves the number of open descriptors as it was."""
    warm_up(loop_factory)
    before = descriptors()
    for _ in range(50):
        warm_up(loop_factory)
    left = opened_since(before)
    assert left == {}, f"{len(left)} descriptors are left over from fifty loops"


@requires("GC-RESOURCE-04")
@pytest.mark.parametrize("ran", [False, True])
def test_a_closed_loop_is_collected_in_silence(loop_factory: Factory, ran: bool) -> None:
    """A closed loop that nobody refers to is collected, without a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = loop_factory()
        if ran:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        gone = weakref.ref(loop)
        del loop
        gc.collect()
    assert gone() is None, "something keeps the closed loop alive"
    assert [str(warning.message) for warning in caught] == []


def collect_unclosed(factory: Factory, ran: bool) -> list[type[Warning]]:
    """Let a loop be collected without close(); return the kinds of warnings issued, save those about its sockets."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = factory()
        if ran:
            loop.run_until_complete(asyncio.sleep(0))
        del loop
        gc.collect()
    return [warning.category for warning in caught if "socket.socket" not in str(warning.message)]


@requires("GC-RESOURCE-01")
@pytest.mark.parametrize("ran", [False, True])
def test_a_loop_that_was_not_closed_warns(loop_factory: Factory, ran: bool) -> None:
    """A loop collected without close() issues a ResourceWarning."""
    assert ResourceWarning in collect_unclosed(loop_factory, ran)


@requires("GC-RESOURCE-01")
@pytest.mark.parametrize("ran", [False, True])
def test_a_loop_that_was_not_closed_is_released(loop_factory: Factory, ran: bool) -> None:
    """A loop collected without close() releases its descriptors all the same."""
    warm_up(loop_factory)
    before = descriptors()
    collect_unclosed(loop_factory, ran)
    left = opened_since(before)
    assert left == {}, f"the collected loop left these descriptors open: {left}"
