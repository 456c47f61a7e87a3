"""Kinds of files: what is sent by the kernel, what the fallback reads, what is refused, and whose descriptor it is."""

import asyncio
import errno
import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.files import NATIVE, SEED, Readable, Sender, file_of, on_ways, sending
from loopproof.authoring.links import WIDTH, polls
from loopproof.authoring.pipes import identity
from loopproof.authoring.sockets import cancelled, ended
from loopproof.faultkit import Injector, drain, expect, expect_eof, expect_pattern, fail, hold, pattern, reset, short

SIZE = 50_000
SENDING = ("sendfile", "splice", "write", "writev", "sendto", "sendmsg", "send")


@requires("SENDF-SENDFILE-05", "SENDF-SENDFILE-16")
@on_ways("tcp transport", "unix transport")
@pytest.mark.parametrize("kind", ["memory", "readable"])
async def test_no_descriptor_and_no_fallback(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """A file object without a descriptor is refused with SendfileNotAvailableError if fallback is False."""
    await check_no_descriptor(loop, way, kind)


@requires("SENDF-SOCK_SENDFILE-08")
@on_ways("tcp socket", "unix socket")
@pytest.mark.parametrize("kind", ["memory", "readable"])
async def test_no_descriptor_and_no_fallback_on_a_socket(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """A file object without a descriptor is refused with SendfileNotAvailableError if fallback is False."""
    await check_no_descriptor(loop, way, kind)


async def check_no_descriptor(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Send what has no descriptor without the fallback, and then something else."""
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with file_of(SIZE, kind) as file:
            with raises(asyncio.SendfileNotAvailableError):
                await send(file, fallback=False)
            assert file.tell() == 0
            await send.write(b"behind")
            await send.over()


@requires("SENDF-SOCK_SENDFILE-09", "SENDF-COMMON-01")
@on_ways("tcp socket", "unix socket")
async def test_no_fileno_over_a_socket(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A file object that has no method fileno() is sent by the fallback."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE), expect_eof()]) as send:
        assert await send(Readable(pattern(SEED, SIZE))) == SIZE
        await send.over()


class Numbered(Readable):
    """A file object whose fileno() is no descriptor."""

    def fileno(self) -> int:
        """Return what others take for no descriptor."""
        return -1


@requires("SENDF-COMMON-19")
@on_ways(*NATIVE)
async def test_no_descriptor_behind_fileno(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A file object whose fileno() returns what is no descriptor is sent by the fallback."""
    async with sending(loop, way, [expect_pattern(SEED, SIZE), expect_eof()]) as send:
        assert await send(Numbered(pattern(SEED, SIZE))) == SIZE
        await send.over()


@requires("SENDF-COMMON-14")
@on_ways(*NATIVE)
async def test_a_pipe_without_fallback(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A pipe cannot be sent by the kernel: SendfileNotAvailableError if fallback is False, and nothing is read."""
    reading, writing = os.pipe()
    os.write(writing, b"in the pipe")
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with os.fdopen(reading, "rb", 0) as file, os.fdopen(writing, "wb", 0):
            with raises(asyncio.SendfileNotAvailableError):
                await send(file, 0, 5, fallback=False)
            assert file.read(20) == b"in the pipe"
            await send.write(b"behind")
            await send.over()


@requires("SENDF-SENDFILE-15", "SENDF-SENDFILE-16")
@on_ways("tcp transport", "unix transport")
@pytest.mark.parametrize("fallback", [False, True])
async def test_text_mode_over_a_transport(
    loop: asyncio.AbstractEventLoop, way: str, fallback: bool, tmp_path: Path
) -> None:
    """A file in text mode is refused with ValueError."""
    await check_text_mode(loop, way, fallback, tmp_path)


@requires("SENDF-SOCK_SENDFILE-02")
@on_ways("tcp socket", "unix socket")
@pytest.mark.parametrize("fallback", [False, True])
async def test_text_mode_over_a_socket(
    loop: asyncio.AbstractEventLoop, way: str, fallback: bool, tmp_path: Path
) -> None:
    """A file in text mode is refused with ValueError."""
    await check_text_mode(loop, way, fallback, tmp_path)


async def check_text_mode(loop: asyncio.AbstractEventLoop, way: str, fallback: bool, folder: Path) -> None:
    """Send a file in text mode, and then something else."""
    path = folder / "text"
    path.write_text("text")
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with path.open(encoding="ascii") as file:
            with raises(ValueError):
                await send(file, fallback=fallback)
            assert file.read() == "text"
        await send.write(b"behind")
        await send.over()


@requires("SENDF-COMMON-18")
@on_ways()
@pytest.mark.parametrize("given", ["closed", "write only", "closed memory"])
async def test_a_file_that_cannot_be_read(
    loop: asyncio.AbstractEventLoop, way: str, given: str, tmp_path: Path
) -> None:
    """A closed file, and one that is open for writing alone, make the call raise OSError or ValueError."""
    (tmp_path / "file").write_bytes(b"content")
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with io.BytesIO(b"content") if "memory" in given else (tmp_path / "file").open("ab", 0) as file:
            if "closed" in given:
                file.close()
            with raises(OSError, ValueError):
                await send(file)
        await send.write(b"behind")
        await send.over()


@requires("SENDF-COMMON-18")
@on_ways()
@pytest.mark.parametrize("given", [None, "file", b"file", 0])
async def test_what_is_no_file(loop: asyncio.AbstractEventLoop, way: str, given: Any) -> None:
    """What is no file object, a path or a descriptor say, makes the call raise TypeError or AttributeError."""
    async with sending(loop, way, [expect(b"behind"), expect_eof()]) as send:
        with raises(TypeError, AttributeError):
            await send(given)
        await send.write(b"behind")
        await send.over()


class Odd(Readable):
    """A file object that gives few bytes at a time, and fails at an offset."""

    def __init__(self, data: bytes, piece: int, fails_at: int | None = None) -> None:
        super().__init__(data)
        whole = self.take

        def take(size: int | None = -1) -> bytes:
            if fails_at is not None and self.tell() >= fails_at:
                raise OSError(errno.EIO, "the disk is broken")
            return whole(piece if size is None or size < 0 else min(size, piece))

        self.take = take


@requires("SENDF-COMMON-12")
@on_ways()
@pytest.mark.parametrize("count", [None, 250])
@pytest.mark.parametrize("piece", [1, 7])
async def test_a_file_that_gives_little(loop: asyncio.AbstractEventLoop, way: str, piece: int, count: Any) -> None:
    """A file object that fills only a part of the room it is given is read on until its end, or the count."""
    size = count or 300
    async with sending(loop, way, [expect_pattern(SEED, size, offset=1), expect_eof()]) as send:
        file = Odd(pattern(SEED, 301), piece)
        assert await send(file, 1, count) == size
        assert file.tell() == 1 + size
        await send.over()


@requires("SENDF-COMMON-11")
@on_ways()
@pytest.mark.parametrize("after", [0, 100])
async def test_a_file_that_fails(loop: asyncio.AbstractEventLoop, way: str, after: int) -> None:
    """An error of the file's own is raised, what was read before it is sent, and the position is there."""
    async with sending(loop, way, [expect_pattern(SEED, after), expect(b"behind"), expect_eof()]) as send:
        file = Odd(pattern(SEED, SIZE), 50, fails_at=after)
        with raises(OSError) as caught:
            await send(file)
        assert "the disk is broken" in str(caught.value)
        assert file.tell() == after
        await send.write(b"behind")
        await send.over()


@requires("SENDF-COMMON-10")
@on_ways()
async def test_a_file_that_is_slow(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """While a file object is read the loop goes on."""
    served = threading.Event()

    class Slow(Readable):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            whole = self.take

            def take(size: int | None = -1) -> bytes:
                loop.call_soon_threadsafe(served.set)
                assert served.wait(5), "the loop did not run while the file was read"
                return whole(size)

            self.take = take

    async with sending(loop, way, [expect_pattern(SEED, SIZE), expect_eof()]) as send:
        assert await send(Slow(pattern(SEED, SIZE))) == SIZE
        await send.over()


@requires("SENDF-COMMON-15")
@on_ways(*NATIVE)
async def test_tell_of_a_file_that_was_read_before(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """tell() tells the position after the call, though the file object has read ahead before."""
    async with sending(loop, way, [expect_pattern(SEED, 1000, offset=5), expect_eof()]) as send:
        with file_of(SIZE) as file:
            file.read(10)
            assert await send(file, 5, 1000) == 1000
            assert file.tell() == 1005, f"tell() gives {file.tell()} after 1000 bytes from offset 5 were sent"
            await send.over()


@requires("SENDF-COMMON-08")
@on_ways()
@pytest.mark.parametrize("how", ["success", "refusal", "reset", "cancel"])
async def test_the_file_stays_open(loop: asyncio.AbstractEventLoop, way: str, how: str) -> None:
    """Whatever the outcome, the file and its descriptor stay open, for its owner to close."""
    script = [drain()] if how in ("success", "refusal") else [hold(), reset() if how == "reset" else drain()]
    async with sending(loop, way, script, narrow=True) as send:
        with file_of(3 * WIDTH, "raw") as file:
            known = identity(file.fileno())
            if how == "success":
                await send(file)
            elif how == "refusal":
                with raises(TypeError, ValueError):
                    await send(file, offset="nowhere")
            else:
                await interrupted(send, file, how)
            await polls(2)
            assert not file.closed
            assert identity(file.fileno()) == known, "the descriptor of the file was closed"
            assert file.seek(3) == 3
            assert file.read(5) == pattern(SEED, 5, 3)


async def interrupted(send: Sender, file: Any, how: str) -> None:
    """Begin to send, and let the peer reset the connection, or cancel."""
    task = await send.stalled(file)
    if how == "cancel":
        await cancelled(task)
    send.peer.release()
    if how == "reset":
        with raises(OSError):
            await ended(task)


@requires("SENDF-COMMON-09")
@on_ways("tcp transport", "unix socket")
async def test_a_file_that_is_closed_meanwhile(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """A file that is closed while the call waits for the peer ends it: with an error, or with all of the file."""
    async with sending(loop, way, [hold(), drain()], narrow=True) as send:
        with file_of(3 * WIDTH) as file:
            task = await send.stalled(file)
        send.peer.release()
        await until(task.done, "the end of a call whose file was closed", share=0.2)
        error = task.exception()
        assert isinstance(error, OSError | ValueError) or task.result() == 3 * WIDTH, f"it ended with {error!r}"


@requires("SENDF-COMMON-05")
@on_ways()
@pytest.mark.parametrize("kind", ["buffered", "raw"])
async def test_a_file_that_is_truncated_meanwhile(loop: asyncio.AbstractEventLoop, way: str, kind: str) -> None:
    """Of a file that becomes shorter the rest is not sent; the result is the number of bytes that arrived."""
    async with sending(loop, way, [hold(), drain()], narrow=True) as send:
        with file_of(4 * WIDTH, kind) as file:
            task = await send.stalled(file)
            os.ftruncate(file.fileno(), 3 * WIDTH)
            send.peer.release()
            sent = await ended(task)
            assert sent <= 3 * WIDTH + 100_000, f"{sent} bytes of a file of {3 * WIDTH} are said to be sent"
            assert await send.over() == sent


@requires("SENDF-COMMON-05")
@on_ways()
@pytest.mark.parametrize("count", [None, 4 * WIDTH, 5 * WIDTH])
async def test_a_file_that_grows_meanwhile(loop: asyncio.AbstractEventLoop, way: str, count: Any) -> None:
    """Of a file that becomes longer at least the old content is sent, at most count; the result tells how much."""
    async with sending(loop, way, [hold(), expect_pattern(SEED, 3 * WIDTH), drain()], narrow=True) as send:
        with file_of(3 * WIDTH) as file:
            task = await send.stalled(file, 0, count)
            os.pwrite(file.fileno(), bytes(WIDTH), 3 * WIDTH)
            send.peer.release()
            sent = await ended(task)
            assert sent in range(3 * WIDTH, 4 * WIDTH + 1)
            assert await send.over() == sent - 3 * WIDTH


@requires("SENDF-COMMON-01", "SENDF-COMMON-17")
@needs("short_transfers")
@on_ways(*NATIVE)
@pytest.mark.parametrize("size", [1, 1000])
def test_the_kernel_takes_little_at_a_time(loop: asyncio.AbstractEventLoop, way: str, size: int) -> None:
    """Where every system call takes a few bytes only, all is sent all the same."""
    total = 150 * size

    async def scenario() -> None:
        async with sending(loop, way, [expect_pattern(SEED, total), expect_eof()]) as send:
            with file_of(total) as file:
                assert await send(file) == total
                await send.over()

    Injector([short(SENDING, size, kind=("tcp", "unix"))]).run(loop.run_until_complete, scenario())


@requires("SENDF-COMMON-14")
@needs("injector")
@on_ways(*NATIVE)
@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS"])
def test_the_system_call_refuses_the_file(loop: asyncio.AbstractEventLoop, way: str, error: str) -> None:
    """A file that the system call refuses is sent by the fallback, from its offset on."""

    async def scenario() -> None:
        async with sending(loop, way, [expect_pattern(SEED, 1000, offset=5), expect_eof()]) as send:
            with file_of(SIZE) as file:
                assert await send(file, 5, 1000) == 1000
                assert file.tell() == 1005
                await send.over()

    Injector([fail("sendfile", error, where=("thread", "threads"))]).run(loop.run_until_complete, scenario())


@requires("SENDF-COMMON-13")
@needs("injector")
@on_ways(*NATIVE)
def test_the_system_call_fails_in_the_middle(loop: asyncio.AbstractEventLoop, way: str) -> None:
    """An error of the system call behind the first bytes is raised; the position is where it came."""

    async def scenario() -> None:
        async with sending(loop, way, [drain()]) as send:
            with file_of(SIZE, "raw") as file:
                outcome: Any = (await asyncio.gather(send(file, 5), return_exceptions=True))[0]
                known = isinstance(outcome, OSError) and outcome.errno == errno.EIO
                assert known or outcome == SIZE - 5, f"{outcome!r} instead of EIO"
                assert await send.over() == file.tell() - 5

    rules = [
        fail("sendfile", "EIO", nth=3, where=("thread", "threads")),
        short("sendfile", 10_000, where=("thread", "threads")),
    ]
    Injector(rules).run(loop.run_until_complete, scenario())
