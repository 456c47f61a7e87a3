"""create_datagram_endpoint(): what allow_broadcast and reuse_port do to the socket and to datagrams."""

import contextlib
import errno
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.datagrams import bound, endpoint
from loopproof.authoring.history import RecordingDatagramProtocol
from loopproof.faultkit import Injector, fail

Loop = Any  # typeshed does not know all arguments that are tried here
EVERYBODY = "127.255.255.255"
"""The broadcast address of the loopback interface, on Linux."""


def option(link: Any, name: int) -> int:
    """An option of the socket of an endpoint."""
    value: int = link.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, name)
    return value


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-08")
@pytest.mark.parametrize("how", ["local_addr", "remote_addr", "family"])
@pytest.mark.parametrize("value", [True, False, None, 1])
async def test_broadcast_is_allowed(loop: Loop, how: str, value: Any) -> None:
    """allow_broadcast sets SO_BROADCAST, which is off without it."""
    arguments: dict[str, Any] = {
        "local_addr": ("127.0.0.1", 0),
        "remote_addr": ("127.0.0.1", 9),
        "family": socket.AF_INET,
    }
    async with endpoint(loop, **{how: arguments[how]}, allow_broadcast=value) as link:
        assert bool(option(link, socket.SO_BROADCAST)) is bool(value)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-08", "DGRAM-ERROR-01")
@needs("linux")
async def test_a_broadcast(loop: Loop) -> None:
    """With allow_broadcast a datagram reaches the broadcast address; without it error_received() is called."""
    with bound(host=EVERYBODY) as beyond:
        async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
            link.transport.sendto(b"refused", beyond.getsockname())
            assert isinstance(await link.failed(), PermissionError)
        async with endpoint(loop, local_addr=("127.0.0.1", 0), allow_broadcast=True) as link:
            link.transport.sendto(b"allowed", beyond.getsockname())
            found: list[Any] = []

            def arrived() -> bool:
                with contextlib.suppress(BlockingIOError):
                    found.append(beyond.recvfrom(100))
                return bool(found)

            await until(arrived, "the broadcast")
            assert found == [(b"allowed", link.name)]
            assert not link.errors


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-09")
@needs("linux")
@pytest.mark.parametrize("host", ["127.0.0.1", EVERYBODY])
async def test_a_remote_address_with_broadcast(loop: Loop, host: str) -> None:
    """With allow_broadcast the socket is not connected to remote_addr: anybody may answer, and datagrams go there."""
    with bound(host=host) as beyond, bound() as stranger:
        async with endpoint(loop, remote_addr=beyond.getsockname(), allow_broadcast=True) as link:
            assert link.transport.get_extra_info("peername") is None
            link.transport.sendto(b"hello")
            link.transport.sendto(b"hello", beyond.getsockname())
            with raises(ValueError):
                link.transport.sendto(b"hello", stranger.getsockname())
            beyond.setblocking(True)
            beyond.settimeout(5)
            assert [beyond.recv(100) for _ in range(2)] == [b"hello"] * 2
            stranger.sendto(b"answer", ("127.0.0.1", link.name[1]))
            assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-10")
@pytest.mark.parametrize("how", ["local_addr", "remote_addr", "family"])
@pytest.mark.parametrize("value", [True, False, None])
async def test_the_port_is_shared(loop: Loop, how: str, value: Any) -> None:
    """reuse_port sets SO_REUSEPORT, which is off without it."""
    arguments: dict[str, Any] = {
        "local_addr": ("127.0.0.1", 0),
        "remote_addr": ("127.0.0.1", 9),
        "family": socket.AF_INET,
    }
    async with endpoint(loop, **{how: arguments[how]}, reuse_port=value) as link:
        assert bool(option(link, socket.SO_REUSEPORT)) is bool(value)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-10")
async def test_two_endpoints_at_one_port(loop: Loop) -> None:
    """With reuse_port two endpoints have the same address; without it the second one raises OSError."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0), reuse_port=True) as first:
        async with endpoint(loop, local_addr=first.name, reuse_port=True) as second:
            assert second.name == first.name
        with raises(OSError):
            await loop.create_datagram_endpoint(RecordingDatagramProtocol, local_addr=first.name)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-02")
async def test_addresses_are_not_reused(loop: Loop) -> None:
    """SO_REUSEADDR is off, so that nobody can take over the address of an endpoint."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
        assert option(link, socket.SO_REUSEADDR) == 0


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-10")
@needs("udp", "injector")
def test_reuse_port_on_a_system_that_lacks_it(new_loop: Any) -> None:
    """Where the system knows no SO_REUSEPORT, reuse_port=True raises ValueError and leaves nothing open."""

    def scenario() -> None:
        loop = new_loop()
        with raises(ValueError):
            loop.run_until_complete(
                loop.create_datagram_endpoint(RecordingDatagramProtocol, local_addr=("127.0.0.1", 0), reuse_port=True)
            )
        loop.close()

    injector = Injector([fail("setsockopt", "ENOPROTOOPT", kind="udp")])
    injector.run(scenario)
    assert any(call.action == "fail" for call in injector.trace), "the option was not asked for"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-19")
@needs("linux")
async def test_a_connection_to_a_broadcast_address(loop: Loop) -> None:
    """remote_addr that is a broadcast address raises PermissionError without allow_broadcast."""
    with bound(host=EVERYBODY) as beyond, raises(OSError) as caught:
        await loop.create_datagram_endpoint(RecordingDatagramProtocol, remote_addr=beyond.getsockname())
    assert getattr(caught.value, "errno", None) == errno.EACCES, f"the error is {caught.value!r}"
