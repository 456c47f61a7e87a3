"""create_datagram_endpoint(): arguments and combinations of them that are refused, each with its exception."""

import socket
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires
from loopproof.authoring.datagrams import bound, endpoint
from loopproof.authoring.descriptors import closed_since
from loopproof.authoring.links import warmed_up

Loop = Any  # typeshed does not know all arguments that are tried here


async def refused(loop: Loop, *kinds: type[BaseException], **arguments: Any) -> BaseException:
    """Check that these arguments are refused with one of the exceptions; return it.

    The factory may not be called, and nothing may be left open.
    """
    before = await warmed_up(loop)
    made: list[Any] = []
    with raises(*kinds) as caught:
        await loop.create_datagram_endpoint(lambda: made.append(None), **arguments)
    assert not made, "the factory was called though the arguments are refused"
    await closed_since(before, "a refused call")
    return caught.value


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-05", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"local_addr": None, "remote_addr": None, "sock": None},
        {"allow_broadcast": True},
        {"reuse_port": True},
        {"proto": socket.IPPROTO_UDP},
    ],
    ids=["nothing", "None", "allow_broadcast", "reuse_port", "proto"],
)
async def test_neither_address_nor_family_nor_socket(loop: Loop, arguments: dict[str, Any]) -> None:
    """Without address, family and socket ValueError is raised."""
    await refused(loop, ValueError, **arguments)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-06", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
@pytest.mark.parametrize("name", ["local_addr", "remote_addr"])
@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", 9, ("127.0.0.1",), ("127.0.0.1", 9, 0), ("::1", 9, 0, 0), b"\x7f\0\0\1", {"host": 1}],
    ids=str,
)
async def test_an_address_that_is_no_pair(loop: Loop, name: str, address: Any) -> None:
    """An IP address that is no pair of host and port raises TypeError."""
    await refused(loop, TypeError, **{name: address})


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-07", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
async def test_addresses_of_two_families(loop: Loop) -> None:
    """A local and a remote address of different families raise ValueError."""
    await refused(loop, ValueError, local_addr=("127.0.0.1", 0), remote_addr=("::1", 9))


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-11")
@pytest.mark.parametrize("value", [True, False, None])
async def test_reuse_address_is_gone(loop: Loop, value: Any) -> None:
    """The parameter reuse_address is not known any more: TypeError."""
    await refused(loop, TypeError, local_addr=("127.0.0.1", 0), reuse_address=value)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-13", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
@pytest.mark.parametrize(
    "beside",
    [
        {"local_addr": ("127.0.0.1", 0)},
        {"remote_addr": ("127.0.0.1", 9)},
        {"family": socket.AF_INET},
        {"proto": socket.IPPROTO_UDP},
        {"flags": socket.AI_PASSIVE},
        {"reuse_port": True},
        {"allow_broadcast": True},
    ],
    ids=lambda beside: next(iter(beside)),
)
async def test_something_beside_a_socket(loop: Loop, beside: dict[str, Any]) -> None:
    """sock beside what makes or changes a socket raises ValueError, and the socket stays open."""
    with bound() as ours:
        await refused(loop, ValueError, sock=ours, **beside)
        assert faultkit.descriptor(ours).kind == "socket", "the socket was closed"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-12")
async def test_what_changes_nothing_beside_a_socket(loop: Loop) -> None:
    """What is false beside sock is taken for not given."""
    nothing: Any = {"local_addr": None, "remote_addr": None, "reuse_port": False, "allow_broadcast": False}
    with bound() as ours:
        name = ours.getsockname()
        async with endpoint(loop, sock=ours, family=0, proto=0, flags=0, **nothing) as link:
            assert link.name == name


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-34", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
async def test_a_stream_socket(loop: Loop, family: str) -> None:
    """A stream socket raises ValueError, and stays open."""
    with socket.socket(getattr(socket, family)) as ours:
        await refused(loop, ValueError, sock=ours)
        assert faultkit.descriptor(ours).kind == "socket", "the socket was closed"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-15", "DGRAM-CREATE_DATAGRAM_ENDPOINT-25")
async def test_a_socket_of_packets_before_3_13(loop: Loop) -> None:
    """Before Python 3.13 what is not of type SOCK_DGRAM raises ValueError, and stays open."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        await refused(loop, ValueError, sock=ours)
        assert faultkit.descriptor(ours).kind == "socket", "the socket was closed"


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-35")
async def test_a_closed_socket(loop: Loop) -> None:
    """A socket that is closed raises OSError or ValueError."""
    with bound() as ours:
        ours.close()
        await refused(loop, OSError, ValueError, sock=ours)


@requires("DGRAM-CREATE_DATAGRAM_ENDPOINT-01")
@needs("udp")
async def test_what_may_be_given_by_position(loop: Loop) -> None:
    """local_addr and remote_addr may be given by position, and nothing behind them."""
    with raises(TypeError):
        await loop.create_datagram_endpoint(lambda: None, ("127.0.0.1", 0), None, socket.AF_INET)
