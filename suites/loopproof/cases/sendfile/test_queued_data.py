"""loop.sendfile() of a transport that has data queued, and has paused its protocol."""

import asyncio

from loopproof.authoring import requires
from loopproof.authoring.files import SEED, TRANSPORTS, file_of, on_ways, sending
from loopproof.authoring.links import WIDTH, pauses, polls, until
from loopproof.faultkit import expect_eof, expect_pattern, hold, pattern

SIZE = 50_000
LARGE = 4 * WIDTH


@requires("SENDF-SENDFILE-08", "SENDF-SENDFILE-19")
@on_ways(*TRANSPORTS)
async def test_a_protocol_that_is_paused(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A file waits for its turn behind data for which the protocol was paused; that is resumed once, when they go."""
    script = [hold(), expect_pattern(1, LARGE), expect_pattern(1, LARGE), expect_pattern(SEED, SIZE), expect_eof()]
    async with sending(loop, way, script, narrow=True, paired=True) as send:
        assert send.link is not None
        send.link.transport.set_write_buffer_limits(high=WIDTH)
        for _ in range(2):
            await send.write(pattern(1, LARGE))
        await send.paused()
        with file_of(SIZE) as file:
            task = asyncio.ensure_future(send(file))
            await polls(5)
            assert not task.done(), f"the call did not wait: {task!r}"
            send.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == SIZE
        await send.over()
        assert pauses(send.link) == ["pause_writing", "resume_writing"]
