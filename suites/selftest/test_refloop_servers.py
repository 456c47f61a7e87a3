"""refloop's servers: what they listen at, their life and that of their connections; stock asyncio beside it.

The clients are plain sockets.
"""

import asyncio
import contextlib
import contextvars
import gc
import socket
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, run
from socket_scenarios import started, turns

from loopproof import faultkit
from refloop import _core

both = pytest.mark.parametrize("loop", LOOPS)

ELSEWHERE = "240.0.0.1"  # an address that no machine has


class Clients:
    """Plain sockets, and the protocols that a server has made for them."""

    def __init__(self, **hooks: Any) -> None:
        self.hooks = hooks
        self.protocols: list[Recorder] = []
        self.sockets: list[socket.socket] = []

    def __call__(self) -> Recorder:
        self.protocols.append(Recorder(**self.hooks))
        return self.protocols[-1]

    def connect(self, address: Any) -> socket.socket:
        """Connect to a server, which need not accept that."""
        sock = socket.create_connection(address[:2], timeout=60)
        self.sockets.append(sock)
        return sock

    async def accepted(self, count: int = 1) -> list[Recorder]:
        """Wait until so many connections in all are made."""
        while len(self.protocols) < count or any(protocol.transport is None for protocol in self.protocols):
            await asyncio.sleep(0)
        return self.protocols

    def forget(self) -> None:
        """Drop the protocols and their transports."""
        for protocol in self.protocols:
            protocol.transport = None
        self.protocols.clear()
        gc.collect()

    async def lost(self) -> None:
        """Wait until all connections are lost."""
        for protocol in self.protocols:
            await protocol.until_told("connection_lost")


@contextlib.contextmanager
def clients(**hooks: Any) -> Iterator[Clients]:
    it = Clients(**hooks)
    try:
        yield it
    finally:
        for sock in it.sockets:
            sock.close()


def addresses(server: asyncio.AbstractServer) -> list[Any]:
    return [sock.getsockname() for sock in server.sockets]  # type: ignore[attr-defined]


@both
def test_a_server(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        before = faultkit.descriptors()
        with clients() as them:
            server = await running.create_server(them, "127.0.0.1", 0)
            assert isinstance(server, asyncio.AbstractServer)
            assert server.is_serving()
            assert server.get_loop() is running
            (sock,) = server.sockets
            assert repr(server) == f"<Server sockets=({sock!r},)>"
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            assert sock.gettimeout() == 0
            address = sock.getsockname()
            client = them.connect(address)
            (protocol,) = await them.accepted()
            assert protocol.transport.get_extra_info("peername") == client.getsockname()
            assert protocol.transport.get_extra_info("sockname") == client.getpeername()
            accepted = protocol.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.gettimeout() == 0
            assert (accepted.family, accepted.type) == (socket.AF_INET, socket.SOCK_STREAM)
            client.sendall(b"data")
            await protocol.until(lambda: protocol.data == b"data")
            client.close()
            await them.lost()
            server.close()
            server.close()
            assert server.sockets == ()
            assert not server.is_serving()
            assert server.get_loop() is running
            assert repr(server) == "<Server sockets=()>"
            with pytest.raises(ConnectionRefusedError):
                them.connect(address)
            await server.wait_closed()
        assert faultkit.descriptors() == before

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, {"0.0.0.0", "::"}),
        ("", {"0.0.0.0", "::"}),
        ("::1", {"::1"}),
        (["127.0.0.1", "127.0.0.2"], {"127.0.0.1", "127.0.0.2"}),
        (("127.0.0.1", "127.0.0.1"), {"127.0.0.1"}),
        ({"127.0.0.1": 1}, {"127.0.0.1"}),
    ],
)
def test_hosts(loop: str, host: Any, expected: set[str]) -> None:
    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, host, 0)
            found = addresses(server)
            assert {address[0] for address in found} == expected
            assert len(found) == len(expected)
            for address in found:
                them.connect(address)
            await them.accepted(len(expected))
            server.close()

    assert run(loop, scene) == []


@both
def test_both_families_at_one_port(loop: str) -> None:
    async def scene(_: Reports) -> None:
        create = asyncio.get_running_loop().create_server
        with clients() as them:
            first = await create(them, None, 0, family=socket.AF_INET)
            port = addresses(first)[0][1]
            second = await create(them, None, port, family=socket.AF_INET6)
            assert [address[1] for address in addresses(second)] == [port]
            first.close()
            second.close()

    assert run(loop, scene) == []


@both
def test_options_of_the_listening_socket(loop: str) -> None:
    async def scene(_: Reports) -> None:
        create = asyncio.get_running_loop().create_server
        with clients() as them:
            first = await create(them, "127.0.0.1", 0, reuse_port=True, reuse_address=False)
            (sock,) = first.sockets
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            second = await create(them, *sock.getsockname(), reuse_port=True)
            first.close()
            second.close()
            if loop == "refloop" or sys.version_info >= (3, 13):
                third = await create(them, "127.0.0.1", 0, keep_alive=True)
                assert third.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                third.close()

    assert run(loop, scene) == []


def test_addresses_that_cannot_be_bound() -> None:
    """Refused with the same words as by asyncio; what was bound before is closed."""
    outcomes: list[list[tuple[type, str]]] = []

    async def scene(_: Reports) -> None:
        refusals = []
        for host in (taken[0], ["127.0.0.4", taken[0]], ELSEWHERE, [ELSEWHERE, ELSEWHERE]):
            before = faultkit.descriptors()
            with pytest.raises(OSError) as caught:  # noqa: PT011
                await asyncio.get_running_loop().create_server(asyncio.Protocol, host, taken[1], reuse_address=False)
            assert faultkit.descriptors() == before
            refusals.append((type(caught.value), str(caught.value)))
        outcomes.append(refusals)

    with socket.create_server(("127.0.0.3", 0)) as server:
        taken = server.getsockname()
        for loop in LOOPS:
            assert run(loop, scene) == []
    assert outcomes[0] == outcomes[1]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="since Python 3.13")
@both
def test_an_address_of_others_is_left_out(loop: str) -> None:
    async def scene(_: Reports) -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, [ELSEWHERE, "127.0.0.1"], 0)
        assert [address[0] for address in addresses(server)] == ["127.0.0.1"]
        server.close()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("listening", [True, False])
def test_a_socket_of_the_program(loop: str, listening: bool) -> None:
    async def scene(_: Reports) -> None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        if listening:
            sock.listen()
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, sock=sock)
            assert sock.gettimeout() == 0
            assert server.sockets[0].fileno() == sock.fileno()
            them.connect(sock.getsockname())
            await them.accepted()
            server.close()
            assert sock.fileno() == -1

    assert run(loop, scene) == []


@both
def test_started_later(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0, start_serving=False)
            assert not server.is_serving()
            with pytest.raises(ConnectionRefusedError):
                them.connect(addresses(server)[0])
            await server.start_serving()
            await server.start_serving()
            assert server.is_serving()
            them.connect(addresses(server)[0])
            await them.accepted()
            server.close()

    assert run(loop, scene) == []


def test_closed_before_it_is_started() -> None:
    async def scene(_: Reports) -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)
        server.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.start_serving()

    assert run("refloop", scene) == []


@both
def test_serve_forever(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0, start_serving=False)
            serving = await started(server.serve_forever())
            assert server.is_serving()
            with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
                await server.serve_forever()
            them.connect(addresses(server)[0])
            (protocol,) = await them.accepted()
            protocol.transport.abort()
            await them.lost()
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert server.sockets == ()
            with pytest.raises(RuntimeError, match="is closed"):
                await server.serve_forever()

    assert run(loop, scene) == []


@both
def test_close_ends_serve_forever(loop: str) -> None:
    async def scene(_: Reports) -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        serving = await started(server.serve_forever())
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving

    assert run(loop, scene) == []


@both
def test_an_asynchronous_context_manager(loop: str) -> None:
    async def scene(_: Reports) -> None:
        async with await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
            assert server.is_serving()
        assert server.sockets == ()
        assert not server.is_serving()

    assert run(loop, scene) == []


@both
def test_connections_outlive_their_server(loop: str) -> None:
    """How long wait_closed() waits for them depends on the version of Python."""

    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0)
            early = await started(server.wait_closed())
            assert early.done() == (sys.version_info[:3] == (3, 12, 0))
            client = them.connect(addresses(server)[0])
            (protocol,) = await them.accepted()
            server.close()
            late = [await started(server.wait_closed()) for _ in range(3)]
            await turns()
            client.sendall(b"data")
            await protocol.until(lambda: protocol.data == b"data")
            assert {waiter.done() for waiter in late} == {sys.version_info < (3, 12)}
            late[0].cancel()
            client.close()
            await them.lost()
            await asyncio.wait_for(asyncio.gather(early, *late[1:]), 60)
            await server.wait_closed()

    assert run(loop, scene) == []


@pytest.mark.parametrize("loop", [*LOOPS] if sys.version_info >= (3, 13) else ["refloop"])
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_an_end_for_all_clients(loop: str, method: str) -> None:
    """close_clients() has what is queued sent; abort_clients() does not."""

    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0)
            sockets = [them.connect(addresses(server)[0]) for _ in range(3)]
            size = 30_000_000  # more than the kernel takes
            for protocol in await them.accepted(3):
                protocol.transport.write(bytes(size))
            server.close()
            getattr(server, method)()
            assert all(protocol.transport.is_closing() for protocol in them.protocols)
            if method == "close_clients":
                await turns()
                assert "connection_lost" not in them.protocols[0].names
                sent = await asyncio.gather(*[asyncio.to_thread(receive, sock, size) for sock in sockets])
                assert sent == [size] * 3
            await them.lost()
            await server.wait_closed()

    assert run(loop, scene) == []


def receive(sock: socket.socket, size: int) -> int:
    """How many bytes of so many are received."""
    got = 0
    while got < size and (data := sock.recv(1_000_000)):
        got += len(data)
    return got


def test_an_abandoned_transport_is_no_client_any_more() -> None:
    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0)
            them.connect(addresses(server)[0])
            (protocol,) = await them.accepted()
            await turns()
            protocol.transport.pause_reading()
            gone = weakref.ref(protocol.transport)
            protocol = None
            with pytest.warns(ResourceWarning, match="unclosed transport"):
                them.forget()
            assert gone() is None
            server.close()
            await asyncio.wait_for(server.wait_closed(), 60)

    assert run("refloop", scene) == []


@both
def test_a_server_that_nobody_has_serves_on(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with clients() as them:
            server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0)
            (address,) = addresses(server)
            gone = weakref.ref(server)
            del server
            gc.collect()
            them.connect(address)
            (protocol,) = await them.accepted()
            protocol.transport.abort()
            await them.lost()
            gone().close()  # type: ignore[union-attr]

    assert run(loop, scene) == []


@both
def test_a_loop_that_is_closed_before_its_server(loop: str) -> None:
    running = LOOPS[loop]()
    server = running.run_until_complete(running.create_server(asyncio.Protocol, "127.0.0.1", 0))
    running.close()
    assert len(server.sockets) == 1
    server.close()
    assert server.sockets == ()


@both
def test_contexts(loop: str) -> None:
    """Each connection has a copy of the context in which serving was started."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def scene(_: Reports) -> None:
        seen: list[str] = []

        class Noting(Clients):
            def __call__(self) -> Recorder:
                seen.append(variable.get())
                variable.set("of the connection")
                return super().__call__()

        them = Noting(connection_made=lambda _: seen.append(variable.get()))
        variable.set("of the server")
        server = await asyncio.get_running_loop().create_server(them, "127.0.0.1", 0)
        variable.set("later")
        for count in (1, 2):
            them.connect(addresses(server)[0])
            await them.accepted(count)
        assert seen == ["of the server", "of the connection"] * 2
        server.close()
        for sock in them.sockets:
            sock.close()
        await them.lost()

    assert run(loop, scene) == []


def test_wrong_arguments_of_a_listener() -> None:
    running = LOOPS["refloop"]()
    server = _core.Server()
    context = contextvars.copy_context()
    with socket.socket() as sock:
        for arguments in [
            (),
            (None, sock, None, server, context),
            (running, sock, None, None, context),
            (running, sock, None, server, None),
            (running, sock, None, server),
        ]:
            with pytest.raises(TypeError):
                _core.Listener(*arguments)
        with pytest.raises(AttributeError):
            _core.Listener(running, None, None, server, context)  # type: ignore[arg-type]
        listener = _core.Listener(running, sock, asyncio.Protocol, server, context)
        listener.stop()
        running.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            listener.start()
    with pytest.raises(ValueError, match="-1"):
        listener.start()
