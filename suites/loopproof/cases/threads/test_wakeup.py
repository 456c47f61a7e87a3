"""call_soon_threadsafe: waking up a loop that sleeps in its poll."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


def wait_until_asleep(thread: threading.Thread) -> None:
    """Return once the thread has used no processor time for a while, as it does where it waits for events."""
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    before = -1.0
    while (now := time.clock_gettime(clock)) != before:
        before = now
        time.sleep(0.001)


@requires("THREAD-CALL_SOON_THREADSAFE-02")
@pytest.mark.parametrize("waits_for", ["nothing", "far timer", "cancelled timer", "after work"])
def test_a_sleeping_loop_is_woken_up(new_loop: Factory, waits_for: str) -> None:
    """A loop that waits for nothing, or for a far timer, runs what another thread submits."""
    loop = new_loop()
    ran = threading.Event()
    if waits_for == "far timer":
        loop.call_later(3600, int)
    elif waits_for == "cancelled timer":
        loop.call_later(3600, int).cancel()
    elif waits_for == "after work":
        loop.run_until_complete(asyncio.sleep(0.001))
    with loop_in_thread(loop) as thread:
        wait_until_asleep(thread)
        loop.call_soon_threadsafe(ran.set)
        ran.wait()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
@needs("fdwatch")
def test_a_loop_that_watches_descriptors_is_woken_up(new_loop: Factory) -> None:
    """A loop that waits for a descriptor that never gets ready runs what another thread submits."""
    loop = new_loop()
    ran = threading.Event()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        loop.add_reader(near.fileno(), near.recv, 1)
        with loop_in_thread(loop) as thread:
            wait_until_asleep(thread)
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
        loop.remove_reader(near.fileno())


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_loop_that_sleeps_in_the_main_thread_is_woken_up(new_loop: Factory) -> None:
    """Also the loop of the main thread, where signals and wake-ups may share a channel, sleeps and is woken up."""
    loop = new_loop()
    order: list[int] = []

    def submit() -> None:
        for number in range(5):
            wait_until_asleep(threading.main_thread())
            ran = threading.Event()
            loop.call_soon_threadsafe(order.append, number)
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
        loop.call_soon_threadsafe(loop.stop)

    with Background(submit):
        loop.run_forever()
    assert order == [0, 1, 2, 3, 4]


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_submission_brings_a_nearer_timer(new_loop: Factory) -> None:
    """A loop that sleeps until a far timer wakes up for a nearer one that a submitted callback sets."""
    loop = new_loop()
    order: list[str] = []
    guard = loop.call_later(3600, order.append, "far timer")
    ran = threading.Event()

    def callback() -> None:
        loop.call_later(0.002, order.append, "near timer")
        loop.call_later(0.002, ran.set)

    with loop_in_thread(loop) as thread:
        wait_until_asleep(thread)
        loop.call_soon_threadsafe(callback)
        ran.wait()
    guard.cancel()
    assert order == ["near timer"]


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_task_that_waits_for_a_future_goes_on(new_loop: Factory) -> None:
    """A future set by submission wakes up the loop and the task that waits for it."""
    loop = new_loop()
    future = loop.create_future()

    async def wait() -> str:
        answer: str = await future
        return answer

    def submit() -> None:
        wait_until_asleep(threading.main_thread())
        loop.call_soon_threadsafe(future.set_result, "answer")

    with Background(submit):
        assert loop.run_until_complete(wait()) == "answer"


@requires("THREAD-CALL_SOON_THREADSAFE-11")
def test_a_signal_handler_wakes_up_a_sleeping_loop(new_loop: Factory) -> None:
    """What a handler of signal.signal() submits while the loop sleeps wakes it up, each of ten times."""
    loop = new_loop()
    main = threading.main_thread()
    running = threading.Event()
    handled: list[int] = []
    ran: list[int] = []

    def handler(*_: object) -> None:
        handled.append(len(handled))
        loop.call_soon_threadsafe(ran.append, handled[-1])

    def send() -> None:
        running.wait()
        for number in range(10):
            wait_until_asleep(main)
            while len(handled) <= number:  # a signal just before the loop begins to wait does not interrupt it
                signal.pthread_kill(main.ident or 0, signal.SIGUSR1)
                time.sleep(0.01)
            while len(ran) < len(handled):
                time.sleep(0.001)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with Background(send):
            loop.call_soon(running.set)
            loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ran == handled


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_loop_is_woken_up_again_and_again(new_loop: Factory) -> None:
    """Twenty times the loop falls asleep and is woken up by one submission."""
    loop = new_loop()
    with loop_in_thread(loop) as thread:
        for _ in range(20):
            ran = threading.Event()
            wait_until_asleep(thread)
            loop.call_soon_threadsafe(ran.set)
            ran.wait()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_no_wake_up_is_lost_in_a_race(new_loop: Factory) -> None:
    """In 2,000 rounds each submission is made while the loop is about to go to sleep; none is left lying."""
    loop = new_loop()
    with loop_in_thread(loop):
        answered = threading.Semaphore(0)
        for _ in range(2000):
            loop.call_soon_threadsafe(answered.release)
            answered.acquire()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_no_wake_up_is_lost_between_callback_and_sleep(new_loop: Factory) -> None:
    """The next submission is made while the callback of the last one still runs, 1,000 times."""
    loop = new_loop()
    submit, entered = threading.Semaphore(0), threading.Semaphore(0)

    def callback() -> None:
        submit.release()
        entered.release()

    def submitter() -> None:
        for _ in range(1000):
            loop.call_soon_threadsafe(callback)
            submit.acquire()

    with loop_in_thread(loop), Background(submitter):
        for _ in range(1000):
            entered.acquire()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_submission_made_while_another_one_runs_is_run(new_loop: Factory) -> None:
    """A chain of submissions, each made by a thread in the middle of the one before, runs to its end."""
    loop = new_loop()

    def callback(left: int, ran: threading.Event) -> None:
        if left:
            with Background(loop.call_soon_threadsafe, callback, left - 1, ran):
                pass
        else:
            ran.set()

    with loop_in_thread(loop) as thread:
        for length in (1, 2, 5):
            ran = threading.Event()
            wait_until_asleep(thread)
            loop.call_soon_threadsafe(callback, length, ran)
            ran.wait()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_no_wake_up_is_lost_among_several_threads(new_loop: Factory) -> None:
    """Four threads make 500 submissions each and wait for each to run; none waits for the wake-up of another."""
    loop = new_loop()

    def submitter() -> None:
        answered = threading.Semaphore(0)
        for _ in range(500):
            loop.call_soon_threadsafe(answered.release)
            answered.acquire()

    with loop_in_thread(loop):
        submitters = [Background(submitter) for _ in range(4)]
        for background in submitters:
            background.thread.start()
        for background in submitters:
            background.join()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_two_loops_wake_each_other_up(new_loop: Factory) -> None:
    """A ball goes 1,000 times between two loops in two threads, each of which sleeps while it waits."""
    loops = [new_loop(), new_loop()]
    ended = threading.Event()

    def hit(left: int) -> None:
        if left:
            loops[left % 2].call_soon_threadsafe(hit, left - 1)
        else:
            ended.set()

    with loop_in_thread(loops[0]), loop_in_thread(loops[1]):
        loops[0].call_soon_threadsafe(hit, 2000)
        ended.wait()


@requires("THREAD-CALL_SOON_THREADSAFE-02")
def test_a_submission_made_during_a_callback_is_run_before_a_far_timer(new_loop: Factory) -> None:
    """What arrives while the loop is busy does not wait for the next event."""
    loop = new_loop()
    order: list[str] = []

    def submit() -> None:
        loop.call_soon_threadsafe(order.append, "submission")
        loop.call_soon_threadsafe(loop.stop)

    def busy() -> None:
        with Background(submit):
            pass
        order.append("busy callback ends")

    loop.call_soon(busy)
    loop.call_later(3600, order.append, "timer")
    loop.run_forever()
    assert order == ["busy callback ends", "submission"]


@requires("THREAD-CALL_SOON_THREADSAFE-13")
@pytest.mark.parametrize("state", ["busy", "stopped"])
@pytest.mark.deadline(30)
def test_a_flood_neither_blocks_nor_is_lost(new_loop: Factory, state: str) -> None:
    """70,000 submissions, more than a pipe or socket pair has room for, are made while nobody reads the wake-ups."""
    loop = new_loop()
    count = 70_000
    ran: list[int] = []

    def flood() -> None:
        for number in range(count):
            loop.call_soon_threadsafe(ran.append, number)
        loop.call_soon_threadsafe(loop.stop)

    def in_a_thread() -> None:
        with Background(flood):
            pass

    if state == "busy":
        loop.call_soon(in_a_thread)
    else:
        in_a_thread()
    loop.run_forever()
    assert len(ran) == count, f"{count} submissions were made, {len(ran)} callbacks ran"
    assert ran == list(range(count))


@requires("THREAD-CALL_SOON_THREADSAFE-13")
def test_a_flood_made_in_the_loops_thread_does_not_block(new_loop: Factory) -> None:
    """A callback that makes 70,000 submissions to its own loop does not wait for room in the wake-up channel."""
    loop = new_loop()
    ran = 0

    def count_up() -> None:
        nonlocal ran
        ran += 1

    def flood() -> None:
        for _ in range(70_000):
            loop.call_soon_threadsafe(count_up)
        loop.call_soon_threadsafe(loop.stop)

    loop.call_soon(flood)
    loop.run_forever()
    assert ran == 70_000


@requires("THREAD-CALL_SOON_THREADSAFE-13")
def test_after_a_flood_the_loop_sleeps_and_wakes_as_before(new_loop: Factory) -> None:
    """The overflow of the wake-up channel breaks no later wake-up."""
    loop = new_loop()
    for _ in range(70_000):
        loop.call_soon_threadsafe(int)
    with loop_in_thread(loop) as thread:
        for _ in range(3):
            ran = threading.Event()
            wait_until_asleep(thread)
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
