"""Many connections of one peer, and many peers."""

import contextlib
import socket
import threading

import pytest

from loopproof import faultkit


@pytest.mark.parametrize(("listen", "backlog"), [("tcp", 1000), ("unix", 16)])  # TCP may reset what finds no room
def test_a_thousand_connections_to_one_server_in_turn(listen: str, backlog: int) -> None:
    count = 1000
    server = faultkit.Peer(
        [
            faultkit.accept(count),
            faultkit.expect(b"ask"),
            faultkit.send(b"answer"),
            faultkit.expect_eof(),
        ],
        listen=listen,
        backlog=backlog,
        deadline=60,
    )
    script = [
        faultkit.connect(server.address, count=count),
        faultkit.send(b"ask"),
        faultkit.expect(b"answer"),
        faultkit.close(),
    ]
    with server, faultkit.Peer(script, deadline=60) as client:
        pass
    assert [entry.bytes for entry in server.log] == [0, 3 * count, 6 * count, 0]
    assert [entry.bytes for entry in client.log] == [0, 3 * count, 6 * count, 0]


def test_one_script_for_each_connection() -> None:
    script = [
        faultkit.accept(3),
        faultkit.use(1),
        faultkit.send(b"one"),
        faultkit.use(0, 3),
        faultkit.send(b"!"),
        faultkit.use(2),
        faultkit.reset(),
        faultkit.use(0, 2),
        faultkit.close(),
    ]
    with faultkit.Peer(script, listen="tcp") as peer, contextlib.ExitStack() as stack:
        all_ours = [stack.enter_context(socket.create_connection(peer.address)) for _ in range(3)]
        assert all_ours[0].recv(10) == b"!"
        assert b"".join(iter(lambda: all_ours[1].recv(10), b"")) == b"one!"
        with pytest.raises(ConnectionResetError):
            while all_ours[2].recv(10) == b"!":
                pass
        assert all_ours[0].recv(1) == b""


def test_connections_one_after_the_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        once = [faultkit.connect(server.getsockname()), faultkit.send(b"x"), faultkit.expect_eof(), faultkit.close()]
        with faultkit.Peer(once * 20):
            for _ in range(20):
                ours, _ = server.accept()
                with ours:
                    assert ours.recv(10) == b"x"


def test_several_peers_accept_from_one_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(faultkit.Peer([faultkit.accept(), faultkit.echo()], listener))
        all_ours = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(10)]
        for number, ours in enumerate(all_ours):
            ours.sendall(b"%d" % number)
        assert [ours.recv(10) for ours in reversed(all_ours)] == [b"%d" % number for number in reversed(range(10))]
        for ours in all_ours:
            ours.close()


def test_a_failure_names_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = faultkit.Peer([faultkit.connect(server.getsockname(), count=3), faultkit.expect(b"abc")])
        for answer in (b"abc", b"abX", b"abc"):
            ours, _ = server.accept()
            with ours:
                ours.sendall(answer)
        with pytest.raises(AssertionError, match=r"step 2 of 2.*connection 1: the byte at offset 2 is wrong"):
            peer.verify()


def test_a_thousand_peers_at_once() -> None:
    before = faultkit.threads()
    pairs = [faultkit.Peer([faultkit.hold(), faultkit.send(b"x")], pair="unix", deadline=60) for _ in range(1000)]
    assert len(faultkit.threads() - before) == 1000
    for peer in pairs:
        peer.release()
    for peer in pairs:
        with peer, socket.socket(fileno=peer.take()) as ours:
            assert ours.recv(2) == b"x"
    assert faultkit.threads() == before


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([faultkit.use(0)], "step 1: use: there are not that many connections"),
        ([faultkit.accept(3), faultkit.use(1, 3)], "step 2: use: there are not that many connections"),
        ([faultkit.accept(3), faultkit.use(99_999)], "step 2: use: there are not that many connections"),
        (
            [faultkit.accept(2), faultkit.use(1), faultkit.close(), faultkit.use(0, 2), faultkit.drain()],
            "step 5: drain",
        ),
        ([faultkit.unlisten(), faultkit.accept()], "step 2: accept: the peer has no listening socket"),
        ([faultkit.unlisten(), faultkit.connect()], "step 2: connect: the peer has no listening socket"),
        ([faultkit.unlisten(), faultkit.unlisten()], "step 2: unlisten: the peer has no listening socket"),
        ([faultkit.accept(), faultkit.shutdown(), faultkit.echo()], "step 3: echo: .* shut down for sending"),
        ([faultkit.accept(99_999), faultkit.accept(2)], "more than 100000 connections"),
        ([faultkit.accept(99_999)] + [faultkit.buffers()] * 101, "step 101: buffers: .* more than 10000000 times"),
    ],
)
def test_connections_that_make_no_sense(script: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        faultkit.Peer(script, listen="tcp")


def test_a_stop_ends_what_many_connections_do() -> None:
    server = faultkit.Peer([faultkit.accept(100), faultkit.hold()], listen="tcp")
    peer = faultkit.Peer([faultkit.connect(server.address, count=100), faultkit.receive(1)])
    assert peer.wait(1)
    stopper = threading.Thread(target=peer.stop)
    stopper.start()
    stopper.join()
    assert [entry.state for entry in peer.log] == ["done", "stopped"]
    server.stop()
