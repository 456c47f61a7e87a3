"""Guarded buffers: the buffer protocol, exports, release, resize, patterns, bad input, what the system gets back."""

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from buffer_requests import REQUESTS, WRITABLE, Export, answer

from loopproof.faultkit import GuardedBuffer, pattern


def compare(buffer: GuardedBuffer, truth: Any, address: int) -> None:
    for flags in REQUESTS:
        assert answer(buffer, flags, buffer.address) == answer(truth, flags, address), hex(flags)
    assert buffer.exports == 0


def address_of(exporter: Any) -> int:
    export = Export(exporter, 0)
    export.release()
    address: int = export.view.buf
    return address


@pytest.mark.parametrize("contents", [bytearray(range(24)), bytes(range(24))])
@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_every_request_is_answered_as_memoryview_answers_it(contents: Any, step: int) -> None:
    truth = memoryview(contents)[::step]
    buffer = GuardedBuffer(
        contents,
        readonly=isinstance(contents, bytes),
        shape=truth.shape,
        strides=truth.strides,
        offset=0 if step > 0 else 23,
    )
    assert bytes(buffer) == bytes(truth)
    compare(buffer, truth, address_of(memoryview(contents)))


def test_a_buffer_of_no_bytes_is_answered_as_memoryview_answers_it() -> None:
    nothing = memoryview(bytearray())
    buffer = GuardedBuffer(0)
    assert not buffer
    assert bytes(buffer) == b""
    compare(buffer, nothing, address_of(nothing))


@pytest.mark.parametrize(
    ("format", "shape"), [("i", (6,)), ("h", (3, 4)), ("q", (3, 1)), ("B", (2, 3, 4)), ("d", (3,))]
)
def test_items_of_many_bytes_and_many_dimensions_are_answered_as_memoryview_does(
    format: str,  # noqa: A002
    shape: tuple[int, ...],
) -> None:
    contents = bytearray(range(24))
    truth = memoryview(contents).cast("B").cast(format, shape)
    buffer = GuardedBuffer(contents, format=format, shape=shape)
    assert memoryview(buffer).tolist() == truth.tolist()
    assert (buffer.shape, buffer.strides, buffer.format) == (truth.shape, truth.strides, truth.format)
    assert (buffer.itemsize, buffer.nbytes, buffer.size) == (truth.itemsize, 24, 24)
    compare(buffer, truth, address_of(memoryview(contents)))


def test_len_indexing_and_slicing_are_those_of_memoryview() -> None:
    buffer = GuardedBuffer(b"0123456789")
    assert len(buffer) == 10
    assert buffer[3] == ord("3")
    buffer[2:4] = b"xy"
    assert bytes(buffer[1:5]) == b"1xy4"
    with pytest.raises(IndexError):
        buffer[10]
    with pytest.raises(TypeError):
        del buffer[0]
    with pytest.raises(TypeError, match="length"):
        len(GuardedBuffer(1, shape=()))


def test_exports_are_counted_and_say_who_has_them() -> None:
    buffer = GuardedBuffer(10, name="reply")
    view = memoryview(buffer)
    export = Export(buffer, WRITABLE)
    assert buffer.exports == 2
    latest, first = buffer.exported_by
    assert f"{__file__}:" in first
    assert "test_exports_are_counted" in first
    assert f"flags 0x{WRITABLE:x}, thread {threading.get_native_id()}" in latest
    with pytest.raises(BufferError, match=r"'reply' has exports .*test_exports_are_counted"):
        buffer.release()
    with pytest.raises(BufferError, match="exports"):
        buffer.resize(20)
    view.release()
    export.release()
    assert buffer.exports == 0
    assert buffer.exported_by == ()
    buffer.release()


def test_a_buffer_that_is_released_twice_is_told() -> None:
    buffer = GuardedBuffer(10, name="reply")
    references = sys.getrefcount(buffer)
    export = Export(buffer, 0)
    export.release_a_copy()
    export.release()
    assert sys.getrefcount(buffer) == references
    assert buffer.exports == 0
    with pytest.raises(AssertionError, match="'reply': buffers were released 1 times more often than exported"):
        buffer.check()


def test_a_refusal_is_raised_until_it_is_withdrawn() -> None:
    error = MemoryError("not now")
    buffer = GuardedBuffer(10, refusal=BlockingIOError)
    for exception in (BlockingIOError, error, KeyboardInterrupt()):
        buffer.refusal = exception
        with pytest.raises(type(exception) if isinstance(exception, BaseException) else exception):
            memoryview(buffer)
        assert buffer.exports == 0
    assert isinstance(buffer.refusal, KeyboardInterrupt)
    buffer.refusal = None
    assert bytes(buffer) == bytes(10)
    with pytest.raises(TypeError, match="refusal"):
        buffer.refusal = "no"  # type: ignore[assignment]


def test_a_refusal_that_refers_to_the_buffer_is_collected() -> None:
    buffer = GuardedBuffer(10)
    error = ValueError(buffer)
    buffer.refusal = error
    gc.collect()
    count = areas()
    del buffer, error
    gc.collect()
    assert areas() < count


def test_a_released_buffer_is_released_for_good() -> None:
    with GuardedBuffer(10, name="reply") as buffer:
        assert not buffer.released
    assert buffer.released
    buffer.release()
    buffer.revoke()
    buffer.check()
    assert "released" in repr(buffer)
    uses: Iterable[Any] = (
        lambda: memoryview(buffer),
        lambda: buffer[0],
        lambda: len(buffer),
        lambda: buffer.fill(1),
        lambda: buffer.verify(1),
        lambda: buffer.resize(1),
        lambda: buffer.__enter__(),
    )
    for use in uses:
        with pytest.raises(ValueError, match="'reply' was released"):
            use()


def test_a_block_that_raises_revokes_the_buffer() -> None:
    with pytest.raises(KeyError), GuardedBuffer(10) as buffer:
        view = memoryview(buffer)
        raise KeyError
    assert buffer.released
    assert buffer.exports == 1
    view.release()
    assert buffer.exports == 0


def test_a_write_into_the_margin_is_told() -> None:
    buffer = GuardedBuffer(10, align=16, name="reply")
    buffer.check()
    ctypes.memset(buffer.address + 12, 0xA5, 1)
    with pytest.raises(AssertionError, match=r"'reply': something was written at offset 12 \(size 10\)"):
        buffer.check()
    with pytest.raises(AssertionError, match="offset 12"):
        buffer.release()
    assert buffer.released


@pytest.mark.parametrize("flush", ["upper", "lower"])
@pytest.mark.parametrize("align", [1, 8, 64, os.sysconf("SC_PAGESIZE")])
def test_data_lies_where_it_should(flush: Any, align: int) -> None:
    page = os.sysconf("SC_PAGESIZE")
    buffer = GuardedBuffer(100, flush=flush, align=align)
    assert buffer.address % align == 0
    if flush == "lower":
        assert buffer.address % page == 0
    else:
        assert -(buffer.address + 100) % page < align


def test_a_buffer_grows_and_shrinks() -> None:
    buffer = GuardedBuffer(b"12345678", format="H")
    buffer.resize(20_000)
    assert bytes(buffer) == b"12345678" + bytes(20_000 - 8)
    assert (buffer.shape, buffer.nbytes, buffer.size) == ((10_000,), 20_000, 20_000)
    buffer.resize(4)
    assert bytes(buffer) == b"1234"
    buffer.resize(0)
    assert len(buffer) == 0
    with pytest.raises(ValueError, match="multiple of the 2 bytes"):
        buffer.resize(3)
    with pytest.raises(ValueError, match="multiple"):
        buffer.resize(-2)
    with pytest.raises(MemoryError):
        buffer.resize(2**62)
    with pytest.raises(ValueError, match="the size must be from"):
        buffer.resize(2**63)
    with pytest.raises(BufferError, match="read-only"):
        GuardedBuffer(4, readonly=True).resize(8)
    with pytest.raises(BufferError, match="shape was given"):
        GuardedBuffer(4, shape=(2, 2)).resize(8)


def test_a_pattern_is_filled_in_and_verified_in_place() -> None:
    buffer = GuardedBuffer(100_000)
    buffer.fill(7, offset=3)
    assert bytes(buffer) == pattern(7, 100_000, 3)
    assert buffer.verify(7, offset=3) is None
    buffer[70_000] ^= 1
    assert buffer.verify(7, offset=3) == 70_003
    assert buffer.verify(7, 70_000, 3) is None
    buffer.fill(8, 10)
    assert bytes(buffer[:11]) == pattern(8, 10) + pattern(7, 1, 13)
    for size in (100_001, -1, 2**70):
        with pytest.raises(ValueError, match="size must be from 0 to 100000"):
            buffer.fill(7, size)
    with pytest.raises(ValueError, match=r"2\*\*62"):
        buffer.verify(7, offset=2**62)
    with pytest.raises(TypeError, match="read-only"):
        GuardedBuffer(10, readonly=True).fill(7)


def test_a_size_whose_code_resizes_the_buffer_is_held_against_the_new_size() -> None:
    class Shrinks:
        def __index__(self) -> int:
            buffer.resize(1)
            return 0

    buffer = GuardedBuffer(100_000)
    buffer.fill(Shrinks())  # type: ignore[arg-type]
    assert buffer.verify(0) is None
    with pytest.raises(ValueError, match="from 0 to 1"):
        buffer.fill(0, 2, Shrinks())  # type: ignore[arg-type]


@pytest.mark.parametrize("gib", [2, 4])
def test_beyond_the_numbers_of_32_bits_memory_costs_nothing(gib: int) -> None:
    size = (gib << 30) + 10
    before = resident()
    buffer = GuardedBuffer(size)
    buffer[0] = buffer[size - 1] = 1
    assert len(buffer) == buffer.nbytes == size
    assert buffer[-1] == 1
    assert buffer[size // 2] == 0
    assert resident() - before < 16 << 20


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": -1}, ValueError, "must not be negative, not -1"),
        ({"source": 2**63}, ValueError, r"must be from -2\*\*63 to 2\*\*63 - 1"),
        ({"source": -(2**70)}, ValueError, "the size"),
        ({"source": 2**63 - 1}, MemoryError, "no address space .* 9223372036854775807 bytes"),
        ({"source": 2**60}, MemoryError, "no address space"),
        ({"source": "text"}, TypeError, "size in bytes or a bytes-like object, not str"),
        ({"source": 1.5}, TypeError, "not float"),
        ({"name": "x" * 64}, ValueError, "at most 63 bytes"),
        ({"name": "a\0b"}, ValueError, "none of them zero"),
        ({"name": "\ud800"}, UnicodeEncodeError, "surrogates"),
        ({"name": 1}, TypeError, "str"),
        ({"flush": "left"}, ValueError, "'upper' or 'lower', not 'left'"),
        ({"align": None}, TypeError, "align must be an int, not NoneType"),
        ({"align": 0}, ValueError, "power of two"),
        ({"align": 3}, ValueError, "power of two"),
        ({"align": 1 << 63}, ValueError, "align must be from"),
        ({"align": 1 << 40}, ValueError, "power of two"),
        ({"format": "x!"}, ValueError, "'x!'"),
        ({"format": ""}, ValueError, "at least one byte"),
        ({"format": "B\0"}, ValueError, "format"),
        ({"format": 1}, TypeError, "str"),
        ({"format": "999999999999999999999i"}, ValueError, "format"),
        ({"format": "i", "source": 6}, ValueError, "multiple of the 4 bytes of an item, not 6"),
        ({"shape": 3}, TypeError, "shape must be a tuple of int, not int"),
        ({"shape": (1,) * 65}, ValueError, "at most 64 items, not 65"),
        ({"shape": (-1,)}, ValueError, "negative items like -1"),
        ({"shape": ("x",)}, TypeError, "an item of shape must be an int, not str"),
        ({"shape": (2**62, 2**62)}, ValueError, r"more than 2\*\*63 - 1 bytes"),
        ({"shape": (2**63,)}, ValueError, r"an item of shape must be from -2\*\*63"),
        ({"shape": (0, 8, 2**62), "source": 0}, ValueError, r"more than 2\*\*63 - 1"),
        ({"shape": (3, 3)}, ValueError, "comes to 9 bytes and the size is 12"),
        ({"strides": (1,)}, ValueError, "strides need a shape"),
        ({"shape": (3,), "strides": (1, 1)}, ValueError, "shape has 1 items and strides have 2"),
        ({"shape": (3,), "strides": (6,)}, ValueError, "span bytes 0 to 13 .* outside of the 12 bytes"),
        ({"shape": (3,), "strides": (-1,), "offset": 1}, ValueError, "span bytes -2 to 1"),
        ({"shape": (3,), "strides": (2**62,)}, ValueError, "span more than"),
        ({"shape": (2,), "strides": (-(2**63),)}, ValueError, "outside"),
        ({"offset": 13}, ValueError, "offset 13"),
        ({"offset": -1}, ValueError, "offset -1"),
        ({"offset": 2**70}, ValueError, "offset must be from"),
        ({"refusal": int}, TypeError, "refusal must be an exception"),
        ({"surprise": 1}, TypeError, "surprise"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    gc.collect()
    before = areas()
    with pytest.raises(error, match=message):
        GuardedBuffer(**{"source": 12} | arguments)
    assert areas() == before


def test_positional_only_arguments_stay_few() -> None:
    with pytest.raises(TypeError, match="positional"):
        GuardedBuffer(12, "name")  # type: ignore[misc]


def areas() -> int:
    """Count the areas of memory that this process has mapped without access: guards are such."""
    return sum(" ---p " in line for line in Path("/proc/self/maps").read_text().splitlines())


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_everything_is_given_back_to_the_system() -> None:
    gc.collect()
    before = areas()
    buffers = [GuardedBuffer(size * 17) for size in range(500)]
    for size, buffer in enumerate(buffers):
        buffer.resize(size)
        if size % 2 == 0:
            buffer.release()
    assert areas() >= before + 250
    del buffer, buffers
    assert areas() < before + 50  # some come and go with threads and the heap


def test_a_thread_that_verifies_keeps_the_buffer_from_being_revoked() -> None:
    buffer = GuardedBuffer(64 << 20)
    started = threading.Event()
    ended = threading.Event()

    def verify() -> None:
        started.set()
        buffer.verify(1)
        ended.set()

    buffer.fill(1)
    refused = 0
    while not refused:
        thread = threading.Thread(target=verify)
        started.clear()
        ended.clear()
        thread.start()
        started.wait()
        while not ended.is_set() and not refused:
            try:
                buffer.resize(buffer.size)
            except BufferError as error:
                assert "in use by fill() or verify()" in str(error)  # noqa: PT017
                with pytest.raises(BufferError, match="in use"):
                    buffer.revoke()
                refused += 1
        thread.join()
    buffer.revoke()


def test_a_child_process_has_a_copy_of_its_own() -> None:
    buffer = GuardedBuffer(10)
    child = os.fork()
    if child == 0:
        buffer[0] = 1
        buffer.resize(20)
        buffer.release()
        os._exit(0 if buffer.released else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert buffer[0] == 0
    assert not buffer.released
