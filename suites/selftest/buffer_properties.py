"""What holds for guarded buffers whatever they are asked for: checks, and the strategies that feed them.

`test_buffer_properties.py` runs a fixed sample of each; `fuzz/guarded_buffer.py` as many as time allows.
"""

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest
from buffer_requests import FORMAT, ND, REQUESTS, WRITABLE, Answer, Export, answer
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loopproof.faultkit import GuardedBuffer, pattern, verify_pattern

try:
    from _testbuffer import ND_WRITABLE, ndarray  # CPython's own exporter of everything, in builds that carry its tests
except ImportError:
    ndarray = None

HUGE = [2**31, 2**32 + 1, 2**60, 2**62, 2**63 - 1, 2**63, 2**64, 2**70]

numbers = st.one_of(
    st.integers(-3, 40), st.integers(4000, 4200), st.sampled_from(HUGE), st.sampled_from([-n for n in HUGE])
)
formats = st.sampled_from(["B", "b", "c", "h", "i", "q", "d", "P", "?", "<i", "3s", "hb", "@n", "4x"])
junk = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.binary(max_size=9), st.floats(), st.just(object()))


def _tuples(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(items, max_size=4).map(tuple), st.lists(items, max_size=70), junk)


@st.composite
def layouts(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """Draw arguments that make sense: items that lie in memory, with gaps, overlaps, and in any direction."""
    kind = draw(formats)
    itemsize = struct.calcsize(kind)
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    strides = tuple(itemsize * draw(st.integers(-8, 8)) for _ in shape)
    spans = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)] if 0 not in shape else []
    offset = -sum(span for span in spans if span < 0) + itemsize * draw(st.integers(0, 2))
    size = offset + sum(span for span in spans if span > 0) + itemsize * draw(st.integers(1, 3))
    contents = draw(st.binary(min_size=size, max_size=size))
    return {
        "source": contents,
        "format": kind,
        "shape": shape,
        "strides": strides,
        "offset": offset,
        "readonly": draw(st.booleans()),
        "flush": draw(st.sampled_from(["upper", "lower"])),
        "align": 1 << draw(st.integers(0, 12)),
    }


spoilers = st.fixed_dictionaries(
    {},
    optional={
        "source": st.one_of(numbers, st.binary(max_size=5000), junk),
        "name": st.one_of(st.text(max_size=80), junk),
        "flush": st.one_of(st.sampled_from(["upper", "lower"]), junk),
        "align": st.one_of(st.integers(0, 16).map(lambda n: 1 << n), numbers, junk),
        "readonly": junk,
        "format": st.one_of(formats, st.text("@<>=!0123456789bBhHiIqQsxP ", max_size=6), junk),
        "shape": _tuples(numbers),
        "strides": _tuples(numbers),
        "offset": st.one_of(numbers, junk),
        "refusal": st.one_of(st.sampled_from([None, ValueError, OSError(5, "no")]), junk),
        "unheard_of": junk,
    },
)
few_spoilers = spoilers.map(lambda chosen: dict(list(chosen.items())[:2]))
anything = st.builds(lambda good, bad: good | bad, layouts(), st.one_of(few_spoilers, spoilers))
"""Arguments of any kind: what makes sense, with some of it replaced by what may not."""


def check_anything(arguments: dict[str, Any]) -> None:
    """A buffer is made, and is what it says, or a clear exception is raised."""
    try:
        buffer = GuardedBuffer(**arguments)
    except (TypeError, ValueError, MemoryError) as error:
        assert str(error)  # noqa: PT017
        return
    assert buffer.exports == 0
    for request in REQUESTS:
        try:
            seen = answer(buffer, request, buffer.address)
        except (ValueError, OSError):
            assert arguments.get("refusal") is not None
            continue
        assert seen is None or (seen.len, seen.itemsize) == (buffer.nbytes, buffer.itemsize)
        assert seen is None or _inside(seen, buffer.size)
    buffer.check()
    buffer.release()


def _inside(seen: Answer, size: int) -> bool:
    """Whether all that a consumer may touch is inside of the memory."""
    if seen.strides is None or seen.shape is None:
        return seen.offset >= 0 and seen.offset + seen.len <= size
    low = high = seen.offset
    for length, stride in zip(seen.shape, seen.strides, strict=True):
        if length == 0:
            return 0 <= seen.offset <= size
        low, high = min(low, low + (length - 1) * stride), max(high, high + (length - 1) * stride)
    return low >= 0 and high + seen.itemsize <= size


def check_layout(arguments: dict[str, Any]) -> None:
    """The items are those that shape and strides point at, and CPython's exporter answers every request alike."""
    buffer = GuardedBuffer(**arguments)
    contents, kind, shape, strides, offset = (
        arguments[key] for key in ("source", "format", "shape", "strides", "offset")
    )
    itemsize = struct.calcsize(kind)
    starts = [
        offset + sum(place * stride for place, stride in zip(index, strides, strict=True))
        for index in itertools.product(*map(range, shape))
    ]
    items = b"".join(contents[start : start + itemsize] for start in starts)
    assert memoryview(buffer).tobytes() == items
    assert buffer.nbytes == len(items)
    if ndarray is None:
        return
    truth = ndarray(
        [_item(kind, itemsize)] * (len(contents) // itemsize) if shape else _item(kind, itemsize),
        shape=shape,
        strides=strides if shape else (),
        offset=offset if shape else 0,
        format=kind,
        flags=0 if arguments["readonly"] else ND_WRITABLE,
    )
    start = Export(truth, 0x11C)
    first = start.view.buf - (offset if shape else 0)
    start.release()
    for request in REQUESTS:
        seen, expected = answer(buffer, request, buffer.address), answer(truth, request, first)
        if seen is not None and expected is not None and not shape:
            expected = Answer(**{**vars(expected), "offset": offset})
        assert seen == expected, hex(request)


def _item(kind: str, itemsize: int) -> Any:
    values = struct.unpack(kind, bytes(itemsize))
    return values[0] if len(values) == 1 else values


class Life(RuleBasedStateMachine):
    """A buffer through exports, resizes, patterns, refusals and release, beside a bytearray that holds the same."""

    @initialize(contents=st.binary(max_size=5000), flush=st.sampled_from(["upper", "lower"]), align=st.integers(0, 12))
    def make(self, contents: bytes, flush: Any, align: int) -> None:
        """Make the buffer and its model."""
        self.buffer = GuardedBuffer(contents, name="life", flush=flush, align=1 << align)
        self.model = bytearray(contents)
        self.exports: list[Export] = []
        self.released = False

    @invariant()
    def tells_the_truth(self) -> None:
        """What it says of itself is so."""
        if hasattr(self, "buffer"):
            assert self.buffer.exports == len(self.buffer.exported_by) == len(self.exports)
            assert self.buffer.released is self.released
            assert self.buffer.size == len(self.model)
            self.buffer.check()
            if not self.released:
                assert bytes(self.buffer) == self.model

    @rule(flags=st.sampled_from(REQUESTS))
    def export(self, flags: int) -> None:
        """Ask for a buffer and keep it."""
        try:
            export = Export(self.buffer, flags)
        except ValueError:
            assert self.released
        except BufferError:
            assert flags & (ND | FORMAT) == FORMAT
        else:
            assert not self.released
            self.exports.append(export)

    @precondition(lambda self: self.exports)
    @rule(which=st.integers(0, 1000))
    def give_back(self, which: int) -> None:
        """Give one back, in any order."""
        self.exports.pop(which % len(self.exports)).release()

    @precondition(lambda self: not self.released)
    @rule(size=st.one_of(st.integers(0, 9000), st.sampled_from([-1, 2**62, 2**70])))
    def resize(self, size: int) -> None:
        """Resize as a bytearray is resized."""
        try:
            self.buffer.resize(size)
        except BufferError:
            assert self.exports
        except (ValueError, MemoryError):
            assert size in (-1, 2**62, 2**70)
        else:
            self.model = self.model[:size] + bytes(max(0, size - len(self.model)))

    @precondition(lambda self: not self.released)
    @rule(seed=st.integers(0, 2**64 - 1), size=st.integers(0, 9000), offset=st.integers(0, 2**61))
    def fill(self, seed: int, size: int, offset: int) -> None:
        """Fill in a pattern, and verify it in another manner."""
        size = min(size, len(self.model))
        self.buffer.fill(seed, size, offset)
        self.model[:size] = pattern(seed, size, offset)
        assert self.buffer.verify(seed, size, offset) is None
        assert self.buffer.verify(seed + 1 & 2**64 - 1, None) == verify_pattern(self.model, seed + 1 & 2**64 - 1)

    @precondition(lambda self: not self.released)
    @rule(start=st.integers(-9000, 9000), data=st.binary(max_size=50))
    def write(self, start: int, data: bytes) -> None:
        """Write through the buffer protocol."""
        part = slice(start, start + len(data))
        if len(range(*part.indices(len(self.model)))) == len(data):
            self.buffer[part] = data
            self.model[part] = data

    @precondition(lambda self: not self.released)
    @rule(
        error=st.sampled_from([ValueError("no"), OSError(5, "no"), BufferError()]), flags=st.sampled_from([0, WRITABLE])
    )
    def refuse(self, error: Any, flags: int) -> None:
        """Refuse one request."""
        self.buffer.refusal = error
        with pytest.raises(type(error)) as seen:
            Export(self.buffer, flags)
        assert seen.value is error
        self.buffer.refusal = None

    @rule()
    def release(self) -> None:
        """Release it if nobody has got it."""
        try:
            self.buffer.release()
        except BufferError:
            assert self.exports
        else:
            self.released = True

    @rule()
    def revoke(self) -> None:
        """Take it away from whoever has it."""
        self.buffer.revoke()
        self.released = True

    def teardown(self) -> None:
        """Give everything back."""
        for export in getattr(self, "exports", ()):
            export.release()


CHECKS: dict[Callable[[dict[str, Any]], None], st.SearchStrategy[dict[str, Any]]] = {
    check_anything: anything,
    check_layout: layouts(),
}
"""Each check with what it is fed."""
