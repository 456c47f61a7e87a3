"""data_received(): what it gets, in which pieces, and what becomes of its errors."""

import asyncio
import hashlib
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.execution import run_until_interrupted
from loopproof.authoring.history import RecordingProtocol
from loopproof.faultkit import drain, expect_eof, hold, send, send_pattern, shutdown, verify_pattern

Report = dict[str, Any]
Loop = asyncio.AbstractEventLoop


@requires("PROTO-DATA_RECEIVED-02", "PROTO-DATA_RECEIVED-01")
@on_streams()
@pytest.mark.parametrize(
    ("size", "chunks"),
    [
        (1, ()),
        (2, (1,)),
        (300, (1,)),
        (65_535, ()),
        (65_536, ()),
        (65_537, ()),
        (262_143, ()),
        (262_144, (4096,)),
        (262_145, (65_537, 1)),
        (1_000_000, (1, 1460, 7)),
        (5_000_000, (100_000,)),
    ],
)
async def test_what_is_sent_is_received(connect: Connect, size: int, chunks: tuple[int, ...]) -> None:
    """All bytes arrive once and in order, whatever pieces they were sent in, and none after the end."""
    pause = 0.0002 if chunks == (1,) else 0.0
    link = await connect(
        [
            send_pattern(9, size, chunks=chunks[:8], pause=pause) if chunks else send_pattern(9, size),
            shutdown(),
            expect_eof(),
        ]
    )
    assert await link.lost() is None
    received = link.protocol.history.received
    wrong = verify_pattern(received, 9)
    assert wrong is None, f"the byte at offset {wrong} of {size} is wrong"
    assert len(received) == size


@requires("PROTO-DATA_RECEIVED-01", "PROTO-DATA_RECEIVED-03")
@on_streams()
async def test_each_piece_is_bytes_of_a_bounded_size(connect: Connect) -> None:
    """Each piece is a bytes object, not empty, of 256 KiB at most, though megabytes wait in the kernel."""
    link = await connect([send_pattern(9, 4_000_000), shutdown(), expect_eof()])
    await link.lost()
    pieces = [event.arguments[0] for event in link.protocol.history.events if event.name == "data_received"]
    assert {type(piece) for piece in pieces} == {bytes}
    assert min(len(piece) for piece in pieces) > 0
    assert max(len(piece) for piece in pieces) <= 256 * 1024


@requires("PROTO-DATA_RECEIVED-02")
@on_streams()
async def test_pieces_that_are_kept_do_not_change(connect: Connect) -> None:
    """A piece that the protocol keeps still has its bytes when later ones have arrived."""
    digests: list[str] = []

    def note(protocol: Any) -> None:
        digests.append(hashlib.sha1(protocol.history.events[-1].arguments[0]).hexdigest())

    link = await connect(
        [send_pattern(9, 3_000_000), shutdown(), expect_eof()],
        protocol=lambda: RecordingProtocol(on={"data_received": note}),
    )
    await link.lost()
    pieces = [event.arguments[0] for event in link.protocol.history.events if event.name == "data_received"]
    changed = [i for i, piece in enumerate(pieces) if hashlib.sha1(piece).hexdigest() != digests[i]]
    assert not changed, f"piece {changed[0]} of {len(pieces)} has changed since it was received"


@requires("PROTO-DATA_RECEIVED-02", "PROTO-ORDER-03")
@on_streams()
@pytest.mark.parametrize("size", [1, 1000, 65_536, 131_072])
async def test_data_and_the_end_in_one_segment(connect: Connect, size: int) -> None:
    """Data that arrives together with the end of the stream is delivered before it, all of it."""
    link = await connect([hold(), send_pattern(4, size), shutdown(), expect_eof()])
    link.transport.pause_reading()
    link.peer.release()
    await link.reached(3)
    link.transport.resume_reading()
    assert await link.lost() is None
    assert verify_pattern(link.protocol.history.received, 4) is None
    assert len(link.protocol.history.received) == size
    assert link.names[-2:] == ["eof_received", "connection_lost"]


@requires("PROTO-DATA_RECEIVED-04", "PROTO-CONNECTION_LOST-04")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize(
    "error", [ZeroDivisionError("mine"), OSError(5, "mine"), ConnectionResetError(104, "mine"), TimeoutError()]
)
async def test_an_error_of_data_received(connect: Connect, reports: list[Report], error: Exception) -> None:
    """An Exception of data_received() ends the connection, connection_lost() gets it, and it is reported once.

    An OSError may be told to the protocol alone, as those of the connection itself are.
    """

    def fail(protocol: Any) -> None:
        raise error

    link = await connect(
        [send(b"one"), hold(), drain()], protocol=lambda: RecordingProtocol(on={"data_received": fail})
    )
    assert await link.lost() is error
    assert link.names == ["connection_made", "data_received", "connection_lost"]
    contexts = list(reports)
    reports.clear()
    reported = [context.get("exception") for context in contexts]
    assert reported == [error] or (isinstance(error, OSError) and not reported), f"reports: {contexts}"
    for context in contexts:
        assert context.get("transport") is link.transport
        assert context.get("protocol") is link.protocol


@requires("PROTO-DATA_RECEIVED-04")
@on_streams()
async def test_an_error_of_data_received_throws_away_what_is_queued(connect: Connect, reports: list[Report]) -> None:
    """The connection does not wait for what is queued: it is over at once, though the peer reads nothing."""

    def fail(protocol: Any) -> None:
        protocol.transport.write(bytes(10_000_000))
        raise ZeroDivisionError

    link = await connect(
        [hold(), send(b"one"), hold()], protocol=lambda: RecordingProtocol(on={"data_received": fail}), narrow=True
    )
    link.peer.release()
    assert isinstance(await link.lost(), ZeroDivisionError)
    assert len(reports) == 1, f"reports: {reports}"
    reports.clear()


@requires("PROTO-DATA_RECEIVED-05")
@on_streams()
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_leave_the_run(loop: Loop, connect: Connect, error: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit in data_received() come out of the run, and the loop can run on."""

    def interrupt(protocol: Any) -> None:
        if len(protocol.history.received) == 1:
            raise error

    async def scenario() -> Any:
        return await connect(
            [hold(), send(b"x"), hold(), drain()], protocol=lambda: RecordingProtocol(on={"data_received": interrupt})
        )

    link = loop.run_until_complete(scenario())
    link.peer.release()
    run_until_interrupted(loop, error)
    loop.run_until_complete(asyncio.sleep(0))
