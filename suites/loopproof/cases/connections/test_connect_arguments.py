"""Arguments of create_connection() that do not go together, or are no arguments: refused before anything happens."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from loopproof.authoring import needs, raises, requires
from loopproof.authoring.descriptors import opened_since
from loopproof.authoring.history import RecordingProtocol
from loopproof.authoring.links import warmed_up
from loopproof.authoring.ports import Port

Loop = Any  # typeshed does not know all arguments that are tried here


async def refused(loop: Loop, *kinds: type[BaseException], **options: Any) -> None:
    """Check that arguments are refused, and that nothing is connected or left open."""
    with Port().listen() as port:
        before = await warmed_up(loop)
        if options.get("port") == "listening":
            options["port"] = port.number
        with raises(*kinds):
            await loop.create_connection(RecordingProtocol, **options)
        assert not port.waiting(), "a connection was made"
        assert not opened_since(before)


@requires("CONN-CREATE_CONNECTION-10")
@pytest.mark.parametrize("options", [{}, {"host": None, "port": None}, {"local_addr": ("127.0.0.1", 0)}], ids=str)
async def test_nothing_to_connect_to(loop: Loop, options: dict[str, Any]) -> None:
    """Neither host and port nor sock is a ValueError."""
    await refused(loop, ValueError, **options)


@requires("CONN-CREATE_CONNECTION-11")
@pytest.mark.parametrize("options", [{"host": "127.0.0.1"}, {"port": 1}, {"host": "127.0.0.1", "port": 1}], ids=str)
async def test_an_address_and_a_socket(loop: Loop, options: dict[str, Any]) -> None:
    """host or port together with sock is a ValueError; the socket stays open and the caller's."""
    with Port().listen() as port, socket.create_connection(("127.0.0.1", port.number)) as ours:
        await refused(loop, ValueError, sock=ours, **options)
        with port.accept() as accepted:
            ours.send(b"still here")
            assert accepted.recv(20) == b"still here"


NEED_TLS: list[dict[str, Any]] = [
    {"server_hostname": "localhost"},
    {"server_hostname": ""},
    {"ssl_handshake_timeout": 10.0},
    {"ssl_handshake_timeout": 0},
    {"ssl_shutdown_timeout": 10.0},
    {"ssl_shutdown_timeout": 0},
]


@requires("CONN-CREATE_CONNECTION-39", "CONN-CREATE_CONNECTION-44", "CONN-CREATE_CONNECTION-45")
@pytest.mark.parametrize("off", [None, False])
@pytest.mark.parametrize("options", NEED_TLS, ids=str)
async def test_arguments_of_tls_without_it(loop: Loop, options: dict[str, Any], off: Any) -> None:
    """server_hostname, ssl_handshake_timeout and ssl_shutdown_timeout without ssl are a ValueError."""
    await refused(loop, ValueError, host="127.0.0.1", port="listening", ssl=off, **options)


@requires("CONN-CREATE_CONNECTION-39", "CONN-CREATE_CONNECTION-44", "CONN-CREATE_CONNECTION-45")
@pytest.mark.parametrize("options", NEED_TLS, ids=str)
async def test_arguments_of_tls_without_it_with_a_socket(loop: Loop, options: dict[str, Any]) -> None:
    """With sock they are a ValueError, too, and the socket stays open."""
    with Port().listen() as port, socket.create_connection(("127.0.0.1", port.number)) as ours:
        await refused(loop, ValueError, sock=ours, **options)
        assert ours.getpeername() == ("127.0.0.1", port.number)


@requires("CONN-CREATE_CONNECTION-40")
@needs("tls")
@pytest.mark.parametrize("tls", ["True", "context"])
@pytest.mark.parametrize("host", [None, "", "socket"])
async def test_tls_with_nobody(loop: Loop, tls: str, host: str | None) -> None:
    """ssl without host and without server_hostname is a ValueError, also with a socket, which stays open."""
    given: Any = True if tls == "True" else ssl.create_default_context()
    if host != "socket":
        await refused(loop, ValueError, host=host, port="listening", ssl=given)
        return
    with Port().listen() as port, socket.create_connection(("127.0.0.1", port.number)) as ours:
        await refused(loop, ValueError, sock=ours, ssl=given)
        assert ours.getpeername() == ("127.0.0.1", port.number)


@requires("CONN-CREATE_CONNECTION-47", "CONN-CREATE_CONNECTION-48")
@needs("tls")
@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("value", [0, 0.0, -1, -0.5])
async def test_timeouts_of_tls(loop: Loop, name: str, value: float) -> None:
    """A timeout of zero or less is a ValueError, and the socket can still be closed by whom it belongs to."""
    options: dict[str, Any] = {name: value}
    with Port().listen() as port, socket.create_connection(("127.0.0.1", port.number)) as ours, raises(ValueError):
        await loop.create_connection(
            RecordingProtocol, sock=ours, ssl=ssl.create_default_context(), server_hostname="x", **options
        )


@requires("CONN-CREATE_CONNECTION-49")
@needs("tls")
@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
async def test_timeouts_of_tls_leave_nothing_open(loop: Loop, name: str) -> None:
    """Where a timeout of zero is refused no socket is left open, though the error is still at hand."""
    options: dict[str, Any] = {name: 0}
    with Port().listen() as port:
        before = await warmed_up(loop)
        with raises(ValueError) as raised:
            await loop.create_connection(
                RecordingProtocol, "127.0.0.1", port.number, ssl=ssl.create_default_context(), **options
            )
        await asyncio.sleep(0)
        left = opened_since(before)
        assert not left, f"{raised.value!r} leaves open: {left}"


@requires("CONN-CREATE_CONNECTION-56")
@pytest.mark.parametrize("port", [-1, 65_536, 70_000, 2**40, "-1", "65536"])
async def test_ports_that_do_not_exist(loop: Loop, port: Any) -> None:
    """A port out of range is an error, and nothing is connected to."""
    await refused(loop, OverflowError, OSError, ValueError, host="127.0.0.1", port=port)


@requires("CONN-CREATE_CONNECTION-56")
@pytest.mark.parametrize("host", ["with\0zero", "a" * 300, ".."], ids=["zero", "long", "dots"])
async def test_hosts_that_do_not_exist(loop: Loop, host: str) -> None:
    """A host that cannot be a name is an error."""
    await refused(loop, ValueError, OSError, host=host, port="listening")


@requires("CONN-CREATE_CONNECTION-56")
@pytest.mark.parametrize(
    "options",
    [{"host": 5}, {"host": ["127.0.0.1"]}, {"port": 1.5}, {"port": object()}],
    ids=["5", "list", "1.5", "object"],
)
async def test_wrong_types_of_host_and_port(loop: Loop, options: dict[str, Any]) -> None:
    """A host that is no name, or a port that is no number, is an error, not a crash."""
    await refused(loop, TypeError, ValueError, OSError, **{"host": "127.0.0.1", "port": "listening", **options})


@requires("CONN-CREATE_CONNECTION-57")
@pytest.mark.parametrize("name", ["timeout", "hostname", "backlog", "reuse_address"])
async def test_arguments_that_do_not_exist(loop: Loop, name: str) -> None:
    """A keyword argument that create_connection() has not is a TypeError."""
    await refused(loop, TypeError, host="127.0.0.1", port="listening", **{name: 1})


@requires("CONN-CREATE_CONNECTION-57")
async def test_options_are_given_by_name_alone(loop: Loop) -> None:
    """All parameters behind host and port are keyword-only."""
    with Port().listen() as port, raises(TypeError):
        await loop.create_connection(RecordingProtocol, "127.0.0.1", port.number, None)
