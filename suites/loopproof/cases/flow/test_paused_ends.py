"""Connections that end while the protocol is paused, and protocols that fail when they are paused or resumed."""

from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, clogged, pauses, polls
from loopproof.faultkit import drain, hold, reset

Report = dict[str, Any]


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-12")
@on_streams()
async def test_an_abort_of_a_paused_connection_does_not_resume(connect: Connect) -> None:
    """A connection that is aborted while paused is lost without resume_writing()."""
    link = await clogged(connect)
    link.transport.set_write_buffer_limits(high=0)
    link.transport.abort()
    assert await link.lost() is None
    assert pauses(link) == ["pause_writing"], "resume_writing() was called on a connection that is lost"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-12")
@on_streams()
async def test_an_abort_in_pause_writing_does_not_resume(connect: Connect) -> None:
    """A protocol that aborts the connection in pause_writing() is told of nothing but the loss."""
    give_up = {"pause_writing": lambda protocol: protocol.transport.abort()}
    link = await connect([hold(), drain()], narrow=True, protocol=lambda: RecordingProtocol(on=give_up))
    link.transport.write(bytes(WIDTH))
    assert await link.lost() is None
    assert link.names == ["connection_made", "pause_writing", "connection_lost"]


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-12")
@on_streams("tcp-client", "tcp-server", "accepted", "connected")
async def test_a_reset_of_a_paused_connection_does_not_resume(connect: Connect) -> None:
    """A connection that the peer resets while it is paused is lost with the error and without resume_writing()."""
    link = await connect([hold(), reset()], narrow=True)
    link.transport.set_write_buffer_limits(high=0)
    link.transport.write(bytes(WIDTH))
    assert pauses(link) == ["pause_writing"]
    link.peer.release()
    assert isinstance(await link.lost(), ConnectionError)
    assert pauses(link) == ["pause_writing"], "resume_writing() was called on a connection that is lost"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-13")
@on_streams()
@pytest.mark.parametrize("where", ["pause_writing", "resume_writing"])
async def test_a_protocol_that_fails_when_told(connect: Connect, reports: list[Report], where: str) -> None:
    """An Exception of pause_writing() or resume_writing() is reported once, and all bytes arrive all the same."""

    class Failing(RecordingProtocol):
        def pause_writing(self) -> None:
            super().pause_writing()
            self.fail("pause_writing")

        def resume_writing(self) -> None:
            super().resume_writing()
            self.fail("resume_writing")

        def fail(self, turn: str) -> None:
            if turn == where:
                raise ZeroDivisionError(turn)

    link = await connect([hold(), drain()], protocol=Failing, narrow=True)
    link.transport.set_write_buffer_limits(high=0)
    link.transport.write(bytes(WIDTH))
    link.peer.release()
    await link.seen("resume_writing")
    await polls(3)
    link.transport.close()
    assert await link.lost() is None, "the connection was lost through the protocol's error"
    await link.verified()
    assert link.peer.log[-1].bytes == WIDTH
    contexts = list(reports)
    reports.clear()
    assert [context["exception"].args for context in contexts] == [(where,)], f"reports: {contexts}"
    assert contexts[0].get("transport") is link.transport, f"the report does not name the transport: {contexts[0]}"
    assert contexts[0].get("protocol") is link.protocol, f"the report does not name the protocol: {contexts[0]}"
