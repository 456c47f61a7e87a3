"""create_connection() fails: which error comes out, and that nothing is left behind by it."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires
from loopproof.authoring.certificates import certificate, client_context
from loopproof.authoring.descriptors import opened_since
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import unverified, warmed_up
from loopproof.authoring.ports import Port
from loopproof.authoring.resolution import HOST, Resolver

Loop = Any  # typeshed does not know all arguments that are tried here
Failing = Callable[[Loop, Port, Callable[[], Any]], Coroutine[Any, Any, Any]]
BOTH = ("::1", "127.0.0.1")


@requires("CONN-CREATE_CONNECTION-04")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_connection_is_refused(loop: Loop, host: str) -> None:
    """Where nobody listens ConnectionRefusedError comes out."""
    with Port() as port, raises(ConnectionRefusedError):
        await loop.create_connection(RecordingProtocol, host, port.number, family=socket.AF_INET)


@requires("CONN-CREATE_CONNECTION-04")
async def test_the_factory_of_a_refused_connection(loop: Loop) -> None:
    """Where nobody listens the factory is not called."""
    made: list[RecordingProtocol] = []

    def factory() -> RecordingProtocol:
        made.append(RecordingProtocol())
        return made[-1]

    with Port() as port, raises(OSError):
        await loop.create_connection(factory, "127.0.0.1", port.number)
    assert not made, "the factory was called although no connection came about"


@requires("CONN-CREATE_CONNECTION-04")
@pytest.mark.parametrize("host", ["255.255.255.255", "224.0.0.1"])
async def test_an_address_that_cannot_be_connected_to(loop: Loop, host: str) -> None:
    """What the kernel refuses at once comes out as OSError with its errno."""
    with socket.socket() as probe:
        expected = probe.connect_ex((host, 1))
    with raises(OSError) as raised:
        await loop.create_connection(RecordingProtocol, host, 1)
    assert isinstance(raised.value, OSError)
    assert raised.value.errno == expected


@requires("CONN-CREATE_CONNECTION-04")
async def test_the_same_port_works_after_a_refusal(loop: Loop) -> None:
    """A refusal is not remembered: as soon as somebody listens the next attempt succeeds."""
    with Port() as port:
        for _ in range(3):
            with raises(ConnectionRefusedError):
                await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number)
        port.listen()
        transport, protocol = await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number)
        transport.abort()
        await protocol.closed.wait()


@requires("CONN-CREATE_CONNECTION-27")
@needs("ipv6")
async def test_every_address_refuses(loop: Loop) -> None:
    """Where all addresses refuse, one of the errors comes out, or an OSError that tells of each."""
    with Port(*BOTH) as port, raises(OSError) as raised:
        await loop.create_connection(RecordingProtocol, None, port.number)
    assert isinstance(raised.value, ConnectionRefusedError) or all(host in str(raised.value) for host in BOTH)


@requires("CONN-CREATE_CONNECTION-27")
@needs("resolver")
async def test_addresses_fail_with_the_same_message(loop: Loop) -> None:
    """Where the errors of all attempts are the same one of them comes out."""
    with Port() as port, Resolver({HOST: [("127.0.0.1", port.number)] * 3}), raises(ConnectionRefusedError):
        await loop.create_connection(RecordingProtocol, HOST, 1)


@requires("CONN-CREATE_CONNECTION-27")
@needs("resolver")
async def test_addresses_fail_for_different_reasons(loop: Loop) -> None:
    """Where the errors differ a single OSError comes out whose message tells of each."""
    with Port("127.0.0.1") as port, Port("127.0.0.2").listen() as taken:
        addresses = [("127.0.0.1", port.number), ("255.255.255.255", 1), ("127.0.0.1", port.number)]
        reasons = []
        for address in addresses:
            with Resolver({HOST: [address]}), raises(OSError) as alone:
                await loop.create_connection(RecordingProtocol, HOST, 1)
            reasons.append(str(alone.value))
        with Resolver({HOST: addresses}), raises(OSError) as raised:
            await loop.create_connection(RecordingProtocol, HOST, 1)
        assert all(reason in str(raised.value) for reason in reasons), f"{raised.value} does not tell of {reasons}"
        assert taken.number != port.number


@requires("CONN-CREATE_CONNECTION-28")
@needs("ipv6")
@pytest.mark.parametrize("hosts", [BOTH[:1], BOTH[1:], BOTH], ids=str)
async def test_all_errors(loop: Loop, hosts: tuple[str, ...]) -> None:
    """With all_errors an ExceptionGroup has the error of each attempt, also of a single one."""
    with Port(*BOTH) as port, raises(ExceptionGroup) as raised:
        await loop.create_connection(
            RecordingProtocol, hosts[0] if len(hosts) == 1 else None, port.number, all_errors=True
        )
    assert isinstance(raised.value, ExceptionGroup)
    assert [type(error) for error in raised.value.exceptions] == [ConnectionRefusedError] * len(hosts)


@requires("CONN-CREATE_CONNECTION-28")
async def test_all_errors_of_a_connection_that_succeeds(loop: Loop) -> None:
    """With all_errors a connection that succeeds is returned as ever."""
    with Port().listen() as port:
        transport, protocol = await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number, all_errors=True)
        transport.abort()
        await protocol.closed.wait()


async def refused(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect where nobody listens."""
    await loop.create_connection(factory, "127.0.0.1", port.number)


async def refused_at_once(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect to a broadcast address, which connect() refuses before anything is sent."""
    await loop.create_connection(factory, "127.255.255.255", port.number)


async def refused_twice(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect to a name with two addresses, where nobody listens."""
    await loop.create_connection(factory, None, port.number)


async def refused_in_a_race(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect to a name with two addresses side by side, where nobody listens."""
    await loop.create_connection(factory, None, port.number, happy_eyeballs_delay=0.001)


async def not_bound(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect from an address that this machine has not."""
    await loop.create_connection(factory, "127.0.0.1", port.listen().number, local_addr=("192.0.2.1", 0))


async def not_found(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect to a name that the lookup refuses."""
    await loop.create_connection(factory, "localhost", port.number, flags=socket.AI_NUMERICHOST)


async def not_trusted(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect with TLS to a peer whose certificate is for another name."""
    begin = [faultkit.accept(), faultkit.tls_server(*certificate("other.test")), faultkit.tls_handshake()]
    with unverified(faultkit.Peer([*begin, faultkit.drain()], listen="tcp")) as peer:
        await loop.create_connection(factory, *peer.address, ssl=client_context(), server_hostname="localhost")


async def not_tls(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect with TLS to a peer that does not speak it."""
    with unverified(
        faultkit.Peer([faultkit.accept(), faultkit.send(b"220 hello\r\n"), faultkit.drain()], listen="tcp")
    ) as peer:
        await loop.create_connection(factory, *peer.address, ssl=client_context(), server_hostname="localhost")


async def ended_in_handshake(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect with TLS to a peer that hangs up."""
    with faultkit.Peer([faultkit.accept(), faultkit.receive(5), faultkit.reset()], listen="tcp") as peer:
        await loop.create_connection(factory, *peer.address, ssl=client_context(), server_hostname="localhost")


async def too_late(loop: Loop, port: Port, factory: Callable[[], Any]) -> None:
    """Connect with TLS to a peer that does not answer in time."""
    await loop.create_connection(
        factory,
        "127.0.0.1",
        port.listen().number,
        ssl=client_context(),
        server_hostname="localhost",
        ssl_handshake_timeout=0.01,
    )


PLAIN: dict[str, Failing] = {
    "refused": refused,
    "refused at once": refused_at_once,
    "refused twice": refused_twice,
    "not bound": not_bound,
    "not found": not_found,
}
TLS: dict[str, Failing] = {
    "not trusted": not_trusted,
    "not TLS": not_tls,
    "ended in the handshake": ended_in_handshake,
    "too late": too_late,
}


async def failure(loop: Loop, failing: Failing) -> None:
    """Let an attempt fail and check, with its error still at hand, that it has left nothing open."""
    with Port(*BOTH) as port:
        before = await warmed_up(loop)
        with raises(OSError) as raised:
            await failing(loop, port, RecordingProtocol)
        for _ in range(3):  # a transport closes its socket in an iteration of its own
            await asyncio.sleep(0)
        left = opened_since(before)
        assert not left, f"{raised.value!r} leaves open: {left}"


@requires("CONN-CREATE_CONNECTION-49")
@needs("ipv6")
@pytest.mark.parametrize("how", sorted(PLAIN))
async def test_a_failure_leaves_nothing_open(loop: Loop, how: str) -> None:
    """After a failed attempt its sockets are closed, though the error is still at hand."""
    await failure(loop, PLAIN[how])


@requires("CONN-CREATE_CONNECTION-49")
@needs("ipv6", "tls")
@pytest.mark.parametrize("how", sorted(TLS))
async def test_a_failure_of_tls_leaves_nothing_open(loop: Loop, how: str) -> None:
    """After a failed handshake the socket is closed, though the error is still at hand."""
    await failure(loop, TLS[how])


def cycles_of(loop: Loop, failing: Failing) -> list[BaseException]:
    """Let an attempt fail, drop its error, and return the errors that only a garbage collection finds."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        loop.run_until_complete(failed(loop, failing))
        loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
        return [garbage for garbage in gc.garbage if isinstance(garbage, OSError)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def failed(loop: Loop, failing: Failing) -> None:
    """Let an attempt fail."""
    with Port(*BOTH) as port:
        try:
            await failing(loop, port, RecordingProtocol)
        except OSError:
            return
    raise AssertionError("expected OSError, nothing was raised")


@requires("CONN-CREATE_CONNECTION-50")
@needs("ipv6")
@pytest.mark.parametrize("how", sorted(PLAIN))
def test_the_error_is_in_no_cycle(loop: Loop, how: str) -> None:
    """The error of a failed attempt is gone once nobody has it, without a garbage collection."""
    found = cycles_of(loop, PLAIN[how])
    assert not found, f"in a reference cycle: {found!r}"


@requires("CONN-CREATE_CONNECTION-50")
@needs("ipv6", "happy_eyeballs")
def test_the_error_of_a_race_is_in_no_cycle(loop: Loop) -> None:
    """The same holds where attempts run side by side, and for the error of each of them."""
    found = cycles_of(loop, refused_in_a_race)
    assert not found, f"in a reference cycle: {found!r}"


@requires("CONN-CREATE_CONNECTION-51")
@needs("ipv6", "tls")
@pytest.mark.parametrize("how", sorted(TLS))
def test_the_error_of_a_handshake_is_in_no_cycle(loop: Loop, how: str) -> None:
    """The error of a failed handshake is gone once nobody has it, without a garbage collection."""
    found = cycles_of(loop, TLS[how])
    assert not found, f"in a reference cycle: {found!r}"


@requires("CONN-CREATE_CONNECTION-62")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_that_is_no_service(loop: Loop, host: str) -> None:
    """A port that is a word, but no service, is a name that cannot be resolved: socket.gaierror."""
    with raises(socket.gaierror):
        await loop.create_connection(RecordingProtocol, host, "no-such-service")
