"""get_buffer() and buffer_updated(): which buffers a loop takes, how it fills them, and what becomes of errors."""

import array
import gc
import mmap
import weakref
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires, until
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.faultkit import drain, expect_eof, hold, send, send_pattern, shutdown, verify_pattern

Report = dict[str, Any]


def giving(make: Any, **on: Any) -> Any:
    """What makes a protocol whose get_buffer() returns what ``make(protocol)`` does."""
    return lambda: RecordingBufferedProtocol(on={"get_buffer": make, **on})


@requires("PROTO-GET_BUFFER-01", "PROTO-BUFFER_UPDATED-01")
@on_streams("tcp-client", "unix-server", "accepted")
@pytest.mark.parametrize("size", [1, 2, 7, 4096, 65_536, 1_000_000])
async def test_what_is_sent_is_received_in_buffers_of_any_size(connect: Connect, size: int) -> None:
    """Buffers from one byte on are filled from their start, told of with their right number, and nothing is lost."""
    total = 500 if size < 10 else 300_000
    link = await connect(
        [send_pattern(8, total), shutdown(), expect_eof()], protocol=lambda: RecordingBufferedProtocol(size=size)
    )
    assert await link.lost() is None
    wrong = verify_pattern(link.protocol.history.received, 8)
    assert wrong is None, f"the byte at offset {wrong} of {total} is wrong"
    assert len(link.protocol.history.received) == total
    counts = [event.arguments[0] for event in link.protocol.history.events if event.name == "buffer_updated"]
    assert all(0 < count <= size for count in counts), f"buffer_updated() told of {counts[:10]} with buffers of {size}"
    assert {type(count) for count in counts} == {int}


BUFFERS: dict[str, Any] = {
    "bytearray": lambda: bytearray(1000),
    "memoryview": lambda: memoryview(bytearray(3000))[1000:2000],
    "array": lambda: array.array("B", bytes(1000)),
    "array of doubles": lambda: array.array("d", bytes(800)),
    "signed items": lambda: memoryview(bytearray(1000)).cast("b"),
    "two dimensions": lambda: memoryview(bytearray(1000)).cast("B", (10, 100)),
    "anonymous mmap": lambda: mmap.mmap(-1, 4096),
}


@requires("PROTO-GET_BUFFER-01", "PROTO-GET_BUFFER-05")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", sorted(BUFFERS))
async def test_any_writable_buffer_will_do(connect: Connect, kind: str) -> None:
    """A buffer is whatever gives writable, contiguous memory: its size in bytes counts, not its number of items."""
    total = 50_000
    script = [send_pattern(8, total), shutdown(), expect_eof()]
    link = await connect(script, protocol=giving(lambda _: BUFFERS[kind]()))
    assert await link.lost() is None
    assert verify_pattern(link.protocol.history.received, 8) is None
    assert len(link.protocol.history.received) == total


@requires("PROTO-GET_BUFFER-05")
@on_streams()
async def test_nothing_is_written_beside_the_buffer(connect: Connect) -> None:
    """Of a memory of which the protocol gives the middle the loop writes to nothing else."""
    whole = bytearray(b"\xaa" * 3000)
    script = [send_pattern(8, 100_000), shutdown(), expect_eof()]
    link = await connect(script, protocol=giving(lambda _: memoryview(whole)[1000:2000]))
    assert await link.lost() is None
    assert whole[:1000] == whole[2000:] == b"\xaa" * 1000
    assert verify_pattern(link.protocol.history.received, 8) is None


@requires("PROTO-BUFFER_UPDATED-01", "PROTO-GET_BUFFER-05")
@on_streams()
async def test_what_the_buffer_has_beyond_the_count_stays(connect: Connect) -> None:
    """Behind the bytes that buffer_updated() tells of the buffer is as it was."""
    given = bytearray(b"\xaa" * 10_000)
    link = await connect([hold(), send(b"hello"), hold(), drain()], protocol=giving(lambda _: given))
    link.peer.release()
    await link.received(5)
    assert bytes(given[:5]) == b"hello"
    assert given[5:] == b"\xaa" * 9995


@requires("PROTO-GET_BUFFER-02")
@on_streams()
async def test_the_hint_of_the_size(connect: Connect) -> None:
    """The hint is an int, -1 or more than 0."""
    link = await connect([send_pattern(8, 200_000), shutdown(), expect_eof()], protocol=RecordingBufferedProtocol)
    await link.lost()
    hints = {event.arguments[0] for event in link.protocol.history.events if event.name == "get_buffer"}
    assert {type(hint) for hint in hints} == {int}
    assert all(hint == -1 or hint > 0 for hint in hints), f"hints: {hints}"


WRONG: dict[str, Any] = {
    "empty": bytearray,
    "read-only": lambda: b"12345",
    "read-only view": lambda: memoryview(b"12345"),
    "text": lambda: "12345",
    "number": lambda: 5,
    "strided": lambda: memoryview(bytearray(100))[::2],
}


@requires("PROTO-GET_BUFFER-03", "PROTO-GET_BUFFER-04")
@on_streams()
@pytest.mark.parametrize("kind", sorted(WRONG))
async def test_a_wrong_buffer(connect: Connect, reports: list[Report], kind: str) -> None:
    """What cannot be written to, an empty buffer too, is reported once and ends the connection with that error."""
    link = await connect([hold(), send(b"hello"), drain()], protocol=giving(lambda _: WRONG[kind]()))
    link.peer.release()
    error = await link.lost()
    assert error is not None, "connection_lost() got no error"
    assert kind != "empty" or isinstance(error, RuntimeError), f"connection_lost() got {error!r}"
    assert link.names == ["connection_made", "get_buffer", "connection_lost"], f"callbacks: {link.names}"
    contexts = list(reports)
    reports.clear()
    assert [context.get("exception") for context in contexts] == [error], f"reports: {contexts}"


@requires("PROTO-GET_BUFFER-04")
@on_streams()
async def test_an_error_of_get_buffer(connect: Connect, reports: list[Report]) -> None:
    """An Exception of get_buffer() is reported once and ends the connection with it."""
    await fail_in(connect, reports, "get_buffer")


@requires("PROTO-GET_BUFFER-04")
@on_streams()
async def test_an_error_of_buffer_updated(connect: Connect, reports: list[Report]) -> None:
    """An Exception of buffer_updated() is reported once and ends the connection with it."""
    await fail_in(connect, reports, "buffer_updated")


async def fail_in(connect: Connect, reports: list[Report], where: str) -> None:
    """Let a callback raise, and check what becomes of it."""
    error = ZeroDivisionError("mine")

    def fail(_: Any) -> None:
        raise error

    script = [hold(), send(b"hello"), drain()]
    link = await connect(script, protocol=lambda: RecordingBufferedProtocol(on={where: fail}))
    link.peer.release()
    lost = await link.lost()
    assert lost is error or (lost is not None and error in (lost.__cause__, lost.__context__)), f"got {lost!r}"
    assert link.names.count(where) == 1, f"callbacks: {link.names}"
    contexts = list(reports)
    reports.clear()
    assert [context.get("exception") for context in contexts] == [lost], f"reports: {contexts}"
    assert contexts[0].get("transport") is link.transport
    assert contexts[0].get("protocol") is link.protocol


@requires("PROTO-BUFFER_UPDATED-03", "PROTO-ORDER-03")
@on_streams()
async def test_the_end_of_the_stream(connect: Connect) -> None:
    """After eof_received() no buffer is asked for, and nothing is told of one."""
    link = await connect([send(b"hello"), shutdown(), expect_eof()], protocol=RecordingBufferedProtocol)
    assert await link.lost() is None
    assert link.names[-2:] == ["eof_received", "connection_lost"]
    assert link.names.count("eof_received") == 1


@requires("PROTO-BUFFER_UPDATED-04")
@on_streams()
async def test_no_reference_to_the_buffer_stays(connect: Connect) -> None:
    """A buffer can be resized in buffer_updated(), and goes away when the protocol forgets it."""
    alive: list[weakref.ref[Any]] = []

    class Buffer(bytearray):
        pass

    def make(protocol: Any) -> Any:
        buffer = Buffer(1000)
        alive.append(weakref.ref(buffer))
        return buffer

    def resize(protocol: Any) -> None:
        protocol._given.append(0)  # BufferError if the loop still holds it

    link = await connect([hold(), send(b"hello"), hold(), drain()], protocol=giving(make, buffer_updated=resize))
    link.peer.release()
    await link.received(5)
    link.protocol._given = None
    gc.collect()
    assert alive[0]() is None, "the loop still refers to the buffer after buffer_updated() has returned"


@requires("PROTO-GET_BUFFER-01", "PROTO-DATA_RECEIVED-02")
@on_streams("tcp-client", "unix-server")
async def test_protocols_of_both_kinds_take_turns(connect: Connect) -> None:
    """set_protocol() changes between streaming and buffered protocols with each piece, and nothing is lost."""
    total = 2_000_000
    received = bytearray()
    counts = {"data": 0, "buffer": 0}

    class Streaming(RecordingProtocol):
        def data_received(self, data: bytes) -> None:
            received.extend(data)
            counts["data"] += 1
            link.transport.set_protocol(buffered)

    class Buffered(RecordingBufferedProtocol):
        memory = bytearray(30_000)

        def get_buffer(self, sizehint: int) -> Any:
            return self.memory

        def buffer_updated(self, nbytes: int) -> None:
            received.extend(self.memory[:nbytes])
            counts["buffer"] += 1
            link.transport.set_protocol(link.protocol)

    buffered = Buffered()
    link = await connect([hold(), send_pattern(8, total), hold(), drain()], protocol=Streaming)
    link.peer.release()
    await until(lambda: len(received) >= total, f"{total} bytes for the protocols")
    assert verify_pattern(received, 8) is None
    assert counts["data"] > 2
    assert counts["buffer"] > 2
    link.transport.set_protocol(link.protocol)
