"""create_server() that fails: addresses in use, addresses of other hosts, and what becomes of the sockets."""

import errno
import socket
from typing import Any

import pytest

from loopproof.authoring import Serve, needs, on_servers, raises, requires
from loopproof.authoring.resolution import HOST, Resolver
from loopproof.authoring.serving import listening, sockets
from loopproof.faultkit import Injector, fail

ELSEWHERE = "192.0.2.77"
"""An address for documentation (RFC 5737), which this host does not have."""


@requires("SERV-CREATE_SERVER-20", "SERV-CREATE_SERVER-22")
@on_servers("tcp")
@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.2", "127.0.0.3", "127.0.0.1"]])
async def test_an_address_in_use(serve: Serve, hosts: list[str]) -> None:
    """An address that somebody listens on raises OSError EADDRINUSE that names it; no socket is left open."""
    with listening() as other:
        port = other.getsockname()[1]
        before = sockets()
        with raises(OSError) as caught:
            await serve(host=hosts, port=port)
        error: Any = caught.value
        assert error.errno == errno.EADDRINUSE
        assert "127.0.0.1" in str(error), f"the message does not tell the address: {error}"
        assert str(port) in str(error), f"the message does not tell the port: {error}"
        del caught, error
        assert sockets() == before, "sockets are left open"


@requires("SERV-CREATE_SERVER-20", "SERV-CREATE_SERVER-22")
@on_servers("tcp")
async def test_an_address_of_another_host(serve: Serve) -> None:
    """An address of another host raises OSError, and no socket is left open."""
    before = sockets()
    with raises(OSError):
        await serve(host=ELSEWHERE)
    assert sockets() == before


@requires("SERV-CREATE_SERVER-43")
@on_servers("tcp")
@pytest.mark.parametrize("port", [-1, 65_536, 1 << 40])
async def test_ports_that_do_not_exist(serve: Serve, port: int) -> None:
    """A port that does not exist raises OSError or OverflowError, and no socket is left open."""
    before = sockets()
    with raises(OSError, OverflowError):
        await serve(port=port)
    assert sockets() == before


@requires("SERV-CREATE_SERVER-21")
@on_servers("tcp")
async def test_an_address_that_is_skipped(serve: Serve) -> None:
    """An address that this host does not have is left out if there is another one."""
    service = await serve(host=[ELSEWHERE, "127.0.0.1"])
    assert [sock.getsockname()[0] for sock in service.server.sockets] == ["127.0.0.1"]
    await service.visit()


@requires("SERV-CREATE_SERVER-21", "SERV-CREATE_SERVER-22")
@on_servers("tcp")
async def test_no_address_at_all(serve: Serve) -> None:
    """Where none of the addresses can be bound there is OSError, and no socket is left open."""
    before = sockets()
    with raises(OSError):
        await serve(host=[ELSEWHERE, "192.0.2.78"])
    assert sockets() == before


@requires("SERV-CREATE_SERVER-20")
@on_servers("tcp")
@needs("dns")
async def test_a_host_that_does_not_exist(serve: Serve) -> None:
    """A name that cannot be resolved raises socket.gaierror, also among others, and no socket is left open."""
    before = sockets()
    for host in ("name.invalid", ["127.0.0.1", "name.invalid"]):
        with raises(socket.gaierror):
            await serve(host=host)
    assert sockets() == before


@requires("SERV-CREATE_SERVER-22")
@needs("servers", "injector")
@pytest.mark.parametrize("call", ["bind", "setsockopt"])
def test_a_system_call_that_fails_for_the_last_socket(new_loop: Any, call: str) -> None:
    """Where a call for the third socket fails, the exception is OSError or ValueError, and the first two are closed."""
    before = sockets()

    def scenario() -> None:
        loop = new_loop()
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        with raises(OSError, ValueError):
            loop.run_until_complete(loop.create_server(object, hosts, 0))
        left = sockets() - before
        loop.close()
        assert len(left) <= 2, f"{len(left) - 2} sockets are left open"  # the loop itself may have a pair

    injector = Injector([fail(call, "ENOMEM", nth=3, kind="tcp")])
    injector.run(scenario)
    assert injector.chosen[0] == 1, f"{call}() was called less than three times"


@requires("SERV-CREATE_SERVER-40")
@needs("servers", "injector")
def test_listening_that_fails(new_loop: Any) -> None:
    """Where listen() fails, create_server() raises OSError and the sockets that it made are closed."""

    def scenario() -> None:
        loop = new_loop()
        with raises(OSError):
            loop.run_until_complete(loop.create_server(object, "127.0.0.1", 0))
        loop.close()

    injector = Injector([fail("listen", "EADDRINUSE", kind="tcp")])
    injector.run(scenario)
    assert injector.chosen[0] == 1


@requires("SERV-SERVER_START_SERVING-03")
@on_servers("tcp")
async def test_serving_that_cannot_start(serve: Serve) -> None:
    """Where somebody listens on the address by then, start_serving() raises OSError, and who listens is served."""
    first = await serve(start_serving=False)
    second = await serve(port=first.address[1], start_serving=False)
    await first.server.start_serving()
    with raises(OSError) as caught:
        await second.server.start_serving()
    assert getattr(caught.value, "errno", None) == errno.EADDRINUSE
    await first.visit()


@requires("SERV-SERVER_START_SERVING-04")
@on_servers("tcp")
async def test_a_server_whose_start_has_failed(serve: Serve) -> None:
    """After a start_serving() that failed is_serving() is False."""
    first = await serve(start_serving=False)
    second = await serve(port=first.address[1], start_serving=False)
    await first.server.start_serving()
    with raises(OSError):
        await second.server.start_serving()
    assert not second.server.is_serving(), "is_serving() is true although nothing is served"


@requires("SERV-CREATE_SERVER-44")
@needs("servers", "injector")
def test_a_family_that_the_system_lacks(new_loop: Any) -> None:
    """Of two addresses the one whose socket cannot be made is left out."""

    def scenario() -> None:
        loop = new_loop()
        server = loop.run_until_complete(loop.create_server(object, ["127.0.0.1", "127.0.0.2"], 0))
        assert len(server.sockets) == 1
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()

    injector = Injector([fail("socket", "EAFNOSUPPORT", count=1)])
    injector.run(scenario)
    assert injector.chosen[0] == 1


@requires("SERV-CREATE_SERVER-47")
@needs("servers", "injector")
def test_no_family_that_the_system_has(new_loop: Any) -> None:
    """Where no socket can be made for any of the addresses, OSError is raised."""

    def scenario() -> None:
        loop = new_loop()
        with raises(OSError):
            loop.run_until_complete(loop.create_server(object, ["127.0.0.1", "127.0.0.2"], 0))
        loop.close()

    injector = Injector([fail("socket", "EAFNOSUPPORT", count=2)])
    injector.run(scenario)
    assert injector.chosen[0] == 2


@requires("SERV-CREATE_SERVER-48")
@needs("servers", "resolver")
async def test_a_name_without_addresses(loop: Any) -> None:
    """A name that resolves to nothing raises OSError."""
    with Resolver({HOST: []}), raises(OSError):
        await loop.create_server(object, HOST, 0)
