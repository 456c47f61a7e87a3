"""connection_lost(): its argument by the cause of the end, and what becomes of errors."""

from typing import Any

import pytest

from loopproof.authoring import Connect, Link, on_streams, requires
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.links import WIDTH, clogged, polls
from loopproof.faultkit import close, drain, hold, reset, send

Report = dict[str, Any]
TCP = ("tcp-client", "tcp-server", "accepted", "connected")


@requires("PROTO-CONNECTION_LOST-01")
@on_streams()
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_connection_that_the_loop_ends(connect: Connect, how: str) -> None:
    """connection_lost(None) follows close() and abort(), in a later iteration and not from within them."""
    link = await connect([drain()])
    getattr(link.transport, how)()
    assert link.names == ["connection_made"], f"connection_lost() was called from within {how}()"
    assert await link.lost() is None


@requires("PROTO-CONNECTION_LOST-02", "PROTO-CONNECTION_LOST-04")
@on_streams(*TCP)
@pytest.mark.parametrize("buffered", [False, True])
async def test_a_reset_that_is_read(connect: Connect, buffered: bool) -> None:
    """A reset by the peer is told as ConnectionResetError, and not to the exception handler."""
    kind = RecordingBufferedProtocol if buffered else RecordingProtocol
    link = await connect([hold(), reset()], protocol=kind)
    link.peer.release()
    error = await link.lost()
    assert type(error) is ConnectionResetError, f"connection_lost() got {error!r}"


@requires("PROTO-CONNECTION_LOST-03", "PROTO-CONNECTION_LOST-02", "PROTO-CONNECTION_LOST-04")
@on_streams()
async def test_a_write_to_a_peer_that_is_gone(connect: Connect) -> None:
    """write() to a peer that has closed raises nothing; the error comes to connection_lost()."""
    link = await connect([hold(), close()])
    link.transport.pause_reading()
    link.peer.release()
    await link.reached(2)
    for _ in range(200):
        link.transport.write(b"x" * 1000)
        if link.protocol.closed.is_set():
            break
        await polls(1)
    error = await link.lost()
    assert isinstance(error, (BrokenPipeError, ConnectionResetError)), f"connection_lost() got {error!r}"


@requires("PROTO-CONNECTION_LOST-03", "PROTO-CONNECTION_LOST-02")
@on_streams(*TCP)
async def test_a_reset_while_bytes_are_queued(connect: Connect) -> None:
    """A reset while the transport waits to send is told as an error, though the protocol has paused reading."""
    link = await connect([hold(), reset()], narrow=True)
    link.transport.pause_reading()
    link.transport.write(bytes(2 * WIDTH))
    link.peer.release()
    error = await link.lost()
    assert isinstance(error, (BrokenPipeError, ConnectionResetError)), f"connection_lost() got {error!r}"
    assert link.transport.get_write_buffer_size() == 0


@requires("PROTO-CONNECTION_LOST-02")
@on_streams(*TCP)
async def test_a_reset_while_the_transport_is_closing(connect: Connect) -> None:
    """A reset during a close() that has bytes to send ends the wait, and is told as an error."""
    link = await connect([hold(), reset()], narrow=True)
    link.transport.write(bytes(2 * WIDTH))
    link.transport.close()
    await polls()
    assert link.names[-1] != "connection_lost", "the transport closed though it has bytes to send"
    link.peer.release()
    error = await link.lost()
    assert isinstance(error, (BrokenPipeError, ConnectionResetError)), f"connection_lost() got {error!r}"


@requires("PROTO-CONNECTION_LOST-05")
@on_streams()
async def test_an_error_of_connection_made(connect: Connect, reports: list[Report]) -> None:
    """An Exception of connection_made() is reported once, and changes nothing else: the connection works."""
    await fail_in(connect, reports, "connection_made")


@requires("PROTO-CONNECTION_LOST-05")
@on_streams()
async def test_an_error_of_connection_lost(connect: Connect, reports: list[Report]) -> None:
    """An Exception of connection_lost() is reported once, and changes nothing else."""
    await fail_in(connect, reports, "connection_lost")


async def fail_in(connect: Connect, reports: list[Report], where: str) -> None:
    """Let a callback raise, and check what becomes of it and of the connection."""
    error = ZeroDivisionError("mine")

    def fail(_: Any) -> None:
        raise error

    link = await connect([send(b"x"), drain()], protocol=lambda: RecordingProtocol(on={where: fail}))
    assert await link.received(1) == b"x", "a connection whose connection_made() failed does not read"
    link.transport.close()
    assert await link.lost() is None
    await link.verified()
    contexts = list(reports)
    reports.clear()
    assert [context.get("exception") for context in contexts] == [error], f"reports: {contexts}"


@requires("PROTO-CONNECTION_LOST-06", "PROTO-ORDER-02")
@on_streams()
@pytest.mark.parametrize("call", ["abort", "close"])
async def test_a_transport_that_is_ended_again_when_it_resumes(connect: Connect, call: str) -> None:
    """abort() in resume_writing() of a transport that is closing leads to one connection_lost(), not to two."""
    link = await clogged(connect, protocol=lambda: RecordingProtocol(on={"resume_writing": ending(call)}))
    link.transport.set_write_buffer_limits(high=0)
    link.transport.close()
    link.peer.release()
    await link.lost()
    await polls()
    assert link.names.count("connection_lost") == 1


def ending(call: str) -> Any:
    """A reaction that ends the connection."""
    return lambda protocol: getattr(protocol.transport, call)()


async def closed_behind_data(connect: Connect) -> Link:
    """A link that is lost after a close() which had bytes to send."""
    link = await clogged(connect)
    link.transport.close()
    link.peer.release()
    assert await link.lost() is None
    return link


@requires("PROTO-CONNECTION_LOST-01", "PROTO-ORDER-02")
@on_streams()
@pytest.mark.parametrize("call", ["close", "pause_reading", "resume_reading"])
async def test_a_transport_that_is_used_when_it_has_closed_behind_data(connect: Connect, call: str) -> None:
    """After a close() that had bytes to send, the lost transport can still be used, in vain."""
    link = await closed_behind_data(connect)
    getattr(link.transport, call)()
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("PROTO-CONNECTION_LOST-01", "PROTO-ORDER-02", "TRANS-WRITE_EOF-04")
@on_streams()
async def test_an_end_of_the_stream_when_the_transport_has_closed_behind_data(connect: Connect) -> None:
    """After a close() that had bytes to send, write_eof() of the lost transport does nothing and raises nothing."""
    link = await closed_behind_data(connect)
    link.transport.write_eof()
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("PROTO-CONNECTION_LOST-01", "PROTO-ORDER-02", "TRANS-ABORT-03")
@on_streams()
async def test_an_abort_when_the_transport_has_closed_behind_data(connect: Connect) -> None:
    """After a close() that had bytes to send, abort() of the lost transport does nothing and raises nothing."""
    link = await closed_behind_data(connect)
    link.transport.abort()
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("PROTO-CONNECTION_LOST-01", "PROTO-ORDER-02", "TRANS-WRITE-06")
@on_streams()
async def test_a_write_when_the_transport_has_closed_behind_data(connect: Connect) -> None:
    """After a close() that had bytes to send, write() to the lost transport does nothing and raises nothing."""
    link = await closed_behind_data(connect)
    link.transport.write(b"late")
    await polls()
    assert link.names.count("connection_lost") == 1
