"""Terminals, FIFOs that are open both ways and other character devices as pipes."""

import asyncio
import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import KINDS, drained, identity, opened, writing_pipe

Loop = asyncio.AbstractEventLoop
Report = dict[str, Any]


def device(path: str, mode: str) -> Any:
    """Open a device, for a transport to close."""
    return os.fdopen(os.open(path, os.O_RDONLY if mode == "rb" else os.O_WRONLY), mode, 0)


async def over(protocol: Any, file: Any) -> None:
    """Wait until a connection is lost and its file closed, and check what the protocol was told."""
    await until(protocol.closed.is_set, "connection_lost()")
    await until(lambda: file.closed, "the end of the file object")
    protocol.history.check()


@requires("PIPE-CONNECT_WRITE_PIPE-21")
@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
async def test_a_device_that_takes_all(loop: Loop, path: str) -> None:
    """A device that takes whatever is written to it can be written to; nothing is queued, and close() ends it."""
    file = device(path, "wb")
    protocol = RecordingProtocol()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    for _ in range(3):
        transport.write(bytes(1_000_000))
        assert transport.get_write_buffer_size() == 0, "a device that takes all has left something over"
        await polls(1)
    assert protocol.history.names == ["connection_made"]
    transport.close()
    await over(protocol, file)
    assert protocol.error is None


@requires("PIPE-CONNECT_WRITE_PIPE-20")
async def test_a_device_that_is_full(loop: Loop, reports: list[Report]) -> None:
    """Where the system says that there is no space, connection_lost() gets that error, and nothing is reported."""
    file = device("/dev/full", "wb")
    protocol = RecordingProtocol()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    transport.write(b"hello")
    assert transport.is_closing(), "the transport is not closing though write() has failed"
    assert "connection_lost" not in protocol.history.names, "connection_lost() was called from within write()"
    transport.write(b"more")
    await over(protocol, file)
    assert isinstance(protocol.error, OSError), f"connection_lost() got {protocol.error!r}"
    assert protocol.error.errno == errno.ENOSPC
    assert not reports


@requires("PIPE-CONNECT_READ_PIPE-05")
async def test_a_device_without_end(loop: Loop) -> None:
    """A device that always has data is read until the protocol has enough, and other callbacks have their turns."""
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        if not protocol.closed.is_set():
            loop.call_soon(count)

    def enough(_: Any) -> None:
        if turns > 2:
            protocol.transport.close()

    file = device("/dev/random", "rb")
    protocol = RecordingProtocol(on={"data_received": enough})
    await loop.connect_read_pipe(lambda: protocol, file)
    loop.call_soon(count)
    await over(protocol, file)
    assert len(protocol.history.received) > 0
    assert protocol.error is None


@requires("PIPE-CONNECT_READ_PIPE-17")
@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
async def test_a_device_that_cannot_be_watched(loop: Loop, reports: list[Report], path: str) -> None:
    """Where the system cannot watch a device, that is raised or reported, or it is read all the same."""
    file = device(path, "rb")
    protocol = RecordingProtocol(on={"data_received": lambda p: p.transport.close()})
    try:
        await loop.connect_read_pipe(lambda: protocol, file)
    except OSError:
        file.close()
        return
    await polls(5)
    told = {"data_received", "eof_received"} & set(protocol.history.names)
    assert told or any(isinstance(report.get("exception"), OSError) for report in reports), (
        "the device is neither read nor is it said that it cannot be"
    )
    reports.clear()
    protocol.transport.close()
    await over(protocol, file)


@requires("PIPE-CONNECT_READ_PIPE-18")
async def test_a_fifo_to_read_that_is_open_both_ways(loop: Loop) -> None:
    """Who writes to such a FIFO may come and go: the transport reads on."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/fifo")
        file = os.fdopen(os.open(f"{folder}/fifo", os.O_RDWR), "r+b", 0)
        protocol = RecordingProtocol()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, file)
        for number in range(1, 4):
            with Path(f"{folder}/fifo").open("wb", 0) as other:
                other.write(b"hello")
            await until(lambda: len(protocol.history.received) == 5 * number, "data")  # noqa: B023 - awaited here
            await polls(2)
            assert {"eof_received", "connection_lost"}.isdisjoint(protocol.history.names), "the FIFO has ended"
        transport.close()
        await over(protocol, file)


@requires("PIPE-CONNECT_WRITE_PIPE-19")
async def test_a_fifo_to_write_that_is_open_both_ways(loop: Loop) -> None:
    """What is written to such a FIFO stays there until somebody reads it, and the transport stays open."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/fifo")
        file = os.fdopen(os.open(f"{folder}/fifo", os.O_RDWR), "r+b", 0)
        protocol = RecordingProtocol()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
        other = os.open(f"{folder}/fifo", os.O_RDONLY | os.O_NONBLOCK)
        try:
            transport.write(b"hello")
            await polls(5)
            names = list(protocol.history.names)
            read = drained_or_nothing(other)
        finally:
            os.close(other)
            transport.abort()
            await over(protocol, file)
        assert names == ["connection_made"], f"the protocol was told: {names}"
        assert read == b"hello", "what was written is gone"


def drained_or_nothing(reading: int) -> bytes:
    """Read what is there."""
    with contextlib.suppress(BlockingIOError):
        return os.read(reading, 100)
    return b""


@requires("PIPE-CONNECT_READ_PIPE-01", "PIPE-CONNECT_WRITE_PIPE-01")
async def test_a_terminal_both_ways(loop: Loop) -> None:
    """Two transports of one terminal, one that reads and one that writes, live and end by themselves."""
    with opened("terminal") as (slave, master):
        reads, writes = RecordingProtocol(), RecordingProtocol()
        to = os.fdopen(os.dup(slave), "wb", 0)
        of = os.fdopen(slave, "rb", 0)
        source, _ = await loop.connect_read_pipe(lambda: reads, of)
        sink, _ = await loop.connect_write_pipe(lambda: writes, to)
        os.write(master, b"typed")
        await until(lambda: reads.history.received == b"typed", "what was typed")
        sink.write(b"shown")
        await until(lambda: drained(master) == b"shown", "what is shown")
        source.close()
        await over(reads, of)
        sink.write(b"more")
        await until(lambda: drained(master) == b"more", "what is shown after the end of the other transport")
        assert writes.history.names == ["connection_made"]
        sink.close()
        await over(writes, to)


@requires("PIPE-CONNECT_WRITE_PIPE-20")
async def test_a_write_to_a_terminal_that_has_hung_up(loop: Loop, reports: list[Report]) -> None:
    """A write to a terminal whose master is closed ends the connection with an error, and nothing is reported."""
    with opened("terminal") as (slave, master):
        file = os.fdopen(slave, "wb", 0)
        protocol = RecordingProtocol()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
        os.close(master)
        transport.write(b"hello")
        await over(protocol, file)
        assert isinstance(protocol.error, OSError), f"connection_lost() got {protocol.error!r}"
        assert not reports


async def unread(loop: Loop, kind: str) -> None:
    """Write what nobody reads for a while, more than once; the connection stays, and all of it is there."""
    async with writing_pipe(loop, kind) as link:
        for _ in range(3):
            link.transport.write(b"hello")
            await polls(5)
        assert link.names == ["connection_made"], "data that nobody has read yet were taken for a disconnect"
        assert await link.written(15) == b"hellohellohello"


@requires("PIPE-CONNECT_WRITE_PIPE-18")
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_data_that_nobody_reads_yet(loop: Loop, kind: str) -> None:
    """Data that wait in the pipe for a reader are not taken for the loss of it."""
    await unread(loop, kind)


@requires("PIPE-CONNECT_WRITE_PIPE-09")
async def test_data_that_nobody_reads_yet_in_a_fifo(loop: Loop) -> None:
    """Data that wait in a named FIFO for a reader are not taken for the loss of it, on macOS either."""
    await unread(loop, "fifo")


@requires("PIPE-CONNECT_READ_PIPE-04", "PIPE-CONNECT_WRITE_PIPE-14")
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
async def test_a_descriptor_that_does_not_block_already(loop: Loop, method: str) -> None:
    """A pipe that does not block already is taken, too, and a duplicate of its descriptor is still open afterwards."""
    with opened() as (reading, writing):
        number = reading if method == "connect_read_pipe" else writing
        double = os.dup(number)
        try:
            file = os.fdopen(number, "rb" if number == reading else "wb", 0)
            protocol = RecordingProtocol()
            transport, _ = await getattr(loop, method)(lambda: protocol, file)
            assert os.get_blocking(double) is False
            transport.close()
            await over(protocol, file)
            assert identity(double), "a duplicate of the descriptor was closed"
        finally:
            os.close(double)


@requires("PIPE-CONNECT_READ_PIPE-21")
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
async def test_the_mode_after_the_end(loop: Loop, method: str) -> None:
    """Who shares the open file finds it in non-blocking mode when the transport has ended."""
    with opened() as (reading, writing):
        number = reading if method == "connect_read_pipe" else writing
        os.set_blocking(number, True)
        double = os.dup(number)
        try:
            file = os.fdopen(number, "rb" if number == reading else "wb", 0)
            protocol = RecordingProtocol()
            transport, _ = await getattr(loop, method)(lambda: protocol, file)
            transport.close()
            await over(protocol, file)
            assert os.get_blocking(double) is False
        finally:
            os.close(double)
