"""The fault kit, written in C: peers that play scripts, byte patterns, faults at the kernel boundary, observers."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Protocol, Self, TypeVar

from typing_extensions import Buffer

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Step = Mapping[str, Any]
_Rule = Mapping[str, Any]
_Names = str | tuple[str, ...] | list[str]
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
    """Write a C backtrace to a descriptor when a fatal signal comes. Call it after faulthandler.enable()."""

class Call(NamedTuple):
    """A system call that the injector saw, and what it did; times are in seconds of time.monotonic()."""

    number: int
    time: float
    call: str
    where: str
    task: int
    descriptor: int | None
    kind: str | None
    size: int | None
    nth: int
    rule: int | None
    action: str
    result: str | int | float | None

class Injector:
    """Decides about system calls of a thread, its threads and children, by rules."""

    def __new__(cls, rules: Iterable[_Rule], *, seed: int = 0) -> Self: ...
    @property
    def rules(self) -> tuple[dict[str, Any], ...]: ...
    @property
    def seed(self) -> int: ...
    @property
    def seen(self) -> tuple[int, ...]: ...
    @property
    def chosen(self) -> tuple[int, ...]: ...
    @property
    def trace(self) -> tuple[Call, ...]: ...
    @property
    def lost(self) -> int: ...
    def install(self) -> None: ...
    def close(self) -> None: ...
    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    def replay(self) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

def allow(
    calls: _Names,
    *,
    nth: int | None = None,
    count: int | None = None,
    kind: _Names | None = None,
    where: _Names = "thread",
    probability: float = 1.0,
) -> dict[str, Any]:
    """Rule: let these calls through; the trace shows them."""

def fail(
    calls: _Names,
    error: str | int,
    *,
    nth: int | None = None,
    count: int | None = None,
    kind: _Names | None = None,
    where: _Names = "thread",
    probability: float = 1.0,
) -> dict[str, Any]:
    """Rule: these calls do nothing (close closes) and fail with an error of the module errno."""

def short(
    calls: _Names,
    size: int,
    *,
    nth: int | None = None,
    count: int | None = None,
    kind: _Names | None = None,
    where: _Names = "thread",
    probability: float = 1.0,
) -> dict[str, Any]:
    """Rule: these reads and writes of streams move at most that many bytes."""

def delay(
    calls: _Names,
    seconds: float,
    *,
    nth: int | None = None,
    count: int | None = None,
    kind: _Names | None = None,
    where: _Names = "thread",
    probability: float = 1.0,
) -> dict[str, Any]:
    """Rule: these calls begin that many seconds later."""

def rules_from(trace: Iterable[Call], /) -> tuple[dict[str, Any], ...]:
    """Return the rules that do again what was done to the calls of a trace."""

def available() -> dict[str, str | None]:
    """Return the features that the kernel may refuse to this thread, each with the reason or None."""

def call_groups() -> dict[str, tuple[str, ...]]:
    """Return the groups of system calls that rules know, each with its calls."""

def plausible_errors() -> dict[str, tuple[str, ...]]:
    """Return the system calls that rules know, each with the errors that it fails with in practice."""
