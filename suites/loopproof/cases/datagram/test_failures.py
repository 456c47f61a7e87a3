"""create_datagram_endpoint() fails or is cancelled: what is raised, and that nothing is left of it."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.datagrams import bound, endpoint
from loopproof.authoring.descriptors import closed_since, opened_since
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.authoring.links import polls, warmed_up
from loopproof.authoring.resolution import HOST, Resolver
from loopproof.authoring.serving import sockets
from loopproof.faultkit import Injector, fail

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
@pytest.mark.parametrize("beside", [{}, {"remote_addr": ("127.0.0.1", 9)}], ids=["alone", "with remote_addr"])
async def test_a_local_address_in_use(loop: Loop, beside: dict[str, Any]) -> None:
    """A local address that is taken raises OSError EADDRINUSE; the factory is not called, nothing is left open."""
    before = await warmed_up(loop)
    made: list[Any] = []
    with bound() as taken, raises(OSError) as caught:
        await loop.create_datagram_endpoint(lambda: made.append(None), local_addr=taken.getsockname(), **beside)
    assert number_of(caught.value) == errno.EADDRINUSE, f"the error is {caught.value!r}"
    assert not made, "the factory was called though there is no endpoint"
    await closed_since(before, "an address in use")


def number_of(error: BaseException | None) -> int | None:
    """The errno of an error, or of the one that it was raised from."""
    while error is not None and getattr(error, "errno", None) is None:
        error = error.__cause__
    return getattr(error, "errno", None)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
async def test_a_local_address_of_somebody_else(loop: Loop) -> None:
    """A local address that this host does not have raises OSError EADDRNOTAVAIL, and nothing is left open."""
    before = await warmed_up(loop)
    with raises(OSError) as caught:
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, local_addr=("192.0.2.77", 0))
    assert number_of(caught.value) == errno.EADDRNOTAVAIL, f"the error is {caught.value!r}"
    await closed_since(before, "an address of somebody else")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
@needs("udp", "injector")
@pytest.mark.parametrize(
    ("call", "error", "arguments"),
    [
        ("socket", "EMFILE", {"family": socket.AF_INET}),
        ("bind", "EACCES", {"local_addr": ("127.0.0.1", 0)}),
        ("connect", "ENETUNREACH", {"remote_addr": ("127.0.0.1", 9)}),
    ],
)
def test_a_system_call_fails(loop: Loop, call: str, error: str, arguments: dict[str, Any]) -> None:
    """An error of socket(), bind() or connect() is raised, and nothing is left open."""
    found: list[Any] = []

    async def scenario() -> None:
        before = sockets()
        with raises(OSError) as caught:
            await loop.create_datagram_endpoint(RecordingDatagramProtocol, **arguments)
        found.append(caught.value)
        assert sockets() == before, f"a failed {call}() leaves a socket open"

    kind = None if call == "socket" else "udp"
    Injector([fail(call, error, count=1, kind=kind)]).run(loop.run_until_complete, scenario())
    assert number_of(found[0]) == getattr(errno, error), f"the error is {found[0]!r}"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-21")
@needs("udp", "resolver")
@pytest.mark.parametrize("name", ["local_addr", "remote_addr"])
@pytest.mark.parametrize("answer", ["an error", "nothing"])
async def test_a_name_that_nobody_has(loop: Loop, name: str, answer: str) -> None:
    """The error of a look-up is raised; no addresses at all are an OSError; nothing is left open."""
    before = await warmed_up(loop)
    error = socket.gaierror(socket.EAI_NONAME, "unknown")
    await loop.run_in_executor(None, int)  # so that the executor has its thread
    with Resolver({HOST: error if answer == "an error" else []}), raises(OSError) as caught:
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, **{name: (HOST, 9)})
    assert answer == "nothing" or caught.value is error
    await closed_since(before, "a failed look-up")


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-23")
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_factory_that_raises(loop: Loop, error: type[BaseException]) -> None:
    """What the factory raises is raised, and the socket is closed, at once and not by the garbage collector."""
    before = await warmed_up(loop)

    def factory() -> Any:
        raise error

    with raises(error) as caught:
        await loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0))
    await polls(2)
    left = opened_since(before)
    assert not left, f"a factory that raises leaves open: {left}"
    del caught


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-27")
async def test_an_error_of_connection_made(loop: Loop, reports: list[Any]) -> None:
    """An Exception of connection_made() is reported once; the endpoint is returned, receives, sends and ends."""

    def fails(_: Any) -> None:
        raise ZeroDivisionError

    with bound() as beyond:
        async with endpoint(loop, on={"connection_made": fails}, local_addr=("127.0.0.1", 0)) as link:
            assert [type(report["exception"]) for report in reports] == [ZeroDivisionError], f"reports: {reports}"
            reports.clear()
            link.transport.sendto(b"hello", beyond.getsockname())
            beyond.settimeout(5)
            assert beyond.recv(100) == b"hello"
            beyond.sendto(b"answer", link.name)
            assert await link.delivered(1) == [b"answer"]


Opening = Callable[[Loop, Any, socket.socket], Coroutine[Any, Any, Any]]


async def by_address(loop: Loop, factory: Any, beyond: socket.socket) -> Any:
    """Bind an address and connect to another."""
    return await loop.create_datagram_endpoint(factory, ("127.0.0.1", 0), beyond.getsockname())


async def by_name(loop: Loop, factory: Any, beyond: socket.socket) -> Any:
    """Look both addresses up."""
    remote = ("localhost", beyond.getsockname()[1])
    return await loop.create_datagram_endpoint(factory, ("localhost", 0), remote, family=socket.AF_INET)


async def by_family(loop: Loop, factory: Any, beyond: socket.socket) -> Any:
    """Make an endpoint without addresses."""
    return await loop.create_datagram_endpoint(factory, family=beyond.family)


async def by_socket(loop: Loop, factory: Any, beyond: socket.socket) -> Any:
    """Take a socket."""
    return await loop.create_datagram_endpoint(factory, sock=socket.socket(beyond.family, socket.SOCK_DGRAM))


WAYS: dict[str, Opening] = {"address": by_address, "name": by_name, "family": by_family, "socket": by_socket}


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-24")
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_a_cancel_at_every_turn(loop: Loop, way: str) -> None:
    """Whenever it is cancelled, connection_made() is followed by connection_lost(), and nothing is left open."""
    with bound() as beyond:
        transport, protocol = await by_name(loop, RecordingDatagramProtocol, beyond)  # warms the executor up
        transport.close()
        await until(protocol.closed.is_set, "connection_lost()")
        await polls(2)
        before = faultkit.descriptors()

        async def scenario(cancel: Cancel) -> None:
            protocol = RecordingDatagramProtocol()
            task = await cancel(WAYS[way](loop, lambda: protocol, beyond))
            if not task.cancelled():
                transport, returned = task.result()
                assert returned is protocol
                transport.close()
            await polls(2)
            if protocol.history.names:
                await until(protocol.closed.is_set, "connection_lost() of a call that was cancelled", share=0.1)
                protocol.history.check()
            await closed_since(before, "a call that was cancelled")

        await at_every_turn(scenario)
