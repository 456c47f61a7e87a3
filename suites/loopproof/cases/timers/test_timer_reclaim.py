"""What timers hold is let go: cancelled ones before their time, those that ran, and those of a loop that is gone."""

import asyncio
import gc
import sys
import weakref
from collections.abc import Callable

import pytest

from loopproof.authoring import requires
from loopproof.authoring.idling import idle

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Token:
    """Something whose life can be watched."""

    def __call__(self, *_: object) -> None:
        """Do nothing, as a callback."""


def iterate(loop: asyncio.AbstractEventLoop, count: int = 3) -> None:
    """Let the loop make some iterations."""
    for _ in range(count):
        loop.call_soon(loop.stop)
        loop.run_forever()


def blocks() -> int:
    """The number of memory blocks that the interpreter has handed out, after a garbage collection."""
    gc.collect()
    return sys.getallocatedblocks()


@requires("TIMER-TIMERHANDLE_CANCEL-03")
@pytest.mark.parametrize("living", [0, 50])
def test_cancelled_timers_are_reclaimed(loop: asyncio.AbstractEventLoop, living: int) -> None:
    """Tens of thousands of timers that are cancelled long before their deadlines do not stay in memory."""
    kept = [loop.call_later(1800 + number, int) for number in range(living)]
    iterate(loop)
    before = blocks()
    for _ in range(10):
        for number in range(1000):
            loop.call_later(3600 + number % 7, int).cancel()
        iterate(loop)
    grown = blocks() - before
    for timer in kept:
        timer.cancel()
    assert grown < 5000, f"10,000 timers were set and cancelled, and {grown} memory blocks stay for them"


@requires("TIMER-TIMERHANDLE_CANCEL-03")
def test_timeouts_that_do_not_expire_are_reclaimed(loop: asyncio.AbstractEventLoop) -> None:
    """A timeout around each of thousands of short operations leaves nothing behind."""

    async def operations(count: int) -> None:
        for _ in range(count):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)

    loop.run_until_complete(operations(200))
    before = blocks()
    loop.run_until_complete(operations(2000))
    grown = blocks() - before
    assert grown < 1000, f"2,000 timeouts that did not expire leave {grown} memory blocks"


@requires("TIMER-TIMERHANDLE_CANCEL-03")
def test_timers_cancelled_while_the_loop_is_stopped_are_reclaimed(loop: asyncio.AbstractEventLoop) -> None:
    """Timers that are cancelled while the loop does not run are let go when it runs again."""
    before = blocks()
    timers = [loop.call_later(3600, int) for _ in range(5000)]
    for timer in timers:
        timer.cancel()
    del timers, timer
    iterate(loop)
    grown = blocks() - before
    assert grown < 2500, f"5,000 timers were cancelled between two runs, and {grown} memory blocks stay for them"


@requires("TIMER-TIMERHANDLE_CANCEL-06")
@pytest.mark.parametrize("delay", [0, 0.001, 3600])
def test_cancel_lets_go_of_callback_and_arguments(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """cancel() lets go of callback and arguments at once, though the handle is kept."""
    callback, argument = Token(), Token()
    references = weakref.ref(callback), weakref.ref(argument)
    timer = loop.call_later(delay, callback, argument)
    del callback, argument
    assert all(reference() is not None for reference in references)
    timer.cancel()
    gc.collect()
    assert [reference() for reference in references] == [None, None], "a cancelled timer keeps callback or arguments"


@requires("TIMER-CALL_LATER-21")
@pytest.mark.parametrize("delay", [0, 0.001])
def test_a_timer_that_ran_lets_go_of_callback_and_arguments(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    """When a timer has run and nobody keeps its handle, callback and arguments are gone an iteration later."""
    callback, argument = Token(), Token()
    references = weakref.ref(callback), weakref.ref(argument)
    loop.call_later(delay, callback, argument)
    del callback, argument
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    iterate(loop)
    gc.collect()
    assert [reference() for reference in references] == [None, None], "a timer that ran keeps callback or arguments"


@requires("TIMER-CALL_LATER-21")
def test_a_pending_timer_keeps_callback_and_arguments(loop: asyncio.AbstractEventLoop) -> None:
    """The loop alone keeps a pending timer, its callback and its arguments alive through garbage collections."""
    order: list[str] = []

    class Callback:
        def __call__(self, text: list[str]) -> None:
            order.extend(text)
            loop.stop()

    loop.call_later(0.001, Callback(), ["called"])
    gc.collect()
    loop.call_soon(gc.collect)
    loop.run_forever()
    assert order == ["called"]


@requires("TIMER-CALL_LATER-22")
@pytest.mark.parametrize("state", ["pending", "due", "cancelled"])
def test_close_lets_go_of_what_timers_hold(new_loop: NewLoop, state: str) -> None:
    """close() lets go of the callbacks and arguments of timers."""
    loop = new_loop()
    callback, argument = Token(), Token()
    references = weakref.ref(callback), weakref.ref(argument)
    timer = loop.call_later(0 if state == "due" else 3600, callback, argument)
    if state == "cancelled":
        timer.cancel()
    del callback, argument, timer
    iterate(loop, 0)
    loop.close()
    gc.collect()
    assert [reference() for reference in references] == [None, None], "a closed loop keeps what its timers held"


@requires("TIMER-CALL_LATER-22")
@pytest.mark.parametrize("ran", [True, False])
def test_a_closed_loop_with_pending_timers_is_collected(loop_factory: NewLoop, ran: bool) -> None:
    """A loop that was closed with pending timers is collected, though their arguments refer to the loop."""
    loop = loop_factory()
    tokens = [Token() for _ in range(3)]
    references = [weakref.ref(token) for token in tokens]
    for token in tokens:
        loop.call_later(3600, token, loop)
    del tokens, token
    if ran:
        iterate(loop, 1)
    loop.close()
    del loop
    gc.collect()
    left = sum(reference() is not None for reference in references)
    assert not left, f"after the loop was dropped, {left} of its 3 timers are still there"


@requires("TIMER-TIMERHANDLE_WHEN-02")
def test_a_handle_outlives_its_loop(loop_factory: NewLoop) -> None:
    """A handle that is kept when its loop is closed and dropped can be printed, cancelled and asked."""
    loop = loop_factory()
    timers = [loop.call_later(delay, int) for delay in (0, 3600)]
    iterate(loop, 1)
    loop.close()
    del loop
    gc.collect()
    for timer in timers:
        assert repr(timer)
        timer.cancel()


@requires("TIMER-TIMERHANDLE_CANCEL-04")
@pytest.mark.parametrize("cancelled", ["before the run", "during the run"])
def test_a_cancelled_nearest_timer_is_no_reason_to_spin(loop: asyncio.AbstractEventLoop, cancelled: str) -> None:
    """While only cancelled and distant timers are there, the thread of the loop uses next to no processor time."""
    near = [loop.call_later(0.002, int) for _ in range(3)]
    far = loop.call_later(3600, int)

    def cancel_near() -> None:
        for timer in near:
            timer.cancel()

    if cancelled == "during the run":
        loop.call_soon(cancel_near)
    else:
        cancel_near()

    iterate(loop, 1)
    loop.run_until_complete(idle())
    far.cancel()
