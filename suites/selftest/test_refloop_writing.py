"""refloop's transports: writing, queueing, flow control, half-close and close; stock asyncio beside it."""

import array
import asyncio
import contextvars
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, connected, run, tcp_pair

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)
ours_alone = pytest.mark.parametrize("loop", ["refloop"])

MANY = 1_000_000  # bytes, more than the kernel takes at once


def kinds_of(data: bytes) -> dict[str, Any]:
    return {
        "bytes": data,
        "bytes of a subclass": type("Bytes", (bytes,), {})(data),
        "bytearray": bytearray(data),
        "memoryview of bytes": memoryview(data),
        "memoryview of a bytearray": memoryview(bytearray(data)),
        "part of a memoryview": memoryview(b"head" + data + b"tail")[4:-4],
    }


@both
@pytest.mark.parametrize("kind", kinds_of(b""))
@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair])
def test_all_that_is_written_leaves_in_order(loop: str, kind: str, pair: Callable[[], Any]) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol, pair()) as (transport, theirs):
            script = [faultkit.hold(), faultkit.expect_pattern(7, 3 * MANY), faultkit.expect_eof()]
            with faultkit.Peer(script, theirs) as peer:
                for offset in range(0, 3 * MANY, MANY // 4):
                    transport.write(kinds_of(faultkit.pattern(7, MANY // 4, offset))[kind])
                assert transport.get_write_buffer_size() > MANY
                peer.release()
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()
            assert protocol.lost_with is None

    assert run(loop, scene) == []


@ours_alone
def test_items_of_several_bytes_are_bytes(loop: str) -> None:
    """Stock asyncio takes the count of bytes that were sent for one of items."""

    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            data = memoryview(array.array("I", faultkit.pattern(7, MANY)))
            with faultkit.Peer([faultkit.expect_pattern(7, MANY), faultkit.expect_eof()], theirs) as peer:
                transport.write(data)
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()

    assert run(loop, scene) == []


@ours_alone
def test_what_is_queued_does_not_change(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            data = bytearray(faultkit.pattern(7, MANY))
            script = [faultkit.hold(), faultkit.expect_pattern(7, MANY), faultkit.expect_eof()]
            with faultkit.Peer(script, theirs) as peer:
                transport.write(data)
                data[:] = bytes(MANY)
                data.clear()  # nothing holds its memory
                peer.release()
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()

    assert run(loop, scene) == []


LINES: dict[str, Callable[[bytes], Iterable[Any]]] = {
    "one": lambda data: [data],
    "thousands": lambda data: [data[start : start + 101] for start in range(0, len(data), 101)],
    "a generator": lambda data: (data[start : start + 999] for start in range(0, len(data), 999)),
    "with empty ones": lambda data: [b"", data[:10], b"", bytearray(), data[10:], b""],
    "of all kinds": lambda data: [
        kind for part in range(0, len(data), 6000) for kind in split(data[part : part + 6000])
    ],
}


def split(data: bytes) -> list[Any]:
    parts = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    return [list(kinds_of(part).values())[number] for number, part in enumerate(parts)]


@ours_alone
@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("queued", [False, True])
def test_lines_leave_one_behind_the_other(loop: str, lines: str, queued: bool) -> None:
    """Stock asyncio never gets rid of empty ones, from Python 3.12 on."""
    size = 500_000

    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            start = MANY if queued else 0
            script = [faultkit.hold(), faultkit.expect_pattern(7, start + 2 * size), faultkit.expect_eof()]
            with faultkit.Peer(script, theirs) as peer:
                transport.write(faultkit.pattern(7, start))
                transport.writelines(LINES[lines](faultkit.pattern(7, size, start)))
                transport.write(faultkit.pattern(7, size, start + size))
                peer.release()
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("data", ["text", None, 1, [b"data"], array.array("B", b"data")], ids=repr)
def test_what_is_no_data_is_refused(loop: str, data: Any) -> None:
    async def scene(_: Reports) -> None:
        async with connected(Recorder()) as (transport, theirs):
            with pytest.raises(TypeError, match=rf"data argument must be a bytes.*, not '{type(data).__name__}'"):
                transport.write(data)
            with pytest.raises(TypeError):
                transport.writelines([b"good", "bad"])
            with pytest.raises(TypeError):
                transport.writelines(5)
            transport.writelines([])
            transport.write(b"")
            transport.write(b"this alone")
            assert theirs.recv(100) == b"this alone"

    assert run(loop, scene) == []


@both
def test_memory_in_pieces_ends_the_connection(loop: str) -> None:
    async def scene(reports: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, _):
            transport.write(memoryview(bytes(10))[::2])
            await protocol.until_told("connection_lost")
            assert [report["message"] for report in reports] == ["Fatal write error on socket transport"]
            assert isinstance(protocol.lost_with, BufferError)

    assert len(run(loop, scene)) == 1


@both
def test_water_marks(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        ours, theirs = socket.socketpair()
        async with connected(protocol, (ours, theirs)) as (transport, _):
            assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
            while transport.get_write_buffer_size() == 0:
                transport.write(bytes(1000))
            queued = transport.get_write_buffer_size()
            transport.set_write_buffer_limits(queued + 100)
            assert transport.get_write_buffer_limits() == ((queued + 100) // 4, queued + 100)
            transport.write(bytes(100))
            assert "pause_writing" not in protocol.names
            transport.write(b"x")
            assert protocol.names[1:] == ["pause_writing"]
            transport.write(bytes(10_000))
            transport.set_write_buffer_limits(0)
            assert protocol.names[1:] == ["pause_writing"]
            theirs.setblocking(False)
            while "resume_writing" not in protocol.names:
                try:
                    theirs.recv(100_000)
                except BlockingIOError:
                    pass
                else:
                    assert transport.get_write_buffer_size() >= 0
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() == 0
            assert protocol.names[1:] == ["pause_writing", "resume_writing"]
            transport.set_write_buffer_limits(high=0)
            while protocol.names.count("pause_writing") < 2:
                transport.write(bytes(10_000))
            assert transport.get_write_buffer_size() > 0

    assert run(loop, scene) == []


LIMITS: list[tuple[dict[str, Any], Any]] = [
    ({}, (16384, 65536)),
    ({"high": 0}, (0, 0)),
    ({"high": 100}, (25, 100)),
    ({"low": 100}, (100, 400)),
    ({"high": 10, "low": 10}, (10, 10)),
    ({"high": 1.5}, (0.0, 1.5)),
    ({"high": float("inf"), "low": 1}, (1, float("inf"))),
    ({"high": 10**400}, (10**400 // 4, 10**400)),
    ({"high": None, "low": None}, (16384, 65536)),
    ({"high": 5, "low": 6}, ValueError),
    ({"high": -1}, ValueError),
    ({"low": -1}, ValueError),
    ({"high": float("nan")}, ValueError),
    ({"high": "5"}, TypeError),
    ({"low": b"5", "high": 10}, TypeError),
]


@both
@pytest.mark.parametrize(("limits", "result"), LIMITS, ids=str)
def test_limits(loop: str, limits: dict[str, Any], result: Any) -> None:
    async def scene(_: Reports) -> None:
        async with connected(Recorder()) as (transport, _):
            if isinstance(result, type):
                with pytest.raises(result):
                    transport.set_write_buffer_limits(**limits)
                assert transport.get_write_buffer_limits() == (16384, 65536)
            else:
                transport.set_write_buffer_limits(**limits)
                assert transport.get_write_buffer_limits() == result

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
def test_flow_control_that_raises_is_reported_and_goes_on(loop: str, callback: str) -> None:
    def fail(_: object) -> None:
        raise OSError("from the protocol")

    async def scene(reports: Reports) -> None:
        protocol = Recorder(**{callback: fail})
        async with connected(protocol) as (transport, theirs):
            script = [faultkit.expect_pattern(7, MANY), faultkit.expect_eof()]
            with faultkit.Peer(script, theirs) as peer:
                transport.write(faultkit.pattern(7, MANY))
                await protocol.until_told("resume_writing")
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()
            assert [report["message"] for report in reports] == [f"protocol.{callback}() failed"]
            assert reports[0]["transport"] is transport
            assert protocol.lost_with is None

    assert len(run(loop, scene)) == 1


@both
@pytest.mark.parametrize("queued", [0, MANY])
def test_the_stream_ends_behind_what_is_queued(loop: str, queued: int) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            assert transport.can_write_eof()
            script = [
                faultkit.expect_pattern(7, queued),
                faultkit.expect_eof(),
                faultkit.send(b"answer"),
                faultkit.shutdown(),
            ]
            with faultkit.Peer(script, theirs) as peer:
                transport.write(faultkit.pattern(7, queued))
                transport.write_eof()
                transport.write_eof()
                for write, data in ((transport.write, b"data"), (transport.writelines, [b"data"])):
                    with pytest.raises(RuntimeError, match=r"Cannot call write\w*\(\) after write_eof\(\)"):
                        write(data)
                assert not transport.is_closing()
                await protocol.until(lambda: protocol.data == b"answer")
                peer.verify()
            await protocol.until_told("connection_lost")
            transport.write_eof()
            assert protocol.lost_with is None

    assert run(loop, scene) == []


@both
def test_abort_drops_what_is_queued(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            transport.write(faultkit.pattern(7, MANY))
            queued = transport.get_write_buffer_size()
            transport.close()
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == queued
            transport.abort()
            transport.abort()
            transport.close()
            assert transport.get_write_buffer_size() == 0
            assert "connection_lost" not in protocol.names
            await protocol.until_told("connection_lost")
            received = 0
            while data := theirs.recv(MANY):
                received += len(data)
            assert received == MANY - queued
            assert protocol.lost_with is None

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("lines", [False, True])
def test_late_writes_are_warned_of_from_the_fifth_on(loop: str, lines: bool, caplog: pytest.LogCaptureFixture) -> None:
    if loop == "asyncio" and lines and sys.version_info >= (3, 12):
        pytest.skip("fails in some patch versions of Python")

    async def scene(_: Reports) -> None:
        async with connected(Recorder()) as (transport, theirs):
            transport.close()
            for number in range(8):
                if number == 5:
                    await asyncio.sleep(0.001)
                if lines:
                    transport.writelines([b"late"])
                else:
                    transport.write(b"late")
            assert theirs.recv(100) == b""

    with caplog.at_level(logging.WARNING, "asyncio"):
        assert run(loop, scene) == []
    assert [record.getMessage() for record in caplog.records] == ["socket.send() raised exception."] * 4


@both
def test_an_error_of_writing_reaches_connection_lost(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            transport.pause_reading()
            theirs.close()
            transport.write(b"nobody is there")
            await protocol.until_told("connection_lost")
            assert isinstance(protocol.lost_with, BrokenPipeError)

    assert run(loop, scene) == []


@both
def test_an_error_while_data_is_queued_reaches_connection_lost(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            transport.pause_reading()
            transport.write(bytes(MANY))
            theirs.close()
            await protocol.until_told("connection_lost")
            assert isinstance(protocol.lost_with, ConnectionError)
            assert transport.get_write_buffer_size() == 0

    assert run(loop, scene) == []


IN_RESUME: dict[str, Callable[[Any], object]] = {
    "abort": lambda transport: transport.abort(),
    "close": lambda transport: transport.close(),
    "close and abort": lambda transport: (transport.close(), transport.abort()),
    "write": lambda transport: transport.write(bytes(MANY)),
    "write and close": lambda transport: (transport.write(bytes(MANY)), transport.close()),
    "write_eof": lambda transport: transport.write_eof(),
    "end of the other side": lambda transport: None,
}


@ours_alone
@pytest.mark.parametrize("what", IN_RESUME)
@pytest.mark.parametrize("limit", [0, 60_000])
def test_whatever_resume_writing_does_the_connection_is_lost_once(loop: str, what: str, limit: int) -> None:
    """Stock asyncio calls connection_lost() twice."""

    async def scene(_: Reports) -> None:
        first = True

        def act(self: Recorder) -> None:
            nonlocal first
            if first:
                first = False
                IN_RESUME[what](self.transport)

        protocol = Recorder(resume_writing=act)
        async with connected(protocol) as (transport, theirs):
            transport.set_write_buffer_limits(limit, limit)
            transport.write(bytes(MANY))
            script = [faultkit.receive(MANY - 100_000), faultkit.shutdown(), faultkit.drain()]
            if what == "write":
                script = [faultkit.receive(2 * MANY), faultkit.shutdown()]
            with faultkit.Peer(script, theirs):
                await protocol.until_told("connection_lost")
                for _ in range(5):
                    await asyncio.sleep(0)
            assert protocol.names.count("connection_lost") == 1
            assert protocol.names[-1] == "connection_lost"

    assert run(loop, scene) == []


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


@both
def test_resume_writing_runs_in_the_context_of_what_was_queued(loop: str) -> None:
    async def scene(_: Reports) -> None:
        seen: list[str] = []

        def look(_: object) -> None:
            seen.append(variable.get())

        variable.set("maker's")
        protocol = Recorder(pause_writing=look, resume_writing=look)
        async with connected(protocol) as (transport, theirs):
            variable.set("writer's")
            transport.write(bytes(MANY))
            variable.set("later")
            with faultkit.Peer([faultkit.receive(MANY)], theirs):
                await protocol.until_told("resume_writing")
        assert seen == ["writer's", "writer's"]

    assert run(loop, scene) == []


@ours_alone
def test_queued_bytes_are_not_copied(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol) as (transport, theirs):
            data = bytes(MANY)
            before = sys.getrefcount(data)
            transport.write(data)
            transport.write(memoryview(data)[5:])
            assert sys.getrefcount(data) == before + 2
            with faultkit.Peer([faultkit.receive(2 * MANY - 5)], theirs):
                await protocol.until_told("resume_writing")
                while transport.get_write_buffer_size():
                    await asyncio.sleep(0)
            assert sys.getrefcount(data) == before

    assert run(loop, scene) == []


@both
def test_more_than_the_kernel_ever_takes(loop: str) -> None:
    size = 60_000_000

    async def scene(_: Reports) -> None:
        protocol = Recorder()
        async with connected(protocol, tcp_pair()) as (transport, theirs):
            with faultkit.Peer([faultkit.expect_pattern(9, size), faultkit.expect_eof()], theirs) as peer:
                transport.write(faultkit.pattern(9, size))
                transport.close()
                await protocol.until_told("connection_lost")
                peer.verify()

    assert run(loop, scene) == []
