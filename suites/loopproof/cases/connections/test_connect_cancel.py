"""create_connection() is cancelled: in each state that it goes through, and nothing is left of it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.cancellation import Turns
from loopproof.authoring.certificates import certificate, client_context
from loopproof.authoring.descriptors import Squatters, closed_since, opened_since
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended, polls, unverified, warmed_up
from loopproof.authoring.ports import Port

Loop = Any  # typeshed does not know all arguments that are tried here
Connecting = Callable[[Loop, Port, Callable[[], Any]], Coroutine[Any, Any, Any]]
BOTH = ("::1", "127.0.0.1")


async def by_address(loop: Loop, port: Port, factory: Callable[[], Any]) -> Any:
    """Connect to an address."""
    return await loop.create_connection(factory, "127.0.0.1", port.number)


async def by_name(loop: Loop, port: Port, factory: Callable[[], Any]) -> Any:
    """Connect to a name from a name."""
    return await loop.create_connection(
        factory, "localhost", port.number, local_addr=("localhost", 0), family=socket.AF_INET
    )


async def by_socket(loop: Loop, port: Port, factory: Callable[[], Any]) -> Any:
    """Take a socket that is connected already."""
    return await loop.create_connection(factory, sock=socket.create_connection(("127.0.0.1", port.number)))


async def by_second_address(loop: Loop, port: Port, factory: Callable[[], Any]) -> Any:
    """Connect to two addresses, of which one refuses."""
    return await loop.create_connection(factory, None, port.number)


async def by_race(loop: Loop, port: Port, factory: Callable[[], Any]) -> Any:
    """Connect to an address in a race that it alone takes part in: no lookup makes the number of turns vary."""
    return await loop.create_connection(factory, "127.0.0.1", port.number, happy_eyeballs_delay=0)


WAYS: dict[str, Connecting] = {
    "address": by_address,
    "name": by_name,
    "second address": by_second_address,
    "socket": by_socket,
}


@requires("CONN-CREATE_CONNECTION-07", "CONN-CREATE_CONNECTION-59")
@needs("ipv6")
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_cancelled_at_each_turn(loop: Loop, way: str) -> None:
    """Whenever it is cancelled CancelledError comes out, and all sockets are closed, at the peer's end, too."""
    await cancelled_at_each_turn(loop, WAYS[way])


@requires("CONN-CREATE_CONNECTION-59")
@needs("ipv6")
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_a_protocol_that_is_cancelled_at_each_turn(loop: Loop, way: str) -> None:
    """Whenever it is cancelled, a protocol that was told of the connection is told that it is lost."""
    for protocol in await cancelled_at_each_turn(loop, WAYS[way]):
        if protocol.transport is not None:
            await until(protocol.closed.is_set, "connection_lost() of a cancelled connection")
        protocol.history.check()


@requires("CONN-CREATE_CONNECTION-07", "CONN-CREATE_CONNECTION-59")
@needs("ipv6", "happy_eyeballs")
async def test_a_race_is_cancelled_at_each_turn(loop: Loop) -> None:
    """A race of attempts ends with CancelledError, and all its sockets are closed."""
    await cancelled_at_each_turn(loop, by_race)


async def cancelled_at_each_turn(loop: Loop, connecting: Connecting) -> list[Any]:
    """Cancel a way to connect at each of its turns, check that nothing is left each time; return all protocols."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(RecordingProtocol())
        return made[-1]

    with Port(*BOTH).listen("127.0.0.1") as port:
        before = await warmed_up(loop)
        for turn in (turns := Turns()):
            task = await turns.cancel(connecting(loop, port, factory))
            if not task.cancelled():
                await ended(*task.result())
            del task
            await closed_since(before, f"create_connection(), cancelled at its turn {turn},")
            while port.waiting("127.0.0.1"):
                with port.accept("127.0.0.1") as accepted, contextlib.suppress(ConnectionResetError):
                    assert accepted.recv(1) == b""
    return made


@requires("CONN-CREATE_CONNECTION-07")
async def test_cancelled_while_nobody_answers(loop: Loop) -> None:
    """A connection that waits for an answer is closed at once, and its descriptor is not used any more."""
    with Port().stall() as port:
        before = await warmed_up(loop)
        task = asyncio.ensure_future(loop.create_connection(RecordingProtocol, "127.0.0.1", port.number))
        await until(lambda: opened_since(before), "a socket")
        await polls(3)
        numbers = faultkit.descriptors().keys() - before.keys()
        task.cancel()
        with raises(asyncio.CancelledError):
            await task
        await closed_since(before, "create_connection()")
        with Squatters() as squatters:
            squatters.occupy(*numbers)
            await polls(5)


@requires("CONN-CREATE_CONNECTION-07")
async def test_a_timeout_while_nobody_answers(loop: Loop) -> None:
    """asyncio.timeout() ends an attempt that nobody answers, and its socket is closed."""
    with Port().stall() as port:
        before = await warmed_up(loop)
        with raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number)
        await closed_since(before, "create_connection()")


@requires("CONN-CREATE_CONNECTION-07")
@needs("happy_eyeballs", "ipv6")
async def test_a_race_is_cancelled_while_nobody_answers(loop: Loop) -> None:
    """All attempts of a race are given up when it is cancelled."""
    with Port(*BOTH).stall() as port:
        before = await warmed_up(loop)
        task = asyncio.ensure_future(
            loop.create_connection(RecordingProtocol, None, port.number, happy_eyeballs_delay=0.001)
        )
        await until(lambda: len(opened_since(before)) == 2, "two sockets")
        task.cancel()
        with raises(asyncio.CancelledError):
            await task
        await closed_since(before, "create_connection()")


@requires("CONN-CREATE_CONNECTION-08")
@needs("tls")
@pytest.mark.parametrize("begun", [False, True])
async def test_cancelled_in_a_handshake(loop: Loop, begun: bool) -> None:
    """Where the peer stops in a handshake, a cancel closes the connection: the peer sees the end of it."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake(limit=100), faultkit.tls_forget()]
    script = [faultkit.accept(), *(tls if begun else [faultkit.receive(5)]), faultkit.drain()]
    with faultkit.Peer(script, listen="tcp") as peer:
        before = await warmed_up(loop)
        task = asyncio.ensure_future(
            loop.create_connection(RecordingProtocol, *peer.address, ssl=client_context(), server_hostname="localhost")
        )
        await until(lambda: peer.completed == len(script) - 1, "the peer's part of the handshake")
        await polls(3)
        task.cancel()
        with raises(asyncio.CancelledError):
            await task
        await closed_since(before, "create_connection()")
        await until(lambda: peer.ended, "the end of the connection")


@requires("CONN-CREATE_CONNECTION-08", "CONN-CREATE_CONNECTION-59")
@needs("tls")
async def test_tls_is_cancelled_at_each_turn(loop: Loop) -> None:
    """Whenever it is cancelled CancelledError comes out, all is closed, and a protocol that was connected is lost."""
    tls = [faultkit.tls_server(*certificate("localhost")), faultkit.tls_handshake(), faultkit.drain()]
    for turn in (turns := Turns()):
        with unverified(faultkit.Peer([faultkit.accept(), *tls], listen="tcp")) as peer:
            before = await warmed_up(loop)
            protocol = RecordingProtocol()
            task = await turns.cancel(
                loop.create_connection(
                    lambda: protocol,  # noqa: B023 - called before the next turn
                    *peer.address,
                    ssl=client_context(),
                    server_hostname="localhost",
                )
            )
            if not task.cancelled():
                await ended(*task.result())
            del task
            await until(lambda: peer.ended or not peer.completed, "the end of the connection")
            peer.stop()
            await closed_since(before, f"create_connection(), cancelled at its turn {turn},")
            if protocol.transport is not None:
                await until(protocol.closed.is_set, "connection_lost()")
            protocol.history.check()
