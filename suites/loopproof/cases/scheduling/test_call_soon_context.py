"""call_soon: the contextvars.Context in which a callback runs."""

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Background, requires

Factory = Callable[[], asyncio.AbstractEventLoop]
Report = dict[str, Any]

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="unset")


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def coloured(colour: str) -> contextvars.Context:
    """Return a context in which COLOUR has a value."""
    context = contextvars.Context()
    context.run(COLOUR.set, colour)
    return context


@requires("SCHED-CALL_SOON-17")
@pytest.mark.parametrize("arguments", [0, 1, 2, 5])
def test_the_callback_runs_in_the_context_given(new_loop: Factory, arguments: int) -> None:
    """With context=, the callback sees the variables of that context, however many arguments it takes."""
    loop = new_loop()
    seen: list[str] = []
    loop.call_soon(lambda *_: seen.append(COLOUR.get()), *range(arguments), context=coloured("red"))
    run_once(loop)
    assert seen == ["red"]


@requires("SCHED-CALL_SOON-17")
def test_the_callback_changes_the_very_context_given(new_loop: Factory) -> None:
    """The context is used itself and not a copy: what the callback sets in it is there afterwards."""
    loop = new_loop()
    context = contextvars.Context()
    loop.call_soon(COLOUR.set, "green", context=context)
    run_once(loop)
    assert context.get(COLOUR) == "green"


@requires("SCHED-CALL_SOON-17")
def test_an_empty_context_is_a_context(new_loop: Factory) -> None:
    """An empty Context, which is false in a boolean sense, is used like any other."""
    loop = new_loop()
    seen: list[str] = []
    empty = contextvars.Context()
    token = COLOUR.set("the caller's")
    try:
        loop.call_soon(lambda: seen.append(COLOUR.get()), context=empty)
        run_once(loop)
    finally:
        COLOUR.reset(token)
    assert seen == ["unset"], "the callback ran in the caller's context instead of the empty context given"


@requires("SCHED-CALL_SOON-17", "SCHED-CALL_SOON-18")
def test_context_none_means_a_copy_of_the_current_context(new_loop: Factory) -> None:
    """context=None is the same as no context."""
    loop = new_loop()
    seen: list[str] = []
    coloured("blue").run(lambda: loop.call_soon(lambda: seen.append(COLOUR.get()), context=None))
    run_once(loop)
    assert seen == ["blue"]


@requires("SCHED-CALL_SOON-17")
def test_a_context_is_only_taken_by_keyword(new_loop: Factory) -> None:
    """A Context among the positional arguments is an argument of the callback."""
    loop = new_loop()
    got: list[object] = []
    context = coloured("red")
    loop.call_soon(lambda given: got.append((given, COLOUR.get())), context)
    run_once(loop)
    assert got == [(context, "unset")]


@requires("SCHED-CALL_SOON-17")
def test_the_context_does_not_stay_entered(new_loop: Factory) -> None:
    """After its callbacks, one of which fails, a context can be entered again and the loop has left it."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: None)
    context = coloured("red")
    seen: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    loop.call_soon(fail, context=context)
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    loop.call_soon(lambda: seen.append(COLOUR.get()), context=context)
    run_once(loop)
    assert seen == ["unset", "red"], "after a callback that failed, contexts of other callbacks are wrong"
    assert context.run(COLOUR.get) == "red"
    assert COLOUR.get() == "unset"


@requires("SCHED-CALL_SOON-17")
def test_the_context_is_entered_while_the_callback_runs(loop: asyncio.AbstractEventLoop) -> None:
    """The callback runs inside of the Context itself: nobody can enter it a second time meanwhile."""
    context = contextvars.Context()
    seen: list[str] = []

    def callback() -> None:
        try:
            context.run(seen.append, "entered twice")
        except RuntimeError:
            seen.append("refused")

    loop.call_soon(callback, context=context)
    run_once(loop)
    assert seen == ["refused"], "the callback runs beside the context it was given instead of in it"


@requires("SCHED-CALL_SOON-18")
async def test_a_callback_sees_the_variables_of_its_caller(loop: asyncio.AbstractEventLoop) -> None:
    """Without context=, the callback sees what was set where call_soon() was called."""
    seen: list[str] = []
    COLOUR.set("red")
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    await asyncio.sleep(0)
    assert seen == ["red"]


@requires("SCHED-CALL_SOON-18")
async def test_the_copy_is_made_at_the_call(loop: asyncio.AbstractEventLoop) -> None:
    """What the caller sets after call_soon() is not seen by the callback."""
    seen: list[str] = []
    COLOUR.set("before")
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    COLOUR.set("between")
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    COLOUR.set("after")
    await asyncio.sleep(0)
    assert seen == ["before", "between"]


@requires("SCHED-CALL_SOON-18")
def test_a_callback_queued_outside_a_run_gets_the_context_of_that_moment(new_loop: Factory) -> None:
    """Also while the loop is stopped the current context is copied at the call and not at the start of the run."""
    loop = new_loop()
    seen: list[str] = []
    coloured("outside").run(loop.call_soon, lambda: seen.append(COLOUR.get()))
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    coloured("run").run(run_once, loop)
    assert seen == ["outside", "unset"]


@requires("SCHED-CALL_SOON-18")
def test_contexts_pass_from_callback_to_callback(new_loop: Factory) -> None:
    """A callback queued by a callback inherits what that callback has set until then."""
    loop = new_loop()
    seen: list[str] = []

    def outer() -> None:
        COLOUR.set("outer")
        loop.call_soon(inner)
        COLOUR.set("outer, later")

    def inner() -> None:
        seen.append(COLOUR.get())
        COLOUR.set("inner")
        loop.call_soon(lambda: seen.append(COLOUR.get()))
        loop.call_soon(loop.stop)

    loop.call_soon(outer)
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    loop.run_forever()
    assert seen == ["unset", "outer", "inner"]


@requires("SCHED-CALL_SOON-18")
def test_the_context_of_a_thread_is_that_of_its_own_calls(new_loop: Factory) -> None:
    """The loop stopped, another thread may queue a callback, and its context is copied, not that of the runner."""
    loop = new_loop()
    seen: list[str] = []
    with Background(coloured("thread").run, loop.call_soon, lambda: seen.append(COLOUR.get())):
        pass
    run_once(loop)
    assert seen == ["thread"]


@requires("SCHED-CALL_SOON-19")
async def test_changes_of_a_callback_stay_with_it(loop: asyncio.AbstractEventLoop) -> None:
    """What a callback sets is seen neither by its caller nor by callbacks queued beside it."""
    seen: list[str] = []
    COLOUR.set("caller's")
    loop.call_soon(COLOUR.set, "callback's")
    loop.call_soon(lambda: seen.append(COLOUR.get()))
    await asyncio.sleep(0)
    assert COLOUR.get() == "caller's"
    assert seen == ["caller's"]


@requires("SCHED-CALL_SOON-19")
def test_changes_of_a_callback_do_not_reach_the_code_around_the_run(new_loop: Factory) -> None:
    """After the run the context of the thread is as it was, also if a callback failed."""
    loop = new_loop()
    loop.set_exception_handler(lambda *_: None)

    def fail() -> None:
        COLOUR.set("failing callback's")
        raise ZeroDivisionError

    loop.call_soon(COLOUR.set, "callback's")
    loop.call_soon(fail)
    run_once(loop)
    assert COLOUR.get() == "unset"


@requires("SCHED-CALL_SOON-20")
def test_callbacks_with_one_context_see_each_others_changes(new_loop: Factory) -> None:
    """Callbacks given the same Context share it, in order, over batches and between callbacks of other contexts."""
    loop = new_loop()
    seen: list[str] = []
    shared = contextvars.copy_context()

    def append(letter: str) -> None:
        seen.append(COLOUR.get())
        COLOUR.set(COLOUR.get().removeprefix("unset") + letter)

    def then() -> None:
        loop.call_soon(append, "c", context=shared)
        loop.call_soon(loop.stop)

    loop.call_soon(append, "a", context=shared)
    loop.call_soon(append, "x")
    loop.call_soon(append, "b", context=shared)
    loop.call_soon(then)
    loop.run_forever()
    assert seen == ["unset", "unset", "a", "ab"]
    assert shared[COLOUR] == "abc"


@requires("SCHED-CALL_SOON-20")
def test_a_token_made_in_one_callback_can_be_reset_in_another(new_loop: Factory) -> None:
    """In the same Context object a variable set in one callback can be reset in the next one."""
    loop = new_loop()
    shared = coloured("first")
    tokens: list[contextvars.Token[str]] = []
    loop.call_soon(lambda: tokens.append(COLOUR.set("second")), context=shared)
    loop.call_soon(lambda: COLOUR.reset(tokens.pop()), context=shared)
    run_once(loop)
    assert shared[COLOUR] == "first"
    assert tokens == []


@requires("SCHED-CALL_SOON-23")
def test_a_callback_whose_context_is_already_entered_is_left_out(
    loop: asyncio.AbstractEventLoop, reports: list[Report], logged: list[logging.LogRecord]
) -> None:
    """A callback that is due while its context is entered elsewhere does not run; the loop goes on and is not left."""
    ran: list[str] = []
    entered = contextvars.Context()
    loop.call_soon(ran.append, "in the entered context", context=entered)
    loop.call_soon(ran.append, "next")
    entered.run(run_once, loop)
    assert ran == ["next"]


@requires("SCHED-CALL_SOON-23")
def test_a_callback_whose_context_is_entered_in_another_thread_is_left_out(
    loop: asyncio.AbstractEventLoop, reports: list[Report], logged: list[logging.LogRecord]
) -> None:
    """A callback that is due while another thread is in its context does not run; the loop goes on."""
    ran: list[str] = []
    entered, done = threading.Event(), threading.Event()
    context = contextvars.Context()

    def hold() -> None:
        entered.set()
        done.wait()

    with Background(context.run, hold):
        entered.wait()
        loop.call_soon(ran.append, "in the entered context", context=context)
        loop.call_soon(ran.append, "next")
        try:
            run_once(loop)
        finally:
            done.set()
    assert ran == ["next"]
    loop.call_soon(ran.append, "once it was left", context=context)
    run_once(loop)
    assert ran == ["next", "once it was left"]


@requires("SCHED-CALL_SOON-23")
def test_a_context_that_was_entered_can_be_used_when_it_is_left(loop: asyncio.AbstractEventLoop) -> None:
    """call_soon() inside the context that it is given works, as the context is left by the time the callback runs."""
    seen: list[str] = []
    context = coloured("red")
    context.run(lambda: loop.call_soon(lambda: seen.append(COLOUR.get()), context=context))
    run_once(loop)
    assert seen == ["red"]


@requires("SCHED-CALL_SOON-24")
@pytest.mark.parametrize("kind", ["int", "str", "dict", "object"])
def test_a_context_of_the_wrong_type_is_refused_or_reported(
    loop: asyncio.AbstractEventLoop, reports: list[Report], kind: str
) -> None:
    """A context that is no Context leads to an error at the call or in a report; the callback does not run."""
    context: Any = {"int": 1, "str": "red", "dict": {COLOUR: "red"}, "object": object()}[kind]
    ran: list[str] = []
    refused = False
    try:
        loop.call_soon(ran.append, "callback", context=context)
    except (TypeError, AttributeError):
        refused = True
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert refused or [type(report.get("exception")) for report in reports] in ([TypeError], [AttributeError])


@requires("SCHED-CALL_SOON-17")
def test_a_closed_loop_does_not_enter_the_context(new_loop: Factory) -> None:
    """A refused call_soon() leaves the context it was given untouched."""
    loop = new_loop()
    loop.close()
    context = contextvars.Context()
    with contextlib.suppress(RuntimeError):  # that it refuses is a case of its own
        loop.call_soon(COLOUR.set, "red", context=context)
    assert len(context) == 0
