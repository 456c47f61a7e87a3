"""Async generators that are collected: the loop that began them closes them, in its own thread, while it is open."""

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Numbers = AsyncGenerator[int, None]


async def begin(generator: Numbers) -> None:
    """Take the first number; in a coroutine, because already the call of anext() fixes the hooks of a generator."""
    await anext(generator)


async def noting(note: Callable[[], object], turns: int = 1) -> Numbers:
    """Yield numbers; when closed, wait for some turns of the loop and then call ``note``."""
    try:
        for number in range(1000):
            yield number
    finally:
        for _ in range(turns):
            await asyncio.sleep(0)
        note()


def run_turns(loop: asyncio.AbstractEventLoop, turns: int = 50) -> None:
    """Run the loop for so many of its turns."""
    loop.call_soon(stop_after, loop, turns)
    loop.run_forever()


def stop_after(loop: asyncio.AbstractEventLoop, left: int) -> None:
    """Stop the running loop after so many turns."""
    loop.call_soon(stop_after, loop, left - 1) if left else loop.stop()


@requires("LIFE-ASYNCGEN_HOOKS-01")
@pytest.mark.parametrize("how", ["last reference", "cycle"])
async def test_a_collected_generator_is_closed_by_a_task(loop: asyncio.AbstractEventLoop, how: str) -> None:
    """The cleanup of a partly consumed generator that is collected runs as a task of the loop, with its awaits."""
    seen: list[object] = []

    def note() -> None:
        seen.append((asyncio._get_running_loop() is loop, asyncio.current_task() in (None, outer)))

    outer = asyncio.current_task()
    generator = noting(note, turns=3)
    await anext(generator)
    if how == "cycle":
        cycle: list[Any] = [generator]
        cycle.append(cycle)
        del cycle
    del generator
    gc.collect()
    assert seen == [], "the cleanup ran inside the collection"
    for _ in range(1000):
        await asyncio.sleep(0)
    assert seen == [(True, False)], "(the loop runs it, it runs outside of a task of its own)"


@requires("LIFE-ASYNCGEN_HOOKS-01")
async def test_a_loop_left_with_break_closes_its_generator(loop: asyncio.AbstractEventLoop) -> None:
    """An async for that is left with break has its generator closed soon, without anybody awaiting it."""
    closed: list[str] = []
    async for number in noting(lambda: closed.append("closed")):
        if number == 3:
            break
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    assert closed == ["closed"]


@requires("LIFE-ASYNCGEN_HOOKS-01")
async def test_an_error_in_the_cleanup_of_a_collected_generator_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """An error of a collected generator's cleanup reaches the exception handler, and the loop goes on."""
    error = LookupError("in the cleanup")

    async def failing() -> Numbers:
        try:
            yield 1
        finally:
            raise error

    async for _ in failing():
        break
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0)
    assert [report.get("exception") for report in reports] == [error]


@requires("LIFE-ASYNCGEN_HOOKS-01")
def test_a_generator_collected_between_runs_is_closed_in_the_next(loop: asyncio.AbstractEventLoop) -> None:
    """A generator collected while the loop is open and does not run is closed once it runs again."""
    closed: list[str] = []
    generator = noting(lambda: closed.append("closed"))
    loop.run_until_complete(begin(generator))
    del generator
    gc.collect()
    assert closed == [], "the cleanup ran although the loop does not run"
    run_turns(loop)
    assert closed == ["closed"]


@requires("LIFE-ASYNCGEN_HOOKS-01", "LIFE-ASYNCGEN_HOOKS-02")
def test_a_generator_collected_in_the_run_of_another_loop_goes_home(new_loop: NewLoop) -> None:
    """A generator begun by one loop and collected while another runs is closed by the first."""
    one, other = new_loop(), new_loop()
    ran: list[object] = []
    generator: list[Numbers] = [noting(lambda: ran.append(asyncio._get_running_loop()))]
    one.run_until_complete(begin(generator[0]))

    async def collect() -> None:
        generator.clear()
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)

    other.run_until_complete(collect())
    assert ran == [], "the loop that happened to run closed a generator of another"
    run_turns(one)
    assert ran == [one]


@requires("LIFE-ASYNCGEN_HOOKS-02")
def test_a_generator_collected_in_another_thread_is_closed_at_home(loop: asyncio.AbstractEventLoop) -> None:
    """A generator whose last reference a thread drops is closed in the thread of its loop, which is woken for it."""
    where: list[threading.Thread] = []
    closed = threading.Event()

    def note() -> None:
        where.append(threading.current_thread())
        closed.set()

    with loop_in_thread(loop) as thread:
        for _ in range(20):
            closed.clear()
            where.clear()
            generator: list[Numbers] = [noting(note, turns=2)]
            asyncio.run_coroutine_threadsafe(begin(generator[0]), loop).result(5)
            generator.clear()
            gc.collect()
            assert closed.wait(5), "the idle loop was not woken to close the generator"
            assert where == [thread]


@requires("LIFE-ASYNCGEN_HOOKS-02")
def test_generators_collected_by_a_thread_while_the_loop_does_not_run(loop: asyncio.AbstractEventLoop) -> None:
    """Generators whose last reference a thread drops between two runs are all closed in the next run."""
    closed: list[int] = []
    generators = [noting(lambda number=number: closed.append(number)) for number in range(50)]  # type: ignore[misc]
    for generator in generators:
        loop.run_until_complete(begin(generator))
    del generator
    with Background(generators.clear):
        pass
    gc.collect()
    assert closed == []
    run_turns(loop)
    assert sorted(closed) == list(range(50))


@requires("LIFE-ASYNCGEN_HOOKS-03")
@pytest.mark.parametrize("where", ["same thread", "other thread", "run of another loop"])
def test_a_generator_collected_after_close_is_dropped(new_loop: NewLoop, where: str) -> None:
    """A generator collected after its loop was closed raises nothing and is not scheduled anywhere."""
    loop = new_loop()
    closed: list[str] = []
    generators = [noting(lambda: closed.append("closed"))]
    loop.run_until_complete(begin(generators[0]))
    loop.close()
    unraisable: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        if where == "same thread":
            generators.clear()
        elif where == "other thread":
            with Background(generators.clear):
                pass
        else:
            other = new_loop()
            other.call_soon(generators.clear)
            run_turns(other)
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert closed == []
    assert unraisable == [], "the finalizer hook of a closed loop raised"


@requires("LIFE-ASYNCGEN_HOOKS-03")
def test_a_shutdown_before_close_leaves_nothing_to_finalize(new_loop: NewLoop) -> None:
    """Generators closed by the shutdown are collected after close() without a trace."""
    loop = new_loop()
    closed: list[str] = []
    generator = noting(lambda: closed.append("closed"))
    loop.run_until_complete(begin(generator))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert closed == ["closed"]
    del generator
    gc.collect()
    assert closed == ["closed"]
