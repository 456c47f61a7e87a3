"""Peers on every kind of descriptor: TCP, UNIX, UDP, pipes, terminals; given, made, listening, connecting."""

import errno
import os
import select
import socket
import threading

import pytest

from loopproof import faultkit

FAMILIES = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}
BOUND = {"udp": socket.AF_INET, "udp6": socket.AF_INET6, "unix": socket.AF_UNIX}


def read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := os.read(fd, size - len(data))):
        data += part
    return data


@pytest.mark.parametrize("size", [0, 1, 7, 8, 65_537, 3_000_000])
def test_an_echo_gives_the_pattern_back(size: int) -> None:
    sent = faultkit.pattern(seed=7, size=size)
    with faultkit.Peer([faultkit.accept(), faultkit.echo(), faultkit.close()], listen="tcp") as peer:
        received = bytearray()
        with socket.create_connection(peer.address) as ours:

            def send() -> None:
                ours.sendall(sent)
                ours.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            while data := ours.recv(65_536):
                received += data
            sender.join()
    assert faultkit.verify_pattern(received, seed=7) is None
    assert len(received) == size
    assert [entry.state for entry in peer.log] == ["done"] * 3
    assert peer.log[1].bytes == size


@pytest.mark.parametrize("listen", ["tcp", "tcp6", "unix"])
def test_a_peer_listens(listen: str) -> None:
    script = [faultkit.accept(), faultkit.send(b"hello"), faultkit.expect_eof()]
    with faultkit.Peer(script, listen=listen) as peer, socket.socket(FAMILIES[listen]) as ours:
        ours.connect(peer.address)
        assert ours.recv(5) == b"hello"
        ours.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("listen", ["tcp", "tcp6", "unix"])
def test_a_peer_connects(listen: str) -> None:
    with socket.socket(FAMILIES[listen]) as server:
        server.bind({"tcp": ("127.0.0.1", 0), "tcp6": ("::1", 0), "unix": ""}[listen])
        server.listen()
        script = [faultkit.connect(server.getsockname()), faultkit.expect(b"hello"), faultkit.send(b"bye")]
        with faultkit.Peer(script):
            ours, _ = server.accept()
            with ours:
                ours.sendall(b"hello")
                assert ours.recv(3) == b"bye"


def test_a_refused_connection_is_a_failure_with_its_reason() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        peer = faultkit.Peer([faultkit.connect(nobody.getsockname())])
        with pytest.raises(AssertionError, match="connecting: Connection refused"):
            peer.verify()


def test_a_listening_socket_can_be_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as ours:
        listener.bind(path)
        listener.listen()
        with faultkit.Peer([faultkit.accept(), faultkit.send(b"x")], listener) as peer:
            assert peer.address == path
            ours.connect(path)
            assert ours.recv(2) == b"x"


@pytest.mark.parametrize("pair", ["tcp", "unix", "datagram", "pty_master", "pty_terminal"])
def test_a_pair_passes_all_bytes_both_ways(pair: str) -> None:
    data = bytes(range(256))
    with faultkit.Peer([faultkit.send(data), faultkit.expect(data)], pair=pair) as peer:
        fd = peer.take()
        assert os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        assert read_all(fd, 256) == data
        os.write(fd, data)
    os.close(fd)
    assert [entry.bytes for entry in peer.log] == [256, 256]


def test_pipes_have_a_direction() -> None:
    with faultkit.Peer([faultkit.send_pattern(1, 300_000), faultkit.close()], pair="pipe_source") as peer:
        fd = peer.take()
        assert faultkit.verify_pattern(read_all(fd, 400_000), 1) is None
        os.close(fd)
    with faultkit.Peer([faultkit.expect(b"abc"), faultkit.expect_eof()], pair="pipe_sink") as peer:
        fd = peer.take()
        os.write(fd, b"abc")
        os.close(fd)


@pytest.mark.parametrize("pair", ["pty_master", "pty_terminal"])
def test_a_terminal_that_is_closed_is_the_end(pair: str) -> None:
    with faultkit.Peer([faultkit.expect_eof()], pair=pair) as peer:
        os.close(peer.take())


def test_the_other_end_of_a_pair_is_given_once() -> None:
    before = faultkit.descriptors()
    with faultkit.Peer([faultkit.expect_eof()], pair="unix") as peer:
        os.close(peer.take())
        with pytest.raises(ValueError, match="has been taken"):
            peer.take()
    with pytest.raises(ValueError, match="no other end"):
        faultkit.Peer([]).take()
    left = faultkit.Peer([], pair="unix")
    left.join()
    del left, peer
    assert faultkit.descriptors() == before


@pytest.mark.parametrize("bind", ["udp", "udp6", "unix"])
def test_a_bound_peer_answers_whoever_sent_last(bind: str) -> None:
    script = [faultkit.expect(b"one"), faultkit.send(b"1"), faultkit.expect(b"two"), faultkit.send(b"2", to=None)]
    with (
        faultkit.Peer(script, bind=bind) as peer,
        socket.socket(BOUND[bind], socket.SOCK_DGRAM) as first,
        socket.socket(BOUND[bind], socket.SOCK_DGRAM) as second,
    ):
        for ours, ask, answer in ((first, b"one", b"1"), (second, b"two", b"2")):
            ours.bind("" if bind == "unix" else (peer.address[0], 0))
            ours.sendto(ask, peer.address)
            assert ours.recvfrom(10) == (
                answer,
                peer.address.encode() if bind == "unix" else peer.address,
            )


@pytest.mark.parametrize("bind", ["udp", "udp6", "unix"])
def test_datagrams_go_to_an_address_and_come_from_one(bind: str) -> None:
    with (
        socket.socket(BOUND[bind], socket.SOCK_DGRAM) as ours,
        socket.socket(BOUND[bind], socket.SOCK_DGRAM) as other,
    ):
        for bound in (ours, other):
            bound.bind({"udp": ("127.0.0.1", 0), "udp6": ("::1", 0), "unix": ""}[bind])
        script = [
            faultkit.send(b"hello", to=ours.getsockname()),
            faultkit.receive(3, sender=ours.getsockname()),
            faultkit.expect(b"yes", sender=ours.getsockname()),
        ]
        peer = faultkit.Peer(script, bind=bind)
        assert ours.recv(10) == b"hello"
        ours.sendto(b"yes", peer.address)
        assert peer.wait(2)
        other.sendto(b"yes", peer.address)
        with pytest.raises(AssertionError, match=r"step 3 of 3.*datagram 1 is from another sender"):
            peer.verify()


@pytest.mark.parametrize("local", [None, "", b"\0loopproof-selftest"])
def test_a_datagram_socket_is_connected(local: str | bytes | None) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind("")
        script = [faultkit.connect(ours.getsockname(), type="datagram", local=local), faultkit.send(b"a")]
        with faultkit.Peer(script):
            data, sender = ours.recvfrom(10)
        assert data == b"a"
        assert bool(sender) is (local is not None)
        if local:
            assert sender == local


def test_packets_keep_their_boundaries_and_have_an_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        script = [faultkit.expect(b"abcde", chunks=(2, 3)), faultkit.expect_eof()]
        with faultkit.Peer(script, theirs):
            ours.send(b"ab")
            ours.send(b"cde")
            ours.shutdown(socket.SHUT_WR)


def test_each_datagram_is_a_piece_even_an_empty_one() -> None:
    script = [faultkit.expect(b""), faultkit.send(b""), faultkit.send(b"abcde", chunks=(2,)), faultkit.echo(3)]
    with faultkit.Peer(script, pair="datagram") as peer, socket.socket(fileno=peer.take()) as ours:
        ours.send(b"")
        assert [ours.recv(10) for _ in range(4)] == [b"", b"ab", b"cd", b"e"]
        ours.send(b"abc")
        assert ours.recv(10) == b"abc"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((b"ab",), "datagram 1 has 2 bytes where 4 were expected"),
        ((b"abcd", b"ef"), "datagram 2 has 2 bytes where 4 were expected"),
        ((b"abcd", b"efXh"), r"datagram 2, byte 2: the byte at offset 6 is wrong: expected 67 68, seen 58 68"),
        ((b"abcd", b""), "datagram 2 has 0 bytes where 4 were expected"),
    ],
)
def test_a_wrong_datagram_is_named(sent: tuple[bytes, ...], reason: str) -> None:
    peer = faultkit.Peer([faultkit.expect(b"abcdefgh", chunks=(4,))], pair="datagram")
    with socket.socket(fileno=peer.take()) as ours:
        for data in sent:
            ours.send(data)
        with pytest.raises(AssertionError, match=reason):
            peer.verify()


def test_datagrams_at_the_limit_of_their_size() -> None:
    largest = 65_507  # of IPv4: 65535 - 20 (IP) - 8 (UDP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        ours.settimeout(10)
        script = [
            faultkit.connect(ours.getsockname(), type="datagram"),
            faultkit.send_pattern(4, largest),
            faultkit.expect_pattern(4, largest),
        ]
        with faultkit.Peer(script):
            data, sender = ours.recvfrom(70_000)
            assert len(data) == largest
            assert faultkit.verify_pattern(data, 4) is None
            ours.sendto(data, sender)
        script[1:] = [faultkit.send_pattern(4, largest + 1)]
        with pytest.raises(AssertionError, match=f"sending: {os.strerror(errno.EMSGSIZE)}"):
            faultkit.Peer(script).verify()


def test_a_datagram_of_the_pattern_has_a_limit_of_its_own() -> None:
    with pytest.raises(AssertionError, match="at most 262144 bytes, not 262145"):
        faultkit.Peer([faultkit.send_pattern(4, 262_145)], pair="datagram").verify()


def test_a_datagram_that_is_longer_than_expected_is_not_cut() -> None:
    peer = faultkit.Peer([faultkit.expect(b"ab")], pair="datagram")
    with socket.socket(fileno=peer.take()) as ours:
        ours.send(b"abc")
        with pytest.raises(AssertionError, match="datagram 1 has 3 bytes where 2 were expected"):
            peer.verify()


def test_datagrams_have_no_end() -> None:
    with pytest.raises(AssertionError, match="datagrams have no end"):
        faultkit.Peer([faultkit.drain()], pair="datagram").verify()


def test_a_udp_peer_that_closes_answers_with_port_unreachable() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        with faultkit.Peer([faultkit.close()], bind="udp") as peer:
            ours.connect(peer.address)
        ours.send(b"x")
        assert select.select([ours], [], [], 10)[0]
        with pytest.raises(ConnectionRefusedError):
            ours.recv(1)
