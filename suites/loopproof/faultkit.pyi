"""The fault kit, in C: peers that play scripts, byte patterns, guarded buffers, observers, reports of crashes."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, SupportsIndex

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

class GuardedBuffer:
    """Memory between inaccessible pages, for the buffer protocol: a byte too far is a crash."""

    def __new__(
        cls,
        source: SupportsIndex | Buffer,
        *,
        name: str = "buffer",
        flush: Literal["upper", "lower"] = "upper",
        align: int = 1,
        readonly: bool = False,
        format: str = "B",  # noqa: A002
        shape: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        offset: int | None = None,
        refusal: BaseException | type[BaseException] | None = None,
    ) -> Self: ...
    refusal: BaseException | type[BaseException] | None
    @property
    def address(self) -> int: ...
    @property
    def exported_by(self) -> tuple[str, ...]: ...
    @property
    def exports(self) -> int: ...
    @property
    def format(self) -> str: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def released(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    def check(self) -> None: ...
    def fill(self, seed: int, size: int | None = None, offset: int = 0) -> None: ...
    def release(self) -> None: ...
    def resize(self, size: int) -> None: ...
    def revoke(self) -> None: ...
    def verify(self, seed: int, size: int | None = None, offset: int = 0) -> int | None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

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

def descriptors() -> dict[int, str]:
    """Return the open descriptors of this process: number to what it is open on. Raises OSError without /proc."""

def threads() -> frozenset[int]:
    """Return the native ids of the threads of this process."""

def children() -> frozenset[int]:
    """Return the process ids of the children of this process."""

def report_crashes(fd: int) -> None:
    """Write a C backtrace to a descriptor when a fatal signal comes, and before it the guarded buffer if it was that.

    Call it after faulthandler.enable().
    """
