"""refloop's servers: accepting, and what goes wrong in it."""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, run
from socket_scenarios import turns

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)

LINGER_NOT = struct.pack("ii", 1, 0)


class Listening(socket.socket):
    """A listening socket, the attempts of which to accept do what the test wants first."""

    def __init__(self, *outcomes: Callable[[], Any]) -> None:
        super().__init__()
        self.outcomes = list(outcomes)
        self.bind(("127.0.0.1", 0))
        self.listen()

    def accept(self) -> tuple[socket.socket, Any]:
        if self.outcomes:
            self.outcomes.pop(0)()
        return super().accept()


def failing(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def client(address: Any) -> socket.socket:
    return socket.create_connection(address, timeout=60)


async def made(protocols: list[Recorder], count: int) -> None:
    """Wait until so many connections are made."""
    while sum(protocol.transport is not None for protocol in protocols) < count:
        await asyncio.sleep(0)


def recording(protocols: list[Recorder]) -> Callable[[], Recorder]:
    """A factory that keeps what it makes."""

    def factory() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    return factory


async def lost(protocols: list[Recorder]) -> None:
    for protocol in protocols:
        protocol.transport.abort()
        await protocol.until_told("connection_lost")


@both
@pytest.mark.parametrize("backlog", [1, 100])
def test_many_at_once(loop: str, backlog: int) -> None:
    async def scene(_: Reports) -> None:
        protocols: list[Recorder] = []
        server = await asyncio.get_running_loop().create_server(recording(protocols), "127.0.0.1", 0, backlog=backlog)
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(server.sockets[0].getsockname())
            if backlog == 100:
                await made(protocols, 100)
            else:
                await made(protocols, 1)
            server.close()
            await lost(protocols)

    assert run(loop, scene) == []


@both
def test_peers_that_vanish_before_they_are_accepted(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocols: list[Recorder] = []
        server = await asyncio.get_running_loop().create_server(recording(protocols), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with client(address) as polite:
            name = polite.getsockname()
        with client(address) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        with client(address):
            await made(protocols, 3)
            assert protocols[0].transport.get_extra_info("peername") == name
            for protocol in protocols[:2]:
                await protocol.until_told("connection_lost")
            assert protocols[0].lost_with is None
            assert isinstance(protocols[1].lost_with, ConnectionResetError)
            await lost(protocols[2:])
        server.close()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("error", [LookupError("no protocol"), asyncio.CancelledError()])
def test_a_factory_that_raises(loop: str, debug: bool, error: BaseException) -> None:
    async def scene(_: Reports) -> None:
        outcomes: list[Any] = [failing(error), Recorder]
        server = await asyncio.get_running_loop().create_server(lambda: outcomes.pop(0)(), "127.0.0.1", 0)
        for last in (False, True):
            with client(server.sockets[0].getsockname()) as sock:
                sock.setblocking(False)
                while len(outcomes) > 1 - last:
                    await asyncio.sleep(0)
                if not last and loop == "refloop":
                    await turns()
                    assert sock.recv(1) == b""
        server.close()
        await turns(20)
        error.__traceback__ = None

    with contextlib.nullcontext() if loop == "refloop" else pytest.warns(ResourceWarning):
        reports = run(loop, scene, debug=debug)
    assert [report["message"] for report in reports] == ["Error on transport creation for incoming connection"] * debug
    assert all(report["exception"] is error for report in reports)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_factory_that_ends_the_run(error: type[BaseException]) -> None:
    running = LOOPS["refloop"]()
    server = running.run_until_complete(running.create_server(failing(error()), "127.0.0.1", 0))
    with client(server.sockets[0].getsockname()), pytest.raises(error):
        running.run_forever()
    server.close()
    running.run_until_complete(asyncio.sleep(0))
    running.close()


@pytest.fixture(autouse=True)
def _no_garbage() -> Iterator[None]:
    """What asyncio leaves to the collector goes with the test."""
    yield
    gc.collect()


def test_a_factory_that_closes_the_server() -> None:
    async def scene(reports: Reports) -> None:
        def factory() -> Recorder:
            server.close()
            return Recorder()

        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        with client(server.sockets[0].getsockname()) as sock:
            await asyncio.wait_for(server.wait_closed(), 60)
            while not reports:
                await asyncio.sleep(0)
            assert sock.recv(1) == b""

    (report,) = run("refloop", scene, debug=True)
    assert isinstance(report["exception"], ConnectionAbortedError)
    assert isinstance(report["protocol"], Recorder)


@both
def test_connection_made_that_raises(loop: str) -> None:
    async def scene(reports: Reports) -> None:
        protocols: list[Recorder] = []

        def fail(protocol: Recorder) -> None:
            protocols.append(protocol)
            raise LookupError("from connection_made")

        server = await asyncio.get_running_loop().create_server(lambda: Recorder(connection_made=fail), "127.0.0.1", 0)
        with client(server.sockets[0].getsockname()) as sock:
            await made(protocols, 1)
            sock.send(b"still open")
            await protocols[0].until(lambda: protocols[0].data == b"still open")
            await lost(protocols)
        server.close()

    reports = run(loop, scene)
    assert [type(report["exception"]) for report in reports] == [LookupError]


@both
def test_no_descriptors_left(loop: str) -> None:
    """It is reported, and tried again after a second, when there are some."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scene(reports: Reports) -> None:
        protocols: list[Recorder] = []
        running = asyncio.get_running_loop()
        server = await running.create_server(recording(protocols), "127.0.0.1", 0, backlog=1)
        with client(server.sockets[0].getsockname()):
            next_number = os.dup(0)
            os.close(next_number)
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_number, limits[1]))
            began = running.time()
            try:
                while not reports:
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await made(protocols, 1)
            assert running.time() - began >= 0.9
            server.close()
            await lost(protocols)

    reports = run(loop, scene)
    for report in reports:
        assert report["message"] == "socket.accept() out of system resource"
        assert report["exception"].errno == errno.EMFILE
        assert type(report["socket"]).__name__ == "TransportSocket"
    assert loop == "asyncio" or len(reports) == 1


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_closed_while_it_waits_for_descriptors(error: int) -> None:
    async def scene(reports: Reports) -> None:
        sock = Listening(failing(OSError(error, "injected")))
        server = await asyncio.get_running_loop().create_server(Recorder, sock=sock)
        with client(sock.getsockname()):
            while not reports:
                await asyncio.sleep(0)
            assert server.is_serving()
            server.close()
            await asyncio.sleep(1.1)  # longer than it would have waited

    (report,) = run("refloop", scene)
    assert report["exception"].errno == error


def test_other_errors_are_reported_and_accepting_goes_on() -> None:
    async def scene(reports: Reports) -> None:
        protocols: list[Recorder] = []
        errors = [OSError(errno.EPERM, "injected"), LookupError("injected"), OSError("without a number")]
        sock = Listening(*map(failing, errors))
        server = await asyncio.get_running_loop().create_server(recording(protocols), sock=sock)
        with client(sock.getsockname()):
            await made(protocols, 1)
            server.close()
            await lost(protocols)
        assert [report["exception"].args for report in reports] == [error.args for error in errors]
        assert {report["message"] for report in reports} == {"socket.accept() failed"}

    run("refloop", scene)


@both
def test_errors_that_say_nothing(loop: str) -> None:
    async def scene(_: Reports) -> None:
        protocols: list[Recorder] = []
        errors = [ConnectionAbortedError(errno.ECONNABORTED, "x"), BlockingIOError(errno.EAGAIN, "x")]
        sock = Listening(*map(failing, errors))
        server = await asyncio.get_running_loop().create_server(recording(protocols), sock=sock)
        with client(sock.getsockname()) as them:
            await made(protocols, 1)
            assert protocols[0].transport.get_extra_info("peername") == them.getsockname()
            server.close()
            await lost(protocols)

    assert run(loop, scene) == []


def test_a_listening_socket_that_is_closed_behind_the_back_of_its_server() -> None:
    """Whoever has its number then is left alone."""

    async def scene(_: Reports) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.create_server(("127.0.0.1", 0))
        server = await loop.create_server(Recorder, sock=sock)
        number = sock.fileno()
        with client(sock.getsockname()):
            loop.call_soon(sock.close)
            await turns()
            with socket.create_server(("127.0.0.1", 0)) as other:
                assert other.fileno() == number or number not in faultkit.descriptors()
                with client(other.getsockname()) as theirs:
                    await turns()
                    server.close()
                    accepted, _ = other.accept()
                    with accepted:
                        assert accepted.getpeername() == theirs.getsockname()

    assert run("refloop", scene) == []


@both
def test_debug_mode_tells_of_connections(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: Reports) -> None:
        protocols: list[Recorder] = []
        server = await asyncio.get_running_loop().create_server(recording(protocols), "127.0.0.1", 0)
        with client(server.sockets[0].getsockname()):
            await made(protocols, 1)
            await lost(protocols)
        server.close()

    caplog.set_level("DEBUG", "asyncio")
    assert run(loop, scene, debug=True) == []
    texts = [record.getMessage() for record in caplog.records]
    assert any(text.startswith("<Server sockets=(") and text.endswith(" is serving") for text in texts)
    assert any(" got a new connection from ('127.0.0.1', " in text for text in texts)
