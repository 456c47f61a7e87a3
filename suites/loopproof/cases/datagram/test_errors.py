"""error_received(): errors that the kernel has for an endpoint, which goes on, whatever the protocol does with them."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, requires, until
from loopproof.authoring.datagrams import DatagramLink, bound, clogged, datagram_link, endpoint, numbered
from loopproof.authoring.links import polls
from loopproof.faultkit import Injector, fail

Loop = Any  # typeshed does not know all arguments that are tried here


@contextlib.contextmanager
def vacant(family: socket.AddressFamily = socket.AF_INET) -> Iterator[Any]:
    """An address of the loopback interface at which nobody receives.

    It is kept from others: a socket that is connected to itself, and so gets nothing from anybody else, is bound to it.
    """
    with bound(family) as keeper:
        keeper.connect(keeper.getsockname())
        yield keeper.getsockname()[:2]


@requires("DGRAM-ERROR-01", "DGRAM-ERROR-02", "DGRAM-ERROR-04")
@needs("udp", "linux")
@pytest.mark.parametrize("family", ["AF_INET", pytest.param("AF_INET6", marks=pytest.mark.needs("ipv6"))])
async def test_nobody_is_there(loop: Loop, family: str, reports: list[Any]) -> None:
    """Where nobody receives, error_received() gets ConnectionRefusedError without another call, and nothing ends."""
    with vacant(getattr(socket, family)) as nobody:
        async with endpoint(loop, remote_addr=nobody) as link:
            for count in range(1, 4):
                link.transport.sendto(b"hello")
                assert isinstance(await link.failed(count), ConnectionRefusedError), f"the errors: {link.errors}"
            await polls(2)
            assert len(link.errors) == 3, f"the errors: {link.errors}"
            assert not link.transport.is_closing()
            assert link.names == ["connection_made", *["error_received"] * 3]
    assert not reports, f"reports: {reports}"


@requires("DGRAM-ERROR-01", "DGRAM-ERROR-02")
@needs("udp", "linux")
async def test_somebody_is_there_again(loop: Loop) -> None:
    """An endpoint that was refused sends and receives when there is somebody at the address."""
    with bound() as beyond:
        place = beyond.getsockname()
        async with endpoint(loop, remote_addr=place) as link:
            beyond.close()
            link.transport.sendto(b"lost")
            await link.failed()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.settimeout(5)
                again.bind(place)
                link.transport.sendto(b"hello")
                assert again.recvfrom(100) == (b"hello", link.name)
                again.sendto(b"answer", link.name)
                assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-ERROR-01", "DGRAM-ERROR-02")
@needs("udp", "linux")
async def test_one_error_for_two_datagrams(loop: Loop) -> None:
    """With several datagrams for nobody each error is told once, none of them is raised by sendto()."""
    with vacant() as nobody:
        async with endpoint(loop, remote_addr=nobody) as link:
            for _ in range(4):
                link.transport.sendto(b"hello")
            await link.failed()
            await polls(5)
            assert 1 <= len(link.errors) <= 4, f"the errors: {link.errors}"
            assert {type(error) for error in link.errors} == {ConnectionRefusedError}


@requires("DGRAM-ERROR-01", "DGRAM-SENDTO-11")
@needs("udp", "linux")
async def test_an_endpoint_without_peer_is_not_told(loop: Loop) -> None:
    """An endpoint that is not connected is not told that nobody received a datagram, and goes on."""
    with vacant() as nobody:
        async with datagram_link(loop) as link:
            link.transport.sendto(b"hello", nobody)
            link.send(b"next")
            assert await link.sent(1) == [b"next"]
            await polls(2)
            assert not link.errors


@requires("DGRAM-ERROR-01", "DGRAM-ERROR-02")
@on_datagrams("unix", "unix-connected")
async def test_a_unix_receiver_that_is_gone(loop: Loop, kind: str) -> None:
    """A UNIX receiver that is gone is told to error_received(), and the endpoint goes on receiving."""
    async with datagram_link(loop, kind) as link:
        link.beyond.close()
        link.send(b"hello")
        assert isinstance(await link.failed(), ConnectionRefusedError | FileNotFoundError), f"errors: {link.errors}"
        assert not link.transport.is_closing()
        assert not isinstance(link.protocol.error, Exception)


@requires("DGRAM-ERROR-01")
@needs("udp", "injector")
@pytest.mark.parametrize("error", ["ECONNREFUSED", "ENOMEM", "EHOSTUNREACH", "EIO"])
def test_a_receiving_call_fails(loop: Loop, error: str, reports: list[Any]) -> None:
    """Any error of a receiving call is told to error_received(), and what comes after it is delivered."""

    async def scenario() -> None:
        async with datagram_link(loop) as link:
            link.come(b"hello")
            await link.failed()
            assert await link.delivered(1) == [b"hello"]
            assert link.names == ["connection_made", "error_received", "datagram_received"]

    injector = Injector([fail(("recvfrom", "recvmsg", "recvmmsg"), error, count=1, kind="udp")])
    injector.run(loop.run_until_complete, scenario())
    assert not reports, f"reports: {reports}"


@requires("DGRAM-ERROR-03")
@needs("udp", "linux")
async def test_an_error_of_error_received(loop: Loop, reports: list[Any]) -> None:
    """An Exception of error_received() that is called for what was received is reported, and the endpoint goes on."""

    def fails(_: Any) -> None:
        raise ZeroDivisionError

    with bound() as beyond:
        async with endpoint(loop, on={"error_received": fails}, remote_addr=beyond.getsockname()) as link:
            place = beyond.getsockname()
            beyond.close()
            link.transport.sendto(b"hello")
            await link.failed()
            await polls(1)
            assert [type(report.get("exception")) for report in reports] == [ZeroDivisionError], f"reports: {reports}"
            reports.clear()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.bind(place)
                again.sendto(b"answer", link.name)
                assert await link.delivered(1) == [b"answer"]


@requires("DGRAM-ERROR-03")
@on_datagrams("udp", "udp-connected")
async def test_an_error_of_error_received_while_sending(loop: Loop, kind: str, reports: list[Any]) -> None:
    """An Exception of error_received() that is called for a sendto() is reported or comes out of it, once."""

    def fails(_: Any) -> None:
        raise ZeroDivisionError

    async with datagram_link(loop, kind, on={"error_received": fails}) as link:
        raised: list[BaseException] = []
        try:
            link.send(bytes(70_000))
        except ZeroDivisionError as error:
            raised.append(error)
        await link.failed()
        await polls(1)
        found = [type(report.get("exception")) for report in reports]
        assert found + [type(error) for error in raised] == [ZeroDivisionError], f"reports: {reports}, raised: {raised}"
        reports.clear()
        link.send(b"next")
        assert await link.sent(1) == [b"next"]


@requires("DGRAM-ERROR-05", "DGRAM-SENDTO-11")
@on_datagrams("unix-connected")
async def test_a_queued_datagram_fails(loop: Loop, kind: str) -> None:
    """A queued datagram that the system refuses is told to error_received(), and those around it are sent."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(bytes(8_000_000), b"behind")
        assert not link.errors
        assert await link.sent(count + 1) == [*map(numbered, range(count)), b"behind"]
        assert isinstance(await link.failed(), OSError)
        await polls(1)
        assert len(link.errors) == 1
        assert not link.transport.is_closing()


@requires("DGRAM-ERROR-05", "DGRAM-CLOSE-01")
@on_datagrams("unix-connected")
async def test_a_queued_datagram_fails_while_closing(loop: Loop, kind: str) -> None:
    """Where the last datagram of a closing endpoint fails, those before it are sent and connection_lost() follows."""
    async with datagram_link(loop, kind) as link:
        count = await clogged(link)
        link.send(bytes(8_000_000))
        link.transport.close()
        assert await link.sent(count) == [*map(numbered, range(count))]
        assert await link.lost() is None or isinstance(link.protocol.error, OSError)


@requires("DGRAM-ERROR-05")
@on_datagrams("unix-connected")
async def test_the_receiver_of_a_queue_is_gone(loop: Loop, kind: str) -> None:
    """Where the receiver is closed while datagrams are queued, an error is told for each, and the queue is empty."""
    async with datagram_link(loop, kind) as link:
        await clogged(link)
        link.send(b"one", b"two")
        link.beyond.close()
        await link.failed(3)
        await until(lambda: gone(link), "an empty queue")
        assert not link.transport.is_closing()
        link.transport.close()
        assert await link.lost() is None


def gone(link: DatagramLink) -> bool:
    """Tell whether no data are queued, by the size of the buffer less what may be counted for headers."""
    size: int = link.transport.get_write_buffer_size()
    return size < 30
