"""A run of the suite against a saboteur, in a process forked from one that has read already what each run needs."""

import gc
import os
import sys
from pathlib import Path

import pytest
import xdist.plugin  # noqa: F401

from loopproof import spec
from loopproof.authoring import links
from loopproof.loops import LoopSpec
from loopproof.plugin import assembly  # noqa: F401

spec.load()
LoopSpec.parse("sabotaged:run").profile  # noqa: B018  looks through all profiles and packages
links.PATIENCE //= 5  # a saboteur leaves out what others do at once


def run(arguments: list[str], output: Path) -> None:
    """Run pytest with these arguments, and nothing that it would find by itself; what it says goes to ``output``."""
    gc.freeze()  # what was there before is no garbage, and need not be looked through
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ |= {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.exit(pytest.main(arguments))
