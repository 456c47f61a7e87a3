"""The fault kit, written in C: scripted peers, patterns, allocation faults, observers, reports of crashes."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from typing_extensions import Buffer

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_Step = Mapping[str, Any]
_Address = str | bytes | tuple[Any, ...]

class Entry(NamedTuple):
    """What happened in one step of a peer; times are in seconds of time.monotonic()."""

    step: int
    verb: str
    state: str
    started: float
    ended: float | None
    bytes: int
    detail: str

class Peer:
    """Plays a script in a thread that never takes the GIL."""

    def __new__(
        cls,
        script: Iterable[_Step],
        connection: int | _HasFileno | None = None,
        *,
        listen: str | None = None,
        deadline: float | None = None,
    ) -> Self: ...
    @property
    def address(self) -> Any: ...
    @property
    def completed(self) -> int: ...
    @property
    def ended(self) -> bool: ...
    @property
    def log(self) -> tuple[Entry, ...]: ...
    @property
    def script(self) -> tuple[dict[str, Any], ...]: ...
    def join(self, timeout: float | None = None) -> bool: ...
    def wait(self, steps: int, timeout: float | None = None) -> bool: ...
    def stop(self) -> None: ...
    def release(self, count: int = 1) -> None: ...
    def verify(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class FailedAllocation(NamedTuple):
    """An allocation that was made to fail: its number from 1, its size in bytes, its thread (threading.get_ident())."""

    number: int
    domain: Literal["raw", "mem", "object"]
    operation: Literal["malloc", "calloc", "realloc"]
    size: int
    thread: int

class AllocationFaults:
    """Context manager: chosen allocations of the interpreter fail while its block runs; one block at a time."""

    def __new__(
        cls,
        *,
        first: int | None = None,
        count: int = 1,
        domain: Literal["raw", "mem", "object", "any"] = "object",
        thread: int | Literal["any"] | None = None,
    ) -> Self: ...
    @property
    def seen(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def trace(self) -> tuple[FailedAllocation, ...]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]: ...

def accept() -> dict[str, Any]:
    """Step: wait for a connection on the peer's listening socket."""

def connect(address: _Address) -> dict[str, Any]:
    """Step: connect to (IP address, port, ...), or to the path of a UNIX stream socket."""

def buffers(*, receive: int = 0, send: int = 0) -> dict[str, Any]:
    """Step: set SO_RCVBUF and SO_SNDBUF in bytes; 0 leaves it."""

def send(data: Buffer, *, chunks: Iterable[int] = (), pause: float = 0.0) -> dict[str, Any]:
    """Step: send bytes in pieces of the given sizes in turn, with a pause in seconds between them."""

def send_pattern(
    seed: int, size: int, *, offset: int = 0, chunks: Iterable[int] = (), pause: float = 0.0
) -> dict[str, Any]:
    """Step: send bytes of the pattern of a seed."""

def receive(size: int) -> dict[str, Any]:
    """Step: receive that many bytes, whatever they are."""

def expect(data: Buffer) -> dict[str, Any]:
    """Step: receive exactly these bytes."""

def expect_pattern(seed: int, size: int, *, offset: int = 0) -> dict[str, Any]:
    """Step: receive bytes of the pattern of a seed."""

def expect_eof() -> dict[str, Any]:
    """Step: wait for the end of the stream; fails if anything comes before it."""

def expect_reset() -> dict[str, Any]:
    """Step: wait for a reset of the connection."""

def drain() -> dict[str, Any]:
    """Step: receive until the end of the stream."""

def echo(size: int = 0) -> dict[str, Any]:
    """Step: send back what is received, that many bytes or, if 0, until the end of the stream."""

def pause(seconds: float) -> dict[str, Any]:
    """Step: do nothing for a time."""

def hold() -> dict[str, Any]:
    """Step: do nothing until Peer.release()."""

def shutdown() -> dict[str, Any]:
    """Step: end the stream that the peer sends."""

def close() -> dict[str, Any]:
    """Step: close the connection."""

def reset() -> dict[str, Any]:
    """Step: reset the TCP connection."""

def pattern(seed: int, size: int, offset: int = 0) -> bytes:
    """Return a part of the endless pseudo-random stream of a seed."""

def verify_pattern(buffer: Buffer, seed: int, offset: int = 0) -> int | None:
    """Return the index of the first byte that is not that of the stream, None if all are."""

class Descriptor(NamedTuple):
    """What a descriptor is open on; family and type are None where it is no socket, addresses where there is none."""

    number: int
    kind: str
    device: int
    inode: int
    target: str
    family: int | None
    type: int | None
    local: Any
    remote: Any
    listening: bool
    watches: tuple[tuple[int, int], ...]

class Thread(NamedTuple):
    """A thread of this process: native id, name (at most 15 bytes) and state ('running', 'sleeping', ...)."""

    number: int
    name: str
    state: str

class Child(NamedTuple):
    """A child of this process; the command is empty for a zombie."""

    number: int
    name: str
    state: str
    command: tuple[str, ...]

class Resident(NamedTuple):
    """Resident memory in bytes."""

    current: int
    peak: int

def descriptors() -> dict[int, tuple[str, int, int]]:
    """Return the open descriptors of this process: number to (kind, device, inode). Raises OSError without /proc."""

def descriptor(fd: int | _HasFileno, /) -> Descriptor:
    """Return what a descriptor is open on. Raises OSError if it is not open, or without /proc."""

def threads() -> frozenset[int]:
    """Return the native ids of the threads of this process. Raises OSError without /proc."""

def thread(number: int, /) -> Thread:
    """Return what the kernel knows of a thread of this process. Raises OSError if there is none."""

def children() -> frozenset[int]:
    """Return the process ids of the children of this process. Raises OSError without /proc."""

def child(number: int, /) -> Child:
    """Return what the kernel knows of a child process. Raises OSError if it is none, or hidden."""

def mappings() -> dict[str, tuple[int, int]]:
    """Return the memory mappings of this process: kind to (count, bytes). Raises OSError without /proc."""

def resident() -> Resident:
    """Return the resident memory of this process in bytes, now and at most so far. Raises OSError without /proc."""

def reset_peak() -> None:
    """Let the peak of resident() be counted anew. Raises OSError where the kernel does not allow it."""

def report_crashes(fd: int) -> None:
    """Write a C backtrace to a descriptor when a fatal signal comes. Call it after faulthandler.enable()."""
