"""What a closed loop refuses, method by method, and that a refusal touches none of the arguments."""

import asyncio
import gc
import inspect
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Ends:
    """Descriptors for the calls to be refused; all closed at the end of the ``with`` block."""

    def __init__(self, stack: ExitStack) -> None:
        self.stream, self.peer = (stack.enter_context(end) for end in socket.socketpair())
        self.datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.datagram.bind(("127.0.0.1", 0))
        self.listening = stack.enter_context(socket.socket())
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen()
        self.tcp = stack.enter_context(socket.create_connection(self.listening.getsockname()))
        self.tcp_peer = stack.enter_context(self.listening.accept()[0])
        read, write = os.pipe()
        self.read_pipe = stack.enter_context(os.fdopen(read, "rb", 0))
        self.write_pipe = stack.enter_context(os.fdopen(write, "wb", 0))
        for end in (self.stream, self.peer, self.datagram, self.listening, self.tcp):
            end.setblocking(False)


@contextmanager
def closed_with_ends(new_loop: NewLoop) -> Iterator[tuple[asyncio.AbstractEventLoop, Ends]]:
    """Make a loop that ran once and is closed, and descriptors to offer it."""
    with ExitStack() as stack:
        loop = new_loop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        yield loop, Ends(stack)


def never() -> None:
    """Fail: nothing may call what a closed loop refused."""
    raise AssertionError("a callback that a closed loop refused was called")


def first_step(started: Any) -> None:
    """Run a coroutine up to its first suspension; what is no coroutine has run already."""
    if hasattr(started, "send"):
        try:
            started.send(None)
        except StopIteration as end:
            raise AssertionError(f"the call completed on a closed loop and returned {end.value!r}") from None
        finally:
            started.close()


SCHEDULING: dict[str, Callable[[Any], Any]] = {
    "call_soon": lambda loop: loop.call_soon(never),
    "call_later": lambda loop: loop.call_later(0, never),
    "call_later in an hour": lambda loop: loop.call_later(3600, never),
    "call_at": lambda loop: loop.call_at(0, never),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(never),
}

COROUTINE_METHODS: dict[str, Callable[[Any, Ends], Any]] = {
    "getaddrinfo": lambda loop, ends: loop.getaddrinfo("localhost", 80),
    "getnameinfo": lambda loop, ends: loop.getnameinfo(("127.0.0.1", 80)),
    "create_connection": lambda loop, ends: loop.create_connection(asyncio.Protocol, sock=ends.tcp),
    "create_server": lambda loop, ends: loop.create_server(asyncio.Protocol, sock=ends.listening),
    "connect_accepted_socket": lambda loop, ends: loop.connect_accepted_socket(asyncio.Protocol, ends.tcp),
    "create_datagram_endpoint": lambda loop, ends: loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, sock=ends.datagram
    ),
    "create_unix_connection": lambda loop, ends: loop.create_unix_connection(asyncio.Protocol, sock=ends.stream),
    "connect_read_pipe": lambda loop, ends: loop.connect_read_pipe(asyncio.Protocol, ends.read_pipe),
    "connect_write_pipe": lambda loop, ends: loop.connect_write_pipe(asyncio.BaseProtocol, ends.write_pipe),
    "sock_recv": lambda loop, ends: loop.sock_recv(ends.stream, 1),
    "sock_recv_into": lambda loop, ends: loop.sock_recv_into(ends.stream, bytearray(1)),
    "sock_recvfrom": lambda loop, ends: loop.sock_recvfrom(ends.datagram, 1),
    "sock_recvfrom_into": lambda loop, ends: loop.sock_recvfrom_into(ends.datagram, bytearray(1)),
    "sock_accept": lambda loop, ends: loop.sock_accept(ends.listening),
}


@requires("LIFE-CLOSE-05")
@pytest.mark.parametrize(
    "method", ["call_soon", "call_later", "call_later in an hour", "call_at", "call_soon_threadsafe"]
)
def test_nothing_can_be_scheduled_on_a_closed_loop(new_loop: NewLoop, method: str) -> None:
    """The scheduling methods of a closed loop raise RuntimeError, whether the loop ever ran or not, in any thread."""
    for ran in (True, False):
        loop = new_loop()
        if ran:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        with raises(RuntimeError):
            SCHEDULING[method](loop)


@requires("LIFE-CLOSE-05")
def test_a_thread_that_wakes_a_closed_loop_gets_an_error(new_loop: NewLoop) -> None:
    """call_soon_threadsafe() of a thread that did not see the loop close raises RuntimeError there, each time."""
    loop = new_loop()
    closed = threading.Event()
    errors: list[BaseException] = []

    def call() -> None:
        loop.call_soon_threadsafe(loop.stop)
        closed.wait(5)
        for _ in range(3):
            with raises(RuntimeError) as caught:
                loop.call_soon_threadsafe(never)
            errors.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    loop.run_forever()
    loop.close()
    closed.set()
    thread.join()
    assert len(errors) == 3


@requires("LIFE-CLOSE-06")
@pytest.mark.parametrize("factory", [False, True])
def test_create_task_is_refused_and_the_coroutine_untouched(new_loop: NewLoop, factory: bool) -> None:
    """create_task() on a closed loop raises RuntimeError before anything is made of the coroutine."""
    loop = new_loop()
    made: list[object] = []
    if factory:
        loop.set_task_factory(lambda loop, coro, **options: made.append(coro))  # type: ignore[arg-type]
    loop.close()
    coroutine = asyncio.sleep(0)
    with raises(RuntimeError):
        loop.create_task(coroutine)
    assert made == [], "the task factory was called although the loop is closed"
    assert asyncio.all_tasks(loop) == set()
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    coroutine.close()


@requires("LIFE-CLOSE-06", "LIFE-CLOSE-14")
@pytest.mark.parametrize("used", [False, True])
@needs("executor")
def test_the_default_executor_of_a_closed_loop_is_refused(new_loop: NewLoop, used: bool) -> None:
    """run_in_executor(None, ...) on a closed loop raises RuntimeError and starts nothing."""
    loop = new_loop()
    if used:
        loop.run_until_complete(loop.run_in_executor(None, threading.get_ident))
    loop.close()
    called: list[int] = []
    for _ in range(2):
        with raises(RuntimeError):
            loop.run_in_executor(None, called.append, 1)
    assert called == []


@requires("LIFE-CLOSE-07")
@needs("fdwatch")
@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_descriptors_cannot_be_watched(new_loop: NewLoop, direction: str) -> None:
    """add_reader() and add_writer() on a closed loop raise RuntimeError, and the descriptor stays usable."""
    with closed_with_ends(new_loop) as (loop, ends):
        with raises(RuntimeError):
            getattr(loop, f"add_{direction}")(ends.stream.fileno(), never)
        ends.peer.send(b"still usable")
        assert ends.stream.recv(100) == b"still usable"


@requires("LIFE-CLOSE-08")
@needs("fdwatch")
@pytest.mark.parametrize("direction", ["reader", "writer"])
@pytest.mark.parametrize("watched", [False, True])
def test_removing_a_descriptor_of_a_closed_loop_returns_false(new_loop: NewLoop, direction: str, watched: bool) -> None:
    """remove_reader() and remove_writer() on a closed loop return False, also for what was watched at close()."""
    here, there = socket.socketpair()
    with here, there:
        loop = new_loop()
        if watched:
            getattr(loop, f"add_{direction}")(here.fileno(), never)
        loop.close()
        assert getattr(loop, f"remove_{direction}")(here.fileno()) is False


@requires("SIG-ADD_SIGNAL_HANDLER-08")
@needs("signals")
def test_signal_handlers_cannot_be_added(new_loop: NewLoop) -> None:
    """add_signal_handler() on a closed loop raises RuntimeError and leaves disposition and wakeup descriptor alone."""
    loop = new_loop()
    loop.close()
    before = signal.getsignal(signal.SIGUSR1)
    with raises(RuntimeError):
        loop.add_signal_handler(signal.SIGUSR1, never)
    assert signal.getsignal(signal.SIGUSR1) == before
    wakeup = signal.set_wakeup_fd(-1)
    assert wakeup == -1, f"the refused call left the wakeup descriptor {wakeup}"


@requires("LIFE-CLOSE-15")
@pytest.mark.parametrize(
    "method",
    [
        "getaddrinfo",
        "getnameinfo",
        "create_connection",
        "create_server",
        "connect_accepted_socket",
        "create_datagram_endpoint",
        "create_unix_connection",
        "connect_read_pipe",
        "connect_write_pipe",
        "sock_recv",
        "sock_recv_into",
        "sock_recvfrom",
        "sock_recvfrom_into",
        "sock_accept",
    ],
)
def test_coroutine_methods_are_refused(new_loop: NewLoop, method: str) -> None:
    """Coroutine methods that start I/O raise RuntimeError on a closed loop in their first step; none crashes."""
    with closed_with_ends(new_loop) as (loop, ends), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a transport that was half made
        with raises(RuntimeError):
            first_step(COROUTINE_METHODS[method](loop, ends))
        gc.collect()


@requires("LIFE-RUN_UNTIL_COMPLETE-19", "LIFE-RUN_UNTIL_COMPLETE-11")
def test_a_refused_coroutine_is_left_to_the_caller(new_loop: NewLoop) -> None:
    """run_until_complete() of a closed loop neither starts nor closes nor wraps the coroutine that it refuses."""
    loop, other = new_loop(), new_loop()
    loop.close()
    coroutine = asyncio.sleep(0, "untouched")
    with raises(RuntimeError):
        loop.run_until_complete(coroutine)
    assert asyncio.all_tasks(loop) == set(), "a task was made on the closed loop"
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    assert other.run_until_complete(coroutine) == "untouched"


@requires("LIFE-RUN_UNTIL_COMPLETE-19")
@pytest.mark.parametrize("call", ["run_until_complete", "create_task"])
def test_refusals_do_not_pile_up_warnings(new_loop: NewLoop, call: str) -> None:
    """A hundred refused coroutines that the caller closes leave no warning, no task and no report."""
    loop = new_loop()
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(100):
            coroutine = asyncio.sleep(0)
            with raises(RuntimeError):
                getattr(loop, call)(coroutine)
            coroutine.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@requires("LIFE-RUN_UNTIL_COMPLETE-19")
def test_a_refused_awaitable_is_not_wrapped_by_a_closed_loop(new_loop: NewLoop) -> None:
    """run_until_complete() of a closed loop does not ask an awaitable for its iterator and leaves no coroutine."""

    class Awaitable:
        touched = False

        def __await__(self) -> Iterator[None]:
            self.touched = True
            yield

    loop = new_loop()
    loop.close()
    awaitable = Awaitable()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with raises(RuntimeError):
            loop.run_until_complete(awaitable)  # type: ignore[arg-type]
        gc.collect()
    assert not awaitable.touched
    assert [str(warning.message) for warning in caught] == []
