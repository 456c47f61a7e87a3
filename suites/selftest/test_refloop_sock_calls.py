"""refloop's operations on sockets as coroutines: how they are called, driven and refused."""

import array
import asyncio
import collections.abc
import inspect
import io
import socket
import ssl
import sys
from typing import Any
from unittest import mock

import pytest
from socket_scenarios import HANGS, Loop, as_asyncio, client, outcome, pair, run, started, watched_descriptors


def test_a_call_is_a_coroutine() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            call = loop.sock_recv(ours, 1)
            assert asyncio.iscoroutine(call)
            assert isinstance(call, collections.abc.Coroutine)
            assert inspect.isawaitable(call)
            assert call.__name__ == "sock_recv"
            assert call.__qualname__ == "Loop.sock_recv"
            assert "Loop.sock_recv" in repr(call)
            call.close()

    run(scenario)


def test_one_that_is_never_awaited_is_warned_of() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            with pytest.warns(RuntimeWarning, match=r"'Loop.sock_sendall' was never awaited"):
                loop.sock_sendall(ours, b"not sent")
            await loop.sock_sendall(ours, b"sent")
            assert theirs.recv(100) == b"sent"

    run(scenario)


def test_one_that_can_finish_at_once_does() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            theirs.send(b"ab")
            for call, result in [
                (loop.sock_sendall(ours, b"data"), None),
                (loop.sock_recv(ours, 1), b"a"),
                (loop.sock_recv_into(ours, bytearray(1)), 1),
            ]:
                with pytest.raises(StopIteration) as stop:
                    call.send(None)
                assert stop.value.value == result

    run(scenario)


def test_one_that_is_over_cannot_be_used_again() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            sent = loop.sock_sendall(ours, b"data")
            await sent
            closed = loop.sock_recv(ours, 1)
            closed.close()
            closed.close()
            for call in (sent, closed):
                with pytest.raises(RuntimeError, match="already awaited"):
                    await call
                with pytest.raises(RuntimeError, match="already awaited"):
                    call.throw(ValueError)

    run(scenario)


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    ("thrown", "raised"),
    [
        ((KeyError("a"),), KeyError),
        ((KeyError,), KeyError),
        ((KeyError, "a"), KeyError),
        ((KeyError, KeyError("a"), None), KeyError),
        ((KeyError("a"), KeyError("b")), TypeError),
        ((7,), TypeError),
        ((KeyError, None, 7), TypeError),
        ((), TypeError),
        ((KeyError, None, None, None), TypeError),
    ],
)
def test_what_is_thrown_in_is_raised(thrown: tuple[Any, ...], raised: type[Exception], waiting: bool) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            call: Any = loop.sock_recv(ours, 1)
            if waiting:
                assert asyncio.isfuture(call.send(None))
            with pytest.raises(raised):
                call.throw(*thrown)
            call.close()
            assert ours.fileno() not in watched_descriptors()

    run(scenario)


def test_tasks_of_all_kinds_take_it() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            theirs.send(b"abcd")
            assert await asyncio.create_task(loop.sock_recv(ours, 1), name="named") == b"a"
            assert await asyncio.gather(loop.sock_recv(ours, 1)) == [b"b"]
            assert await asyncio.wait_for(loop.sock_recv(ours, 1), HANGS) == b"c"
            async with asyncio.TaskGroup() as group:
                task = group.create_task(loop.sock_recv(ours, 1))
            assert await task == b"d"
            if sys.version_info >= (3, 12):
                eager = asyncio.eager_task_factory(loop, loop.sock_recv(ours, 1))
                theirs.send(b"e")
                assert await eager == b"e"

    run(scenario)


def test_a_task_of_it_can_be_looked_at() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            task = await started(loop.sock_recv(ours, 1))
            assert "coro=<Loop.sock_recv()" in repr(task)
            assert task.get_stack() == []
            task.print_stack(file=io.StringIO())
            task.cancel()
            await asyncio.wait([task])

    run(scenario)
    run(scenario, debug=True)


def test_the_future_that_it_waits_for_may_be_resumed_by_hand() -> None:
    """Who drives the coroutine need not wait: the call is made again, and waits again."""

    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            for call in (loop.sock_recv(ours, 1), loop.sock_recv(ours, 1)):
                first, second = call.send(None), call.send(None)
                assert asyncio.isfuture(second)
                assert first is not second
                theirs.send(b"x")
                await asyncio.wait([second])
                with pytest.raises(StopIteration) as stop:
                    call.send(None)
                assert stop.value.value == b"x"

    run(scenario)


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("sock_recv", ()),
        ("sock_recv", (1, 2)),
        ("sock_sendto", (1,)),
        ("sock_accept", (1,)),
        ("sock_recvfrom_into", ()),
    ],
)
def test_a_wrong_number_of_arguments(method: str, args: tuple[int, ...]) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _), pytest.raises(TypeError, match=method):
            getattr(loop, method)(ours, *args)

    run(scenario)


def test_arguments_by_name() -> None:
    async def scenario(loop: Loop) -> None:
        with pair(socket.SOCK_DGRAM) as (ours, theirs):
            theirs.send(b"abc")
            theirs.send(b"def")
            assert await loop.sock_recv(sock=ours, nbytes=2) == b"ab"
            buffer = bytearray(3)
            assert (await loop.sock_recvfrom_into(ours, nbytes=2, buf=buffer))[0] == 2
            assert buffer == b"de\0"
            with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
                loop.sock_recv(ours, size=2)  # type: ignore[call-arg]

    run(scenario)


WRONG: list[tuple[str, tuple[Any, ...]]] = [
    ("sock_recv", (-1,)),
    ("sock_recv", (1 << 70,)),
    ("sock_recv", ("1",)),
    ("sock_recv", (1.0,)),
    ("sock_recv_into", (b"read only",)),
    ("sock_recv_into", ("text",)),
    ("sock_recv_into", (memoryview(bytearray(4))[::2],)),
    ("sock_recvfrom", (-1,)),
    ("sock_recvfrom_into", (bytearray(1), 2)),
    ("sock_recvfrom_into", (bytearray(1), -1)),
    ("sock_sendall", ("text",)),
    ("sock_sendall", (None,)),
    ("sock_sendall", (memoryview(b"abcd")[::2],)),
    ("sock_sendto", ("text", ("127.0.0.1", 1))),
    ("sock_sendto", (b"data", 7)),
    ("sock_connect", (7,)),
    ("sock_connect", (("127.0.0.1",),)),
    ("sock_connect", (("127.0.0.1", "http!"),)),
    ("sock_connect", (("::1", 80),)),
]


@pytest.mark.parametrize(("method", "args"), WRONG)
def test_wrong_arguments_are_refused_as_by_asyncio(method: str, args: tuple[Any, ...]) -> None:
    async def scenario(loop: Loop) -> Any:
        with client() as ours:
            return await outcome(getattr(loop, method)(ours, *args))

    assert as_asyncio(scenario)[0] == "raised"


@pytest.mark.parametrize("method", ["sock_recv", "sock_sendall", "sock_sendto", "sock_connect", "sock_accept"])
def test_a_closed_socket_is_refused_as_by_asyncio(method: str) -> None:
    args: dict[str, tuple[Any, ...]] = {
        "sock_recv": (1,),
        "sock_sendall": (b"data",),
        "sock_sendto": (b"data", ("127.0.0.1", 1)),
        "sock_connect": (("127.0.0.1", 1),),
        "sock_accept": (),
    }

    async def scenario(loop: Loop) -> Any:
        ours = client()
        ours.close()
        return await outcome(getattr(loop, method)(ours, *args[method]))

    assert as_asyncio(scenario)[:2] == ("raised", OSError)


@pytest.mark.parametrize("debug", [False, True])
def test_sockets_of_tls_are_refused(debug: bool) -> None:
    async def scenario(loop: Loop) -> None:
        context = ssl.create_default_context()
        with pair() as (ours, _):
            wrapped = context.wrap_socket(ours, do_handshake_on_connect=False, server_hostname="name")
            with wrapped:
                for call in (
                    loop.sock_recv(wrapped, 1),
                    loop.sock_sendall(wrapped, b""),
                    loop.sock_accept(wrapped),
                    loop.sock_connect(wrapped, ("127.0.0.1", 1)),
                ):
                    with pytest.raises(TypeError, match="SSLSocket"):
                        await call

    run(scenario, debug=debug)


def test_debug_mode_refuses_sockets_that_block() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (_, theirs):
            theirs.send(b"data")
            for call in (loop.sock_recv(theirs, 1), loop.sock_sendall(theirs, b""), loop.sock_accept(theirs)):
                with pytest.raises(ValueError, match="non-blocking"):
                    await call

    run(scenario, debug=True)


def test_other_sockets_that_block_do_not_block_the_loop() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            receiving = await started(loop.sock_recv(theirs, 100))
            await loop.sock_sendall(ours, b"data")
            assert await receiving == b"data"
            size = 4_000_000
            sending = await started(loop.sock_sendall(theirs, bytes(size)))
            received = 0
            while received < size:
                received += len(await loop.sock_recv(ours, 65_536))
            await sending

    run(scenario)


class Odd(socket.socket):
    """Has methods of its own: never sends more than two bytes, and is busy each second time."""

    calls = 0

    def send(self, data: Any, *args: Any) -> int:
        self.calls += 1
        if self.calls % 2:
            raise BlockingIOError
        return super().send(memoryview(data).cast("B")[:2], *args)

    def recv(self, size: int, *args: Any) -> bytes:
        return super().recv(size, *args).upper()

    def recv_into(self, buffer: Any, *args: Any) -> int:
        buffer[0] = 7
        return 1


def test_methods_of_a_derived_class_are_called() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs), Odd(fileno=ours.detach()) as odd:
            receiving = await started(loop.sock_recv(odd, 10))
            theirs.send(b"data")
            assert await receiving == b"DATA"
            buffer = bytearray(2)
            assert await loop.sock_recv_into(odd, buffer) == 1
            assert buffer == b"\7\0"
            await loop.sock_sendall(odd, array.array("h", [1, 2, 3]))
            assert theirs.recv(10) == array.array("h", [1, 2, 3]).tobytes()
            assert odd.calls == 6

    run(scenario)


def test_methods_that_the_program_has_replaced_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            monkeypatch.setattr(socket.socket, "recv", lambda *_: b"replaced", raising=False)
            assert await loop.sock_recv(ours, 10) == b"replaced"

    run(scenario)


@pytest.mark.parametrize("count", [-1, 5, "1"])
def test_a_method_that_sends_more_than_there_is(count: Any) -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            false = mock.Mock(ours)
            false.fileno = ours.fileno
            false.send.return_value = count
            with pytest.raises((TypeError, ValueError)):
                await loop.sock_sendall(false, b"data")

    run(scenario)


def test_a_call_that_is_resumed_by_its_own_socket() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            false = mock.Mock(ours)
            call = loop.sock_recv(false, 10)
            false.recv.side_effect = lambda _: call.send(None)
            with pytest.raises(ValueError, match="already executing"):
                await call
            again = loop.sock_recv(false, 10)
            false.recv.side_effect = lambda _: again.close()
            with pytest.raises(ValueError, match="already executing"):
                await again

    run(scenario)
