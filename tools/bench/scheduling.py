"""The scheduling bench: what a loop does without a network, measured by its processor time; ratios to uvloop.

Each loop has a process of its own, which is asked for one benchmark after the other, round by round.
"""

import argparse
import asyncio
import importlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rounds

Loop = asyncio.AbstractEventLoop
REFERENCE = "uvloop"
BENCHMARKS: dict[str, tuple[int, Callable[[Loop, int], None]]] = {}


def benchmark(count: int) -> Callable[[Callable[[Loop, int], None]], Callable[[Loop, int], None]]:
    """Register a function that does something ``count`` times on a loop."""

    def register(function: Callable[[Loop, int], None]) -> Callable[[Loop, int], None]:
        BENCHMARKS[function.__name__] = (count, function)
        return function

    return register


def nothing(*_: Any) -> None:
    """Do nothing."""


@benchmark(100_000)
def call_soon_chain(loop: Loop, count: int) -> None:
    """Callbacks that each schedule the next."""
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()


@benchmark(100_000)
def call_soon_batch(loop: Loop, count: int) -> None:
    """Callbacks that are scheduled a thousand at a time."""
    for _ in range(count // 1000):
        for _ in range(1000):
            loop.call_soon(nothing)
        loop.call_soon(loop.stop)
        loop.run_forever()


@benchmark(50_000)
def call_later_and_cancel(loop: Loop, count: int) -> None:
    """Timers that are set and cancelled, as timeouts are."""

    async def main() -> None:
        for number in range(count):
            loop.call_later(60, nothing).cancel()
            if not number % 1000:
                await asyncio.sleep(0)

    loop.run_until_complete(main())


@benchmark(20_000)
def timers_that_fire(loop: Loop, count: int) -> None:
    """Timers with deadlines spread over some milliseconds, which all come due."""

    async def main() -> None:
        done = loop.create_future()
        left = count

        def fire() -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        for number in range(count):
            loop.call_later(number % 20 / 1e3, fire)
        await done

    loop.run_until_complete(main())


@benchmark(50_000)
def call_soon_threadsafe_flood(loop: Loop, count: int) -> None:
    """Callbacks that another thread schedules as fast as it can."""
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            loop.stop()

    def flood() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(step)

    thread = threading.Thread(target=flood)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()


@benchmark(30_000)
def create_task(loop: Loop, count: int) -> None:
    """Tasks that are over at once."""

    async def short() -> None:
        pass

    async def main() -> None:
        for _ in range(count // 100):
            await asyncio.gather(*[loop.create_task(short()) for _ in range(100)])

    loop.run_until_complete(main())


@benchmark(100_000)
def sleep_zero(loop: Loop, count: int) -> None:
    """A task that gives way over and over."""

    async def main() -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    loop.run_until_complete(main())


@benchmark(50_000)
def future_wake_up(loop: Loop, count: int) -> None:
    """A task that waits for futures, each completed in the next iteration."""

    async def main() -> None:
        for _ in range(count):
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

    loop.run_until_complete(main())


@benchmark(3_000)
def run_in_executor(loop: Loop, count: int) -> None:
    """Functions run in a thread one after the other."""

    async def main() -> None:
        for _ in range(count):
            await loop.run_in_executor(None, nothing)

    loop.run_until_complete(main())


@benchmark(20_000)
def add_reader_ping_pong(loop: Loop, count: int) -> None:
    """Two watched sockets that send a byte to and fro."""
    one, other = socket.socketpair()
    left = count
    for ours in (one, other):
        ours.setblocking(False)

    def answer(ours: socket.socket) -> None:
        nonlocal left
        ours.recv(1)
        left -= 1
        if left:
            ours.send(b"x")
        else:
            loop.stop()

    for ours in (one, other):
        loop.add_reader(ours.fileno(), answer, ours)
    one.send(b"x")
    loop.run_forever()
    for ours in (one, other):
        loop.remove_reader(ours.fileno())
        ours.close()


@benchmark(500)
def connect_and_close(loop: Loop, count: int) -> None:
    """Connections to a server on the same loop, made and closed one after the other."""

    async def main() -> None:
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for _ in range(count):
            transport, _ = await loop.create_connection(asyncio.Protocol, *address)
            transport.close()
        await asyncio.sleep(0.01)
        server.close()

    loop.run_until_complete(main())


def work(factory: str) -> None:
    """Do the benchmarks that are asked for on standard input; answer with the operations per second of this process."""
    module, _, attribute = factory.partition(":")
    make = getattr(importlib.import_module(module), attribute)
    for line in sys.stdin:
        count, function = BENCHMARKS[line.strip()]
        loop = make()
        asyncio.set_event_loop(loop)
        began = time.process_time()
        try:
            function(loop, count)
            print(count / (time.process_time() - began), flush=True)
        except Exception as error:
            print(f"{factory}: {line.strip()}: {error!r}", file=sys.stderr)
            print("nan", flush=True)
        finally:
            loop.close()


class Worker:
    """A process that does benchmarks on one loop."""

    def __init__(self, factory: str) -> None:
        command = [sys.executable, str(Path(__file__)), "--work", factory]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str) -> float:
        """Return the operations per second of one benchmark."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(map(str, self.process.args))}: ended with exit code {self.process.wait()}")
        return float(answer)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def main() -> None:
    """Measure what the options ask for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", nargs="+", default=["asyncio", "uvloop", "refloop"], metavar="LOOP")
    parser.add_argument("--only", nargs="+", default=list(BENCHMARKS), choices=list(BENCHMARKS), metavar="BENCHMARK")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--work", metavar="FACTORY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    if REFERENCE not in options.loops:
        raise SystemExit(f"the ratios are to {REFERENCE}: it has to take part")
    named = {"asyncio": "asyncio:SelectorEventLoop"}
    workers = {
        loop: Worker(named.get(loop, loop if ":" in loop else f"{loop}:new_event_loop")) for loop in options.loops
    }
    everything = {}
    rows = {}
    try:
        for name in options.only:
            turns = {loop: lambda worker=worker, name=name: worker.ask(name) for loop, worker in workers.items()}
            everything[name] = rounds.play(turns, options.rounds)
            rows[name] = rounds.ratios(everything[name], REFERENCE)
    finally:
        for worker in workers.values():
            worker.end()
    print(rounds.table("operations by processor time", options.loops, rows))
    rounds.save(options.json, everything)


if __name__ == "__main__":
    main()
