"""repr: a loop shows in which state it is."""

import asyncio
from collections.abc import Callable

from loopproof.authoring import Background, loop_in_thread, requires

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@requires("LIFE-REPR-01")
def test_repr_works_in_every_state(new_loop: NewLoop) -> None:
    """repr() is a text on a loop that is fresh, running, stopped, closed, and while it runs elsewhere."""
    loop = new_loop()
    texts = [repr(loop), str(loop)]
    loop.call_soon(lambda: texts.append(repr(loop)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    texts.append(repr(loop))
    with loop_in_thread(loop):
        texts.append(repr(loop))
    loop.close()
    texts.append(repr(loop))
    with Background(repr, loop) as elsewhere:
        pass
    texts.append(elsewhere.result)
    assert all(isinstance(text, str) and text for text in texts)


@requires("LIFE-REPR-01")
def test_repr_tells_running_from_not_running(loop: asyncio.AbstractEventLoop) -> None:
    """The repr() of a loop differs between running and not running."""
    running: list[str] = []
    before = repr(loop)
    loop.call_soon(lambda: running.append(repr(loop)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert running[0] != before, f"running or not, it is {before}"
    assert repr(loop) == before, "after the run the text is not as before it"


@requires("LIFE-REPR-01")
def test_repr_tells_closed_from_open(new_loop: NewLoop) -> None:
    """The repr() of a loop differs between open and closed."""
    loop = new_loop()
    before = repr(loop)
    loop.close()
    assert repr(loop) != before, f"closed or not, it is {before}"


@requires("LIFE-REPR-01")
def test_repr_tells_debug_mode(loop: asyncio.AbstractEventLoop) -> None:
    """The repr() of a loop differs between debug mode on and off."""
    loop.set_debug(False)
    before = repr(loop)
    loop.set_debug(True)
    assert repr(loop) != before, f"in debug mode or not, it is {before}"
    loop.set_debug(False)
    assert repr(loop) == before
