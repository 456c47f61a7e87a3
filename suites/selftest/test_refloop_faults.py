"""refloop under faults: each of its system calls fails with each error that it may fail with, or moves less than asked.

Never a crash, a hang, a descriptor left open or a byte lost in silence; errors arrive where those of stock asyncio do.
"""

import asyncio
import collections
import errno
import gc
from collections.abc import Callable, Iterator

import pytest
from fault_scenes import SCENES, Story, play

import refloop
from loopproof import faultkit
from loopproof.faultkit import Injector, allow, fail, short

pytestmark = pytest.mark.skipif(
    faultkit.available()["short"] is not None, reason=f"the kernel: {faultkit.available()['short']}"
)

NOT_OURS = {
    call for group in ("opening", "spawning", "random", "reaping") for call in faultkit.call_groups()[group]
}  # of the interpreter
ERRORS = {call: errors for call, errors in faultkit.plausible_errors().items() if errors and call not in NOT_OURS}
EXHAUSTED = ("ENFILE", "ENOBUFS", "ENOMEM")
"""Beside EMFILE, after each of which a server pauses for a second: that is tested elsewhere."""

SILENT = ("getsockname", "getpeername", "setsockopt", "epoll_ctl", "close", "poll")
"""Calls that may fail and nobody has to be told: what they would have done is done without, or was to be undone."""

DONE_WITHOUT = (("listening", "socket"), ("listening", "bind"))
"""A server does without an address that cannot be had; from Python 3.13 on it needs one, and says so in other words."""

GOT_OVER = ("EINTR", "EAGAIN", "ECONNABORTED")


@pytest.fixture(autouse=True, scope="module")
def _quick_collections() -> Iterator[None]:
    """The collector looks at what the tests themselves have made alone."""
    for scene in SCENES:  # once, for what lasts: imports, caches, what libuv opens for good
        play(scene, refloop.new_event_loop, Injector([allow("read")]))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def attempt(scene: str, rule: dict[str, object]) -> tuple[Story, int]:
    """Play a scene on refloop with a fault; returns what came of it, and how often the fault struck."""
    before = set(faultkit.descriptors())
    injector = Injector([rule])
    story = play(scene, refloop.new_event_loop, injector)
    gc.collect()
    assert not faultkit.descriptors().keys() - before, "descriptors are left open"
    assert not isinstance(story.raised, TimeoutError) or story.raised.errno, f"{rule} has it hang"
    return story, injector.chosen[0]


def calls_of(scene: str) -> dict[str, int]:
    """How often the loop makes which calls in a scene."""
    injector = Injector([allow(tuple(ERRORS))])
    assert play(scene, refloop.new_event_loop, injector).returned is True
    return collections.Counter(call.call for call in injector.trace)


def errors_of(call: str, nth: int) -> Iterator[str]:
    for error in ERRORS[call]:
        if call == "accept4" and error in EXHAUSTED:
            continue
        if call == "connect" and error == "EINTR":  # the kernel goes on connecting, and the injector does not
            continue
        yield error


@pytest.mark.parametrize("scene", SCENES)
def test_each_call_fails_with_each_error(scene: str) -> None:
    struck = collections.Counter[str]()
    for call, count in calls_of(scene).items():
        for nth in range(1, count + 1):
            for error in errors_of(call, nth):
                story, times = attempt(scene, fail(call, error, nth=nth))
                struck[call] += times
                what = f"{call} {nth} of {count} fails with {error}: {story}"
                told = getattr(errno, error) in story.errors
                if call in SILENT or not times:
                    assert story.returned is True or told, what
                elif (scene, call) in DONE_WITHOUT:
                    assert story.returned is True or isinstance(story.raised, OSError), what
                elif error in GOT_OVER and call != "connect":
                    assert story.returned is True, what
                    assert not told, what
                else:
                    assert told, what
    assert struck["epoll_ctl"]
    assert struck["close"]


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in ("listening", "watching")])
@pytest.mark.parametrize("rule", [("reading", 997, None), ("writing", 1009, None), (("reading", "writing"), 1, 300)])
def test_less_is_moved_than_asked_for(scene: str, rule: tuple[str, int, int | None]) -> None:
    calls, size, count = rule
    story, times = attempt(scene, short(calls, size, count=count, kind=("tcp", "pipe")))
    assert story.returned is True
    assert story.errors == []
    assert times >= (count or 100)


ALIKE: list[tuple[str, str, int, str | None]] = [
    # the scene; the call, which of them, and of what kind of descriptor, in which each error is tried
    ("client", "socket", 1, None),
    ("client", "connect", 1, "tcp"),
    ("client", "sendto", 1, "tcp"),
    ("client", "recvfrom", 1, "tcp"),
    ("client", "shutdown", 1, "tcp"),
    ("client", "getpeername", 1, "tcp"),
    ("client", "close", 1, "tcp"),
    ("listening", "socket", 1, None),
    ("listening", "setsockopt", 1, "tcp"),
    ("listening", "bind", 1, "tcp"),
    ("listening", "listen", 1, "tcp"),
    ("server", "recvfrom", 1, "tcp"),
    ("server", "sendto", 1, "tcp"),
    ("server", "close", 1, "tcp"),
    ("pipes", "read", 1, "pipe"),
    ("pipes", "write", 1, "pipe"),
    ("pipes", "write", 2, "pipe"),
    ("pipes", "close", 1, "pipe"),
    ("sockets", "connect", 1, "tcp"),
    ("sockets", "getsockopt", 1, "tcp"),
    ("sockets", "sendto", 1, "tcp"),
    ("sockets", "recvfrom", 1, "tcp"),
]

KNOWN = {("connect", "EAGAIN"), ("connect", "EINTR")}
"""Stock asyncio takes the first for a connection that is under way; the kernel goes on after the second."""


def told(story: Story) -> tuple[object, ...]:
    """Who was told what, without texts."""

    def kind(error: object) -> object:
        if isinstance(error, BrokenPipeError):  # that of a pipe may be noticed in two ways, of which one has no number
            return BrokenPipeError
        return (type(error), error.errno) if isinstance(error, OSError) else type(error)

    reports = [kind(report.get("exception")) for report in story.reports]
    return story.returned, kind(story.raised), [kind(error) for error in story.lost], reports


def tell_of(
    factory: Callable[[], asyncio.AbstractEventLoop], scene: str, rule: dict[str, object]
) -> tuple[object, ...]:
    injector = Injector([rule])
    story = play(scene, factory, injector)
    gc.collect()
    assert injector.chosen == (1,), "the call was not made"
    return told(story)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # stock asyncio leaves things open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("scene", "call", "nth", "kind"), ALIKE)
def test_errors_arrive_where_those_of_asyncio_do(scene: str, call: str, nth: int, kind: str | None) -> None:
    for error in ERRORS[call]:
        if (call, error) not in KNOWN:
            rule = fail(call, error, nth=nth, kind=kind)
            ours = tell_of(refloop.new_event_loop, scene, rule)
            assert ours == tell_of(asyncio.SelectorEventLoop, scene, rule), error
