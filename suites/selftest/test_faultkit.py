"""The fault kit seen from Python: peers, patterns, reports of crashes."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from loopproof import faultkit


@pytest.mark.parametrize("size", [0, 1, 7, 8, 65_537, 3_000_000])
def test_an_echo_gives_the_pattern_back(size: int) -> None:
    sent = faultkit.pattern(seed=7, size=size)
    with faultkit.Peer([faultkit.accept(), faultkit.echo(), faultkit.close()], listen="tcp") as peer:
        received = bytearray()
        with socket.create_connection(peer.address) as ours:

            def send() -> None:
                ours.sendall(sent)
                ours.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            while data := ours.recv(65_536):
                received += data
            sender.join()
    assert faultkit.verify_pattern(received, seed=7) is None
    assert len(received) == size
    assert [entry.state for entry in peer.log] == ["done"] * 3
    assert peer.log[1].bytes == size


@pytest.mark.parametrize("listen", ["tcp", "tcp6", "unix"])
def test_a_peer_listens(listen: str) -> None:
    families = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}
    script = [faultkit.accept(), faultkit.send(b"hello"), faultkit.expect_eof()]
    with faultkit.Peer(script, listen=listen) as peer, socket.socket(families[listen]) as ours:
        ours.connect(peer.address)
        assert ours.recv(5, socket.MSG_WAITALL) == b"hello"
        ours.shutdown(socket.SHUT_WR)


def test_a_peer_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = [faultkit.connect(server.getsockname()), faultkit.expect(b"hello"), faultkit.reset()]
        with faultkit.Peer(script):
            ours, _ = server.accept()
            with ours:
                ours.sendall(b"hello")
                with pytest.raises(ConnectionResetError):
                    ours.recv(1)


def test_a_wrong_byte_is_named_with_its_offset() -> None:
    ours, theirs = socket.socketpair()
    data = bytearray(faultkit.pattern(seed=3, size=100_000))
    data[70_000] ^= 1
    with ours, theirs:
        peer = faultkit.Peer([faultkit.expect_pattern(3, 100_000)], theirs)
        ours.sendall(data)
        with pytest.raises(AssertionError, match=r"step 1 of 1, expect_pattern\(.*70000|70,000"):
            peer.verify()
    assert faultkit.verify_pattern(data, seed=3) == 70_000


def test_the_deadline_ends_a_peer_that_waits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = faultkit.Peer([faultkit.receive(1)], theirs, deadline=0.05)
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


@pytest.mark.parametrize(
    ("script", "error"),
    [([{"do": "dance"}], ValueError), ([1], TypeError), ([{"do": "accept"}], ValueError), (None, TypeError)],
)
def test_a_script_that_makes_no_sense_is_refused(script: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        faultkit.Peer(script)


def test_a_pattern_can_be_had_in_parts() -> None:
    whole = faultkit.pattern(5, 1000)
    assert faultkit.pattern(5, 300, offset=137) == whole[137:437]
    assert faultkit.pattern(6, 1000) != whole
    with pytest.raises(ValueError, match=r"2\*\*62"):
        faultkit.pattern(5, 1, offset=2**62)


@pytest.mark.parametrize(
    ("death", "number"),
    [("os.abort()", signal.SIGABRT), ("ctypes.string_at(0)", signal.SIGSEGV), ("os.kill(0 or os.getpid(), 8)", 8)],
)
@pytest.mark.parametrize("with_python", [False, True])
def test_a_crash_is_reported_and_still_kills(death: str, number: int, with_python: bool) -> None:
    script = f"""
import ctypes, faulthandler, os
from loopproof import faultkit
{"faulthandler.enable(2)" if with_python else ""}
faultkit.report_crashes(2)
{death}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -number
    lines = done.stderr.splitlines()
    assert lines[0] == f"C backtrace ({signal.Signals(number).name}):"
    assert len([line for line in lines if "[0x" in line]) >= 3
    assert ("Fatal Python error" in done.stderr) is with_python


def test_a_crash_report_needs_an_open_descriptor() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        faultkit.report_crashes(writing)
