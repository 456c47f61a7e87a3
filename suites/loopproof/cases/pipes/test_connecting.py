"""Which files connect_read_pipe() and connect_write_pipe() take, and what becomes of a file when they fail."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import raises, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import identity

SIDES = [("connect_read_pipe", "rb"), ("connect_write_pipe", "wb")]


@requires("PIPE-CONNECT_READ_PIPE-05", "PIPE-CONNECT_WRITE_PIPE-08")
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
    assert not protocol.history.names


@requires("PIPE-CONNECT_READ_PIPE-12")
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


@requires("PIPE-CONNECT_READ_PIPE-12")
@pytest.mark.parametrize(("method", "mode"), SIDES)
@pytest.mark.parametrize("wrong", ["text", "closed"])
async def test_what_is_no_file(loop: asyncio.AbstractEventLoop, method: str, mode: str, wrong: str) -> None:
    """What is no file, or closed, is refused; connection_made() is not called."""
    protocol = RecordingProtocol()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        file = reader if mode == "rb" else writer
        file.close()
        given: Any = {"text": "text", "closed": file}[wrong]
        with raises(AttributeError, TypeError, ValueError, OSError):
            await getattr(loop, method)(lambda: protocol, given)
        await polls(2)
    assert not protocol.history.names


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
