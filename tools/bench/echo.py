"""The echo bench: loops, and bare C servers, answer the same load round by round; the table shows ratios to uvloop.

Each figure is answered requests a second of the server's processor time (the load generator has a core of its own),
and, with --rate, requests a second of the clock. Uses /proc/PID/schedstat: Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import rounds

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parents[1] / "build" / "bench"
BARE = {"epoll in C": "echo_epoll", "libuv in C": "echo_uv"}
REFERENCE = "uvloop protocol"


class Server:
    """A server in a process of its own, pinned to the first core."""

    def __init__(self, command: list[str], address: str) -> None:
        self.process = subprocess.Popen(
            [*command, address],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {first()}),
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise SystemExit(f"{' '.join(command)}: ended with exit code {self.process.wait()}")

    def seconds(self) -> float:
        """Return the processor time of the server so far."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def end(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()


def first() -> int:
    """Return the first core that this process may run on."""
    return min(os.sched_getaffinity(0))


def load(server: Server, size: int, options: argparse.Namespace) -> tuple[float, float]:
    """Return requests per second of the server's processor time, and of the clock."""
    others = os.sched_getaffinity(0) - {first()} or {first()}
    before = server.seconds()
    done = subprocess.run(
        [PROGRAMS / "load", server.address, str(options.connections), str(size), str(options.milliseconds)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, others),
    )
    answered, seconds, _ = map(float, done.stdout.split())
    return answered / (server.seconds() - before), answered / seconds


def contenders(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the commands of the servers by name."""
    found = {name: [str(PROGRAMS / program)] for name, program in BARE.items()} if options.bare else {}
    factories = {"asyncio": "asyncio:SelectorEventLoop"}
    for loop in options.loops:
        for way in options.ways:
            factory = factories.get(loop, loop if ":" in loop else f"{loop}:new_event_loop")
            found[f"{loop} {way}"] = [sys.executable, str(HERE / "serve.py"), factory, way]
    if REFERENCE not in found:
        raise SystemExit(f"the ratios are to {REFERENCE}: it has to take part")
    return found


def measure(kind: str, size: int, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Run all rounds of one kind of socket and size of message."""
    with tempfile.TemporaryDirectory() as folder:
        servers: dict[str, Server] = {}
        try:
            for name, command in contenders(options).items():
                servers[name] = Server(command, "0" if kind == "tcp" else f"{folder}/{len(servers)}")
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}

            def turn(name: str) -> Callable[[], float]:
                def once() -> float:
                    figures[name].append(load(servers[name], size, options))
                    return figures[name][-1][0]

                return once

            rounds.play({name: turn(name) for name in servers}, options.rounds)
            return figures
        finally:
            for server in servers.values():
                server.end()


def main() -> None:
    """Measure what the options ask for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", nargs="+", default=["asyncio", "uvloop", "refloop"], metavar="LOOP")
    parser.add_argument("--ways", nargs="+", default=["protocol", "buffered", "streams", "sock"])
    parser.add_argument("--kinds", nargs="+", default=["tcp", "unix"], choices=["tcp", "unix"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1024, 10_240, 102_400], metavar="BYTES")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=300, help="of load in each turn")
    parser.add_argument("--no-bare", dest="bare", action="store_false", help="without the servers in C")
    parser.add_argument("--rate", action="store_true", help="also a table of requests by the clock")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    if not (PROGRAMS / "load").exists():
        raise SystemExit("build the programs first: cmake -S tools/bench -B build/bench && cmake --build build/bench")
    everything = {}
    tables: list[dict[str, dict[str, float]]] = [{}, {}]
    columns = [f"{kind} {size // 1024}K" for kind in options.kinds for size in options.sizes]
    for kind in options.kinds:
        for size in options.sizes:
            column = f"{kind} {size // 1024}K"
            everything[column] = figures = measure(kind, size, options)
            for which, rows in enumerate(tables):
                alone = {name: [turn[which] for turn in turns] for name, turns in figures.items()}
                for name, ratio in rounds.ratios(alone, REFERENCE).items():
                    rows.setdefault(name, {})[column] = ratio
    print(rounds.table("requests by processor time", columns, tables[0]))
    if options.rate:
        print("\n" + rounds.table("requests by the clock", columns, tables[1]))
    rounds.save(options.json, everything)


if __name__ == "__main__":
    main()
