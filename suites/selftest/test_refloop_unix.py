"""refloop's UNIX connections and servers: addresses, and the files of their paths; stock asyncio beside it."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, run
from socket_scenarios import turns

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)

REMOVES = sys.version_info >= (3, 13)  # what asyncio does, when a server is closed


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a socket may be; short enough."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield Path("socket")
    os.chdir(before)


def as_bytes(path: Path) -> bytes:
    return os.fsencode(path)


def abstract(path: Path) -> str:
    return f"\0loopproof {os.getpid()} {path}"


def abstract_bytes(path: Path) -> bytes:
    return abstract(path).encode()


@both
@pytest.mark.parametrize("kind", [str, as_bytes, Path, abstract, abstract_bytes])
def test_addresses(loop: str, kind: Callable[[Path], Any], path: Path) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        address = kind(path)
        accepted = Recorder()
        server = await running.create_unix_server(lambda: accepted, address)
        transport, protocol = await running.create_unix_connection(Recorder, address)
        transport.write(b"data")
        await accepted.until(lambda: accepted.data == b"data")
        name = server.sockets[0].getsockname()
        assert transport.get_extra_info("peername") == name
        assert transport.get_extra_info("sockname") == ""
        assert accepted.transport.get_extra_info("sockname") == name
        assert accepted.transport.get_extra_info("peername") == ""
        assert os.fsencode(name) == os.fsencode(address)
        transport.close()
        await protocol.until_told("connection_lost")
        await accepted.until_told("connection_lost")
        server.close()
        await server.wait_closed()
        assert path.exists() == (kind not in (abstract, abstract_bytes) and not REMOVES)

    before = faultkit.descriptors()
    run(loop, scene)
    before |= faultkit.descriptors()  # libuv keeps two from the first run on
    assert run(loop, scene) == []
    assert faultkit.descriptors() == before


@both
def test_no_server(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        connect = asyncio.get_running_loop().create_unix_connection
        with pytest.raises(FileNotFoundError):
            await connect(Recorder, str(path))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
        before = faultkit.descriptors()
        with pytest.raises(ConnectionRefusedError):
            await connect(Recorder, str(path))
        assert faultkit.descriptors() == before

    assert run(loop, scene) == []


def test_a_server_without_a_place(path: Path) -> None:
    """(Stock asyncio takes the socket for a connected one.)"""

    async def scene(_: Reports) -> None:
        with socket.socket(socket.AF_UNIX) as sock, socket.socket(socket.AF_UNIX) as first:
            sock.bind(str(path))
            sock.listen(0)
            first.connect(str(path))
            before = faultkit.descriptors()
            with pytest.raises(BlockingIOError):
                await asyncio.get_running_loop().create_unix_connection(Recorder, str(path))
            assert faultkit.descriptors() == before

    assert run("refloop", scene) == []


@both
def test_the_name_of_a_peer_that_has_one(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        accepted = Recorder()
        server = await asyncio.get_running_loop().create_unix_server(lambda: accepted, str(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.bind("client")
            client.connect(str(path))
            await accepted.until_told("connection_made")
            assert accepted.transport.get_extra_info("peername") == "client"
        await accepted.until_told("connection_lost")
        server.close()

    assert run(loop, scene) == []


@both
def test_sockets_of_the_program(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        listener, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        accepted = Recorder()
        server = await running.create_unix_server(lambda: accepted, sock=listener)
        client.connect(str(path))
        transport, protocol = await running.create_unix_connection(Recorder, sock=client)
        assert client.gettimeout() == 0
        await accepted.until_told("connection_made")
        transport.close()
        await protocol.until_told("connection_lost")
        await accepted.until_told("connection_lost")
        assert client.fileno() == -1
        server.close()
        assert listener.fileno() == -1
        assert path.exists() != REMOVES

    assert run(loop, scene) == []


@both
def test_what_is_left_from_another_server(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
        server = await asyncio.get_running_loop().create_unix_server(Recorder, str(path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            await turns()
        server.close()
        await turns()

    assert run(loop, scene) == []


@both
def test_a_file_that_is_no_socket(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        path.write_text("precious")
        before = faultkit.descriptors()
        with pytest.raises(OSError, match=r"^.Errno 98. Address 'socket' is already in use$") as caught:
            await asyncio.get_running_loop().create_unix_server(Recorder, str(path))
        assert caught.value.errno == errno.EADDRINUSE
        assert faultkit.descriptors() == before
        assert path.read_text() == "precious"

    assert run(loop, scene) == []


@pytest.mark.parametrize("loop", [*LOOPS] if REMOVES else ["refloop"])
@pytest.mark.parametrize("removes", [True, False])
def test_the_file_is_removed_on_demand(loop: str, removes: bool, path: Path) -> None:
    async def scene(_: Reports) -> None:
        create: Any = asyncio.get_running_loop().create_unix_server
        server = await create(Recorder, str(path), cleanup_socket=removes)
        server.close()
        assert path.exists() != removes

    assert run(loop, scene) == []


@pytest.mark.parametrize("loop", [*LOOPS] if REMOVES else ["refloop"])
def test_only_the_own_file_is_removed(loop: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: Reports) -> None:
        create: Any = asyncio.get_running_loop().create_unix_server
        for kind in (Path.unlink, lambda it: it.rename("moved")):
            server = await create(Recorder, str(path), cleanup_socket=True)
            kind(path)
            with socket.socket(socket.AF_UNIX) as other:
                if kind is not Path.unlink:
                    other.bind(str(path))
                server.close()
                assert path.exists() == (kind is not Path.unlink)

    assert run(loop, scene) == []
    assert caplog.records == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_without_permission(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: Reports) -> None:
        create: Any = asyncio.get_running_loop().create_unix_server
        server = await create(Recorder, str(path), cleanup_socket=True)
        path.absolute().parent.chmod(0o500)
        server.close()
        path.absolute().parent.chmod(0o700)

    assert run("refloop", scene) == []
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Unable to clean up listening UNIX socket 'socket'"
    ]


@both
def test_started_later(loop: str, path: Path) -> None:
    async def scene(_: Reports) -> None:
        server = await asyncio.get_running_loop().create_unix_server(Recorder, str(path), start_serving=False)
        with socket.socket(socket.AF_UNIX) as client:
            with pytest.raises(ConnectionRefusedError):
                client.connect(str(path))
            await server.start_serving()
            client.connect(str(path))
        await turns()
        server.close()
        await turns()

    assert run(loop, scene) == []


@both
def test_streams(loop: str, path: Path) -> None:
    """asyncio's own streams on top."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    async def scene(_: Reports) -> None:
        async with await asyncio.start_unix_server(serve, str(path)):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"line\n")
            assert await reader.read() == b"LINE\n"
            writer.close()
            await writer.wait_closed()

    assert run(loop, scene) == []
