"""References: what the loop keeps alive, and what it lets go when."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import requires

Factory = Callable[[], asyncio.AbstractEventLoop]

VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE")


class Thing:
    """Something that can be called, passed and referred to weakly."""

    def __call__(self, *_: object) -> None:
        pass


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def alive(*references: "weakref.ref[Any]") -> list[bool]:
    """Tell which of the referents are alive."""
    return [reference() is not None for reference in references]


def queue_things(loop: asyncio.AbstractEventLoop, arguments: int) -> tuple[asyncio.Handle, list["weakref.ref[Any]"]]:
    """Queue a Thing with Things as arguments; return its handle and weak references to them."""
    things = [Thing() for _ in range(arguments + 1)]
    return loop.call_soon(*things), [weakref.ref(thing) for thing in things]


@requires("SCHED-CALL_SOON-16")
@pytest.mark.parametrize("arguments", [0, 1, 2, 3, 8])
def test_callback_and_arguments_are_let_go_after_the_call(new_loop: Factory, arguments: int) -> None:
    """Once the callback has run, and nobody holds its handle, the loop holds neither it nor its arguments."""
    loop = new_loop()
    _, references = queue_things(loop, arguments)
    del _
    gc.collect()
    assert all(alive(*references)), "the loop does not keep alive what is queued"
    run_once(loop)
    gc.collect()
    assert not any(alive(*references)), "the loop still refers to a callback that ran or to its arguments"


@requires("SCHED-CALL_SOON-16")
async def test_references_are_let_go_without_the_garbage_collector(loop: asyncio.AbstractEventLoop) -> None:
    """What a callback referred to is freed by the next turn by reference counting alone: there is no cycle."""
    gc.disable()
    try:
        _, references = queue_things(loop, 2)
        del _
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left = alive(*references)
    finally:
        gc.enable()
    assert not any(left), "a callback that ran, or its arguments, are kept alive by a reference cycle or by the loop"


@requires("SCHED-CALL_SOON-16")
def test_references_are_let_go_after_a_failing_callback(new_loop: Factory) -> None:
    """A callback that raised is let go like any other once its report was handled."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: None)

    def fail(_: object) -> None:
        raise ValueError

    thing = Thing()
    reference = weakref.ref(thing)
    loop.call_soon(fail, thing)
    del thing
    run_once(loop)
    run_once(loop)
    gc.collect()
    assert not any(alive(reference)), "the loop still refers to the argument of a callback that failed"


@requires("SCHED-CALL_SOON-16")
def test_the_context_is_let_go_after_the_call(new_loop: Factory) -> None:
    """The copied context, and the values in it, go with the callback."""
    loop = new_loop()
    reference: list[weakref.ref[Any]] = []

    def callback() -> None:
        thing = Thing()
        reference.append(weakref.ref(thing))
        VARIABLE.set(thing)

    loop.call_soon(callback)
    run_once(loop)
    run_once(loop)
    gc.collect()
    assert not any(alive(*reference)), "the loop still refers to the context of a callback that ran"


@requires("SCHED-CALL_SOON-16")
def test_the_return_value_is_let_go(new_loop: Factory) -> None:
    """What a callback returns is not kept."""
    loop = new_loop()
    reference: list[weakref.ref[Any]] = []

    def callback() -> Thing:
        thing = Thing()
        reference.append(weakref.ref(thing))
        return thing

    loop.call_soon(callback)
    loop.call_soon(lambda: reference.append(reference[0]) if alive(*reference)[0] else None)
    run_once(loop)
    assert len(reference) == 1, "the value that a callback returned was alive when the next one ran"


@requires("SCHED-CALL_SOON-16")
def test_many_callbacks_leave_nothing_behind(new_loop: Factory) -> None:
    """Of 2,000 callbacks and arguments none is alive after their batch."""
    loop = new_loop()
    living: weakref.WeakSet[Thing] = weakref.WeakSet()
    for _ in range(2000):
        thing = Thing()
        living.add(thing)
        loop.call_soon(thing, thing)
    del thing
    run_once(loop)
    gc.collect()
    assert len(living) == 0, f"{len(living)} of 2000 callbacks are still referred to"


@requires("SCHED-HANDLE_CANCEL-05")
@pytest.mark.parametrize("arguments", [0, 1, 2, 3, 8])
async def test_cancel_lets_go_at_once(loop: asyncio.AbstractEventLoop, arguments: int) -> None:
    """cancel() drops callback and arguments before it returns, although the handle lives on."""
    handle, references = queue_things(loop, arguments)
    handle.cancel()
    assert not any(alive(*references)), "a cancelled handle still refers to its callback or arguments"
    await asyncio.sleep(0)


@requires("SCHED-HANDLE_CANCEL-05")
async def test_cancel_runs_finalizers_that_use_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    """A finalizer run by cancel() may itself queue and cancel callbacks of the loop."""
    ran: list[str] = []
    other = loop.call_soon(ran.append, "cancelled by the finalizer")

    class Argument:
        def __del__(self) -> None:
            ran.append("finalizer")
            loop.call_soon(ran.append, "queued by the finalizer")
            other.cancel()
            handle.cancel()

    take: Callable[[object], None] = lambda _: ran.append("called")  # noqa: E731
    handle = loop.call_soon(take, Argument())
    handle.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ran == ["finalizer", "queued by the finalizer"]


@requires("SCHED-CALL_SOON-26")
def test_close_lets_go_of_what_is_queued(new_loop: Factory) -> None:
    """A closed loop, itself alive, refers to none of the callbacks it will never run."""
    loop = new_loop()
    _, references = queue_things(loop, 2)
    del _
    loop.close()
    gc.collect()
    assert not any(alive(*references)), "a closed loop still refers to callbacks that were queued"


@requires("SCHED-CALL_SOON-26")
def test_finalizers_run_by_close_see_a_closed_loop(new_loop: Factory) -> None:
    """A finalizer that close() sets off and that calls call_soon() gets RuntimeError, and close() ends well."""
    loop = new_loop()
    seen: list[str] = []

    class Argument:
        def __del__(self) -> None:
            try:
                loop.call_soon(int)
            except RuntimeError:
                seen.append("refused")
            else:
                seen.append("accepted")

    for _ in range(3):
        loop.call_soon(id, Argument())
    loop.close()
    gc.collect()
    assert loop.is_closed()
    assert seen == ["refused"] * 3


@requires("SCHED-CALL_SOON-27")
async def test_finalizers_of_arguments_may_queue_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    """A finalizer run as the loop drops a callback that ran may queue more; nothing is lost or skipped."""
    ran: list[object] = []

    class Argument:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            loop.call_soon(ran.append, ("finalizer", self.number))

    for number in range(20):
        loop.call_soon(lambda argument: ran.append(argument.number), Argument(number))
    for _ in range(4):
        await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert [entry for entry in ran if isinstance(entry, int)] == list(range(20))
    assert sorted(entry for entry in ran if isinstance(entry, tuple)) == [("finalizer", n) for n in range(20)]


@requires("SCHED-CALL_SOON-27")
async def test_garbage_collection_inside_call_soon_may_queue_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    """With the collector running at all points of call_soon(), finalizers queue callbacks while others are queued."""
    ran: list[object] = []

    class Cycle:
        def __init__(self) -> None:
            self.myself = self

        def __del__(self) -> None:
            loop.call_soon(ran.append, "finalizer")

    threshold = gc.get_threshold()
    try:
        for number in range(100):
            Cycle()
            gc.set_threshold(gc.get_count()[0] + 1 + number % 10)  # collect at the next allocation, the one after it...
            loop.call_soon(ran.append, number)
        await asyncio.sleep(0)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    await asyncio.sleep(0)
    assert [entry for entry in ran if entry != "finalizer"] == list(range(100))
    assert ran.count("finalizer") == 100
