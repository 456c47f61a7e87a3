"""eof_received(): what its answer does to the transport, and what becomes of its errors."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.idling import idle
from loopproof.authoring.links import polls
from loopproof.faultkit import drain, expect, expect_eof, expect_pattern, hold, pattern, send, shutdown

Report = dict[str, Any]
KINDS: dict[str, Any] = {"streaming": RecordingProtocol, "buffered": RecordingBufferedProtocol}
Loop = asyncio.AbstractEventLoop


def answering(kind: str, answer: Any) -> Any:
    """What makes a protocol whose eof_received() returns ``answer``."""
    return lambda: KINDS[kind](on={"eof_received": lambda _: answer})


@requires("PROTO-EOF_RECEIVED-01", "PROTO-CONNECTION_LOST-01", "PROTO-BUFFER_UPDATED-02")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
@pytest.mark.parametrize("answer", [None, False, 0, ""])
async def test_a_false_answer_closes(connect: Connect, kind: str, answer: Any) -> None:
    """With a false answer, whatever its type, the transport closes itself, and the peer sees the end of the stream."""
    link = await connect([shutdown(), expect_eof()], protocol=answering(kind, answer))
    assert await link.lost() is None
    assert link.names[-2:] == ["eof_received", "connection_lost"]
    assert link.transport.is_closing()
    await link.verified()


@requires("PROTO-EOF_RECEIVED-01")
@on_streams()
async def test_a_false_answer_sends_what_is_queued_first(connect: Connect) -> None:
    """The transport that closes itself sends first all that was written, and then ends the stream."""
    link = await connect([hold(), shutdown(), hold(), expect_pattern(6, 3_000_000), expect_eof()], narrow=True)
    link.transport.write(pattern(6, 3_000_000))
    link.peer.release()
    await link.seen("eof_received")
    link.peer.release()
    assert await link.lost() is None
    await link.verified()


@requires("PROTO-EOF_RECEIVED-02", "PROTO-EOF_RECEIVED-03", "PROTO-BUFFER_UPDATED-03", "PROTO-ORDER-03")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
@pytest.mark.parametrize("answer", [True, 1, "yes"])
async def test_a_true_answer_keeps_the_transport_open(connect: Connect, kind: str, answer: Any) -> None:
    """With a true answer, whatever its type, the transport stays open for writing until somebody closes it."""
    link = await connect(
        [send(b"x"), shutdown(), expect(b"still here"), expect_eof()], protocol=answering(kind, answer)
    )
    await link.seen("eof_received")
    await polls()
    assert not link.transport.is_closing(), "the transport closes itself"
    assert link.names.count("eof_received") == 1, "eof_received() was called again"
    link.transport.write(b"still here")
    link.transport.close()
    assert await link.lost() is None
    await link.verified()


@requires("PROTO-EOF_RECEIVED-03")
@on_streams()
async def test_no_spinning_on_the_end_of_a_stream_that_stays_open(connect: Connect) -> None:
    """While a half-closed connection stays open the loop sleeps: it does not poll the readable end over and over."""
    link = await connect([shutdown(), hold(), drain()], protocol=answering("streaming", True))
    await link.seen("eof_received")
    await polls()
    await idle()
    link.peer.release()


@requires("PROTO-EOF_RECEIVED-02", "PROTO-ORDER-03")
@on_streams()
async def test_reading_is_resumed_after_the_end(connect: Connect) -> None:
    """resume_reading() without a pause before it, after the end of the stream, leads to no further callback."""
    link = await connect([shutdown(), hold(), drain()], protocol=answering("streaming", True))
    await link.seen("eof_received")
    link.transport.resume_reading()
    await polls()
    assert link.names == ["connection_made", "eof_received"], "the end of the stream was told again"
    link.peer.release()


@requires("PROTO-EOF_RECEIVED-02", "PROTO-ORDER-03")
@on_streams()
async def test_reading_is_paused_and_resumed_after_the_end(connect: Connect) -> None:
    """A pause after the end of the stream, and its end, lead to no further callback."""
    link = await connect([shutdown(), hold(), drain()], protocol=answering("streaming", True))
    await link.seen("eof_received")
    link.transport.pause_reading()
    await polls()
    link.transport.resume_reading()
    await polls()
    assert link.names == ["connection_made", "eof_received"], "the end of the stream was told again"
    link.peer.release()


@requires("PROTO-EOF_RECEIVED-04")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
async def test_an_error_of_eof_received(connect: Connect, reports: list[Report], kind: str) -> None:
    """An Exception of eof_received() is reported once, and ends the connection: connection_lost() gets it."""
    error = ZeroDivisionError("mine")

    def fail(_: Any) -> None:
        raise error

    link = await connect([shutdown(), drain()], protocol=lambda: KINDS[kind](on={"eof_received": fail}))
    assert await link.lost() is error
    contexts = list(reports)
    reports.clear()
    assert [context.get("exception") for context in contexts] == [error], f"reports: {contexts}"
    assert contexts[0].get("transport") is link.transport
    assert contexts[0].get("protocol") is link.protocol
