"""set_write_buffer_limits() and get_write_buffer_limits(): what the marks are, and which are refused."""

import pytest

from loopproof.authoring import Connect, on_streams, raises, requires
from loopproof.authoring.links import WIDTH, clogged, pauses
from loopproof.faultkit import drain, hold


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-09", "FLOW-GET_WRITE_BUFFER_LIMITS-01")
@on_streams()
async def test_the_marks_of_a_new_transport(connect: Connect) -> None:
    """The marks of a new transport are 16 KiB and 64 KiB, as (low, high)."""
    link = await connect([hold()])
    assert link.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)


@requires("FLOW-GET_WRITE_BUFFER_LIMITS-01", "FLOW-SET_WRITE_BUFFER_LIMITS-08", "FLOW-SET_WRITE_BUFFER_LIMITS-06")
@on_streams()
@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"high": 1000, "low": 10}, 10, 1000),
        ({"high": 1000, "low": 1000}, 1000, 1000),
        ({"high": 1000, "low": 0}, 0, 1000),
        ({"high": 1003}, 250, 1003),
        ({"high": 3}, 0, 3),
        ({"high": 0}, 0, 0),
        ({"high": 0, "low": 0}, 0, 0),
        ({"low": 1003}, 1003, 4012),
        ({"low": 0}, 0, 0),
        ({"high": None, "low": None}, 16 * 1024, 64 * 1024),
    ],
)
async def test_marks_that_are_set(connect: Connect, given: dict[str, int], low: int, high: int) -> None:
    """Both marks are as given; where one is not given it is a quarter or four times the other."""
    link = await connect([hold()])
    link.transport.set_write_buffer_limits(high=5, low=5)
    link.transport.set_write_buffer_limits(**given)
    assert link.transport.get_write_buffer_limits() == (low, high)


@requires("FLOW-GET_WRITE_BUFFER_LIMITS-01", "FLOW-SET_WRITE_BUFFER_LIMITS-08")
@on_streams()
async def test_marks_beyond_32_bits(connect: Connect) -> None:
    """A mark may be larger than 2 GiB, and than any buffer."""
    link = await connect([hold()])
    link.transport.set_write_buffer_limits(high=2**40)
    assert link.transport.get_write_buffer_limits() == (2**38, 2**40)


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-08")
@on_streams()
async def test_the_first_mark_by_position_is_the_high_one(connect: Connect) -> None:
    """The parameters are high and low, in this order."""
    link = await connect([hold()])
    link.transport.set_write_buffer_limits(1000, 10)
    assert link.transport.get_write_buffer_limits() == (10, 1000)
    link.transport.set_write_buffer_limits()
    assert link.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-05")
@on_streams()
@pytest.mark.parametrize(
    "given",
    [
        {"high": 10, "low": 11},
        {"high": -1},
        {"low": -1},
        {"high": 10, "low": -1},
        {"high": -2, "low": -3},
        {"high": 0, "low": 1},
    ],
)
async def test_marks_that_are_refused(connect: Connect, given: dict[str, int]) -> None:
    """A low mark above the high one, or a mark below zero, is a ValueError, and the marks stay as they were."""
    link = await connect([hold()])
    link.transport.set_write_buffer_limits(high=1000, low=10)
    with raises(ValueError):
        link.transport.set_write_buffer_limits(**given)
    assert link.transport.get_write_buffer_limits() == (10, 1000), "the marks changed though they were refused"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-10", "FLOW-SET_WRITE_BUFFER_LIMITS-03")
@on_streams()
async def test_a_high_mark_lowered_below_the_buffer_pauses_at_once(connect: Connect) -> None:
    """set_write_buffer_limits() itself calls pause_writing() where the buffer is above the new high mark."""
    link = await clogged(connect)
    size = link.transport.get_write_buffer_size()
    link.transport.set_write_buffer_limits(high=size)
    assert pauses(link) == [], "pause_writing() was called though the buffer only equals the high mark"
    link.transport.set_write_buffer_limits(high=size - 1)
    assert pauses(link) == ["pause_writing"]
    link.transport.set_write_buffer_limits(high=10)
    assert pauses(link) == ["pause_writing"], "pause_writing() was called again while the protocol was paused"
    link.peer.release()
    await link.seen("resume_writing")
    assert pauses(link) == ["pause_writing", "resume_writing"]


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-11", "FLOW-SET_WRITE_BUFFER_LIMITS-03")
@on_streams()
async def test_raised_marks_do_not_resume_by_themselves(connect: Connect) -> None:
    """With marks above the buffer a paused protocol stays paused until the transport sends something."""
    link = await clogged(connect)
    link.transport.set_write_buffer_limits(high=10)
    link.transport.set_write_buffer_limits(high=4 * WIDTH, low=2 * WIDTH)
    assert pauses(link) == ["pause_writing"], "resume_writing() was called though nothing was sent"
    link.transport.write(b"x")
    assert pauses(link) == ["pause_writing"]
    link.peer.release()
    await link.seen("resume_writing")
    link.transport.close()
    assert await link.lost() is None
    assert pauses(link) == ["pause_writing", "resume_writing"]


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-06", "FLOW-SET_WRITE_BUFFER_LIMITS-07")
@on_streams()
async def test_marks_of_zero(connect: Connect) -> None:
    """With high=0 a single byte that is queued pauses, and only an empty buffer resumes."""
    link = await clogged(connect)
    link.transport.set_write_buffer_limits(high=0)
    assert pauses(link) == ["pause_writing"]
    sizes: list[int] = []
    resume = link.protocol.resume_writing

    def noting() -> None:
        sizes.append(link.transport.get_write_buffer_size())
        resume()

    link.protocol.resume_writing = noting
    link.peer.release()
    await link.seen("resume_writing")
    assert sizes == [0], f"resume_writing() was called with {sizes[0]} bytes queued, and the low mark is 0"


@requires("FLOW-SET_WRITE_BUFFER_LIMITS-06")
@on_streams()
async def test_a_write_that_the_system_takes_whole_does_not_pause(connect: Connect) -> None:
    """Even with high=0 there is no pause where the system takes all of a write."""
    link = await connect([drain()])
    link.transport.set_write_buffer_limits(high=0)
    for _ in range(10):
        link.transport.write(b"x")
        assert link.transport.get_write_buffer_size() == 0, "the system takes a byte, and yet it was queued"
    assert pauses(link) == []
