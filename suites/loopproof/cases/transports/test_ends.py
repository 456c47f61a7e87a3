"""write_eof(), close(), abort(), is_closing(): how a transport ends, and that it does so once."""

import os
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires, until
from loopproof.authoring.descriptors import is_open
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, clogged, polls
from loopproof.faultkit import (
    drain,
    expect,
    expect_eof,
    expect_pattern,
    hold,
    pattern,
    reset,
    send,
    send_pattern,
    shutdown,
)

Report = dict[str, Any]


@requires("TRANS-WRITE_EOF-01", "TRANS-WRITE_EOF-02", "TRANS-WRITE_EOF-03")
@on_streams()
@pytest.mark.parametrize("size", [0, 1, 3 * WIDTH])
async def test_the_end_of_the_stream_comes_behind_all_data(connect: Connect, size: int) -> None:
    """After write_eof() the peer gets all that was written and then the end; what it sends is still received."""
    link = await connect([hold(), expect_pattern(2, size), expect_eof(), send(b"answer"), hold()], narrow=True)
    assert link.transport.can_write_eof() is True
    link.transport.write(pattern(2, size))
    assert link.transport.write_eof() is None
    assert not link.transport.is_closing(), "write_eof() closes the transport"
    link.peer.release()
    assert await link.received(6) == b"answer"
    link.peer.release()
    await link.verified()


@requires("TRANS-WRITE_EOF-04")
@on_streams()
@pytest.mark.parametrize("queued", [False, True])
async def test_the_end_of_the_stream_is_written_again(connect: Connect, queued: bool) -> None:
    """write_eof() may be called repeatedly, before and after the data is sent, and after close()."""
    link = await clogged(connect) if queued else await connect([drain(), hold()])
    link.transport.write_eof()
    link.transport.write_eof()
    link.peer.release()
    await polls()
    link.transport.write_eof()
    link.transport.close()
    link.transport.write_eof()
    assert await link.lost() is None


@requires("TRANS-CLOSE-01", "TRANS-CLOSE-02", "TRANS-CLOSE-04")
@on_streams()
@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
async def test_close_sends_what_is_queued(connect: Connect, size: int) -> None:
    """close() returns at once, the peer gets everything and then the end, and connection_lost(None) comes last."""
    link = await connect([hold(), expect_pattern(2, size), expect_eof()], narrow=True)
    link.transport.write(pattern(2, size))
    assert link.transport.close() is None
    assert "connection_lost" not in link.names, "connection_lost() was called from within close()"
    await polls(3)
    assert size <= WIDTH or "connection_lost" not in link.names, "the connection was lost before all was sent"
    link.peer.release()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-CLOSE-03")
@on_streams()
async def test_nothing_is_received_after_close(connect: Connect) -> None:
    """After close() there is no data_received() and no eof_received(), though data is there and bytes are queued."""
    link = await connect(
        [send_pattern(1, 1000), hold(), send_pattern(1, 60_000), shutdown(), hold(), drain()], narrow=True
    )
    await link.received(1000)
    link.transport.write(bytes(2 * WIDTH))
    link.transport.close()
    before = [name for name in link.names if name != "pause_writing"]
    link.peer.release()
    await link.reached(4)
    await polls()
    assert [name for name in link.names if name != "pause_writing"] == before, "the protocol was told of data"
    link.peer.release()
    await link.lost()


@requires("TRANS-CLOSE-05", "TRANS-ABORT-03")
@on_streams()
@pytest.mark.parametrize("calls", ["cc", "aa", "ca", "ac", "caca", "cccaaa"])
@pytest.mark.parametrize("queued", [False, True])
async def test_the_end_is_asked_for_repeatedly(connect: Connect, calls: str, queued: bool) -> None:
    """close() and abort() may be called in any order and number: connection_lost(None) is called once."""
    link = await clogged(connect) if queued else await connect([hold(), drain()])
    for call in calls:
        link.transport.close() if call == "c" else link.transport.abort()
        assert link.transport.is_closing()
    link.peer.release()
    assert await link.lost() is None
    await polls()
    assert link.names.count("connection_lost") == 1


@requires("TRANS-ABORT-01", "TRANS-ABORT-02")
@on_streams()
@pytest.mark.parametrize("first", ["nothing", "close", "write_eof"])
async def test_abort_throws_away_what_is_queued(connect: Connect, first: str) -> None:
    """abort() with bytes queued ends the connection at once, though the peer reads nothing, also after close()."""
    link = await connect([hold(), drain()], narrow=True)
    link.transport.write(bytes(4 * WIDTH))
    if first != "nothing":
        getattr(link.transport, first)()
    assert link.transport.abort() is None
    assert "connection_lost" not in link.names, "connection_lost() was called from within abort()"
    assert await link.lost() is None
    link.peer.release()
    await until(lambda: link.peer.ended, "the end of the peer's script")
    assert link.peer.log[-1].bytes < 4 * WIDTH, "everything was sent in spite of the abort()"


@requires("TRANS-CLOSE-08")
@on_streams()
async def test_a_closing_transport_waits_for_its_peer(connect: Connect) -> None:
    """A peer that does not read keeps a closing transport open, until abort()."""
    link = await clogged(connect)
    link.transport.close()
    await polls(30)
    assert "connection_lost" not in link.names
    assert link.transport.is_closing()
    link.transport.abort()
    assert await link.lost() is None


@requires("TRANS-CLOSE-06", "TRANS-CLOSE-07")
@on_streams()
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_descriptor_is_closed(connect: Connect, reports: list[Report], how: str, fails: bool) -> None:
    """The descriptor is open in connection_lost() and closed soon after it, also if that raises."""
    seen: list[bool] = []

    def look(protocol: Any) -> None:
        seen.append(is_open(number, identity))
        if fails:
            raise ZeroDivisionError

    link = await connect([drain()], protocol=lambda: RecordingProtocol(on={"connection_lost": look}))
    number = link.transport.get_extra_info("socket").fileno()
    identity = os.fstat(number).st_ino
    getattr(link.transport, how)()
    await link.lost()
    await until(lambda: not is_open(number, identity), f"the end of descriptor {number}")
    assert seen == [True], "the descriptor was closed before connection_lost() was called"
    await link.verified()
    assert len(reports) == fails, f"reports: {reports}"
    reports.clear()


@requires("TRANS-IS_CLOSING-01", "TRANS-IS_CLOSING-02")
@on_streams()
@pytest.mark.parametrize("how", ["close", "abort", "eof"])
async def test_is_closing(connect: Connect, how: str) -> None:
    """is_closing() is False until the end is asked for, True right after, and True in connection_lost()."""
    seen: list[bool] = []
    protocol = RecordingProtocol(on={"connection_lost": lambda protocol: seen.append(protocol.transport.is_closing())})
    link = await connect([hold(), shutdown(), drain()], protocol=lambda: protocol)
    assert link.transport.is_closing() is False
    if how == "eof":
        link.peer.release()
    else:
        getattr(link.transport, how)()
        assert link.transport.is_closing() is True
    await link.lost()
    assert seen == [True]
    assert link.transport.is_closing() is True
    link.peer.release()


@requires("TRANS-CLOSE-02", "TRANS-CLOSE-01")
@on_streams()
async def test_a_slow_peer_gets_all_of_what_was_written_before_close(connect: Connect) -> None:
    """A peer that reads in small steps gets every byte that was written before close(), though it takes many turns."""
    size = 3 * WIDTH
    steps = [step for at in range(0, size, 100_000) for step in (expect_pattern(2, 100_000, offset=at), hold())]
    link = await connect([*steps, expect_eof()], narrow=True)
    link.transport.write(pattern(2, size))
    link.transport.close()
    for number in range(size // 100_000):
        await link.reached(2 * number + 1)
        link.peer.release()
    assert await link.lost() is None
    await link.verified()


@requires("TRANS-WRITE_EOF-01")
@on_streams()
async def test_write_eof_with_a_peer_that_ended_first(connect: Connect) -> None:
    """Where the peer has ended its stream and the protocol keeps the transport open, write_eof() still works."""
    stay = RecordingProtocol(on={"eof_received": lambda _: True})
    link = await connect([shutdown(), expect(b"last words"), expect_eof()], protocol=lambda: stay)
    await link.seen("eof_received")
    link.transport.write(b"last words")
    link.transport.write_eof()
    await link.verified()


@requires("TRANS-WRITE_EOF-04")
@on_streams("tcp-client", "tcp-server")
async def test_the_end_is_written_again_after_a_reset(connect: Connect) -> None:
    """A second write_eof() does nothing, also when the peer has reset the connection meanwhile."""
    link = await connect([hold(), reset()])
    link.transport.write_eof()
    link.peer.release()
    assert link.arrives(2)
    link.transport.write_eof()
    await link.lost()
