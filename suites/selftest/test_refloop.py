"""refloop beside what the suite proves of it: names, policy, interpreters, garbage, signals while it sleeps."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import refloop
from refloop import _core

HANGS = 120  # seconds after which a program is taken for one that would never end


def run_program(source: str, *options: str) -> str:
    """What a program prints; it has to end well."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", *options, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=HANGS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def collected(ref: "weakref.ref[Any]") -> bool:
    gc.collect()
    return ref() is None


def test_a_new_loop_is_an_asyncio_loop() -> None:
    loop = refloop.new_event_loop()
    assert isinstance(loop, refloop.Loop)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    loop.close()


def test_run_returns_the_result_and_closes_the_loop() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    loop = refloop.run(main(), debug=True)
    assert type(loop) is refloop.Loop
    assert loop.get_debug()
    assert loop.is_closed()


def test_run_raises_what_the_coroutine_raises() -> None:
    async def main() -> None:
        raise LookupError("from the coroutine")

    with pytest.raises(LookupError, match="from the coroutine"):
        refloop.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="policies are gone")
@pytest.mark.filterwarnings("ignore:.*polic:DeprecationWarning")
def test_install_makes_it_the_loop_of_asyncio() -> None:
    before = asyncio.get_event_loop_policy()
    refloop.install()
    try:
        assert isinstance(asyncio.get_event_loop_policy(), refloop.EventLoopPolicy)
        loop = asyncio.new_event_loop()
    finally:
        asyncio.set_event_loop_policy(before)
    assert type(loop) is refloop.Loop
    loop.close()


def test_the_import_warns_of_nothing() -> None:
    assert run_program("import refloop; print(refloop.libuv_version)", "-W", "error").strip() == _core.libuv_version


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = refloop.no_such_name


def test_a_second_copy_of_the_module_works_beside_the_first() -> None:
    printed = run_program("""
        import asyncio, gc, sys
        import refloop as first

        for name in [name for name in sys.modules if name.partition(".")[0] == "refloop"]:
            del sys.modules[name]
        import refloop as second

        assert first._core is not second._core and first.Loop is not second.Loop

        async def main():
            asyncio.get_running_loop().call_soon(int)
            await asyncio.sleep(0.001)
            return type(asyncio.get_running_loop())

        assert first.run(main()) is first.Loop and second.run(main()) is second.Loop
        del first
        gc.collect()
        assert second.run(main()) is second.Loop
        print("fine")
    """)
    assert printed == "fine\n"


def test_it_runs_in_several_interpreters() -> None:
    """Each has a loop of its own; the interpreter that ends takes nothing away from the others."""
    printed = run_program("""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters

        SOURCE = '''if True:
            import asyncio, refloop

            async def main():
                await asyncio.sleep(0.001)

            refloop.run(main())
            left_open = refloop.new_event_loop()
            left_open.call_soon(left_open.stop)
            print("ran", flush=True)
        '''
        import refloop, sys
        # with a GIL of its own, after asyncio.run(), an interpreter of Python 3.12.1 crashes at exit whatever the loop
        options = {"isolated": False} if sys.version_info[:2] == (3, 12) else {}
        outer = refloop.new_event_loop()
        for _ in range(2):
            interpreter = interpreters.create(**options)
            failure = interpreters.run_string(interpreter, SOURCE)
            assert failure is None, failure
            interpreters.destroy(interpreter)
        outer.call_soon(outer.stop)
        outer.run_forever()
        outer.close()
    """)
    assert printed == "ran\nran\n"


def leave_in_ready(loop: refloop.Loop) -> None:
    loop.call_soon(lambda: loop)


def leave_in_timers(loop: refloop.Loop) -> None:
    loop.call_later(3600, lambda: loop)


def leave_in_arguments(loop: refloop.Loop) -> None:
    loop.call_soon(print, loop, loop, loop, loop, loop)


def leave_in_watched(loop: refloop.Loop) -> None:
    reading, writing = os.pipe()
    weakref.finalize(loop, os.close, reading)
    weakref.finalize(loop, os.close, writing)
    loop.add_reader(reading, lambda: loop)
    loop.add_writer(writing, lambda: loop)


def leave_in_factory(loop: refloop.Loop) -> None:
    loop.set_task_factory(lambda *given, **more: loop)


def leave_in_future(loop: refloop.Loop) -> None:
    future = loop.create_future()
    future.add_done_callback(lambda _: (future, loop))
    future.set_result(loop)


def leave_in_signals(loop: refloop.Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, lambda: loop)


def leave_after_a_run(loop: refloop.Loop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(lambda: loop)


CYCLES: dict[str, Callable[[refloop.Loop], None]] = {
    leave.__name__: leave
    for leave in (
        leave_in_ready,
        leave_in_timers,
        leave_in_arguments,
        leave_in_watched,
        leave_in_factory,
        leave_in_future,
        leave_in_signals,
        leave_after_a_run,
    )
}


@pytest.mark.parametrize("name", CYCLES)
@pytest.mark.parametrize("debug", [False, True])
def test_a_loop_in_a_cycle_is_collected(name: str, debug: bool) -> None:
    """A loop that is dropped unclosed goes with all that it holds: objects and descriptors."""
    refloop.new_event_loop().close()  # libuv's first loop opens what stays for good
    gc.collect()
    before = open_descriptors()
    loop = refloop.new_event_loop()
    loop.set_debug(debug)
    CYCLES[name](loop)
    ref = weakref.ref(loop)
    del loop
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message).partition(" <")[0] for warning in caught] == ["unclosed event loop"]
    caught.clear()  # a recorded warning holds its source
    assert collected(ref), "something keeps the loop alive"
    assert open_descriptors() == before


def test_the_core_alone_is_collected() -> None:
    """The same without any code in Python that would close it first."""

    class Plain(_core.Loop):
        pass

    before = open_descriptors()

    def tie() -> "weakref.ref[Plain]":
        loop = Plain()
        handle = loop.call_later(3600, lambda: loop)
        loop.call_soon(lambda: (loop, handle))
        return weakref.ref(loop)

    assert collected(tie())
    assert open_descriptors() == before


def test_a_handle_outlives_its_loop() -> None:
    loop = refloop.new_event_loop()
    soon, later = loop.call_soon(print), loop.call_later(3600, print)
    loop.close()
    del loop
    gc.collect()
    for handle in (soon, later):
        handle.cancel()
        assert handle.cancelled()
        assert "cancelled" in repr(handle)


@pytest.mark.parametrize("type_", [_core.Handle, _core.TimerHandle])
def test_handles_are_made_by_loops_only(type_: type) -> None:
    with pytest.raises(TypeError, match="cannot create"):
        type_()


def test_an_overridden_clock_is_the_clock_of_the_timers() -> None:
    class Loop(refloop.Loop):
        now = 1000.0

        def time(self) -> float:
            return self.now

    loop = Loop()  # type: ignore[abstract]
    ran: list[str] = []
    timer = loop.call_later(50, ran.append, "timer")
    assert timer.when() == 1050.0
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == []
    loop.now = 1050.0
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == ["timer"]
    loop.close()


def test_no_signal_is_slept_through() -> None:
    """A signal that comes at any moment around falling asleep runs its handler, and the loop takes notice."""
    run_program("""
        import os, random, signal, threading, time
        import refloop

        loop = refloop.new_event_loop()
        signal.signal(signal.SIGUSR1, lambda *_: loop.stop())
        generator = random.Random(3)

        def send(delay):
            until = time.perf_counter() + delay
            while time.perf_counter() < until:
                pass
            os.kill(os.getpid(), signal.SIGUSR1)

        for _ in range(300):
            thread = threading.Thread(target=send, args=(generator.uniform(0, 3e-4),))
            loop.call_soon(thread.start)
            loop.run_forever()
            thread.join()
        loop.close()
    """)


def test_the_programs_wakeup_descriptor_is_left_alone() -> None:
    """It is set after the run as before, and learns of a signal that came while the loop slept."""
    run_program("""
        import os, signal, threading
        import refloop

        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        assert signal.set_wakeup_fd(writing) == -1
        loop = refloop.new_event_loop()
        signal.signal(signal.SIGUSR1, lambda *_: loop.stop())
        thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join()
        assert os.read(reading, 100) == bytes([signal.SIGUSR1])
        loop.close()
        assert signal.set_wakeup_fd(-1) == writing
    """)


def test_a_wakeup_descriptor_set_during_the_run_stays() -> None:
    run_program("""
        import os, signal
        import refloop

        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        loop = refloop.new_event_loop()
        loop.call_soon(signal.set_wakeup_fd, writing)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        assert signal.set_wakeup_fd(-1) == writing
    """)


def test_a_watched_descriptor_that_is_closed_is_an_error_not_the_end() -> None:
    """libuv alone would abort the process."""
    loop = refloop.new_event_loop()
    reading, writing = os.pipe()
    loop.add_reader(reading, loop.stop)
    os.close(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_writer(reading, loop.stop)
    other, _ = ends = os.pipe()
    assert other == reading
    os.write(ends[1], b"x")
    assert not loop.remove_reader(other)
    loop.add_reader(other, loop.stop)
    loop.run_forever()
    assert loop.remove_reader(other)
    loop.close()
    for fd in (writing, *ends):
        os.close(fd)


def test_ctrl_c_ends_a_sleeping_loop() -> None:
    run_program("""
        import os, signal, threading
        import refloop

        loop = refloop.new_event_loop()
        thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
        loop.call_soon(thread.start)
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("not interrupted")
        thread.join()
        assert not loop.is_running()
        loop.close()
    """)


def test_a_loop_that_ran_is_freed_with_its_last_reference() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.create_future().cancel()
        await loop.create_task(asyncio.sleep(0))

    loop = refloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    reference = weakref.ref(loop)
    gc.disable()
    try:
        del loop
        assert reference() is None
    finally:
        gc.enable()


def test_owning_the_methods_of_the_core_keeps_what_overrides_them() -> None:
    class Base(_core.Loop):
        def is_closed(self) -> bool:
            return True

    class Derived(Base):
        def get_debug(self) -> bool:
            return True

    Derived._own_methods()
    assert "call_soon" in vars(Derived)
    assert "is_closed" not in vars(Derived)
    loop = Derived()
    assert loop.is_closed()
    assert loop.get_debug()
    loop.close()
