"""refloop's getaddrinfo() and getnameinfo(): what the socket module gives, without a thread if it is numeric."""

import asyncio
import concurrent.futures
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import refloop

NUMERIC: list[tuple[tuple[Any, Any], dict[str, int]]] = [
    (("127.0.0.1", 80), {}),
    ((b"127.0.0.1", "80"), {"type": socket.SOCK_STREAM}),
    (("127.0.0.1", b"80"), {"type": socket.SOCK_DGRAM, "proto": socket.IPPROTO_UDP}),
    (("127.0.0.1", None), {"family": socket.AF_INET}),
    (("127.0.0.1", 65_536 + 80), {}),
    (("127.0.0.1", 80), {"flags": socket.AI_CANONNAME}),
    (("127.0.0.1", 80), {"family": socket.AF_INET6, "flags": socket.AI_V4MAPPED}),
    (("::1", 80), {}),
    (("fe80::1%lo", 80), {"type": socket.SOCK_STREAM}),
    (("::ffff:1.2.3.4", 0), {"type": socket.SOCK_DGRAM}),
    ((None, 80), {"flags": socket.AI_PASSIVE}),
    ((None, "80"), {"family": socket.AF_INET6, "type": socket.SOCK_STREAM}),
]

FAILING: list[tuple[tuple[Any, Any], dict[str, int]]] = [
    (("127.0.0.1", 80), {"family": socket.AF_INET6}),
    (("::1", 80), {"family": socket.AF_INET}),
    (("127.0.0.1", 80), {"family": 12345}),
    (("127.0.0.1", 80), {"type": 12345}),
    (("127.0.0.1", 80), {"flags": 1 << 30}),
    (("127.0.0.1", "no-such-service"), {}),
    (("name.invalid", 80), {"flags": socket.AI_NUMERICHOST}),
    (("127.0.0.1", "http"), {"flags": socket.AI_NUMERICSERV}),
    ((None, None), {}),
    (("", 80), {"flags": socket.AI_NUMERICHOST}),
    ((b"\xff", 80), {"flags": socket.AI_NUMERICHOST}),
    (("a" * 64 + ".invalid", 80), {}),
    (("nul\0byte", 80), {}),
    ((80, 80), {}),
    (("127.0.0.1", 8.0), {}),
    (("127.0.0.1", 1 << 80), {}),
    (("127.0.0.1", "\ud800"), {}),
    (("127.0.0.1", 80), {"family": "AF_INET"}),  # type: ignore[dict-item]
]


class NoThreads(concurrent.futures.ThreadPoolExecutor):
    """An executor that must not be used."""

    def submit(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("used the executor")


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call returns, or the type and arguments of what it raises."""
    try:
        return "returned", call()
    except Exception as exc:
        return "raised", type(exc), exc.args


def look_up(*args: Any, threads: bool = True, debug: bool = False, **kwargs: Any) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        if not threads:
            loop.set_default_executor(NoThreads())
        return await loop.getaddrinfo(*args, **kwargs)

    return refloop.run(main(), debug=debug)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("args", "kwargs"), NUMERIC)
def test_numeric_addresses_are_answered_without_a_thread(
    args: tuple[Any, Any], kwargs: dict[str, int], debug: bool
) -> None:
    assert look_up(*args, threads=False, debug=debug, **kwargs) == socket.getaddrinfo(*args, **kwargs)


@pytest.mark.parametrize(("args", "kwargs"), FAILING)
def test_errors_are_those_of_the_socket_module(args: tuple[Any, Any], kwargs: dict[str, int]) -> None:
    expected = outcome(lambda: socket.getaddrinfo(*args, **kwargs))
    assert expected[0] == "raised"
    assert outcome(lambda: look_up(*args, **kwargs)) == expected


@pytest.mark.parametrize(
    "args", [("localhost", 80), (b"localhost", "http"), ("127.0.0.1", "http"), ("localhost", None)]
)
def test_names_give_what_the_socket_module_gives(args: tuple[Any, Any]) -> None:
    expected = outcome(lambda: socket.getaddrinfo(*args, type=socket.SOCK_STREAM))  # a machine may not know the name
    assert outcome(lambda: look_up(*args, type=socket.SOCK_STREAM)) == expected


def test_a_look_up_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    callers: list[threading.Thread] = []

    def slow(*args: Any) -> list[Any]:
        callers.append(threading.current_thread())
        answer.wait()
        return [args]

    async def main() -> Any:
        task = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80, type=1))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(answer.set)
        return await task

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert refloop.run(main()) == [("127.0.0.1", 80, 0, 1, 0, 0)]
    assert callers != [threading.current_thread()]


@pytest.mark.parametrize("slow", [False, True])
def test_debug_mode_logs_how_long_it_took(caplog: pytest.LogCaptureFixture, slow: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.0 if slow else 1e9
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        refloop.run(main(), debug=True)
    levels = [record.levelno for record in caplog.records if "getaddrinfo('127.0.0.1', 80" in record.getMessage()]
    assert levels == [logging.INFO if slow else logging.DEBUG]


NAMES: list[tuple[Any, ...]] = [
    (("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
    (("::1", 80, 0, 0), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV | socket.NI_DGRAM),
    (("127.0.0.1", 80), socket.NI_NUMERICHOST),
    (("127.0.0.1", 80),),
    (("name.invalid", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
    (("127.0.0.1", -1), 0),
    (("127.0.0.1", 80, 0, 0, 0), 0),
    ("127.0.0.1", 0),
    (("127.0.0.1", 80), "flags"),
]


@pytest.mark.parametrize("args", NAMES)
def test_getnameinfo_is_that_of_the_socket_module(args: tuple[Any, ...]) -> None:
    async def main() -> Any:
        return await asyncio.get_running_loop().getnameinfo(*args)

    full = args if len(args) == 2 else (*args, 0)
    assert outcome(lambda: refloop.run(main())) == outcome(lambda: socket.getnameinfo(*full))


def test_numeric_names_are_given_without_a_thread() -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(NoThreads())
        return await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    assert refloop.run(main()) == ("127.0.0.1", "80")
