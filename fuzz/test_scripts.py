"""Anything at all as the script and the arguments of a peer: a clear exception or a peer that ends, never more."""

import gc
import inspect
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import trustme
from hypothesis import given, target
from hypothesis import strategies as st

from loopproof import faultkit

VERBS = [
    name
    for name, function in vars(faultkit).items()
    if inspect.isbuiltin(function) and (function.__doc__ or "").startswith("Step:")
]
FIELDS = {verb: list(inspect.signature(getattr(faultkit, verb)).parameters) for verb in VERBS}
NEEDED = {
    verb: [
        name
        for name, field in inspect.signature(getattr(faultkit, verb)).parameters.items()
        if field.default is field.empty
    ]
    for verb in VERBS
}
LIFETIME = 0.005  # seconds
AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("localhost")


class Refusal(Exception):
    """What hostile values raise: it has to come out as it is."""


class Hostile:
    """A value whose every use runs code: it raises, or takes away what is being read."""

    def __init__(self, victims: list[Any], answer: object) -> None:
        self.victims = victims
        self.answer = answer

    def _strike(self) -> Any:
        for victim in self.victims:
            victim.clear()
        gc.collect()
        if self.answer is Refusal:
            raise Refusal
        return self.answer

    __index__ = __float__ = __fspath__ = __bool__ = __len__ = __hash__ = _strike

    def __repr__(self) -> str:
        return str(self._strike())

    def __iter__(self) -> Any:
        return iter([self._strike()])

    def __eq__(self, other: object) -> bool:
        return bool(self._strike())

    fileno = _strike


integers = st.one_of(
    st.integers(-2, 300),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**62, 2**62 + 1, 2**63, 2**64 - 1, 2**64, 10**400, -(10**400)]),
)
addresses = st.one_of(
    st.tuples(st.sampled_from(["127.0.0.1", "::1", "localhost", "", "1.2.3"]), st.sampled_from([1, -1, 65_536, "1"])),
    st.sampled_from(["", "/nowhere/at/all", "\0loopproof-fuzz", b"\xff/nowhere", "x" * 107, "x" * 108, "\ud800"]),
    st.lists(integers, max_size=5),
)
values = st.one_of(
    integers,
    st.none(),
    st.booleans(),
    st.floats(),
    st.binary(max_size=20),
    st.builds(bytes, st.integers(0, 100_000)),
    st.builds(bytearray, st.binary(max_size=20)),
    st.builds(lambda data: memoryview(data)[::2], st.binary(min_size=2, max_size=20)),
    st.text(max_size=5),
    st.lists(integers, max_size=5),
    st.lists(integers, max_size=5).map(tuple),
    addresses,
    st.sampled_from(["stream", "datagram", "seqpacket", complex(1), object(), Refusal, math.inf]),
    st.builds(Hostile, st.just([]), st.one_of(integers, st.text(max_size=3), st.just(Refusal))),
)


counts = st.sampled_from([1, 2, 3, 50])
times = st.sampled_from([0, 0.0001, 0.001, 86_400])
plausible: dict[str, st.SearchStrategy[Any]] = {
    "alpn": st.lists(st.sampled_from(["h2", "x" * 255]), max_size=3),
    "authority": st.sampled_from([b"", AUTHORITY.cert_pem.bytes()]),
    "certificate": st.sampled_from([LEAF.cert_chain_pems[0].bytes(), LEAF.cert_chain_pems[0].bytes()[:-40]]),
    "content_type": st.integers(0, 255),
    "description": st.integers(0, 255),
    "flights": st.integers(0, 3),
    "fragment": st.sampled_from([0, 1, 100, 16_384]),
    "key": st.just(LEAF.private_key_pem.bytes()),
    "level": st.integers(0, 255),
    "limit": st.integers(0, 1000),
    "mask": st.integers(0, 255),
    "message_type": st.integers(0, 255),
    "order": st.lists(st.integers(0, 2), max_size=4),
    "record": st.integers(0, 2),
    "request": st.booleans(),
    "request_certificate": st.booleans(),
    "resume": st.booleans(),
    "server_name": st.sampled_from(["", "localhost", "a" * 300]),
    "sizes": st.lists(st.sampled_from([1, 3, 70_000]), max_size=3),
    "tickets": st.sampled_from([0, 2, 1000]),
    "version": st.sampled_from(["", "1.2", "1.3"]),
    "address": st.one_of(st.none(), addresses),
    "chunks": st.lists(st.sampled_from([1, 3, 70_000, 2**40]), max_size=3),
    "count": counts,
    "credentials": st.booleans(),
    "data": st.binary(max_size=20),
    "descriptors": st.sampled_from([0, 1, 253]),
    "first": st.integers(0, 3),
    "local": st.sampled_from([None, "", ("127.0.0.1", 0), ("::1", 0)]),
    "more": st.booleans(),
    "offset": st.sampled_from([0, 1, 4095, 2**61]),
    "pause": times,
    "receive": st.sampled_from([0, 1, 2**31 - 1]),
    "receive_buffer": st.sampled_from([0, 1, 2**31 - 1]),
    "seconds": times,
    "seed": st.sampled_from([0, 1, 2**64 - 1]),
    "send": st.sampled_from([0, 1, 2**31 - 1]),
    "send_buffer": st.sampled_from([0, 1, 2**31 - 1]),
    "sender": st.one_of(st.none(), addresses),
    "size": st.sampled_from([0, 1, 3, 70_000, 300_000, 2**61]),
    "to": st.one_of(st.none(), addresses),
    "type": st.sampled_from(["stream", "datagram", "seqpacket"]),
    "urgent": st.booleans(),
}


def rarely(draw: st.DrawFn) -> bool:
    """Return True once in a while."""
    return draw(st.integers(0, 40)) == 40


@st.composite
def steps(draw: st.DrawFn) -> Any:
    """Draw a step that is more or less right."""
    if rarely(draw):
        return draw(st.one_of(values, st.dictionaries(st.text(max_size=3), values, max_size=3)))
    verb = draw(st.sampled_from(VERBS))
    step: dict[Any, Any] = {"do": verb}
    for field in FIELDS[verb]:
        if rarely(draw):
            step[field] = draw(values)
        elif field in NEEDED[verb] or draw(st.booleans()):
            step[field] = draw(plausible[field])
    if rarely(draw):
        step[draw(st.one_of(st.text(max_size=3), st.integers()))] = draw(values)
    return step


@st.composite
def scripts(draw: st.DrawFn) -> Any:
    """Draw a script that begins with what most scripts begin with."""
    if rarely(draw):
        return draw(values)
    beginnings = [[], [faultkit.accept()], [faultkit.connect(count=2)], [faultkit.connect(), faultkit.accept()]]
    return draw(st.sampled_from(beginnings)) + draw(st.lists(steps(), max_size=5))


@st.composite
def origins(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a peer starts with."""
    choices = {
        "listen": ["tcp", "tcp6", "unix"],
        "bind": ["udp", "udp6", "unix"],
        "pair": ["tcp", "unix", "datagram", "pipe_source", "pipe_sink", "pty_master", "pty_terminal"],
    }
    kind = draw(st.sampled_from(["listen", "listen", "bind", "pair", "pair"]))
    origin: dict[str, Any] = {kind: draw(st.sampled_from(choices[kind]))}
    for name in ("backlog", "receive_buffer", "send_buffer"):
        if rarely(draw):
            origin[name] = draw(values)
    if rarely(draw):  # not a number that is a descriptor of somebody else
        origin["connection"] = draw(values.filter(lambda value: not isinstance(value, (int, Hostile))))
    return origin


uses = st.lists(
    st.sampled_from(["join", "wait", "stop", "release", "verify", "log", "script", "repr", "take", "address"]),
    max_size=6,
)


def use(peer: faultkit.Peer, name: str, outcomes: Counter[str]) -> None:
    """Do something with a peer that may have ended in any way."""
    try:
        if name == "wait":
            peer.wait(len(peer.script), timeout=0)
        elif name == "take":
            os.close(peer.take())
        elif name == "repr":
            assert repr(peer)
        elif name in ("log", "script", "address"):
            getattr(peer, name)
        else:
            getattr(peer, name)()
        outcomes[name] += 1
    except (AssertionError, ValueError, Refusal, TypeError) as error:
        outcomes[f"{name}: {type(error).__name__}"] += 1


def test_scripts(repeat: Callable[[Callable[[], None]], None]) -> None:
    """Nothing but clear exceptions; no thread and no descriptor is left, and every peer ends in time."""
    outcomes: Counter[str] = Counter()
    gc.collect()
    before = faultkit.descriptors(), faultkit.threads()

    @given(scripts(), origins(), uses)
    def run(script: Any, origin: dict[str, Any], names: list[str]) -> None:
        for step in script if isinstance(script, list) else []:
            for value in step.values() if isinstance(step, dict) else []:
                if isinstance(value, Hostile):
                    value.victims = [step, script] if isinstance(script, list) else []
        began = time.monotonic()
        try:
            peer = faultkit.Peer(script, deadline=LIFETIME, **origin)
        except (ValueError, TypeError, OSError, Refusal) as error:
            outcomes[f"Peer: {type(error).__name__}"] += 1
            return
        outcomes["Peer"] += 1
        for name in names:
            use(peer, name, outcomes)
        peer.join()
        target(len(peer.log), label="steps that have begun")
        assert time.monotonic() - began < 60

    repeat(run)
    gc.collect()
    assert (faultkit.descriptors(), faultkit.threads()) == before
    assert outcomes["Peer"] > 100
    assert outcomes["Peer: ValueError"] > 10
    assert outcomes["Peer: TypeError"] > 10
    print(dict(outcomes.most_common()))
