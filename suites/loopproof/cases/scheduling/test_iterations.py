"""The iteration: one batch a time, no callback inside another, I/O and timers between batches."""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopproof.authoring import needs, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def readable() -> Iterator[socket.socket]:
    """A socket that has data to read and keeps it as long as nobody reads."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.send(b"x")
        yield near


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Eight pairs of connected sockets, the first of each not blocking."""
    made = [socket.socketpair() for _ in range(8)]
    for near, _ in made:
        near.setblocking(False)
    yield made
    for pair in made:
        for end in pair:
            end.close()


@requires("SCHED-CALL_SOON-06")
async def test_a_callback_queued_by_a_callback_comes_after_the_whole_batch(loop: asyncio.AbstractEventLoop) -> None:
    """What the callbacks of a batch queue runs behind everything that was queued before, in order."""
    order: list[str] = []

    def callback(name: str) -> None:
        order.append(name)
        loop.call_soon(order.append, f"{name} 1")
        loop.call_soon(order.append, f"{name} 2")

    for name in "abc":
        loop.call_soon(callback, name)
    done = loop.create_future()
    loop.call_soon(loop.call_soon, done.set_result, None)
    await done
    assert order == ["a", "b", "c", "a 1", "a 2", "b 1", "b 2", "c 1", "c 2"]


@requires("SCHED-FAIRNESS-08")
@needs("fdwatch")
async def test_each_iteration_polls_once(loop: asyncio.AbstractEventLoop, readable: socket.socket) -> None:
    """With a readable descriptor and a callback that requeues itself, the two alternate."""
    order: list[str] = []
    done = loop.create_future()

    def turn(left: int) -> None:
        order.append("turn")
        if left:
            loop.call_soon(turn, left - 1)
        else:
            done.set_result(None)

    loop.add_reader(readable.fileno(), order.append, "reader")
    loop.call_soon(turn, 50)
    await done
    loop.remove_reader(readable.fileno())
    assert "reader" in order, "50 iterations went by without a poll for I/O"
    order = order[order.index("reader") : 99]
    assert order == [("reader", "turn")[place % 2] for place in range(len(order))], (
        f"not one poll an iteration: {order}"
    )


@requires("SCHED-FAIRNESS-01")
def test_a_batch_ends_although_each_callback_queues_more(new_loop: Factory) -> None:
    """Each of a growing population of callbacks runs once before any runs a second time."""
    loop = new_loop()
    rounds: dict[int, int] = {}
    order: list[int] = []

    def turn(number: int) -> None:
        order.append(number)
        rounds[number] = rounds.get(number, 0) + 1
        if rounds[number] < 20:
            loop.call_soon(turn, number)
        elif number == 9:
            loop.stop()

    for number in range(10):
        loop.call_soon(turn, number)
    loop.run_forever()
    assert order == list(range(10)) * 20


@requires("SCHED-FAIRNESS-01", "SCHED-CALL_SOON-06")
@needs("fdwatch")
def test_what_a_batch_queues_waits_for_the_next_poll(
    loop: asyncio.AbstractEventLoop, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """A descriptor that gets ready in a batch has its turn before what the callbacks of the next batch queue."""
    here, there = pairs[0]
    order: list[str] = []

    def read() -> None:
        order.append("reader")
        loop.remove_reader(here.fileno())

    def first() -> None:
        order.append("first")
        there.send(b"x")
        loop.call_soon(second)

    def second() -> None:
        order.append("second")
        loop.call_soon(third)

    def third() -> None:
        order.append("third")
        loop.stop()

    loop.add_reader(here.fileno(), read)
    loop.call_soon(first)
    loop.run_forever()
    assert order == ["first", "second", "reader", "third"] or order == ["first", "reader", "second", "third"], order


@requires("SCHED-CALL_SOON-08")
@needs("fdwatch")
def test_no_callback_starts_inside_another(
    loop: asyncio.AbstractEventLoop, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """With callbacks of every kind due at the same time, each ends before another begins."""
    log: list[tuple[str, int]] = []
    depth = 0
    left = {"soon", "threadsafe", "timer", "reader", "writer", "future", "task"}

    def source(kind: str) -> Callable[..., None]:
        def callback(*_: object) -> None:
            nonlocal depth
            log.append((kind, depth))
            depth += 1
            loop.call_soon(int)
            loop.time()
            loop.get_debug()
            gc.collect(0)
            depth -= 1
            left.discard(kind)
            if not left:
                loop.stop()

        return callback

    def start() -> None:
        nonlocal depth
        depth += 1
        (near, far), (other, _) = pairs[:2]
        far.send(b"x")
        loop.add_reader(near.fileno(), source("reader"))
        loop.add_writer(other.fileno(), source("writer"))
        loop.call_later(0, source("timer"))
        loop.call_at(loop.time() - 1, source("timer"))
        future = loop.create_future()
        future.add_done_callback(source("future"))
        future.set_result(None)
        loop.create_task(asyncio.sleep(0)).add_done_callback(source("task"))
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(source("threadsafe"),))
        thread.start()
        thread.join()
        loop.call_soon(source("soon"))
        depth -= 1

    loop.call_soon(start)
    loop.run_forever()
    for near, _ in pairs[:2]:
        loop.remove_reader(near.fileno())
        loop.remove_writer(near.fileno())
    nested = sorted({kind for kind, depth in log if depth})
    assert not nested, f"callbacks started while another was running: {nested}"


@requires("SCHED-CALL_SOON-08")
def test_nothing_that_a_callback_calls_runs_other_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    """Setting futures and cancelling handles and tasks does not run other callbacks on the spot."""
    log: list[str] = []

    async def sleeper() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("task cancelled")

    def note(text: str) -> Callable[..., None]:
        return lambda *_: log.append(text)

    def callback() -> None:
        future = loop.create_future()
        future.add_done_callback(note("future"))
        loop.call_soon(note("soon"))
        loop.call_soon_threadsafe(note("threadsafe"))
        loop.call_later(0, note("timer")).cancel()
        future.set_result(None)
        task.cancel()
        log.append("callback ends")

    async def main() -> None:
        loop.call_soon(callback)
        while not task.done():
            await asyncio.sleep(0)

    task = loop.create_task(sleeper())
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(main())
    assert log[0] == "callback ends", f"something ran inside of a callback: {log}"
    assert set(log[1:]) == {"soon", "threadsafe", "future", "task cancelled"}


@requires("SCHED-CALL_SOON-06")
@needs("fdwatch")
def test_callbacks_queued_by_a_reader_come_after_the_readers_of_that_poll(
    new_loop: Factory, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """All descriptors found ready by one poll are served before the callbacks that their readers queue."""
    loop = new_loop()
    order: list[str] = []

    def read(near: socket.socket) -> None:
        near.recv(1)
        order.append("reader")
        loop.call_soon(order.append, "queued")
        if order.count("reader") == len(pairs):
            loop.call_soon(loop.stop)

    for near, far in pairs:
        far.send(b"x")
        loop.add_reader(near.fileno(), read, near)
    loop.run_forever()
    for near, _ in pairs:
        loop.remove_reader(near.fileno())
    assert order == ["reader"] * len(pairs) + ["queued"] * len(pairs)


@requires("SCHED-CALL_SOON-06")
def test_callbacks_queued_by_a_timer_come_after_the_timers_due_with_it(new_loop: Factory) -> None:
    """Timers due at the same iteration run before the callbacks that they queue."""
    loop = new_loop()
    order: list[str] = []

    def timer() -> None:
        order.append("timer")
        loop.call_soon(order.append, "queued")
        if order.count("timer") == 10:
            loop.call_soon(loop.stop)

    past = loop.time() - 1
    for number in range(10):
        loop.call_at(past + number / 100, timer)
    loop.run_forever()
    assert order == ["timer"] * 10 + ["queued"] * 10


@requires("SCHED-FAIRNESS-02")
async def test_timers_that_fall_due_come_behind_what_is_queued(loop: asyncio.AbstractEventLoop) -> None:
    """A timer that is due when the iteration begins runs behind the callbacks that were queued before."""
    order: list[str] = []
    done = loop.create_future()
    loop.call_at(loop.time() - 1, order.append, "timer")
    loop.call_soon(order.append, "soon 1")
    loop.call_soon(order.append, "soon 2")
    loop.call_at(loop.time(), done.set_result, None)
    await done
    assert order == ["soon 1", "soon 2", "timer"]


@requires("SCHED-FAIRNESS-03")
@needs("fdwatch")
async def test_descriptors_come_before_timers(loop: asyncio.AbstractEventLoop, readable: socket.socket) -> None:
    """In an iteration in which a descriptor is ready and a timer is due the descriptor is served first."""
    order: list[str] = []
    done = loop.create_future()

    def read() -> None:
        order.append("reader")
        loop.remove_reader(readable.fileno())

    loop.call_at(loop.time() - 1, order.append, "timer")
    loop.add_reader(readable.fileno(), read)
    loop.call_later(0.002, done.set_result, None)
    await done
    assert order == ["reader", "timer"]


@requires("SCHED-FAIRNESS-02", "SCHED-FAIRNESS-03")
@needs("fdwatch")
async def test_an_iteration_serves_queue_then_descriptors_then_timers(
    loop: asyncio.AbstractEventLoop, readable: socket.socket
) -> None:
    """Queued callbacks, then what the poll found, then the timers that are due."""
    order: list[Any] = []
    done = loop.create_future()

    def read() -> None:
        order.append("reader")
        loop.remove_reader(readable.fileno())

    loop.add_reader(readable.fileno(), read)
    loop.call_at(loop.time() - 1, order.append, "timer")
    loop.call_soon(order.append, "soon")
    loop.call_later(0.002, done.set_result, None)
    await done
    assert order == ["soon", "reader", "timer"]
