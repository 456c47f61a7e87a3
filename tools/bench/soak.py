"""The soak: one loop opens and closes TCP connections on the loopback interface, a million unless told otherwise.

A server and its clients share the loop. Each connection carries a request and its answer; every other one is ended by
the server. Every 100,000 connections a row says what the process has; after the
first of them none of it may grow. The exit code says whether it has.
"""

import argparse
import asyncio
import gc
import importlib
import resource
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: no end of a connection waits for stray segments, which would use up the ports."""

REQUEST = b"q" * 100
SLACK = 2 * 1024
"""KiB that the memory of a process may be off, whatever its loop does."""


class Row(NamedTuple):
    """What the process has."""

    connections: int
    memory: int
    """KiB that are resident."""
    blocks: int
    """Of memory that Python has allocated."""
    objects: int
    """That its garbage collector knows."""
    descriptors: int

    @classmethod
    def now(cls, connections: int) -> "Row":
        """Count them."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * resource.getpagesize() // 1024
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return cls(connections, memory, sys.getallocatedblocks(), len(gc.get_objects()), descriptors)

    def growth_since(self, before: "Row", kept: int) -> list[str]:
        """Name what has grown; so many blocks and objects are kept in caches or by what goes on."""
        limits = {"memory": SLACK, "blocks": kept, "objects": kept, "descriptors": 0}
        return [
            f"{name}: {getattr(before, name)} -> {getattr(self, name)}"
            for name, limit in limits.items()
            if getattr(self, name) > getattr(before, name) + limit
        ]


class Answering(asyncio.Protocol):
    """The server's end: answers each request; every other connection it ends."""

    made = 0

    def connection_made(self, transport: Any) -> None:
        """Decide who ends this one."""
        type(self).made += 1
        self.ends = self.made % 2 == 0
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(data)
        if self.ends:
            self.transport.close()


class Asking(asyncio.Protocol):
    """The client's end: asks, and ends the connection when it has the answer; tells a future of its end."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = len(REQUEST)

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Count the answer."""
        self.left -= len(data)
        if self.left == 0:
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell of the end."""
        self.ended.set_result(None)


async def connect(address: tuple[str, int], count: int) -> None:
    """Make connections one after the other."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        _, protocol = await loop.create_connection(Asking, *address)
        await protocol.ended


async def soak(connections: int, clients: int, step: int) -> list[str]:
    """Print a row after each step; return what has grown after the first."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    rows: list[Row] = []
    began = time.monotonic()
    print(f"{'connections':>12} {'resident KiB':>13} {'blocks':>9} {'objects':>9} {'descriptors':>12} {'a second':>9}")
    for done in range(step, connections + 1, step):
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(connect(address, step // clients + (client < step % clients)))
        for _ in range(3):  # the server's ends are told of their end
            await asyncio.sleep(0)
        rows.append(Row.now(done))
        rate = done / (time.monotonic() - began)
        print("{:12,} {:13,} {:9,} {:9,} {:12} {:9,.0f}".format(*rows[-1], rate), flush=True)
    server.close()
    await server.wait_closed()
    assert Answering.made == rows[-1].connections, f"the server saw {Answering.made} connections"
    return rows[-1].growth_since(rows[0], kept=100 + 20 * clients)


def main() -> None:
    """Do what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", default="refloop:new_event_loop", metavar="MODULE:FACTORY")
    parser.add_argument("--connections", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=20, help="how many connections there are at a time")
    parser.add_argument("--step", type=int, default=100_000, help="connections between two rows")
    options = parser.parse_args()
    if not 0 < options.clients <= options.step <= options.connections:
        parser.error("wants 0 < --clients <= --step <= --connections")
    module, _, factory = options.loop.partition(":")
    make = getattr(importlib.import_module(module), factory or "new_event_loop")
    with asyncio.Runner(loop_factory=make) as runner:
        grown = runner.run(soak(options.connections, options.clients, options.step))
    if grown:
        raise SystemExit("grown since the first row: " + "; ".join(grown))
    print("flat")


if __name__ == "__main__":
    main()
