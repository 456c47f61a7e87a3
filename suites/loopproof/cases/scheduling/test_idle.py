"""Idling: the loop blocks when it has nothing to do, costs nothing then, and does not block when it has."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from loopproof.authoring import needs, requires
from loopproof.authoring.idling import idle

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("SCHED-FAIRNESS-04")
def test_a_poll_with_callbacks_queued_does_not_block(new_loop: Factory) -> None:
    """A chain of callbacks runs to its end although no event ever comes, and long before the only timer."""
    loop = new_loop()
    order: list[str] = []

    def step(left: int) -> None:
        if left:
            loop.call_soon(step, left - 1)
        else:
            order.append("chain")
            loop.stop()

    guard = loop.call_later(3600, order.append, "timer")
    loop.call_soon(step, 200)
    loop.run_forever()
    guard.cancel()
    assert order == ["chain"]


@requires("SCHED-FAIRNESS-04")
@needs("fdwatch")
def test_a_poll_with_callbacks_queued_by_io_does_not_block(new_loop: Factory) -> None:
    """What a reader queues runs without a further event."""
    loop = new_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)

        def read() -> None:
            near.recv(1)
            loop.call_soon(loop.call_soon, loop.stop)

        loop.add_reader(near.fileno(), read)
        loop.call_soon(far.send, b"x")
        loop.run_forever()
        loop.remove_reader(near.fileno())


@requires("SCHED-FAIRNESS-04")
def test_a_poll_with_callbacks_queued_by_a_timer_does_not_block(new_loop: Factory) -> None:
    """What a timer queues runs without a further event."""
    loop = new_loop()
    loop.call_later(0.001, loop.call_soon, loop.call_soon, loop.stop)
    loop.run_forever()


@requires("SCHED-FAIRNESS-05")
@pytest.mark.parametrize("kind", ["nothing", "far timer", "cancelled timer", "cancelled callbacks", "after work"])
def test_an_idle_loop_uses_no_processor_time(new_loop: Factory, kind: str) -> None:
    """Waiting for an event that is far away costs next to no processor time."""
    loop = new_loop()
    if kind == "far timer":
        loop.call_later(3600, int)
    elif kind == "cancelled timer":
        loop.call_later(0.001, int).cancel()
    elif kind == "cancelled callbacks":
        for _ in range(50):
            loop.call_soon(int).cancel()
    elif kind == "after work":
        loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(idle())


@requires("SCHED-FAIRNESS-05")
@needs("fdwatch")
def test_an_idle_loop_that_watches_descriptors_uses_no_processor_time(new_loop: Factory) -> None:
    """Watched descriptors that are not ready cost nothing, nor does one whose data was read."""
    loop = new_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        loop.add_reader(near.fileno(), near.recv, 10)
        far.send(b"x")
        loop.run_until_complete(idle())
        loop.remove_reader(near.fileno())


@requires("SCHED-FAIRNESS-05")
@needs("fdwatch")
def test_a_removed_watch_does_not_keep_the_loop_busy(new_loop: Factory) -> None:
    """A descriptor that is ready but no longer watched costs nothing."""
    loop = new_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        loop.add_writer(near.fileno(), lambda: loop.remove_writer(near.fileno()))
        far.send(b"x")
        loop.add_reader(near.fileno(), lambda: loop.remove_reader(near.fileno()))
        loop.run_until_complete(idle())


@requires("SCHED-FAIRNESS-05")
def test_an_idle_loop_uses_no_processor_time_after_a_wake_up(new_loop: Factory) -> None:
    """Wake-ups by another thread are consumed: the loop goes back to sleep after them."""
    loop = new_loop()
    for _ in range(10):
        loop.call_soon_threadsafe(int)
    loop.run_until_complete(idle())


@requires("SCHED-FAIRNESS-05", "FD-REMOVE_READER-07")
@needs("fdwatch")
def test_a_removed_watch_of_a_file_that_stays_open_costs_nothing(new_loop: Factory) -> None:
    """Removed and closed, a descriptor whose open file is ready, and open by another number, costs nothing."""
    loop = new_loop()
    near, far = socket.socketpair()
    again = near.dup()
    with near, far, again:
        seen: list[int] = []
        far.send(b"x")

        def leave() -> None:
            seen.append(near.fileno())
            loop.remove_reader(near.fileno())
            near.close()
            loop.stop()

        loop.add_reader(near.fileno(), leave)
        loop.run_forever()
        loop.run_until_complete(idle())
        assert len(seen) == 1
