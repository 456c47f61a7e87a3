"""Handle: cancelled(), get_context(), repr(), identity."""

import asyncio
import contextvars
import functools
import pickle
import weakref
from collections.abc import Callable

from loopproof.authoring import requires

Factory = Callable[[], asyncio.AbstractEventLoop]

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="unset")


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def a_callback_to_be_found(*_: object) -> None:
    """Do nothing under a name that a representation can show."""


@requires("SCHED-HANDLE_CANCELLED-01")
def test_cancelled_tells_whether_cancel_was_called(new_loop: Factory) -> None:
    """cancelled() is False for a fresh handle and True from cancel() on, also after the loop went by and closed."""
    loop = new_loop()
    handle = loop.call_soon(int)
    told = [handle.cancelled()]
    handle.cancel()
    told.append(handle.cancelled())
    run_once(loop)
    told.append(handle.cancelled())
    loop.close()
    told.append(handle.cancelled())
    assert told == [False, True, True, True]


@requires("SCHED-HANDLE_CANCELLED-01")
def test_cancelled_is_told_for_each_handle_alone(new_loop: Factory) -> None:
    """Cancelling one handle does not show on others with the same callback."""
    loop = new_loop()
    handles = [loop.call_soon(int) for _ in range(5)]
    handles[3].cancel()
    assert [handle.cancelled() for handle in handles] == [False, False, False, True, False]


@requires("SCHED-HANDLE_CANCELLED-02")
def test_cancelled_is_false_after_the_callback_ran(loop: asyncio.AbstractEventLoop, reports: list[object]) -> None:
    """A handle whose callback has run, or failed, was not cancelled."""
    ran = loop.call_soon(int)
    failed = loop.call_soon(int, "not a number")
    run_once(loop)
    assert [ran.cancelled(), failed.cancelled()] == [False, False]


@requires("SCHED-HANDLE_CANCELLED-02")
def test_cancelled_of_an_old_handle_is_not_that_of_a_later_one(new_loop: Factory) -> None:
    """What happens to callbacks queued since does not show on a handle whose callback has run."""
    loop = new_loop()
    old = [loop.call_soon(int) for _ in range(100)]
    run_once(loop)
    for _ in range(200):
        loop.call_soon(int).cancel()
    assert not any(handle.cancelled() for handle in old)


@requires("SCHED-HANDLE_CANCELLED-03")
async def test_cancelled_is_false_while_the_callback_runs(loop: asyncio.AbstractEventLoop) -> None:
    """Seen from inside its callback a handle is not cancelled until it is."""
    told: list[bool] = []
    handles: list[asyncio.Handle] = []

    def callback() -> None:
        told.append(handles[0].cancelled())
        handles[0].cancel()
        told.append(handles[0].cancelled())

    handles.append(loop.call_soon(callback))
    await asyncio.sleep(0)
    assert told == [False, True]


@requires("SCHED-HANDLE_GET_CONTEXT-01")
async def test_get_context_returns_the_context_given(loop: asyncio.AbstractEventLoop) -> None:
    """A Context that was passed, also an empty one, is returned as the identical object."""
    for context in (contextvars.Context(), contextvars.copy_context()):
        handle = loop.call_soon(int, context=context)
        assert handle.get_context() is context


@requires("SCHED-HANDLE_GET_CONTEXT-01")
async def test_get_context_returns_the_copy_that_the_callback_runs_in(loop: asyncio.AbstractEventLoop) -> None:
    """Without context= the handle tells the copy: it holds the caller's values and the callback's changes."""
    COLOUR.set("caller's")
    handle = loop.call_soon(COLOUR.set, "callback's")
    context = handle.get_context()
    assert isinstance(context, contextvars.Context)
    assert context[COLOUR] == "caller's"
    await asyncio.sleep(0)
    assert context[COLOUR] == "callback's"


@requires("SCHED-HANDLE_GET_CONTEXT-02")
async def test_get_context_works_after_the_callback_ran_and_after_cancel(loop: asyncio.AbstractEventLoop) -> None:
    """The context stays known after the callback has run and after cancellation."""
    context = contextvars.copy_context()
    ran = loop.call_soon(int, context=context)
    await asyncio.sleep(0)
    cancelled = loop.call_soon(int, context=context)
    cancelled.cancel()
    assert ran.get_context() is context
    assert cancelled.get_context() is context


@requires("SCHED-HANDLE_REPR-01")
async def test_repr_names_the_callback(loop: asyncio.AbstractEventLoop) -> None:
    """repr() of a handle shows the name of the function, of a method and of what a partial wraps."""

    class Owner:
        def method_to_be_found(self) -> None:
            pass

    assert "a_callback_to_be_found" in repr(loop.call_soon(a_callback_to_be_found))
    assert "method_to_be_found" in repr(loop.call_soon(Owner().method_to_be_found))
    assert "a_callback_to_be_found" in repr(loop.call_soon(functools.partial(a_callback_to_be_found, 1)))
    await asyncio.sleep(0)


@requires("SCHED-HANDLE_REPR-01")
async def test_repr_shows_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """The word cancelled appears in repr() with cancel() and not before."""
    handle = loop.call_soon(a_callback_to_be_found)
    before = repr(handle)
    handle.cancel()
    assert "cancelled" not in before
    assert "cancelled" in repr(handle)


@requires("SCHED-HANDLE_REPR-03")
def test_repr_works_at_every_time_of_life(loop: asyncio.AbstractEventLoop, reports: list[object]) -> None:
    """repr() of a handle never raises: queued, running, run, failed, cancelled and with the loop closed."""
    texts: list[str] = []
    handles: list[asyncio.Handle] = []

    def callback(*_: object) -> None:
        texts.extend(map(repr, handles))

    handles += [loop.call_soon(callback, 1, "two"), loop.call_soon(int, "not a number"), loop.call_soon(int)]
    handles[2].cancel()
    texts.extend(map(repr, handles))
    run_once(loop)
    texts.extend(map(repr, handles))
    loop.close()
    texts.extend(map(repr, handles))
    assert len(texts) == 12
    assert all(isinstance(text, str) and text for text in texts)


@requires("SCHED-HANDLE_REPR-02")
def test_repr_in_debug_mode_tells_where_the_handle_was_made(new_loop: Factory) -> None:
    """In debug mode repr() names this file as the place of creation."""
    loop = new_loop()
    loop.set_debug(True)

    def make_a_handle() -> asyncio.Handle:
        return loop.call_soon(int)

    handle = make_a_handle()
    file, line = make_a_handle.__code__.co_filename, make_a_handle.__code__.co_firstlineno + 1
    assert f"{file}:{line}" in repr(handle), f"{file}:{line} is not in {handle!r}"


@requires("SCHED-HANDLE_HASH-01")
async def test_handles_are_distinct_and_hashable(loop: asyncio.AbstractEventLoop) -> None:
    """Handles of equal registrations are different members of a set and find themselves again."""
    handles = [loop.call_soon(a_callback_to_be_found, 1) for _ in range(3)]
    assert handles[0] != handles[1]
    assert handles[0] == handles[0]
    assert len(set(handles)) == 3
    hashes = [hash(handle) for handle in handles]
    await asyncio.sleep(0)
    handles[1].cancel()
    assert [hash(handle) for handle in handles] == hashes, "the hash of a handle changes during its life"
    assert handles.index(handles[2]) == 2


@requires("SCHED-HANDLE_HASH-02")
async def test_handles_can_be_referred_to_weakly(loop: asyncio.AbstractEventLoop) -> None:
    """A handle takes weak references, which live as long as the callback is queued."""
    gone: list[str] = []
    reference = weakref.ref(loop.call_soon(a_callback_to_be_found), lambda _: gone.append("gone"))
    assert reference() is not None, "the loop does not keep the handle of a queued callback alive"
    assert gone == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reference() is None
    assert gone == ["gone"]


@requires("SCHED-HANDLE_HASH-02")
async def test_handles_cannot_be_pickled(loop: asyncio.AbstractEventLoop) -> None:
    """A handle refuses to be pickled instead of turning into one that belongs to no loop."""
    handle = loop.call_soon(a_callback_to_be_found)
    try:
        pickle.dumps(handle)
    except Exception:
        return
    raise AssertionError(f"{handle!r} was pickled")
