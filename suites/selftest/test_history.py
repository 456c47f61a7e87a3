"""The history checkers: each rule is broken once, and stock asyncio breaks none."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from loopproof.authoring.history import (
    History,
    RecordingBufferedProtocol,
    RecordingDatagramProtocol,
    RecordingProtocol,
    RecordingSubprocessProtocol,
)


def told(*names: str) -> History:
    """Return a history of callbacks; arguments follow a colon."""
    history = History()
    for name in names:
        name, _, text = name.partition(":")
        arguments = tuple(int(part) if part.isdigit() else part for part in text.split(",")) if text else ()
        with history.callback(name, *arguments):
            pass
    return history


@pytest.mark.parametrize(
    ("names", "violation"),
    [
        (
            ["data_received:x", "connection_made", "connection_lost"],
            "data_received() was called before connection_made()",
        ),
        (["connection_made"], "connection_lost() was not called"),
        (["connection_made", "connection_lost", "connection_lost"], "connection_lost() was called 2 times"),
        (["connection_made", "connection_made", "connection_lost"], "connection_made() was called 2 times"),
        (
            ["connection_made", "connection_lost", "data_received:x"],
            "data_received() was called after connection_lost()",
        ),
        (["connection_made", "eof_received", "eof_received", "connection_lost"], "eof_received() was called 2 times"),
        (
            ["connection_made", "eof_received", "data_received:x", "connection_lost"],
            "data_received() was called after eof_received()",
        ),
        (
            ["connection_made", "resume_writing", "connection_lost"],
            "resume_writing() was called before pause_writing()",
        ),
        (
            ["connection_made", "pause_writing", "pause_writing", "connection_lost"],
            "pause_writing() was called twice in a row",
        ),
        (
            ["connection_made", "buffer_updated:5", "connection_lost"],
            "buffer_updated() was called without get_buffer()",
        ),
        (
            ["connection_made", "get_buffer:1,4", "buffer_updated:5", "connection_lost"],
            "buffer_updated() told of 5 bytes in a buffer of 4",
        ),
        (
            ["connection_made", "pipe_connection_lost:1", "pipe_connection_lost:1", "connection_lost"],
            "pipe_connection_lost() was called twice for descriptor 1",
        ),
        (
            ["connection_made", "pipe_connection_lost:1", "pipe_data_received:1", "connection_lost"],
            "pipe_data_received() was called for descriptor 1 after it was lost",
        ),
        (
            ["connection_made", "process_exited", "process_exited", "connection_lost"],
            "process_exited() was called 2 times",
        ),
    ],
)
def test_a_broken_rule_is_named(names: list[str], violation: str) -> None:
    history = told(*names)
    assert violation in history.violations()
    with pytest.raises(AssertionError, match="in order: "):
        history.check()


def test_empty_data_is_a_violation() -> None:
    history = told("connection_made")
    with history.callback("data_received", b""):
        pass
    assert "data_received() was called without data" in history.violations()


def test_a_callback_inside_another_is_a_violation() -> None:
    history = History(ends=False)
    with history.callback("connection_made"), history.callback("data_received", b"x"):
        pass
    assert history.violations() == ["data_received() was called from inside connection_made()"]


def test_callbacks_in_two_threads_are_a_violation() -> None:
    history = told("connection_made")
    thread = threading.Thread(target=lambda: history.callback("connection_lost", None).__enter__())
    thread.start()
    thread.join()
    assert "callbacks came in more than one thread" in history.violations()


@pytest.mark.parametrize("kind", [RecordingProtocol, RecordingBufferedProtocol])
def test_an_echo_on_stock_asyncio_breaks_no_rule(kind: Callable[[], RecordingProtocol]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        protocol = kind()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours)
        with theirs:
            theirs.sendall(b"some bytes")
            theirs.shutdown(socket.SHUT_WR)
            await protocol.closed.wait()
        assert protocol.history.received == b"some bytes"
        assert protocol.transport is transport
        protocol.history.check()

    asyncio.run(main())


def test_datagrams_on_stock_asyncio_break_no_rule() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            RecordingDatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        transport.sendto(b"datagram", transport.get_extra_info("sockname"))
        while "datagram_received" not in protocol.history.names:
            await asyncio.sleep(0)
        transport.close()
        await protocol.closed.wait()
        protocol.history.check()

    asyncio.run(main())


def test_a_child_process_on_stock_asyncio_breaks_no_rule() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(RecordingSubprocessProtocol, "echo", "words")
        await protocol.closed.wait()
        assert protocol.history.received == b"words\n"
        protocol.history.check()
        transport.close()

    asyncio.run(main())
