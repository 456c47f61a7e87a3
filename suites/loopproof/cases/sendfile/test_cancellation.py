"""Files whose sending is cancelled: what had been sent, where the file is then, and what becomes of the connection."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.descriptors import Squatters, successor
from loopproof.authoring.files import NATIVE, SEED, TRANSPORTS, Sender, file_of, on_ways, on_ways_and_files, sending
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.sockets import Kind, cancelled, ended, plugged, waiting
from loopproof.faultkit import drain, expect, expect_eof, expect_pattern, hold, pattern, send

SIZE = 4 * WIDTH
KINDS: list[Kind] = ["tcp", "unix"]
TAIL = b"t" * 1000


@requires("SENDF-COMMON-07", "SENDF-COMMON-08")
@on_ways_and_files()
async def test_a_cancel_at_every_turn(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Whenever it is cancelled, the call ends; what was sent is a beginning of the file, all if the call returned."""

    async def scenario(cancel: Cancel) -> None:
        async with sending(loop, way, [expect_pattern(SEED, WIDTH), expect_eof()], narrow=True) as send:
            with file_of(WIDTH, kind) as file:
                task = await cancel(send(file))
                send.end()
                await until(lambda: send.peer.ended, "the end of the peer's script")
                if task.cancelled():
                    assert "is wrong" not in send.peer.log[-1].detail, send.peer.log[-1].detail
                else:
                    assert task.result() == WIDTH
                    send.peer.verify()
                assert not file.closed

    await at_every_turn(scenario)


@requires("SENDF-SENDFILE-14", "SENDF-COMMON-07")
@on_ways_and_files(*TRANSPORTS)
async def test_a_transport_after_a_cancel(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """After a cancel the transport is closing, or what is written next is right behind what had been sent."""
    await check_what_comes_next(loop, way, kind)


@requires("SENDF-SOCK_SENDFILE-12", "SENDF-COMMON-07")
@on_ways("tcp socket", "unix socket")
@pytest.mark.parametrize("kind", ["raw", "memory"])
async def test_a_socket_after_a_cancel(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """After a cancel what is sent next is right behind what had been sent."""
    await check_what_comes_next(loop, way, kind)


async def check_what_comes_next(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Cancel in the middle of a file, and send something else."""
    async with sending(loop, way, [hold(), expect_pattern(SEED, SIZE), expect_eof()], narrow=True) as send:
        with file_of(SIZE, kind) as file:
            await cancelled(await send.stalled(file))
            send.peer.release()
            await polls(5)
            closing = send.link is not None and send.link.transport.is_closing()
            if not closing:
                await ended(asyncio.ensure_future(send.write(TAIL)))
                send.end()
            await until(lambda: send.peer.ended, "the end of the peer's script")
            entry = send.step(2)
            assert 0 < entry.bytes < SIZE, f"{entry.bytes} bytes of the file were sent"
            assert closing or "seen 74" in entry.detail, entry.detail


@requires("SENDF-COMMON-06")
@on_ways(*NATIVE)
@pytest.mark.parametrize("offset", [0, 1000])
async def test_the_position_after_a_cancel(loop: asyncio.AbstractEventLoop, way: str, offset: int) -> None:
    """After a cancel the file is at offset plus the number of bytes that the peer gets."""
    await check_the_position(loop, way, "raw", offset)


@requires("SENDF-COMMON-06")
@needs("executor")
@on_ways(*TRANSPORTS)
@pytest.mark.parametrize("offset", [0, 1000])
async def test_the_position_after_a_cancelled_fallback(loop: asyncio.AbstractEventLoop, way: str, offset: int) -> None:
    """After a cancel a file object without a descriptor is at offset plus the number of bytes that the peer gets."""
    loop.set_default_executor(ThreadPoolExecutor(1))
    await check_the_position(loop, way, "memory", offset)


async def check_the_position(loop: asyncio.AbstractEventLoop, way: str, kind: str, offset: int) -> None:
    """Cancel in the middle of a file, and compare its position with what the peer gets."""
    async with sending(loop, way, [hold(), drain()], narrow=True) as send:
        with file_of(SIZE, kind) as file:
            task = await send.stalled(file, offset)
            if kind == "memory":
                await send.queued(50_000)
                for _ in range(2):  # behind what the fallback reads
                    await loop.run_in_executor(None, int)
                    await polls(1)
            await cancelled(task)
            position = file.tell()
            send.peer.release()
            sent = await send.over()
            assert position == offset + sent, f"the file is at {position}; {sent} bytes from {offset} on were sent"
            assert 0 < sent < SIZE


@requires("SENDF-SENDFILE-14", "SENDF-SENDFILE-10", "SENDF-SENDFILE-11")
@on_ways(*TRANSPORTS)
async def test_the_protocol_and_reading_after_a_cancel(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """After a cancel the transport has its protocol and reads, unless it is closing."""
    async with sending(loop, way, [hold(), send(b"answer"), drain()], narrow=True) as sender:
        with file_of(SIZE) as file:
            await cancelled(await sender.stalled(file))
        await check_that_it_reads(sender)


async def check_that_it_reads(sender: Sender) -> None:
    """Let the peer answer, and wait for the answer if the transport is not closing."""
    link = sender.link
    assert link is not None
    assert link.transport.get_protocol() is link.protocol
    if not link.transport.is_closing():
        assert link.transport.is_reading(), "reading was not resumed"
        sender.peer.release()
        assert await link.received(6) == b"answer"


@requires("SENDF-SENDFILE-14", "SENDF-SENDFILE-08")
@on_ways("tcp transport", "unix transport")
async def test_a_cancel_while_queued_data_go_out(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A call that is cancelled while it waits for what was written before leaves the transport as it was."""
    script = [hold(), send(b"answer"), expect_pattern(1, SIZE), expect(b"behind"), expect_eof()]
    async with sending(loop, way, script, narrow=True) as sender:
        await sender.write(pattern(1, SIZE))
        with file_of(SIZE) as file:
            await cancelled(await sender.stalled(file))
        await sender.write(b"behind")
        await check_that_it_reads(sender)
        await sender.over()


@requires("SENDF-SOCK_SENDFILE-12")
@pytest.mark.parametrize("kind", KINDS)
async def test_the_number_of_a_closed_socket(loop: asyncio.AbstractEventLoop, kind: Kind) -> None:
    """After cancel and close the number of the socket belongs to somebody else: it is not touched or polled."""
    with Squatters() as squatters, plugged(kind, [hold()], narrow=True) as (ours, _), file_of(SIZE) as file:
        await cancelled(await waiting(loop.sock_sendfile(ours, file)))
        number = ours.fileno()
        ours.close()
        squatters.occupy(number)
        await polls(5)


@requires("SENDF-SOCK_SENDFILE-12")
@pytest.mark.parametrize("turns", [0, 2])
async def test_the_number_is_used_again(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Cancel, close, and a new socket with the same number at once: a file that is sent over it arrives."""
    with plugged("unix", [hold()], narrow=True) as (old, _), file_of(SIZE) as file:
        task = await waiting(loop.sock_sendfile(old, file))
        number = old.fileno()
        task.cancel()
        old.close()
        with successor(number) as (ours, theirs):
            for _ in range(turns):
                await asyncio.sleep(0)
            with file_of(1000) as other:
                again = asyncio.ensure_future(loop.sock_sendfile(ours, other))
                await until(again.done, "the end of a call on a socket whose number was used before", share=0.2)
                assert again.result() == 1000
            assert theirs.recv(2000) == pattern(SEED, 1000)
            await until(task.done, "the end of the cancelled call")
            assert task.cancelled()
