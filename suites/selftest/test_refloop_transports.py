"""refloop's transports: whose descriptor, server, context and garbage they are; constructors that fail."""

import asyncio
import contextvars
import gc
import os
import socket
import sys
import warnings
import weakref
from typing import Any

import pytest
from recorders import LOOPS, Recorder, Reports, connected, run

import refloop
from loopproof import faultkit
from refloop import _core

both = pytest.mark.parametrize("loop", LOOPS)
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


@both
def test_a_watched_descriptor_cannot_be_taken_from_a_transport(loop: str) -> None:
    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        async with connected(Recorder()) as (transport, _):
            wrapper = transport.get_extra_info("socket")
            for watch in (running.add_reader, running.add_writer):
                with pytest.raises(RuntimeError, match=r"File descriptor .* is used by transport <.*SocketTransport"):
                    watch(wrapper.fileno(), print)
            for unwatch in (running.remove_reader, running.remove_writer):
                with pytest.raises(RuntimeError, match="is used by transport"):
                    unwatch(wrapper)

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("how", ["write", "read"])
def test_a_number_that_belongs_to_another_file_is_left_alone(loop: str, how: str) -> None:
    """The socket is closed behind the transport's back, and its number is given to another connection."""

    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        protocol = Recorder()
        async with connected(protocol, (ours, theirs)) as (transport, _):
            number = ours.fileno()
            if how == "read":  # the kernel has found it readable, and it is closed before that is told
                theirs.send(b"for the transport")
                asyncio.get_running_loop().call_soon(ours.close)
                await asyncio.sleep(0)
            ours.close()
            other, other_end = socket.socketpair()
            if other.fileno() != number:
                os.dup2(other.fileno(), number)
                other.detach()
                other = socket.socket(fileno=number)
            other_end.send(b"for another")
            if how == "write":
                transport.write(b"from the transport")
            await asyncio.sleep(0.01)
            assert other.recv(100) == b"for another"
            assert protocol.data == b""
            other_end.setblocking(False)
            with pytest.raises(BlockingIOError):
                other_end.recv(100)
            if how == "write":
                await protocol.until_told("connection_lost")
                assert isinstance(protocol.lost_with, OSError)
            transport.abort()
            await protocol.until_told("connection_lost")
            other_end.send(b"still open")
            assert other.recv(100) == b"still open"
            other.close()
            other_end.close()

    assert run(loop, scene) == []


@both
def test_a_transport_that_nobody_closed_warns_and_closes(loop: str) -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        transport.pause_reading()  # now nobody has it
        ref = weakref.ref(transport)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport
            gc.collect()
        assert [str(warning.message).partition(" <")[0] for warning in caught] == ["unclosed transport"]
        caught.clear()
        assert ref() is None
        assert ours.fileno() == -1
        theirs.close()

    assert run(loop, scene) == []


def test_a_transport_is_alive_as_long_as_it_reads() -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        protocol = Recorder()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
        protocol.transport = None
        theirs.send(b"there")
        await protocol.until(lambda: protocol.data)
        theirs.close()
        await protocol.until_told("connection_lost")

    assert run("refloop", scene) == []


@pytest.mark.parametrize("closing", ["not", "with data", "lost"])
@pytest.mark.parametrize("debug", [False, True])
def test_a_loop_that_is_closed_lets_go_of_its_transports(closing: str, debug: bool) -> None:
    """Also when transport, protocol and loop are garbage together."""
    before = faultkit.descriptors()
    ours, theirs = socket.socketpair()

    def leave() -> list["weakref.ref[Any]"]:
        ours.setblocking(False)
        loop = refloop.new_event_loop()
        loop.set_debug(debug)
        protocol = Recorder(of_the_loop=lambda: loop)
        transport, _ = loop.run_until_complete(loop.connect_accepted_socket(lambda: protocol, ours))
        if closing != "not":
            transport.write(b"x" * 1_000_000)
            transport.close()
            if closing == "lost":
                transport.abort()
        loop.close()
        return [weakref.ref(thing) for thing in (loop, transport, protocol)]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refs = leave()
        gc.collect()
    assert [str(warning.message).partition(" <")[0] for warning in caught] == ["unclosed transport"]
    caught.clear()
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3
    theirs.close()
    assert faultkit.descriptors() == before


class Told(_core.Server):
    """Counts how often its last transport has gone."""

    told = 0

    def _wake_up(self) -> None:
        self.told += 1


def test_a_server_knows_its_transports() -> None:
    async def scene(_: Reports) -> None:
        running: Any = asyncio.get_running_loop()
        server = Told()
        pairs = [socket.socketpair() for _ in range(3)]
        protocols = [Recorder() for _ in pairs]
        transports = []
        for (ours, _), protocol in zip(pairs, protocols, strict=True):
            ours.setblocking(False)
            transports.append(_core.SocketTransport(running, ours, protocol, None, None, server))
        assert server._transports() == transports
        for place in (1, 0, 0):  # from the middle, from the front, the last one
            assert server.told == 0
            pairs.pop(place)[1].close()
            await protocols.pop(place).until_told("connection_lost")
            del transports[place]
            assert server._transports() == transports
        assert server.told == 1

    assert run("refloop", scene) == []


def test_a_server_does_not_keep_its_transports() -> None:
    async def scene(_: Reports) -> None:
        running: Any = asyncio.get_running_loop()
        server = Told()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        waiter = running.create_future()
        transport = _core.SocketTransport(running, ours, asyncio.Protocol(), waiter, None, server)
        await waiter
        transport.pause_reading()
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            del transport
        assert server._transports() == []
        assert server.told == 1
        theirs.close()

    assert run("refloop", scene) == []


def test_extra_information_that_is_given() -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        protocol = Recorder()
        extra = {"peername": "known", "of the server": 1}
        running: Any = asyncio.get_running_loop()
        transport = _core.SocketTransport(running, ours, protocol, None, extra)
        assert transport.get_extra_info("peername") == "known"
        assert transport.get_extra_info("of the server") == 1
        assert transport.get_extra_info(name="sockname", default="nothing") == ""
        theirs.close()
        await protocol.until_told("connection_lost")
        with pytest.raises(TypeError, match="unhashable"):
            transport.get_extra_info([])  # type: ignore[arg-type]

    assert run("refloop", scene) == []


def test_all_callbacks_run_in_the_context_that_was_given() -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        seen: list[str] = []

        def look(*_: object) -> None:
            seen.append(variable.get())
            variable.set(f"call {len(seen)}")

        hooks = ("connection_made", "data_received", "pause_writing", "resume_writing", "connection_lost")
        protocol = Recorder(**dict.fromkeys(hooks, look))
        context = contextvars.Context()
        running: Any = asyncio.get_running_loop()
        transport = _core.SocketTransport(running, ours, protocol, context=context)
        theirs.send(b"x")
        await protocol.until(lambda: protocol.data)
        context.run(transport.write, b"x" * 1_000_000)
        with faultkit.Peer([faultkit.receive(1_000_000)], theirs):
            await protocol.until_told("resume_writing")
        theirs.close()
        await protocol.until_told("connection_lost")
        assert seen == ["none", "call 1", "call 2", "call 3", "call 4"]
        assert variable.get() == "none"

    assert run("refloop", scene) == []


def test_a_constructor_that_fails_leaves_the_socket_alone() -> None:
    async def scene(_: Reports) -> None:
        running: Any = asyncio.get_running_loop()
        make: Any = _core.SocketTransport
        ours, theirs = socket.socketpair()

        with pytest.raises(TypeError, match="Server"):
            make(running, ours, Recorder(), server=object())
        with pytest.raises(TypeError, match="dict"):
            make(running, ours, Recorder(), extra=[])
        server = Told()
        with pytest.raises(AttributeError, match="connection_made"):
            make(running, ours, object(), server=server)
        assert server._transports() == []
        with pytest.raises(TypeError, match="Loop"):
            make(object(), ours, Recorder())
        closed = refloop.new_event_loop()
        closed.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            make(closed, ours, Recorder())
        ours.send(b"fine")
        assert theirs.recv(10) == b"fine"
        ours.close()
        theirs.close()
        with pytest.raises((ValueError, OSError), match=r"negative|descriptor"):
            make(running, ours, Recorder())

    assert run("refloop", scene) == []


def test_the_text_of_a_transport() -> None:
    async def scene(_: Reports) -> None:
        async with connected(Recorder()) as (transport, _):
            fd = transport.get_extra_info("socket").fileno()
            assert repr(transport) == f"<SocketTransport fd={fd} read=polling write=<idle, bufsize=0>>"
            transport.write(bytes(1_000_000))
            size = transport.get_write_buffer_size()
            assert repr(transport) == f"<SocketTransport fd={fd} read=polling write=<polling, bufsize={size}>>"
            transport.close()
            assert repr(transport) == f"<SocketTransport closing fd={fd} read=idle write=<polling, bufsize={size}>>"
        assert repr(transport) == f"<SocketTransport closed fd={fd}>"

    assert run("refloop", scene) == []


def test_nothing_is_left_of_many_connections() -> None:
    """References of what connections share are as many as before."""

    async def scene(_: Reports) -> None:
        running = asyncio.get_running_loop()
        protocol = Recorder()

        async def connect() -> None:
            async with connected(protocol) as (transport, theirs):
                theirs.send(b"data")
                transport.write(b"x" * 400_000)
                transport.writelines([b"data", bytearray(10)])
                await protocol.until(lambda: protocol.data)
            protocol.events.clear()
            protocol.data.clear()
            protocol.transport = None

        shared = (running, protocol, asyncio.Transport, _core.SocketTransport, None, b"data")
        for _ in range(3):
            await connect()
        before = [sys.getrefcount(thing) for thing in shared]
        for _ in range(50):
            await connect()
        after = [sys.getrefcount(thing) for thing in shared]
        assert all(abs(now - then) < 10 for now, then in zip(after, before, strict=True)), (before, after)

    assert run("refloop", scene) == []
