"""Pipes that the system fails to read: the connection ends, and who is told why."""

import errno
import os
from typing import Any

import pytest

from loopproof.authoring import needs, requires
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import reading_pipe
from loopproof.faultkit import Injector, fail

READING = ("read", "readv", "recvfrom", "recvmsg")


@requires("PIPE-CONNECT_READ_PIPE-22")
@needs("pipes", "injector")
@pytest.mark.parametrize("error", ["EIO", "ENOMEM"])
def test_an_error_in_reading(loop: Any, reports: list[dict[str, Any]], error: str) -> None:
    """connection_lost() gets the error; but for EIO, the end of a terminal, it is reported, once, before that."""

    async def scenario() -> None:
        async with reading_pipe(loop) as link:
            os.write(link.beyond, b"hello")
            lost = await link.lost()
            assert isinstance(lost, OSError), f"connection_lost() got {lost!r}"
            assert lost.errno == getattr(errno, error)
            assert link.names == ["connection_made", "connection_lost"]
            await polls(2)

    injector = Injector([fail(READING, error, count=1, kind="pipe")])
    injector.run(loop.run_until_complete, scenario())
    assert injector.chosen[0] == 1
    assert [getattr(report.get("exception"), "errno", None) for report in reports] == (
        [] if error == "EIO" else [errno.ENOMEM]
    ), f"reports: {reports}"
    reports.clear()
