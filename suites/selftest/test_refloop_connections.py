"""refloop's connections: addresses that are tried, what they leave behind; stock asyncio beside it."""

import asyncio
import contextlib
import contextvars
import gc
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from recorders import LOOPS, Recorder, Reports, connected, run, tcp_pair
from socket_scenarios import outcome

from loopproof import faultkit

both = pytest.mark.parametrize("loop", LOOPS)

Info = tuple[Any, ...]


@contextlib.contextmanager
def listener(family: int = socket.AF_INET, host: str = "127.0.0.1", backlog: int = 5) -> Iterator[socket.socket]:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        sock.listen(backlog)
        yield sock


@contextlib.contextmanager
def refusing(host: str = "127.0.0.1") -> Iterator[tuple[Any, ...]]:
    """An address that nobody listens at, and nobody else can take meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()


@contextlib.contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """An address that does not answer: all places of the server's queue are taken."""
    with listener(backlog=0) as server, contextlib.ExitStack() as clients:
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()


def names_for(*addresses: tuple[Any, ...]) -> list[Info]:
    """What a look-up answers that finds these addresses."""
    kinds = [socket.AF_INET6 if ":" in address[0] else socket.AF_INET for address in addresses]
    return [(kind, socket.SOCK_STREAM, 6, "", address) for kind, address in zip(kinds, addresses, strict=True)]


def answering(*addresses: tuple[Any, ...]) -> Any:
    """Has the running loop find these addresses for every name."""
    lookup = mock.AsyncMock(return_value=names_for(*addresses))
    return mock.patch.object(asyncio.get_running_loop(), "getaddrinfo", lookup, create=True)


async def ended(transport: Any) -> None:
    """Close a transport, and wait until its socket is closed, too."""
    transport.close()
    while transport.get_extra_info("socket").fileno() != -1:
        await asyncio.sleep(0)


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """No descriptor is left open, and none has to be closed by the collector of garbage."""
    before = faultkit.descriptors()
    yield
    assert faultkit.descriptors() == before


@both
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection(loop: str, host: str) -> None:
    async def scene(_: Reports) -> None:
        script = [faultkit.accept(), faultkit.expect(b"ping"), faultkit.send(b"pong"), faultkit.shutdown()]
        with listener(socket.AF_INET6 if ":" in host else socket.AF_INET, host) as server:
            address = server.getsockname()
            peer = faultkit.Peer(script, server)
            made: list[Recorder] = []
            transport, protocol = await asyncio.get_running_loop().create_connection(
                lambda: made.append(Recorder()) or made[-1], *address[:2]
            )
            assert protocol is made[0]
            assert len(made) == 1
            assert protocol.names == ["connection_made"]
            assert transport.get_extra_info("peername") == address
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.gettimeout() == 0
            transport.write(b"ping")
            await protocol.until_told("connection_lost")
            assert protocol.data == b"pong"
            peer.join(60)
            peer.verify()

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("port", [str, lambda port: str(port).encode(), int], ids=["text", "bytes", "number"])
@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1"])
def test_numbers_are_not_looked_up(loop: str, host: Any, port: Callable[[int], Any]) -> None:
    async def scene(_: Reports) -> None:
        with listener() as server, mock.patch("socket.getaddrinfo", side_effect=LookupError):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, host, port(server.getsockname()[1]), local_addr=("127.0.0.1", 0)
            )
            await ended(transport)

    assert run(loop, scene) == []


@both
def test_names_are_looked_up(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with listener() as server, answering(server.getsockname()) as lookup:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, "name", "service", family=socket.AF_INET, proto=6, flags=socket.AI_ADDRCONFIG
            )
            await ended(transport)
        options = {"family": socket.AF_INET, "type": socket.SOCK_STREAM, "proto": 6, "flags": socket.AI_ADDRCONFIG}
        assert lookup.mock_calls == [mock.call("name", "service", **options)]

    assert run(loop, scene) == []


@both
def test_a_look_up_that_finds_nothing(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with answering(), pytest.raises(OSError, match=r"^getaddrinfo\(\) returned empty list$"):
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, "name", 1)

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize("delay", [None, 3600])
def test_the_next_address_after_a_failure(loop: str, delay: float | None) -> None:
    async def scene(_: Reports) -> None:
        with nothing_left(), refusing() as bad, listener() as good, answering(bad, good.getsockname()):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, "name", 1, happy_eyeballs_delay=delay
            )
            assert transport.get_extra_info("peername") == good.getsockname()
            await ended(transport)

    assert run(loop, scene) == []


@both
@pytest.mark.parametrize(
    "options", [{}, {"happy_eyeballs_delay": 3600}, {"interleave": 1}, {"interleave": 2}, {"interleave": 3}]
)
def test_all_addresses_fail(loop: str, options: dict[str, Any]) -> None:
    """The message names them in the order in which they were tried."""

    async def scene(_: Reports) -> None:
        with contextlib.ExitStack() as stack:
            hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", "::1"]
            one, two, three, four, five = (stack.enter_context(refusing(host)) for host in hosts)
            interleaved = [one, four, two, five, three]
            order = {1: interleaved, 2: [one, two, four, three, five], 3: [one, two, three, four, five]}
            with nothing_left(), answering(one, two, three, four, five), pytest.raises(OSError) as caught:  # noqa: PT011
                await asyncio.get_running_loop().create_connection(asyncio.Protocol, "name", 1, **options)
            first = options.get("interleave", 1 if options else 3)
            texts = [f"[Errno 111] Connect call failed {address}" for address in order[first]]
            assert str(caught.value) == f"Multiple exceptions: {', '.join(texts)}"

    assert run(loop, scene) == []


@both
def test_equal_errors_are_one(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with refusing() as bad, answering(bad, bad), pytest.raises(ConnectionRefusedError) as caught:
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, "name", 1)
        assert str(caught.value) == f"[Errno 111] Connect call failed {bad}"

    assert run(loop, scene) == []


@pytest.mark.parametrize("loop", [*LOOPS] if sys.version_info >= (3, 12) else ["refloop"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_group_of_all_errors(loop: str, count: int) -> None:
    async def scene(_: Reports) -> None:
        with refusing() as bad, answering(*[bad] * count), pytest.raises(ExceptionGroup) as caught:
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, "name", 1, all_errors=True)
        assert caught.value.message == "create_connection failed"
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * count

    assert run(loop, scene) == []


@pytest.mark.parametrize("delay", [None, 0])
def test_a_failure_keeps_nothing_alive(delay: float | None) -> None:
    class Factory:
        def __call__(self) -> asyncio.Protocol:
            raise AssertionError("there is no connection")

    async def attempt() -> weakref.ref[Factory]:
        factory = Factory()
        with refusing() as bad, answering(bad, bad), pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().create_connection(factory, "name", 1, happy_eyeballs_delay=delay)
        return weakref.ref(factory)

    async def scene(_: Reports) -> None:
        gc.collect()
        gc.disable()
        try:
            it = await attempt()
            assert it() is None
        finally:
            gc.enable()

    assert run("refloop", scene) == []


@both
@pytest.mark.parametrize("delay", [0, 0.01])
def test_the_next_address_beside_one_that_does_not_answer(loop: str, delay: float) -> None:
    async def scene(_: Reports) -> None:
        with nothing_left(), silent() as slow, listener() as good, answering(slow, slow, good.getsockname()):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, "name", 1, happy_eyeballs_delay=delay
            )
            assert transport.get_extra_info("peername") == good.getsockname()
            await ended(transport)
            assert len(asyncio.all_tasks()) == 1

    assert run(loop, scene) == []


def test_of_two_winners_one_is_closed() -> None:
    async def scene(_: Reports) -> None:
        with nothing_left(), listener() as first, listener() as second:
            addresses = first.getsockname(), second.getsockname()
            with answering(*addresses):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    asyncio.Protocol, "name", 1, happy_eyeballs_delay=0
                )
                assert transport.get_extra_info("peername") in addresses
                await ended(transport)

    assert run("refloop", scene) == []


@pytest.mark.parametrize("delay", [None, 0, 3600])
def test_an_error_that_is_not_of_the_system_ends_the_attempts(delay: float | None) -> None:
    async def scene(_: Reports) -> None:
        loop = asyncio.get_running_loop()
        with nothing_left(), listener() as good, answering(("127.0.0.1", 65536), good.getsockname()):
            connecting = loop.create_connection(asyncio.Protocol, "name", 1, happy_eyeballs_delay=delay)
            with pytest.raises(OverflowError):
                await connecting

    assert run("refloop", scene) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no eager tasks")
def test_attempts_that_are_eager_tasks() -> None:
    async def scene(_: Reports) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        with nothing_left(), refusing() as bad, silent() as slow, listener() as good:
            with answering(bad, slow, good.getsockname()):
                transport, _ = await loop.create_connection(asyncio.Protocol, "name", 1, happy_eyeballs_delay=0.01)
            await ended(transport)

    assert run("refloop", scene) == []


@pytest.mark.parametrize(
    ("loop", "options"), [("asyncio", {}), ("refloop", {}), ("refloop", {"happy_eyeballs_delay": 0.001})]
)
@pytest.mark.parametrize("answers", [True, False])
def test_cancelled_at_every_point(loop: str, options: dict[str, Any], answers: bool) -> None:
    """In each turn from the first one on, until the connection is made or waits for its answer. (Some versions of
    asyncio lose a socket in between with happy eyeballs.)
    """

    async def attempt(turns: int, address: tuple[str, int]) -> bool:
        protocols: list[Recorder] = []
        connecting = asyncio.get_running_loop().create_connection(
            lambda: protocols.append(Recorder()) or protocols[-1], *address, **options
        )
        task = asyncio.ensure_future(connecting)
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.cancel():
            await ended(task.result()[0])
            return True
        with pytest.raises(asyncio.CancelledError):
            await task
        for protocol in protocols:
            if protocol.transport is not None:
                await protocol.until_told("connection_lost")
        for _ in range(5):
            await asyncio.sleep(0)
        return False

    async def scene(_: Reports) -> None:
        with contextlib.ExitStack() as stack:
            address = stack.enter_context(listener()).getsockname() if answers else stack.enter_context(silent())
            for turns in range(20):
                with nothing_left():
                    if await attempt(turns, address):
                        break
            else:
                assert not answers

    assert run(loop, scene) == []


@both
def test_a_local_address(loop: str) -> None:
    async def scene(_: Reports) -> None:
        with listener() as server:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, *server.getsockname(), local_addr=("127.0.0.3", 0)
            )
            assert transport.get_extra_info("sockname")[0] == "127.0.0.3"
            await ended(transport)

    assert run(loop, scene) == []


@pytest.mark.parametrize("local", ["in use", "::1"])
def test_a_local_address_that_cannot_be_had(local: str) -> None:
    """Refused with the same words as by asyncio."""
    outcomes: list[tuple[Any, ...]] = []

    async def scene(_: Reports) -> None:
        loop = asyncio.get_running_loop()
        with nothing_left(), listener() as server:
            found = [names_for(server.getsockname()), names_for(taken if local == "in use" else (local, 0))]
            with mock.patch.object(loop, "getaddrinfo", mock.AsyncMock(side_effect=found)):
                outcomes.append(await outcome(loop.create_connection(asyncio.Protocol, "a", 1, local_addr=("b", 1))))

    with refusing() as taken:
        for loop in LOOPS:
            assert run(loop, scene) == []
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] is OSError


@both
def test_a_factory_that_raises(loop: str) -> None:
    async def scene(_: Reports) -> None:
        def factory() -> asyncio.Protocol:
            raise LookupError("no protocol")

        with listener() as server, nothing_left() if loop == "refloop" else contextlib.nullcontext():
            with pytest.raises(LookupError):
                await asyncio.get_running_loop().create_connection(factory, *server.getsockname())
            with contextlib.closing(server.accept()[0]) as accepted:
                assert loop != "refloop" or accepted.recv(1) == b""

    with (
        pytest.warns(ResourceWarning) if loop == "asyncio" and sys.version_info < (3, 14) else contextlib.nullcontext()
    ):
        assert run(loop, scene) == []


@pytest.mark.parametrize("method", ["create_connection", "connect_accepted_socket"])
def test_whose_a_socket_without_a_transport_is(method: str) -> None:
    """Of its caller, before Python 3.14."""

    async def scene(_: Reports) -> None:
        def factory() -> asyncio.Protocol:
            raise LookupError("no protocol")

        ours, theirs = socket.socketpair()
        with ours, theirs:
            with pytest.raises(LookupError):
                await getattr(asyncio.get_running_loop(), method)(factory, sock=ours)
            assert (ours.fileno() == -1) == (sys.version_info >= (3, 14))

    assert run("refloop", scene) == []


@both
def test_connection_made_that_raises(loop: str) -> None:
    async def scene(reports: Reports) -> None:
        def fail(_: Recorder) -> None:
            raise LookupError("from connection_made")

        with listener() as server:
            transport, protocol = await asyncio.get_running_loop().create_connection(
                lambda: Recorder(connection_made=fail), *server.getsockname()
            )
            accepted, _ = server.accept()
            with accepted:
                accepted.send(b"still open")
                await protocol.until(lambda: protocol.data == b"still open")
            await ended(transport)

    reports = run(loop, scene)
    assert [type(report["exception"]) for report in reports] == [LookupError]


@both
@pytest.mark.parametrize("method", ["create_connection", "connect_accepted_socket"])
@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair])
def test_a_blocking_socket(loop: str, method: str, pair: Callable[[], Any]) -> None:
    async def scene(_: Reports) -> None:
        ours, theirs = pair()
        with theirs:
            transport, protocol = await getattr(asyncio.get_running_loop(), method)(Recorder, sock=ours)
            assert ours.gettimeout() == 0
            theirs.send(b"data")
            await protocol.until(lambda: protocol.data == b"data")
            await ended(transport)
            assert ours.fileno() == -1

    assert run(loop, scene) == []


@both
def test_contexts(loop: str) -> None:
    """Factory and callbacks have the context of the task; since Python 3.15 the callbacks share one."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def scene(_: Reports) -> None:
        seen: list[str] = []

        def factory() -> Recorder:
            seen.append(variable.get())
            return Recorder(
                connection_made=lambda _: seen.append(variable.get()),
                connection_lost=lambda *_: seen.append(variable.get()),
            )

        variable.set("of the task")
        with listener() as server:
            transport, _ = await asyncio.get_running_loop().create_connection(factory, *server.getsockname())
            await ended(transport)
        assert seen == ["of the task"] * 3

    assert run(loop, scene) == []


@both
def test_debug_mode_tells_of_connections(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: Reports) -> None:
        with listener() as server:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *server.getsockname())
            await ended(transport)
        async with connected(asyncio.Protocol()):
            pass

    caplog.set_level("DEBUG", "asyncio")
    assert run(loop, scene, debug=True) == []
    texts = [record.getMessage() for record in caplog.records]
    assert any(" connected to 127.0.0.1:" in text for text in texts)
    assert any(" handled: (<" in text for text in texts)
