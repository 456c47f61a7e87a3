"""Peers that speak TLS: what they send when all is well, at the end, and when nothing is, as Python's ssl sees it."""

import re

import pytest
import tls_ours
from tls_ours import Steps, both_roles, both_versions, facing

from loopproof.faultkit import (
    close,
    drain,
    expect,
    reset,
    send,
    shutdown,
    tls_alert,
    tls_arrange,
    tls_close_notify,
    tls_cork,
    tls_corrupt,
    tls_cut,
    tls_expect_alert,
    tls_expect_close_notify,
    tls_expect_truncation,
    tls_forget,
    tls_handshake,
    tls_raw,
    tls_record,
    tls_segments,
    tls_tickets,
    tls_uncork,
)

DATA, HANDSHAKE = 23, 22


@both_roles
@both_versions
def test_data_goes_both_ways(role: str, version: str) -> None:
    script = [tls_handshake(), send(b"to you"), expect(b"to me"), tls_close_notify(), tls_expect_close_notify()]
    with facing(role, script, version=version) as ours:
        assert ours.shake_hands() == ""
        assert ours.tls.version() == f"TLSv{version}"
        assert ours.read() == b"to you"
        ours.write(b"to me")
        assert ours.read_to_end() == (b"", "close_notify")
        ours.close_notify()


GO = expect(b"go")  # also receives the tickets of a server: what is not received makes of a close() a reset

ENDINGS: dict[str, tuple[Steps, bytes, str]] = {
    "close_notify, end": ([send(b"x"), tls_close_notify(), close()], b"x", "close_notify"),
    "end": ([send(b"x"), close()], b"x", "truncated"),
    "end of sending": ([send(b"x"), shutdown(), tls_forget(), drain()], b"x", "truncated"),
    "reset": ([reset()], b"", "reset"),
    "close_notify, records": ([tls_close_notify(), send(b"late"), close()], b"", "close_notify"),
    "close_notify, raw bytes": ([tls_close_notify(), tls_raw(b"late"), close()], b"", "close_notify"),
    "close_notify, half open": ([tls_close_notify(), expect(b"more"), tls_expect_truncation()], b"", "close_notify"),
    "half a record": ([tls_cork(), send(b"xyz"), tls_cut(0, 7), tls_uncork(), close()], b"", "truncated"),
    "fatal alert": ([tls_alert(40), close()], b"", "ALERT_HANDSHAKE_FAILURE"),
    "internal error": ([tls_alert(80), close()], b"", "ALERT_INTERNAL_ERROR"),
    "unknown alert": ([tls_alert(217), close()], b"", "."),
    "alert of an unknown level": ([tls_alert(40, level=7), close()], b"", "UNKNOWN_ALERT_TYPE|ALERT_HANDSHAKE_FAILURE"),
}


@both_roles
@both_versions
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stream_ends_in_every_way(role: str, version: str, ending: str) -> None:
    script, data, expected = ENDINGS[ending]
    with facing(role, [tls_handshake(), GO, *script], version=version) as ours:
        assert ours.shake_hands() == ""
        ours.write(b"go")
        received, seen = ours.read_to_end()
        if expect(b"more") in script:
            ours.write(b"more")
        ours.end()
    assert received == data
    assert re.search(expected, seen), seen


RECORDS: dict[str, tuple[Steps, str, int]] = {
    "corrupted": ([tls_cork(), send(b"x"), tls_corrupt(0, 20, mask=1), tls_uncork()], "BAD_RECORD_MAC", 20),
    "reordered": ([tls_cork(), send(b"x"), send(b"y"), tls_arrange((1, 0)), tls_uncork()], "BAD_RECORD_MAC", 20),
    "repeated": ([tls_cork(), send(b"x"), tls_arrange((0, 0)), tls_uncork()], "BAD_RECORD_MAC", 20),
    "dropped": ([tls_cork(), send(b"x"), send(b"y"), tls_arrange((1,)), tls_uncork()], "BAD_RECORD_MAC", 20),
    "oversized": ([tls_record(DATA, bytes(16_385))], "TOO_LONG", 22),
    "oversized by its header": ([tls_raw(b"\x17\x03\x03\xff\xff")], "TOO_LONG", 22),
    "of no known type": ([tls_record(99, b"x")], "RECORD", 10),
    "of no known message": ([tls_record(HANDSHAKE, b"\x63\0\0\0")], "UNEXPECTED_MESSAGE", 10),
    "garbage": ([tls_raw(b"GET / HTTP/1.0\r\n\r\n")], "WRONG_VERSION_NUMBER|RECORD|HTTP", 0),
}


@both_roles
@both_versions
@pytest.mark.parametrize("wrong", RECORDS)
def test_a_wrong_record_is_told_as_such(role: str, version: str, wrong: str) -> None:
    script, expected, alert = RECORDS[wrong]
    answer = [tls_expect_alert(alert)] if alert else []
    with facing(role, [tls_handshake(), *script, *answer], version=version) as ours:
        assert ours.shake_hands() == ""
        received, seen = ours.read_to_end()
    assert set(received) <= set(b"x")
    assert re.search(f"{expected}|RECORD_LAYER_FAILURE", seen), (
        seen
    )  # since OpenSSL 3.2, which tells by the alert alone


@both_roles
@both_versions
def test_an_empty_record_is_none(role: str, version: str) -> None:
    script = [tls_handshake(), tls_record(DATA, b""), send(b""), send(b"x"), tls_close_notify()]
    with facing(role, script, version=version) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"x", "close_notify")


@both_roles
@both_versions
def test_every_byte_comes_by_itself(role: str, version: str) -> None:
    script = [tls_segments((1,)), tls_handshake(), send(b"whole"), tls_close_notify()]
    with facing(role, script, version=version) as ours:
        assert ours.shake_hands() == ""
        assert ours.read_to_end() == (b"whole", "close_notify")
        assert ours.data_segments() >= 10  # more only as fast as they are acknowledged


@both_versions
def test_records_are_cut_where_the_script_says(version: str) -> None:
    script = [tls_handshake(), tls_segments((3, 1 << 20)), tls_cork(), send(b"whole"), send(b"too"), expect(b"go")]
    script += [tls_uncork(), tls_close_notify(), expect(b"stop")]
    with facing("server", script, version=version) as ours:
        assert ours.shake_hands() == ""
        before = ours.data_segments()
        ours.write(b"go")
        assert ours.read_to_end() == (b"wholetoo", "close_notify")
        assert ours.data_segments() - before >= 4
        ours.write(b"stop")


@both_versions
def test_several_records_come_in_one_segment(version: str) -> None:
    extra = [tls_tickets(2)] if version == "1.3" else []
    script = [tls_handshake(), expect(b"go"), tls_cork(), *extra, send(b"one"), send(b"two"), tls_close_notify()]
    with facing("server", [*script, tls_uncork()], version=version, tickets=0) as ours:
        assert ours.shake_hands() == ""
        ours.write(b"go")
        assert ours.read_to_end() == (b"onetwo", "close_notify")
        assert len(tls_ours.records(ours.segments[-1])) == 3 + 2 * len(extra)
