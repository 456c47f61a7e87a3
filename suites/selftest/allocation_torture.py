"""A scene on a loop, once for each allocation in it, which then fails.

``allocation_torture.py LOOP SCENE DOMAIN COUNT`` prints a JSON list: for allocation 1, 2, ... of the scene what became
of it when that one failed (and COUNT - 1 more after it), each in a fork of its own: how many failed, and the outcome.
"""

import faulthandler
import gc
import json
import logging
import os
import signal
import sys
import tempfile
from typing import Any, Literal

import allocation_scenes

from loopproof import faultkit
from loopproof.loops import LoopSpec

DEADLINE = 30


class Callbacks:
    """Callbacks, timers, watched descriptors and runs of one loop: no tasks and no functions made on the way.

    In 3.12 and 3.13 both break CPython itself when they find no memory.
    """

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._reading, self._writing = os.pipe()

    def play(self) -> None:
        self.loop = self._factory()
        self.loop.set_exception_handler(self.stop)
        self.done = self.loop.create_future()
        self.loop.call_soon(self.nothing)
        self.loop.call_soon_threadsafe(self.nothing, 1, 2, 3, 4)
        self.loop.call_at(self.loop.time() + 1000, self.nothing).cancel()
        self.loop.call_later(0, self.watch)
        self.loop.run_until_complete(self.done)
        self.loop.close()

    def stop(self, *_: object) -> None:
        self.loop.stop()

    def nothing(self, *_: object) -> None:
        pass

    def watch(self) -> None:
        self.loop.add_reader(self._reading, self.read)
        self.loop.add_writer(self._writing, self.write)

    def write(self) -> None:
        os.write(self._writing, b"x")
        self.loop.remove_writer(self._writing)

    def read(self) -> None:
        os.read(self._reading, 1)
        self.loop.remove_reader(self._reading)
        self.done.set_result(None)

    def end(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()
        self.__dict__.pop("done", None)
        self.__dict__.pop("loop", None)
        os.close(self._reading)
        os.close(self._writing)


def scene_of(name: str, factory: Any) -> Any:
    return Callbacks(factory) if name == "callbacks" else allocation_scenes.Play(name, factory)


def left_over() -> set[str]:
    """The types of the objects of refloop's core that are left.

    Not the loop itself: a coroutine of which the interpreter cannot make a cell it loses, with all that it refers to.
    """
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    return {kind.__qualname__ for kind in kinds if kind.__module__ == "refloop._core"}


def attempt(name: str, factory: Any, faults: faultkit.AllocationFaults) -> str:
    """Play the scene; say how that ended, and what was wrong afterwards. Callbacks are played again, without faults."""
    scene = scene_of(name, factory)
    outcome = "passed"
    try:
        with faults:
            scene.play()
    except (MemoryError, RuntimeError, SystemError, TypeError) as error:  # the last two are CPython's own, as of stat()
        outcome = type(error).__name__
    scene.end()
    del scene
    left = left_over()
    if name == "callbacks":
        again = scene_of(name, factory)
        again.play()
        again.end()
    return outcome + (f", left over: {left}" if left else "")


def forked(name: str, factory: Any, first: int | None, count: int, domain: Any) -> tuple[int, int, str]:
    """Return the allocations seen and failed, and the outcome."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(errors.fileno(), 2)
            faulthandler.enable(2)
            signal.alarm(DEADLINE)
            before = faultkit.descriptors()
            thread: Literal["any"] | None = "any" if name in allocation_scenes.EVERY_THREAD else None
            faults = faultkit.AllocationFaults(first=first, count=count, domain=domain, thread=thread)
            try:
                outcome = attempt(name, factory, faults)
                left = set(faultkit.descriptors()) - set(before)
                outcome += f", left open: {left}" if left else ""
            except BaseException as error:
                outcome = f"{type(error).__name__} afterwards: {error}"
            os.write(writing, json.dumps((faults.seen, faults.failed, outcome)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            errors.seek(0)
            words = errors.read().decode(errors="replace")
            return 0, 0, f"{signal.Signals(os.WTERMSIG(status)).name}\n{words}"
    seen, failed, outcome = json.loads(answer)
    return seen, failed, outcome


def main(loop: str, name: str, domain: Literal["raw", "mem", "object", "any"], count: str) -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    factory = LoopSpec.parse(loop).resolve()
    for _ in range(3):  # the first runs fill caches, and import what is imported late
        attempt(name, factory, faultkit.AllocationFaults())
    gc.collect()
    gc.freeze()  # what is here now is not looked at again
    gc.disable()  # a collection counts what other cases of the process have left
    total, _, outcome = forked(name, factory, None, 1, domain)
    assert outcome.startswith("passed"), outcome
    print(json.dumps([forked(name, factory, first, int(count), domain)[1:] for first in range(1, total + 1)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
