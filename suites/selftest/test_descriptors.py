"""The descriptor oracle: each misuse of a number that was given to somebody else is noticed, and nothing else is."""

import asyncio
import os
import select
import socket
from collections.abc import Callable

import pytest

from loopproof.authoring.descriptors import Squatters


def close(number: int) -> None:
    os.close(number)


def replace(number: int) -> None:
    other = os.open(os.devnull, os.O_RDONLY)
    os.dup2(other, number)
    os.close(other)


def read(number: int) -> None:
    os.read(number, 1)


def write(number: int) -> None:
    os.write(number, b"late")


def shut_down(number: int) -> None:
    with socket.socket(fileno=os.dup(number)) as end:
        end.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("misuse", "words"),
    [
        (close, "was closed or replaced"),
        (replace, "was closed or replaced"),
        (read, "was read from"),
        (write, "was written to (b'late')"),
        (shut_down, "was shut down"),
    ],
)
def test_misuse_of_a_number_is_noticed(misuse: Callable[[int], None], words: str) -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    with theirs, pytest.raises(AssertionError, match="belongs to somebody else") as caught, Squatters() as squatters:
        ours.close()
        squatters.occupy()
        misuse(number)
    assert f"descriptor {number}" in str(caught.value)
    assert words in str(caught.value)


def test_polling_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    with theirs, select.epoll() as poller, Squatters() as squatters:
        ours.close()
        squatters.occupy(number)
        poller.register(number, select.EPOLLIN)
        assert squatters.violations() == [f"descriptor {number}, which belongs to somebody else by now, is polled"]
        poller.unregister(number)


def test_a_number_that_is_still_open_is_named() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Squatters() as squatters, pytest.raises(AssertionError, match="is still open"):
        squatters.occupy(ours.fileno())


def test_stock_asyncio_leaves_the_numbers_of_closed_transports_alone() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        number = ours.fileno()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        with theirs, Squatters() as squatters:
            transport.write(b"bytes")
            transport.close()
            while ours.fileno() >= 0:  # the transport owns the socket, and closes it
                await asyncio.sleep(0)
            squatters.occupy(number)
            for _ in range(10):
                await asyncio.sleep(0)

    before = sorted(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert sorted(os.listdir("/proc/self/fd")) == before
