"""Who closes a pipe: the transport, once, whatever ends it; and never the number that is somebody else's by then."""

import asyncio
import gc
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.descriptors import Squatters, watchable
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.pipes import Counted, drained, identity, opened

Loop = asyncio.AbstractEventLoop
SIDES = ("connect_read_pipe", "connect_write_pipe")
WIDE = 1_000_000
"""More bytes than the kernel takes while nobody reads."""


async def left_alone(squatters: Squatters, transport: Any, protocol: Any, pipe: Counted) -> None:
    """Wait for the end of a connection; let somebody else have the number, and see that nobody touches it."""
    await until(protocol.closed.is_set, "connection_lost()")
    number = pipe.fileno()
    await until(lambda: pipe.closings or identity(number) is None, "the end of the descriptor")
    assert pipe.closings, "the descriptor was closed behind the back of the pipe object"
    squatters.occupy(number)
    transport.close()
    await polls(3)
    protocol.history.check()
    protocol.history.events.clear()
    protocol.transport = None
    del transport
    gc.collect()
    await polls(2)
    assert pipe.closings == 1, f"the pipe object was closed {pipe.closings} times"
    squatters.check()
    await watchable(number)


@requires("PIPE-CONNECT_READ_PIPE-13")
@pytest.mark.parametrize("kind", ["pipe", "fifo", "terminal", "socket"])
@pytest.mark.parametrize("how", ["close", "paused", "end"])
async def test_a_transport_that_reads(loop: Loop, kind: str, how: str) -> None:
    """Whether closed by the program, also in a pause, or by the other end, it closes the pipe once, and is done."""
    with opened(kind) as (reading, writing), Squatters() as squatters:
        pipe, protocol = Counted(reading), RecordingProtocol()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, pipe)
        if how == "end":
            os.close(writing)
        else:
            os.write(writing, b"unread")
            if how == "paused":
                transport.pause_reading()
            transport.close()
        await left_alone(squatters, transport, protocol, pipe)


def abort_with_data(transport: Any, _: int) -> None:
    """Throw away what the kernel does not take."""
    transport.write(bytes(WIDE))
    transport.abort()


def lose_the_reader(_: Any, reading: int) -> None:
    """Let the reader go."""
    os.close(reading)


def lose_the_reader_of_data(transport: Any, reading: int) -> None:
    """Let the reader go while data are queued."""
    transport.write(bytes(WIDE))
    os.close(reading)


def write_to_nobody(transport: Any, reading: int) -> None:
    """Let the reader go and write before the loop can notice."""
    os.close(reading)
    transport.write(b"hello")


ENDS: dict[str, Callable[[Any, int], object]] = {
    "close": lambda transport, _: transport.close(),
    "write_eof": lambda transport, _: transport.write_eof(),
    "abort": lambda transport, _: transport.abort(),
    "abort with data": abort_with_data,
    "the reader is gone": lose_the_reader,
    "the reader of data is gone": lose_the_reader_of_data,
    "a write to nobody": write_to_nobody,
}


@requires("PIPE-CONNECT_WRITE_PIPE-15")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("how", sorted(ENDS))
async def test_a_transport_that_writes(loop: Loop, kind: str, how: str) -> None:
    """Whether ended by the program or by the loss of the reader, it closes the pipe once, and is done with it."""
    with opened(kind) as (reading, writing), Squatters() as squatters:
        pipe, protocol = Counted(writing), RecordingProtocol()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
        ENDS[how](transport, reading)
        await left_alone(squatters, transport, protocol, pipe)


@requires("PIPE-CONNECT_WRITE_PIPE-15")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("how", ["close", "write_eof"])
async def test_a_transport_that_has_more_to_write(loop: Loop, kind: str, how: str) -> None:
    """Ended while data are queued, it closes the pipe once they are written, and is done with it."""
    with opened(kind) as (reading, writing), Squatters() as squatters:
        pipe, protocol = Counted(writing), RecordingProtocol()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
        transport.write(bytes(WIDE))
        getattr(transport, how)()
        taken = 0

        def is_lost() -> bool:
            nonlocal taken
            taken += len(drained(reading))
            return protocol.closed.is_set()

        await until(is_lost, "connection_lost()")
        await left_alone(squatters, transport, protocol, pipe)
        assert taken + len(drained(reading)) == WIDE


@requires("PIPE-CONNECT_READ_PIPE-13", "PIPE-CONNECT_WRITE_PIPE-15")
@pytest.mark.parametrize("method", SIDES)
async def test_connection_lost_raises(loop: Loop, reports: list[dict[str, Any]], method: str) -> None:
    """The pipe is closed though connection_lost() raises."""

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    with opened() as (reading, writing), Squatters() as squatters:
        pipe = Counted(reading if method == "connect_read_pipe" else writing)
        protocol = RecordingProtocol(on={"connection_lost": fail})
        transport, _ = await getattr(loop, method)(lambda: protocol, pipe)
        transport.close()
        await left_alone(squatters, transport, protocol, pipe)
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
        reports.clear()


@requires("PIPE-CONNECT_READ_PIPE-13", "PIPE-CONNECT_WRITE_PIPE-15")
@pytest.mark.parametrize("method", SIDES)
async def test_a_factory_that_raises(loop: Loop, method: str) -> None:
    """A pipe of which no transport was made is the caller's: once he has closed it, its number is left alone."""

    def factory() -> Any:
        raise ZeroDivisionError

    with opened() as (reading, writing), Squatters() as squatters:
        pipe = Counted(reading if method == "connect_read_pipe" else writing)
        with raises(ZeroDivisionError):
            await getattr(loop, method)(factory, pipe)
        gc.collect()
        assert pipe.closings == 0, "the pipe was closed though no transport was made"
        pipe.close()
        squatters.occupy(pipe.fileno())
        await polls(3)


@requires("PIPE-CONNECT_READ_PIPE-13", "PIPE-CONNECT_WRITE_PIPE-15")
@pytest.mark.parametrize("method", SIDES)
async def test_a_cancel_at_every_turn(loop: Loop, method: str) -> None:
    """Whenever connecting is cancelled, the pipe is closed once if it is, and its number is left alone then."""

    async def scenario(cancel: Cancel) -> None:
        with opened() as (reading, writing), Squatters() as squatters:
            pipe, protocol = Counted(reading if method == "connect_read_pipe" else writing), RecordingProtocol()
            task = await cancel(getattr(loop, method)(lambda: protocol, pipe))
            if not task.cancelled():
                task.result()[0].close()
            del task
            await polls(3)
            if protocol.history.names:
                await until(protocol.closed.is_set, "connection_lost()")
            await polls(2)
            if pipe.closings == 0:
                assert identity(pipe.fileno()), "the descriptor was closed behind the back of the pipe object"
                assert not protocol.history.names, "the pipe of a connection that is over was not closed"
                pipe.close()
            squatters.occupy(pipe.fileno())
            protocol.history.events.clear()
            protocol.transport = None
            gc.collect()
            await polls(2)
            assert pipe.closings == 1, f"the pipe object was closed {pipe.closings} times"

    await at_every_turn(scenario)


@requires("PIPE-CONNECT_WRITE_PIPE-15", "PIPE-CONNECT_WRITE_PIPE-17")
@pytest.mark.parametrize("how", ["close", "write_eof", "abort"])
async def test_an_end_in_connection_made(loop: Loop, how: str) -> None:
    """Where the transport is ended in connection_made(), who gets the number after it can watch it as any other."""
    seen: list[bytes] = []
    with opened() as (_, writing):
        protocol = RecordingProtocol(on={"connection_made": lambda p: getattr(p.transport, how)()})
        await loop.connect_write_pipe(lambda: protocol, Counted(writing))
        await until(protocol.closed.is_set, "connection_lost()")
        await until(lambda: identity(writing) is None, "the end of the descriptor")
        protocol.history.check()
        with opened() as (theirs, to_theirs):
            os.dup2(theirs, writing)
            try:
                loop.add_reader(writing, lambda: seen.append(os.read(writing, 100)))
                os.write(to_theirs, b"hello")
                await until(lambda: seen == [b"hello"], "the callback of the next user of the number", share=0.1)
                loop.remove_reader(writing)
            finally:
                os.close(writing)


@requires("PIPE-CONNECT_READ_PIPE-16")
async def test_a_transport_that_nobody_keeps(loop: Loop) -> None:
    """A transport that reads lives on though the program keeps neither it nor its protocol."""
    received: list[bytes] = []
    lost: list[Any] = []

    class Protocol(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.append(data)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.append(exc)

    with opened() as (reading, writing):
        pipe = Counted(reading)
        await loop.connect_read_pipe(Protocol, pipe)
        gc.collect()
        os.write(writing, b"hello")
        await until(lambda: received == [b"hello"], "data for a transport that nobody keeps")
        os.close(writing)
        await until(lambda: lost == [None], "connection_lost()")
        await until(lambda: pipe.closings == 1, "the end of the pipe")


@requires("PIPE-CONNECT_READ_PIPE-16")
async def test_a_paused_transport_that_nobody_keeps(loop: Loop) -> None:
    """A transport that is collected while it is paused warns with a ResourceWarning, and closes the pipe."""

    with opened() as (reading, _):
        pipe = Counted(reading)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            transport, protocol = await loop.connect_read_pipe(asyncio.Protocol, pipe)
            transport.pause_reading()
            await polls(2)
            del transport, protocol
            gc.collect()
            await until(lambda: identity(reading) is None, "the end of the descriptor")
        assert any(issubclass(entry.category, ResourceWarning) for entry in caught), "no ResourceWarning was issued"
        assert pipe.closings == 1, f"the pipe object was closed {pipe.closings} times"
