"""Handshakes of peers that speak TLS: in part, in pieces, again, and what is negotiated in them."""

import itertools
import re
import socket
import ssl

import pytest
import tls_ours
from tls_ours import CERTIFICATE, KEY, Ours, both_roles, both_versions, facing

from loopproof import faultkit
from loopproof.faultkit import (
    accept,
    close,
    connect,
    drain,
    expect,
    reset,
    send,
    shutdown,
    tls_client,
    tls_close_notify,
    tls_cork,
    tls_early_data,
    tls_expect_alert,
    tls_expect_message,
    tls_forget,
    tls_handshake,
    tls_key_update,
    tls_renegotiate,
    tls_server,
    tls_uncork,
)

CHANGE_CIPHER_SPEC, HANDSHAKE, DATA = 20, 22, 23
CLIENT_HELLO, FINISHED, KEY_UPDATE = 1, 20, 24


def test_data_come_with_the_handshake() -> None:
    script = [tls_cork(), tls_handshake(flights=1), send(b"early"), tls_uncork(), tls_handshake(), expect(b"go")]
    with facing("server", script, version="1.3") as ours:
        assert ours.shake_hands() == ""
        assert len(ours.segments) == 1
        assert ours.read() == b"early"
        ours.write(b"go")


# Which side sends how many flights that the other waits for, by version: tickets of TLS 1.3 are none.
FLIGHTS = [("server", "1.2", 1), ("server", "1.2", 2), ("server", "1.3", 1)]
FLIGHTS += [("client", version, flight) for version in ("1.2", "1.3") for flight in (1, 2)]


@pytest.mark.parametrize(("role", "version", "flight"), FLIGHTS)
@pytest.mark.parametrize("end", ["close", "reset", "shutdown"])
def test_a_handshake_ends_before_each_flight(role: str, version: str, flight: int, end: str) -> None:
    ends = {"close": [close()], "reset": [reset()], "shutdown": [shutdown(), tls_forget(), drain()]}
    if flight == 1:
        handshake = [tls_cork(), tls_handshake(flights=1)] if role == "server" else []
    else:
        handshake = [tls_handshake(flights=1), tls_cork(), tls_expect_message(16 if role == "server" else 2)]
    with facing(role, [*handshake, *ends[end]], version=version) as ours:
        seen = ours.shake_hands()
        ours.end()
    assert seen == ("reset" if end == "reset" else "truncated")


@both_roles
@both_versions
@pytest.mark.parametrize("limit", [1, 5, 6, 100])
def test_a_handshake_stops_at_a_byte(role: str, version: str, limit: int) -> None:
    with facing(role, [tls_handshake(limit=limit), shutdown(), tls_forget(), drain()], version=version) as ours:
        assert ours.shake_hands() == "truncated"
        ours.end()
        assert sum(map(len, ours.segments)) == limit


@both_roles
@both_versions
def test_a_handshake_goes_on_where_it_stopped(role: str, version: str) -> None:
    script = [tls_handshake(limit=7), tls_handshake(flights=1), tls_handshake(), send(b"x"), tls_close_notify()]
    with facing(role, script, version=version) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")


@both_roles
@both_versions
@pytest.mark.parametrize("fragment", [1, 100])
def test_handshake_messages_come_in_many_records(role: str, version: str, fragment: int) -> None:
    script = [tls_handshake(), send(b"x"), tls_close_notify()]
    with facing(role, script, version=version, fragment=fragment) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")
        every = tls_ours.records(b"".join(ours.segments))
        plain = list(itertools.takewhile(lambda record: record[0] == HANDSHAKE, every))
        assert max(map(len, plain)) == 5 + fragment


@both_versions
def test_a_chain_of_certificates_is_longer_than_a_record(version: str) -> None:
    chain = CERTIFICATE + b"".join(tls_ours.trustme.CA().cert_pem.bytes() for _ in range(50))
    script = [accept(), tls_server(chain, KEY, version=version), tls_handshake(), send(b"x"), tls_close_notify()]
    with faultkit.Peer(script, listen="tcp", deadline=60) as peer, Ours(socket.create_connection(peer.address)) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")
        assert sum(map(len, ours.segments)) > 20_000
        assert max(map(len, tls_ours.records(b"".join(ours.segments)))) > 16_000


def test_a_plain_request_takes_the_place_of_the_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = [connect(listener.getsockname()), send(b"GET / HTTP/1.0\r\n\r\n"), drain()]
        with faultkit.Peer(script, deadline=60), Ours(listener.accept()[0], server=True) as ours:
            assert ours.shake_hands() == "HTTP_REQUEST"


@both_versions
@pytest.mark.parametrize("agrees", [True, False])
def test_a_new_handshake_is_asked_for(version: str, agrees: bool) -> None:
    context = tls_ours.client_context()
    if not agrees:
        context.options |= ssl.OP_NO_RENEGOTIATION
    answer = [tls_expect_message(CLIENT_HELLO), tls_expect_message(CLIENT_HELLO), tls_expect_message(FINISHED)]
    script = [tls_handshake(), tls_renegotiate(), *(answer if agrees else [tls_expect_alert(100)])]
    if version == "1.3":
        with (
            pytest.raises(AssertionError, match=r"step 4 of .*only after a handshake of TLS 1\.2"),
            facing("server", script, context, version=version) as ours,
        ):
            assert ours.shake_hands() == ""
        return
    with facing("server", [*script, send(b"x"), tls_close_notify()], context, version=version) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")


def test_a_client_that_asks_for_a_new_handshake_is_refused() -> None:
    script = [tls_handshake(), tls_renegotiate(), tls_expect_alert(100), send(b"x"), tls_close_notify()]
    with facing("client", script, version="1.2") as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")


@both_versions
def test_keys_are_updated(version: str) -> None:
    script = [tls_handshake(), tls_key_update(), send(b"new"), tls_key_update(request=True), send(b"newer")]
    script += [expect(b"go"), tls_expect_message(KEY_UPDATE), expect(b"on"), tls_close_notify()]
    if version == "1.2":
        with (
            pytest.raises(AssertionError, match=r"step 4 of .*only after a handshake of TLS 1\.3"),
            facing("server", script, version=version) as ours,
        ):
            assert ours.shake_hands() == ""
        return
    for role in ("server", "client"):
        with facing(role, script, version=version) as ours:
            assert ours.shake_hands() == ""
            received = ours.read()
            while received != b"newnewer":
                received += ours.read()
            ours.write(b"go")
            ours.write(b"on")
            assert ours.read_to_end() == (b"", "close_notify")


@both_roles
@both_versions
@pytest.mark.parametrize(("protocols", "chosen"), [(["h3", "http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2")])
def test_a_protocol_is_chosen(role: str, version: str, protocols: list[str], chosen: str) -> None:
    context = tls_ours.client_context() if role == "server" else tls_ours.server_context()
    context.set_alpn_protocols(protocols)
    with facing(role, [tls_handshake()], context, version=version, alpn=("h2", "http/1.1")) as ours:
        assert ours.shake_hands() == ""
        assert ours.tls.selected_alpn_protocol() == chosen


@both_versions
def test_a_client_with_no_protocol_of_ours_is_refused(version: str) -> None:
    context = tls_ours.client_context()
    context.set_alpn_protocols(["h3"])
    with (
        pytest.raises(AssertionError, match=r"step 3 of 4, tls_handshake\(\): TLS: no application protocol"),
        facing("server", [tls_handshake()], context, version=version, alpn=("h2",)) as ours,
    ):
        assert "no application protocol" in ours.shake_hands().lower().replace("_", " ")


@both_versions
def test_a_server_insists_on_its_name(version: str) -> None:
    with facing("server", [tls_handshake()], version=version, server_name="localhost") as ours:
        assert ours.shake_hands() == ""
    with (
        pytest.raises(AssertionError, match=r"step 3 of 4, tls_handshake\(\): TLS: "),
        facing("server", [tls_handshake()], version=version, server_name="elsewhere") as ours,
    ):
        assert "UNRECOGNIZED_NAME" in ours.shake_hands()


@both_versions
def test_a_client_sends_a_name_and_wants_it_certified(version: str) -> None:
    seen = []
    context = tls_ours.server_context()
    context.sni_callback = lambda _tls, name, _context: seen.append(name)
    with (
        pytest.raises(AssertionError, match=r"step 3 of 4, tls_handshake\(\): TLS: certificate verify failed"),
        facing("client", [tls_handshake()], context, version=version, server_name="elsewhere") as ours,
    ):
        failed = ours.shake_hands() or ours.read_to_end()[1]  # TLS 1.3: the server is done before the client is
        assert re.search("ALERT_BAD_CERTIFICATE|CERTIFICATE_UNKNOWN", failed)
    assert seen == ["elsewhere"]


@both_roles
@both_versions
def test_who_has_no_right_certificate_is_refused(role: str, version: str) -> None:
    other = tls_ours.OTHER_AUTHORITY.cert_pem.bytes()
    settings = {"request_certificate": True} if role == "server" else {}
    with (
        pytest.raises(AssertionError, match=r"step 3 of 4, tls_handshake\(\): TLS: .*certificate"),
        facing(role, [tls_handshake()], version=version, authority=other, **settings) as ours,
    ):
        assert re.search("ALERT", ours.shake_hands() or ours.read_to_end()[1])


@both_roles
@both_versions
def test_certificates_of_both_sides_are_checked(role: str, version: str) -> None:
    if role == "server":
        context, settings = tls_ours.client_context(), {"request_certificate": True, "authority": tls_ours.TRUST}
        tls_ours.LEAF.configure_cert(context)
    else:
        context, settings = tls_ours.server_context(), {"certificate": CERTIFICATE, "key": KEY}
        context.load_verify_locations(cadata=tls_ours.TRUST.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    with facing(role, [tls_handshake()], context, version=version, **settings) as ours:
        assert ours.shake_hands() == ""
        certificate = ours.tls.getpeercert()
        assert certificate
        assert ("DNS", "localhost") in certificate["subjectAltName"]


@both_versions
@pytest.mark.parametrize("tickets", [0, 1, 3])
def test_tickets_are_given_or_not(version: str, tickets: int) -> None:
    script = [tls_handshake(), send(b"x"), tls_close_notify()]
    with facing("server", script, version=version, tickets=tickets) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")
        session = ours.tls.session
    assert session is not None
    assert session.has_ticket is (tickets > 0)


@both_versions
@pytest.mark.parametrize("early", [True, False])
def test_a_session_is_resumed_with_and_without_early_data(version: str, early: bool) -> None:
    context = tls_ours.server_context()
    begin = [tls_early_data(b"early")] if early and version == "1.3" else []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        script = [connect(address), tls_client(version=version), tls_handshake(), expect(b"go"), close()]
        script += [connect(address), tls_client(version=version, resume=True), *begin, tls_handshake(), send(b"x")]
        with faultkit.Peer([*script, tls_close_notify()], deadline=60) as peer:
            with Ours(listener.accept()[0], context, server=True) as ours:
                assert ours.shake_hands() == ""
                assert not ours.tls.session_reused
                ours.write(b"go")
                assert ours.read_to_end() == (b"", "truncated")
            with Ours(listener.accept()[0], context, server=True) as ours:
                assert ours.shake_hands() == ""
                assert ours.tls.session_reused
                assert ours.read_to_end() == (b"x", "close_notify")  # Python's ssl refuses early data
                sent = tls_ours.records(b"".join(ours.segments))
                peer.join()
    before_hello = [record[0] for record in sent[: 3 if begin else 1]]
    assert before_hello == ([HANDSHAKE, CHANGE_CIPHER_SPEC, DATA] if begin else [HANDSHAKE])


def test_there_has_to_be_a_session_to_resume() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(AssertionError, match=r"step 1 of 1, .*: there is no session to resume"):
            faultkit.Peer([tls_client(resume=True)], theirs, deadline=60).verify()
        with pytest.raises(AssertionError, match=r"step 2 of 2, .*: TLS: early data begin a handshake"):
            faultkit.Peer([tls_client(), tls_early_data(b"x")], theirs, deadline=60).verify()
