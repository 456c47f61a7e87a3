"""Peers that speak TLS: to event loops, in scripts that make no sense, and across a fork."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tls_ours
import uvloop
from tls_ours import CERTIFICATE, KEY, TRUST, Steps, both_versions

from loopproof import faultkit
from loopproof.faultkit import (
    accept,
    close,
    connect,
    echo,
    expect_pattern,
    hold,
    send,
    send_ancillary,
    send_pattern,
    shutdown,
    tls_arrange,
    tls_client,
    tls_close_notify,
    tls_cork,
    tls_corrupt,
    tls_cut,
    tls_expect_close_notify,
    tls_forget,
    tls_handshake,
    tls_key_update,
    tls_record,
    tls_server,
    tls_tickets,
)

SIZE = 3_000_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
each_loop = pytest.mark.parametrize("loop", LOOPS)


def run(loop: str, main: Any) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(main, 60))


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a pattern and receive one; the peer does the same, and ends first."""
    writer.write(faultkit.pattern(seed=1, size=SIZE))
    assert faultkit.verify_pattern(await reader.readexactly(SIZE), seed=2) is None
    await writer.drain()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


EXCHANGE = [
    tls_handshake(),
    send_pattern(2, SIZE, chunks=(1, 1460, 65_536)),
    expect_pattern(1, SIZE),
    tls_close_notify(),
    tls_expect_close_notify(),
]


@each_loop
@both_versions
def test_a_loop_connects_to_a_peer(loop: str, version: str) -> None:
    script = [accept(), tls_server(CERTIFICATE, KEY, version=version), *EXCHANGE]
    with faultkit.Peer(script, listen="tcp", deadline=60) as peer:

        async def main() -> None:
            context = tls_ours.client_context()
            host, port = peer.address
            await exchange(*await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost"))

        run(loop, main())


@each_loop
@both_versions
def test_a_peer_connects_to_a_loop(loop: str, version: str) -> None:
    async def main() -> None:
        connections: asyncio.Queue[Any] = asyncio.Queue()
        server = await asyncio.start_server(
            lambda *connection: connections.put_nowait(connection), "127.0.0.1", 0, ssl=tls_ours.server_context()
        )
        script = [connect(server.sockets[0].getsockname()), tls_client(authority=TRUST, version=version), *EXCHANGE]
        with faultkit.Peer(script, deadline=60) as peer:
            await exchange(*await connections.get())
            await asyncio.get_running_loop().run_in_executor(None, peer.join)
            server.close()

    run(loop, main())


@each_loop
def test_many_connections_speak_tls(loop: str) -> None:
    script = [accept(20), tls_server(CERTIFICATE, KEY), tls_handshake(), echo(), close()]

    async def talk(address: Any) -> None:
        host, port = address
        reader, writer = await asyncio.open_connection(
            host, port, ssl=tls_ours.client_context(), server_hostname="localhost"
        )
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()

    async def main() -> None:
        with faultkit.Peer(script, listen="tcp", deadline=60) as peer:
            await asyncio.gather(*(talk(peer.address) for _ in range(20)))
            await asyncio.get_running_loop().run_in_executor(None, peer.join)

    run(loop, main())


SERVER = tls_server(CERTIFICATE, KEY)
SENSELESS: dict[str, tuple[Steps, str]] = {
    "no TLS": ([accept(), tls_handshake()], "step 2: tls_handshake: TLS has not begun"),
    "TLS is over": (
        [accept(), SERVER, tls_forget(), tls_close_notify()],
        "step 4: .*: TLS has not begun",
    ),
    "TLS on TLS": ([accept(), SERVER, tls_client()], "step 3: tls_client: TLS has begun before"),
    "no handshake": ([accept(), SERVER, send(b"x")], "step 3: send: TLS has begun, but there was no handshake"),
    "urgent": ([accept(), SERVER, tls_handshake(), send(b"x", urgent=True)], "step 4: send: that does not go over TLS"),
    "ancillary": ([accept(), SERVER, tls_handshake(), send_ancillary(b"x")], "step 4: .*that does not go over TLS"),
    "shut": ([accept(), SERVER, tls_handshake(), shutdown(), tls_record(23, b"x")], "step 5: tls_record: .*shut down"),
    "no connection": ([SERVER], "step 1: tls_server: no connection is open"),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_script_is_refused_that_misuses_tls(name: str) -> None:
    script, message = SENSELESS[name]
    with pytest.raises(ValueError, match=message):
        faultkit.Peer(script, listen="tcp", deadline=60)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: tls_server(b"nonsense", KEY), ValueError, "tls_server: certificate: not a certificate in PEM"),
        (
            lambda: tls_server(CERTIFICATE, b"nonsense"),
            ValueError,
            "tls_server: key: not the certificate's",
        ),
        (lambda: tls_server(CERTIFICATE[:300], KEY), ValueError, "tls_server: certificate"),
        (lambda: tls_server(b"", b""), ValueError, "tls_server: certificate: a server needs one"),
        (lambda: tls_server(CERTIFICATE, b""), ValueError, "tls_server: key"),
        (lambda: tls_client(authority=b"nonsense"), ValueError, "tls_client: authority: not certificates in PEM"),
        (lambda: tls_client(version="1.1"), ValueError, "tls_client: version: must be '1.2' or '1.3'"),
        (lambda: tls_client(version=1.3), TypeError, "tls_client: version: must be a str"),
        (lambda: tls_client(alpn="h2"), TypeError, "tls_client: alpn: must be a tuple of names"),
        (lambda: tls_client(alpn=("",)), ValueError, "tls_client: alpn: must be names of 1 to 255 bytes"),
        (lambda: tls_client(alpn=(b"h2",)), ValueError, "tls_client: alpn: must be names"),
        (lambda: tls_client(fragment=16_385), ValueError, "tls_client: fragment: must be from 0 to 16384"),
        (lambda: tls_client(server_name="a\0b"), ValueError, "tls_client: server_name: must not contain a zero byte"),
        (lambda: tls_server(CERTIFICATE, KEY, tickets=1001), ValueError, "tls_server: tickets: must be from 0 to 1000"),
        (lambda: tls_server(CERTIFICATE, KEY, request_certificate=True), ValueError, "tls_server: request_certificate"),
        (lambda: tls_record(256, b""), ValueError, "tls_record: content_type: must be from 0 to 255"),
        (lambda: tls_record(23), TypeError, "tls_record: the field 'data' is missing"),
    ],
)
def test_a_step_of_tls_that_makes_no_sense_is_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


CORKED = [tls_client(), tls_cork(), tls_handshake(flights=1)]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (tls_corrupt(1, 0), "there is no record 1: 1 are corked"),
        (tls_corrupt(0, 10_000), r"the record has \d+ bytes"),
        (tls_cut(1, 0), "there is no record 1: 1 are corked"),
        (tls_cut(0, 10_000), r"the record has \d+ bytes"),
        (tls_arrange((0, 1)), "there are 1 records, from 0 on"),
        (tls_record(23, bytes(65_512)), "TLS: a record cannot have that many bytes"),
        (tls_tickets(), "TLS: only a server gives tickets"),
        (tls_key_update(), "TLS: there are key updates only after a handshake of TLS 1.3"),
    ],
)
def test_a_step_that_does_not_suit_the_session_fails(step: dict[str, Any], message: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = faultkit.Peer([*CORKED, step], theirs, deadline=60)
        with pytest.raises(AssertionError, match=f"step 4 of 4.*: {message}"):
            peer.verify()


def test_a_pipe_is_no_place_for_tls() -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(AssertionError, match="TLS needs a stream socket"):
            faultkit.Peer([tls_client()], writing, deadline=60).verify()
    finally:
        os.close(reading)
        os.close(writing)


def test_a_forked_child_leaves_tls_alone() -> None:
    peer = faultkit.Peer([accept(), SERVER, tls_handshake(), hold(), tls_close_notify()], listen="tcp", deadline=60)
    with tls_ours.Ours(socket.create_connection(peer.address)) as ours:
        assert ours.shake_hands() == ""
        child = os.fork()
        if child == 0:
            del peer  # the last reference that the child has
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        peer.release()
        assert ours.read_to_end() == (b"", "close_notify")
        peer.verify()


EXIT = """
import sys
sys.path.insert(0, {here!r})
import tls_ours
from loopproof.faultkit import *

begin = tls_server(tls_ours.CERTIFICATE, tls_ours.KEY)
server = Peer([accept(), begin, tls_handshake(), send_pattern(1, 2**40)], listen="tcp")
client = Peer([connect(server.address), tls_client(), tls_handshake(), expect_pattern(1, 2**40)])
server.wait(3)
client.wait(3)
sys.kept = [server, client, sys]
"""


def test_a_process_ends_in_the_middle_of_tls() -> None:
    here = str(Path(__file__).parent)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", EXIT.format(here=here)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
