"""libuv's handles on refloop's loop: served while it sleeps and while it is busy, and missed if they are not closed."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import miniature
import pytest
from recorders import DEADLINE
from uv_handles import Handles

import refloop

KINDS: dict[str, Callable[[Handles, Callable[[], object]], None]] = {
    "timer": Handles.timer,
    "async": Handles.woken_by_a_thread,
    "poll": Handles.readable,
    "work": Handles.work,
}


def leave_alone(_: refloop.Loop) -> None:
    pass


def keep_busy(loop: refloop.Loop) -> None:
    """Always have a callback ready."""
    loop.call_soon(keep_busy, loop)


def keep_timers(loop: refloop.Loop) -> None:
    """Always have a timer that is due."""
    loop.call_later(0, keep_timers, loop)


@contextlib.contextmanager
def handles() -> Iterator[tuple[refloop.Loop, Handles]]:
    """A loop, and handles on it, which are closed at the end."""
    loop = refloop.new_event_loop()
    made = Handles(loop)
    try:
        yield loop, made
    finally:
        made.close()
        loop.close()


def run(loop: refloop.Loop) -> None:
    """Run until the loop is stopped; it is in vain to wait for ever."""

    def give_up() -> None:
        raise SystemExit("libuv is not served")

    late = loop.call_later(DEADLINE, give_up)
    loop.run_forever()
    late.cancel()


@pytest.mark.parametrize("load", [leave_alone, keep_busy, keep_timers])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_served(kind: str, load: Callable[[refloop.Loop], None]) -> None:
    with handles() as (loop, made):
        load(loop)
        KINDS[kind](made, loop.stop)
        run(loop)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_begun_while_the_loop_runs_is_served(kind: str) -> None:
    with handles() as (loop, made):
        loop.call_later(0.001, KINDS[kind], made, loop.stop)
        run(loop)


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_what_a_callback_of_libuv_begins_is_served(first: str, second: str) -> None:
    with handles() as (loop, made):
        KINDS[first](made, lambda: KINDS[second](made, loop.stop))
        run(loop)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_callback_of_libuv_schedules_is_run(kind: str) -> None:
    ran: list[str] = []
    with handles() as (loop, made):

        def schedule() -> None:
            loop.call_soon(ran.append, "soon")
            loop.call_later(0.001, ran.append, "later")
            loop.call_later(0.002, loop.stop)

        KINDS[kind](made, schedule)
        run(loop)
    assert ran == ["soon", "later"]


def test_a_timer_of_ours_is_not_kept_waiting() -> None:
    """A libuv timer that is due later does not put it off."""
    with handles() as (loop, made):
        made.timer(int, ms=3_600_000)
        loop.call_later(0.001, loop.stop)
        run(loop)


def test_handles_that_are_left_open_are_warned_of_and_closed() -> None:
    loop = refloop.new_event_loop()
    made = Handles(loop)
    made.timer(int, ms=3_600_000)
    made.timer(int, ms=3_600_000)
    made.readable(int)
    with pytest.warns(ResourceWarning) as caught:
        loop.close()
    made.release()
    assert {str(warning.message) for warning in caught} == {
        "unclosed libuv handles: 2 of type timer",
        "unclosed libuv handles: 1 of type poll",
    }


def test_handles_that_are_closed_are_not_warned_of() -> None:
    """Also not when libuv has not finished closing them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in KINDS.values():
            with handles() as (_, made):
                kind(made, int)


def test_closing_waits_for_work_that_needs_the_interpreter() -> None:
    done = threading.Event()
    loop = refloop.new_event_loop()
    made = Handles(loop)
    made.work(done.set)
    loop.close()
    assert done.is_set()


def test_the_capsule_keeps_the_loop() -> None:
    loop = refloop.new_event_loop()
    capsule = loop.uv_loop
    loop.close()
    del loop, capsule


def test_a_closed_loop_has_none() -> None:
    loop = refloop.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        _ = loop.uv_loop


def test_the_suite_tells_of_a_handle_that_is_left_open(tmp_path: Path) -> None:
    """So each case is a check that refloop closes all of its own."""
    miniature.write(tmp_path)
    done, result = miniature.run(tmp_path, "uv_handles:LeavesATimer", "-n0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert miniature.verdicts(result) == {
        "test_before": "pass",
        "test_attacked": "leak",
        "test_after": "pass",
        "test_synchronous": "pass",
    }
    (left,) = (case for case in result["cases"] if case["verdict"] == "leak")
    assert "unclosed libuv handles: 1 of type timer" in left["message"]
