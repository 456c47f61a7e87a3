"""How peers live and end: deadline, stop, owner gone, fork, interpreters that end, other threads."""

import gc
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from loopproof import faultkit


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)


def test_the_deadline_ends_a_peer_that_waits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = faultkit.Peer([faultkit.receive(1)], theirs, deadline=0.05)
        with pytest.raises(AssertionError, match="deadline of the peer"):
            peer.verify()


def test_the_deadline_ends_a_peer_that_is_busy() -> None:
    receiver = faultkit.Peer([faultkit.drain()], pair="unix", deadline=60)
    with socket.socket(fileno=receiver.take()) as ours:
        sender = faultkit.Peer([faultkit.send_pattern(1, 2**62)], ours, deadline=0.1)
    with pytest.raises(AssertionError, match=r"deadline of the peer \(0.1 s\) passed in step 1 of 1, .*, after \d+"):
        sender.verify()
    receiver.join()
    assert receiver.log[0].bytes == sender.log[0].bytes


def test_the_deadline_ends_a_peer_that_never_has_to_wait() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        peer = faultkit.Peer(
            [faultkit.send_pattern(1, 2**62, chunks=(1,), to=ours.getsockname())], bind="udp", deadline=0.1
        )
        with pytest.raises(AssertionError, match="deadline of the peer"):
            peer.verify()


def test_a_peer_is_held_released_and_stopped() -> None:
    ours, theirs = socket.socketpair()
    before = faultkit.threads()
    with ours, theirs:
        peer = faultkit.Peer([faultkit.hold(), faultkit.send(b"x"), faultkit.hold()], theirs)
        assert not peer.wait(1, timeout=0.01)
        peer.release()
        assert peer.wait(2)
        assert ours.recv(1) == b"x"
        peer.stop()
        assert peer.ended
    assert faultkit.threads() == before


def test_a_peer_that_nobody_has_any_more_ends() -> None:
    gc.collect()
    descriptors, threads = faultkit.descriptors(), faultkit.threads()
    for script in ([faultkit.hold()], [faultkit.accept()], [faultkit.pause(3600)]):
        faultkit.Peer(script, listen="tcp", deadline=3600)
    cycle: list[object] = [faultkit.Peer([faultkit.expect(b"x")], pair="unix", deadline=3600)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert faultkit.threads() == threads
    assert faultkit.descriptors() == descriptors


def test_the_descriptors_of_an_ended_peer_are_closed() -> None:
    gc.collect()
    before = faultkit.descriptors()
    script = [faultkit.accept(2), faultkit.send_ancillary(b"x", descriptors=1)]
    peer = faultkit.Peer(script, listen="unix")
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(peer.address)
    peer.join()
    assert faultkit.descriptors() == before


def test_an_ended_peer_can_still_be_asked() -> None:
    peer = faultkit.Peer([faultkit.send(b"x"), faultkit.close()], pair="unix")
    for _ in range(2):
        peer.stop()
        peer.release()
        assert peer.join()
        assert peer.ended
        assert len(peer.log) <= 2
        assert "ended" in repr(peer)


def test_a_peer_is_used_from_many_threads_at_once() -> None:
    peer = faultkit.Peer([faultkit.hold()] * 1000, deadline=60)
    errors = []

    def use() -> None:
        try:
            while not peer.ended:
                peer.release()
                peer.wait(1000, timeout=0.001)
                assert len(peer.log) <= 1000
                repr(peer)
            peer.join()
            peer.verify()
        except Exception as error:  # reported below
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert peer.completed == 1000


def test_a_forked_child_has_no_peers() -> None:
    result = run(
        """
import gc, os, socket, sys, warnings
from loopproof import faultkit
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork while there are threads
server = faultkit.Peer([faultkit.accept(), faultkit.expect_eof()], listen="tcp", deadline=60)
pair = faultkit.Peer([faultkit.expect(b"x"), faultkit.expect_eof()], pair="unix", deadline=60)
fd = pair.take()
child = os.fork()
if child == 0:
    os.close(fd)
    for use in (server.join, server.stop, server.verify, server.release, lambda: server.log, lambda: server.ended):
        try:
            use()
        except RuntimeError as error:
            assert "parent" in str(error)
        else:
            os._exit(3)
    assert "another process" in repr(server)
    del server, pair
    gc.collect()
    with faultkit.Peer([faultkit.expect_eof()], pair="unix") as own:
        os.close(own.take())
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
os.write(fd, b"x")
os.close(fd)
pair.verify()
socket.create_connection(server.address).close()
server.verify()
print("good")
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")


@pytest.mark.parametrize(
    "keep", ["peers", "sys.peers = peers", "builtins.peers = peers", "ctypes.pythonapi.Py_IncRef(x)"]
)
def test_an_interpreter_that_ends_does_not_wait_for_peers(keep: str) -> None:
    began = time.monotonic()
    result = run(
        f"""
import builtins, ctypes, sys
from loopproof import faultkit
peers = [faultkit.Peer([faultkit.hold()], pair="unix", deadline=3600) for _ in range(100)]
x = ctypes.py_object(peers[0])
{keep}
print("good")
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")
    assert time.monotonic() - began < 60


def test_a_process_that_ends_while_threads_wait_for_peers() -> None:
    result = run(
        """
import threading
from loopproof import faultkit
peer = faultkit.Peer([faultkit.hold()], deadline=3600)
for use in (peer.join, peer.verify, lambda: peer.wait(1)):
    threading.Thread(target=use, daemon=True).start()
print("good")
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")


def test_subinterpreters_have_peers_of_their_own() -> None:
    result = run(
        """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
script = '''
from loopproof import faultkit
import gc, os
before = len(faultkit.threads())
with faultkit.Peer([faultkit.expect(b"x")], pair="unix") as peer:
    fd = peer.take()
    os.write(fd, b"x")
os.close(fd)
left = faultkit.Peer([faultkit.hold()], pair="unix", deadline=3600)
'''
from loopproof import faultkit
threads = faultkit.threads()
for _ in range(3):
    number = interpreters.create()
    failure = interpreters.run_string(number, script)
    assert failure is None, failure
    interpreters.destroy(number)
assert faultkit.threads() == threads
print("good")
"""
    )
    assert (result.returncode, result.stdout) == (0, "good\n"), result.stderr


def test_signals_are_not_for_peers() -> None:
    result = run(
        """
import os, signal
from loopproof import faultkit
peers = [faultkit.Peer([faultkit.hold()], deadline=60) for _ in range(10)]
signal.signal(signal.SIGALRM, lambda *_: print("good"))
os.kill(os.getpid(), signal.SIGALRM)
with faultkit.Peer([faultkit.hold(), faultkit.send(b"x")], pair="pipe_source") as broken:
    os.close(broken.take())
    broken.release()
    broken.join()
    assert "Broken pipe" in broken.log[1].detail
    raise SystemExit(0)
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")


def test_waiting_for_a_peer_can_be_interrupted() -> None:
    result = run(
        """
import os, signal, threading
from loopproof import faultkit
peer = faultkit.Peer([faultkit.hold()], deadline=3600)
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    peer.join()
except KeyboardInterrupt:
    print("good")
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")


def test_a_closed_descriptor_is_refused() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        faultkit.Peer([faultkit.receive(1)], reading)


def test_without_descriptors_there_is_no_peer_and_none_is_lost() -> None:
    result = run(
        """
import os, resource
from loopproof import faultkit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
def fill():
    held = []
    while True:
        try:
            held.append(os.dup(0))
        except OSError:
            return held
all_held = fill()
for how in ({}, {"pair": "unix"}, {"pair": "tcp"}, {"pair": "pty_master"}, {"listen": "tcp"}, {"bind": "udp"}):
    failures = 0
    for free in range(10):
        for fd in all_held[:free]:
            os.close(fd)
        try:
            faultkit.Peer([], **how)
        except OSError as error:
            assert "Too many open files" in str(error)
            failures += 1
        assert len(fill()) == free, (how, free)
    assert 1 <= failures < 10, (how, failures)
print("good")
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "good\n", "")
