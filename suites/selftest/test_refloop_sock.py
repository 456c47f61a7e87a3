"""refloop's operations on sockets: what is received, sent, connected and accepted."""

import array
import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from socket_scenarios import (
    Loop,
    as_asyncio,
    client,
    fill,
    listener,
    pair,
    receive_all,
    run,
    started,
    turns,
    watched_descriptors,
)


@pytest.mark.parametrize("size", [0, 1, 4, 100_000, 300_000, 4_000_000])
def test_recv_returns_what_is_there(size: int) -> None:
    async def scenario(loop: Loop) -> bytes:
        with pair() as (ours, theirs):
            theirs.send(b"data")
            return await loop.sock_recv(ours, size)

    assert as_asyncio(scenario) == b"data"[:size]


@pytest.mark.parametrize("size", [100_000, 4_000_000])
def test_recv_returns_all_that_was_waited_for(size: int) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            receiving = await started(loop.sock_recv(ours, size))
            assert not receiving.done()
            sent = theirs.send(bytes(range(250)) * 200, socket.MSG_DONTWAIT)
            assert await receiving == bytes(range(250)) * (sent // 250)

    run(scenario)


@pytest.mark.parametrize("waiting", [False, True])
def test_the_end_of_the_stream(waiting: bool) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            receiving = await started(loop.sock_recv(ours, 10)) if waiting else None
            theirs.close()
            assert await (receiving or loop.sock_recv(ours, 10)) == b""
            assert await loop.sock_recv_into(ours, bytearray(10)) == 0

    run(scenario)


@pytest.mark.parametrize("waiting", [False, True])
def test_recv_into_fills_the_buffer(waiting: bool) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            for buffer in (
                bytearray(6),
                memoryview(bytearray(6)),
                array.array("h", [0] * 3),
                memoryview(bytearray(8))[:6],
            ):
                receiving = await started(loop.sock_recv_into(ours, buffer)) if waiting else None
                theirs.send(b"data")
                assert await (receiving or loop.sock_recv_into(ours, buffer)) == 4
                assert bytes(buffer) == b"data\0\0"

    run(scenario)


def test_recv_into_nothing_receives_nothing() -> None:
    async def scenario(loop: Loop) -> int:
        with pair() as (ours, _):
            return await loop.sock_recv_into(ours, bytearray())

    assert as_asyncio(scenario) == 0


def test_a_buffer_may_change_while_it_is_waited_for() -> None:
    async def scenario(loop: Loop) -> Any:
        with pair() as (ours, theirs):
            buffer = bytearray(1)
            receiving = await started(loop.sock_recv_into(ours, buffer))
            buffer.extend(bytes(3))
            theirs.send(b"data")
            return await receiving, bytes(buffer)

    assert as_asyncio(scenario) == (4, b"data")


@pytest.mark.parametrize("waiting", [False, True])
def test_a_reset_is_raised(waiting: bool) -> None:
    async def scenario(loop: Loop) -> None:
        with listener() as server, client() as ours:
            await loop.sock_connect(ours, server.getsockname())
            theirs, _ = await loop.sock_accept(server)
            receiving = await started(loop.sock_recv(ours, 1)) if waiting else None
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            theirs.close()
            with pytest.raises(ConnectionResetError) as raised:
                await (receiving or loop.sock_recv(ours, 1))
            assert raised.value.args == (errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    run(scenario)


class Unhurried(threading.Thread):
    """Receives everything that comes to a socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock
        self.received = bytearray()

    def run(self) -> None:
        while data := self.sock.recv(20_000):
            self.received += data


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: memoryview(data).cast("i")])
def test_sendall_sends_all(make: Callable[[bytes], Any]) -> None:
    data = bytes(range(256)) * 20_000

    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            peer = Unhurried(theirs)
            peer.start()
            await loop.sock_sendall(ours, make(data))
            ours.shutdown(socket.SHUT_WR)
            await loop.run_in_executor(None, peer.join)
            assert peer.received == data

    run(scenario)


def test_sendall_of_nothing() -> None:
    async def scenario(loop: Loop) -> None:
        with pair(socket.SOCK_DGRAM) as (ours, theirs):
            await loop.sock_sendall(ours, b"")
            assert theirs.recv(10) == b""

    run(scenario)


def test_data_cannot_change_size_before_it_is_sent() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            size = fill(ours)
            data = bytearray(b"data")
            sending = await started(loop.sock_sendall(ours, data))
            with pytest.raises(BufferError):
                data.append(0)
            receive_all(theirs, size)
            await sending
            assert theirs.recv(10) == b"data"
            data.append(0)
            fill(ours)
            sending = await started(loop.sock_sendall(ours, data))
            sending.cancel()
            await asyncio.wait([sending])
            data.append(0)

    run(scenario)


def test_sending_to_one_who_has_gone_raises() -> None:
    async def scenario(loop: Loop) -> None:
        for waiting in (False, True):
            with pair() as (ours, theirs):
                if waiting:
                    fill(ours)
                sending = await started(loop.sock_sendall(ours, b"data")) if waiting else None
                theirs.close()
                with pytest.raises((BrokenPipeError, ConnectionResetError)):
                    await (sending or loop.sock_sendall(ours, b"data"))

    run(scenario)


def test_datagrams_with_their_addresses() -> None:
    async def scenario(loop: Loop) -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
        ):
            for sock in (ours, theirs):
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            buffer = bytearray(8)
            for waiting in (False, True):
                calls = [
                    (loop.sock_recvfrom(theirs, 3), b"dat"),
                    (loop.sock_recvfrom_into(theirs, buffer), 4),
                    (loop.sock_recvfrom_into(theirs, buffer, 0), 4),
                    (loop.sock_recvfrom_into(theirs, buffer, 2), 2),
                ]
                for call, result in calls:
                    receiving = await started(call) if waiting else call
                    assert await loop.sock_sendto(ours, b"data", theirs.getsockname()) == 4
                    assert await receiving == (result, ours.getsockname())
            assert buffer[:4] == b"data"

    run(scenario)


def test_sendto_waits_for_room() -> None:
    async def scenario(loop: Loop) -> None:
        with pair(socket.SOCK_DGRAM) as (ours, theirs):
            name = f"\0refloop-{os.getpid()}".encode()
            theirs.bind(name)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(b"before")
            sending = await started(loop.sock_sendto(ours, b"after", name))
            assert not sending.done()
            while (data := theirs.recv(10)) == b"before":
                await turns()
            assert data == b"after"
            assert await sending == 5

    run(scenario)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connect_and_accept(family: socket.AddressFamily) -> None:
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"

    async def scenario(loop: Loop) -> None:
        with listener(family, (host, 0)) as server, client(family) as ours:
            accepting = await started(loop.sock_accept(server))
            assert await loop.sock_connect(ours, server.getsockname()) is None
            conn, address = await accepting
            with conn:
                assert address == ours.getsockname()
                assert conn.gettimeout() == 0
                assert not conn.get_inheritable()
                await loop.sock_sendall(ours, b"data")
                assert await loop.sock_recv(conn, 10) == b"data"

    try:
        socket.create_server((host, 0), family=family).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    run(scenario)


def test_connect_to_a_unix_server(tmp_path: Path) -> None:
    async def scenario(loop: Loop) -> None:
        path = str(tmp_path / "socket")
        with listener(socket.AF_UNIX, path) as server, client(socket.AF_UNIX) as ours:
            await loop.sock_connect(ours, path)
            conn, _ = await loop.sock_accept(server)
            conn.close()
        with client(socket.AF_UNIX) as ours, pytest.raises(FileNotFoundError):
            await loop.sock_connect(ours, path + "-not-there")

    run(scenario)


def test_a_unix_server_with_a_full_queue(tmp_path: Path) -> None:
    async def scenario(loop: Loop) -> None:
        path = str(tmp_path / "socket")
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(listener(socket.AF_UNIX, path))
            server.listen(0)
            with pytest.raises(BlockingIOError):
                while True:
                    await loop.sock_connect(stack.enter_context(client(socket.AF_UNIX)), path)

    run(scenario)


def test_a_refused_connection() -> None:
    async def scenario(loop: Loop) -> None:
        with listener() as server:
            address = server.getsockname()
        with client() as ours:
            with pytest.raises(ConnectionRefusedError, match=f"Connect call failed.*{address[1]}") as raised:
                await loop.sock_connect(ours, address)
            assert raised.value.errno == errno.ECONNREFUSED
            assert ours.fileno() not in watched_descriptors()

    run(scenario)


@pytest.mark.parametrize("host", ["name.invalid", b"name.invalid"])
def test_names_are_looked_up(monkeypatch: pytest.MonkeyPatch, host: str | bytes) -> None:
    async def scenario(loop: Loop) -> None:
        with listener() as server, client() as ours:
            address = server.getsockname()
            asked: list[Any] = []

            def look_up(*args: Any) -> list[Any]:
                asked.append(args)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            await loop.sock_connect(ours, (host, 1))
            assert ours.getpeername() == address
            assert asked == [(host, 1, socket.AF_INET, socket.SOCK_STREAM, 0, 0)]

    run(scenario)


@pytest.mark.parametrize("make", [lambda port: (b"127.0.0.1", port), lambda port: ("127.0.0.1", str(port))])
def test_other_spellings_of_an_address(make: Callable[[int], Any]) -> None:
    async def scenario(loop: Loop) -> None:
        with listener() as server, client() as ours:
            await loop.sock_connect(ours, make(server.getsockname()[1]))
            assert ours.getpeername() == server.getsockname()

    run(scenario)


def test_a_cancelled_accept_accepts_nothing() -> None:
    async def scenario(loop: Loop) -> None:
        with listener() as server:
            accepting = await started(loop.sock_accept(server))
            with socket.create_connection(server.getsockname()) as theirs:
                loop.call_soon(accepting.cancel)
                await asyncio.wait([accepting])
                assert accepting.cancelled()
                conn, address = await loop.sock_accept(server)
                conn.close()
                assert address == theirs.getsockname()

    run(scenario)
