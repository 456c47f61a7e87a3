"""datagram_received(): what comes, from whom, in which order, and what else runs meanwhile."""

import asyncio
import socket
import tempfile
from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, requires, until
from loopproof.authoring.datagrams import bound, datagram_link, endpoint, numbered
from loopproof.authoring.execution import run_until_interrupted
from loopproof.authoring.links import polls
from loopproof.faultkit import Injector, fail, pattern

Loop = Any  # typeshed does not know all arguments that are tried here


@requires("DGRAM-RECEIVED-01", "DGRAM-RECEIVED-07")
@on_datagrams()
async def test_a_datagram(loop: Loop, kind: str) -> None:
    """The data are bytes, and the address is that of the sender as the socket module gives it."""
    async with datagram_link(loop, kind) as link:
        link.come(b"hello")
        await link.delivered(1)
        assert link.told == [(b"hello", link.beyond.getsockname())]
        data, address = link.told[0]
        assert type(data) is bytes
        assert type(address) is type(link.beyond.getsockname())


@requires("DGRAM-RECEIVED-07")
@needs("udp", "linux")
async def test_senders_of_unix_sockets(loop: Loop) -> None:
    """The sender is told by its path or its abstract name, and as None or empty where it has neither."""
    with bound(socket.AF_UNIX) as ours, tempfile.TemporaryDirectory() as folder:
        name = ours.getsockname()
        async with endpoint(loop, sock=ours) as link:
            for place in (f"{folder}/sender", "\0" + folder, None):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    if place:
                        sender.bind(place)
                    sender.sendto(b"hello", name)
            await link.delivered(3)
            path, abstract, nothing = [address for _, address in link.told]
            assert path == f"{folder}/sender"
            assert abstract == b"\0" + folder.encode()
            assert not nothing, f"the address of a sender without name is {nothing!r}"


@requires("DGRAM-RECEIVED-02", "DGRAM-RECEIVED-05")
@on_datagrams()
async def test_empty_datagrams(loop: Loop, kind: str) -> None:
    """Empty datagrams are delivered as empty bytes, and end nothing."""
    async with datagram_link(loop, kind) as link:
        link.come(b"", b"full", b"", b"")
        assert await link.delivered(4) == [b"", b"full", b"", b""]
        assert {address for _, address in link.told} == {link.beyond.getsockname()}
        assert not link.transport.is_closing()


@requires("DGRAM-RECEIVED-03")
@on_datagrams("udp", "udp-connected")
@pytest.mark.parametrize("size", [1, 1473, 9000, 60_000, 65_506, 65_507])
async def test_datagrams_of_any_size(loop: Loop, kind: str, size: int) -> None:
    """A datagram of any size up to the largest is delivered whole, and the one behind it as itself."""
    async with datagram_link(loop, kind) as link:
        link.come(pattern(5, size), b"next")
        assert await link.delivered(2) == [pattern(5, size), b"next"]


@requires("DGRAM-RECEIVED-03")
@on_datagrams("unix-connected")
async def test_a_large_datagram_of_a_unix_socket(loop: Loop, kind: str) -> None:
    """A UNIX datagram may be larger than any of UDP: it is delivered whole, or as much of it as the loop takes."""
    async with datagram_link(loop, kind) as link:
        link.come(pattern(5, 100_000), b"next")
        large, following = await link.delivered(2)
        assert following == b"next"
        assert len(large) >= 65_536
        assert large == pattern(5, len(large))


@requires("DGRAM-RECEIVED-05", "DGRAM-SENDTO-09")
@on_datagrams("udp", "udp-connected", "udp6")
async def test_many_datagrams_at_once(loop: Loop, kind: str) -> None:
    """A hundred datagrams that wait are delivered in their order, each of them once."""
    async with datagram_link(loop, kind) as link:
        datagrams = [numbered(number, 4 + number) for number in range(100)]
        link.come(*datagrams)
        assert await link.delivered(100) == datagrams
        await polls(2)
        assert len(link.told) == 100


@requires("DGRAM-RECEIVED-06")
@on_datagrams("udp", "udp-connected")
async def test_others_run_meanwhile(loop: Loop, kind: str) -> None:
    """While each datagram is followed by another one the callbacks that are scheduled run."""
    ran: list[int] = []

    def refill(protocol: Any) -> None:
        count = len(protocol.history.events)
        if count == 2:
            loop.call_soon(lambda: ran.append(len(protocol.history.events)))
        if count < 3000 and not ran:
            link.come(b"another")

    async with datagram_link(loop, kind, on={"datagram_received": refill}) as link:
        link.come(b"first")
        await until(lambda: ran, "the callback")
        assert ran[0] < 3000, "a callback that was scheduled waited until no datagram came any more"


@requires("DGRAM-RECEIVED-04")
@on_datagrams()
async def test_an_error_of_the_protocol(loop: Loop, kind: str, reports: list[Any]) -> None:
    """An Exception of datagram_received() is reported each time, and what follows is delivered."""

    def fails(protocol: Any) -> None:
        if protocol.history.received.endswith(b"bad"):
            raise ZeroDivisionError

    async with datagram_link(loop, kind, on={"datagram_received": fails}) as link:
        link.come(b"bad", b"good", b"bad", b"good")
        assert await link.delivered(4) == [b"bad", b"good", b"bad", b"good"]
        await polls(1)
        found = [type(report.get("exception")) for report in reports]
        assert found == [ZeroDivisionError] * 2, f"reports: {reports}"
        reports.clear()
        link.send(b"answer")
        assert await link.sent(1) == [b"answer"]


@requires("DGRAM-RECEIVED-08")
@on_datagrams("udp")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_leave_the_run(loop: Loop, kind: str, error: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit of datagram_received() come out of the run, and the endpoint goes on."""

    def interrupt(protocol: Any) -> None:
        if len(protocol.history.received) == 1:
            raise error

    entered = datagram_link(loop, kind, on={"datagram_received": interrupt})
    link = loop.run_until_complete(entered.__aenter__())
    link.come(b"x")
    run_until_interrupted(loop, error)
    link.come(b"y")
    assert loop.run_until_complete(link.delivered(2)) == [b"x", b"y"]
    loop.run_until_complete(entered.__aexit__(None, None, None))


@requires("DGRAM-RECEIVED-05")
@on_datagrams("udp", "unix-connected")
async def test_answers_from_the_callback(loop: Loop, kind: str) -> None:
    """sendto() in datagram_received() to the sender, or to the peer, answers each datagram."""

    def answer(protocol: Any) -> None:
        data, address = protocol.history.events[-1].arguments
        protocol.transport.sendto(b"re: " + data, None if kind.endswith("connected") else address)

    async with datagram_link(loop, kind, on={"datagram_received": answer}) as link:
        for number in range(5):
            link.come(b"%d" % number)
            assert (await link.sent(number + 1))[-1] == b"re: %d" % number


@requires("DGRAM-RECEIVED-05")
@needs("udp", "injector")
@pytest.mark.parametrize("error", ["EAGAIN", "EINTR"])
def test_a_wake_up_for_nothing(loop: Loop, error: str) -> None:
    """Where a receiving call is interrupted, or finds nothing after all, nothing is told, and nothing is lost."""

    async def scenario() -> None:
        async with datagram_link(loop, "udp") as link:
            link.come(b"one", b"two")
            assert await link.delivered(2) == [b"one", b"two"]
            assert link.names == ["connection_made", "datagram_received", "datagram_received"]

    injector = Injector([fail(("recvfrom", "recvmsg", "recvmmsg"), error, count=2, kind="udp")])
    injector.run(loop.run_until_complete, scenario())
    assert sum(call.action == "fail" for call in injector.trace) == 2, "the datagrams were received otherwise"


@requires("DGRAM-RECEIVED-05")
@needs("udp")
async def test_two_endpoints_in_one_loop(loop: Loop) -> None:
    """Each of several endpoints gets what is sent to it, and nothing else."""
    async with datagram_link(loop) as one, datagram_link(loop) as other, datagram_link(loop, "udp-connected") as third:
        for number in range(10):
            one.come(b"one %d" % number)
            other.come(b"other %d" % number)
            third.come(b"third %d" % number)
        for name, link in (("one", one), ("other", other), ("third", third)):
            assert await link.delivered(10) == [f"{name} {number}".encode() for number in range(10)]


@requires("DGRAM-SENDTO-01", "DGRAM-RECEIVED-01")
@needs("udp")
async def test_an_endpoint_that_sends_to_itself(loop: Loop) -> None:
    """A datagram to the endpoint's own address comes back to it, in a later iteration."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
        link.transport.sendto(b"self", link.name)
        assert link.told == [], "datagram_received() was called from within sendto()"
        await asyncio.sleep(0)
        assert await link.delivered(1) == [b"self"]
        assert link.told == [(b"self", link.name)]
