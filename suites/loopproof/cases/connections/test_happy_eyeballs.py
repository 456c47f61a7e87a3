"""happy_eyeballs_delay and interleave: attempts that run side by side, and in which order they begin."""

import asyncio
import contextlib
import time
from typing import Any

import pytest

from loopproof import faultkit
from loopproof.authoring import needs, raises, requires
from loopproof.authoring.descriptors import closed_since, opened_since
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import ended, warmed_up
from loopproof.authoring.ports import Port
from loopproof.authoring.resolution import HOST, Resolver

Loop = Any  # typeshed does not know all arguments that are tried here
BOTH = ("::1", "127.0.0.1")
NEVER = 3600.0
"""Seconds of a delay that must not be waited for: the deadline of the case is before."""


@requires("CONN-CREATE_CONNECTION-30")
@needs("happy_eyeballs", "ipv6")
@pytest.mark.parametrize("delay", [0, 0.001, 0.05])
async def test_the_first_address_does_not_answer(loop: Loop, delay: float) -> None:
    """Where the first address does not answer the second is tried after the delay, and not before."""
    with Port(*BOTH).stall("::1").listen("127.0.0.1") as port:
        began = time.monotonic()
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=delay
        )
        assert time.monotonic() - began >= delay * 0.99
        assert transport.get_extra_info("peername") == ("127.0.0.1", port.number)
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-30")
@needs("happy_eyeballs", "ipv6")
async def test_the_first_address_answers_in_time(loop: Loop) -> None:
    """Where the first address answers within the delay no other is tried."""
    with Port(*BOTH).listen() as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=NEVER
        )
        assert transport.get_extra_info("peername")[0] == "::1"
        assert not port.waiting("127.0.0.1")
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-31")
@needs("happy_eyeballs", "ipv6")
async def test_a_refusal_is_not_waited_for(loop: Loop) -> None:
    """Where the first address refuses the second is tried at once."""
    with Port(*BOTH).listen("127.0.0.1") as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=NEVER
        )
        assert transport.get_extra_info("peername") == ("127.0.0.1", port.number)
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-31", "CONN-CREATE_CONNECTION-27")
@needs("happy_eyeballs", "ipv6")
async def test_every_address_refuses(loop: Loop) -> None:
    """Where all addresses refuse, one of the errors comes out at once, or an OSError that tells of each."""
    before = await warmed_up(loop)
    with Port(*BOTH) as port, raises(OSError) as raised:
        await loop.create_connection(RecordingProtocol, None, port.number, happy_eyeballs_delay=NEVER)
    assert isinstance(raised.value, ConnectionRefusedError) or all(host in str(raised.value) for host in BOTH)
    assert not opened_since(before)


@requires("CONN-CREATE_CONNECTION-32")
@needs("happy_eyeballs", "ipv6")
async def test_the_other_attempt_is_given_up(loop: Loop) -> None:
    """When the second attempt has won the socket of the first is closed."""
    with Port(*BOTH).stall("::1").listen("127.0.0.1") as port:
        before = await warmed_up(loop)
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=0.001
        )
        kept = transport.get_extra_info("socket").fileno()
        sockets = [number for number, (kind, *_) in faultkit.descriptors().items() if kind == "socket"]
        assert [number for number in sockets if number not in before] == [kept]
        await ended(transport, protocol)
        await closed_since(before, "create_connection()")


@requires("CONN-CREATE_CONNECTION-32")
@needs("happy_eyeballs", "resolver")
async def test_many_attempts_succeed_at_the_same_time(loop: Loop) -> None:
    """Of attempts that run side by side and all succeed one is returned, and the others end."""
    with Port().listen() as port, Resolver({HOST: [("127.0.0.1", port.number)] * 20}):
        before = await warmed_up(loop)
        transport, protocol = await loop.create_connection(RecordingProtocol, HOST, 1, happy_eyeballs_delay=0)
        name = transport.get_extra_info("sockname")
        alive = []
        while port.waiting():
            with port.accept() as accepted:
                accepted.setblocking(False)
                try:
                    assert accepted.recv(1) == b""
                except BlockingIOError:
                    alive.append(accepted.getpeername())
                except ConnectionResetError:
                    pass
        assert alive == [name]
        await ended(transport, protocol)
        await closed_since(before, "create_connection()")


@requires("CONN-CREATE_CONNECTION-55")
@needs("happy_eyeballs", "ipv6")
async def test_the_tasks_of_a_race_end_with_it(loop: Loop) -> None:
    """When create_connection() returns none of the tasks that it made is left but such as end by themselves."""
    with Port(*BOTH).stall("::1").listen("127.0.0.1") as port:
        before = asyncio.all_tasks()
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=0.001
        )
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-29")
@needs("happy_eyeballs")
async def test_no_attempt_leaves_an_error_behind(loop: Loop) -> None:
    """Where an attempt ends with something else than an OSError, no IndexError comes out."""
    with raises(TimeoutError, OverflowError):
        await loop.create_connection(RecordingProtocol, "127.0.0.1", 70_000, happy_eyeballs_delay=0.01)


HOSTS = {"4": "127.0.0.1", "6": "::1"}
ADDRESSES: dict[str, Any] = {
    "4": lambda port: ("127.0.0.1", port),
    "6": lambda port: ("::1", port, 0, 0),
}
ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "as they are": ({}, "6a 6b 6c 4a 4b"),
    "no reordering": ({"interleave": 0}, "6a 6b 6c 4a 4b"),
    "one": ({"interleave": 1}, "6a 4a 6b 4b 6c"),
    "two": ({"interleave": 2}, "6a 6b 4a 6c 4b"),
    "three": ({"interleave": 3}, "6a 6b 6c 4a 4b"),
    "more than there are": ({"interleave": 10}, "6a 6b 6c 4a 4b"),
    "a delay": ({"happy_eyeballs_delay": NEVER}, "6a 4a 6b 4b 6c"),
    "a delay without reordering": ({"happy_eyeballs_delay": NEVER, "interleave": 0}, "6a 6b 6c 4a 4b"),
    "a delay, and two": ({"happy_eyeballs_delay": NEVER, "interleave": 2}, "6a 6b 4a 6c 4b"),
}


@requires("CONN-CREATE_CONNECTION-33", "CONN-CREATE_CONNECTION-34")
@needs("happy_eyeballs", "resolver", "ipv6")
@pytest.mark.parametrize("how", sorted(ORDERS))
@pytest.mark.parametrize("refusing", range(5))
async def test_the_order_of_the_families(loop: Loop, how: str, refusing: int) -> None:
    """Addresses of both families are tried in the order that interleave and happy_eyeballs_delay lead to."""
    options, text = ORDERS[how]
    order = text.split()
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(Port(HOSTS[name[0]])) for name in order}
        for name in order[refusing:]:
            ports[name].listen()
        answer = [ADDRESSES[name[0]](ports[name].number) for name in ("6a", "6b", "6c", "4a", "4b")]
        with Resolver({HOST: answer}):
            transport, protocol = await loop.create_connection(RecordingProtocol, HOST, 1, **options)
        number = transport.get_extra_info("peername")[1]
        assert [name for name in order if ports[name].number == number] == [order[refusing]]
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-33")
@needs("happy_eyeballs", "ipv6")
@pytest.mark.parametrize("interleave", [0, 1, 2])
async def test_interleave_without_a_delay(loop: Loop, interleave: int) -> None:
    """interleave alone starts no attempt beside another: the second comes when the first has failed."""
    with Port(*BOTH).listen("127.0.0.1") as port:
        transport, protocol = await loop.create_connection(RecordingProtocol, None, port.number, interleave=interleave)
        assert transport.get_extra_info("peername")[0] == "127.0.0.1"
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-35")
@needs("happy_eyeballs", "ipv6")
@pytest.mark.parametrize("first", ["refuses", "stalls", "answers"])
async def test_tasks_that_start_eagerly(loop: Loop, first: str) -> None:
    """With asyncio.eager_task_factory the race works, whatever the first address does."""
    loop.set_task_factory(asyncio.eager_task_factory)
    with Port(*BOTH).listen("127.0.0.1") as port:
        if first != "refuses":
            port.listen("::1") if first == "answers" else port.stall("::1")
        transport, protocol = await loop.create_connection(
            RecordingProtocol, None, port.number, happy_eyeballs_delay=0.001
        )
        assert transport.get_extra_info("peername")[0] == ("::1" if first == "answers" else "127.0.0.1")
        await ended(transport, protocol)


@requires("CONN-CREATE_CONNECTION-30")
@needs("happy_eyeballs")
async def test_a_local_address(loop: Loop) -> None:
    """With happy_eyeballs_delay, too, the connection begins at local_addr."""
    with Port("127.0.0.1").listen() as port:
        transport, protocol = await loop.create_connection(
            RecordingProtocol, "127.0.0.1", port.number, local_addr=("127.0.0.2", 0), happy_eyeballs_delay=NEVER
        )
        assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
        await ended(transport, protocol)
