"""The contextvars Context in which a custom handler runs (since Python 3.12)."""

import asyncio
import contextvars
import gc
from typing import Any

import pytest

from loopproof.authoring import requires

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="default")


def watch(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Set a handler that notes the variable as it sees it; return the notes."""
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(VARIABLE.get()))
    return seen


def fail() -> None:
    """Raise."""
    raise ZeroDivisionError


@requires("ERR-SET_EXCEPTION_HANDLER-04")
@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_soon_threadsafe"])
@pytest.mark.parametrize("given", [True, False])
async def test_a_failing_callback(loop: asyncio.AbstractEventLoop, method: str, given: bool) -> None:
    """The handler that is told of a failing callback runs in the Context of the callback."""
    seen = watch(loop)
    done = loop.create_future()
    own = contextvars.copy_context()
    own.run(VARIABLE.set, "of the callback")
    arguments = (0.001, fail) if method == "call_later" else (fail,)
    if given:
        getattr(loop, method)(*arguments, context=own)
    else:
        own.run(getattr(loop, method), *arguments)
    loop.call_later(0.003, done.set_result, None)
    await done
    assert seen == ["of the callback"], f"the handler saw {seen}"


@requires("ERR-SET_EXCEPTION_HANDLER-04")
async def test_what_the_callback_set_is_seen(loop: asyncio.AbstractEventLoop) -> None:
    """The Context is the very one of the callback: the handler sees what the callback set before it failed."""
    seen = watch(loop)

    def set_and_fail() -> None:
        VARIABLE.set("set by the callback")
        raise ZeroDivisionError

    loop.call_soon(set_and_fail)
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["set by the callback"]


@requires("ERR-SET_EXCEPTION_HANDLER-04")
async def test_a_task_whose_error_nobody_retrieved(loop: asyncio.AbstractEventLoop) -> None:
    """The handler that is told of a task's unretrieved error runs in the Context of the task."""
    seen = watch(loop)

    async def failing() -> None:
        VARIABLE.set("set by the task")
        raise ZeroDivisionError

    task = loop.create_task(failing())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert seen == ["set by the task"]


@requires("ERR-SET_EXCEPTION_HANDLER-04")
@pytest.mark.parametrize("key", ["task", "future", "handle"])
def test_a_report_that_names_something_with_a_context(loop: asyncio.AbstractEventLoop, key: str) -> None:
    """A report of anybody that names a task, a future that is a task, or a handle, is handled in its Context."""
    seen = watch(loop)

    async def nothing() -> None:
        """Do nothing."""

    def make() -> Any:
        VARIABLE.set("of the object")
        return loop.call_soon(int) if key == "handle" else loop.create_task(nothing())

    named = contextvars.Context().run(make)
    loop.call_exception_handler({"message": "text", key: named})
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["of the object"]


@requires("ERR-SET_EXCEPTION_HANDLER-04")
@pytest.mark.parametrize("key", ["task", "future", "handle", "none"])
def test_a_report_that_names_nothing_with_a_context(loop: asyncio.AbstractEventLoop, key: str) -> None:
    """Where nothing that has a Context is named, not even under such a key, the handler runs in the current Context."""
    seen = watch(loop)
    contextvars.Context().run(
        lambda: (VARIABLE.set("current"), loop.call_exception_handler({"message": "text", key: None}))
    )
    contextvars.Context().run(
        lambda: (VARIABLE.set("current"), loop.call_exception_handler({"message": "text", key: object()}))
    )
    assert seen == ["current", "current"]


@requires("ERR-SET_EXCEPTION_HANDLER-04")
async def test_the_context_of_the_reporter_is_left_alone(loop: asyncio.AbstractEventLoop) -> None:
    """What the handler sets in the Context of a failed callback does not show up in that of others."""
    loop.set_exception_handler(lambda *_: VARIABLE.set("set by the handler"))
    own = contextvars.Context()
    loop.call_soon(fail, context=own)
    VARIABLE.set("mine")
    for _ in range(3):
        await asyncio.sleep(0)
    assert VARIABLE.get() == "mine"
    assert own[VARIABLE] == "set by the handler"
