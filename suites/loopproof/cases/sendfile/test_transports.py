"""loop.sendfile(): transports it takes and refuses, the order of data around a file, and what the protocol notices."""

import asyncio
from typing import Any

import pytest

from loopproof.authoring import Connect, needs, on_streams, raises, requires
from loopproof.authoring.files import FILES, SEED, TRANSPORTS, Readable, file_of, on_ways, on_ways_and_files, sending
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import WIDTH, ended, pauses, polls, until
from loopproof.authoring.pipes import writing_pipe
from loopproof.authoring.sockets import cancelled
from loopproof.faultkit import drain, expect, expect_eof, expect_pattern, hold, pattern, send, shutdown

SIZE = 50_000
LARGE = 4 * WIDTH
PLAIN = ("tcp transport", "unix transport")


@requires("SENDF-SENDFILE-01", "SENDF-SENDFILE-03", "SENDF-SENDFILE-17")
@on_streams()
@pytest.mark.parametrize("fallback", [False, True])
async def test_on_each_kind_of_transport(connect: Connect, fallback: bool) -> None:
    """A file goes over each kind of stream transport, without the fallback as well, and the transport goes on."""
    link = await connect([expect(b"before"), expect_pattern(SEED, SIZE - 5, offset=5), expect(b"behind"), expect_eof()])
    link.transport.write(b"before")
    with file_of(SIZE) as file:
        assert await connect.loop.sendfile(link.transport, file, 5, fallback=fallback) == SIZE - 5
        assert file.tell() == SIZE
    link.transport.write(b"behind")
    link.transport.close()
    await link.verified()


@requires("SENDF-SENDFILE-02")
@on_streams("tcp-client", "unix-server")
@pytest.mark.parametrize("count", [1, SIZE, None])
async def test_count(connect: Connect, count: int | None) -> None:
    """No more than count bytes are sent."""
    link = await connect([expect_pattern(SEED, count or SIZE), expect_eof()])
    with file_of(SIZE) as file:
        assert await connect.loop.sendfile(link.transport, file, count=count) == (count or SIZE)
    link.transport.close()
    await link.verified()


@requires("SENDF-SENDFILE-04")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("kind", ["memory", "readable"])
async def test_the_fallback(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """What the kernel cannot send is read and written, without being asked for it."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE), expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            assert await send(file) == SIZE
            await send.over()


@requires("SENDF-SENDFILE-24")
@on_ways(*PLAIN)
async def test_what_the_fallback_has_read_stays_as_it_is(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """What the fallback has read, and the peer does not take at once, arrives as it was read."""
    script = [hold(), expect_pattern(SEED, LARGE), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        with file_of(LARGE, "memory") as file:
            task = await send.stalled(file)
            await send.queued(50_000)
            send.peer.release()
            await until(lambda: task.done() or send.peer.ended, "the end of the call")
            await send.over()
            assert task.result() == LARGE


@requires("SENDF-SENDFILE-05", "SENDF-SENDFILE-16")
@on_ways("tls transport")
@pytest.mark.parametrize("kind", sorted(FILES))
async def test_tls_without_fallback(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """A TLS transport is refused with RuntimeError if fallback is False, and goes on."""
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            with raises(RuntimeError):
                await send(file, fallback=False)
            assert file.tell() == 0
        await send.write(b"behind")
        await send.over()


@requires("SENDF-SENDFILE-13")
@on_ways(*TRANSPORTS)
async def test_the_fallback_begins_at_the_beginning(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """With an offset of 0 the fallback sends a file from its beginning, wherever it is."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE), expect_eof()]) as send:
        file = Readable(pattern(SEED, SIZE))
        file.seek(1000)
        assert await send(file) == SIZE
        await send.over()


@requires("SENDF-SENDFILE-06")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("how", ["close", "abort", "lost"])
async def test_a_transport_that_is_closing(loop: asyncio.AbstractEventLoop, way: str, how: str, fallback: bool) -> None:
    """A transport that is closing or closed is refused with RuntimeError, and no part of the file is sent."""
    script = [hold(), expect_pattern(1, LARGE), expect_eof()] if how == "close" else [drain()]
    async with sending(loop, way, script, narrow=True) as send:
        assert send.link is not None
        if how == "close":
            await send.write(pattern(1, LARGE))
        getattr(send.link.transport, "close" if how == "close" else "abort")()
        if how == "lost":
            await send.link.lost()
        with file_of(SIZE) as file:
            with raises(RuntimeError):
                await send(file, fallback=fallback)
            assert file.tell() == 0
        if how == "close":
            send.peer.release()
            await send.link.lost()
            await send.over()


@requires("SENDF-SENDFILE-07")
@needs("pipes")
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_pipe_transport(loop: asyncio.AbstractEventLoop, fallback: bool) -> None:
    """A pipe transport is refused with RuntimeError, and goes on; or the fallback sends the file over it."""
    async with writing_pipe(loop) as link:
        with file_of(1000) as file:
            (outcome,) = await asyncio.gather(
                loop.sendfile(link.transport, file, fallback=fallback), return_exceptions=True
            )
        link.transport.write(b"behind")
        if fallback and outcome == 1000:
            assert await link.written(1006) == pattern(SEED, 1000) + b"behind"
        else:
            assert isinstance(outcome, RuntimeError), f"it ended with {outcome!r}"
            assert await link.written(6) == b"behind"


@requires("SENDF-SENDFILE-07")
@needs("udp")
@pytest.mark.parametrize("fallback", [False, True])
async def test_a_datagram_transport(loop: Any, fallback: bool) -> None:
    """A datagram transport is refused with RuntimeError."""
    transport, protocol = await loop.create_datagram_endpoint(RecordingDatagramProtocol, ("127.0.0.1", 0))
    with file_of(SIZE) as file, raises(RuntimeError):
        await loop.sendfile(transport, file, fallback=fallback)
    await ended(transport, protocol)


NO_TRANSPORTS: list[Any] = [None, "transport", 0]


@requires("SENDF-SENDFILE-07", "SENDF-COMMON-18")
@pytest.mark.parametrize("given", NO_TRANSPORTS)
async def test_what_is_no_transport_of_the_loop(loop: Any, given: Any) -> None:
    """What is no transport is refused with an exception."""
    with file_of(SIZE) as file, raises(RuntimeError, TypeError, AttributeError, NotImplementedError):
        await loop.sendfile(given, file)


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"count": 1.5}, TypeError),
    ({"count": "1"}, TypeError),
    ({"count": []}, TypeError),
    ({"count": 0}, ValueError),
    ({"count": -1}, ValueError),
    ({"offset": None}, TypeError),
    ({"offset": 1.5}, TypeError),
    ({"offset": "0"}, TypeError),
    ({"offset": -1}, ValueError),
]


@requires("SENDF-SENDFILE-15", "SENDF-SENDFILE-16")
@on_ways(*PLAIN)
@pytest.mark.parametrize(("given", "kind"), WRONG, ids=[str(given) for given, _ in WRONG])
@pytest.mark.parametrize("fallback", [False, True])
async def test_wrong_counts_and_offsets(
    loop: asyncio.AbstractEventLoop, way: str, given: dict[str, Any], kind: type[Exception], fallback: bool
) -> None:
    """A count or an offset of a wrong type raises TypeError, of a wrong value ValueError; the transport goes on."""
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        assert send.link is not None
        with file_of(SIZE) as file:
            with raises(kind):
                await send(file, fallback=fallback, **given)
            assert file.tell() == 0
        assert send.link.transport.is_reading()
        await send.write(b"behind")
        await send.over()


@requires("SENDF-SENDFILE-18")
@on_ways(*PLAIN)
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("queued", [False, True])
async def test_after_write_eof(loop: asyncio.AbstractEventLoop, way: str, queued: bool, fallback: bool) -> None:
    """After write_eof() a file is refused with RuntimeError or OSError, also while data are still queued."""
    script = [hold(), expect_pattern(1, LARGE if queued else 10), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        assert send.link is not None
        await send.write(pattern(1, LARGE if queued else 10))
        send.link.transport.write_eof()
        send.peer.release()
        with file_of(SIZE) as file, raises(RuntimeError, OSError):
            await asyncio.wait_for(send(file, fallback=fallback), 5)
        await send.over()


@requires("SENDF-SENDFILE-08", "SENDF-SENDFILE-17")
@on_ways_and_files(*TRANSPORTS)
async def test_queued_data_go_first(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """What is still queued when the call begins goes out before the file; it waits until then."""
    script = [hold(), expect_pattern(1, LARGE), expect_pattern(SEED, SIZE), expect(b"behind"), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        await send.write(pattern(1, LARGE))
        with file_of(SIZE, kind) as file:
            task = asyncio.ensure_future(send(file))
            await polls(5)
            send.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == SIZE
        await send.write(b"behind")
        await send.over()


@requires("SENDF-SENDFILE-09")
@on_ways(*PLAIN)
@pytest.mark.parametrize("how", ["write", "writelines"])
@pytest.mark.parametrize("queued", [False, True])
async def test_writes_meanwhile(loop: asyncio.AbstractEventLoop, way: str, how: str, queued: bool) -> None:
    """write() and writelines() while the kernel sends a file raise RuntimeError, and nothing comes in between."""
    first = [expect_pattern(1, LARGE)] if queued else []
    script = [hold(), *first, expect_pattern(SEED, LARGE), expect(b"behind"), expect_eof()]
    async with sending(loop, way, script, narrow=True) as send:
        assert send.link is not None
        if queued:
            await send.write(pattern(1, LARGE))
        with file_of(LARGE) as file:
            task = await send.stalled(file)
            for _ in range(3):
                with raises(RuntimeError):
                    getattr(send.link.transport, how)(b"between" if how == "write" else [b"bet", b"ween"])
            send.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == LARGE
        getattr(send.link.transport, how)(b"behind" if how == "write" else [b"be", b"hind"])
        await send.over()


@requires("SENDF-SENDFILE-20")
@on_ways(*PLAIN)
async def test_two_calls_at_once(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A second call on the transport is refused, or sends its file after the first one, which arrives whole."""
    async with sending(loop, way, [hold(), expect_pattern(SEED, LARGE), drain()], narrow=True) as send:
        with file_of(LARGE) as file, file_of(SIZE) as other:
            task = await send.stalled(file)
            second = asyncio.ensure_future(send(other))
            await polls(5)
            send.peer.release()
            await until(task.done, "the end of the first call")
            await until(second.done, "the end of the second call")
            assert task.result() == LARGE
            expected = SIZE if second.exception() is None else 0
            assert await send.over() == expected


@requires("SENDF-SENDFILE-10", "SENDF-SENDFILE-23", "SENDF-SENDFILE-11")
@on_ways_and_files(*TRANSPORTS)
async def test_data_that_come_meanwhile(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Reading is paused while a file is sent: what comes meanwhile is delivered after it, whole and in order."""
    script = [send(b"one"), hold(), send(b"two"), hold(), expect_pattern(SEED, LARGE), send(b"three"), drain()]
    async with sending(loop, way, script, narrow=True) as sender:
        link = sender.link
        assert link is not None
        await link.received(3)
        with file_of(LARGE, kind) as file:
            task = await sender.stalled(file)
            assert not link.transport.is_reading(), "reading is not paused while a file is sent"
            sender.peer.release()
            await sender.reached(3)
            await polls(5)
            assert link.protocol.history.received == b"one", "data were delivered while a file was sent"
            sender.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == LARGE
        assert link.transport.get_protocol() is link.protocol
        assert link.transport.is_reading(), "reading was not resumed"
        assert await link.received(11) == b"onetwothree"


@requires("SENDF-SENDFILE-10")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("kind", ["raw", "memory"])
async def test_reading_that_was_paused_before(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Reading that was paused before the call stays paused after it."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE), send(b"answer"), drain()]) as sender:
        link = sender.link
        assert link is not None
        link.transport.pause_reading()
        with file_of(SIZE, kind) as file:
            assert await sender(file) == SIZE
        await sender.reached(2)
        await polls(5)
        assert not link.transport.is_reading()
        assert link.protocol.history.received == b"", "data were delivered though reading was paused before"
        link.transport.resume_reading()
        assert await link.received(6) == b"answer"


@requires("SENDF-SENDFILE-23")
@on_ways_and_files(*PLAIN)
async def test_the_end_that_comes_meanwhile(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """A peer that has ended its side, and reads on, gets the whole file; the protocol hears of the end after it."""
    script = [hold(), send(b"last", more=True), shutdown(), hold(), expect_pattern(SEED, LARGE), expect_eof()]
    async with sending(loop, way, script, narrow=True) as sender:
        link = sender.link
        assert link is not None
        with file_of(LARGE, kind) as file:
            task = await sender.stalled(file)
            sender.peer.release()
            await sender.reached(3)
            await polls(5)
            sender.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == LARGE
        await link.seen("eof_received")
        assert link.protocol.history.received == b"last"
        await sender.over()


@requires("SENDF-SENDFILE-11")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("kind", ["raw", "memory"])
@pytest.mark.parametrize("fails", [False, True])
async def test_the_protocol_after_it(loop: asyncio.AbstractEventLoop, way: str, kind: str, fails: bool) -> None:
    """After the call, also one that was refused, the transport has its protocol, which gets what comes then."""
    async with sending(loop, way, [hold(), send(b"answer"), drain()]) as sender:
        link = sender.link
        assert link is not None
        with file_of(SIZE, kind) as file:
            if fails:
                with raises(TypeError, ValueError):
                    await sender(file, offset="nowhere")
            else:
                await sender(file)
        assert link.transport.get_protocol() is link.protocol
        sender.peer.release()
        assert await link.received(6) == b"answer"


@requires("SENDF-SENDFILE-19")
@on_ways(*PLAIN)
async def test_pauses(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A protocol that is paused when the call begins is resumed once, and pauses take turns from then on."""
    async with sending(loop, way, [hold(), drain()], narrow=True, paired=True) as send:
        assert send.link is not None
        send.link.transport.set_write_buffer_limits(high=1000)
        await send.write(bytes(LARGE))
        await send.paused()
        with file_of(LARGE) as file:
            task = await send.stalled(file)
            send.peer.release()
            await until(task.done, "the end of the call")
            assert task.result() == LARGE
        await send.write(bytes(LARGE))
        await send.over()
        await send.link.lost()


@requires("SENDF-SENDFILE-19")
@on_ways("tls transport")
async def test_a_cancelled_fallback_does_not_resume(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A protocol that was paused before the fallback, and still is when that is cancelled, is resumed once."""
    async with sending(loop, way, [hold(), drain()], narrow=True, paired=True) as send:
        assert send.link is not None
        send.link.transport.set_write_buffer_limits(high=1000)
        for _ in range(2):
            await send.write(bytes(LARGE))
        await send.paused()
        with file_of(LARGE) as file:
            await cancelled(await send.stalled(file))
        assert pauses(send.link) == ["pause_writing"], "resume_writing() was called though nothing went out"
        send.peer.release()
        await send.over()
        await send.link.lost()


@requires("SENDF-SENDFILE-19")
@on_ways("tls transport")
async def test_pauses_of_the_fallback_are_its_own(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A protocol that was not paused is not resumed when what a cancelled fallback has written goes out."""
    async with sending(loop, way, [hold(), drain()], narrow=True, paired=True) as send:
        assert send.link is not None
        with file_of(LARGE) as file:
            await cancelled(await send.stalled(file))
        send.peer.release()
        await send.over()
        await send.link.lost()
