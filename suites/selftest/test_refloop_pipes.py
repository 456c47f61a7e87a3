"""refloop's transports of pipes; stock asyncio beside it."""

import asyncio
import logging
import os
import pty
import socket
import tty
from pathlib import Path
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, run

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)

MANY = 1_000_000  # bytes, more than a pipe holds


async def reader(protocol: Recorder, fd: int) -> Any:
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb", 0))
    return transport


async def writer(protocol: Recorder, fd: int) -> Any:
    transport, _ = await asyncio.get_running_loop().connect_write_pipe(lambda: protocol, os.fdopen(fd, "wb", 0))
    return transport


@both
def test_a_pipe_from_end_to_end(loop: str) -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        reads, writes = Recorder(), Recorder()
        source, sink = await reader(reads, reading), await writer(writes, writing)
        assert isinstance(source, asyncio.ReadTransport)
        assert isinstance(sink, asyncio.WriteTransport)
        assert source.get_extra_info("pipe").fileno() == reading
        assert sink.get_extra_info("pipe").fileno() == writing
        assert sink.can_write_eof()
        for offset in range(0, MANY, MANY // 4):
            sink.write(faultkit.pattern(7, MANY // 4, offset))
        assert sink.get_write_buffer_size() > 0
        assert writes.names == ["connection_made", "pause_writing"]
        sink.writelines([b"the ", bytearray(b"end")])
        sink.write_eof()
        assert sink.is_closing()
        await reads.until_told("connection_lost")
        await writes.until_told("connection_lost")
        assert faultkit.verify_pattern(reads.data[:MANY], 7) is None
        assert reads.data[MANY:] == b"the end"
        assert reads.names == ["connection_made", "eof_received", "connection_lost"]
        assert writes.names == ["connection_made", "pause_writing", "resume_writing", "connection_lost"]
        assert reads.lost_with is None
        assert writes.lost_with is None
        assert (source.get_protocol(), sink.get_protocol()) == (None, None)
        for fd in (reading, writing):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("queued", [0, MANY])
def test_a_reader_that_goes_ends_the_writer(loop: str, queued: int) -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        protocol = Recorder()
        transport = await writer(protocol, writing)
        transport.write(bytes(queued))
        os.close(reading)
        await protocol.until_told("connection_lost")
        assert isinstance(protocol.lost_with, BrokenPipeError if queued else type(None))

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("how", ["close", "abort"])
def test_late_writes_are_warned_of_from_the_sixth_on(loop: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        transport = await writer(Recorder(), writing)
        getattr(transport, how)()
        for _ in range(8):
            transport.write(b"late")
        await asyncio.sleep(0.001)
        assert os.read(reading, 100) == b""
        os.close(reading)

    with caplog.at_level(logging.WARNING, "asyncio"):
        assert run(loop, scene) == []
    assert [record.getMessage() for record in caplog.records] == [
        "pipe closed by peer or os.write(pipe, data) raised exception."
    ] * 3


@both
def test_pausing_and_closing_a_reader(loop: str) -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        protocol = Recorder()
        transport = await reader(protocol, reading)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        os.write(writing, b"kept back")
        for _ in range(5):
            await asyncio.sleep(0)
        assert protocol.data == b""
        transport.resume_reading()
        transport.resume_reading()
        await protocol.until(lambda: protocol.data == b"kept back")
        transport.close()
        transport.close()
        assert transport.is_closing()
        await protocol.until_told("connection_lost")
        assert protocol.names == ["connection_made", "connection_lost"]
        os.close(writing)

    assert run(loop, scene) == []


@both
def test_what_data_received_raises_does_not_end_the_pipe(loop: str) -> None:
    async def scene(reports: Reports) -> None:
        def fail(_: object, data: bytes) -> None:
            raise LookupError(data)

        reading, writing = os.pipe()
        protocol = Recorder(data_received=fail)
        await reader(protocol, reading)
        for data in (b"one", b"two"):
            os.write(writing, data)
            await protocol.until(lambda data=data: protocol.data.endswith(data))
        os.close(writing)
        await protocol.until_told("connection_lost")
        assert [report["exception"].args for report in reports] == [(b"one",), (b"two",)]
        assert all(report["message"].startswith("Exception in callback ") for report in reports)
        assert protocol.names == ["connection_made", "eof_received", "connection_lost"]

    assert len(run(loop, scene)) == 2


@both
def test_both_ends_of_a_terminal(loop: str) -> None:
    async def scene(_: Reports) -> None:
        outer, inner = pty.openpty()
        tty.setraw(inner)
        reads, writes = Recorder(), Recorder()
        source = await reader(reads, outer)
        sink = await writer(writes, os.dup(outer))
        sink.write(b"typed")
        assert os.read(inner, 100) == b"typed"
        os.write(inner, b"shown")
        await reads.until(lambda: reads.data == b"shown")
        os.close(inner)
        await reads.until_told("connection_lost")
        assert isinstance(reads.lost_with, OSError)  # EIO: it is not reported
        sink.close()
        await writes.until_told("connection_lost")
        assert source.is_closing()

    assert run(loop, scene) == []


@both
def test_a_socket_is_a_pipe_too(loop: str) -> None:
    async def scene(_: Reports) -> None:
        one, other = socket.socketpair()
        reads, writes = Recorder(), Recorder()
        running = asyncio.get_running_loop()
        await running.connect_read_pipe(lambda: reads, one)
        sink, _ = await running.connect_write_pipe(lambda: writes, other)
        sink.write(b"through")
        sink.close()
        await reads.until_told("connection_lost")
        assert reads.data == b"through"
        assert (one.fileno(), other.fileno()) == (-1, -1)

    assert run(loop, scene) == []


@both
def test_a_regular_file_is_refused_and_stays_open(loop: str, tmp_path: Path) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        with (tmp_path / "file").open("wb+") as file:
            with pytest.raises(ValueError, match=r"Pipe transport is for pipes/sockets only\."):
                await running.connect_read_pipe(asyncio.Protocol, file)
            with pytest.raises(ValueError, match="Pipe transport is only for pipes, sockets and character devices"):
                await running.connect_write_pipe(asyncio.BaseProtocol, file)
            assert os.get_blocking(file.fileno())
            file.write(b"still open")

    assert run(loop, scene) == []


@both
def test_what_is_no_data_is_refused(loop: str) -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        transport = await writer(Recorder(), writing)
        for data in ("text", None, [b"data"]):
            with pytest.raises((AssertionError, TypeError)):
                transport.write(data)
        transport.write(b"")
        transport.write(memoryview(b"data"))
        assert os.read(reading, 100) == b"data"
        transport.abort()
        os.close(reading)

    assert run(loop, scene) == []


def test_the_text_of_a_pipe() -> None:
    async def scene(_: Reports) -> None:
        reading, writing = os.pipe()
        reads, writes = Recorder(), Recorder()
        source, sink = await reader(reads, reading), await writer(writes, writing)
        assert repr(source) == f"<ReadPipeTransport fd={reading} polling>"
        source.pause_reading()
        assert repr(source) == f"<ReadPipeTransport fd={reading} idle>"
        assert repr(sink) == f"<WritePipeTransport fd={writing} idle bufsize=0>"
        sink.write(bytes(MANY))
        assert repr(sink) == f"<WritePipeTransport fd={writing} polling bufsize={sink.get_write_buffer_size()}>"
        sink.abort()
        source.close()
        assert repr(source) == f"<ReadPipeTransport closing fd={reading} idle>"
        await reads.until_told("connection_lost")
        await writes.until_told("connection_lost")
        await asyncio.sleep(0)
        assert repr(source) == f"<ReadPipeTransport closed fd={reading} closed>"
        assert repr(sink) == f"<WritePipeTransport closed fd={writing} closed>"

    assert run("refloop", scene) == []
