"""Reference counts and cycles: nothing that is run, cancelled or refused leaves a reference behind."""

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires

Factory = Callable[[], asyncio.AbstractEventLoop]

ROUNDS = 500


class Thing:
    """Something that can be called, passed and referred to weakly; it fails if told to."""

    fails = False

    def __call__(self, *_: object) -> None:
        if self.fails:
            raise ZeroDivisionError


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def use(loop: asyncio.AbstractEventLoop, kind: str, callback: Any, argument: object, context: Any) -> None:
    """Let callback, argument and context go one of the ways that there are."""
    if kind == "cancelled":
        loop.call_soon(callback, argument, context=context).cancel()
    elif kind == "submitted":
        loop.call_soon_threadsafe(callback, argument, context=context)
    elif kind == "many arguments":
        loop.call_soon(callback, *[argument] * 12, context=context)
    elif kind == "refused":
        with raises(TypeError):
            loop.call_soon(callback, argument, context=context, unknown=argument)  # type: ignore[call-arg]
    else:
        loop.call_soon(callback, argument, context=context)


@requires("SCHED-CALL_SOON-16")
@pytest.mark.parametrize("kind", ["plain", "failing", "cancelled", "submitted", "many arguments", "refused"])
def test_reference_counts_are_as_before(new_loop: Factory, kind: str) -> None:
    """After 500 rounds callback, argument, context and loop have as many references as before."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: None)
    callback, argument, context = Thing(), Thing(), contextvars.Context()
    callback.fails = kind == "failing"
    counted = {"callback": callback, "argument": argument, "context": context, "loop": loop}

    def counts() -> dict[str, int]:
        run_once(loop)
        gc.collect()
        return {name: sys.getrefcount(counted[name]) for name in counted}

    use(loop, kind, callback, argument, context)
    before = counts()
    for number in range(ROUNDS):
        use(loop, kind, callback, argument, context)
        if number % 50 == 0:
            run_once(loop)
    after = counts()
    more = {name: after[name] - before[name] for name in counted if after[name] != before[name]}
    assert not more, f"references beyond those before: {more}"


@requires("SCHED-CALL_SOON-29")
@pytest.mark.parametrize("fate", ["run", "cancelled", "failed", "closed"])
def test_a_cycle_through_a_handle_is_collected(new_loop: Factory, fate: str) -> None:
    """A callback whose argument refers to its own handle is collected once it has run, was cancelled or never will."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: None)

    def queue() -> "weakref.ref[Thing]":
        callback = Thing()
        callback.fails = fate == "failed"
        argument: list[object] = [callback]
        argument.append(loop.call_soon(callback, argument))
        if fate == "cancelled":
            argument[1].cancel()  # type: ignore[attr-defined]
        return weakref.ref(callback)

    reference = queue()
    if fate == "closed":
        loop.close()
    else:
        run_once(loop)
        run_once(loop)
    gc.collect()
    assert reference() is None, "a cycle of handle, callback and argument is not collected"


@requires("SCHED-CALL_SOON-29")
def test_a_callback_that_keeps_its_own_handle_is_collected(new_loop: Factory) -> None:
    """An object that keeps the handle of its own queued method is collected after the method has run."""
    loop = new_loop()

    class Worker:
        def __init__(self) -> None:
            self.handle = loop.call_soon(self.work)

        def work(self) -> None:
            self.again = loop.call_soon(int, "0")

    references = [weakref.ref(Worker()) for _ in range(20)]
    gc.collect()
    assert all(reference() is not None for reference in references), "what is queued was collected"
    run_once(loop)
    run_once(loop)
    gc.collect()
    assert [reference() for reference in references] == [None] * 20


@requires("SCHED-CALL_SOON-30")
@pytest.mark.parametrize("reason", ["unknown keyword", "closed"])
@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
def test_a_refused_call_keeps_nothing(new_loop: Factory, method: str, reason: str) -> None:
    """Callback, arguments and context of a call that was refused are let go when the error is."""
    refused = True
    loop = new_loop()
    if reason == "closed":
        loop.close()

    def call() -> list["weakref.ref[Any]"]:
        things = [Thing(), Thing(), contextvars.Context()]
        named = {"unknown": things[1]} if reason == "unknown keyword" else {}
        try:
            getattr(loop, method)(things[0], things[1], context=things[2], **named)
        except (TypeError, RuntimeError):
            pass
        else:
            nonlocal refused
            refused = False  # that it is not refused is for other cases to say
        return [weakref.ref(thing) for thing in things]

    references = call()
    gc.collect()
    kept = [
        name for name, reference in zip(("callback", "argument", "context"), references, strict=True) if reference()
    ]
    assert not (kept and refused), f"a refused call still refers to its {' and '.join(kept)}"


@requires("SCHED-CALL_SOON-26")
def test_close_drops_a_long_queue(new_loop: Factory) -> None:
    """close() with 50,000 callbacks queued, each the argument of the one before, drops them all and ends."""
    loop = new_loop()
    living: weakref.WeakSet[Thing] = weakref.WeakSet()
    argument: object = None
    for _ in range(50_000):
        thing = Thing()
        living.add(thing)
        argument = loop.call_soon(thing, argument)
    del thing, argument
    loop.close()
    gc.collect()
    assert len(living) == 0, f"a closed loop still refers to {len(living)} of 50000 callbacks"
