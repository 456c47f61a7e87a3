"""run_forever: keeps going until stop(), can be run again and again, in any thread."""

import asyncio
import socket
import threading
from collections.abc import Callable

from loopproof.authoring import Background, loop_in_thread, needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@requires("LIFE-RUN_FOREVER-01")
def test_returns_none_after_stop(loop: asyncio.AbstractEventLoop) -> None:
    """run_forever() returns None once stop() was called from a callback."""
    loop.call_soon(loop.stop)
    assert loop.run_forever() is None


@requires("LIFE-RUN_FOREVER-01")
@needs("fdwatch")
def test_processes_callbacks_timers_and_io_until_stop(loop: asyncio.AbstractEventLoop) -> None:
    """One run carries a chain of callback, timer, readable descriptor and task, and ends at stop() only."""
    here, there = socket.socketpair()
    order: list[str] = []

    def from_call_soon() -> None:
        order.append("call_soon")
        loop.call_later(0.001, from_timer)

    def from_timer() -> None:
        order.append("timer")
        loop.add_reader(here.fileno(), from_reader)
        there.send(b"x")

    def from_reader() -> None:
        order.append("reader")
        loop.remove_reader(here.fileno())
        loop.create_task(from_task()).add_done_callback(lambda _: loop.stop())

    async def from_task() -> None:
        await asyncio.sleep(0)
        order.append("task")

    with here, there:
        loop.call_soon(from_call_soon)
        loop.run_forever()
    assert order == ["call_soon", "timer", "reader", "task"]


@requires("LIFE-RUN_FOREVER-01")
def test_with_nothing_to_do_the_loop_waits_for_stop(loop: asyncio.AbstractEventLoop) -> None:
    """A loop without callbacks, timers or descriptors keeps running and still takes callbacks from other threads."""
    with loop_in_thread(loop) as thread:
        for _ in range(3):
            thread.join(0.01)
            assert thread.is_alive(), "run_forever() returned although nobody called stop()"
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            assert answered.wait(5), "a callback that another thread scheduled on the idle loop did not run"


@requires("LIFE-RUN_FOREVER-04")
def test_refuses_to_run_when_closed(new_loop: NewLoop) -> None:
    """run_forever() on a closed loop raises RuntimeError."""
    loop = new_loop()
    loop.close()
    for _ in range(2):
        with raises(RuntimeError):
            loop.run_forever()
    assert not loop.is_running(), "after the refused call the closed loop says that it is running"


@requires("LIFE-RUN_FOREVER-04", "LIFE-RUN_FOREVER-11")
def test_the_refusal_of_a_closed_loop_leaves_no_trace_in_the_thread(new_loop: NewLoop) -> None:
    """After a closed loop refused to run, the thread has no running loop and another loop runs as usual."""
    closed, other = new_loop(), new_loop()
    closed.close()
    with raises(RuntimeError):
        closed.run_forever()
    with raises(RuntimeError):
        asyncio.get_running_loop()
    other.call_soon(other.stop)
    other.run_forever()


@requires("LIFE-RUN_FOREVER-04", "LIFE-RUN_FOREVER-13")
async def test_a_closed_loop_refused_inside_a_run_leaves_the_run_intact(new_loop: NewLoop) -> None:
    """Calling run_forever() of a closed loop from inside another loop's run does not disturb that run."""
    loop = asyncio.get_running_loop()
    closed = new_loop()
    closed.close()
    with raises(RuntimeError):
        closed.run_forever()
    assert asyncio.get_running_loop() is loop
    assert loop.is_running()
    await asyncio.sleep(0)


@requires("LIFE-RUN_FOREVER-09")
def test_callbacks_survive_many_runs(loop: asyncio.AbstractEventLoop) -> None:
    """Over 200 runs of one loop every callback that was scheduled in one run and left over runs in the next."""
    seen: list[int] = []
    for number in range(200):
        loop.call_soon(loop.stop)
        loop.call_soon(loop.call_soon, seen.append, number)
        loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == list(range(200))


@requires("LIFE-RUN_FOREVER-09")
def test_a_timer_set_in_one_run_fires_in_a_later_one(loop: asyncio.AbstractEventLoop) -> None:
    """A timer not yet due when a run ends fires in a later run, once and not before its time."""
    fired: list[float] = []
    due = loop.time() + 0.02
    loop.call_soon(loop.call_at, due, lambda: fired.append(loop.time()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.call_at(due + 0.01, loop.stop)
    loop.run_forever()
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert len(fired) == 1, f"the timer fired {len(fired)} times"
    assert fired[0] >= due - 0.001, "the timer fired before its time"


@requires("LIFE-RUN_FOREVER-09")
def test_a_timer_that_came_due_between_two_runs_fires_in_the_second(loop: asyncio.AbstractEventLoop) -> None:
    """A timer whose time passes while the loop is not running fires as soon as the loop runs again."""
    fired: list[str] = []
    loop.call_later(0.002, fired.append, "timer")
    loop.call_soon(loop.stop)
    loop.run_forever()
    threading.Event().wait(0.01)
    assert len(fired) <= 1
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert fired == ["timer"]


@requires("LIFE-RUN_FOREVER-09")
@needs("fdwatch")
def test_a_reader_survives_between_runs(loop: asyncio.AbstractEventLoop) -> None:
    """A watched descriptor stays watched after a run, also for data that arrived while the loop was not running."""
    here, there = socket.socketpair()
    received: list[bytes] = []

    def read() -> None:
        received.append(here.recv(10))
        loop.stop()

    with here, there:
        loop.add_reader(here.fileno(), read)
        for word in (b"one", b"two", b"three"):
            there.send(word)
            loop.run_forever()
        loop.remove_reader(here.fileno())
    assert received == [b"one", b"two", b"three"]


@requires("LIFE-RUN_FOREVER-09")
def test_a_callback_from_another_thread_between_two_runs_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    """call_soon_threadsafe() while the loop is not running is not lost; the callback runs in the next run."""
    seen: list[str] = []
    loop.call_soon(loop.stop)
    loop.run_forever()
    with Background(loop.call_soon_threadsafe, seen.append, "from the thread"):
        pass
    assert seen == [], "the callback ran while the loop did not"
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["from the thread"]
