"""KeyboardInterrupt and SystemExit in the callbacks of a protocol: they leave the run, and the connection goes on."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import Connect, Link, on_streams, raises, requires
from loopproof.authoring.execution import run_until_interrupted
from loopproof.authoring.history import RecordingBufferedProtocol, RecordingProtocol
from loopproof.authoring.links import WIDTH, polls, settled
from loopproof.faultkit import drain, expect_pattern, hold, pattern, send, shutdown

Loop = asyncio.AbstractEventLoop

INTERRUPTS = [KeyboardInterrupt, SystemExit]
FIRST = 300_000
"""Bytes that make the kernel take more, but not all, of what is queued on a narrow link."""


def once(error: BaseException) -> Callable[[Any], None]:
    """What raises the error the first time it is called."""
    left = [error]

    def interrupt(_: Any) -> None:
        if left:
            raise left.pop()

    return interrupt


def linked(loop: Loop, connect: Connect, script: list[Any], **options: Any) -> Link:
    """Make a link while the loop does not run."""
    return loop.run_until_complete(connect(script, **options))


@requires("PROTO-ORDER-07")
@on_streams()
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_connection_made(loop: Loop, connect: Connect, kind: type[BaseException]) -> None:
    """An interrupt in connection_made() leaves the run; the connection is made and carries data."""
    error = kind("from the case")
    making = asyncio.ensure_future(
        connect(
            [send(b"hello"), hold()],
            protocol=lambda: RecordingProtocol(on={"connection_made": once(error)}),
        ),
        loop=loop,
    )
    assert run_until_interrupted(loop, type(error)) is error
    link = loop.run_until_complete(making)
    assert loop.run_until_complete(link.received(5)) == b"hello"


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("callback", ["get_buffer", "buffer_updated"])
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_callbacks_of_buffers(loop: Loop, connect: Connect, callback: str, kind: type[BaseException]) -> None:
    """An interrupt in get_buffer() or buffer_updated() leaves the run; no data are lost, and more can come."""
    error = kind("from the case")
    link = linked(
        loop,
        connect,
        [hold(), send(b"hello"), hold(), send(b"next"), hold()],
        protocol=lambda: RecordingBufferedProtocol(on={callback: once(error)}),
    )
    link.peer.release()
    assert run_until_interrupted(loop, type(error)) is error
    assert loop.run_until_complete(link.received(5)) == b"hello"
    link.peer.release()
    assert loop.run_until_complete(link.received(9)) == b"hellonext"


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("protocol", [RecordingProtocol, RecordingBufferedProtocol])
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_eof_received(loop: Loop, connect: Connect, protocol: Any, kind: type[BaseException]) -> None:
    """An interrupt in eof_received() leaves the run."""
    error = kind("from the case")
    link = linked(
        loop, connect, [hold(), shutdown(), hold()], protocol=lambda: protocol(on={"eof_received": once(error)})
    )
    link.peer.release()
    assert run_until_interrupted(loop, type(error)) is error
    link.transport.abort()
    assert loop.run_until_complete(link.lost()) is None


def resuming(loop: Loop, connect: Connect, error: BaseException) -> Link:
    """Make a link that holds data, and whose protocol raises an error when it may write again."""
    link = linked(
        loop,
        connect,
        [hold(), expect_pattern(5, FIRST), hold(), expect_pattern(5, WIDTH - FIRST, offset=FIRST), hold()],
        protocol=lambda: RecordingProtocol(on={"resume_writing": once(error)}),
        narrow=True,
    )
    link.transport.set_write_buffer_limits(high=2 * WIDTH)
    link.transport.write(pattern(5, WIDTH))
    loop.run_until_complete(settled(link))
    return link


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_resume_writing(loop: Loop, connect: Connect, kind: type[BaseException]) -> None:
    """An interrupt in resume_writing(), with data queued, leaves the run; all that was written arrives."""
    error = kind("from the case")
    link = resuming(loop, connect, error)
    mark = link.transport.get_write_buffer_size() - 1
    link.transport.set_write_buffer_limits(high=mark, low=mark)
    link.peer.release()
    assert run_until_interrupted(loop, type(error)) is error
    link.peer.release()
    loop.run_until_complete(link.reached(4))


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_resume_writing_with_nothing_left(loop: Loop, connect: Connect, kind: type[BaseException]) -> None:
    """An interrupt in resume_writing(), when the last byte is sent, leaves the run; nothing is wrong after it."""
    error = kind("from the case")
    link = resuming(loop, connect, error)
    link.transport.set_write_buffer_limits(high=0)
    link.peer.release(2)
    assert run_until_interrupted(loop, type(error)) is error
    loop.run_until_complete(link.reached(4))
    loop.run_until_complete(polls(3))


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_pause_writing(loop: Loop, connect: Connect, kind: type[BaseException]) -> None:
    """An interrupt in pause_writing() comes out of the write() that caused it, and what was written arrives."""
    error = kind("from the case")
    link = linked(
        loop,
        connect,
        [hold(), expect_pattern(5, WIDTH), hold()],
        protocol=lambda: RecordingProtocol(on={"pause_writing": once(error)}),
        narrow=True,
    )
    with raises(kind) as caught:
        link.transport.write(pattern(5, WIDTH))
    assert caught.value is error
    link.peer.release()
    loop.run_until_complete(link.reached(2))


@requires("PROTO-ORDER-07")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("kind", INTERRUPTS)
def test_in_connection_lost(loop: Loop, connect: Connect, kind: type[BaseException]) -> None:
    """An interrupt in connection_lost() leaves the run, and the connection is over for the peer."""
    error = kind("from the case")
    link = linked(loop, connect, [drain()], protocol=lambda: RecordingProtocol(on={"connection_lost": once(error)}))
    link.transport.close()
    assert run_until_interrupted(loop, type(error)) is error
    loop.run_until_complete(link.verified())
