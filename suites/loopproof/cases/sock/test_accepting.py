"""sock_accept(): the new socket, its address, and connections that nobody may lose."""

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.cancellation import Cancel, at_every_turn
from loopproof.authoring.links import polls
from loopproof.authoring.sockets import cancelled, ended, listening, played, playing, waiting
from loopproof.faultkit import Injector, connect, expect, fail, hold, send

FAMILIES = ["tcp", "unix"]


def listener_of(family: str, folder: Path) -> Any:
    """A listening socket of a family."""
    if family == "tcp":
        return listening(socket.AF_INET, ("127.0.0.1", 0))
    return listening(socket.AF_UNIX, str(folder / "socket"))


@requires("SOCK-SOCK_ACCEPT-01", "SOCK-SOCK_ACCEPT-02", "SOCK-SOCK_ACCEPT-04")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("waits", [False, True])
async def test_a_connection(loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str, waits: bool) -> None:
    """The new socket is connected, does not block and is not inherited, and comes with the address of the peer."""
    with listener_of(family, tmp_path) as listener:
        script = [hold(), connect(listener.getsockname()), send(b"hello"), expect(b"answer")]
        with playing(script) as peer:
            if waits:
                task = await waiting(loop.sock_accept(listener))
                peer.release()
                accepted, address = await ended(task)
            else:
                peer.release()
                await played(peer, 3)
                accepted, address = await loop.sock_accept(listener)
            with accepted:
                assert isinstance(accepted, socket.socket)
                assert accepted.family == listener.family
                assert accepted.type == socket.SOCK_STREAM
                assert accepted.gettimeout() == 0, "the new socket blocks"
                assert not os.get_blocking(accepted.fileno()), "the descriptor of the new socket blocks"
                assert not accepted.get_inheritable()
                assert address == accepted.getpeername()
                assert await loop.sock_recv(accepted, 10) == b"hello"
                await loop.sock_sendall(accepted, b"answer")
                await played(peer, 4)


@requires("SOCK-SOCK_ACCEPT-01")
@pytest.mark.parametrize("family", FAMILIES)
async def test_one_after_the_other(loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str) -> None:
    """Each call returns one connection, in the order in which they were made."""
    with listener_of(family, tmp_path) as listener:
        script: list[Any] = [hold()]
        for number in range(10):
            script += [connect(listener.getsockname()), send(b"%d" % number)]
        with playing([*script, hold()]) as peer:
            task = await waiting(loop.sock_accept(listener))
            peer.release()
            for number in range(10):
                accepted, _ = await ended(task)
                with accepted:
                    assert await loop.sock_recv(accepted, 10) == b"%d" % number
                if number < 9:
                    task = asyncio.ensure_future(loop.sock_accept(listener))


@requires("SOCK-COMMON-06")
@needs("sock")
async def test_a_connection_that_is_there_takes_no_iteration(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """A connection that is there is returned before the loop runs anything else."""
    with listener_of("unix", tmp_path) as listener, playing([connect(listener.getsockname()), hold()]) as peer:
        await played(peer, 1)
        marks: list[str] = []
        loop.call_soon(marks.append, "another callback")
        accepted, _ = await loop.sock_accept(listener)
        accepted.close()
        assert not marks, "the operation waited for another iteration"
        await asyncio.sleep(0)


@requires("SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_connection_after_a_cancel(loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str) -> None:
    """A connection that comes after the operation was cancelled is left for the next one."""
    with listener_of(family, tmp_path) as listener:
        script = [hold(), connect(listener.getsockname()), send(b"hello"), hold()]
        with playing(script) as peer:
            await cancelled(await waiting(loop.sock_accept(listener)))
            peer.release()
            await played(peer, 3)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(10) == b"hello"


@requires("SOCK-SOCK_ACCEPT-03")
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_cancel_at_every_turn(loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str) -> None:
    """Whenever it is cancelled, an operation that ends as cancelled has taken no connection."""
    with listener_of(family, tmp_path) as listener:

        async def scenario(cancel: Cancel) -> None:
            with playing([connect(listener.getsockname()), send(b"hello"), hold()]) as peer:
                task = await cancel(loop.sock_accept(listener))
                await played(peer, 2)
                accepted, _ = listener.accept() if task.cancelled() else task.result()
                with accepted:
                    accepted.setblocking(True)
                    assert accepted.recv(10) == b"hello"

        await at_every_turn(scenario)


@requires("SOCK-SOCK_ACCEPT-03")
@needs("sock")
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_cancel_in_the_turn_of_a_connection(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str
) -> None:
    """What comes in the turn in which the operation is cancelled is its result, or left to who accepts next."""
    with listener_of(family, tmp_path) as listener, socket.socket(listener.family) as ours:
        task = asyncio.ensure_future(loop.sock_accept(listener))
        await polls(3)
        ours.connect(listener.getsockname())
        ours.send(b"hello")
        loop.call_soon(task.cancel)  # by the stock loop run after it has seen the connection, and before it accepts
        await polls(3)
        accepted, _ = listener.accept() if task.cancelled() else task.result()
        with accepted:
            accepted.setblocking(True)
            assert accepted.recv(10) == b"hello"


@requires("SOCK-COMMON-03")
@needs("sock")
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_cancelled_wait_takes_no_later_connection(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, family: str
) -> None:
    """An operation that was cancelled while it waited leaves the connections that come after it alone."""
    with listener_of(family, tmp_path) as listener:
        task = asyncio.ensure_future(loop.sock_accept(listener))
        await polls(3)
        task.cancel()
        await polls(1)
        assert task.cancelled()
        with playing([connect(listener.getsockname()), send(b"hello"), hold()]) as peer:
            await played(peer, 2)
            await polls(3)
            accepted, _ = listener.accept()
            with accepted:
                accepted.setblocking(True)
                assert accepted.recv(10) == b"hello"


@requires("SOCK-COMMON-05")
@needs("sock", "injector")
@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOBUFS", "ECONNABORTED"])
def test_an_error_of_the_system_call(loop: asyncio.AbstractEventLoop, tmp_path: Path, error: str) -> None:
    """An error of accept() is raised, the connection waits, and the next operation takes it."""
    errors: list[BaseException] = []

    async def scenario() -> None:
        with listener_of("unix", tmp_path) as listener, playing([connect(listener.getsockname()), hold()]) as peer:
            await played(peer, 1)
            with raises(OSError) as caught:
                await loop.sock_accept(listener)
            errors.append(caught.value)
            accepted, _ = await ended(asyncio.ensure_future(loop.sock_accept(listener)))
            accepted.close()

    Injector([fail(("accept", "accept4"), error, count=1)]).run(loop.run_until_complete, scenario())
    assert isinstance(errors[0], OSError)
    assert errors[0].errno == getattr(errno, error)


@requires("SOCK-COMMON-05")
@needs("sock", "injector")
def test_an_error_while_it_waits(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """An error of the accept() for which the operation has waited is raised, too."""
    errors: list[OSError] = []

    async def scenario() -> None:
        with (
            listener_of("unix", tmp_path) as listener,
            playing([hold(), connect(listener.getsockname()), hold()]) as peer,
        ):
            task = await waiting(loop.sock_accept(listener))
            peer.release()
            try:
                (await ended(task))[0].close()
            except OSError as error:
                errors.append(error)

    injector = Injector([fail(("accept", "accept4"), "EMFILE", nth=2)])
    injector.run(loop.run_until_complete, scenario())
    if injector.chosen[0]:  # a loop that polls first calls accept() once
        assert [error.errno for error in errors] == [errno.EMFILE]
