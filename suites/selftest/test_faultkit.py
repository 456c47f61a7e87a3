"""The fault kit seen from Python: patterns, the page of examples, reports of crashes."""

import doctest
import os
import signal
import subprocess
import sys

import pytest

from loopproof import faultkit


def test_the_page_of_examples_is_true() -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failures, examples = doctest.testmod(faultkit, optionflags=options)
    assert examples > 20
    assert failures == 0


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
