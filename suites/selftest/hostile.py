"""Hostile loops: each attacks the run itself, in one case only, so that the verdict and the survivors can be checked.

The attack is made by the callback that the case of `TARGET` hands over: a loop that gets a callback whose name is
`TRIGGER` attacks, every other case runs on stock asyncio.
"""

import asyncio
import ctypes
import faulthandler
import os
import subprocess
import sys
import threading
import time
from typing import Any

from loopproof.authoring.guarded import SUPPLIES, GuardedBufferedProtocol
from loopproof.faultkit import GuardedBuffer

TRIGGER = "trigger"


class _Hostile(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if getattr(callback, "__name__", "") == TRIGGER:
            self.attack()
        return super().call_soon(callback, *args, context=context)

    def attack(self) -> None:
        raise NotImplementedError


class Segfaults(_Hostile):
    def attack(self) -> None:
        ctypes.string_at(0)


class OverrunsABuffer(_Hostile):
    def attack(self) -> None:
        buffer = GuardedBuffer(4096, name="reply")
        ctypes.memset(buffer.address + 4096, 0, 1)


class UsesABufferAfterItsRelease(_Hostile):
    def attack(self) -> None:
        protocol = GuardedBufferedProtocol(SUPPLIES["revoked"])
        protocol.connection_made(None)
        kept = memoryview(protocol.get_buffer(-1))
        kept[0] = 1
        protocol.buffer_updated(1)
        kept[1] = 2


class Aborts(_Hostile):
    def attack(self) -> None:
        os.write(2, b"fatal: the loop lost its mind\n")
        os.abort()


class Killed(_Hostile):
    def attack(self) -> None:
        os.kill(os.getpid(), 9)


class Exits(_Hostile):
    def attack(self) -> None:
        os._exit(3)


class ExitsWithZero(_Hostile):
    def attack(self) -> None:
        os._exit(0)


class RaisesSystemExit(_Hostile):
    def attack(self) -> None:
        sys.exit(0)


class RaisesKeyboardInterrupt(_Hostile):
    def attack(self) -> None:
        raise KeyboardInterrupt


class Sleeps(_Hostile):
    def attack(self) -> None:
        threading.Event().wait()


class Spins(_Hostile):
    def attack(self) -> None:
        while True:
            pass


class FailsAndNeverCloses(_Hostile):
    failed = False

    def attack(self) -> None:
        self.failed = True
        raise ValueError("before the end")

    def close(self) -> None:
        if self.failed:
            threading.Event().wait()
        super().close()


class HoldsTheGil(_Hostile):
    def attack(self) -> None:
        ctypes.PyDLL(None).sleep(3600)


class CancelsTheWatchdogAndExits(_Hostile):
    def attack(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        os._exit(1)


class LeaksDescriptors(_Hostile):
    def attack(self) -> None:
        os.eventfd(0)


class LeaksAndFailsOnce(_Hostile):
    failed = False

    def attack(self) -> None:
        os.open(os.devnull, os.O_RDONLY)
        if not LeaksAndFailsOnce.failed:
            LeaksAndFailsOnce.failed = True
            raise ZeroDivisionError("for once")


class LeaksThreads(_Hostile):
    def attack(self) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True, name="stray").start()


class LeaksADescriptorWhileAThreadEnds(_Hostile):
    def attack(self) -> None:
        os.eventfd(0)
        threading.Thread(target=time.sleep, args=(0.2,), name="ending").start()


class LeaksChildren(_Hostile):
    def attack(self) -> None:
        self.child = subprocess.Popen(["sleep", "30"])


class RaisesUnraisably(_Hostile):
    def attack(self) -> None:
        class Finalized:
            def __del__(self) -> None:
                raise ValueError("nobody hears this")

        Finalized()


class LeavesASocketOpen(_Hostile):
    def attack(self) -> None:
        import socket

        socket.socket()


class EatsMemory(_Hostile):
    def attack(self) -> None:
        self.eaten = bytearray(1 << 40)


class ClosesTheConnectionToTheRun(_Hostile):
    def attack(self) -> None:
        os.closerange(3, 256)
        time.sleep(3600)


class Lies(asyncio.SelectorEventLoop):
    """Says that it has run what it was given."""

    def run_until_complete(self, future: Any) -> Any:
        if asyncio.iscoroutine(future):
            future.close()


class SwallowsErrors(asyncio.SelectorEventLoop):
    """Runs what it is given and keeps the exception to itself."""

    def run_until_complete(self, future: Any) -> Any:
        try:
            return super().run_until_complete(future)
        except AssertionError:
            return None
