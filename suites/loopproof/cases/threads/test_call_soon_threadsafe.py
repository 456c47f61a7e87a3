"""call_soon_threadsafe: what it shares with call_soon, from any thread and before, between and after runs."""

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, raises, requires

Factory = Callable[[], asyncio.AbstractEventLoop]
Report = dict[str, Any]

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="unset")


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function in another thread, wait for it, and return its result or raise its exception."""
    with Background(function, *arguments) as background:
        pass
    return background.result


@requires("THREAD-CALL_SOON_THREADSAFE-01")
def test_the_callback_runs_in_the_thread_of_the_loop(new_loop: Factory) -> None:
    """A callback submitted by another thread runs in the thread that runs the loop."""
    loop = new_loop()
    threads: list[int] = []

    def callback() -> None:
        threads.append(threading.get_ident())
        loop.stop()

    with Background(loop.call_soon_threadsafe, callback):
        loop.run_forever()
    assert threads == [threading.get_ident()]


@requires("THREAD-CALL_SOON_THREADSAFE-01")
def test_the_running_loop_is_known_to_the_callback(new_loop: Factory) -> None:
    """get_running_loop() names the loop in the callback and nothing in the thread that submitted it."""
    loop = new_loop()
    seen: list[object] = []
    ran = threading.Event()

    def callback() -> None:
        seen.append(asyncio.get_running_loop())
        ran.set()

    with loop_in_thread(loop):
        loop.call_soon_threadsafe(callback)
        ran.wait()
        with raises(RuntimeError):
            asyncio.get_running_loop()
    assert seen == [loop]


@requires("THREAD-CALL_SOON_THREADSAFE-01", "THREAD-CALL_SOON_THREADSAFE-10")
def test_the_callback_does_not_run_in_the_call(new_loop: Factory) -> None:
    """With the loop stopped or running elsewhere, the submitting thread never runs the callback itself."""
    loop = new_loop()
    threads: list[str] = []

    def callback() -> None:
        threads.append(threading.current_thread().name)

    loop.call_soon_threadsafe(callback)
    assert threads == []
    with loop_in_thread(loop) as thread:
        loop.call_soon_threadsafe(callback)
    assert threads == [thread.name] * 2


@requires("THREAD-CALL_SOON_THREADSAFE-14")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 50])
def test_arguments_arrive_unchanged_and_in_order(new_loop: Factory, count: int) -> None:
    """The callback gets the very objects that were passed, in order."""
    loop = new_loop()
    given = [object() for _ in range(count)]
    got: list[object] = []

    def callback(*arguments: object) -> None:
        got.extend(arguments)
        loop.stop()

    with Background(loop.call_soon_threadsafe, callback, *given):
        loop.run_forever()
    assert len(got) == count
    assert all(one is other for one, other in zip(got, given, strict=True))


@requires("THREAD-CALL_SOON_THREADSAFE-14")
def test_unknown_keywords_are_refused(new_loop: Factory) -> None:
    """A keyword other than context raises TypeError, and the callback never runs."""
    loop = new_loop()
    ran: list[object] = []
    with raises(TypeError):
        loop.call_soon_threadsafe(lambda **named: ran.append(named), key=1)  # type: ignore[call-arg]
    with raises(TypeError):
        loop.call_soon_threadsafe()  # type: ignore[call-arg]
    run_once(loop)
    assert ran == []


@requires("THREAD-CALL_SOON_THREADSAFE-15")
def test_a_failing_callback_is_reported(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """An exception out of a submitted callback is reported in the loop's thread, and the loop goes on."""
    error = ValueError("expected")
    ran: list[str] = []

    def callback() -> None:
        raise error

    elsewhere(loop.call_soon_threadsafe, callback)
    elsewhere(loop.call_soon_threadsafe, ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert len(reports) == 1
    assert reports[0]["exception"] is error


@requires("THREAD-CALL_SOON_THREADSAFE-04")
def test_a_closed_loop_refuses(new_loop: Factory) -> None:
    """On a closed loop RuntimeError is raised, in the thread of the caller whichever it is."""
    loop = new_loop()
    run_once(loop)
    loop.close()
    with raises(RuntimeError):
        loop.call_soon_threadsafe(int)
    with raises(RuntimeError):
        elsewhere(loop.call_soon_threadsafe, int)


@requires("THREAD-CALL_SOON_THREADSAFE-04")
def test_a_loop_that_was_closed_without_a_run_refuses(new_loop: Factory) -> None:
    """RuntimeError also if the loop never ran."""
    loop = new_loop()
    loop.close()
    with raises(RuntimeError):
        elsewhere(loop.call_soon_threadsafe, int)


@requires("THREAD-CALL_SOON_THREADSAFE-05")
def test_the_callback_runs_in_the_context_given(new_loop: Factory) -> None:
    """context= selects the Context, the very object; also an empty one, which is false."""
    loop = new_loop()
    COLOUR.set("runner's")
    seen: list[str] = []
    coloured, empty = contextvars.Context(), contextvars.Context()
    coloured.run(COLOUR.set, "red")

    def submit() -> None:
        COLOUR.set("submitter's")
        loop.call_soon_threadsafe(lambda: seen.append(COLOUR.get()), context=coloured)
        loop.call_soon_threadsafe(lambda: seen.append(COLOUR.get()), context=empty)
        loop.call_soon_threadsafe(COLOUR.set, "callback's", context=coloured)

    contextvars.copy_context().run(elsewhere, submit)
    run_once(loop)
    assert seen == ["red", "unset"]
    assert coloured[COLOUR] == "callback's"


@requires("THREAD-CALL_SOON_THREADSAFE-05")
def test_without_context_that_of_the_submitting_thread_is_copied(new_loop: Factory) -> None:
    """The callback sees the variables of the thread that submitted it, as they were, and not those of the loop's."""
    loop = new_loop()
    seen: list[str] = []

    def submit() -> None:
        COLOUR.set("submitter's")
        loop.call_soon_threadsafe(lambda: seen.append(COLOUR.get()))
        loop.call_soon_threadsafe(COLOUR.set, "callback's")
        COLOUR.set("submitter's, later")
        seen.append(COLOUR.get())

    def run() -> None:
        COLOUR.set("runner's")
        elsewhere(submit)
        run_once(loop)
        seen.append(COLOUR.get())

    contextvars.copy_context().run(run)
    assert seen == ["submitter's, later", "submitter's", "runner's"]


@requires("THREAD-CALL_SOON_THREADSAFE-06")
def test_it_returns_a_handle(new_loop: Factory) -> None:
    """call_soon_threadsafe() returns an asyncio.Handle in whatever thread it is called."""
    loop = new_loop()
    assert isinstance(loop.call_soon_threadsafe(int), asyncio.Handle)
    assert isinstance(elsewhere(loop.call_soon_threadsafe, int), asyncio.Handle)


@requires("THREAD-CALL_SOON_THREADSAFE-06")
def test_a_callback_cancelled_in_the_loops_thread_does_not_run(new_loop: Factory) -> None:
    """The handle of a submission can be cancelled between runs and by callbacks that run before its turn."""
    loop = new_loop()
    ran: list[str] = []
    handles = [elsewhere(loop.call_soon_threadsafe, lambda: ran.append("between runs"))]
    handles[0].cancel()
    loop.call_soon(lambda: handles[1].cancel())
    handles.append(elsewhere(loop.call_soon_threadsafe, lambda: ran.append("by a callback")))
    elsewhere(loop.call_soon_threadsafe, lambda: ran.append("kept"))
    run_once(loop)
    run_once(loop)
    assert ran == ["kept"]


@requires("THREAD-CALL_SOON_THREADSAFE-07")
def test_a_callback_cancelled_by_its_submitter_does_not_run(new_loop: Factory) -> None:
    """While the loop runs a callback, another thread submits and cancels: what was cancelled does not run."""
    loop = new_loop()
    ran: list[int] = []

    def submit() -> None:
        for number in range(100):
            handle = loop.call_soon_threadsafe(lambda number=number: ran.append(number))  # type: ignore[misc]
            if number % 2:
                handle.cancel()

    loop.call_soon(elsewhere, submit)
    run_once(loop)
    run_once(loop)
    assert ran == list(range(0, 100, 2))


@requires("THREAD-CALL_SOON_THREADSAFE-07")
def test_no_callback_starts_after_cancel_has_returned(new_loop: Factory) -> None:
    """Racing with the loop, a submitter whose cancel() came back never sees its callback start afterwards."""
    loop = new_loop()
    order: list[int] = []
    with loop_in_thread(loop):
        for number in range(500):
            # The callback is a builtin: no other thread runs between its start and its end.
            loop.call_soon_threadsafe(order.append, number, context=None).cancel()
            order.append(~number)
    came_back = {~entry: position for position, entry in enumerate(order) if entry < 0}
    late = [entry for position, entry in enumerate(order) if entry >= 0 and position > came_back[entry]]
    assert late == [], f"{len(late)} callbacks started after their cancel() had returned"


@requires("THREAD-CALL_SOON_THREADSAFE-09")
async def test_in_the_loops_thread_it_is_call_soon(loop: asyncio.AbstractEventLoop) -> None:
    """Calls of call_soon() and call_soon_threadsafe() in the loop's thread share one queue, in order."""
    order: list[int] = []
    for number in range(20):
        (loop.call_soon_threadsafe if number % 3 else loop.call_soon)(order.append, number)
    assert order == [], "a callback ran inside the call"
    await asyncio.sleep(0)
    assert order == list(range(20))


@requires("THREAD-CALL_SOON_THREADSAFE-09")
async def test_in_a_callback_it_queues_for_the_next_batch(loop: asyncio.AbstractEventLoop) -> None:
    """Submissions that a callback makes to its own loop run after the batch."""
    order: list[str] = []

    def callback(name: str) -> None:
        order.append(name)
        loop.call_soon_threadsafe(order.append, f"{name} 1")

    loop.call_soon(callback, "a")
    loop.call_soon(callback, "b")
    await asyncio.sleep(0)
    assert order == ["a", "b"]
    await asyncio.sleep(0)
    assert order == ["a", "b", "a 1", "b 1"]


@requires("THREAD-CALL_SOON_THREADSAFE-09")
def test_a_callback_that_resubmits_itself_can_be_stopped(new_loop: Factory) -> None:
    """A callback that submits itself to its own loop forever lets timers fall due."""
    loop = new_loop()
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if turns < 200_000:
            loop.call_soon_threadsafe(turn)
        else:
            loop.stop()

    loop.call_soon(turn)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert 0 < turns < 200_000, "the timer never fired"


@requires("THREAD-CALL_SOON_THREADSAFE-10")
def test_submissions_made_before_the_first_run_are_run(new_loop: Factory) -> None:
    """What threads submit to a loop that never ran is run, in order, by the first run."""
    loop = new_loop()
    order: list[str] = []
    loop.call_soon_threadsafe(order.append, "this thread")
    elsewhere(loop.call_soon_threadsafe, order.append, "another thread")
    loop.call_soon(order.append, "call_soon")
    run_once(loop)
    assert order == ["this thread", "another thread", "call_soon"]


@requires("THREAD-CALL_SOON_THREADSAFE-10")
def test_submissions_made_between_runs_are_run(new_loop: Factory) -> None:
    """What threads submit to a stopped loop is run by the next run, in each of several rounds."""
    loop = new_loop()
    order: list[int] = []
    for number in range(5):
        run_once(loop)
        elsewhere(loop.call_soon_threadsafe, order.append, number)
        assert len(order) == number, "a callback ran while the loop was stopped"
    run_once(loop)
    assert order == [0, 1, 2, 3, 4]


@requires("THREAD-CALL_SOON_THREADSAFE-10")
def test_a_stop_submitted_before_the_run_ends_it(new_loop: Factory) -> None:
    """A submitted stop() that is all there is ends the run it meets."""
    loop = new_loop()
    for _ in range(3):
        elsewhere(loop.call_soon_threadsafe, loop.stop)
        loop.run_forever()
    assert not loop.is_running()


@requires("THREAD-CALL_SOON_THREADSAFE-16")
def test_references_are_let_go_after_the_call(new_loop: Factory) -> None:
    """A submission keeps callback and arguments alive until it has run, and not longer."""
    loop = new_loop()

    class Thing:
        def __call__(self, *_: object) -> None:
            pass

    things = [Thing() for _ in range(3)]
    references = [weakref.ref(thing) for thing in things]
    elsewhere(loop.call_soon_threadsafe, *things)
    things.clear()
    assert all(reference() is not None for reference in references)
    run_once(loop)
    run_once(loop)
    assert [reference() for reference in references] == [None] * 3
