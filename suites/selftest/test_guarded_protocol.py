"""The buffered protocol with guarded buffers: loops that behave get their bytes, others are told what they did."""

import asyncio
import ctypes
from collections.abc import Callable

import pytest

from loopproof.authoring.guarded import SUPPLIES, BufferHistory, GuardedBufferedProtocol, Supply
from loopproof.faultkit import Peer, accept, close, pattern, send_pattern

LOOPS = {"asyncio": "SelectorEventLoop", "uvloop": "new_event_loop", "rloop": "new_event_loop"}
SIZE = 100_000


def factory_of(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    module = pytest.importorskip(loop)
    factory: Callable[[], asyncio.AbstractEventLoop] = getattr(module, LOOPS[loop])
    return factory


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # rloop leaves those that wake it up
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("supply", SUPPLIES)
def test_loops_cope_with_every_manner_of_supply(loop: str, supply: str) -> None:
    size = 3000 if SUPPLIES[supply].size == 1 else SIZE
    protocol = GuardedBufferedProtocol(SUPPLIES[supply])

    async def main(peer: Peer) -> None:
        await asyncio.get_running_loop().create_connection(lambda: protocol, *peer.address)
        await asyncio.wait_for(protocol.closed.wait(), 60)

    script = [accept(), send_pattern(7, size, chunks=(1, 1460, 70_000)), close()]
    with Peer(script, listen="tcp") as peer, asyncio.Runner(loop_factory=factory_of(loop)) as runner:
        runner.run(main(peer))
    assert protocol.history.received == pattern(7, size)
    protocol.history.check()
    handed_out = {event.arguments[1] for event in protocol.history.events if event.name == "get_buffer"}
    assert handed_out == {SUPPLIES[supply].size}


def driven(supply: Supply) -> GuardedBufferedProtocol:
    protocol = GuardedBufferedProtocol(supply)
    protocol.connection_made(None)
    return protocol


def test_buffers_are_fresh_or_the_same() -> None:
    fresh, same = driven(SUPPLIES["fresh"]), driven(SUPPLIES["same"])
    assert fresh.get_buffer(-1) is not fresh.get_buffer(-1)
    assert same.get_buffer(-1) is same.get_buffer(-1)
    with pytest.raises(ValueError, match="handed out again"):
        Supply(fresh=False, revoked=True)


def test_a_loop_that_keeps_an_export_is_told() -> None:
    protocol = driven(SUPPLIES["fresh"])
    kept = memoryview(protocol.get_buffer(-1))
    protocol.buffer_updated(1)
    assert protocol.history.violations() == ["connection_lost() was not called"]
    protocol.connection_lost(None)
    (violation,) = protocol.history.violations()
    assert violation.startswith("the loop keeps 1 exports of 'get_buffer() 1': ")
    assert "test_a_loop_that_keeps_an_export" in violation
    kept.release()
    assert protocol.history.violations() == []


def test_an_export_is_not_forgotten_among_many_buffers() -> None:
    protocol = driven(SUPPLIES["one byte"])
    kept = memoryview(protocol.get_buffer(-1))
    for _ in range(200):
        protocol.get_buffer(-1)
    (violation,) = [line for line in protocol.history.violations() if "keeps" in line]
    assert "'get_buffer() 1'" in violation
    kept.release()


def test_a_loop_that_writes_around_the_data_is_told() -> None:
    protocol = driven(SUPPLIES["one byte"])
    buffer = protocol.get_buffer(-1)
    ctypes.memset(buffer.address - 1, 0, 1)
    protocol.buffer_updated(1)
    assert "guarded buffer 'get_buffer() 1': something was written at offset -1 (size 1)" in (
        protocol.history.violations()
    )


@pytest.mark.parametrize("supply", ["fresh", "revoked"])
def test_an_update_without_a_buffer_is_a_violation(supply: str) -> None:
    protocol = driven(SUPPLIES[supply])
    protocol.buffer_updated(1)
    protocol.get_buffer(-1)
    protocol.buffer_updated(1)
    protocol.buffer_updated(1)
    found = protocol.history.violations()
    assert found.count("buffer_updated() was called without get_buffer()") == 2


def test_histories_can_be_given() -> None:
    history = BufferHistory(ends=False)
    assert GuardedBufferedProtocol(history=history).history is history
