"""Protocols of several connections that act on each other's transports in their callbacks."""

from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import WIDTH, polls
from loopproof.faultkit import drain, hold

Report = dict[str, Any]


@requires("PROTO-ORDER-08")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("size", [1, WIDTH])
async def test_writes_to_others_in_resume_writing(connect: Connect, reports: list[Report], size: int) -> None:
    """A protocol that writes to other transports when it is resumed gets all of that sent, and its own data, too."""
    others: list[Any] = []

    def pass_on(_: Any) -> None:
        while others:
            others.pop().transport.write(b"passed on")

    first = await connect(
        [hold(), drain()], narrow=True, protocol=lambda: RecordingProtocol(on={"resume_writing": pass_on})
    )
    links = [await connect([drain()]) for _ in range(3)]
    others += links
    first.transport.set_write_buffer_limits(high=0)
    first.transport.write(bytes(size))
    first.peer.release()
    if size == WIDTH:  # more than the kernel takes: there is a pause for certain
        await first.seen("resume_writing")
    await polls(3)
    passed = 0 if others else len(b"passed on")
    for link in (first, *links):
        link.transport.close()
        assert await link.lost() is None
        await link.verified()
    assert [link.peer.log[-1].bytes for link in (first, *links)] == [size, passed, passed, passed]
    assert not reports
