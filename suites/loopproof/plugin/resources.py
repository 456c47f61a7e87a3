"""What this process has: descriptors, threads, children; what became more, what was lost, each named for its owner."""

import functools
import shlex
import socket
import threading
from dataclasses import dataclass
from typing import Any

from .. import faultkit

_STANDARD = (0, 1, 2)
"""Not watched: pytest's capture moves them."""
_UNNAMED = "(no name)"


@dataclass(frozen=True)
class Resources:
    """The descriptors of this process (number: what it is open on), its native threads and its child processes."""

    descriptors: dict[int, tuple[str, int, int]]
    threads: frozenset[int]
    children: frozenset[int]

    @classmethod
    def now(cls) -> "Resources":
        """Count them, exactly. Raises OSError where /proc is not there."""
        descriptors = faultkit.descriptors()
        for standard in _STANDARD:
            descriptors.pop(standard, None)
        return cls(descriptors, faultkit.threads(), faultkit.children())

    def more_than(self, before: "Resources") -> list[str]:
        """Name what is here and was not before; a descriptor that is open on something else now counts."""
        if self == before:
            return []
        grown = [
            f"descriptor {number}: {_open_on(number, identity[0])}"
            for number, identity in self.descriptors.items()
            if before.descriptors.get(number) != identity
        ]
        grown += [_thread(thread) for thread in sorted(self.threads - before.threads)]
        grown += [_child(child) for child in sorted(self.children - before.children)]
        return grown

    def lost_since(self, before: "Resources") -> list[str]:
        """Name the descriptors that were open before and are not now, or are open on something else."""
        if self.descriptors == before.descriptors:
            return []
        return [
            f"descriptor {number} ({_remembered(number, identity)}) was closed, and belonged to somebody else"
            for number, identity in before.descriptors.items()
            if self.descriptors.get(number) != identity
        ]

    def remember(self) -> None:
        """Note what each descriptor is open on, so that `lost_since` can tell it when it is gone."""
        for number, identity in self.descriptors.items():
            _remembered(number, identity)


@functools.lru_cache(maxsize=4096)
def _remembered(number: int, identity: tuple[str, int, int]) -> str:
    return _open_on(number, identity[0])


def _open_on(number: int, kind: str) -> str:
    """Say what a descriptor is open on; its kind is known, if it was closed meanwhile."""
    try:
        found = faultkit.descriptor(number)
    except OSError:
        return kind
    if found.kind == "socket":
        return _socket(found)
    if found.kind == "epoll":
        watched = ", ".join(str(descriptor) for descriptor, _ in found.watches)
        return f"epoll set, now watching {watched or 'nothing'}"
    if found.target.startswith("anon_inode:"):
        return found.kind
    return f"{found.kind} {found.target}"


def _socket(found: faultkit.Descriptor) -> str:
    name = _protocol(found.family or 0, found.type or 0)
    local = _address(found.local)
    if found.listening:
        return f"{name} socket, listening on {local}"
    if found.remote is not None:
        return f"{name} {local} -> {_address(found.remote)}, connected"
    if local.endswith((":0", _UNNAMED)):
        return f"{name} socket, neither bound nor connected"
    return f"{name} socket, bound to {local}, not connected"


def _protocol(family: int, kind: int) -> str:
    if family in (socket.AF_INET, socket.AF_INET6) and kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        return "TCP" if kind == socket.SOCK_STREAM else "UDP"
    try:
        names = socket.AddressFamily(family).name, socket.SocketKind(kind).name.lower()
    except ValueError:  # Python has no name for it
        return f"family {family}, type {kind}"
    return f"{names[0].removeprefix('AF_')} {names[1].removeprefix('sock_')}"


def _address(address: Any) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return repr(address) if address else _UNNAMED


def _thread(number: int) -> str:
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    name = f"'{names[number]}'" if number in names else "not made by Python"
    try:
        found = faultkit.thread(number)
    except OSError:
        return f"thread {number} ({name}), now ended"
    if number not in names:
        name += f", '{found.name}'"
    return f"thread {number} ({name}), now {found.state}"


def _child(number: int) -> str:
    try:
        found = faultkit.child(number)
    except OSError:  # ended and waited for meanwhile, or another user's and hidden
        return f"child process {number}"
    command = shlex.join(found.command) if found.command else found.name
    return f"child process {number}: {command}, now {found.state}"
