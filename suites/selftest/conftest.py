"""What holds for all selftests of a process."""

import pytest

import refloop


@pytest.fixture(scope="session", autouse=True)
def pipe_of_libuv() -> None:
    """Make a loop, and with it the pipe for signals that libuv opens once for a process: some tests count those."""
    refloop.new_event_loop().close()
