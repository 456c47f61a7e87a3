"""sock_recvfrom(), sock_recvfrom_into() and sock_sendto(): one datagram at a time, with its address."""

import array
import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires, until
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import ended, played, playing, unbound, verified, waiting
from loopproof.faultkit import GuardedBuffer, expect, hold, pattern, send

FAMILIES = ["udp", "unix"]


@contextmanager
def correspondents(family: str, folder: Path, script: list[dict[str, Any]]) -> Iterator[tuple[socket.socket, Any]]:
    """A bound datagram socket of ours, and a peer that has received one datagram from it, so that it can answer."""
    kind = socket.AF_INET if family == "udp" else socket.AF_UNIX
    with playing([expect(b"hello"), *script], bind=family) as peer, unbound(kind, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0) if family == "udp" else str(folder / "ours"))
        ours.sendto(b"hello", peer.address)
        yield ours, peer


def name_of(peer: Any) -> Any:
    """The address of a peer as system calls return it: an abstract name is bytes."""
    name = peer.address
    return name.encode() if isinstance(name, str) and name.startswith("\0") else name


async def into(loop: asyncio.AbstractEventLoop, ours: Any, size: int) -> tuple[bytes, Any]:
    """Receive by sock_recvfrom_into()."""
    buffer = bytearray(size)
    count, address = await loop.sock_recvfrom_into(ours, buffer)
    assert type(count) is int
    assert buffer[count:] == bytes(size - count), "the buffer was written to behind the data"
    return bytes(buffer[:count]), address


WAYS: dict[str, Any] = {
    "sock_recvfrom": lambda loop, ours, size: loop.sock_recvfrom(ours, size),
    "sock_recvfrom_into": into,
}


@requires("SOCK-SOCK_RECVFROM-01", "SOCK-SOCK_RECVFROM_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("waits", [False, True])
async def test_a_datagram(loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, family: str, waits: bool) -> None:
    """The data of one datagram and the address of its sender are returned, at once or when it comes."""
    with correspondents(family, tmp_path, [hold(), send(b"answer"), hold()]) as (ours, peer):
        if waits:
            task = await waiting(WAYS[way](loop, ours, 100))
            peer.release()
            data, address = await ended(task)
        else:
            peer.release()
            await played(peer, 3)
            data, address = await WAYS[way](loop, ours, 100)
        assert type(data) is bytes
        assert data == b"answer"
        assert address == name_of(peer)


@requires("SOCK-SOCK_RECVFROM-01", "SOCK-SOCK_RECVFROM_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("family", FAMILIES)
async def test_several_datagrams(loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, family: str) -> None:
    """Each call returns one datagram, also an empty one, in the order in which they came."""
    datagrams = [b"one", b"", b"two", b"", b"three" * 1000]
    with correspondents(family, tmp_path, [hold(), *map(send, datagrams), hold()]) as (ours, peer):
        task = await waiting(WAYS[way](loop, ours, 10_000))
        peer.release()
        received = [await ended(task)]
        while len(received) < len(datagrams):
            received.append(await ended(asyncio.ensure_future(WAYS[way](loop, ours, 10_000))))
        assert received == [(data, name_of(peer)) for data in datagrams]


@requires("SOCK-SOCK_RECVFROM-01", "SOCK-SOCK_RECVFROM_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("size", [1, 3, 6])
async def test_less_room_than_the_datagram_has(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, size: int
) -> None:
    """Of a datagram that is longer the beginning is returned, and its rest is not taken for another one."""
    with correspondents("udp", tmp_path, [send(b"answer"), send(b"next"), hold()]) as (ours, peer):
        await played(peer, 3)
        assert await WAYS[way](loop, ours, size) == (b"answer"[:size], peer.address)
        assert await WAYS[way](loop, ours, 100) == (b"next", peer.address)


@requires("SOCK-SOCK_RECVFROM-01", "SOCK-SOCK_RECVFROM_INTO-01")
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_the_largest_datagram(loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str) -> None:
    """A datagram of 65,507 bytes is received whole."""
    with correspondents("udp", tmp_path, [send(pattern(3, 65_507)), hold()]) as (ours, _):
        data, _ = await ended(asyncio.ensure_future(WAYS[way](loop, ours, 70_000)))
        assert data == pattern(3, 65_507)


@requires("SOCK-SOCK_RECVFROM_INTO-02")
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("nbytes", ["left out", 0, 5, 12])
async def test_the_number_of_bytes(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, waits: bool, nbytes: str | int
) -> None:
    """nbytes limits what is stored; 0, which is the default, stands for the whole buffer."""
    buffer = bytearray(b"-" * 12)
    limit = () if isinstance(nbytes, str) else (nbytes,)
    with correspondents("udp", tmp_path, [hold(), send(bytes(range(20))), hold()]) as (ours, peer):
        if not waits:
            peer.release()
            await played(peer, 3)
        operation = loop.sock_recvfrom_into(ours, buffer, *limit)
        task = await waiting(operation) if waits else asyncio.ensure_future(operation)
        peer.release()
        count, address = await ended(task)
    size = 5 if nbytes == 5 else 12
    assert (count, address) == (size, peer.address)
    assert buffer == bytes(range(size)) + b"-" * (12 - size)


@requires("SOCK-SOCK_RECVFROM_INTO-03")
async def test_more_bytes_than_the_buffer_has(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """An nbytes larger than the buffer raises ValueError, and the datagram stays."""
    with correspondents("udp", tmp_path, [send(b"answer"), hold()]) as (ours, peer):
        await played(peer, 2)
        with raises(ValueError):
            await loop.sock_recvfrom_into(ours, bytearray(10), 11)
        with raises(ValueError):
            await loop.sock_recvfrom_into(ours, bytearray(10), -1)
        assert await loop.sock_recvfrom(ours, 10) == (b"answer", peer.address)


@requires("SOCK-SOCK_RECVFROM_INTO-04")
@pytest.mark.parametrize("waits", [False, True])
async def test_a_guarded_buffer(loop: asyncio.AbstractEventLoop, tmp_path: Path, waits: bool) -> None:
    """sock_recvfrom_into() writes nothing outside the buffer, and has let go of it when it returns."""
    buffer = GuardedBuffer(100, name="sock_recvfrom_into()")
    with correspondents("udp", tmp_path, [hold(), send(pattern(6, 5000)), hold()]) as (ours, peer):
        if not waits:
            peer.release()
            await played(peer, 3)
        operation = loop.sock_recvfrom_into(ours, buffer)
        task = await waiting(operation) if waits else asyncio.ensure_future(operation)
        peer.release()
        assert await ended(task) == (100, peer.address)
    del operation, task
    await polls(2)
    buffer.check()
    assert buffer.exports == 0, f"{buffer.exports} views of the buffer are left"
    assert bytes(memoryview(buffer)) == pattern(6, 100)


@requires("SOCK-SOCK_RECVFROM_INTO-05")
async def test_a_buffer_with_items_of_several_bytes(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """The whole buffer is its size in bytes, whatever the size of its items."""
    buffer = array.array("d", bytes(80))
    with correspondents("udp", tmp_path, [send(pattern(3, 80)), hold()]) as (ours, peer):
        await played(peer, 2)
        assert await loop.sock_recvfrom_into(ours, buffer) == (80, peer.address)
        assert buffer.tobytes() == pattern(3, 80)


@requires("SOCK-SOCK_SENDTO-01")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 1000, 60_000])
async def test_a_datagram_is_sent(loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str, size: int) -> None:
    """One datagram is sent to the address, also an empty one, and the number of its bytes is returned."""
    with correspondents(family, tmp_path, [expect(pattern(3, size)), expect(b"next")]) as (ours, peer):
        assert await loop.sock_sendto(ours, pattern(3, size), peer.address) == size
        assert await loop.sock_sendto(ours, b"next", peer.address) == 4
        await verified(peer)


@requires("SOCK-SOCK_SENDTO-02")
@pytest.mark.parametrize("given", ["bytearray", "memoryview", "array of doubles"])
async def test_data_of_any_kind_are_sent(loop: asyncio.AbstractEventLoop, tmp_path: Path, given: str) -> None:
    """What gives bytes is sent, and the bytes are what is counted."""
    data: Any = {"bytearray": bytearray, "memoryview": memoryview, "array of doubles": lambda d: array.array("d", d)}
    with correspondents("udp", tmp_path, [expect(pattern(3, 80))]) as (ours, peer):
        assert await loop.sock_sendto(ours, data[given](pattern(3, 80)), peer.address) == 80
        await verified(peer)


@requires("SOCK-COMMON-05", "SOCK-SOCK_SENDTO-01")
async def test_a_datagram_that_is_too_long(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """A datagram that the network cannot carry raises OSError with EMSGSIZE, and the socket can be used after it."""
    with correspondents("udp", tmp_path, [expect(b"short")]) as (ours, peer):
        with raises(OSError) as caught:
            await loop.sock_sendto(ours, bytes(70_000), peer.address)
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.EMSGSIZE
        assert await loop.sock_sendto(ours, b"short", peer.address) == 5
        await verified(peer)


@requires("SOCK-COMMON-05")
@needs("sock_datagram")
@pytest.mark.parametrize("address", ["None", "('127.0.0.1',)", "('127.0.0.1', 'port')", "5"])
async def test_a_wrong_address(loop: asyncio.AbstractEventLoop, tmp_path: Path, address: str) -> None:
    """An address of the wrong shape raises TypeError, and nothing is sent."""
    wrong: Any = {"None": None, "5": 5, "('127.0.0.1',)": ("127.0.0.1",)}.get(address, ("127.0.0.1", "port"))
    with correspondents("udp", tmp_path, [expect(b"right")]) as (ours, peer):
        with raises(TypeError):
            await loop.sock_sendto(ours, b"wrong", wrong)
        await loop.sock_sendto(ours, b"right", peer.address)
        await verified(peer)


@requires("SOCK-SOCK_SENDTO-03")
async def test_a_full_queue(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """Where the receiver's queue is full the operation waits until the datagram can be sent."""
    with unbound(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs, unbound(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        theirs.bind(str(tmp_path / "theirs"))
        ours.connect(str(tmp_path / "theirs"))
        queued = 0
        try:
            while True:
                ours.send(b"%d" % queued)
                queued += 1
        except BlockingIOError:
            pass
        task = await waiting(loop.sock_sendto(ours, b"last", str(tmp_path / "theirs")))
        for number in range(queued):
            assert theirs.recv(100) == b"%d" % number
        assert await ended(task) == 4
        assert theirs.recv(100) == b"last"


@requires("SOCK-COMMON-05")
@needs("sock_datagram")
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("waits", [False, True])
async def test_a_port_that_is_not_reachable(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, waits: bool
) -> None:
    """An error that was queued for a connected socket is raised: ConnectionRefusedError."""
    with correspondents("udp", tmp_path, []) as (ours, peer):
        ours.connect(peer.address)
        await verified(peer)
        if waits:
            task = await waiting(WAYS[way](loop, ours, 10))
        ours.send(b"nobody is there")
        if not waits:
            task = asyncio.ensure_future(WAYS[way](loop, ours, 10))
        await until(task.done, "the error of the port")
        with raises(ConnectionRefusedError):
            task.result()


@requires("SOCK-COMMON-06")
@needs("sock_datagram")
@pytest.mark.parametrize("operation", ["sock_recvfrom", "sock_recvfrom_into", "sock_sendto"])
async def test_what_can_be_done_takes_no_iteration(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, operation: str
) -> None:
    """A datagram that is there is returned, and one that can be sent is sent, before the loop runs anything else."""
    with correspondents("udp", tmp_path, [send(b"answer"), hold()]) as (ours, peer):
        await played(peer, 2)
        marks: list[str] = []
        loop.call_soon(marks.append, "another callback")
        if operation == "sock_sendto":
            await loop.sock_sendto(ours, b"data", peer.address)
        else:
            await WAYS[operation](loop, ours, 10)
        assert not marks, "the operation waited for another iteration"
        await polls(1)
