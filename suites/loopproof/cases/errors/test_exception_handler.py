"""set_exception_handler and get_exception_handler: what is accepted, how it is called, replaced and let go."""

import asyncio
import functools
import gc
import logging
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, raises, requires

Logged = list[logging.LogRecord]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
Handler = Callable[..., Any]


class Recorder:
    """Handlers of several kinds that note what they are called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def method(self, *arguments: object) -> str:
        """Note the arguments; what a handler returns is of no consequence."""
        self.calls.append(arguments)
        return "ignored"

    def named(self, loop: object, context: object) -> None:
        """Note both arguments under the names that the documentation gives them."""
        self.calls.append((loop, context))

    __call__ = method


HANDLERS: dict[str, Callable[[Recorder], Handler]] = {
    "bound method": lambda recorder: recorder.method,
    "two parameters": lambda recorder: recorder.named,
    "callable object": lambda recorder: recorder,
    "lambda": lambda recorder: lambda loop, context: recorder.method(loop, context),
    "partial": lambda recorder: functools.partial(recorder.method),
    "class": lambda recorder: type("Handler", (), {"__init__": lambda self, *given: recorder.calls.append(given)}),
}

CONTEXTS: dict[str, Mapping[str, Any]] = {
    "dict": {"message": "text"},
    "empty dict": {},
    "dict with unknown keys": {"message": "text", "unknown": 1, "another": None},
    "subclass of dict": type("Context", (dict,), {})(message="text"),
    "read-only mapping": MappingProxyType({"message": "text"}),
}


@requires("ERR-SET_EXCEPTION_HANDLER-01", "ERR-SET_EXCEPTION_HANDLER-05")
@pytest.mark.parametrize("kind", sorted(HANDLERS))
def test_the_handler_gets_loop_and_context(new_loop: NewLoop, logged: Logged, kind: str) -> None:
    """Any callable is called as handler(loop, context), once a report, instead of the default handler."""
    loop, recorder, context = new_loop(), Recorder(), {"message": "a report"}
    loop.set_exception_handler(HANDLERS[kind](recorder))
    loop.call_exception_handler(context)
    assert [len(call) for call in recorder.calls] == [2], f"called with {recorder.calls}"
    assert recorder.calls[0][0] is loop, "the first argument is not the loop"
    assert recorder.calls[0][1] is context, "the second argument is not the context"
    assert not logged, "the default handler logged although there is a custom one"


@requires("ERR-SET_EXCEPTION_HANDLER-01")
def test_a_failing_callback_reaches_the_handler(new_loop: NewLoop, logged: Logged) -> None:
    """What the loop itself reports goes to the handler with the loop as the first argument."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(recorder.calls) == 1
    assert recorder.calls[0][0] is loop, "the first argument is not the loop"
    assert not logged


@requires("ERR-SET_EXCEPTION_HANDLER-02", "ERR-GET_EXCEPTION_HANDLER-01")
def test_none_restores_the_default_handler(new_loop: NewLoop, logged: Logged) -> None:
    """After set_exception_handler(None) reports are logged again and the former handler is not called."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder.method)
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    loop.call_exception_handler({"message": "for the default handler"})
    assert recorder.calls == []
    assert [record.getMessage() for record in logged] == ["for the default handler"]


@requires("ERR-SET_EXCEPTION_HANDLER-03")
@pytest.mark.parametrize("wrong", [0, 1, "text", False])
def test_what_is_no_handler_is_refused(new_loop: NewLoop, wrong: object) -> None:
    """A handler that is neither None nor callable raises TypeError, and the handler before it stays."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder)
    with raises(TypeError):
        loop.set_exception_handler(wrong)  # type: ignore[arg-type]
    assert loop.get_exception_handler() is recorder
    loop.call_exception_handler({"message": "a report"})
    assert len(recorder.calls) == 1


@requires("ERR-SET_EXCEPTION_HANDLER-03")
def test_no_handler_at_all_is_no_none(new_loop: NewLoop) -> None:
    """set_exception_handler() without an argument raises TypeError."""
    with raises(TypeError):
        new_loop().set_exception_handler()  # type: ignore[call-arg]


@requires("ERR-GET_EXCEPTION_HANDLER-01")
def test_get_returns_what_was_set(new_loop: NewLoop) -> None:
    """get_exception_handler() is None on a new loop and then the very object that was set last."""
    loop = new_loop()
    assert loop.get_exception_handler() is None
    handlers: list[Any] = [Recorder(), Recorder().method, lambda *_: None, print, None, Recorder]
    for handler in handlers:
        loop.set_exception_handler(handler)
        assert loop.get_exception_handler() is handler
    assert new_loop().get_exception_handler() is None, "a new loop has the handler of another one"


@requires("ERR-GET_EXCEPTION_HANDLER-01")
def test_the_handler_outlasts_runs_and_close(new_loop: NewLoop) -> None:
    """The handler stays through runs, through its own calls, and after close()."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder)
    for _ in range(2):
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert loop.get_exception_handler() is recorder
    loop.close()
    assert loop.get_exception_handler() is recorder
    assert len(recorder.calls) == 2


@requires("ERR-CALL_EXCEPTION_HANDLER-01")
@pytest.mark.parametrize("kind", sorted(CONTEXTS))
def test_the_context_is_handed_on_as_it_is(new_loop: NewLoop, kind: str) -> None:
    """call_exception_handler() hands on the identical mapping, unchanged, and returns None."""
    loop, recorder, context = new_loop(), Recorder(), CONTEXTS[kind]
    before = dict(context)
    loop.set_exception_handler(recorder)
    assert loop.call_exception_handler(context) is None  # type: ignore[arg-type]
    assert [call[-1] is context for call in recorder.calls] == [True]
    assert dict(context) == before


@requires("ERR-CALL_EXCEPTION_HANDLER-10")
@pytest.mark.parametrize("state", ["new", "stopped", "running", "closed"])
def test_reports_are_handled_in_every_state(new_loop: NewLoop, state: str) -> None:
    """call_exception_handler() calls the handler at once, whether or not the loop runs, also when it is closed."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder)
    counts: list[int] = []

    def report() -> None:
        loop.call_exception_handler({"message": "a report"})
        counts.append(len(recorder.calls))

    if state in ("stopped", "running"):
        if state == "running":
            loop.call_soon(report)
        loop.call_soon(loop.stop)
        loop.run_forever()
    if state == "closed":
        loop.close()
    if state != "running":
        report()
    assert counts == [1], "the handler had not been called when call_exception_handler() returned"


@requires("ERR-CALL_EXCEPTION_HANDLER-10")
def test_a_closed_loop_logs_by_default(new_loop: NewLoop, logged: Logged) -> None:
    """The default handler works after close()."""
    loop = new_loop()
    loop.close()
    loop.call_exception_handler({"message": "after the end"})
    assert [record.getMessage() for record in logged] == ["after the end"]


@requires("ERR-CALL_EXCEPTION_HANDLER-10")
def test_reports_from_another_thread(new_loop: NewLoop) -> None:
    """A report from another thread calls the handler in that thread while the loop runs."""
    loop, recorder = new_loop(), Recorder()
    loop.set_exception_handler(recorder)
    with loop_in_thread(loop), Background(loop.call_exception_handler, {"message": "from a thread"}):
        pass
    assert [call[-1] for call in recorder.calls] == [{"message": "from a thread"}]


@requires("ERR-SET_EXCEPTION_HANDLER-06")
def test_a_handler_may_replace_itself(new_loop: NewLoop) -> None:
    """A handler may set another one, or none, while it is called: the next report goes there."""
    loop, order = new_loop(), list[str]()

    def first(*_: object) -> None:
        order.append("first")
        loop.set_exception_handler(second)
        loop.call_exception_handler({"message": "from within"})
        order.append("end of first")

    def second(*_: object) -> None:
        order.append("second")

    loop.set_exception_handler(first)
    del first
    loop.call_exception_handler({"message": "one"})
    loop.call_exception_handler({"message": "two"})
    assert order == ["first", "second", "end of first", "second"]


@requires("ERR-SET_EXCEPTION_HANDLER-06")
def test_a_handler_may_remove_itself(new_loop: NewLoop, logged: Logged) -> None:
    """A handler that is removed while it runs, and is kept by nobody else, runs to its end."""
    loop, order = new_loop(), list[str]()

    class Handler:
        text = "alive"

        def __call__(self, *_: object) -> None:
            loop.set_exception_handler(None)
            gc.collect()
            order.append(self.text)

    loop.set_exception_handler(Handler())
    loop.call_exception_handler({"message": "one"})
    loop.call_exception_handler({"message": "two"})
    assert order == ["alive"]
    assert [record.getMessage() for record in logged] == ["two"]


@requires("ERR-SET_EXCEPTION_HANDLER-06")
def test_the_loop_keeps_the_handler_and_lets_it_go(new_loop: NewLoop) -> None:
    """The loop alone keeps its handler alive, until another one is set."""
    loop, recorder = new_loop(), Recorder()
    reference = weakref.ref(recorder)
    loop.set_exception_handler(recorder.method)
    del recorder
    gc.collect()
    assert reference() is not None, "the loop does not keep its handler"
    loop.set_exception_handler(None)
    gc.collect()
    assert reference() is None, "the loop keeps a handler that was replaced"


@requires("ERR-SET_EXCEPTION_HANDLER-01")
def test_loops_have_handlers_of_their_own(new_loop: NewLoop) -> None:
    """Reports go to the handler of the loop that they are about."""
    loops, recorders = [new_loop() for _ in range(3)], [Recorder() for _ in range(3)]
    for loop, recorder in zip(loops, recorders, strict=True):
        loop.set_exception_handler(recorder)
    for number, loop in enumerate(loops):
        loop.call_exception_handler({"message": str(number)})
    assert [[call[-1] for call in recorder.calls] for recorder in recorders] == [
        [{"message": "0"}],
        [{"message": "1"}],
        [{"message": "2"}],
    ]
