"""loop.time(): a float that never goes back, moves with real time, and is read when asked."""

import asyncio
import itertools
import math
import time
from collections.abc import Callable

import pytest

from loopproof.authoring import Background, needs, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@requires("TIMER-TIME-01")
async def test_never_goes_back(loop: asyncio.AbstractEventLoop) -> None:
    """time() is a float and never less than before: within a callback, from one to the next, and around timers."""
    seen: list[float] = []
    for _ in range(20):
        seen += [loop.time() for _ in range(100)]
        await asyncio.sleep(0)
    for _ in range(5):
        fired: asyncio.Future[float] = loop.create_future()
        seen.append(loop.time())
        loop.call_later(0.0005, lambda done: done.set_result(loop.time()), fired)
        seen += [await fired, loop.time()]
    assert {type(value) for value in seen} == {float}
    assert all(math.isfinite(value) for value in seen)
    back = [(one, other) for one, other in itertools.pairwise(seen) if other < one]
    assert not back, f"time() went back: {back[:3]}"


@requires("TIMER-TIME-02")
async def test_advances_with_real_time(loop: asyncio.AbstractEventLoop) -> None:
    """Over 30 ms of real time the clock advances by as much, apart from its resolution."""
    earliest, start, latest = time.monotonic(), loop.time(), time.monotonic()
    while time.monotonic() < latest + 0.03:
        await asyncio.sleep(0)
    before, end, after = time.monotonic(), loop.time(), time.monotonic()
    advanced = end - start
    tolerance = 0.012  # the coarsest clock in use ticks every 10 ms
    assert advanced >= before - latest - tolerance, f"{advanced} units in at least {before - latest} seconds"
    assert advanced <= after - earliest + tolerance, f"{advanced} units in at most {after - earliest} seconds"


@requires("TIMER-TIME-02")
@pytest.mark.parametrize("method", ["call_later", "call_at"])
async def test_advances_while_the_loop_waits(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """When a timer for 20 ms ahead runs, the clock has advanced by that, apart from its resolution."""
    start = loop.time()
    done = loop.create_future()
    getattr(loop, method)(
        0.02 if method == "call_later" else start + 0.02, lambda: done.set_result(loop.time() - start)
    )
    advanced = await done
    assert advanced >= 0.02 - 0.002, f"the clock advanced by {advanced * 1e3} ms while a timer of 20 ms was waited for"


@requires("TIMER-TIME-03")
def test_the_beginning_of_the_scale_is_free(new_loop: NewLoop) -> None:
    """Wherever its clock begins, a loop sets timers by it; two loops need not agree."""
    ran: list[int] = []
    for number in range(2):
        loop = new_loop()
        loop.call_at(loop.time() + 0.001, ran.append, number)
        loop.call_at(loop.time() + 0.003, loop.stop)
        loop.run_forever()
    assert ran == [0, 1]


@requires("TIMER-TIME-04")
def test_can_be_asked_in_every_state(loop: asyncio.AbstractEventLoop) -> None:
    """time() works before the first run, between runs and after close(), and still does not go back."""
    seen = [loop.time()]
    loop.call_soon(loop.stop)
    loop.run_forever()
    seen.append(loop.time())
    loop.close()
    seen += [loop.time(), loop.time()]
    assert {type(value) for value in seen} == {float}
    assert seen == sorted(seen), f"time() went back: {seen}"


@requires("TIMER-TIME-04")
def test_moves_while_the_loop_is_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """Between two runs time() tells the time of the call, not that of the last run."""
    loop.call_soon(loop.stop)
    loop.run_forever()
    before = loop.time()
    time.sleep(0.01)
    after = loop.time()
    assert after - before >= 0.008, f"10 ms between two runs were {(after - before) * 1e3} ms on the loop's clock"


@requires("TIMER-TIME-05")
async def test_is_not_a_value_from_the_start_of_the_iteration(loop: asyncio.AbstractEventLoop) -> None:
    """In a callback that takes long time() tells the time of the call."""
    before = loop.time()
    time.sleep(0.01)
    after = loop.time()
    assert after - before >= 0.008, f"10 ms in a callback were {(after - before) * 1e3} ms on the loop's clock"


@requires("TIMER-TIME-05")
@needs("debug")
async def test_is_not_a_value_from_the_start_of_the_iteration_in_debug_mode(loop: asyncio.AbstractEventLoop) -> None:
    """In debug mode, too, time() tells the time of the call, in a timer as in a callback."""
    loop.set_debug(True)
    loop.slow_callback_duration = 1e9
    done = loop.create_future()

    def long_timer() -> None:
        before = loop.time()
        time.sleep(0.01)
        done.set_result(loop.time() - before)

    loop.call_later(0.001, long_timer)
    passed = await done
    assert passed >= 0.008, f"10 ms in a timer were {passed * 1e3} ms on the loop's clock"


@requires("TIMER-TIME-04")
async def test_can_be_asked_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """Other threads may ask for the time while the loop runs; they see the same clock."""
    seen: list[float] = [loop.time()]
    done = loop.create_future()

    def ask() -> None:
        seen.extend(loop.time() for _ in range(200))
        loop.call_soon_threadsafe(done.set_result, None)

    with Background(ask):
        await done
    seen.append(loop.time())
    assert seen == sorted(seen), "the clock went back between a thread and the loop"
