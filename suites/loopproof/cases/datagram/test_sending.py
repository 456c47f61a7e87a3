"""sendto(): each call is one datagram with exactly the bytes that were given, and what cannot be sent is told."""

import array
import asyncio
import contextlib
import errno
import logging
import socket
from typing import Any

import pytest

from loopproof.authoring import needs, on_datagrams, raises, requires, until
from loopproof.authoring.datagrams import bound, datagram_link, endpoint
from loopproof.authoring.links import polls
from loopproof.faultkit import GuardedBuffer, Injector, fail, pattern

Loop = Any  # typeshed does not know all arguments that are tried here
LARGEST = 65_507
"""The bytes that a UDP datagram can have over IPv4."""

SENDING = ("sendto", "sendmsg", "sendmmsg")


@requires("DGRAM-SENDTO-01", "DGRAM-SENDTO-02", "DGRAM-SENDTO-09")
@on_datagrams()
@pytest.mark.parametrize("size", [1, 2, 512, 1472, 1473, 9000, 60_000])
async def test_a_datagram(loop: Loop, kind: str, size: int) -> None:
    """One datagram with exactly the bytes arrives, from the address of the endpoint."""
    async with datagram_link(loop, kind) as link:
        assert link.transport.sendto(pattern(5, size), link.to) is None
        link.send(b"next")
        assert await link.sent(2) == [pattern(5, size), b"next"]
        link.send(b"last")
        link.beyond.settimeout(5)
        assert link.beyond.recvfrom(100) == (b"last", link.name)


@requires("DGRAM-SENDTO-01", "DGRAM-SENDTO-09")
@on_datagrams("udp", "udp-connected")
async def test_the_largest_datagram(loop: Loop, kind: str) -> None:
    """A UDP datagram of 65,507 bytes is sent whole."""
    async with datagram_link(loop, kind) as link:
        link.send(pattern(5, LARGEST))
        assert await link.sent(1) == [pattern(5, LARGEST)]


@requires("DGRAM-SENDTO-11", "DGRAM-ERROR-01", "DGRAM-ERROR-02")
@on_datagrams("udp", "udp-connected", "udp6", "unix-connected")
async def test_a_datagram_that_is_too_long(loop: Loop, kind: str, reports: list[Any]) -> None:
    """What no datagram can hold is told to error_received() as EMSGSIZE; nothing of it is sent, and the next one is."""
    async with datagram_link(loop, kind) as link:
        link.send(bytes(65_536 if kind == "udp6" else LARGEST + 1 if "udp" in kind else 8_000_000))
        error = await link.failed()
        assert isinstance(error, OSError)
        assert error.errno == errno.EMSGSIZE, f"error_received({error!r})"
        link.send(b"short")
        assert await link.sent(1) == [b"short"]
        assert not link.transport.is_closing()
        assert len(link.errors) == 1, f"the errors: {link.errors}"
        assert not reports, f"reports: {reports}"


@requires("DGRAM-SENDTO-09", "DGRAM-SENDTO-07")
@on_datagrams()
async def test_many_datagrams_keep_their_order_and_bounds(loop: Loop, kind: str) -> None:
    """Datagrams of many sizes arrive one by one, as they were and in order, however many are queued."""
    sizes = [1, 100, 3, 1000, 2, 30, 500] * 20
    datagrams = [pattern(number, size) for number, size in enumerate(sizes)]
    async with datagram_link(loop, kind) as link:
        link.beyond.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        link.send(*datagrams)
        assert await link.sent(len(datagrams)) == datagrams


@requires("DGRAM-SENDTO-05")
@on_datagrams()
@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b"")], ids=lambda empty: type(empty).__name__)
async def test_an_empty_datagram(loop: Loop, kind: str, empty: Any) -> None:
    """Since Python 3.13 empty data are an empty datagram."""
    async with datagram_link(loop, kind) as link:
        link.send(b"before", empty, b"behind")
        await until(lambda: b"behind" in link.arrived(), "the datagram behind the empty one")
        assert link.arrived() == [b"before", b"", b"behind"]


@requires("DGRAM-SENDTO-06")
@on_datagrams("udp", "udp-connected", "unix-connected")
async def test_an_empty_datagram_before_3_13(loop: Loop, kind: str) -> None:
    """Before Python 3.13 nothing is sent for empty data."""
    async with datagram_link(loop, kind) as link:
        link.send(b"before", b"", b"behind")
        assert await link.sent(2) == [b"before", b"behind"]


DATA: dict[str, Any] = {
    "bytes": pattern(5, 240),
    "bytearray": bytearray(pattern(5, 240)),
    "memoryview": memoryview(pattern(5, 240)),
    "part of a view": memoryview(pattern(5, 260))[:240],
    "writable view": memoryview(bytearray(pattern(5, 240))),
    "wide items": memoryview(pattern(5, 240)).cast("Q"),
    "array of doubles": memoryview(array.array("d", pattern(5, 240))),
    "two dimensions": memoryview(pattern(5, 240)).cast("B", (12, 20)),
    "wide items in two dimensions": memoryview(pattern(5, 240)).cast("I", (6, 10)),
    "released afterwards": None,
}


@requires("DGRAM-SENDTO-12", "DGRAM-SENDTO-01")
@on_datagrams("udp", "udp-connected")
@pytest.mark.parametrize("data", sorted(DATA))
async def test_data_of_any_kind(loop: Loop, kind: str, data: str) -> None:
    """bytes, bytearray and contiguous views are sent with all their bytes, and not kept."""
    async with datagram_link(loop, kind) as link:
        if data == "released afterwards":
            buffer = bytearray(pattern(5, 240))
            with memoryview(buffer) as view:
                link.send(view)
            buffer.clear()
        else:
            link.send(DATA[data])
        assert await link.sent(1) == [pattern(5, 240)]


@requires("DGRAM-SENDTO-12")
@on_datagrams("udp", "udp-connected")
async def test_a_guarded_buffer(loop: Loop, kind: str) -> None:
    """No byte before or behind the data is looked at, and no export of the buffer is left."""
    buffer = GuardedBuffer(500, name="sendto()")
    buffer.fill(5)
    async with datagram_link(loop, kind) as link:
        view = memoryview(buffer)
        link.send(view)
        view.release()
        assert await link.sent(1) == [pattern(5, 500)]
        await polls(1)
        assert buffer.exports == 0, f"{buffer.exports} views of the buffer are left"


@requires("DGRAM-SENDTO-13")
@on_datagrams("udp", "udp-connected")
async def test_a_strided_view(loop: Loop, kind: str, reports: list[Any]) -> None:
    """A memoryview that is not contiguous is sent as its bytes are, or refused; never as the memory it lies in."""
    async with datagram_link(loop, kind) as link:
        with contextlib.suppress(BufferError, TypeError, ValueError):
            link.send(memoryview(pattern(5, 200))[::2])
        await polls(3)
        assert link.arrived() in ([], [pattern(5, 200)[::2]])
    reports.clear()  # a loop may also see an error of the endpoint in it


@requires("DGRAM-SENDTO-04", "DGRAM-SENDTO-18")
@on_datagrams("udp", "udp-connected")
@pytest.mark.parametrize("data", ["text", "", 5, 0, None, [1], [], array.array("B", b"xy")], ids=repr)
async def test_what_is_not_bytes_like(loop: Loop, kind: str, data: Any, reports: list[Any]) -> None:
    """Data that are not bytes, bytearray or memoryview raise TypeError, and the endpoint goes on."""
    async with datagram_link(loop, kind) as link:
        if isinstance(data, array.array):  # which a loop may as well take
            with contextlib.suppress(TypeError):
                link.send(data)
        else:
            with raises(TypeError):
                link.send(data)
        link.send(b"right")
        assert (await link.sent(1))[-1] == b"right" or await link.sent(2) == [b"xy", b"right"]
        assert not reports, f"reports: {reports}"


@requires("DGRAM-SENDTO-03", "DGRAM-SENDTO-18")
@on_datagrams("udp-connected", "udp6-connected")
async def test_another_address_than_the_remote_one(loop: Loop, kind: str, reports: list[Any]) -> None:
    """On a connected endpoint another address raises ValueError, the same one and None are taken."""
    async with datagram_link(loop, kind) as link:
        remote = link.transport.get_extra_info("peername")
        with bound(link.beyond.family) as stranger:
            wrong = [stranger.getsockname(), (remote[0], remote[1] ^ 1, *remote[2:]), "text", ()]
            for address in wrong:
                with raises(ValueError):
                    link.transport.sendto(b"wrong", address)
            assert receive(stranger) is None
        link.transport.sendto(b"one", remote)
        link.transport.sendto(b"two", None)
        link.transport.sendto(b"three", addr=tuple(remote))
        link.transport.sendto(data=b"four")
        assert await link.sent(4) == [b"one", b"two", b"three", b"four"]
        assert not reports, f"reports: {reports}"


def receive(sock: socket.socket) -> bytes | None:
    """What waits at a socket that does not block, None for nothing."""
    with contextlib.suppress(BlockingIOError):
        return sock.recv(100)
    return None


WRONG: dict[str, Any] = {
    "no address": None,
    "a number": 5,
    "text": "x",
    "no port": ("127.0.0.1",),
    "a port that is text": ("127.0.0.1", "nine"),
    "a port beyond 65535": ("127.0.0.1", 70_000),
    "a negative port": ("127.0.0.1", -1),
    "another family": ("::1", 9),
}


@requires("DGRAM-SENDTO-14")
@needs("udp")
@pytest.mark.parametrize("address", sorted(WRONG))
async def test_a_wrong_address(loop: Loop, address: str, reports: list[Any]) -> None:
    """A wrong address is told: by an exception of sendto(), error_received() or connection_lost() with the error."""
    async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
        raised = False
        try:
            link.transport.sendto(b"wrong", WRONG[address])
        except (TypeError, ValueError, OverflowError, OSError):
            raised = True
        await polls(3)
        told = raised or link.errors or link.protocol.error
        assert told, "nobody was told that the datagram was not sent"
    reports.clear()  # where the error ends the endpoint it is reported, too


@requires("DGRAM-SENDTO-16")
@on_datagrams()
async def test_a_datagram_leaves_at_once(loop: Loop, kind: str) -> None:
    """A datagram that the system takes has left when sendto() returns, and none is counted as queued."""
    async with datagram_link(loop, kind) as link:
        link.send(b"hello")
        assert link.arrived() == [b"hello"], "the datagram waited for an iteration of the loop"
        assert link.transport.get_write_buffer_size() == 0


@requires("DGRAM-SENDTO-17", "DGRAM-SENDTO-11", "DGRAM-ERROR-02")
@needs("udp", "injector")
@pytest.mark.parametrize("error", ["ENOMEM", "ENETUNREACH", "EPERM", "EHOSTUNREACH"])
@pytest.mark.parametrize("kind", ["udp", "udp-connected"])
def test_the_system_refuses(loop: Loop, kind: str, error: str, reports: list[Any]) -> None:
    """An error of the system is told to error_received(), and the endpoint goes on."""

    async def scenario() -> None:
        async with datagram_link(loop, kind) as link:
            link.send(b"refused")
            told = await link.failed()
            link.send(b"taken")
            assert await link.sent(1) == [b"taken"]
            assert isinstance(told, OSError)
            assert told.errno == getattr(errno, error), f"error_received({told!r})"
            assert not link.transport.is_closing()
            assert len(link.errors) == 1, f"the errors: {link.errors}"

    Injector([fail(SENDING, error, count=1, kind="udp")]).run(loop.run_until_complete, scenario())
    assert not reports, f"reports: {reports}"


@requires("DGRAM-SENDTO-17")
@needs("udp", "injector")
@pytest.mark.parametrize("kind", ["udp", "udp-connected"])
def test_the_system_has_no_room(loop: Loop, kind: str) -> None:
    """A datagram for which the system has no buffers is told to error_received(), or sent later; not dropped."""

    async def scenario() -> None:
        async with datagram_link(loop, kind) as link:
            link.send(b"one", b"two")
            await until(lambda: len(link.arrived()) + len(link.errors) == 2, "the end of two datagrams")
            assert link.arrived() == ([b"two"] if link.errors else [b"one", b"two"])
            assert [error.errno for error in link.errors if isinstance(error, OSError)] in ([], [errno.ENOBUFS])

    Injector([fail(SENDING, "ENOBUFS", count=1, kind="udp")]).run(loop.run_until_complete, scenario())


@requires("DGRAM-SENDTO-07")
@needs("udp", "injector")
@pytest.mark.parametrize("error", ["EAGAIN", "EINTR"])
@pytest.mark.parametrize("kind", ["udp", "udp-connected"])
def test_the_system_is_busy(loop: Loop, kind: str, error: str) -> None:
    """Where the system cannot take a datagram now it is sent later, before those behind it."""

    async def scenario() -> None:
        async with datagram_link(loop, kind) as link:
            link.send(b"one", b"two", b"three")
            assert await link.sent(3) == [b"one", b"two", b"three"]
            assert not link.errors, f"the errors: {link.errors}"

    injector = Injector([fail(SENDING, error, count=2, kind="udp")])
    injector.run(loop.run_until_complete, scenario())
    assert sum(call.action == "fail" for call in injector.trace) == 2, "the datagrams were sent otherwise"


@requires("DGRAM-SENDTO-10")
@on_datagrams("udp-connected", "udp6-connected")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_an_endpoint_that_is_closed(loop: Loop, kind: str, how: str, logged: list[logging.LogRecord]) -> None:
    """sendto() on a connected endpoint that is closed sends nothing, and after several calls a warning is logged."""
    async with datagram_link(loop, kind) as link:
        getattr(link.transport, how)()
        link.send(b"late")
        await link.lost()
        for _ in range(10):
            link.send(b"later")
        assert link.transport.get_write_buffer_size() == 0
        await polls(2)
        assert link.arrived() == []
        assert [record for record in logged if record.levelno == logging.WARNING], "no warning was logged"


@requires("DGRAM-SENDTO-15")
@on_datagrams("udp", "unix")
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_an_endpoint_without_peer_that_is_lost(
    loop: Loop, kind: str, how: str, reports: list[Any], logged: list[logging.LogRecord]
) -> None:
    """sendto() with an address after connection_lost() raises nothing, and sends nothing."""
    async with datagram_link(loop, kind) as link:
        getattr(link.transport, how)()
        await link.lost()
        await asyncio.sleep(0)
        for _ in range(3):
            link.send(b"late")
        await polls(2)
        assert link.arrived() == []
        assert not reports, f"reports: {reports}"


@requires("DGRAM-SENDTO-19")
@needs("udp")
@pytest.mark.parametrize("host", ["localhost", "127.1", ""])
async def test_an_address_that_has_to_be_resolved(loop: Loop, host: str) -> None:
    """A name, an address in another notation, and an empty host, which is this machine, are resolved."""
    with bound(host="127.0.0.1") as beyond:
        async with endpoint(loop, local_addr=("127.0.0.1", 0)) as link:
            link.transport.sendto(b"question", (host, beyond.getsockname()[1]))
            beyond.settimeout(5)
            await polls(3)
            assert beyond.recv(100) == b"question"
            assert not link.errors


@requires("DGRAM-SENDTO-20")
@needs("udp")
@pytest.mark.skipif(not hasattr(socket, "SO_BINDTODEVICE"), reason="nothing keeps the datagram on this machine")
async def test_everybody(loop: Loop) -> None:
    """The host "<broadcast>" is everybody in the network."""
    here = b"lo\0"
    with bound(host="0.0.0.0") as beyond, socket.socket(type=socket.SOCK_DGRAM) as ours:
        for sock in (beyond, ours):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, here)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        async with endpoint(loop, sock=ours) as link:
            link.transport.sendto(b"all", ("<broadcast>", beyond.getsockname()[1]))
            beyond.settimeout(5)
            await polls(3)
            assert beyond.recv(100) == b"all"
            assert not link.errors
