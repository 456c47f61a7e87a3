"""What refloop's transports tell of their sockets, which have objects only if asked for; stock asyncio beside it."""

import asyncio
import contextlib
import gc
import os
import socket
import tempfile
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from recorders import LOOPS, Recorder, Reports, run

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)
kinds = pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix", "long unix"])


@contextlib.asynccontextmanager
async def pair(kind: str) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """A client and what a server has made of it."""
    loop = asyncio.get_running_loop()
    server_side, client_side = Recorder(), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        if kind.endswith("unix"):
            path = str(Path(folder) / ("x" * 40 if kind == "long unix" else "x"))
            server = await loop.create_unix_server(lambda: server_side, path)
            await loop.create_unix_connection(lambda: client_side, path)
        else:
            server = await loop.create_server(lambda: server_side, "::1" if kind == "tcp6" else "127.0.0.1", 0)
            await loop.create_connection(lambda: client_side, *server.sockets[0].getsockname()[:2])
        try:
            await server_side.until_told("connection_made")
            yield client_side, server_side
        finally:
            for protocol in (client_side, server_side):
                protocol.transport.abort()
                await protocol.until_told("connection_lost")
            server.close()


@both
@kinds
def test_names_and_socket_of_both_ends(loop: str, kind: str) -> None:
    async def scene(_: Reports) -> None:
        async with pair(kind) as ends:
            ours, theirs = (end.transport.get_extra_info("socket") for end in ends)
            assert ends[0].transport.get_extra_info("socket") is ours
            for sock, end in zip((ours, theirs), ends, strict=True):
                assert end.transport.get_extra_info("sockname") == sock.getsockname()
                assert end.transport.get_extra_info("peername") == sock.getpeername()
            assert ours.getpeername() == theirs.getsockname()
            assert (ours.family, ours.type) == (theirs.family, socket.SOCK_STREAM)
            assert ours.gettimeout() == theirs.gettimeout() == 0
            for sock in (ours, theirs):
                if not kind.endswith("unix"):
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert not os.get_inheritable(sock.fileno())

    assert run(loop, scene) == []


@both
@kinds
def test_all_is_known_after_the_end(loop: str, kind: str) -> None:
    """The socket, too, though it is closed, and nobody has asked for it before."""

    async def scene(_: Reports) -> None:
        async with pair(kind) as ends:
            names = [[end.transport.get_extra_info(key) for key in ("sockname", "peername")] for end in ends]
        for end, (ours, theirs) in zip(ends, names, strict=True):
            assert end.transport.get_extra_info("sockname") == ours
            assert end.transport.get_extra_info("peername") == theirs
            sock = end.transport.get_extra_info("socket")
            assert sock.fileno() == -1
            assert sock.type == socket.SOCK_STREAM
            assert sock.family == {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6}.get(kind, socket.AF_UNIX)
            assert end.transport.get_extra_info("socket") is sock

    assert run(loop, scene) == []


@both
def test_a_socket_that_was_asked_for_is_closed_with_the_transport(loop: str) -> None:
    async def scene(_: Reports) -> None:
        async with pair("tcp") as ends:
            socks = [end.transport.get_extra_info("socket") for end in ends]
            assert all(sock.fileno() >= 0 for sock in socks)
        assert [sock.fileno() for sock in socks] == [-1, -1]

    assert run(loop, scene) == []


def test_a_socket_that_is_closed_behind_the_back_of_the_transport() -> None:
    """Its number may be another file's by now, which is left alone."""

    async def scene(_: Reports) -> None:
        async with pair("tcp") as (client, _):
            sock = client.transport.get_extra_info("socket")._sock
            number = sock.fileno()
            other, end = socket.socketpair()
            with other, end:
                sock.close()
                os.dup2(other.fileno(), number)
                client.transport.write(b"not for them")
                await client.until_told("connection_lost")
                assert isinstance(client.lost_with, OSError)
                with pytest.raises(BlockingIOError):
                    end.recv(1, socket.MSG_DONTWAIT)
                os.fstat(number)
                os.close(number)

    assert run("refloop", scene) == []


def test_two_objects_of_one_socket_are_made_at_once() -> None:
    """The one that comes too late does not have the descriptor."""

    async def scene(_: Reports) -> None:
        async with pair("tcp") as (client, server):
            make = socket.socket.__init__
            inner: list[Any] = []

            def make_two(sock: Any, *args: Any) -> None:
                make(sock, *args)
                if not inner:
                    inner.append(None)
                    inner[0] = client.transport.get_extra_info("socket")

            with mock.patch.object(socket.socket, "__init__", make_two):
                outer = client.transport.get_extra_info("socket")
            assert outer is inner[0]
            assert outer.fileno() >= 0
            client.transport.write(b"data")
            await server.until(lambda: server.data == b"data")
        assert inner[0].fileno() == -1

    assert run("refloop", scene) == []


@both
def test_a_transport_that_nobody_has_closes_its_descriptor(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport, _protocol = await running.create_connection(asyncio.Protocol, *listener.getsockname())
            accepted, _ = listener.accept()
            transport.pause_reading()
            with accepted, warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del transport, _protocol
                gc.collect()
                accepted.settimeout(60)
                assert accepted.recv(1) == b""
            assert any(str(warning.message).startswith("unclosed transport") for warning in caught)

    assert run(loop, scene) == []


def test_a_protocol_factory_that_fails_leaves_no_descriptor() -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()

        def fail() -> asyncio.Protocol:
            raise LookupError

        with socket.create_server(("127.0.0.1", 0)) as listener:
            before = faultkit.descriptors()
            with pytest.raises(LookupError):
                await running.create_connection(fail, *listener.getsockname())
            assert faultkit.descriptors() == before
            listener.accept()[0].close()

    assert run("refloop", scene) == []
