"""Scripts of peers: steps as data, what is refused and how, what the log and a failure tell."""

import itertools
import socket

import pytest

from loopproof import faultkit


def test_a_step_is_a_dict() -> None:
    assert faultkit.send(b"x", chunks=(1, 2)) == {"do": "send", "data": b"x", "chunks": (1, 2)}
    assert faultkit.use(3, 4) == {"do": "use", "first": 3, "count": 4}
    peer = faultkit.Peer([{"do": "send", "data": bytearray(b"x")}], pair="unix")
    assert peer.script == ({"do": "send", "data": b"x"},)
    peer.script[0].clear()
    assert peer.script == ({"do": "send", "data": b"x"},)
    peer.verify()


def test_a_script_is_a_copy() -> None:
    data = bytearray(b"abc")
    script = [faultkit.hold(), faultkit.send(data)]
    with faultkit.Peer(script, pair="unix") as peer, socket.socket(fileno=peer.take()) as ours:
        data[:] = b"xyz"
        script.clear()
        peer.release()
        assert ours.recv(10) == b"abc"


@pytest.mark.parametrize(
    ("script", "error", "reason"),
    [
        (None, TypeError, "not iterable"),
        ([1], TypeError, "step 1: must be a dict, not int"),
        ([{}], TypeError, "step 1: the verb"),
        ([{"do": 1}], TypeError, "step 1: the verb"),
        ([{"do": "dance"}], ValueError, "step 1: there is no verb 'dance'"),
        ([{"do": "dan\0ce"}], ValueError, "step 1: there is no verb"),
        ([{"do": "\ud800"}], ValueError, "step 1: .* surrogates not allowed"),
        ([{"do": "hold"}, {"do": "send"}], TypeError, "step 2: send: the field 'data' is missing"),
        ([{"do": "hold", "data": b""}], TypeError, "step 1: hold: there is no field 'data'"),
        ([{"do": "hold", 7: b""}], TypeError, "step 1: hold: there is no field 7"),
        ([{"do": "accept"}], ValueError, "step 1: accept: the peer has no listening socket"),
        ([{"do": "connect"}], ValueError, "step 1: connect: the peer has no listening socket"),
        ([{"do": "echo"}], ValueError, "step 1: echo: no connection is open"),
        ([{"do": "pause", "seconds": -1}], ValueError, "step 1: pause: seconds: must be from 0 to 86400"),
        ([{"do": "pause", "seconds": float("nan")}], ValueError, "must be from 0 to 86400"),
        ([{"do": "pause", "seconds": float("inf")}], ValueError, "must be from 0 to 86400"),
        ([{"do": "pause", "seconds": 10**400}], ValueError, "step 1: pause: seconds: int too large"),
        ([{"do": "pause", "seconds": "x"}], TypeError, "step 1: pause: seconds: must be real number"),
        ([{"do": "receive", "size": -1}], ValueError, "step 1: receive: size: must be from 0 to"),
        ([{"do": "receive", "size": 2**62 + 1}], ValueError, "step 1: receive: size: must be from 0 to"),
        ([{"do": "receive", "size": 2**64}], ValueError, "step 1: receive: size: must be from 0 to"),
        ([{"do": "receive", "size": 1.5}], TypeError, "step 1: receive: size: 'float' object"),
        ([{"do": "send_pattern", "seed": -1, "size": 1}], ValueError, "send_pattern: seed: must be from 0 to"),
        ([{"do": "send_pattern", "seed": 1, "size": 2**62, "offset": 1}], ValueError, r"offset \+ size"),
        ([{"do": "send", "data": "text"}], TypeError, "step 1: send: data: a bytes-like object is required"),
        ([{"do": "send", "data": memoryview(b"abcd")[::2]}], ValueError, "step 1: send: data: .* not C-contiguous"),
        ([{"do": "send", "data": b"", "chunks": 3}], TypeError, "chunks: must be a tuple of sizes, not int"),
        ([{"do": "send", "data": b"", "chunks": (0,)}], ValueError, "chunks: must be from 1 to"),
        ([{"do": "send", "data": b"", "chunks": (1,) * 65_537}], ValueError, "at most 65536 sizes, not 65537"),
        ([{"do": "send", "data": b"", "more": 1}], TypeError, "more: must be True or False, not 1"),
        ([{"do": "send_ancillary", "data": b"", "descriptors": 254}], ValueError, "must be from 0 to 253, not 254"),
        ([{"do": "accept", "count": 0}], ValueError, "count: must be from 1 to 100000, not 0"),
        ([{"do": "accept", "count": 100_001}], ValueError, "count: must be from 1 to 100000, not 100001"),
        ([{"do": "connect", "address": "x" * 108}], ValueError, "address: must be a path of 1 to 107 bytes"),
        ([{"do": "connect", "address": ""}], ValueError, "address: must be a path of 1 to 107 bytes"),
        ([{"do": "connect", "address": 7}], TypeError, r"must be \(IP address, port\) or a path, not 7"),
        ([{"do": "connect", "address": ("localhost", 1)}], ValueError, "IP address in numbers, not 'localhost'"),
        ([{"do": "connect", "address": (1, 1)}], ValueError, "IP address in numbers, not 1"),
        ([{"do": "connect", "address": ("::1", 65_536)}], ValueError, "from 0 to 65535, not 65536"),
        ([{"do": "connect", "address": ("::1",)}], TypeError, r"must be \(IP address, port\)"),
        ([{"do": "connect", "address": "x", "type": "raw"}], ValueError, "must be 'stream', 'datagram' or"),
        ([{"do": "buffers", "send": 2**31}], ValueError, "send: must be from 0 to 2147483647"),
        ([{"do": "hold"}] * 100_001, ValueError, "at most 100000 steps"),
        (itertools.repeat({"do": "hold"}), ValueError, "at most 100000 steps"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(script: object, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        faultkit.Peer(script)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"listen": "tcp", "pair": "tcp"}, ValueError, "only one of connection, listen, bind and pair"),
        ({"listen": "sctp"}, ValueError, r"listen must be one of \['tcp', 'tcp6', 'unix'\], not 'sctp'"),
        ({"bind": "tcp"}, ValueError, r"bind must be one of \['udp', 'udp6', 'unix'\], not 'tcp'"),
        ({"pair": ""}, ValueError, "pair must be one of"),
        ({"pair": "p\0"}, ValueError, "null character"),
        ({"deadline": -1}, ValueError, "from 0 to 86400 seconds, not -1"),
        ({"deadline": float("nan")}, ValueError, "from 0 to 86400 seconds, not nan"),
        ({"deadline": "soon"}, TypeError, "real number"),
        ({"listen": "tcp", "backlog": -1}, ValueError, "backlog: must be from 0 to 2147483647, not -1"),
        ({"listen": "tcp", "backlog": 2**31}, ValueError, "backlog: must be from 0 to"),
        ({"receive_buffer": 1}, ValueError, "for sockets that the peer makes"),
        ({"listen": "tcp", "receive_buffer": -1}, ValueError, "receive_buffer: must be from 0 to"),
        ({"pair": "pipe_sink", "receive_buffer": 1}, ValueError, "a pipe or terminal has no"),
        ({"connection": "x"}, TypeError, "fileno"),
        ({"connection": -1}, ValueError, "negative integer"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: dict[str, object], error: type[Exception], reason: str
) -> None:
    before = faultkit.descriptors()
    with pytest.raises(error, match=reason):
        faultkit.Peer([], **arguments)
    assert faultkit.descriptors() == before


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: faultkit.send(), "send: the field 'data' is missing"),
        (lambda: faultkit.send(b"", (1,)), "send: too many positional arguments"),
        (lambda: faultkit.send(b"", data=b""), "send: the field 'data' is given twice"),
        (lambda: faultkit.send(b"", do="x"), "send: the field 'do' is given twice or does not exist"),
        (lambda: faultkit.send(b"", nothing=1), "send: there is no field 'nothing'"),
        (lambda: faultkit.hold(1), "hold: too many positional arguments"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_where_it_is_made(call: object, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        call()


def test_a_wrong_byte_is_named_with_its_offset() -> None:
    ours, theirs = socket.socketpair()
    data = bytearray(faultkit.pattern(seed=3, size=100_000))
    data[70_000] ^= 1
    with ours, theirs:
        peer = faultkit.Peer([faultkit.expect_pattern(3, 100_000)], theirs)
        ours.sendall(data)
        with pytest.raises(AssertionError, match=r"step 1 of 1, expect_pattern\(.*offset 70000 of the pat"):
            peer.verify()
        assert peer.log[0].bytes == 70_000
    assert faultkit.verify_pattern(data, seed=3) == 70_000


@pytest.mark.parametrize(
    ("moved", "where"), [(10, "10 bytes too early .bytes are missing"), (-10, "10 bytes too late .bytes came again")]
)
def test_missing_and_repeated_bytes_are_recognised(moved: int, where: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = faultkit.Peer([faultkit.expect_pattern(3, 10_000)], theirs)
        ours.sendall(faultkit.pattern(3, 5000) + faultkit.pattern(3, 4000, offset=5000 + moved))
        with pytest.raises(AssertionError, match=f"offset 5000 of the pattern is wrong: .*{where}"):
            peer.verify()


def test_the_log_tells_when_and_how_much() -> None:
    script = [faultkit.send(b"abc"), faultkit.pause(0.01), faultkit.hold()]
    peer = faultkit.Peer(script, pair="unix")
    assert peer.wait(2)
    log = peer.log
    assert [entry[:3] for entry in log[:2]] == [(1, "send", "done"), (2, "pause", "done")]
    assert log[0].bytes == 3
    assert log[0].started <= log[0].ended <= log[1].started
    assert log[1].ended - log[1].started >= 0.01
    peer.stop()
    assert peer.log[2].state == "stopped"
    with pytest.raises(
        AssertionError, match=r"(?s)stopped in step 3 of 3, hold\(\).*\+0 us  step 1, send\(data=b'abc'\)"
    ):
        peer.verify()


def test_a_block_that_raises_stops_the_peer_and_raises_its_own() -> None:
    with pytest.raises(KeyError), faultkit.Peer([faultkit.hold()], deadline=3600) as peer:
        raise KeyError
    assert peer.ended


def test_a_wrong_byte_far_into_a_pattern_is_found_at_once() -> None:
    peer = faultkit.Peer([faultkit.expect_pattern(3, 100, offset=2**61)], pair="unix", deadline=3600)
    with socket.socket(fileno=peer.take()) as ours:
        ours.sendall(faultkit.pattern(3, 100, offset=2**61 + 100))
        with pytest.raises(AssertionError, match=f"offset {2**61} of the pattern is wrong: .*100 bytes too early"):
            peer.verify()
