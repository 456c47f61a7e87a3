"""Errors of accept(): no descriptors left, connections that were aborted; and the server goes on."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loopproof.authoring import needs, requires, until
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import polls
from loopproof.authoring.serving import listening
from loopproof.faultkit import Call, Injector, fail

ACCEPT = ("accept", "accept4")
EXHAUSTED = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
CONCERNS_ONE = ["ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EHOSTUNREACH", "ETIMEDOUT"]


class Scene:
    """A server on a loop in a thread of its own, in which accept() fails by rules, and clients that have connected."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop], rules: list[Any], clients: int = 1) -> None:
        self.injector = Injector(rules)
        self.reports: list[dict[str, Any]] = []
        self.made: list[RecordingProtocol] = []
        self._new_loop = new_loop
        self._clients = clients

    def play(self, act: Callable[["Scene", Any], Awaitable[None]]) -> None:
        """Serve clients that wait already, and run ``act(scene, server)`` in the loop; then all is closed."""
        with listening() as listener:
            clients = [socket.create_connection(listener.getsockname()) for _ in range(self._clients)]
            try:
                self.injector.run(self._serve, socket.socket(fileno=socket.dup(listener.fileno())), act)
            finally:
                for client in clients:
                    client.close()

    def _serve(self, listener: socket.socket, act: Callable[["Scene", Any], Awaitable[None]]) -> None:
        loop = self._new_loop()
        loop.set_exception_handler(lambda *given: self.reports.append(given[-1]))
        loop.run_until_complete(self._run(loop, listener, act))
        loop.close()

    async def _run(self, loop: Any, listener: socket.socket, act: Callable[["Scene", Any], Awaitable[None]]) -> None:
        server = await loop.create_server(self._make, sock=listener)
        try:
            await act(self, server)
        finally:
            server.close()
            for protocol in self.made:
                if protocol.transport is not None:
                    protocol.transport.abort()
                    await until(protocol.closed.is_set, "connection_lost() after abort()")
                    protocol.history.check()

    def _make(self) -> RecordingProtocol:
        self.made.append(RecordingProtocol())
        return self.made[-1]

    async def served(self, clients: int) -> None:
        """Let the loop run until so many clients are served."""
        await until(lambda: sum(p.transport is not None for p in self.made) >= clients, f"connection {clients}")

    @property
    def failed(self) -> list[Call]:
        """The calls that were made to fail."""
        return [call for call in self.injector.trace if call.action == "fail"]


def errors(scene: Scene) -> list[Any]:
    """Return the errno of each error that was reported."""
    return [getattr(report.get("exception"), "errno", report) for report in scene.reports]


@requires("SERV-CREATE_SERVER-34")
@needs("servers", "injector")
@pytest.mark.parametrize("error", EXHAUSTED)
def test_running_out_of_descriptors_is_reported(new_loop: Any, error: str) -> None:
    """When accept() runs out of resources the exception handler is told the OSError, and of which socket."""

    async def act(scene: Scene, server: Any) -> None:
        await until(lambda: scene.reports, f"the report of {error}")
        assert set(errors(scene)) == {getattr(errno, error)}
        assert isinstance(scene.reports[0].get("message"), str)
        assert scene.reports[0]["socket"].fileno() == server.sockets[0].fileno()
        assert server.is_serving()

    Scene(new_loop, [fail(ACCEPT, error)]).play(act)


@requires("SERV-CREATE_SERVER-34")
@needs("servers", "injector")
def test_accepting_resumes_after_a_pause(new_loop: Any) -> None:
    """Accepting pauses when descriptors run out, without spinning, and the clients that wait are served after that."""

    async def act(scene: Scene, server: Any) -> None:
        await until(lambda: scene.failed, "a call of accept()")
        await polls(5)
        burst = len(scene.failed)
        await asyncio.sleep(0.3)
        assert len(scene.failed) == burst, f"accept() was called {len(scene.failed) - burst} times in 0.3 s"
        scene.injector.close()
        await scene.served(3)

    Scene(new_loop, [fail(ACCEPT, "EMFILE")], clients=3).play(act)


@requires("SERV-CREATE_SERVER-38")
@needs("servers", "injector")
def test_running_out_of_descriptors_is_reported_once(new_loop: Any) -> None:
    """One report tells that descriptors have run out, not one for each place in the backlog."""

    async def act(scene: Scene, server: Any) -> None:
        await until(lambda: scene.failed, "a call of accept()")
        await polls(5)
        assert len(scene.reports) <= 1, f"{len(scene.reports)} reports of the same thing"
        assert len(scene.failed) == 1, f"accept() was called {len(scene.failed)} times at once"

    Scene(new_loop, [fail(ACCEPT, "EMFILE")]).play(act)


@requires("SERV-CREATE_SERVER-39")
@needs("servers", "injector")
def test_close_while_accepting_is_suspended(new_loop: Any) -> None:
    """A server that is closed while accepting is suspended stays closed, and nothing more is reported."""

    async def act(scene: Scene, server: Any) -> None:
        await until(lambda: scene.failed, "a call of accept()")
        await polls(5)
        server.close()
        before = len(scene.reports)
        await asyncio.sleep(1.2)
        assert scene.reports[before:] == [], "something was reported about a server that is closed"
        assert not server.is_serving()

    Scene(new_loop, [fail(ACCEPT, "EMFILE")]).play(act)


@requires("SERV-CREATE_SERVER-34")
@needs("servers", "injector")
def test_other_connections_go_on_while_accepting_is_suspended(new_loop: Any) -> None:
    """Connections that were accepted before descriptors ran out, and timers, go on."""

    async def act(scene: Scene, server: Any) -> None:
        await scene.served(1)
        with socket.create_connection(server.sockets[0].getsockname()):
            await until(lambda: scene.failed, "a call of accept() that fails")
            (protocol,) = scene.made
            protocol.transport.write(b"x")
            protocol.transport.close()
            await until(protocol.closed.is_set, "connection_lost()")

    Scene(new_loop, [fail(ACCEPT, "EMFILE", nth=2, count=1000)]).play(act)


@requires("SERV-CREATE_SERVER-35", "SERV-CREATE_SERVER-37")
@needs("servers", "injector")
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_connections_that_were_aborted(new_loop: Any, nth: int) -> None:
    """ECONNABORTED for one connection is not reported, and those that wait behind it are served."""

    async def act(scene: Scene, server: Any) -> None:
        await scene.served(3)
        assert scene.reports == []
        assert len(scene.failed) == 1

    Scene(new_loop, [fail(ACCEPT, "ECONNABORTED", nth=nth)], clients=3).play(act)


@requires("SERV-CREATE_SERVER-37")
@needs("servers", "injector")
@pytest.mark.parametrize("error", [*CONCERNS_ONE, "EINTR", "EAGAIN"])
def test_errors_that_pass(new_loop: Any, error: str) -> None:
    """An error of accept() that concerns one connection, or passes, does not end the server."""

    async def act(scene: Scene, server: Any) -> None:
        await scene.served(2)
        assert server.is_serving()
        if error in ("EINTR", "EAGAIN", "ECONNABORTED"):
            assert scene.reports == []

    Scene(new_loop, [fail(ACCEPT, error, nth=1)], clients=2).play(act)
