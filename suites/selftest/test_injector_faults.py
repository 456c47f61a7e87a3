"""Each class of faults arrives: in the trace and in its effect, on a plain blocking socket and on three loops.

Where a loop has its own idea of an error, the case is about the arrival alone: what is right is for the suite to say.
"""

import gc
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from injected import (
    LOOPS,
    PATIENCE,
    Client,
    child,
    exchange,
    injected,
    is_answer,
    outcome,
    partner,
    plain_child,
    plain_exchange,
    run_on,
    serve,
)

from loopproof import faultkit
from loopproof.faultkit import delay, fail, short

pytestmark = [
    pytest.mark.skipif(
        faultkit.available()["short"] is not None, reason=f"the kernel: {faultkit.available()['short']}"
    ),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # what loops leave is not the subject
]
ON_LOOPS = pytest.mark.parametrize("loop", LOOPS)
ANYWHERE = pytest.mark.parametrize("loop", ["plain", *LOOPS])


@pytest.fixture(autouse=True)
def _rubbish() -> Iterator[None]:
    """What loops leave complains within the case, where that is ignored."""
    yield
    gc.collect()


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def exchange_under(injector: faultkit.Injector, loop: str, patience: float = PATIENCE) -> Any:
    """Exchange patterns with a peer; returns the answer, or the exception that its receiver met."""
    peer = partner()

    def case() -> Any:
        if loop == "plain":
            return outcome(plain_exchange, peer.address)
        result = outcome(run_on, LOOPS[loop], exchange(peer.address), patience)
        return result if isinstance(result, Exception) else result[1] or result[0]

    result = injector.run(case)
    peer.stop()
    return result


@ANYWHERE
@pytest.mark.parametrize("calls", ["reading", "writing"])
def test_eintr_is_got_over(loop: str, calls: str) -> None:
    injector = faultkit.Injector([fail(calls, "EINTR", kind="tcp", count=5)])
    assert is_answer(exchange_under(injector, loop))
    assert injected(injector) == [("tcp", "fail", "EINTR")] * 5


@ANYWHERE
@pytest.mark.parametrize("calls", ["reading", "writing"])
def test_eagain_makes_a_loop_wait_and_a_blocking_socket_fail(loop: str, calls: str) -> None:
    injector = faultkit.Injector([fail(calls, "EAGAIN", kind="tcp", count=5)])
    result = exchange_under(injector, loop)
    assert isinstance(result, BlockingIOError) if loop == "plain" else is_answer(result)
    assert injected(injector) == [("tcp", "fail", "EAGAIN")] * (1 if loop == "plain" else 5)


@ANYWHERE
@pytest.mark.parametrize("calls", ["reading", "writing"])
def test_transfers_are_cut_and_every_byte_arrives(loop: str, calls: str) -> None:
    injector = faultkit.Injector([short(calls, 30_011, kind="tcp")])
    assert is_answer(exchange_under(injector, loop))
    done = injected(injector)
    assert len(done) >= 90
    assert all(kind == "tcp" and action == "short" and 0 < size <= 30_011 for kind, action, size in done)
    assert done[0][2] == 30_011


@ON_LOOPS
def test_polling_is_interrupted(loop: str) -> None:
    injector = faultkit.Injector([fail("polling", "EINTR", kind="epoll", count=3)])
    assert is_answer(exchange_under(injector, loop))
    assert injected(injector) == [("epoll", "fail", "EINTR")] * 3


@ANYWHERE
def test_reads_are_delayed(loop: str) -> None:
    injector = faultkit.Injector([delay("reading", 0.02, kind="tcp", count=3)])
    began = time.monotonic()
    assert is_answer(exchange_under(injector, loop))
    assert time.monotonic() - began >= 0.06
    assert injected(injector) == [("tcp", "delay", 0.02)] * 3


@ANYWHERE
@pytest.mark.parametrize(
    ("calls", "error"),
    [("reading", "ECONNRESET")] + [("writing", error) for error in ("ECONNRESET", "EPIPE", "ENOBUFS", "ENOMEM")],
)
def test_errors_of_a_connection(loop: str, calls: str, error: str) -> None:
    injector = faultkit.Injector([fail(calls, error, kind="tcp", nth=1)])
    result = exchange_under(injector, loop, 5 if loop == "rloop" else PATIENCE)
    assert injected(injector) == [("tcp", "fail", error)]
    if loop != "rloop":  # waits on after a reset, and has a RuntimeError for the others
        assert isinstance(result, OSError)
        assert faultkit.Injector([fail("read", result.errno)]).rules[0]["error"] == result.errno
        assert type(result) is type(OSError(result.errno, ""))


@ANYWHERE
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (fail("connect", "ECONNREFUSED", kind="tcp"), ConnectionRefusedError),
        (fail("connect", "ENETUNREACH", kind="tcp"), OSError),
        (fail("socket", "EMFILE"), OSError),
    ],
    ids=["refused", "unreachable", "descriptors"],
)
def test_connecting_fails(loop: str, rule: dict[str, Any], error: type[OSError]) -> None:
    injector = faultkit.Injector([rule])
    assert isinstance(exchange_under(injector, loop), error)
    assert injected(injector)[0][1:] == ("fail", rule["error"])


@ON_LOOPS
@pytest.mark.parametrize("error", ["EINTR", "EAGAIN", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS"])
def test_accepting_fails_once(loop: str, error: str, client: Client) -> None:
    injector = faultkit.Injector([fail("accepting", error, nth=1)])
    assert injector.run(run_on, LOOPS[loop], serve(client.connect)) == b"0123456789"
    assert injected(injector) == [("tcp", "fail", error)]


@pytest.mark.parametrize("error", ["ECONNABORTED", "EMFILE"])
def test_a_plain_accept_fails_once(error: str, client: Client) -> None:
    injector = faultkit.Injector([fail("accepting", error, nth=1)])
    with socket.create_server(("127.0.0.1", 0)) as server:
        client.connect(server.getsockname())

        def case() -> bytes:
            with pytest.raises(OSError, match=r"abort|Too many"):
                server.accept()
            ours, _ = server.accept()
            with ours:
                return ours.recv(100)

        assert injector.run(case) == b"0123456789"
    assert injected(injector) == [("tcp", "fail", error)]


@ANYWHERE
def test_a_child_cannot_be_started(loop: str) -> None:
    injector = faultkit.Injector([fail("spawning", "EAGAIN")])
    result = injector.run(outcome, plain_child) if loop == "plain" else injector.run(outcome, run_child, loop)
    assert isinstance(result, BlockingIOError)
    assert (None, "fail", "EAGAIN") in injected(injector)


@ANYWHERE
def test_a_child_cannot_execute(loop: str) -> None:
    injector = faultkit.Injector([fail("execve", "EACCES", where="children")])
    result = injector.run(outcome, plain_child) if loop == "plain" else injector.run(outcome, run_child, loop)
    assert isinstance(result, PermissionError)
    assert {call.where for call in injector.trace if call.action == "fail"} == {"children"}


@ANYWHERE
def test_a_kernel_without_io_uring(loop: str) -> None:
    injector = faultkit.Injector([fail("io_uring_setup", "ENOSYS")])
    assert is_answer(exchange_under(injector, loop))
    assert injected(injector) == [(None, "fail", "ENOSYS")] * injector.seen[0]
    assert injector.seen[0] >= (loop == "uvloop")


@ANYWHERE
def test_a_kernel_without_pidfds(loop: str) -> None:
    injector = faultkit.Injector([fail("pidfd_open", "ENOSYS")])
    result = injector.run(outcome, plain_child) if loop == "plain" else injector.run(outcome, run_child, loop)
    assert injected(injector) == [(None, "fail", "ENOSYS")] * injector.seen[0]
    assert result == 3 or (
        injector.seen[0] and result.errno == 38
    )  # asyncio may have found out before that it has them


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this Python has no os.pidfd_open")
def test_a_plain_pidfd_open_and_getrandom_fail() -> None:
    injector = faultkit.Injector([fail("pidfd_open", "ENOSYS"), fail("random", "EAGAIN")])
    assert injector.run(outcome, os.pidfd_open, os.getpid()).errno == 38
    again = injector.replay()
    assert again.run(outcome, os.pidfd_open, os.getpid()).errno == 38
    injector = faultkit.Injector([fail("random", "EAGAIN")])
    assert isinstance(injector.run(outcome, os.getrandom, 8), BlockingIOError)


@ON_LOOPS
def test_what_was_drawn_by_a_seed_replays_exactly(loop: str) -> None:
    rules = [fail("reading", "EINTR", kind="tcp", probability=0.3), short("writing", 100_000, kind="tcp")]
    injector = faultkit.Injector(rules, seed=11)
    assert is_answer(exchange_under(injector, loop))
    again = injector.replay()
    exchange_under(again, loop)
    expected = [(call.call, call.nth, call.result) for call in injector.trace if call.result == "EINTR"]
    repeated = [(call.call, call.nth, call.result) for call in again.trace if call.result == "EINTR"]
    assert expected
    assert repeated == expected[: len(repeated)]  # how many reads there are is the kernel's business


def run_child(loop: str) -> Any:
    return run_on(LOOPS[loop], child())
