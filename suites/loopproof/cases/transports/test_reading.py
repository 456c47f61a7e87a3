"""pause_reading(), resume_reading(), is_reading(), set_protocol(): who is told of data, and when."""

import asyncio
import os
import socket
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires, until
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import ahead, is_ready, readable
from loopproof.faultkit import close, drain, expect_eof, hold, reset, send, send_pattern, shutdown, verify_pattern

KINDS: dict[str, Any] = {"streaming": RecordingProtocol, "buffered": RecordingBufferedProtocol}
TCP = ("tcp-client", "tcp-server", "accepted", "connected")


@requires("TRANS-PAUSE_READING-01", "TRANS-PAUSE_READING-04", "TRANS-PAUSE_READING-05", "TRANS-PAUSE_READING-08")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
async def test_a_pause(connect: Connect, kind: str) -> None:
    """Nothing is delivered in a pause, and everything after it."""
    link = await connect([hold(), send_pattern(3, 50_000), hold(), drain()], protocol=KINDS[kind])
    assert link.transport.is_reading() is True
    link.transport.pause_reading()
    assert link.transport.is_reading() is False
    link.peer.release()
    await link.reached(2)
    await polls()
    assert link.names == ["connection_made"], "data was delivered during the pause"
    link.transport.resume_reading()
    assert link.transport.is_reading() is True
    assert link.names == ["connection_made"], "data was delivered from within resume_reading()"
    await link.received(50_000)
    assert verify_pattern(link.protocol.history.received, 3) is None
    link.peer.release()


@requires("TRANS-PAUSE_READING-01")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
async def test_a_pause_in_the_midst_of_data(connect: Connect, kind: str) -> None:
    """A pause made while data is delivered holds at once: not one more piece comes before it is resumed."""
    callback = "data_received" if kind == "streaming" else "buffer_updated"
    total = 2_000_000
    link = await connect(
        [send_pattern(3, total), hold(), drain()],
        protocol=lambda: KINDS[kind](on={callback: lambda protocol: protocol.transport.pause_reading()}),
    )
    pieces = 0
    while len(link.protocol.history.received) < total:
        pieces += 1
        await link.seen(callback, pieces)
        await polls(2)
        assert link.names.count(callback) == pieces, "a piece came during the pause"
        link.transport.resume_reading()
    assert verify_pattern(link.protocol.history.received, 3) is None
    link.peer.release()


@requires("TRANS-PAUSE_READING-02", "TRANS-PAUSE_READING-03", "TRANS-PAUSE_READING-05")
@on_streams()
async def test_pauses_and_resumes_that_change_nothing(connect: Connect) -> None:
    """Pausing what is paused, resuming what reads, and both on a closing transport do nothing."""
    link = await connect([send(b"x"), hold(), drain()])
    link.transport.resume_reading()
    await link.received(1)
    link.transport.pause_reading()
    link.transport.pause_reading()
    link.transport.resume_reading()
    assert link.transport.is_reading() is True, "one resume_reading() does not end two pauses"
    link.transport.resume_reading()
    link.transport.close()
    assert link.transport.is_reading() is False, "a closing transport is said to read"
    link.transport.pause_reading()
    link.transport.resume_reading()
    assert link.transport.is_reading() is False
    await link.lost()
    link.transport.pause_reading()
    link.transport.resume_reading()
    assert link.transport.is_reading() is False
    link.peer.release()


@requires("TRANS-PAUSE_READING-06", "TRANS-PAUSE_READING-01")
@on_streams()
@pytest.mark.parametrize("kind", ["streaming", "buffered"])
async def test_a_pause_in_connection_made(connect: Connect, kind: str) -> None:
    """A pause made in connection_made() holds from the first byte on."""
    link = await connect(
        [send_pattern(3, 1000), shutdown(), hold(), drain()],
        protocol=lambda: KINDS[kind](on={"connection_made": lambda protocol: protocol.transport.pause_reading()}),
    )
    await link.reached(2)
    await polls()
    assert link.names == ["connection_made"], "the pause in connection_made() did not hold"
    assert link.transport.is_reading() is False
    link.transport.resume_reading()
    await link.seen("eof_received")
    assert verify_pattern(link.protocol.history.received, 3) is None
    assert len(link.protocol.history.received) == 1000
    link.peer.release()


@requires("TRANS-PAUSE_READING-07")
@on_streams()
async def test_the_end_of_the_stream_in_a_pause(connect: Connect) -> None:
    """The end of the stream is not told in a pause, but after it."""
    link = await connect([hold(), shutdown(), hold(), drain()])
    link.transport.pause_reading()
    link.peer.release()
    await link.reached(2)
    await polls()
    assert link.names == ["connection_made"], "the end of the stream was told during the pause"
    link.transport.resume_reading()
    await link.seen("eof_received")
    link.peer.release()


@requires("TRANS-PAUSE_READING-04", "TRANS-PAUSE_READING-07")
@on_streams()
async def test_a_peer_that_is_gone_in_a_pause(connect: Connect) -> None:
    """What the peer sent before it closed is delivered after the pause, and then the end."""
    link = await connect([hold(), send_pattern(3, 60_000), close()])
    link.transport.pause_reading()
    link.peer.release()
    await link.reached(3)
    await polls()
    assert link.names == ["connection_made"], "something was told during the pause"
    link.transport.resume_reading()
    assert await link.lost() is None
    assert len(link.protocol.history.received) == 60_000
    assert verify_pattern(link.protocol.history.received, 3) is None


@requires("TRANS-PAUSE_READING-01")
@on_streams(*TCP)
async def test_a_reset_in_a_pause(connect: Connect) -> None:
    """After a reset in a pause no data is delivered, and the error is told at the latest when reading resumes."""
    link = await connect([hold(), reset()])
    link.transport.pause_reading()
    link.peer.release()
    await link.reached(2)
    await polls()
    if "connection_lost" not in link.names:
        link.transport.resume_reading()
    assert isinstance(await link.lost(), ConnectionResetError)


@requires("TRANS-PAUSE_READING-01", "TRANS-PAUSE_READING-04")
@on_streams()
async def test_pauses_at_every_turn(connect: Connect) -> None:
    """A protocol that is paused and resumed over and over loses nothing and gets nothing twice."""
    total = 1_000_000
    link = await connect([send_pattern(3, total, chunks=(997, 65_536, 1)), shutdown(), expect_eof()])
    turns = 0
    while not link.protocol.closed.is_set() and turns < 20_000:
        link.transport.pause_reading()
        if turns % 3 == 0:
            await polls(1)
        link.transport.resume_reading()
        link.transport.pause_reading()
        link.transport.resume_reading()
        await polls(1)
        turns += 1
    assert await link.lost() is None
    assert verify_pattern(link.protocol.history.received, 3) is None
    assert len(link.protocol.history.received) == total


@requires("TRANS-SET_PROTOCOL-01", "TRANS-SET_PROTOCOL-02")
@on_streams()
@pytest.mark.parametrize("first", ["streaming", "buffered"])
@pytest.mark.parametrize("second", ["streaming", "buffered"])
async def test_another_protocol(connect: Connect, first: str, second: str) -> None:
    """After set_protocol() all callbacks go to the new protocol; connection_made() is not called on it."""
    link = await connect([send(b"one"), hold(), send(b"two"), shutdown(), drain()], protocol=KINDS[first])
    await link.received(3)
    other = KINDS[second]()
    assert link.transport.get_protocol() is link.protocol
    assert link.transport.set_protocol(other) is None
    assert link.transport.get_protocol() is other
    before = list(link.names)
    link.protocol.closed.set()  # its history ends here
    link.protocol.history.ends = False
    link.peer.release()
    await until(other.closed.is_set, "connection_lost() of the second protocol")
    assert link.names == before, "the first protocol was still told something"
    assert "connection_made" not in other.history.names
    assert bytes(other.history.received) == b"two"
    assert other.history.names[-2:] == ["eof_received", "connection_lost"]


@requires("TRANS-SET_PROTOCOL-03", "TRANS-SET_PROTOCOL-01")
@on_streams()
@pytest.mark.parametrize("first", ["streaming", "buffered"])
@pytest.mark.parametrize("second", ["streaming", "buffered"])
async def test_another_protocol_from_within_a_callback(connect: Connect, first: str, second: str) -> None:
    """A protocol that is exchanged in the midst of data leaves all that follows to the next one."""
    total = 1_000_000
    other = KINDS[second]()
    callback = "data_received" if first == "streaming" else "buffer_updated"
    link = await connect(
        [send_pattern(3, total), shutdown(), drain()],
        protocol=lambda: KINDS[first](on={callback: lambda protocol: protocol.transport.set_protocol(other)}),
    )
    await until(other.closed.is_set, "connection_lost() of the second protocol")
    link.protocol.closed.set()
    link.protocol.history.ends = False
    assert link.names.count(callback) == 1, "the first protocol got more after it was exchanged"
    whole = link.protocol.history.received + other.history.received
    assert verify_pattern(whole, 3) is None
    assert len(whole) == total


@requires("TRANS-READ-01")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("protocol", [RecordingProtocol, RecordingBufferedProtocol])
async def test_another_reader_was_quicker(loop: asyncio.AbstractEventLoop, connect: Connect, protocol: Any) -> None:
    """Data that somebody else takes after the poll that saw them are no end and no error; the next ones arrive."""
    link = await connect([hold(), send(b"hello"), hold(), send(b"next"), hold()], protocol=protocol)
    with socket.socket(fileno=os.dup(link.transport.get_extra_info("socket").fileno())) as other:
        link.peer.release()
        is_ready(other)
        was_ahead = await ahead(loop, lambda: readable(other), lambda: other.recv(100))
        await polls(3)
        link.peer.release()
        assert (await link.received(4 if was_ahead else 9))[-4:] == b"next"
        assert not link.protocol.closed.is_set()
