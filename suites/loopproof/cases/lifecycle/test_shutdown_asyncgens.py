"""shutdown_asyncgens: every open async generator is closed, waited for, and its errors are reported."""

import asyncio
import gc
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Numbers = AsyncGenerator[int, None]


async def begin(generator: Numbers) -> None:
    """Take the first number; in a coroutine, because already the call of anext() fixes the hooks of a generator."""
    await anext(generator)


async def noting(closed: list[object], name: object = "closed", turns: int = 0) -> Numbers:
    """Yield numbers; when closed, wait for some turns of the loop and then note the name."""
    try:
        for number in range(1000):
            yield number
    finally:
        for _ in range(turns):
            await asyncio.sleep(0)
        closed.append(name)


async def failing(error: BaseException) -> Numbers:
    """Yield once; when closed, raise ``error``."""
    try:
        yield 1
    finally:
        raise error


async def stubborn() -> Numbers:
    """Yield once; when closed, yield again instead of ending."""
    try:
        yield 1
    finally:
        yield 2


async def catching(closed: list[object]) -> Numbers:
    """Yield once; when closed, note what was thrown in and end in peace."""
    try:
        yield 1
    except GeneratorExit as error:
        closed.append(type(error))


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
@pytest.mark.parametrize("count", [1, 3, 100])
async def test_every_open_generator_is_closed(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """aclose() runs on every async generator that was iterated in this run and is still open."""
    closed: list[object] = []
    generators = [noting(closed, number) for number in range(count)]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(closed) == list(range(count))  # type: ignore[type-var]
    for generator in generators:
        with raises(StopAsyncIteration):
            await anext(generator)


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
async def test_generators_are_closed_by_generator_exit(loop: asyncio.AbstractEventLoop) -> None:
    """What is thrown into an open generator at its yield is GeneratorExit; ending on it is no error."""
    closed: list[object] = []
    generator = catching(closed)
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert closed == [GeneratorExit]


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
@pytest.mark.parametrize("by", ["run_until_complete", "task"])
def test_generators_of_earlier_runs_are_closed(loop: asyncio.AbstractEventLoop, by: str) -> None:
    """Generators begun in several earlier runs of the loop are closed by a shutdown in a later one."""
    closed: list[object] = []
    generators = [noting(closed, number, turns=2) for number in range(3)]
    for generator in generators:
        loop.run_until_complete(begin(generator))
    shutdown = loop.shutdown_asyncgens()
    loop.run_until_complete(shutdown if by == "run_until_complete" else loop.create_task(shutdown))
    assert sorted(closed) == [0, 1, 2]  # type: ignore[type-var]


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
@pytest.mark.parametrize("begin", ["anext", "asend", "async for"])
async def test_a_generator_counts_however_it_was_begun(loop: asyncio.AbstractEventLoop, begin: str) -> None:
    """A generator whose iteration began by anext(), asend(None) or async for is closed."""
    closed: list[object] = []
    generator = noting(closed)
    if begin == "anext":
        await anext(generator)
    elif begin == "asend":
        await generator.asend(None)
    else:
        async for _ in generator:
            break
    await loop.shutdown_asyncgens()
    assert closed == ["closed"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
async def test_generators_inside_generators_are_closed(loop: asyncio.AbstractEventLoop) -> None:
    """A generator that iterates another one is closed together with it."""
    closed: list[object] = []

    async def outer(inner: Numbers) -> Numbers:
        try:
            async for number in inner:
                yield number
        finally:
            closed.append("outer")

    generator = outer(noting(closed, "inner"))
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(closed) == ["inner", "outer"]  # type: ignore[type-var]


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
async def test_finished_and_closed_generators_are_left_alone(loop: asyncio.AbstractEventLoop) -> None:
    """Generators that ran to their end, were closed or failed before are not closed again."""
    closed: list[object] = []

    async def short() -> Numbers:
        try:
            yield 1
        finally:
            closed.append("short")

    finished, closed_before, failed = short(), short(), failing(LookupError())
    assert [number async for number in finished] == [1]
    await anext(closed_before)
    await closed_before.aclose()
    await anext(failed)
    with raises(LookupError):
        await anext(failed)
    await loop.shutdown_asyncgens()
    assert closed == ["short", "short"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
async def test_a_generator_that_was_never_iterated_is_left_alone(loop: asyncio.AbstractEventLoop) -> None:
    """A generator that was made and never iterated is not touched; it is silently collected."""
    closed: list[object] = []
    untouched = noting(closed)
    await loop.shutdown_asyncgens()
    assert closed == []
    del untouched
    gc.collect()
    assert closed == []


@requires("LIFE-SHUTDOWN_ASYNCGENS-01")
def test_generators_of_another_loop_are_left_alone(new_loop: NewLoop) -> None:
    """A shutdown closes the generators of its own loop and not those that another loop began."""
    closed: list[object] = []
    one, other = new_loop(), new_loop()
    mine, others = noting(closed, "mine"), noting(closed, "other's")
    one.run_until_complete(begin(mine))
    other.run_until_complete(begin(others))
    one.run_until_complete(one.shutdown_asyncgens())
    assert closed == ["mine"]
    other.run_until_complete(other.shutdown_asyncgens())
    assert closed == ["mine", "other's"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-02")
async def test_a_generator_begun_after_the_shutdown_warns(loop: asyncio.AbstractEventLoop) -> None:
    """The first iteration of a generator after shutdown_asyncgens() issues a ResourceWarning, and works."""
    closed: list[object] = []
    await loop.shutdown_asyncgens()
    generator = noting(closed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert await anext(generator) == 0
        assert [warning.category for warning in caught] == [ResourceWarning]
        assert await anext(generator) == 1
    assert len(caught) == 1, "there was a warning for a later iteration too"
    await generator.aclose()
    assert closed == ["closed"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-02")
async def test_a_generator_begun_before_the_shutdown_does_not_warn(loop: asyncio.AbstractEventLoop) -> None:
    """No ResourceWarning is issued for the generators that the shutdown closes."""
    generator = noting([])
    await anext(generator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await loop.shutdown_asyncgens()
    assert [str(warning.message) for warning in caught] == []


@requires("LIFE-SHUTDOWN_ASYNCGENS-03")
async def test_the_shutdown_waits_for_cleanup_that_awaits(loop: asyncio.AbstractEventLoop) -> None:
    """shutdown_asyncgens() completes only after the slowest cleanup, which waits for turns, a timer and a future."""
    closed: list[object] = []
    gate = loop.create_future()

    async def waiting() -> Numbers:
        try:
            yield 1
        finally:
            await asyncio.sleep(0.001)
            await gate
            closed.append("gate")

    generators = [noting(closed, "quick"), noting(closed, "slow", turns=20), waiting()]
    for generator in generators:
        await anext(generator)
    shutdown = loop.create_task(loop.shutdown_asyncgens())
    while closed != ["quick", "slow"]:
        await asyncio.sleep(0)
    await asyncio.sleep(0.002)
    assert not shutdown.done(), "the shutdown completed before the cleanup of a generator did"
    gate.set_result(None)
    await shutdown
    assert closed == ["quick", "slow", "gate"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-04")
async def test_without_generators_the_shutdown_completes(loop: asyncio.AbstractEventLoop) -> None:
    """shutdown_asyncgens() of a loop that never saw a generator returns None."""
    assert await loop.shutdown_asyncgens() is None  # type: ignore[func-returns-value]


@requires("LIFE-SHUTDOWN_ASYNCGENS-05")
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_an_error_of_a_cleanup_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]], position: int
) -> None:
    """A generator that raises when it is closed is reported with its error; all others are closed nevertheless."""
    closed: list[object] = []
    error = LookupError("in the cleanup")
    generators = [noting(closed, "first"), noting(closed, "second")]
    generators.insert(position, failing(error))
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(closed) == ["first", "second"]  # type: ignore[type-var]
    (report,) = reports
    assert report["exception"] is error
    assert report["asyncgen"] is generators[position]
    assert isinstance(report["message"], str)


@requires("LIFE-SHUTDOWN_ASYNCGENS-05")
async def test_a_generator_that_yields_when_closed_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """A generator that yields again instead of ending is reported with RuntimeError; the others are closed."""
    closed: list[object] = []
    generators = [noting(closed, "before"), stubborn(), noting(closed, "after")]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(closed) == ["after", "before"]  # type: ignore[type-var]
    assert [(type(report["exception"]), report["asyncgen"]) for report in reports] == [(RuntimeError, generators[1])]


@requires("LIFE-SHUTDOWN_ASYNCGENS-05")
async def test_each_failing_generator_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """Several generators that fail when closed are each reported once, with their own error."""
    errors = [LookupError(), ValueError(), OSError(), ZeroDivisionError()]
    generators = [failing(error) for error in errors]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    found = {id(report["asyncgen"]): report["exception"] for report in reports}
    assert found == {id(generator): error for generator, error in zip(generators, errors, strict=True)}
    assert len(reports) == 4


@requires("LIFE-SHUTDOWN_ASYNCGENS-05")
async def test_a_cancellation_out_of_a_cleanup_stops_no_other(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """A generator that raises CancelledError when closed does not cancel the shutdown: all others are closed."""
    closed: list[object] = []
    generators = [noting(closed, 1, turns=3), failing(asyncio.CancelledError()), noting(closed, 2, turns=3)]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(closed) == [1, 2]  # type: ignore[type-var]


@requires("LIFE-SHUTDOWN_ASYNCGENS-05")
async def test_a_generator_that_is_busy_is_reported(
    loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]
) -> None:
    """A generator that a task is iterating right now cannot be closed; that is reported and the others are closed."""
    closed: list[object] = []
    gate = loop.create_future()

    async def busy() -> Numbers:
        await gate
        yield 1

    generator, other = busy(), noting(closed)
    iterating = loop.create_task(anext(generator))
    await asyncio.sleep(0)
    await anext(other)
    await loop.shutdown_asyncgens()
    gate.set_result(None)
    assert await iterating == 1
    await generator.aclose()
    assert closed == ["closed"]
    assert [(type(report["exception"]), report["asyncgen"]) for report in reports] == [(RuntimeError, generator)]


@requires("LIFE-SHUTDOWN_ASYNCGENS-06")
async def test_the_shutdown_may_be_repeated(loop: asyncio.AbstractEventLoop) -> None:
    """shutdown_asyncgens() awaited again closes nothing twice, and closes what was begun since."""
    closed: list[object] = []
    first = noting(closed, "first")
    await anext(first)
    for _ in range(3):
        await loop.shutdown_asyncgens()
    assert closed == ["first"]
    second = noting(closed, "second")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        await anext(second)
    await loop.shutdown_asyncgens()
    assert closed == ["first", "second"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-06", "LIFE-SHUTDOWN_ASYNCGENS-03")
def test_a_shutdown_interrupted_by_a_stop_goes_on(loop: asyncio.AbstractEventLoop) -> None:
    """A shutdown whose run was stopped while a cleanup waits is completed by a later run."""
    closed: list[object] = []
    generator = noting(closed, turns=20)
    loop.run_until_complete(begin(generator))
    shutdown = loop.create_task(loop.shutdown_asyncgens())
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    assert not shutdown.done()
    loop.run_until_complete(shutdown)
    assert closed == ["closed"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-07")
async def test_the_loop_does_not_keep_generators_alive(loop: asyncio.AbstractEventLoop) -> None:
    """A generator that nobody refers to any more is closed and gone long before the shutdown."""
    closed: list[object] = []
    generator = noting(closed)
    await anext(generator)
    gone = weakref.ref(generator)
    del generator
    gc.collect()
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()
    assert closed == ["closed"], "a generator that nobody refers to was not closed"
    assert gone() is None, "the loop keeps a generator alive"
    await loop.shutdown_asyncgens()
    assert closed == ["closed"]


@requires("LIFE-SHUTDOWN_ASYNCGENS-04", "LIFE-CLOSE-17")
def test_the_shutdown_of_a_closed_loop_without_generators_completes(new_loop: NewLoop) -> None:
    """shutdown_asyncgens() of a closed loop that has no generators open completes, run by another loop."""
    loop, other = new_loop(), new_loop()
    loop.close()
    assert other.run_until_complete(loop.shutdown_asyncgens()) is None
