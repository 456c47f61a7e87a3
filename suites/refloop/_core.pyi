"""The reference loop's core in C: scheduling, running, watched descriptors, sockets, signals' wake-up, transports."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, TypeVarTuple, final

from typing_extensions import Buffer

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")

libuv_version: str

class HasFileno(Protocol):
    def fileno(self) -> int: ...

@final
class Handle(asyncio.Handle): ...

@final
class TimerHandle(asyncio.TimerHandle): ...

@final
class SocketCall(Coroutine[Any, None, T_co]):
    __name__: str
    __qualname__: str

    def send(self, value: None, /) -> Any: ...
    def throw(
        self,
        exception: type[BaseException] | BaseException,
        value: object = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Any: ...
    def close(self) -> None: ...
    def __await__(self) -> Generator[Any, None, T_co]: ...

class Server:
    """What a server is to its transports. It knows those that live until connection_lost() was called."""

    def _transports(self) -> list[SocketTransport]: ...
    def _wake_up(self) -> None: ...

class SocketTransport(asyncio.Transport):
    """A transport over a connected, non-blocking stream socket, TCP or UNIX, which it takes over and closes.

    The constructor queues protocol.connection_made(transport) and, behind that, the start of reading and
    waiter.set_result(None), unless the waiter is cancelled. After an exception of the constructor the socket is still
    the caller's.

    Args:
        loop: the loop, which is open.
        sock: the socket.
        protocol: an asyncio.Protocol or asyncio.BufferedProtocol.
        waiter: a future that is done when connection_made() has been called.
        extra: what get_extra_info() is to know besides "socket", "sockname" and, unless it is there, "peername"; the
            transport takes it over.
        server: the server that it belongs to; its _wake_up() is called when its last transport has gone.
        context: what all callbacks of the protocol run in; None for copies of the contexts in which the transport was
            made, reading was resumed, data was queued and so on, as asyncio before Python 3.15 has it.

    Raises:
        TypeError: loop is no loop of refloop, server no server, or extra no dictionary.
        RuntimeError: the loop is closed.
        OSError, ValueError: the socket is closed.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.SocketType,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: Server | None = None,
        context: Context | None = None,
    ) -> None: ...
    @classmethod
    def _adopt(
        cls,
        loop: Loop,
        sock: socket.SocketType,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None,
        context: Context | None,
        /,
    ) -> Self: ...

@final
class Listener:
    """Accepts the connections to one listening socket of a server, and makes their transports.

    What goes wrong is given to the loop's exception handler: that the system has no descriptor or memory left (it is
    tried again a second later), other errors of accept(), and, in debug mode, exceptions of the protocol factory.

    Args:
        loop: the loop.
        sock: a listening socket that does not block. Who has made it closes it, after stop().
        protocol_factory: makes the protocol of a connection.
        server: what the transports are told to belong to.
        context: each connection gets a copy of it, in which the factory and the callbacks of the protocol run.

    Raises:
        TypeError: loop is no loop of refloop, or context no context.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        server: Server,
        context: Context,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...

class Pipe(Protocol):
    """The file object of a pipe."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...

class ReadPipeTransport(asyncio.ReadTransport):
    """A transport that reads from a pipe, FIFO, socket or terminal, which it takes over, makes non-blocking and closes.

    Args and what is raised are as with SocketTransport; the extra information is "pipe". Raises ValueError, too, for a
    file that is nothing of these. The protocol is an asyncio.Protocol.
    """

    def __init__(
        self,
        loop: Loop,
        pipe: Pipe,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...

class WritePipeTransport(asyncio.WriteTransport):
    """A transport that writes to a pipe, FIFO, socket or terminal; otherwise like ReadPipeTransport."""

    def __init__(
        self,
        loop: Loop,
        pipe: Pipe,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...
    def is_closing(self) -> bool: ...

class Loop:
    slow_callback_duration: float

    @property
    def _current_handle(self) -> Handle | TimerHandle | None: ...
    @property
    def uv_loop(self) -> object:
        """A capsule named "uv_loop_t" with libuv's loop, for handles of other extension modules.

        They are made in the thread that runs this loop, are served while it runs unless they are uv_unref()ed, and have
        to be closed before it is: close() warns of the others (ResourceWarning) and closes them. Their callbacks are
        called with the GIL; what one raises ends the run.

        Raises:
            RuntimeError: the loop is closed.
        """
    @classmethod
    def _own_methods(cls) -> None: ...

    # life
    def close(self) -> None: ...
    def is_closed(self) -> bool: ...
    def _check_closed(self) -> None: ...
    def time(self) -> float: ...
    def get_debug(self) -> bool: ...
    def set_debug(self, enabled: bool, /) -> None: ...

    # running
    def run_forever(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def _check_running(self) -> None: ...

    # scheduling
    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle: ...
    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle: ...
    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle: ...
    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle: ...
    def _new_handle(self, callback: Callable[[*Ts], object], /, *args: *Ts) -> Handle: ...
    def _queue_handle(self, handle: Handle, /) -> None: ...

    # futures and tasks
    def create_future(self) -> asyncio.Future[Any]: ...
    def create_task(self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **kwargs: Any) -> asyncio.Task[T]: ...
    def get_task_factory(self) -> Callable[..., Any] | None: ...
    def set_task_factory(self, factory: Callable[..., Any] | None) -> None: ...

    # watched descriptors
    def add_reader(self, fd: int | HasFileno, callback: Callable[[*Ts], Any], *args: *Ts) -> None: ...
    def add_writer(self, fd: int | HasFileno, callback: Callable[[*Ts], Any], *args: *Ts) -> None: ...
    def remove_reader(self, fd: int | HasFileno) -> bool: ...
    def remove_writer(self, fd: int | HasFileno) -> bool: ...

    # operations on sockets
    def sock_accept(self, sock: socket.socket) -> SocketCall[tuple[socket.socket, Any]]: ...
    def sock_recv(self, sock: socket.socket, nbytes: int) -> SocketCall[bytes]: ...
    def sock_recv_into(self, sock: socket.socket, buf: Buffer) -> SocketCall[int]: ...
    def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> SocketCall[tuple[bytes, Any]]: ...
    def sock_recvfrom_into(self, sock: socket.socket, buf: Buffer, nbytes: int = 0) -> SocketCall[tuple[int, Any]]: ...
    def sock_sendall(self, sock: socket.socket, data: Buffer) -> SocketCall[None]: ...
    def sock_sendto(self, sock: socket.socket, data: Buffer, address: Any) -> SocketCall[int]: ...
    def _sock_writable(self, sock: socket.SocketType) -> SocketCall[None]: ...
