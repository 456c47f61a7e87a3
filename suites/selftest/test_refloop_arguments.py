"""refloop's connections and servers: arguments that do not go together, refused as by stock asyncio."""

import asyncio
import inspect
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from recorders import LOOPS

import refloop

HOST = ("127.0.0.1", 1)


def tcp() -> socket.socket:
    return socket.socket()


def udp() -> socket.socket:
    return socket.socket(type=socket.SOCK_DGRAM)


def unix() -> socket.socket:
    return socket.socket(socket.AF_UNIX)


def unix_datagram() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def tls() -> socket.socket:
    return ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="a")


def closed() -> socket.socket:
    sock = socket.socket()
    sock.close()
    return sock


TIMEOUTS: list[dict[str, Any]] = [{"ssl_handshake_timeout": 1}, {"ssl_shutdown_timeout": 1}]

WRONG: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "create_connection": [
        ((), {}),
        ((None, None), {}),
        (HOST, {"sock": tcp}),
        (("127.0.0.1",), {"sock": tcp}),
        ((), {"port": 1, "sock": tcp}),
        ((), {"sock": udp}),
        ((), {"sock": unix_datagram}),
        ((), {"sock": tls}),
        ((), {"sock": closed}),
        (HOST, {"server_hostname": "a"}),
        (("", 1), {"ssl": True}),
        ((), {"ssl": True, "sock": tcp}),
        *((HOST, options) for options in TIMEOUTS),
        (HOST, {"family": socket.AF_UNIX}),
        (HOST, {"happy_eyeballs": 1}),
        (("127.0.0.1", "no such service"), {}),
        (("127.0.0.1", "http", 7), {}),
        (("0", 65536), {"family": socket.AF_INET6}),
        ((17, 1), {}),
    ],
    "connect_accepted_socket": [
        ((), {}),
        ((), {"sock": udp}),
        ((), {"sock": tls}),
        ((), {"sock": closed}),
        *(((), {"sock": tcp} | options) for options in TIMEOUTS),
    ],
    "create_server": [
        ((), {}),
        (HOST, {"sock": tcp}),
        (("127.0.0.1",), {"sock": tcp}),
        ((), {"port": 1, "sock": tcp}),
        ((), {"sock": udp}),
        ((), {"sock": tls}),
        (HOST, {"ssl": True}),
        (HOST, {"ssl": False}),
        *((HOST, options) for options in TIMEOUTS),
        (("127.0.0.1", "no such service"), {}),
    ],
    "create_unix_connection": [
        ((), {}),
        (("/nowhere",), {"sock": unix}),
        (("/nowhere",), {}),
        ((b"/nowhere",), {}),
        ((7,), {}),
        (("/" + 200 * "x",), {}),
        ((), {"sock": tcp}),
        ((), {"sock": unix_datagram}),
        (("/nowhere",), {"server_hostname": "a"}),
        (("/nowhere",), {"ssl": True}),
        *((("/nowhere",), options) for options in TIMEOUTS),
    ],
    "create_unix_server": [
        ((), {}),
        (("/nowhere",), {"sock": unix}),
        (("/no/where",), {}),
        ((7,), {}),
        (("/" + 200 * "x",), {}),
        ((), {"sock": tcp}),
        ((), {"sock": unix_datagram}),
        (("/nowhere",), {"ssl": True}),
        *((("/nowhere",), options) for options in TIMEOUTS),
    ],
}


def refusal(make: Callable[[], Any], method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[type, str]:
    """What a method of a loop raises; the sockets of the arguments are made for it."""
    made = {name: value() if callable(value) else value for name, value in kwargs.items()}

    async def main() -> None:
        result = await getattr(asyncio.get_running_loop(), method)(asyncio.Protocol, *args, **made)
        raise AssertionError(f"{method}() returned {result}")

    with asyncio.Runner(loop_factory=make) as runner, pytest.raises(Exception) as caught:  # noqa: PT011
        runner.run(main())
    text = re.sub(rf"\w+\.{method}", method, str(caught.value))
    for value in made.values():
        if isinstance(value, socket.socket):
            text = text.replace(f"fd={value.fileno()}", "fd=N")
            value.close()
    return type(caught.value), text


@pytest.mark.parametrize(
    ("method", "args", "kwargs"), [(method, *call) for method, calls in WRONG.items() for call in calls]
)
def test_refused_as_by_asyncio(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert refusal(LOOPS["refloop"], method, args, kwargs) == refusal(LOOPS["asyncio"], method, args, kwargs)


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("create_connection", HOST, {"ssl": True}),
        ("connect_accepted_socket", (), {"sock": tcp, "ssl": True}),
        ("create_server", HOST, {"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}),
        ("create_unix_connection", ("/nowhere",), {"ssl": True, "server_hostname": ""}),
        ("create_unix_server", ("/nowhere",), {"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}),
    ],
)
def test_tls_is_still_to_come(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert refusal(LOOPS["refloop"], method, args, kwargs)[0] is NotImplementedError


def test_reuse_of_ports_is_refused_where_the_system_does_not_know_it() -> None:
    kwargs = {"sock": None, "reuse_port": True, "family": socket.AF_INET}

    class Old(socket.socket):
        def setsockopt(self, level: int, option: int, *value: Any) -> None:  # type: ignore[override]
            if option == socket.SO_REUSEPORT:
                raise OSError(92, "Protocol not available")
            super().setsockopt(level, option, *value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", Old)
        expected = refusal(LOOPS["asyncio"], "create_server", ("127.0.0.1", 0), kwargs)
        assert refusal(LOOPS["refloop"], "create_server", ("127.0.0.1", 0), kwargs) == expected
    assert expected[0] is ValueError


@pytest.mark.parametrize("method", WRONG)
def test_parameters_have_the_names_and_order_of_asyncio(method: str) -> None:
    """What newer versions of Python have added is there in all of them."""
    ours = inspect.signature(getattr(refloop.Loop, method)).parameters
    theirs = inspect.signature(getattr(asyncio.SelectorEventLoop, method)).parameters
    added = set(ours) - set(theirs)
    assert added <= {"all_errors", "keep_alive", "cleanup_socket"}
    assert [name for name in ours if name not in added] == list(theirs)
