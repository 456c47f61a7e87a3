"""``loopproof doctor``: what this machine has, which loops are installed, and what will be skipped for that."""

import argparse
import importlib.metadata
import platform
import shutil
import sys

from rich.console import Console
from rich.table import Table

from .. import profiles
from ..cases import inventory
from ..loops import LoopSpec
from ..machine import FEATURES
from .exits import CONFORMS

TOOLS = {
    "gcc": "builds of the project itself",
    "clang": "fuzzing, and the project's own checks",
    "cmake": "builds of the project itself",
    "pkg-config": "builds of the project itself",
    "valgrind": "memory checks of loops written in C",
    "chromium": "the tests of the report",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what this machine can run",
        description="Name the kernel features, privileges and tools that this machine has, the loops that are "
        "installed, and the cases that will be skipped for what is missing.",
    )
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print what is here and what is not; return the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    libc = " ".join(platform.libc_ver()).strip() or "unknown libc"
    console.print(f"Python {platform.python_version()} ({sys.executable})", markup=False)
    console.print(f"{platform.system()} {platform.release()} {platform.machine()}, {libc}\n", markup=False)
    table = _table("kernel features and privileges", "", "cases")
    needed = [name for case in inventory.load().values() for name in case.needs]
    for name, feature in FEATURES.items():
        lacking = feature.lacking()
        count = needed.count(name)
        skipped = f"{count} will skip" if lacking and count else str(count or "")
        table.add_row(name, "yes" if lacking is None else f"no: {lacking}", skipped)
    console.print(table, "")
    table = _table("tools", "", "for")
    for tool, purpose in TOOLS.items():
        table.add_row(tool, shutil.which(tool) or "no", purpose)
    console.print(table, "")
    table = _table("libraries", "", "")
    for module in ("loopproof.faultkit", "refloop"):
        table.add_row(module, _imported(module), "")
    for name in ("pytest", "pytest-xdist"):
        table.add_row(name, importlib.metadata.version(name), "")
    console.print(table, "")
    table = _table("loops", "version", "factory")
    for name in sorted(profiles.known()):
        profile = profiles.named(name)
        if profile is not None:
            _, version = LoopSpec(name, profile.factory).distribution(profile)
            table.add_row(name, version or "not installed", profile.factory)
    console.print(table)
    return CONFORMS


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _imported(module: str) -> str:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        return f"no: {error}"
    libuv = getattr(found, "libuv_version", None)
    return f"libuv {libuv}" if isinstance(libuv, str) else "yes"
