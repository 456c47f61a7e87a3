"""Names that resolve to what a case wants: to several addresses, to none, or not at all."""

import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

HOST = "host.test"
"""A name that nobody has (RFC 6761)."""

Answer = Sequence[tuple[Any, ...]] | BaseException


class Resolver:
    """Context manager: socket.getaddrinfo() gives these answers, and the real ones for other names.

    answers: a name to its addresses, IPv4 (host, port) or IPv6 (host, port, flow, scope), or to the exception that is
    raised. The port is that of the answer, whichever was asked for. ``requests`` are the calls so far, all by name.
    Loops that resolve names otherwise lack the capability ``resolver``.
    """

    def __init__(self, answers: Mapping[Any, Answer] | None = None) -> None:
        self._answers = answers or {}
        self._real = socket.getaddrinfo
        self.requests: list[dict[str, Any]] = []

    def __enter__(self) -> "Resolver":
        socket.getaddrinfo = self._look_up  # type: ignore[assignment]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        socket.getaddrinfo = self._real

    def _look_up(self, host: Any, *rest: int, **named: int) -> Any:
        call = {"host": host, "family": 0, "type": 0, "proto": 0, "flags": 0}
        call |= zip(("port", "family", "type", "proto", "flags"), rest, strict=False)
        call |= named
        self.requests.append(call)
        answer = self._answers.get(host)
        if answer is None:
            return self._real(host, *rest, **named)
        if isinstance(answer, BaseException):
            raise answer
        kind = (socket.SOCK_DGRAM, 17) if call["type"] == socket.SOCK_DGRAM else (socket.SOCK_STREAM, 6)
        return [(socket.AF_INET if len(address) == 2 else socket.AF_INET6, *kind, "", address) for address in answer]
