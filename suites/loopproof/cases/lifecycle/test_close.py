"""close: when it is refused, what it drops, and what stays of a closed loop."""

import asyncio
import gc
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Background, loop_in_thread, needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Callback:
    """A callable that can be weakly referenced and notes that it was called."""

    called = False

    def __call__(self, *_: object) -> None:
        """Note the call."""
        self.called = True


@requires("LIFE-IS_CLOSED-01")
def test_is_closed_turns_true_at_close(new_loop: NewLoop) -> None:
    """is_closed() is False on a fresh loop, in and after runs, and True from close() on."""
    loop = new_loop()
    seen: list[object] = [loop.is_closed()]
    loop.call_soon(lambda: seen.append(loop.is_closed()))
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: seen.append(loop.is_closed()))
    loop.run_forever()
    seen.append(loop.is_closed())
    loop.close()
    seen += [loop.is_closed(), loop.is_closed()]
    assert seen == [False, False, False, False, True, True]


@requires("LIFE-IS_CLOSED-01", "LIFE-CLOSE-02")
def test_a_loop_that_never_ran_can_be_closed(new_loop: NewLoop) -> None:
    """A loop can be closed without having run."""
    loop = new_loop()
    loop.close()
    assert loop.is_closed() is True


@requires("LIFE-IS_CLOSED-02")
def test_the_state_of_a_closed_loop_can_be_asked(new_loop: NewLoop) -> None:
    """is_closed() and is_running() of a closed loop answer, in any thread, also while another loop runs."""
    closed, running = new_loop(), new_loop()
    closed.run_until_complete(asyncio.sleep(0))
    closed.close()

    def ask() -> tuple[bool, bool]:
        return closed.is_closed(), closed.is_running()

    async def ask_in_a_run() -> tuple[bool, bool]:
        return ask()

    assert ask() == (True, False)
    with Background(ask) as elsewhere:
        pass
    assert elsewhere.result == (True, False)
    assert running.run_until_complete(ask_in_a_run()) == (True, False)


@requires("LIFE-CLOSE-01")
def test_a_running_loop_refuses_to_close(loop: asyncio.AbstractEventLoop) -> None:
    """close() in a callback raises RuntimeError, and the run goes on as if nothing had been."""
    order: list[str] = []

    def close() -> None:
        with raises(RuntimeError):
            loop.close()
        order.append("refused")
        assert not loop.is_closed()
        assert loop.is_running()
        loop.call_soon(go_on)

    def go_on() -> None:
        order.append("callback")
        loop.call_later(0.001, end)

    def end() -> None:
        order.append("timer")
        loop.stop()

    loop.call_soon(order.append, "before")
    loop.call_soon(close)
    loop.call_soon(order.append, "same batch")
    loop.run_forever()
    assert order == ["before", "refused", "same batch", "callback", "timer"]


@requires("LIFE-CLOSE-01")
def test_a_stopped_loop_refuses_to_close_until_its_run_ends(loop: asyncio.AbstractEventLoop) -> None:
    """close() right after stop(), still in the callback, is refused too."""

    def stop_and_close() -> None:
        loop.stop()
        with raises(RuntimeError):
            loop.close()

    loop.call_soon(stop_and_close)
    loop.run_forever()
    assert not loop.is_closed()
    loop.close()
    assert loop.is_closed()


@requires("LIFE-CLOSE-01")
def test_a_loop_that_runs_in_another_thread_refuses_to_close(loop: asyncio.AbstractEventLoop) -> None:
    """close() called while the loop runs in another thread raises RuntimeError, and the loop runs on."""
    with loop_in_thread(loop):
        with raises(RuntimeError):
            loop.close()
        assert not loop.is_closed()
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(5), "the loop does not run any more after the refused close()"


@requires("LIFE-CLOSE-01")
async def test_another_loop_can_be_closed_inside_a_run(loop: asyncio.AbstractEventLoop, new_loop: NewLoop) -> None:
    """A loop that does not run can be closed while another loop runs in the same thread."""
    other = new_loop()
    other.call_soon(print)
    other.close()
    assert other.is_closed()
    assert asyncio.get_running_loop() is loop
    await asyncio.sleep(0.001)


@requires("LIFE-CLOSE-02")
@pytest.mark.parametrize("ran", [True, False])
def test_close_may_be_repeated(new_loop: NewLoop, ran: bool) -> None:
    """Every close() after the first does nothing, in whatever thread, and returns None."""
    loop = new_loop()
    if ran:
        loop.run_until_complete(asyncio.sleep(0))
    for _ in range(3):
        assert loop.close() is None
    with Background(loop.close):
        pass
    assert loop.is_closed()


@requires("LIFE-CLOSE-02")
async def test_a_closed_loop_may_be_closed_again_inside_another_run(new_loop: NewLoop) -> None:
    """close() of a loop that is closed already does nothing, also inside the run of another loop."""
    other = new_loop()
    other.close()
    other.close()
    await asyncio.sleep(0)


@requires("LIFE-CLOSE-03")
def test_close_drops_callbacks_and_timers(new_loop: NewLoop) -> None:
    """Queued callbacks, callbacks of threads, due and distant timers do not run once the loop is closed."""
    loop = new_loop()
    ran: list[str] = []
    loop.run_until_complete(asyncio.sleep(0))
    handles = [
        loop.call_soon(ran.append, "call_soon"),
        loop.call_soon_threadsafe(ran.append, "call_soon_threadsafe"),
        loop.call_later(0, ran.append, "due timer"),
        loop.call_at(loop.time() - 1, ran.append, "overdue timer"),
        loop.call_later(0.001, ran.append, "near timer"),
        loop.call_later(3600, ran.append, "distant timer"),
    ]
    loop.close()
    threading.Event().wait(0.002)
    for handle in handles:
        handle.cancel()
    gc.collect()
    assert ran == [], f"these ran although the loop was closed: {ran}"


@requires("LIFE-CLOSE-03")
def test_close_does_not_run_tasks(loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]) -> None:
    """Tasks that are ready to run or wait do not go on in close(); they stay pending."""
    steps: list[str] = []

    async def waiting() -> None:
        steps.append("started")
        await asyncio.Future(loop=loop)

    async def ready() -> None:
        steps.append("ready task ran")

    tasks = [loop.create_task(waiting())]
    loop.run_until_complete(asyncio.sleep(0))
    tasks.append(loop.create_task(ready()))
    loop.close()
    assert steps == ["started"]
    assert [task.done() for task in tasks] == [False, False]
    del tasks
    gc.collect()
    assert {report["message"] for report in reports} <= {"Task was destroyed but it is pending!"}


@requires("LIFE-CLOSE-16")
@pytest.mark.parametrize("how", ["call_soon", "call_later", "call_soon_threadsafe"])
def test_close_releases_what_was_queued(new_loop: NewLoop, how: str) -> None:
    """Callbacks and arguments that close() dropped can be collected while the closed loop object lives on."""
    loop = new_loop()
    callback, argument = Callback(), Callback()
    gone = [weakref.ref(callback), weakref.ref(argument)]
    if how == "call_later":
        loop.call_later(3600, callback, argument)
    else:
        getattr(loop, how)(callback, argument)
    loop.close()
    del callback, argument
    gc.collect()
    assert [reference() for reference in gone] == [None, None], "the closed loop keeps a dropped callback alive"
    assert loop.is_closed()


@requires("LIFE-CLOSE-16")
@needs("fdwatch")
def test_close_releases_the_callbacks_of_descriptors(new_loop: NewLoop) -> None:
    """Callbacks of watched descriptors can be collected once the loop is closed, while the loop object lives on."""
    loop = new_loop()
    here, there = socket.socketpair()
    with here, there:
        reader, writer = Callback(), Callback()
        gone = [weakref.ref(reader), weakref.ref(writer)]
        loop.add_reader(here.fileno(), reader)
        loop.add_writer(here.fileno(), writer)
        loop.close()
        assert not writer.called, "close() called the callback of a writer"
        del reader, writer
        gc.collect()
        assert [reference() for reference in gone] == [None, None], "the closed loop keeps a callback alive"


@requires("LIFE-CLOSE-09")
def test_futures_can_be_made_of_a_closed_loop(new_loop: NewLoop) -> None:
    """create_future() works on a closed loop, and a future without callbacks can be given a result."""
    loop = new_loop()
    loop.close()
    future = loop.create_future()
    assert future.get_loop() is loop
    future.set_result(1)
    assert future.result() == 1


@requires("LIFE-CLOSE-17")
def test_the_settings_of_a_closed_loop_can_be_read(new_loop: NewLoop) -> None:
    """Clock, debug flag, exception handler and task factory of a closed loop can be asked and set."""
    loop = new_loop()
    before = loop.time()
    loop.close()
    assert loop.time() >= before
    assert loop.get_debug() in (True, False)
    loop.set_debug(False)
    assert loop.get_exception_handler() is None
    loop.set_exception_handler(print)
    assert loop.get_exception_handler() is print
    assert loop.get_task_factory() is None
    loop.set_task_factory(None)


@requires("LIFE-CLOSE-17")
def test_a_closed_loop_still_takes_reports(loop: asyncio.AbstractEventLoop, reports: list[dict[str, Any]]) -> None:
    """Reports made after close(), as of a task destroyed pending, reach the exception handler."""

    async def waiting() -> None:
        await asyncio.Future(loop=loop)

    task = loop.create_task(waiting())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    loop.call_exception_handler({"message": "after close"})
    del task
    gc.collect()
    assert [report["message"] for report in reports] == ["after close", "Task was destroyed but it is pending!"]


@requires("LIFE-CLOSE-17")
def test_a_report_after_close_is_logged(new_loop: NewLoop, logged: list[Any]) -> None:
    """Without a handler a report made after close() is logged, such as an exception that nobody retrieved."""
    loop = new_loop()
    future = loop.create_future()
    future.set_exception(LookupError())
    loop.close()
    del future
    gc.collect()
    assert [record.levelname for record in logged if record.levelno > 20] == ["ERROR"]
