"""Manners of peers as loops see them: each arrives, in asyncio and uvloop alike."""

import asyncio
import importlib
from collections.abc import Coroutine
from typing import Any

import pytest

from loopproof import faultkit

Event = tuple[str, object]


class Recorder(asyncio.Protocol, asyncio.DatagramProtocol):
    """Notes what the loop calls."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.events.put_nowait(("eof", bytes(self.received)))
        return True

    def pause_writing(self) -> None:
        self.events.put_nowait(("pause", None))

    def resume_writing(self) -> None:
        self.events.put_nowait(("resume", None))

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.events.put_nowait(("datagram", data))

    def error_received(self, exc: Exception) -> None:
        self.events.put_nowait(("error", type(exc)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.put_nowait(("lost", exc and type(exc)))


@pytest.fixture(params=["asyncio:SelectorEventLoop", "uvloop:new_event_loop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Return what runs a coroutine on one of the loops."""
    module, _, factory = request.param.partition(":")
    pytest.importorskip(module)

    def run(main: Coroutine[Any, Any, None]) -> None:
        loop = getattr(importlib.import_module(module), factory)()
        try:
            loop.run_until_complete(asyncio.wait_for(main, 60))
        finally:
            loop.close()

    return run


async def connected(peer: faultkit.Peer) -> Recorder:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(Recorder, *peer.address)
    return protocol


def test_a_reset_is_an_error(run: Any) -> None:
    async def main() -> None:
        with faultkit.Peer([faultkit.accept(), faultkit.expect(b"x"), faultkit.reset()], listen="tcp") as peer:
            protocol = await connected(peer)
            protocol.transport.write(b"x")
            assert await protocol.events.get() == ("lost", ConnectionResetError)

    run(main())


def test_the_end_after_pieces_of_a_pattern(run: Any) -> None:
    async def main() -> None:
        script = [faultkit.accept(), faultkit.send_pattern(7, 200_000, chunks=(1, 1460, 7))]
        script += [faultkit.shutdown(), faultkit.expect(b"late"), faultkit.expect_eof()]
        with faultkit.Peer(script, listen="tcp") as peer:
            protocol = await connected(peer)
            kind, data = await protocol.events.get()
            assert kind == "eof"
            assert faultkit.verify_pattern(data, 7) is None
            assert len(data) == 200_000
            protocol.transport.write(b"late")
            protocol.transport.close()
            assert await protocol.events.get() == ("lost", None)

    run(main())


def test_a_reader_that_stalls_pauses_writing_until_it_drains(run: Any) -> None:
    async def main() -> None:
        data = faultkit.pattern(3, 20_000_000)
        script = [faultkit.accept(), faultkit.hold(), faultkit.expect_pattern(3, len(data)), faultkit.expect_eof()]
        with faultkit.Peer(script, listen="tcp", receive_buffer=4096, deadline=60) as peer:
            protocol = await connected(peer)
            protocol.transport.write(data)
            assert await protocol.events.get() == ("pause", None)
            assert protocol.events.empty()
            peer.release()
            assert await protocol.events.get() == ("resume", None)
            protocol.transport.close()
            assert await protocol.events.get() == ("lost", None)

    run(main())


def test_many_clients_of_a_server(run: Any) -> None:
    lost: list[Exception | None] = []

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.append(exc)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=200)
        address = server.sockets[0].getsockname()
        script = [
            faultkit.connect(address, count=100),
            faultkit.send_pattern(1, 10_000),
            faultkit.expect_pattern(1, 10_000),
            faultkit.use(50, 50),
            faultkit.reset(),
            faultkit.use(0, 50),
            faultkit.shutdown(),
            faultkit.expect_eof(),
        ]
        peer = faultkit.Peer(script, deadline=60)
        while not peer.ended or len(lost) < 100:
            await asyncio.sleep(0.001)
        peer.verify()
        assert sum(isinstance(exc, ConnectionResetError) for exc in lost) == 50
        server.close()
        await server.wait_closed()

    run(main())


def test_datagrams_and_port_unreachable(run: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        script = [faultkit.expect(b"ask"), faultkit.send(b""), faultkit.send_pattern(1, 65_507), faultkit.close()]
        peer = faultkit.Peer(script, bind="udp")
        transport, protocol = await loop.create_datagram_endpoint(Recorder, remote_addr=peer.address)
        transport.sendto(b"ask")
        assert await protocol.events.get() == ("datagram", b"")
        assert await protocol.events.get() == ("datagram", faultkit.pattern(1, 65_507))
        peer.verify()
        transport.sendto(b"x")
        assert await protocol.events.get() == ("error", ConnectionRefusedError)
        transport.close()
        assert await protocol.events.get() == ("lost", None)

    run(main())
