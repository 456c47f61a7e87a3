"""The fault kit, in C: peers, patterns, guarded buffers, faults of kernel and allocator, observers, crash reports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol, Self, SupportsIndex, TypeVar

from typing_extensions import Buffer

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Step = Mapping[str, Any]
_Rule = Mapping[str, Any]
_Names = str | tuple[str, ...] | list[str]
_Address = str | bytes | tuple[Any, ...]
_Pair = Literal["tcp", "unix", "datagram", "pipe_source", "pipe_sink", "pty_master", "pty_terminal"]

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
        listen: Literal["tcp", "tcp6", "unix"] | None = None,
        bind: Literal["udp", "udp6", "unix"] | None = None,
        pair: _Pair | None = None,
        backlog: int = 128,
        receive_buffer: int = 0,
        send_buffer: int = 0,
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
    def take(self) -> int: ...
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

def accept(count: int = 1) -> dict[str, Any]:
    """Step: wait for so many connections on the peer's listening socket, and select them."""

def connect(
    address: _Address | None = None,
    *,
    count: int = 1,
    type: Literal["stream", "datagram", "seqpacket"] = "stream",  # noqa: A002  (its name in the socket module)
    local: _Address | None = None,
    receive_buffer: int = 0,
    send_buffer: int = 0,
) -> dict[str, Any]:
    """Step: connect so many new sockets to (IP address, port, ...) or the path of a UNIX socket, and select them."""

def use(first: int, count: int = 1) -> dict[str, Any]:
    """Step: select connections, numbered from 0 in the order in which they were made."""

def unlisten() -> dict[str, Any]:
    """Step: close the listening socket."""

def buffers(*, receive: int = 0, send: int = 0) -> dict[str, Any]:
    """Step: set SO_RCVBUF and SO_SNDBUF in bytes; 0 leaves it."""

def send(
    data: Buffer,
    *,
    chunks: tuple[int, ...] | list[int] = (),
    pause: float = 0.0,
    to: _Address | None = None,
    more: bool = False,
    urgent: bool = False,
) -> dict[str, Any]:
    """Step: send bytes in pieces of the given sizes in turn, with a pause in seconds between them."""

def send_pattern(
    seed: int,
    size: int,
    *,
    offset: int = 0,
    chunks: tuple[int, ...] | list[int] = (),
    pause: float = 0.0,
    to: _Address | None = None,
) -> dict[str, Any]:
    """Step: send bytes of the pattern of a seed."""

def send_ancillary(
    data: Buffer, *, descriptors: int = 0, credentials: bool = False, to: _Address | None = None
) -> dict[str, Any]:
    """Step: send bytes on a UNIX socket with descriptors or credentials."""

def receive(
    size: int, *, chunks: tuple[int, ...] | list[int] = (), pause: float = 0.0, sender: _Address | None = None
) -> dict[str, Any]:
    """Step: receive that many bytes, whatever they are, in pieces; on a datagram socket a piece is one datagram."""

def expect(
    data: Buffer, *, chunks: tuple[int, ...] | list[int] = (), pause: float = 0.0, sender: _Address | None = None
) -> dict[str, Any]:
    """Step: receive exactly these bytes."""

def expect_pattern(
    seed: int,
    size: int,
    *,
    offset: int = 0,
    chunks: tuple[int, ...] | list[int] = (),
    pause: float = 0.0,
    sender: _Address | None = None,
) -> dict[str, Any]:
    """Step: receive bytes of the pattern of a seed."""

def expect_silence(seconds: float) -> dict[str, Any]:
    """Step: wait for a time in which nothing comes."""

def expect_eof() -> dict[str, Any]:
    """Step: wait for the end of the stream; fails if anything comes before it."""

def expect_reset() -> dict[str, Any]:
    """Step: wait for a reset of the connection."""

def expect_descriptors_closed() -> dict[str, Any]:
    """Step: wait until nobody has a descriptor any more that send_ancillary() has sent."""

def drain(*, chunks: tuple[int, ...] | list[int] = (), pause: float = 0.0) -> dict[str, Any]:
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

def tls_server(
    certificate: Buffer,
    key: Buffer,
    *,
    authority: Buffer = b"",
    server_name: str = "",
    alpn: Sequence[str] = (),
    version: Literal["", "1.2", "1.3"] = "",
    fragment: int = 0,
    request_certificate: bool = False,
    tickets: int = 2,
) -> dict[str, Any]:
    """Step: begin TLS as the server, with what is in PEM; nothing is sent before tls_handshake()."""

def tls_client(
    *,
    certificate: Buffer = b"",
    key: Buffer = b"",
    authority: Buffer = b"",
    server_name: str = "",
    alpn: Sequence[str] = (),
    version: Literal["", "1.2", "1.3"] = "",
    fragment: int = 0,
    resume: bool = False,
) -> dict[str, Any]:
    """Step: begin TLS as the client; without an authority it believes everybody."""

def tls_early_data(data: Buffer) -> dict[str, Any]:
    """Step: send the first flight of a handshake with data in it, allowed or not."""

def tls_handshake(*, flights: int = 0, limit: int = 0) -> dict[str, Any]:
    """Step: shake hands to the end, or until so many flights or bytes have been sent."""

def tls_segments(sizes: Iterable[int] = (), *, pause: float = 0.0) -> dict[str, Any]:
    """Step: cut what goes out from now on into pieces of the given sizes in turn."""

def tls_cork() -> dict[str, Any]:
    """Step: let the records of the steps that follow wait."""

def tls_arrange(order: Iterable[int]) -> dict[str, Any]:
    """Step: make what is corked the records of these numbers: reorder, repeat, drop."""

def tls_corrupt(record: int, offset: int, *, mask: int = 255) -> dict[str, Any]:
    """Step: turn bits in one byte of a corked record."""

def tls_cut(record: int, size: int) -> dict[str, Any]:
    """Step: leave only the first bytes of a corked record."""

def tls_uncork() -> dict[str, Any]:
    """Step: send what is corked, together."""

def tls_raw(data: Buffer) -> dict[str, Any]:
    """Step: send bytes as they are, in the middle of TLS."""

def tls_record(content_type: int, data: Buffer) -> dict[str, Any]:
    """Step: send a record of any type and size, protected as it has to be."""

def tls_alert(description: int, *, level: int = 2) -> dict[str, Any]:
    """Step: send an alert by its number; level 1 is a warning, 2 fatal."""

def tls_close_notify() -> dict[str, Any]:
    """Step: say that nothing follows, whatever follows."""

def tls_renegotiate() -> dict[str, Any]:
    """Step: ask for a new handshake (TLS 1.2)."""

def tls_key_update(*, request: bool = False) -> dict[str, Any]:
    """Step: use new keys from now on, and ask the other side to do so, too (TLS 1.3)."""

def tls_tickets(count: int = 1) -> dict[str, Any]:
    """Step: send session tickets (a server of TLS 1.3)."""

def tls_expect_alert(description: int) -> dict[str, Any]:
    """Step: wait for that alert."""

def tls_expect_message(message_type: int) -> dict[str, Any]:
    """Step: wait for a handshake message of a type."""

def tls_expect_close_notify() -> dict[str, Any]:
    """Step: wait for close_notify; what comes before it is thrown away."""

def tls_expect_truncation() -> dict[str, Any]:
    """Step: wait for the end of the stream without close_notify; what comes before it is thrown away."""

def tls_forget() -> dict[str, Any]:
    """Step: end TLS without a word; what follows moves bytes as they are."""

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
    """Write a C backtrace to a descriptor when a fatal signal comes, and before it the guarded buffer if it was that.

    Call it after faulthandler.enable().
    """

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
