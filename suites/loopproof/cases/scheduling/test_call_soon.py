"""call_soon: never at once, in order, exactly once, whenever it is called."""

import asyncio
import collections
from collections.abc import Callable

import pytest

from loopproof.authoring import requires

Factory = Callable[[], asyncio.AbstractEventLoop]


@requires("SCHED-CALL_SOON-01")
@pytest.mark.parametrize("arguments", [0, 1, 2, 8])
async def test_the_callback_does_not_run_inside_call_soon(loop: asyncio.AbstractEventLoop, arguments: int) -> None:
    """call_soon() called in a coroutine returns before the callback runs, however many arguments it takes."""
    ran: list[str] = []
    loop.call_soon(lambda *_: ran.append("callback"), *range(arguments))
    assert ran == [], "the callback ran before call_soon() returned"
    await asyncio.sleep(0)
    assert ran == ["callback"]


@requires("SCHED-CALL_SOON-01")
def test_the_callback_does_not_run_inside_call_soon_of_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    """call_soon() called in a callback returns before the new callback runs."""
    log: list[str] = []

    def outer() -> None:
        log.append("outer begins")
        loop.call_soon(log.append, "inner")
        log.append("outer ends")
        loop.call_soon(loop.stop)

    loop.call_soon(outer)
    loop.run_forever()
    assert log == ["outer begins", "outer ends", "inner"]


@requires("SCHED-CALL_SOON-01")
def test_the_callback_does_not_run_while_the_loop_is_stopped(new_loop: Factory) -> None:
    """On a loop that does not run, call_soon() only queues."""
    loop = new_loop()
    ran: list[int] = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(ran.append, 2)
    assert ran == []


@requires("SCHED-CALL_SOON-02")
async def test_callbacks_run_in_the_order_of_registration(loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks run in the order in which they were registered."""
    order: list[int] = []
    done = loop.create_future()
    for number in range(5):
        loop.call_soon(order.append, number)
    loop.call_soon(done.set_result, None)
    await done
    assert order == [0, 1, 2, 3, 4]


@requires("SCHED-CALL_SOON-02")
def test_callbacks_registered_before_and_during_a_run_keep_their_order(new_loop: Factory) -> None:
    """What was queued before the run comes before what callbacks of the run queue."""
    loop = new_loop()
    order: list[str] = []

    def first() -> None:
        order.append("first")
        loop.call_soon(order.append, "queued by first")
        loop.call_soon(loop.stop)

    loop.call_soon(first)
    loop.call_soon(order.append, "second")
    loop.call_soon(order.append, "third")
    loop.run_forever()
    assert order == ["first", "second", "third", "queued by first"]


@requires("SCHED-CALL_SOON-02")
def test_order_survives_cancelled_neighbours(new_loop: Factory) -> None:
    """Cancelling some of the queued callbacks leaves the order of the others as it was."""
    loop = new_loop()
    order: list[int] = []
    handles = [loop.call_soon(order.append, number) for number in range(64)]
    for handle in handles[::3]:
        handle.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    others = [number for number in order if number % 3]
    assert others == [number for number in range(64) if number % 3]


@requires("SCHED-CALL_SOON-02")
def test_order_holds_across_callbacks_that_fail(loop: asyncio.AbstractEventLoop, reports: list[object]) -> None:
    """Callbacks that raise neither drop nor delay those behind them."""
    order: list[int] = []

    def fail(number: int) -> None:
        order.append(number)
        raise ZeroDivisionError(number)

    for number in range(40):
        loop.call_soon(fail if number % 2 else order.append, number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == list(range(40))


@requires("SCHED-CALL_SOON-03")
def test_each_registration_runs_exactly_once(new_loop: Factory) -> None:
    """Over many further iterations a callback that ran is not run again."""
    loop = new_loop()
    counts: collections.Counter[int] = collections.Counter()
    kept = [loop.call_soon(counts.update, [number]) for number in range(20)]  # handles that live on

    def turn(left: int) -> None:
        if left:
            loop.call_soon(turn, left - 1)
        else:
            loop.stop()

    loop.call_soon(turn, 30)
    loop.run_forever()
    assert counts == dict.fromkeys(range(len(kept)), 1)


@requires("SCHED-CALL_SOON-03")
def test_a_callback_that_ran_is_not_run_again_by_the_next_run(new_loop: Factory) -> None:
    """Running the loop again does not repeat callbacks of the run before."""
    loop = new_loop()
    ran: list[str] = []
    loop.call_soon(ran.append, "first run")
    loop.call_soon(loop.stop)
    loop.run_forever()
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert ran == ["first run"]


@requires("SCHED-CALL_SOON-03")
def test_a_callback_whose_handle_was_dropped_still_runs(new_loop: Factory) -> None:
    """The loop itself keeps a queued callback alive; nobody has to hold the handle."""
    loop = new_loop()
    ran: list[int] = []
    for number in range(100):
        handle = loop.call_soon(ran.append, number)
        del handle
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == list(range(100))


@requires("SCHED-CALL_SOON-05")
async def test_the_returned_object_is_a_handle(loop: asyncio.AbstractEventLoop) -> None:
    """call_soon() returns an asyncio.Handle, so that isinstance() checks of portable code hold."""
    handle = loop.call_soon(int)
    assert isinstance(handle, asyncio.Handle), f"call_soon() returned {handle!r}"
    assert not isinstance(handle, asyncio.TimerHandle), "call_soon() returned a TimerHandle"


@requires("SCHED-CALL_SOON-05")
async def test_each_call_returns_a_handle_of_its_own(loop: asyncio.AbstractEventLoop) -> None:
    """Two registrations of the same callback have two handles."""
    first, second = loop.call_soon(int), loop.call_soon(int)
    assert first is not second


@requires("SCHED-CALL_SOON-09")
def test_callbacks_queued_before_the_first_run_are_run_by_it(new_loop: Factory) -> None:
    """A loop that never ran accepts callbacks; the first run starts with them."""
    loop = new_loop()
    ran: list[str] = []
    loop.call_soon(ran.append, "queued before")

    async def main() -> None:
        ran.append("main")

    loop.run_until_complete(main())
    assert ran == ["queued before", "main"]


@requires("SCHED-CALL_SOON-09")
def test_callbacks_queued_between_runs_are_run_by_the_next(new_loop: Factory) -> None:
    """A stopped loop accepts callbacks; they run in order, before those of the next run."""
    loop = new_loop()
    order: list[str] = []
    for turn in range(3):
        loop.call_soon(order.append, f"{turn} first")
        loop.call_soon(order.append, f"{turn} second")
        loop.call_soon(loop.stop)
        assert len(order) == 2 * turn, "a callback ran while the loop was stopped"
        loop.run_forever()
    assert order == ["0 first", "0 second", "1 first", "1 second", "2 first", "2 second"]


@requires("SCHED-CALL_SOON-09", "SCHED-CALL_SOON-02")
def test_what_a_stopped_run_left_comes_before_what_is_queued_after_it(new_loop: Factory) -> None:
    """Callbacks that the last batch of a run queued precede those registered after the run."""
    loop = new_loop()
    order: list[str] = []

    def last() -> None:
        loop.call_soon(order.append, "left by the first run")
        loop.stop()

    loop.call_soon(last)
    loop.run_forever()
    loop.call_soon(order.append, "queued between")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["left by the first run", "queued between"]


@requires("SCHED-CALL_SOON-10")
@pytest.mark.parametrize("arguments", [0, 1, 2])
def test_the_same_callable_runs_once_for_each_registration(new_loop: Factory, arguments: int) -> None:
    """Registering one callable with the same arguments five times runs it five times."""
    loop = new_loop()
    ran: list[int] = []

    def callback(*_: int) -> None:
        ran.append(len(ran))

    for _ in range(5):
        loop.call_soon(callback, *range(arguments))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [0, 1, 2, 3, 4]


@requires("SCHED-HANDLE_CANCEL-01")
def test_cancelling_one_registration_leaves_the_others_of_the_same_callable(new_loop: Factory) -> None:
    """A handle stands for one registration, not for the callable and its arguments."""
    loop = new_loop()
    ran: list[str] = []
    handles = [loop.call_soon(ran.append, "same") for _ in range(4)]
    handles[1].cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(ran) == 3


@requires("SCHED-CALL_SOON-14")
def test_the_return_value_of_a_callback_is_ignored(loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks may return anything, also exceptions, False, handles and the loop, without consequence."""
    values = [None, False, 0, "text", ValueError("not raised"), StopIteration(), loop, NotImplemented, object()]
    left = list(values)
    handle = loop.call_soon(int)
    values.append(handle)
    left.append(handle)
    for _ in values:
        loop.call_soon(left.pop)
    loop.call_soon(loop.call_soon, loop.call_soon, left.append, "third turn")
    loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)
    loop.run_forever()
    assert left == ["third turn"], "a value that a callback returned ended the run or the batch"


@requires("SCHED-CALL_SOON-14")
def test_a_future_returned_by_a_callback_is_not_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    """A callback that returns a pending future does not delay the callbacks behind it."""
    order: list[str] = []
    pending = loop.create_future()

    def callback() -> "asyncio.Future[None]":
        order.append("returned a pending future")
        return pending

    loop.call_soon(callback)
    loop.call_soon(order.append, "next")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == ["returned a pending future", "next"]
    assert not pending.done()


@requires("SCHED-CALL_SOON-02", "SCHED-CALL_SOON-03")
def test_a_hundred_thousand_callbacks_run_in_order_and_once(new_loop: Factory) -> None:
    """A queue that grows far beyond any initial capacity keeps order and loses nothing."""
    loop = new_loop()
    order: list[int] = []
    for number in range(100_000):
        loop.call_soon(order.append, number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(order) == 100_000, f"100000 callbacks were queued, {len(order)} calls were made"
    assert order == list(range(100_000))


@requires("SCHED-CALL_SOON-02", "SCHED-CALL_SOON-06")
def test_a_queue_that_is_filled_while_it_is_emptied_keeps_order(new_loop: Factory) -> None:
    """Callbacks that queue two more each, over several doublings, run level by level in order."""
    loop = new_loop()
    order: list[int] = []

    def visit(node: int) -> None:
        order.append(node)
        if node < 2**11:
            loop.call_soon(visit, 2 * node)
            loop.call_soon(visit, 2 * node + 1)
        elif node == 2**12 - 1:
            loop.stop()

    loop.call_soon(visit, 1)
    loop.run_forever()
    assert order == list(range(1, 2**12))


@requires("SCHED-CALL_SOON-03", "SCHED-CALL_SOON-06")
def test_a_chain_of_ten_thousand_callbacks_runs_to_its_end(new_loop: Factory) -> None:
    """A callback that queues its successor, 10,000 times, neither stops early nor exhausts a stack."""
    loop = new_loop()
    steps: list[int] = []

    def step(left: int) -> None:
        steps.append(left)
        if left:
            loop.call_soon(step, left - 1)
        else:
            loop.stop()

    loop.call_soon(step, 10_000)
    loop.run_forever()
    assert steps == list(range(10_000, -1, -1))
