"""Hostile manners of peers, each seen from a plain blocking socket."""

import array
import os
import select
import socket
import struct
import time

import pytest

from loopproof import faultkit

LARGE = 64 * 1024 * 1024  # bytes, more than all buffers between two sockets take


def connect_to(peer: faultkit.Peer) -> socket.socket:
    ours = socket.socket(socket.AF_UNIX if isinstance(peer.address, str) else socket.AF_INET)
    ours.settimeout(30)
    try:
        ours.connect(peer.address)
    except OSError:
        ours.close()
        raise
    return ours


def test_a_reset() -> None:
    script = [faultkit.accept(), faultkit.expect(b"x"), faultkit.reset()]
    with faultkit.Peer(script, listen="tcp") as peer, connect_to(peer) as ours:
        ours.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            ours.recv(1)


def test_a_close_with_unread_data_is_a_reset() -> None:
    script = [faultkit.accept(), faultkit.hold(), faultkit.close()]
    with faultkit.Peer(script, listen="tcp") as peer, connect_to(peer) as ours:
        ours.sendall(b"x")
        peer.release()
        with pytest.raises(ConnectionResetError):
            ours.recv(1)


def test_a_half_close_can_still_receive_and_so_can_what_answers_it() -> None:
    script = [faultkit.accept(), faultkit.shutdown(), faultkit.expect(b"late"), faultkit.expect_eof()]
    with faultkit.Peer(script, listen="tcp") as peer, connect_to(peer) as ours:
        assert ours.recv(1) == b""
        ours.sendall(b"late")
        ours.shutdown(socket.SHUT_WR)


def test_data_after_the_other_half_close() -> None:
    script = [faultkit.accept(), faultkit.expect_eof(), faultkit.send(b"late"), faultkit.close()]
    with faultkit.Peer(script, listen="tcp") as peer, connect_to(peer) as ours:
        ours.shutdown(socket.SHUT_WR)
        assert [ours.recv(10), ours.recv(10)] == [b"late", b""]


def test_pieces_leave_one_by_one_with_pauses_between_them() -> None:
    script = [faultkit.send(b"abc", chunks=(1,), pause=0.01)]
    with faultkit.Peer(script, pair="tcp") as peer, socket.socket(fileno=peer.take()) as ours:
        assert b"".join(iter(lambda: ours.recv(10), b"")) == b"abc"
    (entry,) = peer.log
    assert entry.ended is not None
    assert entry.ended - entry.started >= 0.02


def test_a_stalled_reader_blocks_the_writer_and_then_drains() -> None:
    script = [faultkit.accept(), faultkit.hold(), faultkit.drain()]
    with faultkit.Peer(script, listen="tcp", receive_buffer=4096) as peer, connect_to(peer) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ours.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < LARGE:
                sent += ours.send(bytes(65_536))
        assert sent < 1_000_000
        peer.release()
        ours.setblocking(True)
        ours.sendall(bytes(1_000_000))
        ours.shutdown(socket.SHUT_WR)
        peer.join()
        assert peer.log[2].bytes == sent + 1_000_000


@pytest.mark.parametrize("side", ["accept", "connect"])
def test_small_buffers_are_set_before_the_window_is_told(side: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        if side == "accept":
            peer = faultkit.Peer([faultkit.accept(), faultkit.hold()], listen="tcp", receive_buffer=4096)
            ours = connect_to(peer)
        else:
            script = [faultkit.connect(server.getsockname(), receive_buffer=4096), faultkit.hold()]
            peer = faultkit.Peer(script)
            ours, _ = server.accept()
        with ours, peer:
            info = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            assert struct.unpack_from("I", info, 228)[0] <= 4096 * 2  # tcpi_snd_wnd: what the peer lets us send
            peer.release()


def test_reading_is_slowed_down() -> None:
    script = [faultkit.expect(b"abcdef", chunks=(2,), pause=0.01)]
    with faultkit.Peer(script, pair="unix") as peer, socket.socket(fileno=peer.take()) as ours:
        ours.sendall(b"abcdef")
    (entry,) = peer.log
    assert entry.ended is not None
    assert entry.ended - entry.started >= 0.02


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_a_full_backlog(listen: str) -> None:
    script = [faultkit.connect(), faultkit.hold(), faultkit.accept(2), faultkit.use(1), faultkit.send(b"x")]
    script += [faultkit.use(2), faultkit.expect_eof()]
    with faultkit.Peer(script, listen=listen, backlog=0) as peer:
        assert peer.wait(1)
        with socket.socket(socket.AF_UNIX if listen == "unix" else socket.AF_INET) as ours:
            ours.setblocking(False)
            with pytest.raises(BlockingIOError):
                ours.connect(peer.address)
            assert not select.select([], [ours], [], 0.05)[1] or listen == "unix"
            peer.release()
            if listen == "unix":
                ours.setblocking(True)
                ours.connect(peer.address)
            assert select.select([], [ours], [], 30)[1]
            assert peer.wait(5, timeout=30)
            ours.shutdown(socket.SHUT_WR)


def test_connections_that_nobody_accepts_are_reset_when_listening_ends() -> None:
    script = [faultkit.hold(), faultkit.unlisten()]
    with faultkit.Peer(script, listen="tcp") as peer, connect_to(peer) as ours:
        peer.release()
        with pytest.raises(ConnectionResetError):
            ours.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connect_to(peer)


def test_a_connection_that_is_reset_before_it_is_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with faultkit.Peer([faultkit.connect(server.getsockname()), faultkit.reset()]):
            pass
        server.settimeout(30)
        ours, _ = server.accept()
        with ours, pytest.raises(ConnectionResetError):
            ours.recv(1)


def test_an_out_of_band_byte() -> None:
    script = [faultkit.send(b"ab"), faultkit.send(b"!", urgent=True), faultkit.send(b"cd"), faultkit.close()]
    with faultkit.Peer(script, pair="tcp") as peer, socket.socket(fileno=peer.take()) as ours:
        peer.join()
        assert ours.recv(1, socket.MSG_OOB) == b"!"
        assert [ours.recv(10), ours.recv(10), ours.recv(10)] == [b"ab", b"cd", b""]


@pytest.mark.parametrize("more", [False, True])
def test_data_and_the_end_come_in_one_segment(more: bool) -> None:
    def segments_received(ours: socket.socket) -> int:
        info = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("I", info, 140)[0]  # tcpi_segs_in

    script = [faultkit.hold(), faultkit.send(b"x", more=more), faultkit.shutdown(), faultkit.expect_eof()]
    with faultkit.Peer(script, pair="tcp") as peer, socket.socket(fileno=peer.take()) as ours:
        before = segments_received(ours)
        peer.release()
        assert [ours.recv(10), ours.recv(10)] == [b"x", b""]
        assert segments_received(ours) - before == (1 if more else 2)


def test_pipes_know_nothing_of_urgency() -> None:
    with pytest.raises(AssertionError, match="only a socket"):
        faultkit.Peer([faultkit.send(b"x", urgent=True)], pair="pipe_source").verify()


def test_descriptors_that_are_passed_are_received() -> None:
    script = [faultkit.send_ancillary(b"abc", descriptors=2), faultkit.expect_descriptors_closed()]
    with faultkit.Peer(script, pair="unix") as peer, socket.socket(fileno=peer.take()) as ours:
        data, passed, _, _ = socket.recv_fds(ours, 10, 5)
        assert data == b"abc"
        assert len(passed) == 2
        assert peer.wait(1)
        os.close(passed[0])
        assert not peer.wait(2, timeout=0.05)
        os.close(passed[1])


@pytest.mark.parametrize("pair", ["unix", "datagram"])
def test_descriptors_that_are_passed_to_nobody_are_closed(pair: str) -> None:
    script = [faultkit.send_ancillary(b"abc", descriptors=253, credentials=True), faultkit.expect_descriptors_closed()]
    with faultkit.Peer(script, pair=pair) as peer, socket.socket(fileno=peer.take()) as ours:
        assert ours.recv(10) == b"abc"


def test_credentials_are_those_of_this_process() -> None:
    script = [faultkit.hold(), faultkit.send_ancillary(b"x", credentials=True)]
    with faultkit.Peer(script, pair="unix") as peer, socket.socket(fileno=peer.take()) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        peer.release()
        _, ((_, kind, data),), _, _ = ours.recvmsg(10, socket.CMSG_SPACE(12))
        assert kind == socket.SCM_CREDENTIALS
        assert array.array("i", data).tolist() == [os.getpid(), os.getuid(), os.getgid()]


def test_silence() -> None:
    before = time.monotonic()
    with faultkit.Peer([faultkit.expect_silence(0.05)], pair="unix"):
        pass
    assert time.monotonic() - before >= 0.05


@pytest.mark.parametrize(
    ("breach", "reason"),
    [
        (lambda ours: ours.sendall(b"boo"), "seen 3 bytes: 62 6f 6f"),
        (lambda ours: ours.close(), "seen the end of the stream"),
    ],
)
@pytest.mark.parametrize("seconds", [0, 30])
def test_silence_that_is_broken(breach: object, reason: str, seconds: float) -> None:
    peer = faultkit.Peer([faultkit.hold(), faultkit.expect_silence(seconds)], pair="tcp", deadline=60)
    with socket.socket(fileno=peer.take()) as ours:
        breach(ours)
        peer.release()
        with pytest.raises(AssertionError, match=f"expected silence, {reason}"):
            peer.verify()


def test_a_reset_where_an_end_was_expected_and_the_reverse() -> None:
    for ending, expectation, reason in (
        (faultkit.reset(), faultkit.expect_eof(), "expected the end of the stream, seen a reset"),
        (faultkit.close(), faultkit.expect_reset(), "expected a reset of the connection, seen the end"),
    ):
        with faultkit.Peer([faultkit.accept(), faultkit.expect(b"x"), ending], listen="tcp") as one:
            other = faultkit.Peer([faultkit.connect(one.address), faultkit.send(b"x"), expectation])
            with pytest.raises(AssertionError, match=reason):
                other.verify()
