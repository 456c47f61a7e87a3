"""Fairness: nothing that keeps itself busy starves I/O, timers, other threads or signals; tasks take turns."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Background, needs, requires

Factory = Callable[[], asyncio.AbstractEventLoop]
ENOUGH = 1_000_000
"""Turns after which what has not happened is starved: many seconds of a busy loop."""


class Spinner:
    """A callback that requeues itself until it is told to end, or has had more turns than anything needs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.turns = 0
        self.ended = False
        self.starved = False

    def __call__(self) -> None:
        self.turns += 1
        if self.turns >= ENOUGH:
            self.starved = True
            self.loop.stop()
        elif not self.ended:
            self.loop.call_soon(self)

    def end(self) -> None:
        """Let the run end."""
        self.ended = True
        self.loop.stop()


@requires("SCHED-CALL_SOON-07")
@needs("fdwatch")
@pytest.mark.parametrize("spinners", [1, 3])
def test_spinning_callbacks_do_not_starve_a_reader(new_loop: Factory, spinners: int) -> None:
    """While callbacks requeue themselves forever, data from outside still reaches a reader."""
    loop = new_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        spinning = [Spinner(loop) for _ in range(spinners)]

        def read() -> None:
            near.recv(10)
            for spinner in spinning:
                spinner.end()

        loop.add_reader(near.fileno(), read)
        for spinner in spinning:
            loop.call_soon(spinner)
        loop.call_soon(far.send, b"x")
        loop.run_forever()
        loop.remove_reader(near.fileno())
    assert not spinning[0].starved, "the reader was never called"


@requires("SCHED-CALL_SOON-07")
@needs("fdwatch")
def test_spinning_callbacks_do_not_starve_a_writer(new_loop: Factory) -> None:
    """While a callback requeues itself forever, a writer is called."""
    loop = new_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        spinner = Spinner(loop)
        loop.add_writer(near.fileno(), spinner.end)
        loop.call_soon(spinner)
        loop.run_forever()
        loop.remove_writer(near.fileno())
    assert not spinner.starved, "the writer was never called"


@requires("SCHED-CALL_SOON-07")
@pytest.mark.parametrize("delay", [-1, 0, 0.000001, 0.001, 0.003])
def test_spinning_callbacks_do_not_starve_a_timer(new_loop: Factory, delay: float) -> None:
    """While a callback requeues itself forever, timers fall due."""
    loop = new_loop()
    spinner = Spinner(loop)
    loop.call_soon(spinner)
    loop.call_later(delay, spinner.end)
    loop.run_forever()
    assert not spinner.starved, "the timer never fired"


@requires("SCHED-CALL_SOON-07")
def test_spinning_callbacks_do_not_starve_other_threads(new_loop: Factory) -> None:
    """While a callback requeues itself forever, what other threads submit is run."""
    loop = new_loop()
    spinner = Spinner(loop)
    loop.call_soon(spinner)
    with Background(loop.call_soon_threadsafe, spinner.end):
        loop.run_forever()
    assert not spinner.starved, "the submission of the other thread was never run"


@requires("SCHED-CALL_SOON-07")
@needs("signals")
def test_spinning_callbacks_do_not_starve_signals(new_loop: Factory) -> None:
    """While a callback requeues itself forever, a signal handler of the loop is called."""
    loop = new_loop()
    spinner = Spinner(loop)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        loop.add_signal_handler(signal.SIGUSR1, spinner.end)
        loop.call_soon(spinner)
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.run_forever()
        loop.close()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not spinner.starved, "the signal handler was never called"


@requires("SCHED-CALL_SOON-07", "SCHED-FAIRNESS-06")
@needs("fdwatch")
async def test_tasks_that_yield_forever_do_not_starve_io_and_timers(loop: asyncio.AbstractEventLoop) -> None:
    """Tasks that only ever sleep(0) let sockets and timers make progress."""
    near, far = socket.socketpair()
    seen: set[str] = set()
    turns = 0

    async def spin() -> None:
        nonlocal turns
        while len(seen) < 2 and turns < ENOUGH:
            turns += 1
            await asyncio.sleep(0)

    def read() -> None:
        near.recv(10)
        seen.add("reader")

    with near, far:
        near.setblocking(False)
        loop.add_reader(near.fileno(), read)
        loop.call_later(0.001, seen.add, "timer")
        tasks = [loop.create_task(spin()) for _ in range(3)]
        far.send(b"x")
        await asyncio.gather(*tasks)
        loop.remove_reader(near.fileno())
    assert seen == {"reader", "timer"}


@requires("SCHED-CALL_SOON-07")
@needs("fdwatch")
async def test_timers_that_are_always_due_do_not_starve_io_and_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    """A timer of delay zero that sets itself again lets sockets and queued callbacks make progress."""
    near, far = socket.socketpair()
    seen: set[str] = set()
    done = loop.create_future()
    turns = 0

    def tick() -> None:
        nonlocal turns
        turns += 1
        if len(seen) == 2 or turns >= ENOUGH:
            done.set_result(None)
        else:
            loop.call_later(0, tick)

    def read() -> None:
        near.recv(10)
        seen.add("reader")

    with near, far:
        near.setblocking(False)
        loop.add_reader(near.fileno(), read)
        tick()
        far.send(b"x")
        loop.call_soon(loop.call_soon, seen.add, "callback")
        await done
        loop.remove_reader(near.fileno())
    assert seen == {"reader", "callback"}


@requires("SCHED-CALL_SOON-07")
@needs("fdwatch")
async def test_a_descriptor_that_is_always_ready_does_not_starve_the_rest(loop: asyncio.AbstractEventLoop) -> None:
    """A writer that is ready in every poll lets callbacks, timers and a reader make progress."""
    near, far = socket.socketpair()
    seen: set[str] = set()
    done = loop.create_future()
    turns = 0

    def write() -> None:
        nonlocal turns
        turns += 1
        if (len(seen) == 3 or turns >= ENOUGH) and not done.done():
            done.set_result(None)

    def read() -> None:
        near.recv(10)
        seen.add("reader")

    with near, far:
        near.setblocking(False)
        loop.add_writer(near.fileno(), write)
        loop.add_reader(near.fileno(), read)
        loop.call_soon(loop.call_soon, seen.add, "callback")
        loop.call_later(0.001, seen.add, "timer")
        far.send(b"x")
        await done
        loop.remove_reader(near.fileno())
        loop.remove_writer(near.fileno())
    assert seen == {"reader", "callback", "timer"}


@requires("SCHED-FAIRNESS-06")
@pytest.mark.parametrize("tasks", [2, 3, 10])
async def test_sleep_zero_gives_every_task_one_step(loop: asyncio.AbstractEventLoop, tasks: int) -> None:
    """Tasks that sleep(0) in turn run strictly round robin."""
    order: list[int] = []

    async def step(number: int) -> None:
        for _ in range(20):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*[step(number) for number in range(tasks)])
    assert order == list(range(tasks)) * 20


@requires("SCHED-FAIRNESS-06")
async def test_sleep_zero_lets_queued_callbacks_run(loop: asyncio.AbstractEventLoop) -> None:
    """What was queued before sleep(0) has run when it returns, what those callbacks queued has not."""
    order: list[str] = []
    loop.call_soon(loop.call_soon, order.append, "second turn")
    loop.call_soon(order.append, "first turn")
    await asyncio.sleep(0)
    assert order == ["first turn"]
    await asyncio.sleep(0)
    assert order == ["first turn", "second turn"]


@requires("SCHED-FAIRNESS-07")
async def test_two_tasks_alternate_through_futures(loop: asyncio.AbstractEventLoop) -> None:
    """Ping and pong hand a future to each other; neither ever makes two steps in a row."""
    order: list[str] = []
    baton: dict[str, asyncio.Future[None]] = {"ping": loop.create_future(), "pong": loop.create_future()}

    async def player(name: str, other: str) -> None:
        for _ in range(100):
            await baton[name]
            baton[name] = loop.create_future()
            order.append(name)
            if not baton[other].done():
                baton[other].set_result(None)

    baton["ping"].set_result(None)
    await asyncio.gather(player("ping", "pong"), player("pong", "ping"))
    assert order == ["ping", "pong"] * 100


@requires("SCHED-FAIRNESS-07")
async def test_waiters_of_one_event_continue_in_the_order_of_waiting(loop: asyncio.AbstractEventLoop) -> None:
    """Tasks that wait for one event continue first-in first-out."""
    order: list[int] = []
    event = asyncio.Event()

    async def waiter(number: int) -> None:
        await event.wait()
        order.append(number)
        await asyncio.sleep(0)
        order.append(number)

    tasks = [loop.create_task(waiter(number)) for number in range(10)]
    await asyncio.sleep(0)
    event.set()
    await asyncio.gather(*tasks)
    assert order == [*range(10), *range(10)]


@requires("SCHED-FAIRNESS-07")
async def test_producer_and_consumer_alternate_through_a_queue(loop: asyncio.AbstractEventLoop) -> None:
    """With a queue of size one, puts and gets take turns."""
    order: list[tuple[str, Any]] = []
    queue: asyncio.Queue[int] = asyncio.Queue(1)

    async def produce() -> None:
        for number in range(50):
            await queue.put(number)
            order.append(("put", number))

    async def consume() -> None:
        for _ in range(50):
            order.append(("got", await queue.get()))

    await asyncio.gather(produce(), consume())
    assert [number for word, number in order if word == "got"] == list(range(50))
    puts = gets = 0
    for word, _ in order:
        puts += word == "put"
        gets += word == "got"
        assert -1 <= puts - gets <= 2, f"one side ran {puts - gets} ahead"
