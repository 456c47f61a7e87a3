"""What the machine offers to the cases that need more than a loop: kernel features and privileges."""

import ctypes
import functools
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000


@dataclass(frozen=True)
class Feature:
    """``text``: what it is. ``lacking``: returns why this machine has it not, None if it has."""

    text: str
    lacking: Callable[[], str | None]


FEATURES: dict[str, Feature] = {}
"""The features by the name that ``@needs`` uses."""


def _feature(check: Callable[[], str | None]) -> Callable[[], str | None]:
    FEATURES[check.__name__] = Feature((check.__doc__ or "").rstrip("."), functools.cache(check))
    return check


@_feature
def linux() -> str | None:
    """The Linux kernel."""
    return None if sys.platform == "linux" else f"this is {sys.platform}"


@_feature
def procfs() -> str | None:
    """/proc, where leaks of descriptors, threads and children are seen."""
    return None if Path("/proc/self/task").is_dir() else "/proc is not mounted"


@_feature
def ipv6() -> str | None:
    """IPv6 on the loopback interface."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return f"::1 cannot be bound ({error.strerror})"
    return None


@_feature
def udp_lite() -> str | None:
    """UDP-Lite, a protocol of datagrams beside UDP."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDPLITE).close()
    except (AttributeError, OSError) as error:
        return f"there is no such socket ({error})"
    return None


@_feature
def link_local() -> str | None:
    """An interface with an IPv6 link-local address."""
    return None if link_local_addresses() else "no interface has one"


def link_local_addresses() -> list[str]:
    """Return the IPv6 link-local addresses of this machine, each with the name of its interface as its scope."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [f"{ipaddress.IPv6Address(int(field[0], 16))}%{field[5]}" for field in fields if field[0][:3] == "fe8"]


@_feature
def abstract_unix() -> str | None:
    """UNIX sockets in the abstract name space."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(f"\0loopproof-{os.getpid()}")
    except OSError as error:
        return f"cannot be bound ({error.strerror})"
    return None


@_feature
def netns() -> str | None:
    """Network namespaces of one's own."""
    return _unshared(_CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER)


@_feature
def injector() -> str | None:
    """Faults in system calls (seccomp user notification, Linux 5.5)."""
    return _refused("injector")


@_feature
def short_transfers() -> str | None:
    """Reads and writes cut short (seccomp user notification, Linux 5.19)."""
    return _refused("short")


@_feature
def root() -> str | None:
    """The privileges of root."""
    return None if os.geteuid() == 0 else "not run as root"


def _refused(feature: str) -> str | None:
    try:
        from . import faultkit
    except ImportError as error:
        return str(error)
    return faultkit.available()[feature]


def _unshared(flags: int) -> str | None:
    """Try to leave name spaces, in a child so that this process stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(flags) == 0 else ctypes.get_errno() & 0x7F or 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if status == 0 else os.strerror(status)


def lacking(names: Iterable[str]) -> str | None:
    """Return why a case that needs these features cannot run here, or None; other names are passed over."""
    for name in sorted(names):
        feature = FEATURES.get(name)
        reason = feature.lacking() if feature else None
        if reason is not None:
            return f"this machine lacks {name}: {reason}"
    return None
