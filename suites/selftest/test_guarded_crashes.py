"""Each forbidden access to a guarded buffer ends the process, and its last words name the buffer and the offset."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from loopproof.faultkit import GuardedBuffer

PRELUDE = """
import ctypes, faulthandler, sys
from loopproof import faultkit
from loopproof.faultkit import GuardedBuffer

def write(address, size=1):
    ctypes.memset(address, 1, size)

def read(address, size=1):
    ctypes.string_at(address, size)
"""


def crash(source: str) -> list[str]:
    """Run a script that has to die by SIGSEGV; return the lines of its standard error."""
    script = PRELUDE + textwrap.dedent(source)
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("source", "report"),
    [
        ("b = GuardedBuffer(10, name='x'); write(b.address + 10)", "write at offset 10, 1 byte past its end (size 10)"),
        ("b = GuardedBuffer(4096, name='x'); read(b.address, 4097)", "offset 4096, 1 byte past its end (size 4096)"),
        ("b = GuardedBuffer(10, name='x'); read(b.address + 12)", "read at offset 12, 3 bytes past its end (size 10)"),
        (
            "b = GuardedBuffer(10, name='x', flush='lower'); write(b.address - 1)",
            "write at offset -1, 1 byte before its start (size 10)",
        ),
        ("b = GuardedBuffer(0, name='x'); read(b.address)", "read at offset 0, 1 byte past its end (size 0)"),
        (
            "b = GuardedBuffer(b'constant', name='x', readonly=True); write(b.address + 3)",
            "offset 3, which is read-only",
        ),
        (
            "b = GuardedBuffer(10, name='x'); b.release(); read(b.address + 9)",
            "read at offset 9, after its release (size 10)",
        ),
        (
            "b = GuardedBuffer(10, name='x'); view = memoryview(b); b.revoke(); view[5] = 1",
            "write at offset 5, after its release (size 10)",
        ),
        (
            "b = GuardedBuffer(10, name='x'); old = b.address; b.resize(20); write(old)",
            "write at offset 0, of the memory that it had before it was resized (size 10)",
        ),
        (
            "b = GuardedBuffer(5 << 30, name='x'); write(b.address + (5 << 30))",
            "write at offset 5368709120, 1 byte past its end (size 5368709120)",
        ),
        (
            "b = GuardedBuffer(10, name='x', shape=(5,), strides=(-2,)); read(b.address + 10)",
            "read at offset 10, 1 byte past its end (size 10)",
        ),
    ],
)
def test_a_forbidden_access_is_reported_and_deadly(source: str, report: str) -> None:
    lines = crash(source)
    assert lines[0].startswith("guarded buffer 'x': ")
    assert report in lines[0]
    assert lines[1] == "C backtrace (SIGSEGV):"


def test_a_name_is_told_as_it_is_but_for_what_would_break_the_line() -> None:
    lines = crash("b = GuardedBuffer(1, name='größe\\n' + 'y' * 50); write(b.address + 1)")
    assert lines[0].startswith(f"guarded buffer 'größe?{'y' * 50}': write at offset 1")


@pytest.mark.parametrize("first", ["faulthandler", "buffer"])
def test_faulthandler_has_its_turn_whoever_came_first(first: str) -> None:
    """What came before is asked after ours; each buffer that is made puts ours in front again."""
    enable, make = "faulthandler.enable()\n", "b = GuardedBuffer(10, name='x')\n"
    lines = crash((enable + make if first == "faulthandler" else make + enable + make) + "write(b.address + 10)")
    assert lines[0] == "guarded buffer 'x': write at offset 10, 1 byte past its end (size 10)"
    assert lines[1] == "C backtrace (SIGSEGV):"
    assert lines.count("Fatal Python error: Segmentation fault") == 1


def test_the_report_goes_where_crashes_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "report"
    said = crash(f"""
        file = open({str(path)!r}, "w")
        faultkit.report_crashes(file.fileno())
        buffer = GuardedBuffer(10, name="x")
        write(buffer.address + 10)
    """)
    assert said == []
    assert path.read_text().startswith("guarded buffer 'x': write at offset 10, 1 byte past its end (size 10)\n")


def test_a_signal_that_somebody_sent_names_no_buffer() -> None:
    lines = crash("buffer = GuardedBuffer(10); import os; os.kill(os.getpid(), 11)")
    assert lines[0] == "C backtrace (SIGSEGV):"


def test_a_thread_of_c_code_that_overruns_is_reported() -> None:
    lines = crash("""
        import threading
        buffer = GuardedBuffer(10, name="x")
        thread = threading.Thread(target=write, args=(buffer.address, 11))
        thread.start()
        thread.join()
    """)
    assert lines[0].startswith("guarded buffer 'x': write at offset ")


def test_a_system_call_that_is_given_too_large_a_size_fails() -> None:
    """The kernel does not crash: it transfers what fits, or says EFAULT."""
    read = ctypes.CDLL(None, use_errno=True).read
    reading, writing = os.pipe()
    os.write(writing, b"x" * 100)
    buffer = GuardedBuffer(10)
    got = read(reading, ctypes.c_void_p(buffer.address), ctypes.c_size_t(100))
    os.close(reading)
    os.close(writing)
    assert got == 10 or ctypes.get_errno() == errno.EFAULT
