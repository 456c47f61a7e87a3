"""pause_writing() and resume_writing(): when they are called, measured against the marks, on a peer that stalls."""

import asyncio

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, clogged, pauses, settled
from loopproof.faultkit import drain, hold, receive


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-04", "FLOW-SET_WRITE_BUFFER_LIMITS-03")
@on_streams()
async def test_a_write_above_the_high_mark_pauses_before_it_returns(connect: Connect) -> None:
    """pause_writing() is called from within the write() that takes the buffer above the high mark, and only once."""
    link = await connect([hold(), drain()], narrow=True)
    link.transport.set_write_buffer_limits(high=1000)
    link.transport.write(bytes(WIDTH))
    assert pauses(link) == ["pause_writing"], "pause_writing() was not called within the write()"
    link.transport.write(bytes(WIDTH))
    link.transport.writelines([bytes(1000), bytes(1000)])
    assert pauses(link) == ["pause_writing"], "pause_writing() was called again while the protocol was paused"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-01")
@on_streams()
async def test_a_buffer_that_equals_the_high_mark_does_not_pause(connect: Connect) -> None:
    """pause_writing() is called for the first byte above the high mark, and not for the mark itself."""
    link = await clogged(connect)
    size = link.transport.get_write_buffer_size()
    link.transport.set_write_buffer_limits(high=size + 100)
    link.transport.write(bytes(99))
    assert pauses(link) == []
    link.transport.write(b"x")
    assert link.transport.get_write_buffer_size() == size + 100
    assert pauses(link) == [], "pause_writing() was called though the buffer only equals the high mark"
    link.transport.write(b"x")
    assert pauses(link) == ["pause_writing"], "pause_writing() was not called one byte above the high mark"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-02", "FLOW-SET_WRITE_BUFFER_LIMITS-03")
@on_streams()
async def test_a_peer_that_reads_on_resumes_at_the_low_mark(connect: Connect) -> None:
    """resume_writing() is called once the buffer has fallen to the low mark, and not while it is above."""
    sizes: list[int] = []

    class Noting(RecordingProtocol):
        def resume_writing(self) -> None:
            sizes.append(self.transport.get_write_buffer_size())
            super().resume_writing()

    link = await connect([hold(), drain()], protocol=Noting, narrow=True)
    link.transport.set_write_buffer_limits(high=200_000, low=100_000)
    link.transport.write(bytes(WIDTH))
    assert pauses(link) == ["pause_writing"]
    link.peer.release()
    await link.seen("resume_writing")
    assert sizes[0] <= 100_000, f"resume_writing() was called with {sizes[0]} bytes queued, the low mark is 100000"
    link.transport.close()
    assert await link.lost() is None
    assert pauses(link) == ["pause_writing", "resume_writing"]
    await link.verified()
    assert link.peer.log[-1].bytes == WIDTH


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-02")
@on_streams()
async def test_a_peer_that_reads_a_little_does_not_resume(connect: Connect) -> None:
    """As long as the buffer is above the low mark there is no resume_writing(), however much has been sent."""
    link = await connect([hold(), receive(WIDTH), hold(), drain()], narrow=True)
    link.transport.set_write_buffer_limits(high=4 * WIDTH)
    link.transport.write(bytes(3 * WIDTH))
    await settled(link)
    high = link.transport.get_write_buffer_size()
    link.transport.set_write_buffer_limits(high=high, low=10)
    link.transport.write(b"x")
    link.peer.release()
    await link.reached(2)
    await settled(link)
    left = link.transport.get_write_buffer_size()
    assert 10 < left < high
    assert pauses(link) == ["pause_writing"], (
        f"resume_writing() was called with {left} bytes queued, the low mark is 10"
    )


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-03")
@on_streams()
async def test_pauses_and_resumes_take_turns_for_as_long_as_it_goes(connect: Connect) -> None:
    """A protocol that writes whenever it may is paused and resumed in strict turns, and nothing is lost."""
    rounds = 20

    class Writer(RecordingProtocol):
        written = 0

        def resume_writing(self) -> None:
            super().resume_writing()
            asyncio.get_running_loop().call_soon(self.more)

        def more(self) -> None:
            if self.history.names.count("resume_writing") == rounds:
                self.transport.close()
                return
            while self.history.names[-1] != "pause_writing":  # the peer may read as fast as this writes, for a while
                self.transport.write(bytes(WIDTH))
                self.written += WIDTH

    link = await connect([drain()], protocol=Writer, narrow=True)
    link.transport.set_write_buffer_limits(high=0)
    link.protocol.more()
    assert await link.lost() is None
    assert pauses(link) == ["pause_writing", "resume_writing"] * rounds
    await link.verified()
    assert link.peer.log[-1].bytes == link.protocol.written
