"""call_soon_threadsafe: order and completeness of submissions by many threads."""

import asyncio
import collections
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from loopproof.authoring import Background, loop_in_thread, requires

Factory = Callable[[], asyncio.AbstractEventLoop]
Submission = tuple[int, int]


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """The interpreter switches threads a hundred times as often as usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 100)
    yield
    sys.setswitchinterval(interval)


def submit_from_threads(
    loop: asyncio.AbstractEventLoop, threads: int, each: int, callback: Callable[[Submission], None]
) -> None:
    """Let threads submit ``callback((thread, number))`` all at once; return when the last one is made."""
    barrier = threading.Barrier(threads)

    def submit(thread: int) -> None:
        barrier.wait()
        for number in range(each):
            loop.call_soon_threadsafe(callback, (thread, number))

    backgrounds = [Background(submit, thread) for thread in range(threads)]
    for background in backgrounds:
        background.thread.start()
    for background in backgrounds:
        background.join()


def check(ran: list[Submission], threads: int, each: int) -> None:
    """Each submission ran once, and those of one thread in order."""
    expected = threads * each
    counts = collections.Counter(ran)
    twice = [submission for submission, count in counts.items() if count > 1]
    assert not twice, f"{len(twice)} of {expected} callbacks ran more than once, the first is {twice[0]}"
    assert len(ran) == expected, f"{expected - len(ran)} of {expected} submissions were lost"
    by_thread = collections.defaultdict(list)
    for thread, number in ran:
        by_thread[thread].append(number)
    mixed = [thread for thread, numbers in by_thread.items() if numbers != list(range(each))]
    assert not mixed, f"submissions of {len(mixed)} of {threads} threads ran in another order than they were made"


@requires("THREAD-CALL_SOON_THREADSAFE-08", "THREAD-CALL_SOON_THREADSAFE-03")
@pytest.mark.deadline(30)
def test_submissions_to_a_running_loop_are_complete_and_in_order(new_loop: Factory, frequent_switches: None) -> None:
    """Eight threads submit 2,000 callbacks each to a loop that runs."""
    loop = new_loop()
    ran: list[Submission] = []
    with loop_in_thread(loop):
        submit_from_threads(loop, 8, 2000, ran.append)
    loop.run_until_complete(asyncio.sleep(0))
    check(ran, 8, 2000)


@requires("THREAD-CALL_SOON_THREADSAFE-08", "THREAD-CALL_SOON_THREADSAFE-10")
@pytest.mark.deadline(30)
def test_submissions_to_a_stopped_loop_are_complete_and_in_order(new_loop: Factory, frequent_switches: None) -> None:
    """Eight threads submit 1,000 callbacks each before the loop is started."""
    loop = new_loop()
    ran: list[Submission] = []
    submit_from_threads(loop, 8, 1000, ran.append)
    assert ran == []
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    check(ran, 8, 1000)


@requires("THREAD-CALL_SOON_THREADSAFE-08")
@pytest.mark.deadline(30)
def test_submissions_mix_with_callbacks_of_the_loop_itself(new_loop: Factory, frequent_switches: None) -> None:
    """While the loop fills and empties its own queue, nothing that threads add is lost."""
    loop = new_loop()
    ran: list[Submission] = []
    own = 0
    ended = False

    def turn() -> None:
        nonlocal own
        own += 1
        if not ended:
            loop.call_soon(turn)
            loop.call_soon(int).cancel()

    loop.call_soon(turn)
    with loop_in_thread(loop):
        submit_from_threads(loop, 4, 1000, ran.append)
        ended = True
    loop.run_until_complete(asyncio.sleep(0))
    check(ran, 4, 1000)
    assert own > 0


@requires("THREAD-CALL_SOON_THREADSAFE-08")
@pytest.mark.deadline(30)
def test_no_submission_is_lost_while_the_loop_stops_and_starts(new_loop: Factory, frequent_switches: None) -> None:
    """Runs that end and begin while threads submit leave nothing behind."""
    loop = new_loop()
    ran: list[Submission] = []
    with Background(submit_from_threads, loop, 4, 1000, ran.append) as background:
        while background.thread.is_alive():
            loop.call_soon(loop.stop)
            loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))
    check(ran, 4, 1000)


@requires("THREAD-CALL_SOON_THREADSAFE-03")
def test_submissions_of_one_thread_run_in_order_with_those_of_its_callbacks(new_loop: Factory) -> None:
    """A thread whose submissions submit more sees its own in order, and each chain in order."""
    loop = new_loop()
    direct: list[int] = []
    chained: list[int] = []

    def callback(number: int) -> None:
        direct.append(number)
        loop.call_soon_threadsafe(chained.append, number)

    submitting = Background(lambda: [loop.call_soon_threadsafe(callback, number) for number in range(500)])
    with loop_in_thread(loop), submitting:
        pass
    loop.run_until_complete(asyncio.sleep(0))
    assert direct == list(range(500))
    assert chained == list(range(500))


@requires("THREAD-CALL_SOON_THREADSAFE-03")
def test_what_one_thread_submits_after_another_has_done_so_runs_later(new_loop: Factory) -> None:
    """Where threads take turns, the order of their turns is the order of the callbacks."""
    loop = new_loop()
    order: list[int] = []

    def submit(number: int) -> None:
        loop.call_soon_threadsafe(order.append, number)

    with loop_in_thread(loop):
        for number in range(50):
            with Background(submit, number):
                pass
    loop.run_until_complete(asyncio.sleep(0))
    assert order == list(range(50))
