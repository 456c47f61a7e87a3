"""get_extra_info() and repr(): what a transport tells of itself, in every state."""

import asyncio
import socket
from typing import Any

import pytest

from loopproof.authoring import Connect, on_streams, raises, requires
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import clogged
from loopproof.faultkit import drain, hold

TCP = ("tcp-client", "tcp-server", "accepted", "connected")


@requires("TRANS-GET_EXTRA_INFO-01")
@on_streams()
async def test_a_name_that_is_not_known(connect: Connect) -> None:
    """For an unknown name the default is returned, None if there is none."""
    link = await connect([hold()])
    default = object()
    assert link.transport.get_extra_info("no such thing") is None
    assert link.transport.get_extra_info("no such thing", default) is default
    assert link.transport.get_extra_info("no such thing", default=default) is default
    assert link.transport.get_extra_info("sslcontext") is None
    assert link.transport.get_extra_info("peercert", default) is default


@requires("TRANS-GET_EXTRA_INFO-02", "TRANS-GET_EXTRA_INFO-03", "TRANS-GET_EXTRA_INFO-06")
@on_streams(*TCP)
async def test_the_addresses_of_a_tcp_connection(connect: Connect) -> None:
    """socket, sockname and peername are there, and agree with the kernel."""
    link = await connect([hold()])
    ours = link.transport.get_extra_info("socket")
    assert link.transport.get_extra_info("sockname") == ours.getsockname()
    assert link.transport.get_extra_info("peername") == ours.getpeername()
    assert link.transport.get_extra_info("sockname") != link.transport.get_extra_info("peername")
    assert link.transport.get_extra_info("sockname")[0] == "127.0.0.1"
    assert (ours.family, ours.type) == (socket.AF_INET, socket.SOCK_STREAM)
    assert ours.proto in (0, socket.IPPROTO_TCP)
    with socket.socket(fileno=socket.dup(ours.fileno())) as same:
        assert same.getpeername() == ours.getpeername()


@requires("TRANS-GET_EXTRA_INFO-02", "TRANS-GET_EXTRA_INFO-03")
@on_streams("unix-client", "unix-server")
async def test_the_addresses_of_a_unix_connection(connect: Connect) -> None:
    """socket, sockname and peername are there for UNIX sockets too."""
    link = await connect([hold()])
    ours = link.transport.get_extra_info("socket")
    assert ours.family == socket.AF_UNIX
    assert link.transport.get_extra_info("sockname") == ours.getsockname()
    assert link.transport.get_extra_info("peername") == ours.getpeername()


@requires("TRANS-GET_EXTRA_INFO-03")
@on_streams()
async def test_options_of_the_socket(connect: Connect) -> None:
    """The socket's options can be read and set."""
    link = await connect([hold()])
    ours = link.transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert isinstance(ours.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8), bytes)
    assert ours.fileno() >= 0
    assert isinstance(repr(ours), str)


@requires("TRANS-GET_EXTRA_INFO-04")
@on_streams()
async def test_the_socket_cannot_be_made_blocking(connect: Connect) -> None:
    """What would make it block is refused with ValueError, and what leaves it as it is works."""
    link = await connect([hold()])
    ours = link.transport.get_extra_info("socket")
    with raises(ValueError):
        ours.setblocking(True)
    with raises(ValueError):
        ours.settimeout(1.0)
    ours.setblocking(False)
    ours.settimeout(0)
    assert ours.gettimeout() == 0.0


@requires("TRANS-GET_EXTRA_INFO-05")
@on_streams()
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_addresses_outlive_the_connection(connect: Connect, how: str) -> None:
    """sockname and peername are the same in connection_lost() and after it."""
    seen: list[Any] = []
    protocol = RecordingProtocol(on={"connection_lost": lambda protocol: seen.append(addresses(protocol.transport))})
    link = await connect([drain()], protocol=lambda: protocol)
    before = addresses(link.transport)
    getattr(link.transport, how)()
    await link.lost()
    await asyncio.sleep(0)
    assert seen == [before]
    assert addresses(link.transport) == before


def addresses(transport: Any) -> tuple[Any, Any]:
    """Both addresses of a transport."""
    return transport.get_extra_info("sockname"), transport.get_extra_info("peername")


@requires("TRANS-REPR-01")
@on_streams()
async def test_repr_in_every_state(connect: Connect) -> None:
    """repr() works on a transport that is open, reads or not, has bytes queued, is closing, and is lost."""
    link = await clogged(connect)
    for change in ("resume_reading", "pause_reading", "write_eof", "close", "abort"):
        getattr(link.transport, change)()
        assert repr(link.transport).startswith("<"), f"after {change}()"
    await link.lost()
    assert repr(link.transport).startswith("<")
    assert str(link.transport)


@requires("TRANS-REPR-01")
@on_streams()
def test_repr_of_a_transport_of_a_closed_loop(loop: asyncio.AbstractEventLoop, connect: Connect) -> None:
    """repr() still works once the loop is closed."""
    kept: list[Any] = []

    async def scenario() -> None:
        link = await connect([drain()])
        kept.append(link.transport)
        link.transport.close()
        await link.lost()

    loop.run_until_complete(scenario())
    loop.run_until_complete(connect.close())
    loop.close()
    assert repr(kept[0]).startswith("<")
