"""Handle.cancel: before, during and after the callback, from every place there is."""

import asyncio
import random
from collections.abc import Callable

import pytest

from loopproof.authoring import requires

Factory = Callable[[], asyncio.AbstractEventLoop]


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


@requires("SCHED-HANDLE_CANCEL-01")
@pytest.mark.parametrize("arguments", [0, 1, 2, 3, 8])
def test_a_cancelled_callback_never_runs(new_loop: Factory, arguments: int) -> None:
    """cancel() before the callback ran prevents it, whatever the number of its arguments."""
    loop = new_loop()
    ran: list[object] = []

    def callback(*given: object) -> None:
        ran.append(given)

    handle = loop.call_soon(callback, *range(arguments))
    handle.cancel()
    for _ in range(3):
        run_once(loop)
    assert ran == [], "a cancelled callback was called"


@requires("SCHED-HANDLE_CANCEL-01")
async def test_cancel_takes_effect_while_the_loop_runs(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that is queued and cancelled within one step of a task does not run."""
    ran: list[str] = []
    loop.call_soon(ran.append, "cancelled").cancel()
    loop.call_soon(ran.append, "kept")
    await asyncio.sleep(0)
    assert ran == ["kept"]


@requires("SCHED-HANDLE_CANCEL-01")
def test_cancel_between_runs_takes_effect(new_loop: Factory) -> None:
    """What one run left queued can be cancelled before the next."""
    loop = new_loop()
    ran: list[str] = []
    left: list[asyncio.Handle] = []

    def last() -> None:
        left.append(loop.call_later(0.001, ran.append, "timer"))
        left.append(loop.call_soon(ran.append, "soon"))
        left[1].cancel()

    loop.call_soon(last)
    run_once(loop)
    left[0].cancel()
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert ran == []


@requires("SCHED-HANDLE_CANCEL-01")
def test_cancelling_everything_leaves_a_loop_that_works(new_loop: Factory) -> None:
    """With all of 1,000 callbacks cancelled none runs, and new ones do."""
    loop = new_loop()
    ran: list[object] = []
    for handle in [loop.call_soon(ran.append, number) for number in range(1000)]:
        handle.cancel()
    loop.call_soon(ran.append, "after")
    run_once(loop)
    assert ran == ["after"]


@requires("SCHED-HANDLE_CANCEL-01")
def test_a_random_half_of_many_is_cancelled_exactly(new_loop: Factory) -> None:
    """Of 20,000 queued callbacks exactly those that are not cancelled run, in order."""
    loop = new_loop()
    ran: list[int] = []
    handles = [loop.call_soon(ran.append, number) for number in range(20_000)]
    doomed = set(random.Random(7).sample(range(20_000), 10_000))
    for number in doomed:
        handles[number].cancel()
    run_once(loop)
    assert len(ran) == 10_000
    assert ran == [number for number in range(20_000) if number not in doomed]


@requires("SCHED-HANDLE_CANCEL-02")
def test_cancel_returns_none_and_can_be_repeated(new_loop: Factory) -> None:
    """cancel() returns None each time, before the turn of the callback, after it and after close()."""
    loop = new_loop()
    ran: list[str] = []
    handle = loop.call_soon(ran.append, "cancelled")
    results: list[object] = [handle.cancel(), handle.cancel()]  # type: ignore[func-returns-value]
    run_once(loop)
    results.append(handle.cancel())  # type: ignore[func-returns-value]
    loop.close()
    results.append(handle.cancel())  # type: ignore[func-returns-value]
    assert results == [None] * 4
    assert ran == []


@requires("SCHED-HANDLE_CANCEL-02")
def test_cancelling_a_handle_twice_leaves_others_alone(new_loop: Factory) -> None:
    """A second cancel() of one handle does not count against any other callback."""
    loop = new_loop()
    ran: list[int] = []
    handles = [loop.call_soon(ran.append, number) for number in range(5)]
    for _ in range(10):
        handles[2].cancel()
    run_once(loop)
    assert ran == [0, 1, 3, 4]


@requires("SCHED-HANDLE_CANCEL-03")
def test_cancel_after_the_callback_ran_has_no_effect(new_loop: Factory) -> None:
    """A handle whose callback has run can be cancelled; nothing is undone, repeated or raised."""
    loop = new_loop()
    ran: list[str] = []
    handle = loop.call_soon(ran.append, "callback")
    run_once(loop)
    handle.cancel()
    run_once(loop)
    assert ran == ["callback"]


@requires("SCHED-HANDLE_CANCEL-03")
def test_handles_kept_from_earlier_never_cancel_later_callbacks(new_loop: Factory) -> None:
    """Cancelling handles whose callbacks ran does not touch callbacks queued since, however handles are recycled."""
    loop = new_loop()
    ran: list[tuple[str, int]] = []
    old = [loop.call_soon(ran.append, ("old", number)) for number in range(300)]
    run_once(loop)
    for number in range(300):  # their handles are dropped at once, those of every third callback are kept
        handle = loop.call_soon(ran.append, ("new", number))
        if number % 3 == 0:
            old.append(handle)
    for handle in old[:300]:
        handle.cancel()
    run_once(loop)
    assert ran == [(age, number) for age in ("old", "new") for number in range(300)]


@requires("SCHED-HANDLE_CANCEL-03")
async def test_a_handle_cancelled_after_its_turn_in_the_same_batch_cancels_nothing(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """A handle that ran, is cancelled and dropped by the next callback takes no later callback with it."""
    ran: list[str] = []
    kept: list[asyncio.Handle] = []

    def cancel_the_earlier() -> None:
        kept.pop().cancel()
        loop.call_soon(ran.append, "queued by the canceller")

    kept.append(loop.call_soon(ran.append, "earlier"))
    loop.call_soon(cancel_the_earlier)
    loop.call_soon(ran.append, "later")
    for _ in range(3):
        await asyncio.sleep(0)
    assert ran == ["earlier", "later", "queued by the canceller"]


@requires("SCHED-HANDLE_CANCEL-03")
def test_cancel_after_a_failing_callback_has_no_effect(loop: asyncio.AbstractEventLoop, reports: list[object]) -> None:
    """Also the handle of a callback that raised can be cancelled afterwards."""
    ran: list[str] = []
    handle = loop.call_soon(ran.pop)
    run_once(loop)
    handle.cancel()
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]


@requires("SCHED-HANDLE_CANCEL-04")
@pytest.mark.parametrize("distance", [1, 2, 5])
async def test_a_callback_cancels_one_that_is_queued_behind_it(loop: asyncio.AbstractEventLoop, distance: int) -> None:
    """A callback later in the same batch is skipped if an earlier one cancels its handle."""
    ran: list[int] = []
    handles: list[asyncio.Handle] = []
    loop.call_soon(lambda: handles[distance - 1].cancel())
    handles += [loop.call_soon(ran.append, number) for number in range(1, 7)]
    await asyncio.sleep(0)
    assert ran == [number for number in range(1, 7) if number != distance]


@requires("SCHED-HANDLE_CANCEL-04")
async def test_a_callback_cancels_all_of_its_batch(loop: asyncio.AbstractEventLoop) -> None:
    """A callback may cancel those before, itself and all behind it: the batch ends there, the loop goes on."""
    ran: list[object] = []
    handles: list[asyncio.Handle] = []

    def cancel_all() -> None:
        ran.append("cancel all")
        for handle in handles:
            handle.cancel()

    handles += [loop.call_soon(ran.append, number) for number in range(3)]
    handles.append(loop.call_soon(cancel_all))
    handles += [loop.call_soon(ran.append, number) for number in range(3, 50)]
    done = loop.create_future()
    loop.call_soon(loop.call_soon, done.set_result, None)
    await done
    assert ran == [0, 1, 2, "cancel all"]


@requires("SCHED-HANDLE_CANCEL-04")
async def test_the_first_of_two_that_cancel_each_other_wins(loop: asyncio.AbstractEventLoop) -> None:
    """Of two callbacks that cancel each other only the first runs."""
    ran: list[str] = []
    handles: dict[str, asyncio.Handle] = {}

    def callback(name: str, other: str) -> None:
        ran.append(name)
        handles[other].cancel()

    handles["first"] = loop.call_soon(callback, "first", "second")
    handles["second"] = loop.call_soon(callback, "second", "first")
    await asyncio.sleep(0)
    assert ran == ["first"]


@requires("SCHED-HANDLE_CANCEL-04")
async def test_a_callback_replaces_one_behind_it(loop: asyncio.AbstractEventLoop) -> None:
    """Cancelling a callback of this batch and queueing a substitute runs the substitute alone, in the next batch."""
    ran: list[str] = []
    handles: list[asyncio.Handle] = []

    def replace() -> None:
        handles[0].cancel()
        loop.call_soon(ran.append, "substitute")

    loop.call_soon(replace)
    handles.append(loop.call_soon(ran.append, "original"))
    loop.call_soon(ran.append, "neighbour")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ran == ["neighbour", "substitute"]


@requires("SCHED-HANDLE_CANCEL-04")
def test_a_callback_cancels_one_of_the_next_batch(new_loop: Factory) -> None:
    """A callback queued by one callback can be cancelled by another of the same batch."""
    loop = new_loop()
    ran: list[str] = []
    queued: list[asyncio.Handle] = []
    loop.call_soon(lambda: queued.append(loop.call_soon(ran.append, "next batch")))
    loop.call_soon(lambda: queued[0].cancel())
    run_once(loop)
    run_once(loop)
    assert ran == []


@requires("SCHED-HANDLE_CANCEL-04")
def test_cancel_from_a_callback_that_then_fails(loop: asyncio.AbstractEventLoop, reports: list[object]) -> None:
    """A cancellation made by a callback holds also if that callback raises."""
    ran: list[str] = []
    handles: list[asyncio.Handle] = []

    def cancel_and_fail() -> None:
        handles[0].cancel()
        raise ValueError

    loop.call_soon(cancel_and_fail)
    handles.append(loop.call_soon(ran.append, "cancelled"))
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]


@requires("SCHED-HANDLE_CANCEL-04", "SCHED-HANDLE_CANCEL-05")
async def test_a_finalizer_cancels_a_handle(loop: asyncio.AbstractEventLoop) -> None:
    """cancel() of a second handle by a finalizer that cancel() of a first one sets off takes effect in this batch."""
    ran: list[str] = []
    handles: list[asyncio.Handle] = []

    class Canceller:
        def __del__(self) -> None:
            handles[1].cancel()

    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(lambda _, __: ran.append("first"), Canceller(), 2))
    handles.append(loop.call_soon(lambda: ran.append("second")))
    loop.call_soon(lambda: ran.append("third"))
    await asyncio.sleep(0)
    assert ran == ["third"]


@requires("SCHED-HANDLE_CANCEL-06")
async def test_a_callback_cancels_its_own_handle(loop: asyncio.AbstractEventLoop) -> None:
    """cancel() of the running callback's own handle neither stops the call nor harms its arguments."""
    ran: list[object] = []
    handles: list[asyncio.Handle] = []
    argument = ["an", "argument"]

    def callback(first: list[str], second: int) -> None:
        handles.pop().cancel()
        ran.append((list(first), second))

    handles.append(loop.call_soon(callback, argument, 7))
    del argument
    loop.call_soon(ran.append, "next")
    await asyncio.sleep(0)
    assert ran == [(["an", "argument"], 7), "next"]


@requires("SCHED-HANDLE_CANCEL-06")
def test_a_callback_that_cancelled_itself_and_fails_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, object]]
) -> None:
    """The exception of a callback is reported although it has cancelled its own handle."""
    handles: list[asyncio.Handle] = []
    error = ValueError("after cancel")

    def callback(_: object) -> None:
        handles.pop().cancel()
        raise error

    handles.append(loop.call_soon(callback, "argument"))
    run_once(loop)
    assert len(reports) == 1, f"{len(reports)} reports instead of one"
    assert reports[0]["exception"] is error, f"reported was {reports[0]['exception']!r} instead of the callback's error"
