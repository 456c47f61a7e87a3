"""Addresses of IP sockets: which need no look-up, in which order they are tried."""

import functools
import itertools
import socket
from collections.abc import Iterable
from typing import Any

from refloop.core import Core

Info = tuple[int, int, int, str, Any]
"""An item of what getaddrinfo() returns: family, type, protocol, canonical name, address."""

# As plain numbers: those of the socket module are slow to compute with.
STREAM = int(socket.SOCK_STREAM)
INET = int(socket.AF_INET)
INET6 = int(socket.AF_INET6)
TCP = int(socket.IPPROTO_TCP)
PROTOCOLS = frozenset((0, TCP, int(socket.IPPROTO_UDP)))


def port_number(port: Any) -> int | None:
    """The number of a port, which may be in digits; None and "" stand for 0. Returns None for the name of a service."""
    try:
        return int(port or 0)
    except (TypeError, ValueError):
        return None


@functools.lru_cache
def family_of(host: str) -> int | None:
    """The family of an IP address; None for what is none, or has a scope."""
    family = INET6 if ":" in host else INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return family


def numeric_info(address: Any, family: int, proto: int) -> Info | None:
    """What stands for a stream to an IP address and the number of a port; None if it has to be looked up."""
    host, port = address[:2]
    if host is None or proto not in PROTOCOLS:
        return None
    if isinstance(host, bytes):
        host = host.decode("idna")
    number = port if type(port) is int else port_number(port)
    found = family_of(host)
    if number is None or found is None or family not in (0, found):
        return None
    return found, STREAM, TCP, "", (host, number) if found == INET else (host, number, *address[2:], 0, 0)[:4]


def interleaved(infos: Iterable[Info], first: int) -> list[Info]:
    """The addresses with their families in turns; so many of the first family come first."""
    families: dict[int, list[Info]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    lists = list(families.values())
    ahead = max(first - 1, 0)
    head, lists[0] = lists[0][:ahead], lists[0][ahead:]
    return head + [info for turn in itertools.zip_longest(*lists) for info in turn if info is not None]


class Addresses(Core):
    """Resolution of the addresses of streams."""

    async def _look_up(self, address: Any, family: int, proto: int, flags: int) -> list[Info]:
        """The addresses of streams to a host and port, or of servers at them, by getaddrinfo()."""
        host, port = address[:2]
        found: Any = await self.getaddrinfo(host, port, family=family, type=STREAM, proto=proto, flags=flags)
        return list(found)

    async def _resolve(self, address: Any, family: int, proto: int, flags: int) -> list[Info]:
        """The same, without a look-up if none is needed."""
        info = numeric_info(address, family, proto)
        return [info] if info is not None else await self._look_up(address, family, proto, flags)
