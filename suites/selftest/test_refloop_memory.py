"""refloop when an allocation has failed: what was called can be called again, and does what it should have done."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import errno
import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import refloop
from loopproof.faultkit import AllocationFaults
from refloop.executor import end_as


class Lost(asyncio.Protocol):
    """Counts the calls of connection_lost(), and may do something in connection_made()."""

    def __init__(self, at_once: Callable[[Any], None] | None = None) -> None:
        self.at_once = at_once
        self.lost = 0

    def connection_made(self, transport: Any) -> None:
        if self.at_once is not None:
            self.at_once(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


def each_failure(domain: Any = "any") -> Iterator[AllocationFaults]:
    """Faults that fail the first allocation, the second, ... until there is none that could fail."""
    for first in itertools.count(1):
        faults = AllocationFaults(first=first, domain=domain)
        yield faults
        if faults.failed == 0:
            assert first > 1, "nothing failed"
            return


def fails(faults: AllocationFaults, work: Callable[[], object]) -> bool:
    """Whether that fails with those."""
    try:
        with faults:
            work()
    except MemoryError:
        return True
    return False


def test_a_transport_that_had_no_memory_for_its_socket_has_it_later() -> None:
    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        for faults in each_failure():
            transport, _ = await asyncio.get_running_loop().create_connection(Lost, *listener.getsockname())
            fails(faults, lambda it=transport: it.get_extra_info("socket"))
            sock = transport.get_extra_info("socket")
            assert sock.getsockname() == transport.get_extra_info("sockname")
            transport.abort()
        listener.close()

    refloop.run(main())


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_end_without_any_memory_comes_or_can_be_repeated(end: str, at_once: bool) -> None:
    """It comes where there is a context to call connection_lost() in, else nothing has happened yet."""

    def finish(transport: Any) -> None:
        kept = [contextvars.copy_context() for _ in range(1000)]  # those that the interpreter keeps for reuse
        assert fails(AllocationFaults(first=1, count=2**31, domain="any"), getattr(transport, end)) is at_once
        del kept
        getattr(transport, end)()

    async def main() -> None:
        near, far = socket.socketpair()
        transport, protocol = await asyncio.get_running_loop().create_connection(
            lambda: Lost(finish if at_once else None), sock=near
        )
        if not at_once:
            finish(transport)
        far.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert protocol.lost == 1

    refloop.run(main())


def test_a_server_that_could_not_start_starts_later() -> None:
    async def main() -> None:
        for faults in each_failure():
            server = await asyncio.get_running_loop().create_server(
                asyncio.Protocol, ["127.0.0.1", "127.0.0.2"], 0, start_serving=False
            )
            failed = fails(faults, server._start)  # type: ignore[attr-defined]
            assert server.is_serving() is not failed
            await server.start_serving()
            for sock in server.sockets:
                socket.create_connection(sock.getsockname()).close()
            server.close()

    refloop.run(main())


class Exhausted(socket.socket):
    """A listening socket that accepts nothing the first time."""

    attempts = 0

    def accept(self) -> Any:
        self.attempts += 1
        if self.attempts == 1:
            raise OSError(errno.EMFILE, "no more descriptors")
        return super().accept()


def test_a_server_without_memory_for_its_timer_tries_again() -> None:
    class Loop(refloop.Loop):
        def call_later(self, *_: Any, **__: Any) -> Any:
            raise MemoryError

    async def main() -> None:
        made = asyncio.get_running_loop().create_future()
        sock = Exhausted()
        sock.bind(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(lambda: Lost(made.set_result), sock=sock)
        client = socket.create_connection(sock.getsockname())
        (await made).abort()
        client.close()
        server.close()
        await server.wait_closed()

    loop = Loop()  # type: ignore[abstract]
    reports: list[Any] = []
    loop.set_exception_handler(lambda _, report: reports.append(report["exception"]))
    loop.run_until_complete(main())
    loop.close()
    assert [type(exception) for exception in reports] == [MemoryError]


def test_a_call_in_an_executor_ends_also_without_memory() -> None:
    async def main() -> None:
        source: concurrent.futures.Future[int] = concurrent.futures.Future()
        source.set_result(1)
        for faults in each_failure():
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            assert not fails(faults, lambda it=future: end_as(it, source))
            with contextlib.suppress(MemoryError):
                assert future.result() == 1

    refloop.run(main())
