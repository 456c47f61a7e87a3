"""The idle bench: what memory of a server a connection takes on which nothing happens; ratios to uvloop.

Each figure is by how much the server's own memory has grown, divided by the connections that it has accepted. They
share one protocol, so that is what the loop takes, and the interpreter for it. Uses /proc/PID/smaps_rollup: Linux.
"""

import argparse
import asyncio
import importlib
import resource
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rounds

REFERENCE = "uvloop"
FIRST = 100  # connections before the first look: what is made once is made then


def allow_descriptors(count: int) -> None:
    """Let this process have so many descriptors, and some more."""
    count += FIRST + 100
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(most, count)))


def serve(factory: str, count: int) -> None:
    """Print the port; whenever another line is read, accept what has come meanwhile, and print how many there are."""
    module, _, attribute = factory.partition(":")
    loop = getattr(importlib.import_module(module), attribute)()
    asyncio.set_event_loop(loop)
    allow_descriptors(count)
    accepted = 0

    class Idle(asyncio.Protocol):
        """Counts."""

        def connection_made(self, transport: Any) -> None:
            """Count."""
            nonlocal accepted
            accepted += 1

    async def main() -> None:
        protocol = Idle()
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)
        for line in sys.stdin:
            while accepted < int(line):
                await asyncio.sleep(0.001)
            print(accepted, flush=True)

    loop.run_until_complete(main())


def private_memory(process: int) -> int:
    """Return the bytes that are a process's own, in memory or swapped out."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    fields = dict(line.split(":") for line in lines[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Dirty", "Swap")) * 1024


class Server:
    """A server in a process of its own."""

    def __init__(self, factory: str, count: int) -> None:
        command = [sys.executable, str(Path(__file__)), "--serve", factory, "--connections", str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.answer())
        self.connections: list[socket.socket] = []

    def answer(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(map(str, self.process.args))}: ended with exit code {self.process.wait()}")
        return answer

    def connect(self, count: int) -> int:
        """Open so many more connections; return what memory it has when they are accepted."""
        assert self.process.stdin is not None
        while count > 0:
            part = min(count, 1000)
            self.connections += [socket.create_connection(("127.0.0.1", self.port)) for _ in range(part)]
            self.process.stdin.write(f"{len(self.connections)}\n")
            self.process.stdin.flush()
            self.answer()
            count -= part
        return private_memory(self.process.pid)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for connection in self.connections:
            connection.close()


def measure(factory: str, count: int) -> float:
    """Return the bytes that a connection takes."""
    server = Server(factory, count)
    try:
        return (-server.connect(FIRST) + server.connect(count)) / count
    finally:
        server.end()


def main() -> None:
    """Measure what the options ask for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", nargs="+", default=["asyncio", "uvloop", "refloop"], metavar="LOOP")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--serve", metavar="FACTORY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.connections)
        return
    if REFERENCE not in options.loops:
        raise SystemExit(f"the ratios are to {REFERENCE}: it has to take part")
    allow_descriptors(options.connections)
    named = {"asyncio": "asyncio:SelectorEventLoop"}

    def turn(loop: str) -> Callable[[], float]:
        factory = named.get(loop, loop if ":" in loop else f"{loop}:new_event_loop")
        return lambda: measure(factory, options.connections)

    figures = rounds.play({loop: turn(loop) for loop in options.loops}, options.rounds)
    size = {loop: statistics.median(each) for loop, each in figures.items()}
    ratio = rounds.ratios(figures, REFERENCE)
    print(rounds.table("an idle connection", options.loops, {"bytes": size, "ratio": ratio}))
    rounds.save(options.json, figures)


if __name__ == "__main__":
    main()
