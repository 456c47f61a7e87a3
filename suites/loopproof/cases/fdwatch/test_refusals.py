"""What cannot be watched, objects that stand for descriptors, descriptors of transports, and callbacks that fail."""

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import opened
from loopproof.authoring.sockets import plugged
from loopproof.faultkit import hold, send

METHODS = ["add_reader", "add_writer", "remove_reader", "remove_writer"]
Report = dict[str, Any]


class Holder:
    """Something with a fileno()."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def fileno(self) -> Any:
        """The number it holds."""
        return self.number


@requires("FD-ADD_READER-03")
@pytest.mark.parametrize("side", ["reader", "writer"])
@pytest.mark.parametrize("added", ["int", "socket", "holder"])
@pytest.mark.parametrize("removed", ["int", "socket", "holder"])
async def test_objects_with_a_descriptor(loop: asyncio.AbstractEventLoop, side: str, added: str, removed: str) -> None:
    """Numbers, sockets and whatever has a fileno() are the same: what was added as one is removed as another."""
    seen: list[int] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        forms: dict[str, Any] = {"int": ours.fileno(), "socket": ours, "holder": Holder(ours.fileno())}
        theirs.send(b"x")
        getattr(loop, f"add_{side}")(forms[added], seen.append, 1)
        await until(lambda: seen, "the callback")
        getattr(loop, f"remove_{side}")(forms[removed])
        seen.clear()
        await polls(3)
        assert not seen


WRONG: dict[str, Any] = {
    "text": "1",
    "None": None,
    "a float": 1.5,
    "an object": object(),
    "-1": -1,
    "fileno() of -1": Holder(-1),
    "fileno() of text": Holder("text"),
    "fileno() of None": Holder(None),
}


@requires("FD-ADD_READER-06")
@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
@pytest.mark.parametrize("wrong", sorted(WRONG))
async def test_what_has_no_descriptor(loop: asyncio.AbstractEventLoop, method: str, wrong: str) -> None:
    """What is no descriptor and has none is refused with ValueError."""
    with raises(ValueError):
        getattr(loop, method)(WRONG[wrong], list)


@requires("FD-ADD_READER-06")
@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
async def test_a_closed_socket(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """A socket that is closed is refused with ValueError."""
    with socket.socket() as ours:
        ours.close()
        with raises(ValueError):
            getattr(loop, method)(ours, list)


@requires("FD-ADD_READER-14")
@pytest.mark.parametrize("side", ["reader", "writer"])
async def test_a_number_that_is_not_open(loop: asyncio.AbstractEventLoop, side: str) -> None:
    """A number that is not open is refused with OSError (EBADF), and can be watched once it is."""
    seen: list[int] = []
    with opened("socket") as (closed, _):
        os.close(closed)
        with raises(OSError) as caught:
            getattr(loop, f"add_{side}")(closed, seen.append, 1)
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.EBADF
        getattr(loop, f"remove_{side}")(closed)
        with opened("socket") as (ours, theirs):
            assert ours == closed, "the kernel gave another number"
            os.write(theirs, b"x")
            getattr(loop, f"add_{side}")(ours, seen.append, 2)
            await until(lambda: seen, "the callback")
            assert set(seen) == {2}
            getattr(loop, f"remove_{side}")(ours)


@requires("FD-ADD_READER-10")
@pytest.mark.parametrize("side", ["reader", "writer"])
async def test_a_regular_file(loop: asyncio.AbstractEventLoop, tmp_path: Path, side: str) -> None:
    """A regular file is watched and always ready, or refused with OSError and then not watched."""
    seen: list[int] = []
    with (tmp_path / "file").open("wb+") as file:
        try:
            getattr(loop, f"add_{side}")(file.fileno(), seen.append, 1)
        except OSError:
            getattr(loop, f"remove_{side}")(file.fileno())
        else:
            await until(lambda: seen, "the callback")
            getattr(loop, f"remove_{side}")(file.fileno())
        await polls(2)


@requires("FD-ADD_READER-05")
@needs("tcp")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["int", "socket", "transport's socket"])
async def test_the_descriptor_of_a_transport(loop: asyncio.AbstractEventLoop, method: str, form: str) -> None:
    """The descriptor of a live transport is refused with RuntimeError, and the transport is not harmed."""
    protocol = RecordingProtocol()
    with plugged("tcp", [hold(), send(b"hello"), hold()]) as (ours, peer):
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        inner = transport.get_extra_info("socket")
        given: Any = {"int": inner.fileno(), "socket": ours, "transport's socket": inner}[form]
        try:
            with raises(RuntimeError):
                getattr(loop, method)(given, *[list] * method.startswith("add"))
            peer.release()
            await until(lambda: protocol.history.received == b"hello", "data for the protocol")
        finally:
            transport.abort()
            await protocol.closed.wait()
            await polls(2)


@requires("FD-ADD_READER-12")
@pytest.mark.parametrize("side", ["reader", "writer"])
async def test_a_callback_that_raises(loop: asyncio.AbstractEventLoop, reports: list[Report], side: str) -> None:
    """An exception of a callback is reported each time, and the watch stays."""
    with opened("socket") as (ours, theirs):
        os.write(theirs, b"x")
        getattr(loop, f"add_{side}")(ours, lambda: 1 // 0)
        await until(lambda: len(reports) >= 3, "three reports")
        getattr(loop, f"remove_{side}")(ours)
        await polls(2)
        assert {type(report["exception"]) for report in reports} == {ZeroDivisionError}
        assert all(report["message"] for report in reports)
        reports.clear()


@requires("FD-ADD_READER-12")
async def test_a_callback_that_raises_once(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """One that raises the first time gets its data the second time."""
    seen: list[bytes] = []

    def look() -> None:
        if not reports:
            raise ZeroDivisionError
        seen.append(os.read(reading, 10))

    with opened() as (reading, writing):
        os.write(writing, b"x")
        loop.add_reader(reading, look)
        await until(lambda: seen, "the second call")
        assert seen == [b"x"]
        assert len(reports) == 1
        loop.remove_reader(reading)
        reports.clear()
