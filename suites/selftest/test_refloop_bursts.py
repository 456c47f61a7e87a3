"""refloop's handles when very many wait: the garbage collector and contexts are spared, and nobody can tell."""

import asyncio
import contextvars
import gc
import sys
import warnings
import weakref
from typing import Any

import pytest
from recorders import Reports, run

import refloop

MANY = 3000  # far more than it takes

variable = contextvars.ContextVar("variable", default="none")


class Thing:
    """Something that can be called, and can be seen to go away."""

    def __init__(self, *others: Any) -> None:
        self.others = others
        self.calls = 0

    def __call__(self, *_: Any) -> None:
        self.calls += 1


def test_a_loop_that_nobody_has_goes_away_with_all_that_waits() -> None:
    def leave() -> list["weakref.ref[Any]"]:
        loop = refloop.new_event_loop()
        things = [Thing(loop) for _ in range(MANY)]
        for thing in things:
            loop.call_soon(thing, thing)
        return [weakref.ref(each) for each in (loop, *things)]

    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        refs = leave()
        gc.collect()
        gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)


def test_what_waits_is_kept_by_a_loop_that_somebody_has() -> None:
    """Also what nothing else refers to, in collections of every generation while it waits and is called."""
    loop = refloop.new_event_loop()
    calls: list[int] = []
    for number in range(MANY):
        loop.call_soon(lambda own: calls.append(own[0]), [number, []])
        if not number % 100:
            gc.collect(number // 100 % 3)
    loop.call_soon(gc.collect)
    loop.call_soon(loop.stop)
    gc.collect()
    loop.run_forever()
    loop.close()
    assert calls == list(range(MANY))


def test_handles_that_somebody_keeps_are_seen_by_the_collector() -> None:
    """A cycle through them is found, before they are called and after."""
    loop = refloop.new_event_loop()
    try:
        thing = Thing()
        kept = [loop.call_soon(thing) for _ in range(MANY)]
        loop.call_soon(loop.stop)
        assert all(map(gc.is_tracked, kept))
        loop.run_forever()
        assert all(map(gc.is_tracked, kept))
        assert thing.calls == MANY
        owner = Thing(kept)
        thing.others = (owner, thing)
        ref = weakref.ref(owner)
        del owner, thing, kept
        gc.collect()
        assert ref() is None
    finally:
        loop.close()


def test_a_handle_that_is_found_by_a_weak_reference() -> None:
    """It is nobody's while it waits, and one as all others when it was called."""
    loop = refloop.new_event_loop()
    try:
        thing = Thing()
        refs = [weakref.ref(loop.call_soon(thing)) for _ in range(MANY)]
        gc.collect()
        found = refs[-2]()
        assert found is not None
        assert not found.cancelled()
        gc.collect()
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert thing.calls == MANY
        assert gc.is_tracked(found)
        assert refs[0]() is None
    finally:
        loop.close()


def test_a_loop_is_closed_with_very_many_that_wait() -> None:
    loop = refloop.new_event_loop()
    thing = Thing()
    refs = [weakref.ref(loop.call_soon(thing)) for _ in range(MANY)]
    found = refs[MANY // 2]()
    loop.close()
    assert [ref() for ref in refs if ref() is not found] == [None] * (MANY - 1)
    assert gc.is_tracked(found)
    assert thing.calls == 0


@pytest.mark.parametrize("before", ["none", "something"])
def test_contexts(before: str) -> None:
    """Each callback has a context of its own, with what was set when it was scheduled."""

    async def scene(_: Reports) -> None:
        seen: list[str] = []

        def look(number: int) -> None:
            seen.append(variable.get())
            variable.set(f"set by {number}")

        running = asyncio.get_running_loop()
        if before != "none":
            variable.set(before)
        handles = [running.call_soon(look, number) for number in range(MANY)]
        variable.set("too late")
        contexts = []
        if sys.version_info >= (3, 12):
            contexts = [handle.get_context() for handle in handles]
            assert len(set(map(id, contexts))) == MANY
        await asyncio.sleep(0)
        assert seen == [before] * MANY
        for number, context in enumerate(contexts):
            assert handles[number].get_context() is context
            assert context[variable] == f"set by {number}"

    assert contextvars.Context().run(run, "refloop", scene) == []


def test_what_a_callback_raises_is_reported_in_its_context() -> None:
    async def scene(reports: Reports) -> None:
        def fail() -> None:
            variable.set("here")
            raise LookupError

        running = asyncio.get_running_loop()
        for _ in range(MANY):
            running.call_soon(fail)
        await asyncio.sleep(0)
        assert len(reports) == MANY
        assert all(report["handle"]._context[variable] == "here" for report in reports)
        reports.clear()

    assert contextvars.Context().run(run, "refloop", scene) == []
