"""The order of a protocol's callbacks from connection_made() to connection_lost(), whatever peer and protocol do.

That callbacks come one at a time, in one thread, and none after connection_lost(), is checked for every link.
"""

import array
import fcntl
import termios
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.links import WIDTH, polls
from loopproof.faultkit import drain, expect_eof, hold, pattern, reset, send, send_pattern, shutdown

KINDS: dict[str, Any] = {"streaming": RecordingProtocol, "buffered": RecordingBufferedProtocol}


@requires("PROTO-ORDER-01", "PROTO-ORDER-02", "PROTO-ORDER-03")
@on_streams()
@pytest.mark.parametrize("protocol", ["streaming", "buffered"])
async def test_a_peer_that_sends_and_ends(connect: Connect, protocol: str) -> None:
    """connection_made(), the data, eof_received(), connection_lost(): each in its place and no more of them."""
    link = await connect([send(b"hello"), shutdown(), drain()], protocol=KINDS[protocol])
    assert await link.lost() is None
    data = [name for name in link.names if name not in ("get_buffer",)]
    middle = "buffer_updated" if protocol == "buffered" else "data_received"
    assert data[0] == "connection_made"
    assert set(data[1:-2]) == {middle}, f"the callbacks in order: {link.names}"
    assert data[-2:] == ["eof_received", "connection_lost"], f"the callbacks in order: {link.names}"
    assert bytes(link.protocol.history.received) == b"hello"
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("PROTO-ORDER-06", "PROTO-ORDER-01")
@on_streams()
@pytest.mark.parametrize("protocol", ["streaming", "buffered"])
async def test_data_that_is_there_before_connection_made(connect: Connect, protocol: str) -> None:
    """What the peer sent and ended before connection_made() returns is delivered after it, and none of it is lost."""

    def wait_for_data(made: Any) -> None:
        ours = made.transport.get_extra_info("socket")
        limit = threading.Event()
        for _ in range(2000):  # the peer has sent when the kernel says so, without the loop
            if size_of_queue(ours) >= 1000:
                return
            limit.wait(0.001)

    link = await connect(
        [send_pattern(3, 1000), shutdown(), drain()],
        protocol=lambda: KINDS[protocol](on={"connection_made": wait_for_data}),
    )
    assert await link.lost() is None
    assert bytes(link.protocol.history.received) == pattern(3, 1000)


def size_of_queue(ours: Any) -> int:
    """How many bytes the kernel holds for a socket."""
    size = array.array("i", [0])
    fcntl.ioctl(ours.fileno(), termios.FIONREAD, size)
    return size[0]


ENDS: dict[str, Callable[[Any], Any]] = {
    "close": lambda protocol: protocol.transport.close(),
    "abort": lambda protocol: protocol.transport.abort(),
    "close twice": lambda protocol: (protocol.transport.close(), protocol.transport.close()),
    "close and abort": lambda protocol: (protocol.transport.close(), protocol.transport.abort()),
    "write and close": lambda protocol: (protocol.transport.write(b"x" * 70_000), protocol.transport.close()),
    "pause and close": lambda protocol: (protocol.transport.pause_reading(), protocol.transport.close()),
}


@requires("PROTO-ORDER-02", "PROTO-CONNECTION_LOST-01")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("end", sorted(ENDS))
@pytest.mark.parametrize("where", ["connection_made", "data_received", "eof_received", "buffer_updated"])
async def test_a_protocol_that_ends_the_connection_in_a_callback(connect: Connect, where: str, end: str) -> None:
    """After close() or abort() in a callback there is connection_lost(None), once, and after it nothing.

    Neither is called from inside the callback, and after connection_made() no data comes at all.
    """
    await end_in(connect, where, end)


@requires("PROTO-ORDER-02", "PROTO-CONNECTION_LOST-01")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("end", sorted(ENDS))
async def test_a_protocol_that_ends_the_connection_in_get_buffer(connect: Connect, end: str) -> None:
    """The same holds for a protocol that ends the connection while it is asked for a buffer."""
    await end_in(connect, "get_buffer", end)


async def end_in(connect: Connect, where: str, end: str) -> None:
    """End a connection in a callback, and check what is called after that."""
    buffered = where in ("buffer_updated", "get_buffer")
    kind = RecordingBufferedProtocol if buffered else RecordingProtocol
    link = await connect([send_pattern(1, 100_000), shutdown(), drain()], protocol=lambda: kind(on={where: ends(end)}))
    assert await link.lost() is None
    if where == "connection_made":
        told = [name for name in link.names if name not in ("pause_writing", "resume_writing")]  # where write() queues
        assert told == ["connection_made", "connection_lost"]
    if where in ("data_received", "buffer_updated"):
        assert link.names.count(where) == 1, f"{where}() was called after the transport was closed"
        assert "eof_received" not in link.names, "eof_received() was called after the transport was closed"
    await polls()
    assert link.names[-1] == "connection_lost"


def ends(how: str) -> Any:
    """A reaction that ends the connection and returns nothing."""

    def react(protocol: Any) -> None:
        ENDS[how](protocol)

    return react


@requires("PROTO-ORDER-02")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("call", ["close", "abort", "pause_reading", "resume_reading"])
async def test_a_transport_used_in_connection_lost_and_after(connect: Connect, call: str) -> None:
    """What is called on a transport whose connection is lost raises nothing and leads to no callback."""
    await use_when_lost(connect, lambda transport: getattr(transport, call)())


@requires("PROTO-ORDER-02", "TRANS-WRITE-06")
@on_streams("tcp-client", "unix-server")
async def test_a_write_in_connection_lost_and_after(connect: Connect) -> None:
    """write() to a transport whose connection is lost raises nothing and leads to no callback."""
    await use_when_lost(connect, lambda transport: transport.write(b"late"))


@requires("PROTO-ORDER-02", "TRANS-WRITE_EOF-04")
@on_streams("tcp-client", "unix-server")
async def test_an_end_of_the_stream_in_connection_lost_and_after(connect: Connect) -> None:
    """write_eof() of a transport whose connection is lost raises nothing and leads to no callback."""
    await use_when_lost(connect, lambda transport: transport.write_eof())


@requires("PROTO-ORDER-02", "TRANS-WRITELINES-05")
@on_streams("tcp-client", "unix-server")
async def test_writelines_in_connection_lost_and_after(connect: Connect) -> None:
    """writelines() to a transport whose connection is lost raises nothing and leads to no callback."""
    await use_when_lost(connect, lambda transport: transport.writelines([b"late", b"later"]))


async def use_when_lost(connect: Connect, call: Callable[[Any], Any]) -> None:
    """Make a call on a transport in connection_lost() and once it is over."""

    def use(protocol: Any) -> None:
        call(protocol.transport)

    link = await connect([hold(), drain()], protocol=lambda: RecordingProtocol(on={"connection_lost": use}))
    link.transport.close()
    await link.lost()
    use(link.protocol)
    await polls()
    assert link.names == ["connection_made", "connection_lost"]


@requires("PROTO-ORDER-02", "PROTO-CONNECTION_LOST-02")
@on_streams("tcp-client", "tcp-server", "accepted", "connected")
async def test_a_reset_behind_data(connect: Connect) -> None:
    """A reset ends the connection with the error, once, however much data came before it."""
    link = await connect([send_pattern(1, 50_000), hold(), reset()])
    await link.received(50_000)
    link.peer.release()
    assert isinstance(await link.lost(), ConnectionResetError)
    assert link.names[-1] == "connection_lost"
    assert "eof_received" not in link.names, "eof_received() was called for a reset"


@requires("PROTO-ORDER-04")
@on_streams()
@pytest.mark.parametrize("protocol", ["streaming", "buffered"])
async def test_callbacks_come_in_the_thread_of_the_loop(connect: Connect, protocol: str) -> None:
    """Each callback is made by the thread that runs the loop, also those of data, pauses and the end."""
    link = await connect([send_pattern(3, 300_000), hold(), drain()], protocol=KINDS[protocol], narrow=True)
    link.transport.set_write_buffer_limits(high=0)
    link.transport.write(bytes(2 * WIDTH))
    link.peer.release()
    await link.seen("resume_writing")
    link.transport.close()
    await link.lost()
    threads = {event.thread for event in link.protocol.history.events}
    assert threads == {threading.get_ident()}


@requires("PROTO-ORDER-05")
@on_streams()
async def test_a_protocol_that_derives_from_nothing(connect: Connect) -> None:
    """A protocol is what has the methods; it need not derive from asyncio's classes."""

    class Plain:
        def __init__(self) -> None:
            self.inner = RecordingProtocol()
            self.history, self.closed = self.inner.history, self.inner.closed
            self.transport: Any = None
            self.error: Any = None

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.inner.connection_made(transport)

        def data_received(self, data: bytes) -> None:
            self.inner.data_received(data)

        def eof_received(self) -> bool | None:
            return self.inner.eof_received()

        def connection_lost(self, error: Exception | None) -> None:
            self.error = error
            self.inner.connection_lost(error)

    link = await connect([send(b"hello"), shutdown(), expect_eof()], protocol=Plain)
    assert await link.lost() is None
    assert bytes(link.protocol.history.received) == b"hello"
    await link.verified()
