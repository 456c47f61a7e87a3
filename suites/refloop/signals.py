"""Handlers of signals that run as callbacks of the loop."""

import asyncio
import contextlib
import errno
import inspect
import signal
import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TypeVarTuple

from refloop import _core
from refloop.core import Core

Ts = TypeVarTuple("Ts")


def check_signal(sig: int) -> None:
    """Raise TypeError or ValueError if ``sig`` is no signal."""
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


class Signals(Core):
    """The loop's handlers of signals. Python's own handler of each queues the callback; the core wakes up for it."""

    def __init__(self) -> None:
        super().__init__()
        self._signal_handles: dict[int, _core.Handle] = {}

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Call ``callback(*args)`` when the signal came.

        Raises:
            RuntimeError: the loop is closed, this is not the main thread, or the signal cannot be caught.
            TypeError, ValueError: ``sig`` is no signal, or ``callback`` a coroutine.
        """
        if asyncio.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        check_signal(sig)
        self._check_closed()
        handle = self._new_handle(callback, *args)
        loop = weakref.ref(self)  # what the interpreter holds must not keep the loop alive

        def deliver(number: int, _frame: FrameType | None) -> None:
            if (it := loop()) is not None:
                it._signal_came(number)

        try:
            signal.signal(sig, deliver)
            signal.siginterrupt(sig, False)
        except ValueError as exc:  # not the main thread
            raise RuntimeError(str(exc)) from None
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught") from None
            raise
        self._signal_handles[sig] = handle

    def remove_signal_handler(self, sig: int) -> bool:
        """Have the signal do again what it does by default; returns whether there was a handler.

        Raises:
            RuntimeError: the signal cannot be caught.
            TypeError, ValueError: ``sig`` is no signal.
        """
        check_signal(sig)
        if self._signal_handles.pop(sig, None) is None:
            return False
        try:
            signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught") from None
            raise
        return True

    def _signal_came(self, sig: int) -> None:
        if (handle := self._signal_handles.get(sig)) is not None:
            self._queue_handle(handle)

    def close(self) -> None:
        """Close the loop; its signals do again what they do by default."""
        super().close()
        if sys.is_finalizing():
            self._signal_handles.clear()
            return
        for sig in list(self._signal_handles):
            with contextlib.suppress(ValueError):  # not the main thread, where alone that is possible
                self.remove_signal_handler(sig)
