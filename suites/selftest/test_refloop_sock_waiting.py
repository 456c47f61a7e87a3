"""refloop's operations on sockets while they wait: cancelled, in each other's way, and what they leave behind."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import warnings
import weakref
from typing import Any, cast

import pytest
from socket_scenarios import (
    Loop,
    as_asyncio,
    client,
    fill,
    listener,
    outcome,
    pair,
    receive_all,
    run,
    started,
    turns,
    watched_descriptors,
)

import refloop
from refloop import _core


@pytest.mark.parametrize("found_ready", [False, True])
def test_a_cancelled_call_takes_nothing(found_ready: bool) -> None:
    """Not even when the loop has found the socket ready already, and only the task has not run."""

    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            receiving = await started(loop.sock_recv(ours, 10))
            waits_for: asyncio.Future[None] = receiving._fut_waiter  # type: ignore[attr-defined]
            theirs.send(b"data")
            if found_ready:
                loop.call_soon(receiving.cancel)  # runs after the poll, before the task
            else:
                receiving.cancel()
            await asyncio.wait([receiving])
            assert receiving.cancelled()
            assert waits_for.cancelled() is not found_ready
            assert await loop.sock_recv(ours, 10) == b"data"

    run(scenario)


def test_nothing_is_watched_after_it_is_cancelled() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _), listener() as server:
            fill(ours)
            calls = [
                loop.sock_recv(ours, 1),
                loop.sock_sendall(ours, b"data"),
                loop.sock_recv_into(ours, bytearray(1)),
                loop.sock_accept(server),
            ]
            for call in calls:
                task = await started(call)
                assert watched_descriptors() & {ours.fileno(), server.fileno()}
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
                assert not watched_descriptors() & {ours.fileno(), server.fileno()}

    run(scenario)


def test_a_cancelled_connect_leaves_the_socket_alone() -> None:
    async def scenario(loop: Loop) -> None:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(listener())
            server.listen(0)
            done = True
            while done:  # until the server's queue is full, and the kernel has to try again later
                ours = stack.enter_context(client())
                connecting = await started(loop.sock_connect(ours, server.getsockname()))
                await turns()
                done = connecting.done()
            assert ours.fileno() in watched_descriptors()
            connecting.cancel()
            await asyncio.wait([connecting])
            assert connecting.cancelled()
            assert ours.fileno() not in watched_descriptors()

    run(scenario)


def test_it_may_be_cancelled_at_each_turn() -> None:
    async def scenario(loop: Loop) -> None:
        for after in range(6):
            with pair() as (ours, theirs):
                receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
                for turn in range(6):
                    if turn == 1:
                        theirs.send(b"data")
                    if turn == after:
                        receiving.cancel()
                    await asyncio.sleep(0)
                if receiving.cancelled():
                    assert await loop.sock_recv(ours, 10) == b"data"
                else:
                    assert receiving.result() == b"data"

    run(scenario)


def test_receiving_and_sending_at_once() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            size = fill(ours)
            receiving = await started(loop.sock_recv(ours, 10))
            sending = await started(loop.sock_sendall(ours, b"ours"))
            theirs.send(b"theirs")
            assert await receiving == b"theirs"
            assert not sending.done()
            receive_all(theirs, size)
            await sending
            assert theirs.recv(10) == b"ours"

    run(scenario)


def test_the_second_of_two_that_receive_takes_the_place_of_the_first() -> None:
    async def scenario(loop: Loop) -> Any:
        with pair() as (ours, theirs):
            first, second = await started(loop.sock_recv(ours, 1)), await started(loop.sock_recv(ours, 1))
            theirs.send(b"ab")
            done = await second
            await turns()
            states = [done, first.done()]
            first.cancel()
            third = await started(loop.sock_recv(ours, 1))
            await asyncio.wait([first, third])
            return [*states, third.result(), first.cancelled()]

    assert as_asyncio(scenario) == [b"a", False, b"b", True]


def test_cancelling_the_first_leaves_the_second_alone() -> None:
    async def scenario(loop: Loop) -> Any:
        with pair() as (ours, theirs):
            first, second = await started(loop.sock_recv(ours, 1)), await started(loop.sock_recv(ours, 1))
            first.cancel()
            await asyncio.wait([first])
            theirs.send(b"a")
            return await second

    assert as_asyncio(scenario) == b"a"


def test_it_shares_the_watch_with_readers() -> None:
    async def scenario(loop: Loop) -> Any:
        with pair() as (ours, theirs):
            called: list[str] = []
            loop.add_reader(ours, called.append, "reader")
            receiving = await started(loop.sock_recv(ours, 10))
            theirs.send(b"a")
            seen = [await receiving, list(called), loop.remove_reader(ours)]
            receiving = await started(loop.sock_recv(ours, 10))
            seen.append(loop.remove_reader(ours))
            theirs.send(b"b")
            await turns()
            seen.append(receiving.done())
            ours.recv(10)
            receiving.cancel()
            await asyncio.wait([receiving])
            receiving = await started(loop.sock_recv(ours, 10))
            loop.add_reader(ours, called.append, "reader")
            theirs.send(b"c")
            await turns()
            seen += [receiving.done(), "reader" in called, loop.remove_reader(ours)]
            receiving.cancel()
            await asyncio.wait([receiving])
            return seen

    assert as_asyncio(scenario) == [b"a", [], False, True, False, False, True, True]


def test_a_waiter_does_not_get_what_comes_to_another_socket_with_its_number() -> None:
    async def scenario(loop: Loop) -> None:
        with contextlib.ExitStack() as stack:
            ours, _ = stack.enter_context(pair())
            number = ours.fileno()
            old = await started(loop.sock_recv(ours, 10))
            ours.close()
            others = [stack.enter_context(pair()) for _ in range(2)]
            fresh, theirs = next(each for each in others if number in (each[0].fileno(), each[1].fileno()))
            if fresh.fileno() != number:
                fresh, theirs = theirs, fresh
            fresh.setblocking(False)
            theirs.send(b"a")
            await turns()
            assert not old.done()
            assert await loop.sock_recv(fresh, 10) == b"a"
            receiving = await started(loop.sock_recv(fresh, 10))
            old.cancel()
            await asyncio.wait([old])
            theirs.send(b"b")
            assert await receiving == b"b"

    run(scenario)


@pytest.mark.parametrize("replaced", [False, True])
def test_another_file_under_the_number_is_waited_for(replaced: bool) -> None:
    """Though the kernel watched the one before: also if that was replaced behind the socket's back."""

    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs), pair() as (other, theirs_too):
            receiving = await started(loop.sock_recv(ours, 10))
            theirs.send(b"a")
            assert await receiving == b"a"
            number = ours.fileno()
            if replaced:
                os.dup2(other.fileno(), number)
                sock = ours
            else:
                ours.close()
                sock = socket.socket(fileno=os.dup2(other.fileno(), number))
            with sock:
                receiving = await started(loop.sock_recv(sock, 10))
                theirs_too.send(b"b")
                assert await receiving == b"b"

    run(scenario)


def test_a_socket_that_nobody_receives_from_any_more_does_not_keep_the_loop_awake() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            receiving = await started(loop.sock_recv(ours, 10))
            theirs.send(b"a")
            await receiving
            theirs.send(b"b")
            await turns()
            assert ours.fileno() not in watched_descriptors()
            assert await loop.sock_recv(ours, 10) == b"b"

    run(scenario)


def test_nor_one_that_is_closed_but_open_under_another_number() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs), ours.dup() as copy:
            receiving = await started(loop.sock_recv(ours, 10))
            theirs.send(b"a")
            await receiving
            number = ours.fileno()
            ours.close()
            theirs.send(b"b")
            await turns()
            assert number not in watched_descriptors()
            assert await loop.sock_recv(copy, 10) == b"b"

    run(scenario)


def test_an_interrupt_while_it_waits() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, _):
            receiving = asyncio.ensure_future(loop.sock_recv(ours, 10))
            loop.call_later(0.01, signal.raise_signal, signal.SIGINT)
            await receiving

    with pytest.raises(KeyboardInterrupt):
        run(scenario)


def test_a_closed_loop_waits_for_nothing() -> None:
    loop = refloop.new_event_loop()
    loop.close()
    with pair() as (ours, theirs):
        with pytest.raises(RuntimeError, match="closed"):
            loop.sock_recv(ours, 1).send(None)
        theirs.send(b"a")
        with pytest.raises(StopIteration, match="b'a'"):
            loop.sock_recv(ours, 1).send(None)


@pytest.mark.parametrize("closed", [False, True])
def test_a_loop_that_is_dropped_with_waiters_is_collected(closed: bool) -> None:
    loop = refloop.new_event_loop()
    with contextlib.ExitStack() as stack:
        ours, theirs = stack.enter_context(pair())
        task = loop.create_task(loop.sock_recv(ours, 10))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert ours.fileno() in watched_descriptors()
        if closed:
            loop.close()
            assert ours.fileno() not in watched_descriptors()
        refs = [weakref.ref(loop), weakref.ref(ours)]
        stack.pop_all()
        theirs.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del loop, ours, task, stack
        gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_nothing_is_kept_of_calls_that_are_over() -> None:
    async def scenario(loop: Loop) -> None:
        class Thing(bytearray):
            pass

        with pair() as (ours, theirs):
            things = [Thing(10), Thing(10), Thing(b"data"), Thing(10)]
            refs = [weakref.ref(thing) for thing in things]
            receiving = await started(loop.sock_recv_into(ours, things[0]))
            theirs.send(b"a")
            await receiving
            theirs.send(b"a")
            await loop.sock_recv_into(ours, things[1])
            await loop.sock_sendall(ours, things[2])
            cancelled = await started(loop.sock_recv_into(ours, things[3]))
            cancelled.cancel()
            await asyncio.wait([cancelled])
            things.clear()
            del receiving, cancelled
            gc.collect()
            assert [ref() for ref in refs] == [None] * 4

    run(scenario)


def test_references_and_descriptors_do_not_pile_up() -> None:
    async def scenario(loop: Loop) -> None:
        async def once() -> None:
            with pair() as (ours, theirs):
                receiving = await started(loop.sock_recv(ours, 10))
                theirs.send(b"data")
                await receiving
                cancelled = await started(loop.sock_recv(ours, 10))
                cancelled.cancel()
                await asyncio.wait([cancelled])
                fill(ours)
                cancelled = await started(loop.sock_sendall(ours, b"data"))
                cancelled.cancel()
                await asyncio.wait([cancelled])
                for wrong in (loop.sock_recv(ours, -1), loop.sock_sendall(ours, "text")):  # type: ignore[arg-type]
                    await outcome(wrong)

        def counts() -> tuple[int, int, int]:
            gc.collect()
            return sys.getrefcount(loop), len(os.listdir("/proc/self/fd")), len(gc.get_objects())

        for _ in range(10):
            await once()
        before = counts()
        for _ in range(100):
            await once()
        after = counts()
        assert after[:2] == before[:2]
        assert after[2] - before[2] < 100  # nothing that each of them leaves

    run(scenario)


def test_a_socket_that_a_transport_has_is_refused() -> None:
    async def scenario(loop: Loop) -> None:
        with pair() as (ours, theirs):
            fd = ours.fileno()
            transport = _core.SocketTransport(cast(_core.Loop, loop), ours, asyncio.Protocol())
            for call in (loop.sock_recv(ours, 1), loop.sock_recvfrom(ours, 1)):
                with pytest.raises(RuntimeError, match=f"File descriptor {fd} is used by transport <.*SocketTransport"):
                    await call
            theirs.send(b"a")
            assert await loop.sock_recv(ours, 1) == b"a"  # needs no waiting
            transport.abort()
            await turns()

    run(scenario)
