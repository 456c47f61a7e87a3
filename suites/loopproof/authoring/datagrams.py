"""Datagram endpoints: a transport of the loop under test with a protocol that records, and a plain socket beyond."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .history import RecordingDatagramProtocol
from .links import Told, polls, until

Datagrams = list[bytes]

_MOST = 100_000
"""More small datagrams than a kernel queues for a UNIX socket that reads nothing."""


class Endpoint(Told):
    """A datagram transport and its protocol."""

    @property
    def name(self) -> Any:
        """The address of the endpoint, by the kernel's word."""
        return self.transport.get_extra_info("socket").getsockname()

    @property
    def told(self) -> list[tuple[bytes, Any]]:
        """The datagrams that the protocol was told of so far: data and sender."""
        return [event.arguments for event in self.protocol.history.events if event.name == "datagram_received"]

    @property
    def errors(self) -> list[Exception]:
        """What error_received() was called with so far."""
        return [event.arguments[0] for event in self.protocol.history.events if event.name == "error_received"]

    async def delivered(self, count: int) -> Datagrams:
        """Let the loop run until the protocol was told of so many datagrams; return the data of all of them."""
        await until(lambda: len(self.told) >= count or self.protocol.closed.is_set(), f"datagram {count}")
        assert len(self.told) >= count, f"the endpoint was lost before datagram {count} came"
        return [data for data, _ in self.told]

    async def failed(self, count: int = 1) -> Exception:
        """Let the loop run until error_received() was called so often; return the last error."""
        await until(lambda: len(self.errors) >= count or self.protocol.closed.is_set(), "error_received()")
        assert len(self.errors) >= count, f"the endpoint was lost before call {count} of error_received()"
        return self.errors[-1]


class DatagramLink(Endpoint):
    """An endpoint and the socket beyond, which does not block.

    ``to``: what to give to sendto() for a datagram to the socket beyond; None where the endpoint is connected to it.
    """

    def __init__(self, transport: Any, protocol: Any, beyond: socket.socket, to: Any) -> None:
        super().__init__(transport, protocol)
        self.beyond = beyond
        self.to = to
        self._arrived: Datagrams = []

    def send(self, *datagrams: Any) -> None:
        """Send datagrams to the socket beyond."""
        for datagram in datagrams:
            self.transport.sendto(datagram, self.to)

    def come(self, *datagrams: bytes) -> None:
        """Let datagrams come from the socket beyond."""
        for datagram in datagrams:
            self.beyond.sendto(datagram, self.name)

    def arrived(self) -> Datagrams:
        """Take what has arrived at the socket beyond; return all that arrived so far."""
        self.beyond.setblocking(False)  # a case may have given it a timeout
        with contextlib.suppress(BlockingIOError):
            while True:
                self._arrived.append(self.beyond.recv(1 << 18))
        return self._arrived

    async def sent(self, count: int) -> Datagrams:
        """Let the loop run until so many datagrams have arrived at the socket beyond; return all of them."""
        await until(lambda: len(self.arrived()) >= count, f"datagram {count} at the other end")
        return self.arrived()

    async def drained(self, *, share: float = 1) -> Exception | None:
        """Let the socket beyond read until connection_lost() was called; return its argument."""

        def lost() -> object:
            self.arrived()
            return self.protocol.closed.is_set()

        await until(lost, "connection_lost()", share=share)
        error: Exception | None = self.protocol.error
        return error


@contextlib.asynccontextmanager
async def endpoint(
    loop: asyncio.AbstractEventLoop,
    on: Mapping[str, Callable[[Any], Any]] | None = None,
    **arguments: Any,
) -> AsyncIterator[Endpoint]:
    """An endpoint that create_datagram_endpoint() makes of these arguments; ``on``: of `RecordingDatagramProtocol`.

    At the end it is aborted if it is not closed, and its history is checked.
    """
    made: list[RecordingDatagramProtocol] = []

    def make() -> RecordingDatagramProtocol:
        made.append(RecordingDatagramProtocol(on=on))
        return made[-1]

    transport, protocol = await loop.create_datagram_endpoint(make, **arguments)
    assert [protocol] == made, "the protocol that is returned is not the one that the factory has made"
    told = Endpoint(transport, protocol)
    try:
        yield told
    finally:
        if not protocol.closed.is_set():
            transport.abort()
            await until(protocol.closed.is_set, "connection_lost() after the abort() at the end", share=0.1)
        await polls(1)  # for loops that close the socket behind connection_lost()
    protocol.history.check()


@dataclass(frozen=True)
class _Kind:
    family: socket.AddressFamily
    connected: bool
    needs: tuple[str, ...] = ()


LOOPBACK = "127.{}.{}.{}".format(*os.getpid().to_bytes(3)) if sys.platform == "linux" else "127.0.0.1"
"""An address of the loopback interface whose ports no other process takes."""

_INET, _INET6, _UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
KINDS: Mapping[str, _Kind] = {
    "udp": _Kind(_INET, connected=False),
    "udp-connected": _Kind(_INET, connected=True),
    "udp6": _Kind(_INET6, connected=False, needs=("ipv6",)),
    "udp6-connected": _Kind(_INET6, connected=True, needs=("ipv6",)),
    "unix": _Kind(_UNIX, connected=False),
    "unix-connected": _Kind(_UNIX, connected=True),
}
"""Each kind of endpoint, by the name that cases are parametrized with.

Those of UDP are made by address, those of UNIX of a given socket, which every loop with datagrams can do.
"""


@contextlib.asynccontextmanager
async def datagram_link(
    loop: asyncio.AbstractEventLoop, kind: str = "udp", on: Mapping[str, Callable[[Any], Any]] | None = None
) -> AsyncIterator[DatagramLink]:
    """An endpoint of one kind with a bound socket beyond; ``on`` is that of `history.RecordingDatagramProtocol`.

    At the end what is queued is sent, and the history is checked.
    """
    connected = KINDS[kind].connected
    with bound(KINDS[kind].family) as beyond, contextlib.ExitStack() as stack:
        there = beyond.getsockname()
        arguments: dict[str, Any]
        if KINDS[kind].family == _UNIX:
            ours = stack.enter_context(bound(_UNIX))
            if connected:
                ours.connect(there)
            arguments = {"sock": ours}
        elif connected:
            arguments = {"remote_addr": there[:2]}
        else:
            arguments = {"local_addr": (there[0], 0)}
        async with endpoint(loop, on, **arguments) as made:
            link = DatagramLink(made.transport, made.protocol, beyond, None if connected else there)
            try:
                yield link
            finally:
                if beyond.fileno() >= 0:
                    made.transport.close()
                    await link.drained(share=0.1)


@contextlib.contextmanager
def bound(family: socket.AddressFamily = _INET, host: str = "") -> Iterator[socket.socket]:
    """A datagram socket that does not block, bound to ``host`` or else on the loopback interface or in a new folder."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.ExitStack() as stack:
        sock.setblocking(False)
        if family == _UNIX:
            sock.bind(stack.enter_context(tempfile.TemporaryDirectory()) + "/socket")
        else:
            sock.bind((host or {_INET: LOOPBACK, _INET6: "::1"}[family], 0))
        yield sock


async def clogged(link: DatagramLink, size: int = 4) -> int:
    """Send numbered datagrams until the transport holds one, which the kernel does not take; return how many were sent.

    The link is a UNIX one, for there a full receiver stops the sender. ``size``: the bytes of each; see `numbered`.
    """
    for number in range(_MOST):
        link.send(numbered(number, size))
        if link.transport.get_write_buffer_size():
            return number + 1
    raise AssertionError(f"the kernel took {_MOST} datagrams though nobody reads them")


def numbered(number: int, size: int = 4) -> bytes:
    """A datagram of so many bytes that tells its number."""
    return b"%0*d" % (size, number)
