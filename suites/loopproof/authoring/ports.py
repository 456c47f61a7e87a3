"""Ports of the loopback interface that a case has to itself: where nobody listens, somebody does, or nobody answers."""

import errno
import socket
from types import TracebackType

from .sockets import readable


class Port:
    """One free TCP port on several addresses, bound from now to the end of the block, so that nobody else can have it.

    On each address a connection is refused until `listen` or `stall` is called.
    """

    def __init__(self, *hosts: str) -> None:
        self._hosts = hosts or ("127.0.0.1",)
        self._sockets: dict[str, socket.socket] = {}
        self._waiting: list[socket.socket] = []
        while not self._bound():
            pass

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for one in (*self._sockets.values(), *self._waiting):
            one.close()

    def _bound(self) -> bool:
        self.number = 0
        for host in self._hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._sockets[host] = socket.socket(family, socket.SOCK_STREAM)
            self._sockets[host].settimeout(5)
            try:
                self._sockets[host].bind((host, self.number))
            except OSError as failed:
                if failed.errno != errno.EADDRINUSE:
                    raise
                for one in self._sockets.values():
                    one.close()
                return False
            self.number = self._sockets[host].getsockname()[1]
        return True

    def listen(self, *hosts: str) -> "Port":
        """Let connections to these addresses succeed, or to all."""
        for host in hosts or self._hosts:
            self._sockets[host].listen()
        return self

    def stall(self, *hosts: str) -> "Port":
        """Leave connections to these addresses, or to all, without an answer: the queue is full, and stays so."""
        for host in hosts or self._hosts:
            self._sockets[host].listen(0)
            self._waiting.append(socket.create_connection((host, self.number), 5))
        return self

    def waiting(self, host: str = "") -> bool:
        """Tell whether a connection to an address, by default the first, waits to be accepted."""
        return readable(self._sockets[host or self._hosts[0]])

    def accept(self, host: str = "") -> socket.socket:
        """Return the next connection to an address, by default the first; it has a timeout of some seconds."""
        accepted, _ = self._sockets[host or self._hosts[0]].accept()
        accepted.settimeout(5)
        return accepted
