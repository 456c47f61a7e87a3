"""refloop's transports: making, reading, the end of the stream, and what protocols raise; stock asyncio beside it."""

import asyncio
import contextvars
import socket
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from recorders import LOOPS, BufferedRecorder, Recorder, Reports, connected, run, tcp_pair

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)
kinds = pytest.mark.parametrize("kind", [Recorder, BufferedRecorder])


def raise_lookup_error(*_: object) -> None:
    raise LookupError("from the protocol")


@both
@kinds
@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair])
def test_all_data_arrives(loop: str, kind: type[Recorder], pair: Callable[[], Any]) -> None:
    size = 3_000_000

    async def scene(_: Reports) -> None:
        protocol = kind()
        async with connected(protocol, pair()) as (_, theirs):
            script = [faultkit.send_pattern(5, size, chunks=(1, 70_000, 13)), faultkit.shutdown()]
            with faultkit.Peer(script, theirs):
                await protocol.until_told("connection_lost")
            assert protocol.lost_with is None
        assert len(protocol.data) == size
        assert faultkit.verify_pattern(protocol.data, 5) is None
        assert [name for name in protocol.names if name != "buffer_updated"] == [
            "connection_made",
            "eof_received",
            "connection_lost",
        ]

    assert run(loop, scene) == []


@both
def test_a_transport_is_made_in_steps(loop: str) -> None:
    """First connection_made(), then reading, then whoever waits."""

    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.send(b"early")
        order: list[str] = []
        asyncio.get_running_loop().call_soon(order.append, "before")
        protocol = Recorder(
            connection_made=lambda _: order.append("made"), data_received=lambda _, data: order.append(data.decode())
        )
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
        order.append("connected")
        await protocol.until(lambda: protocol.data)
        assert order == ["before", "made", "connected", "early"]
        assert isinstance(transport, asyncio.Transport)
        assert weakref.ref(transport)() is transport
        transport.of_the_program = 1
        transport.abort()
        theirs.close()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair])
def test_extra_information(loop: str, pair: Callable[[], Any]) -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = pair()
        names = ours.getsockname(), ours.getpeername()
        async with connected(Recorder(), (ours, theirs)) as (transport, _):
            wrapper = transport.get_extra_info("socket")
            assert type(wrapper).__name__ == "TransportSocket"
            assert wrapper.fileno() == ours.fileno()
            assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == names
            assert transport.get_extra_info("cipher") is None
            assert transport.get_extra_info("cipher", 7) == 7
            if ours.family == socket.AF_INET:
                assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) or loop == "asyncio"
            transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert ours.fileno() == -1
            assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == names

    assert run(loop, scene) == []


@both
@kinds
def test_paused_reading_keeps_data_back(loop: str, kind: type[Recorder]) -> None:
    async def scene(_: Reports) -> None:
        protocol = kind()
        async with connected(protocol) as (transport, theirs):
            assert transport.is_reading()
            transport.resume_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            theirs.send(b"kept back")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            await protocol.until(lambda: protocol.data == b"kept back")
            transport.close()
            assert not transport.is_reading()
            transport.pause_reading()
            transport.resume_reading()
            assert transport.is_closing()

    assert run(loop, scene) == []


@both
@kinds
def test_reading_that_is_paused_in_the_same_iteration_finds_nothing(loop: str, kind: type[Recorder]) -> None:
    """What a poll has found already is not read, if somebody who came first in that iteration pauses."""

    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        first, second = (kind() for _ in range(2))
        async with connected(first) as (one, one_end), connected(second, (ours, theirs)) as (two, _):
            first.hooks["data_received"] = first.hooks["buffer_updated"] = lambda *_: two.pause_reading()
            second.hooks["data_received"] = second.hooks["buffer_updated"] = lambda *_: one.pause_reading()
            one_end.send(b"a")
            theirs.send(b"b")
            await asyncio.sleep(0.01)
            assert sorted([bytes(first.data), bytes(second.data)]) in ([b"", b"a"], [b"", b"b"])

    assert run(loop, scene) == []


@both
@kinds
@pytest.mark.parametrize("keep_open", [True, False])
def test_eof_received_decides_whether_writing_goes_on(loop: str, kind: type[Recorder], keep_open: bool) -> None:
    async def scene(_: Reports) -> None:
        protocol = kind(eof_received=lambda _: keep_open)
        async with connected(protocol) as (transport, theirs):
            theirs.shutdown(socket.SHUT_WR)
            await protocol.until_told("eof_received")
            assert transport.is_closing() is not keep_open
            if keep_open:
                transport.write(b"still there")
                assert theirs.recv(100) == b"still there"
            else:
                await protocol.until_told("connection_lost")
                assert protocol.lost_with is None

    assert run(loop, scene) == []


@both
def test_the_protocol_can_be_changed_at_any_time(loop: str) -> None:
    async def scene(_: Reports) -> None:
        last = Recorder()
        buffered = BufferedRecorder(3, buffer_updated=lambda self, _: self.transport.set_protocol(last))
        plain = Recorder(data_received=lambda self, _: self.transport.set_protocol(buffered))
        async with connected(plain) as (transport, theirs):
            buffered.transport = last.transport = transport
            theirs.send(b"one")
            await plain.until(lambda: transport.get_protocol() is buffered)
            theirs.send(b"two three")
            await last.until(lambda: last.data)
            assert (plain.data, buffered.data, last.data) == (b"one", b"two", b" three")
            assert transport.get_protocol() is last
        assert last.names == ["connection_lost"]
        assert transport.get_protocol() is None

    assert run(loop, scene) == []


FAILURES = {
    "data_received": (Recorder, "Fatal error: protocol.data_received() call failed."),
    "buffer_updated": (BufferedRecorder, "Fatal error: protocol.buffer_updated() call failed."),
    "get_buffer": (BufferedRecorder, "Fatal error: protocol.get_buffer() call failed."),
    "eof_received": (Recorder, "Fatal error: protocol.eof_received() call failed."),
}


@both
@pytest.mark.parametrize("callback", FAILURES)
def test_what_a_callback_raises_is_reported_and_ends_the_connection(loop: str, callback: str) -> None:
    kind, message = FAILURES[callback]

    async def scene(reports: Reports) -> None:
        protocol = kind(**{callback: raise_lookup_error})
        async with connected(protocol) as (transport, theirs):
            theirs.send(b"data")
            theirs.shutdown(socket.SHUT_WR)
            await protocol.until_told("connection_lost")
            (report,) = reports
            assert report["message"] == message
            assert report["transport"] is transport
            assert report["protocol"] is protocol
            assert isinstance(report["exception"], LookupError)
            assert protocol.lost_with is report["exception"]

    assert len(run(loop, scene)) == 1


BUFFERS: dict[str, tuple[object, type[Exception], str]] = {
    "empty": (b"", RuntimeError, "Fatal error: protocol.get_buffer() call failed."),
    "no buffer": (None, TypeError, "Fatal error: protocol.get_buffer() call failed."),
    "read-only": (b"data", TypeError, "Fatal read error on socket transport"),
    "strided": (memoryview(bytearray(10))[::2], TypeError, "Fatal read error on socket transport"),
}


@both
@pytest.mark.parametrize("name", BUFFERS)
def test_a_useless_buffer_ends_the_connection(loop: str, name: str) -> None:
    buffer, error, message = BUFFERS[name]

    async def scene(reports: Reports) -> None:
        protocol = BufferedRecorder(get_buffer=lambda _: buffer)
        async with connected(protocol) as (_, theirs):
            theirs.send(b"data")
            await protocol.until_told("connection_lost")
            assert [report["message"] for report in reports] == [message]
            assert isinstance(protocol.lost_with, error)

    assert len(run(loop, scene)) == 1


@both
@pytest.mark.parametrize("callback", FAILURES)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_leaves_the_run(loop: str, callback: str, kind: type[BaseException]) -> None:
    def end(*_: object) -> None:
        raise kind

    async def scene(_: Reports) -> None:
        protocol = FAILURES[callback][0](**{callback: end})
        async with connected(protocol) as (_, theirs):
            theirs.send(b"data")
            theirs.shutdown(socket.SHUT_WR)
            await protocol.until_told("connection_lost")

    with pytest.raises(kind):
        run(loop, scene)


@both
def test_connection_lost_that_raises_still_closes(loop: str) -> None:
    async def scene(reports: Reports) -> None:
        ours, theirs = socket.socketpair()
        protocol = Recorder(connection_lost=raise_lookup_error)
        async with connected(protocol, (ours, theirs)) as (transport, _):
            transport.close()
            await protocol.until(lambda: reports)
            assert "_call_connection_lost" in reports[0]["message"]
            assert isinstance(reports[0]["exception"], LookupError)
            assert ours.fileno() == -1
            assert transport.get_protocol() is None

    assert len(run(loop, scene)) == 1


@both
@kinds
def test_a_reset_reaches_connection_lost(loop: str, kind: type[Recorder]) -> None:
    async def scene(_: Reports) -> None:
        protocol = kind()
        ours, theirs = tcp_pair()
        async with connected(protocol, (ours, theirs)):
            with faultkit.Peer([faultkit.reset()], theirs):
                await protocol.until_told("connection_lost")
            assert isinstance(protocol.lost_with, ConnectionResetError)
            assert "eof_received" not in protocol.names

    assert run(loop, scene) == []


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


@both
def test_callbacks_run_in_the_context_that_reading_was_started_in(loop: str) -> None:
    async def scene(_: Reports) -> None:
        seen: list[str] = []

        def look(*_: object) -> None:
            seen.append(variable.get())
            variable.set("set in a callback")

        protocol = Recorder(connection_made=look, data_received=look, eof_received=look, connection_lost=look)
        variable.set("maker's")
        async with connected(protocol) as (transport, theirs):
            variable.set("later")
            for data in (b"1", b"2"):
                theirs.send(data)
                await protocol.until(lambda data=data: protocol.data.endswith(data))
            transport.pause_reading()
            transport.resume_reading()
            theirs.send(b"3")
            await protocol.until(lambda: protocol.data == b"123")
            theirs.shutdown(socket.SHUT_WR)
            await protocol.until_told("connection_lost")
            assert variable.get() == "later"
        set_there = "set in a callback"
        assert seen == ["maker's", "maker's", set_there, "later", set_there, set_there]

    assert run(loop, scene) == []
