"""Observers tell what this process has, exactly, and leaks are named so that their owner knows them."""

import contextlib
import ctypes
import mmap
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.plugin.hygiene import kind_of
from loopproof.plugin.resources import Resources


@contextlib.contextmanager
def opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def words(make: Callable[[], Any]) -> str:
    """Return how the one descriptor that `make` leaves is named."""
    before = Resources.now()
    made = make()
    (line,) = Resources.now().more_than(before)
    number = made if isinstance(made, int) else made.fileno()
    os.close(number) if isinstance(made, int) else made.close()
    assert Resources.now() == before
    assert line.startswith(f"descriptor {number}: ")
    return line.partition(": ")[2]


def test_anonymous_descriptors_are_named() -> None:
    assert words(lambda: os.eventfd(0)) == "eventfd"
    assert words(lambda: os.pidfd_open(os.getpid())).startswith("pidfd")
    assert words(select.epoll) == "epoll set, now watching nothing"
    with opened(os.eventfd(0)) as event:

        def watching() -> select.epoll:
            poller = select.epoll()
            poller.register(event)
            return poller

        assert words(watching) == f"epoll set, now watching {event}"
        with watching() as poller:
            assert faultkit.descriptor(poller).watches == ((event, os.fstat(event).st_ino),)


def test_files_are_named(tmp_path: Path) -> None:
    assert words(lambda: os.open(tmp_path, os.O_RDONLY)) == f"directory {tmp_path}"
    assert words(lambda: os.open("/dev/null", os.O_RDONLY)) == "device /dev/null"
    assert words(lambda: os.memfd_create("mine")) == "file /memfd:mine (deleted)"
    with contextlib.closing((tmp_path / "a file").open("w")) as file:
        assert words(lambda: os.dup(file.fileno())) == f"file {tmp_path}/a file"
    strange = os.fsencode(tmp_path) + b"/not \xff\xfe UTF-8"
    flags = os.O_CREAT | os.O_WRONLY
    assert words(lambda: os.open(strange, flags)) == "file " + os.fsdecode(strange)


def test_pipes_are_named_by_inode() -> None:
    before = Resources.now()
    reading, writing = os.pipe()
    with opened(reading), opened(writing):
        inode = os.fstat(reading).st_ino
        assert Resources.now().more_than(before) == [
            f"descriptor {end}: pipe pipe:[{inode}]" for end in (reading, writing)
        ]
        assert faultkit.descriptors()[reading] == ("pipe", os.fstat(reading).st_dev, inode)


@pytest.mark.parametrize(
    ("family", "host", "shown"), [("AF_INET", "127.0.0.1", "127.0.0.1"), ("AF_INET6", "::1", "[::1]")]
)
def test_tcp_sockets_are_named(family: str, host: str, shown: str) -> None:
    kind = socket.AddressFamily[family]
    assert words(lambda: socket.socket(kind)) == "TCP socket, neither bound nor connected"
    assert words(lambda: socket.socket(kind, socket.SOCK_DGRAM)) == "UDP socket, neither bound nor connected"
    with socket.create_server((host, 0), family=kind) as server:
        port = server.getsockname()[1]
        assert (
            words(lambda: socket.socket(fileno=os.dup(server.fileno()))) == f"TCP socket, listening on {shown}:{port}"
        )
        with socket.create_connection((host, port)) as client:
            ours = client.getsockname()
            found = faultkit.descriptor(client)
            assert (found.family, found.type, found.listening) == (kind, socket.SOCK_STREAM, False)
            assert (found.local, found.remote) == (ours, client.getpeername())
            line = words(lambda: socket.socket(fileno=os.dup(client.fileno())))
            assert line == f"TCP {shown}:{ours[1]} -> {shown}:{port}, connected"
    with socket.socket(kind, socket.SOCK_DGRAM) as bound:
        bound.bind((host, 0))
        line = words(lambda: socket.socket(fileno=os.dup(bound.fileno())))
        assert line == f"UDP socket, bound to {shown}:{bound.getsockname()[1]}, not connected"


def test_unix_sockets_are_named(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        line = words(lambda: socket.socket(fileno=os.dup(server.fileno())))
        assert line == f"UNIX stream socket, listening on {path!r}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            line = words(lambda: socket.socket(fileno=os.dup(client.fileno())))
            assert line == f"UNIX stream (no name) -> {path!r}, connected"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(b"\0\xffname")
        assert faultkit.descriptor(abstract).local == b"\0\xffname"
        assert faultkit.descriptor(abstract).remote is None


def test_a_number_that_was_given_to_something_else_is_seen() -> None:
    ours, theirs = socket.socketpair()
    other = os.eventfd(0)
    with theirs, opened(other):
        before = Resources.now()
        before.remember()
        number = ours.fileno()
        os.dup2(other, number, inheritable=False)
        now = Resources.now()
        assert now.more_than(before) == [f"descriptor {number}: eventfd"]
        (lost,) = now.lost_since(before)
        assert lost.startswith(f"descriptor {number} (UNIX stream (no name) -> (no name), connected) was closed")
        ours.close()
        assert Resources.now().more_than(before) == []
        assert Resources.now().lost_since(before) == [lost]


def test_threads_are_named() -> None:
    before = Resources.now()
    go = threading.Lock()
    with go:
        thread = threading.Thread(target=go.acquire, name="stray")
        thread.start()
        assert thread.native_id is not None
        while faultkit.thread(thread.native_id).state != "sleeping":
            time.sleep(0.001)
        (line,) = Resources.now().more_than(before)
    thread.join()
    assert line == f"thread {thread.native_id} ('stray'), now sleeping"
    assert kind_of(line) == "thread N ('stray')"


def test_names_of_threads_may_be_any_bytes() -> None:
    libc = ctypes.CDLL(None)
    names = []

    def run() -> None:
        libc.prctl(15, b") \xff (R) 1 2")  # PR_SET_NAME
        names.append(faultkit.thread(threading.get_native_id()).name)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert os.fsencode(names[0]) == b") \xff (R) 1 2"


def test_children_are_named() -> None:
    before = Resources.now()
    with subprocess.Popen(["sleep", "31"]) as child:
        assert faultkit.children() - before.children == {child.pid}
        while faultkit.child(child.pid).command != ("sleep", "31"):  # it is just becoming that
            time.sleep(0.001)
        (line,) = Resources.now().more_than(before)
        assert line.partition(", now")[0] == f"child process {child.pid}: sleep 31"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Resources.now().more_than(before) == [f"child process {child.pid}: sleep, now zombie"]
        assert faultkit.child(child.pid).command == ()
    assert faultkit.children() == before.children
    with pytest.raises(FileNotFoundError, match=f"/proc/{child.pid}/stat"):
        faultkit.child(child.pid)
    with pytest.raises(ChildProcessError, match="no child"):
        faultkit.child(os.getpid())


def test_many_children_are_all_counted() -> None:
    children = [subprocess.Popen(["sleep", "30"]) for _ in range(40)]
    pids = {child.pid for child in children}
    try:
        assert pids <= faultkit.children()
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert not pids & faultkit.children()


def test_mappings_are_counted_by_kind() -> None:
    before = faultkit.mappings()
    size = 64 << 20
    with mmap.mmap(-1, size) as shared:
        now = faultkit.mappings()
        assert now["shared"] == (before["shared"][0] + 1, before["shared"][1] + size)
        assert len(shared) == size
    assert faultkit.mappings()["shared"] == before["shared"]
    assert before["file"][0] > 0
    assert before["stack"][0] == 1


PEAK = """
from loopproof import faultkit
size = 64 << 20
before = faultkit.resident()
block = bytearray(b"x") * size
during = faultkit.resident()
assert during.current >= before.current + size // 2
del block
after = faultkit.resident()
assert after.peak >= after.current + size // 2
try:
    faultkit.reset_peak()
except OSError as error:
    print(error, end="")
else:
    assert faultkit.resident().peak < after.peak - size // 2
"""


def test_the_peak_of_resident_memory_can_be_reset() -> None:
    """In a process of its own: what other tests left may go at any moment, and be as large."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if done.stdout:
        pytest.skip(done.stdout)


@pytest.mark.parametrize("wrong", [-1, 2**40, "x", None])
def test_arguments_that_make_no_sense_are_refused(wrong: Any) -> None:
    for ask in (faultkit.descriptor, faultkit.thread, faultkit.child):
        with pytest.raises((ValueError, TypeError, OverflowError, OSError)):
            ask(wrong)


def test_a_closed_descriptor_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        faultkit.descriptor(writing)


def test_a_forked_child_sees_itself() -> None:
    ours = threading.Thread(target=threading.Event().wait, daemon=True)
    ours.start()
    child = os.fork()
    if child == 0:
        alone = faultkit.threads() == {os.getpid()} and faultkit.children() == frozenset()
        os._exit(0 if alone and faultkit.descriptors() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_where_proc_is_missing_the_error_says_so() -> None:
    script = """
from loopproof import faultkit
import os
reading, _ = os.pipe()
for ask in (faultkit.descriptors, faultkit.threads, faultkit.mappings, faultkit.resident, faultkit.reset_peak,
            lambda: faultkit.descriptor(reading), lambda: faultkit.thread(os.getpid()), lambda: faultkit.child(2)):
    try:
        ask()
    except FileNotFoundError as error:
        assert "/proc" in str(error), error
    else:
        raise SystemExit("no error")
assert faultkit.children() == frozenset()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    hide = f'mount -t tmpfs none /proc && exec {sys.executable} -c "$SCRIPT"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide],
        env={**environment, "SCRIPT": script},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount /proc with hidepid, and become somebody else")
def test_a_child_that_proc_hides_is_an_error() -> None:
    script = """
import os, subprocess
from loopproof import faultkit
child = subprocess.Popen(["sleep", "30"])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert faultkit.children() == {child.pid}
try:
    faultkit.child(child.pid)
except FileNotFoundError as error:
    assert str(child.pid) in str(error)
else:
    raise SystemExit("no error")
"""
    hide = f'mount -t proc -o hidepid=2 none /proc && exec {sys.executable} -c "$SCRIPT"'
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", hide],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SCRIPT": script},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")
