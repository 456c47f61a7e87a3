"""refloop called in wrong ways raises what stock asyncio raises, where that raises it."""

import asyncio
import contextlib
import gc
import inspect
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from misuse import (
    DESCRIPTOR,
    HANDLE_CALLS,
    LOOP_CALLS,
    SERVER_CALLS,
    SOCKET,
    TRANSPORT_CALLS,
    Args,
    Calls,
    Outcome,
    outcome,
    wrong_calls,
)
from recorders import LOOPS
from socket_scenarios import turns

Loop = asyncio.AbstractEventLoop
Play = Callable[[Loop, str, Args], Outcome]

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # what stock asyncio leaves
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # coroutines that are never awaited
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    gc.collect()  # what stock asyncio leaves complains here
    logging.disable(logging.NOTSET)


def differences(play: Play, calls: Calls, *known: tuple[str, str]) -> str:
    """Make each call on both loops; returns a line for each of which more than the message differs."""
    lines = []
    for method, (args, values) in calls.items():
        for what, given in wrong_calls(args, values):
            expected, ours = (play(LOOPS[loop](), method, given) for loop in ("asyncio", "refloop"))
            if not alike(expected, ours) and (method, what) not in known:
                lines.append(f"{method} ({what}): asyncio {expected}, refloop {ours}")
    return "\n".join(lines)


def alike(expected: Outcome, ours: Outcome) -> bool:
    """Of two things that are wrong, one of which is that the loop is closed, either may be told."""
    if expected.rest != ours.rest:
        return False
    closed = "Event loop is closed" in (expected.message, ours.message)
    return expected.raised == ours.raised or (closed and None not in (expected.raised, ours.raised))


def finish(loop: Loop, result: Any) -> None:
    """Run what a method has returned if that is a coroutine, and close what comes of it."""
    if not inspect.isawaitable(result) or asyncio.isfuture(result):
        return
    if loop.is_closed():
        result.send(None)
        return

    async def brief() -> None:
        async with asyncio.timeout(0):
            made = await result
        for thing in made if isinstance(made, tuple) else [made]:
            if hasattr(thing, "close"):
                thing.close()

    with contextlib.suppress(TimeoutError):
        loop.run_until_complete(brief())


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_of_a_loop(closed: bool, debug: bool) -> None:
    def play(loop: Loop, method: str, args: Args) -> Outcome:
        loop.set_debug(debug)
        if closed:
            loop.close()
        ours, theirs = socket.socketpair()
        with ours, theirs, contextlib.closing(loop):
            ours.setblocking(False)
            stand_ins = {SOCKET: ours, DESCRIPTOR: ours.fileno()}
            given = [stand_ins.get(arg, arg) if isinstance(arg, str) else arg for arg in args]
            return outcome(lambda: finish(loop, getattr(loop, method)(*given)))

    known = [("call_at", f"0: {value}") for value in ("text", "bytes", "list", "odd", "coroutine function")]
    known += [(f"remove_{what}", "0: minus") for what in ("reader", "writer") if closed]
    found = differences(play, LOOP_CALLS, *known)  # stock asyncio notices the first when it compares two timers
    assert not found, found


class Quiet(asyncio.Protocol):
    """Notes how it was lost."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.append(type(exc).__name__)


async def over_socket(loop: Loop) -> tuple[Any, Quiet, Any]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return *(await loop.connect_accepted_socket(Quiet, ours)), theirs


async def to_read_from(loop: Loop) -> tuple[Any, Quiet, Any]:
    reading, writing = os.pipe()
    return *(await loop.connect_read_pipe(Quiet, os.fdopen(reading, "rb", 0))), os.fdopen(writing, "wb", 0)


async def to_write_to(loop: Loop) -> tuple[Any, Quiet, Any]:
    reading, writing = os.pipe()
    return *(await loop.connect_write_pipe(Quiet, os.fdopen(writing, "wb", 0))), os.fdopen(reading, "rb", 0)


MAKERS = {"socket": over_socket, "read pipe": to_read_from, "write pipe": to_write_to}

STATES: dict[str, Callable[[Any], object]] = {
    "open": lambda _: None,
    "after write_eof()": lambda transport: transport.write_eof(),
    "full": lambda transport: transport.write(bytes(1_000_000)),
    "paused": lambda transport: transport.pause_reading(),
    "closing": lambda transport: transport.close(),
    "aborted": lambda transport: transport.abort(),
    "lost": lambda transport: transport.close(),
    "loop closed": lambda _: None,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", MAKERS)
def test_of_a_transport(kind: str, state: str) -> None:
    def play(loop: Loop, method: str, args: Args) -> Outcome:
        reports: list[str] = []
        loop.set_exception_handler(lambda _, report: reports.append(type(report.get("exception")).__name__))

        async def prepare() -> tuple[Any, Quiet, Any]:
            made = await MAKERS[kind](loop)
            with contextlib.suppress(AttributeError, NotImplementedError):
                STATES[state](made[0])
            await turns(5 if state == "lost" else 0)
            return made

        transport, protocol, other = loop.run_until_complete(prepare())
        if state == "loop closed":
            loop.close()
        with other, contextlib.closing(loop):
            done = outcome(lambda: getattr(transport, method)(*args))
            if loop.is_closed():
                return done
            loop.run_until_complete(turns())
            done = done._replace(rest=(transport.is_closing(), protocol.lost.copy(), set(reports)))
            with contextlib.suppress(AttributeError):  # stock asyncio cannot abort() what is lost
                transport.abort() if hasattr(transport, "abort") else transport.close()
            loop.run_until_complete(turns())
            return done

    known = []
    if kind == "write pipe":
        known += [("abort", what) for what in ("right", "more")]  # fails in stock asyncio once the transport is lost
        known += [("write", "0: table")]  # is reported there over and over
    if state == "full":
        known += [("write", "0: strided")]  # is refused there when it is joined to the rest, or when its turn comes
    if sys.version_info >= (3, 12):
        known += [("writelines", "0: None"), ("writelines", "0: zero")]  # what is false is taken for an empty list
    elif state == "after write_eof()":
        known += [("writelines", what) for what in OF_LINES]  # all was joined before anything else was looked at
    reads = kind != "write pipe"  # the others are there in stock asyncio, and not implemented
    calls = {method: call for method, call in TRANSPORT_CALLS.items() if reads or "read" not in method}
    if sys.version_info >= (3, 12) and kind == "socket" and state in ("closing", "aborted", "lost", "loop closed"):
        del calls["writelines"]  # stock asyncio has forgotten these states: it raises this or that by version
    found = differences(play, calls, *known)
    assert not found, found


OF_LINES = [what for what, _ in wrong_calls(*TRANSPORT_CALLS["writelines"])]


@pytest.mark.parametrize("closed", [False, True])
def test_of_a_server(closed: bool) -> None:
    def play(loop: Loop, method: str, args: Args) -> Outcome:
        server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
        if closed:
            server.close()
        with contextlib.closing(loop):
            done = outcome(lambda: finish(loop, getattr(server, method)(*args)))
            server.close()
            loop.run_until_complete(turns())
            return done._replace(rest=(server.is_serving(), len(server.sockets)))

    known = [("start_serving", "right")] * closed  # of which stock asyncio says that it serves
    found = differences(play, SERVER_CALLS, *known)
    assert not found, found


@pytest.mark.parametrize("ran", [False, True])
def test_of_a_handle(ran: bool) -> None:
    def play(loop: Loop, method: str, args: Args) -> Outcome:
        handles = [loop.call_soon(int), loop.call_later(0, int)]
        with contextlib.closing(loop):
            if ran:
                loop.run_until_complete(turns())
            first, second = (outcome(lambda handle=handle: getattr(handle, method)(*args)) for handle in handles)
            return first._replace(rest=(second.raised, *(handle.cancelled() for handle in handles)))

    found = differences(play, HANDLE_CALLS)
    assert not found, found


CALLBACKS = ("connection_made", "data_received", "eof_received", "pause_writing", "resume_writing", "connection_lost")


class Whole:
    """All that a protocol may be asked for, on no class of asyncio."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def __getattr__(self, name: str) -> Any:
        if name not in CALLBACKS:
            raise AttributeError(name)
        return lambda *args: self.told.append(name)


class Lacking(Whole):
    """The same without one callback."""

    lacks = ""

    def __getattr__(self, name: str) -> Any:
        if name == self.lacks:
            raise AttributeError(f"no {name}")
        return super().__getattr__(name)


class Raising(Whole):
    """The same with one callback that raises."""

    lacks = ""

    def __getattr__(self, name: str) -> Any:
        if name != self.lacks:
            return super().__getattr__(name)

        def fail(*_: object) -> None:
            self.told.append(name)
            raise ZeroDivisionError

        return fail


@pytest.mark.parametrize("kind", [Lacking, Raising])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_of_a_protocol(callback: str, kind: type[Lacking] | type[Raising]) -> None:
    """One without a callback, or with one that raises, ends as in stock asyncio, and the same is reported."""

    def play(loop: Loop, *_: object) -> Outcome:
        told: list[str] = []
        reports: list[Any] = []
        loop.set_exception_handler(lambda _, report: reports.append(type(report.get("exception")).__name__))
        protocol = kind(told)
        protocol.lacks = callback

        async def live() -> None:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                theirs.setblocking(False)
                transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours)  # type: ignore[type-var]
                theirs.send(b"data")
                await turns()
                transport.write(bytes(1_000_000))
                with contextlib.suppress(BlockingIOError):
                    while theirs.recv(1_000_000):
                        await turns(2)
                theirs.shutdown(socket.SHUT_WR)
                await turns()
                if transport.get_protocol() is not None:
                    transport.abort()
                await turns()

        with contextlib.closing(loop):
            done = outcome(lambda: loop.run_until_complete(live()))
        return done._replace(rest=(told, reports))

    found = differences(play, {callback: ((), {})})
    assert not found, found
