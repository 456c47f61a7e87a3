"""The injector itself: its rules, its trace, whom it binds, and how it ends."""

import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from injected import injected, outcome

from loopproof import faultkit
from loopproof.faultkit import allow, delay, fail, short

pytestmark = pytest.mark.skipif(
    faultkit.available()["short"] is not None, reason=f"the kernel: {faultkit.available()['short']}"
)


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_rules_are_data() -> None:
    rule = fail("recv", "EAGAIN", nth=3, kind="tcp")
    assert rule == {"do": "fail", "calls": "recv", "error": "EAGAIN", "nth": 3, "kind": "tcp"}
    assert short("writing", size=1) == {"do": "short", "calls": "writing", "size": 1}
    assert json.loads(json.dumps(rule)) == rule
    assert faultkit.Injector([rule, allow(("read", "epoll_*")), delay("close", 0.5)]).rules[0] == rule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fail("reed", "EIO"), r"fail: calls: there is no system call or group 'reed'"),
        (lambda: fail("futex", "EIO"), r"fail: calls: there is no system call"),
        (lambda: fail((), "EIO"), r"fail: calls: must not be empty"),
        (lambda: fail("read", "EFOO"), r"fail: error: there is no error 'EFOO'"),
        (lambda: fail("read", "errorcode"), r"fail: error: there is no error"),
        (lambda: fail("read", 0), r"fail: error: there is no error 0"),
        (lambda: fail("read", 512), r"fail: error: there is no error 512"),
        (lambda: fail("read", 2**70), r"fail: error: there is no error"),
        (lambda: fail("read", "EIO", nth=0), r"fail: nth: must be from 1"),
        (lambda: fail("read", "EIO", count=-1), r"fail: count: must be from 1"),
        (lambda: fail("read", "EIO", kind="tpc"), r"fail: kind: there is no \(further\) kind of descriptor 'tpc'"),
        (lambda: fail("read", "EIO", where="here"), r"fail: where: there is no \(further\) caller 'here'"),
        (lambda: fail("read", "EIO", probability=1.5), r"fail: probability: must be from 0 to 1"),
        (lambda: fail("read", "EIO", probability=float("nan")), r"fail: probability"),
        (lambda: fail("socket", "EMFILE", kind="tcp"), r"fail: kind: none of these calls works on a descriptor"),
        (lambda: fail("close", "EBADF"), r"fail: error: close, which closes all the same"),
        (lambda: fail("close", "EIO", where="children"), r"fail: where: close"),
        (lambda: short("socket", 1), r"short: calls: none of them moves bytes"),
        (lambda: short("read", 0), r"short: size: must be from 1"),
        (lambda: short("read", 1, where="children"), r"short: where: transfers of children"),
        (lambda: delay("read", -1), r"delay: seconds: must be from 0"),
        (lambda: delay("read", 1e9), r"delay: seconds: must be from 0 to 86400"),
        (lambda: faultkit.Injector([]), r"1 to \d+ rules, not 0"),
        (lambda: faultkit.Injector([allow("read"), {"do": "dance"}]), r"rule 2: there is no action 'dance'"),
        (lambda: faultkit.Injector([allow("read")], seed=-1), r"seed must be from 0"),
        (lambda: faultkit.Injector([allow("read")]).replay(), r"1 to \d+ rules, not 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fail("read"), r"fail: the field 'error' is missing"),
        (lambda: fail(1, "EIO"), r"fail: calls: must be a name or a tuple of names, not int"),
        (lambda: fail((1,), "EIO"), r"fail: calls: there is no system call or group 1"),
        (lambda: fail("read", 1.5), r"fail: error: must be the name"),
        (lambda: fail("read", "EIO", "tcp"), r"fail: too many positional"),
        (lambda: fail("read", "EIO", error="EIO"), r"fail: the field 'error' is given twice"),
        (lambda: allow("read", error="EIO"), r"allow: there is no field 'error'"),
        (lambda: short("read", "1"), r"short: size: "),
        (lambda: faultkit.Injector([1]), r"rule 1: must be a dict, not int"),
        (lambda: faultkit.Injector([{}]), r"rule 1: the action, the text under the key 'do', is missing"),
        (
            lambda: faultkit.Injector([{"do": "fail", "calls": "read", "error": "EIO", 1: 2}]),
            r"rule 1: fail: there is no",
        ),
        (lambda: faultkit.Injector(None), r"not iterable"),
        (lambda: faultkit.Injector([allow("read")]).run(3), r"run\(\) wants a function"),
    ],
)
def test_rules_of_the_wrong_shape_are_refused(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_run_returns_what_the_callable_does() -> None:
    injector = faultkit.Injector([allow("getrandom")])
    assert injector.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(RuntimeError, match="only once"):
        injector.install()
    with pytest.raises(ZeroDivisionError):
        faultkit.Injector([allow("getrandom")]).run(divmod, 7, 0)
    assert faultkit.Injector([allow("getrandom")]).run(int, "ff", base=16) == 255


def test_the_trace_tells_what_was_seen_and_done() -> None:
    ours, theirs = socket.socketpair()
    injector = faultkit.Injector([short("send", 2, nth=2), allow("recv"), fail("recv", "EIO")])

    def case() -> bytes:
        ours.send(b"hello")
        ours.send(b"world")
        return theirs.recv(100)

    with ours, theirs:
        assert injector.run(case) == b"hellowo"
        first, second, third = injector.trace
    assert (first.call, first.where, first.kind, first.size) == ("sendto", "thread", "unix", 5)
    assert (first.number, first.nth, first.rule, first.action, first.result) == (1, 1, None, "allow", None)
    assert (second.number, second.nth, second.rule, second.action, second.result) == (2, 2, 1, "short", 2)
    assert (third.call, third.size, third.rule, third.action) == ("recvfrom", 100, 2, "allow")
    assert first.time <= second.time <= third.time
    assert first.task == third.task
    assert (injector.seen, injector.chosen, injector.lost) == ((2, 1, 1), (1, 1, 0), 0)
    assert faultkit.rules_from(injector.trace) == (
        {"do": "short", "calls": "sendto", "size": 2, "nth": 2, "kind": "unix", "where": "thread"},
    )


def test_numbers_in_an_eventfd_are_not_cut() -> None:
    number = os.eventfd(0)
    injector = faultkit.Injector([short(("reading", "writing"), 1)])

    def case() -> int:
        os.eventfd_write(number, 5)
        return os.eventfd_read(number)

    assert injector.run(case) == 5
    os.close(number)
    assert [(call.kind, call.action) for call in injector.trace] == [("eventfd", "allow")] * 2


def test_datagrams_are_not_cut() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        assert faultkit.Injector([short("*", 1)]).run(lambda: (ours.send(b"hello"), theirs.recv(9))) == (5, b"hello")


def test_a_transfer_that_would_wait_is_left_to_its_thread() -> None:
    reading, writing = os.pipe()
    injector = faultkit.Injector([short("read", 2, kind="pipe")])
    timer = threading.Timer(0.05, os.write, (writing, b"hello"))
    timer.start()
    assert injector.run(os.read, reading, 10) == b"hello"
    timer.join()
    assert injector.trace[0].action == "allow"
    assert (injector.seen, injector.chosen) == ((1,), (0,))
    os.close(reading)
    os.close(writing)


def test_a_close_that_fails_has_closed() -> None:
    reading, writing = os.pipe()
    injector = faultkit.Injector([fail("close", "EINTR", kind="pipe")])
    with pytest.raises(InterruptedError):
        injector.run(os.close, writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert injected(injector) == [("pipe", "fail", "EINTR")]


def test_one_injector_a_thread_and_what_it_starts() -> None:
    def nested() -> Any:
        inner = faultkit.Injector([allow("getrandom")])
        refused = outcome(inner.install), outcome(inner.run, int), faultkit.available()["injector"]
        inner.close()
        return refused

    installed, ran, available = faultkit.Injector([allow("getrandom")]).run(nested)
    assert isinstance(installed, OSError)
    assert isinstance(ran, OSError)
    assert "listens to this thread's system calls already" in str(installed)
    assert available in str(ran)


def test_injectors_in_two_threads_do_not_meet() -> None:
    barrier = threading.Barrier(2)
    results: dict[str, Any] = {}

    def case() -> Any:
        barrier.wait()
        return [outcome(os.getrandom, 1) for _ in range(100)]

    def run(error: str) -> None:
        injector = faultkit.Injector([fail("getrandom", error)])
        results[error] = injector.run(case), injector.seen

    threads = [threading.Thread(target=run, args=(error,)) for error in ("EIO", "ENOMEM")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error, number in (("EIO", 5), ("ENOMEM", 12)):
        assert [result.errno for result in results[error][0]] == [number] * 100
        assert results[error][1] == (100,)


def test_callers_are_told_apart() -> None:
    rules = [fail("getrandom", "EIO", where="threads"), allow("*", where=("thread", "threads", "children"))]
    injector = faultkit.Injector(rules)

    def case() -> Any:
        result: list[Any] = []
        thread = threading.Thread(target=lambda: result.append(outcome(os.getrandom, 1)))
        thread.start()
        thread.join()
        return len(os.getrandom(1)), result[0], subprocess.run(["true"], check=False).returncode

    own, others, status = injector.run(case)
    assert (own, others.errno, status) == (1, 5, 0)
    assert {call.where for call in injector.trace} == {"thread", "threads", "children"}
    assert {call.call for call in injector.trace if call.where == "children"} >= {"execve", "openat", "close"}


def test_nothing_is_left_of_an_injector() -> None:
    before = faultkit.threads(), faultkit.descriptors()
    for _ in range(20):
        assert faultkit.Injector([delay("getrandom", 0.001)]).run(os.getrandom, 1)
    assert (faultkit.threads(), faultkit.descriptors()) == before


def test_a_closed_injector_lets_delayed_calls_go() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x")
    injector = faultkit.Injector([delay("read", 3600, kind="pipe")])

    def case() -> None:
        with injector:
            assert os.read(reading, 1) == b"x"

    thread = threading.Thread(target=case)
    thread.start()
    while not injector.trace:
        os.sched_yield()
    injector.close()
    thread.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("ending", ["", "os.abort()", "os._exit(7)", "sys.exit(7)", "del injector"])
def test_the_interpreter_ends_with_a_live_injector(ending: str) -> None:
    done = run_script(f"""
import os, sys, threading
from loopproof import faultkit
rules = [faultkit.delay("read", 3600, where="threads", kind="device"), faultkit.fail("*", "EINTR", nth=10**6)]
injector = faultkit.Injector(rules)
del rules
injector.install()
threading.Thread(target=os.read, args=(os.open("/dev/zero", os.O_RDONLY), 1), daemon=True).start()
{ending}
""")
    assert done.returncode == {"": 0, "del injector": 0, "os.abort()": -6}.get(ending, 7)
    assert "Fatal" not in done.stderr


def test_forked_children_go_on_and_may_have_their_own() -> None:
    done = run_script("""
import os, subprocess
from loopproof import faultkit
injector = faultkit.Injector([faultkit.fail("getrandom", "EIO"), faultkit.allow("*", where="children")])
injector.install()
child = os.fork()
if child == 0:
    assert len(os.getrandom(4)) == 4
    assert "of another process" in repr(injector)
    assert not [fd for fd in faultkit.descriptors() if "seccomp" in faultkit.descriptor(fd).target]
    try:
        faultkit.Injector([faultkit.allow("read")]).install()
    except OSError:
        os._exit(subprocess.run(["sh", "-c", "cat /dev/null; exit 3"]).returncode)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
try:
    os.getrandom(4)
except OSError as error:
    assert error.errno == 5
assert {call.where for call in injector.trace} == {"thread", "children"}
print("done")
""")
    assert done.stdout == "done\n", done.stderr


def test_an_unfiltered_fork_is_free() -> None:
    injector = faultkit.Injector([fail("getrandom", "EIO")])
    inside, leave = threading.Event(), threading.Event()

    def case() -> None:
        inside.set()
        leave.wait()

    thread = threading.Thread(target=injector.run, args=(case,))
    thread.start()
    inside.wait()
    done = run_script("import os; raise SystemExit(len(os.getrandom(4)))")
    leave.set()
    thread.join()
    assert done.returncode == 4


@pytest.mark.parametrize("error", [1, 38])
def test_a_kernel_that_refuses_says_why(error: int) -> None:
    done = run_script(f"""
import ctypes, os, platform, struct
from loopproof import faultkit
number = {{"x86_64": 317, "aarch64": 277}}[platform.machine()]
load_and_compare = (0x20, 0, 0, 0, 0x15, 0, 1, number)
answers = (0x06, 0, 0, 0x50000 | {error}, 0x06, 0, 0, 0x7FFF0000)
program = struct.pack("HBBI" * 4, *load_and_compare, *answers)
class Program(ctypes.Structure):
    _fields_ = [("size", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Program(4, program)), 0, 0) == 0
reason = faultkit.available()["injector"]
assert reason == faultkit.available()["short"]
try:
    faultkit.Injector([faultkit.allow("read")]).install()
except OSError as error:
    assert error.strerror == reason and error.errno == {error}
    print(reason)
""")
    assert ("forbidden" if error == 1 else "has no seccomp") in done.stdout, done.stderr


def test_what_torture_needs_is_data() -> None:
    errors = faultkit.plausible_errors()
    groups = faultkit.call_groups()
    assert "ECONNABORTED" in errors["accept4"]
    assert {name for members in groups.values() for name in members} == errors.keys()
    for name, plausible in errors.items():
        for error in plausible:
            fail(name, error, nth=1)
