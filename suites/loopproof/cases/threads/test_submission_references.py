"""call_soon_threadsafe: what submissions keep alive, and finalizers that run as they are let go."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, loop_in_thread, requires

Factory = Callable[[], asyncio.AbstractEventLoop]


class Thing:
    """Something that can be called, passed and referred to weakly."""

    def __call__(self, *_: object) -> None:
        pass


class Final:
    """An object that calls a function when it is let go."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __del__(self) -> None:
        self.function()


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


@requires("THREAD-CALL_SOON_THREADSAFE-16")
@pytest.mark.parametrize("fate", ["run", "cancelled", "closed"])
def test_references_of_many_submissions_are_let_go(new_loop: Factory, fate: str) -> None:
    """Of 500 submissions by a thread nothing is alive once they have run, were cancelled or never will run."""
    loop = new_loop()
    living: weakref.WeakSet[Thing] = weakref.WeakSet()

    def submit() -> None:
        for _ in range(500):
            thing = Thing()
            living.add(thing)
            handle = loop.call_soon_threadsafe(thing, thing)
            if fate == "cancelled":
                handle.cancel()

    with Background(submit) as background:
        pass
    del background
    if fate == "closed":
        loop.close()
    else:
        run_once(loop)
    gc.collect()
    assert len(living) == 0, f"{len(living)} of 500 submissions are still referred to"


@requires("THREAD-CALL_SOON_THREADSAFE-11")
@pytest.mark.parametrize("fate", ["run", "cancelled"])
def test_finalizers_of_submissions_submit(new_loop: Factory, fate: str) -> None:
    """A finalizer that the loop or cancel() sets off may submit: the loop holds no lock that it needs."""
    loop = new_loop()
    ran: list[int] = []
    take: Callable[[object], None] = lambda _: None  # noqa: E731

    def submit() -> None:
        for number in range(50):
            argument = Final(lambda number=number: loop.call_soon_threadsafe(ran.append, number))  # type: ignore[misc]
            handle = loop.call_soon_threadsafe(take, argument)
            del argument
            if fate == "cancelled":
                handle.cancel()
            del handle

    if fate == "cancelled":  # between runs, as it is in another thread than the loop's
        with Background(submit):
            pass
    else:
        with loop_in_thread(loop):
            with Background(submit):
                pass
            ended = threading.Event()
            loop.call_soon_threadsafe(loop.call_soon_threadsafe, ended.set)
            ended.wait()
    run_once(loop)
    run_once(loop)
    assert sorted(ran) == list(range(50))


@requires("THREAD-CALL_SOON_THREADSAFE-11", "THREAD-CALL_SOON_THREADSAFE-08")
@pytest.mark.deadline(30)
def test_finalizers_let_other_threads_go_on(new_loop: Factory) -> None:
    """Finalizers of arguments that give way to threads which submit just then block nobody and lose nothing."""
    loop = new_loop()
    ran: list[tuple[int, int]] = []

    def submit(thread: int) -> None:
        for number in range(200):
            argument = Final(lambda: time.sleep(0))
            loop.call_soon_threadsafe(lambda _, number=number: ran.append((thread, number)), argument)  # type: ignore[misc]

    with loop_in_thread(loop):
        submitters = [Background(submit, thread) for thread in range(4)]
        for submitter in submitters:
            submitter.thread.start()
        for submitter in submitters:
            submitter.join()
    run_once(loop)
    assert sorted(ran) == [(thread, number) for thread in range(4) for number in range(200)]


@requires("THREAD-CALL_SOON_THREADSAFE-12")
def test_finalizers_run_by_close_may_submit(new_loop: Factory) -> None:
    """A finalizer that close() sets off has its submission taken or refused with RuntimeError; close() ends."""
    loop = new_loop()
    failed: list[BaseException] = []

    def submit_again() -> None:
        try:
            loop.call_soon_threadsafe(int)
        except RuntimeError:
            pass
        except BaseException as error:
            failed.append(error)

    def submit() -> None:
        for _ in range(20):
            loop.call_soon_threadsafe(id, Final(submit_again))

    with Background(submit):
        pass
    loop.close()
    gc.collect()
    assert loop.is_closed()
    assert failed == []


@requires("THREAD-CALL_SOON_THREADSAFE-11")
def test_garbage_collection_inside_a_submission_may_submit(new_loop: Factory) -> None:
    """With the collector running at all points of a submission, finalizers of cycles submit while others are made."""
    loop = new_loop()
    ran: list[object] = []

    class Cycle:
        def __init__(self) -> None:
            self.myself = self

        def __del__(self) -> None:
            loop.call_soon_threadsafe(ran.append, "finalizer")

    def submit() -> None:
        for number in range(100):
            Cycle()
            gc.set_threshold(gc.get_count()[0] + 1 + number % 10)  # collect at the next allocation, the one after it...
            loop.call_soon_threadsafe(ran.append, number)

    threshold = gc.get_threshold()
    try:
        with Background(submit):
            pass
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    run_once(loop)
    assert [entry for entry in ran if entry != "finalizer"] == list(range(100))
    assert ran.count("finalizer") == 100
