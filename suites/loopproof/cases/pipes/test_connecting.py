"""Which files connect_read_pipe() and connect_write_pipe() take, and what becomes of a file when they fail."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import raises, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import Counted, drained, identity, opened

FILES: dict[str, Callable[[int, str], Any]] = {
    "buffered": lambda number, side: os.fdopen(number, f"{side}b"),
    "text": lambda number, side: os.fdopen(number, side),
    "socket": lambda number, _: socket.socket(fileno=number),
    "own": lambda number, _: Counted(number),
}
SIDES = [("connect_read_pipe", "rb"), ("connect_write_pipe", "wb")]


@requires("PIPE-CONNECT_READ_PIPE-05", "PIPE-CONNECT_WRITE_PIPE-08", "PIPE-CONNECT_READ_PIPE-20")
@pytest.mark.parametrize(("method", "mode"), SIDES)
async def test_a_regular_file(loop: asyncio.AbstractEventLoop, tmp_path: Path, method: str, mode: str) -> None:
    """A regular file is refused with ValueError, without connection_made(), and is still the caller's."""
    protocol = RecordingProtocol()
    (tmp_path / "file").touch()
    with (tmp_path / "file").open(mode) as file:
        with raises(ValueError):
            await getattr(loop, method)(lambda: protocol, file)
        await polls(2)
        assert not file.closed
        assert identity(file.fileno()), "the descriptor of the file was closed"
        assert os.get_blocking(file.fileno()), "the file that was refused does not block any more"
    assert not protocol.history.names


@requires("PIPE-CONNECT_READ_PIPE-12", "PIPE-CONNECT_READ_PIPE-20")
@pytest.mark.parametrize(("method", "mode"), SIDES)
async def test_a_factory_that_raises(loop: asyncio.AbstractEventLoop, method: str, mode: str) -> None:
    """What the protocol factory raises is raised, and the pipe is still the caller's."""

    def factory() -> Any:
        raise ZeroDivisionError

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        file = reader if mode == "rb" else writer
        with raises(ZeroDivisionError):
            await getattr(loop, method)(factory, file)
        await polls(2)
        assert identity(file.fileno()), "the descriptor of the pipe was closed"
        assert os.get_blocking(file.fileno()), "the pipe does not block any more though nobody took it"


@requires("PIPE-CONNECT_READ_PIPE-12")
@pytest.mark.parametrize(("method", "mode"), SIDES)
@pytest.mark.parametrize("wrong", ["text", "a number", "closed"])
async def test_what_is_no_file(loop: asyncio.AbstractEventLoop, method: str, mode: str, wrong: str) -> None:
    """What is no file, or closed, is refused; connection_made() is not called."""
    protocol = RecordingProtocol()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        file = reader if mode == "rb" else writer
        file.close()
        given: Any = {"text": "text", "a number": reading, "closed": file}[wrong]
        with raises(AttributeError, TypeError, ValueError, OSError):
            await getattr(loop, method)(lambda: protocol, given)
        await polls(2)
    assert not protocol.history.names


@requires("PIPE-CONNECT_READ_PIPE-19")
@pytest.mark.parametrize("given", ["buffered", "text", "socket", "own"])
async def test_an_object_to_read_from(loop: asyncio.AbstractEventLoop, given: str) -> None:
    """Whatever has fileno() and close() can be read from, and is closed with the transport."""
    with opened("socket" if given == "socket" else "pipe") as (reading, writing):
        file = FILES[given](reading, "r")
        protocol = RecordingProtocol()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, file)
        os.write(writing, b"hello\n")
        await until(lambda: protocol.history.received == b"hello\n", "data")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: identity(reading) is None, "the end of the descriptor")
        file.close()


@requires("PIPE-CONNECT_READ_PIPE-19")
@pytest.mark.parametrize("given", ["buffered", "text", "socket", "own"])
async def test_an_object_to_write_to(loop: asyncio.AbstractEventLoop, given: str) -> None:
    """Whatever has fileno() and close() can be written to, and is closed with the transport."""
    with opened("socket" if given == "socket" else "pipe") as (reading, writing):
        file = FILES[given](writing, "w")
        protocol = RecordingProtocol()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
        transport.write(b"hello\n")
        await until(lambda: drained(reading) == b"hello\n", "data")
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: identity(writing) is None, "the end of the descriptor")
        file.close()


@requires("PIPE-CONNECT_READ_PIPE-09")
@pytest.mark.parametrize(("method", "mode"), SIDES)
async def test_a_cancel_at_every_turn(loop: asyncio.AbstractEventLoop, method: str, mode: str) -> None:
    """Whenever it is cancelled, the transport is closed if connection_made() was called, and so is then the pipe."""

    async def scenario(cancel: Cancel) -> None:
        protocol = RecordingProtocol()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
            file = reader if mode == "rb" else writer
            task = await cancel(getattr(loop, method)(lambda: protocol, file))
            await polls(3)
            if not task.cancelled():
                transport, returned = task.result()
                assert returned is protocol
                transport.close()
            if protocol.history.names:
                await until(protocol.closed.is_set, "connection_lost() after a cancel")
                await until(lambda: file.closed, "the end of the pipe")
                protocol.history.check()

    await at_every_turn(scenario)
