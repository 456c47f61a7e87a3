"""Handles of libuv on refloop's loop, made as another extension module would make them, by ctypes."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any

import refloop
from refloop import _core

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
AFTER_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
ON_POLL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
UV_READABLE = 1

uv = ctypes.CDLL(_core.__file__)  # with the libuv that the core is linked to
uv.uv_timer_start.argtypes = [ctypes.c_void_p, CALLBACK, ctypes.c_uint64, ctypes.c_uint64]

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]

_TYPES = {"async": 1, "poll": 8, "timer": 13}  # of enum uv_handle_type
_WORK = 7  # of enum uv_req_type

Call = Callable[[], object]


def loop_pointer(loop: refloop.Loop) -> int:
    pointer: int = _pointer_of(loop.uv_loop, b"uv_loop_t")
    return pointer


def discard(_: object) -> None:
    """Make nothing of a result."""


class Handles:
    """Makes handles on a loop; they live as long as this object, which `close` has to be called of."""

    def __init__(self, loop: refloop.Loop) -> None:
        self.loop = ctypes.c_void_p(loop_pointer(loop))
        self._open: list[Any] = []
        self._kept: list[Any] = []  # memory and callbacks, which libuv refers to

    def _new(self, kind: str) -> Any:
        uv.uv_handle_size.restype = ctypes.c_size_t
        memory = ctypes.create_string_buffer(uv.uv_handle_size(_TYPES[kind]))
        self._open.append(memory)
        return memory

    def timer(self, callback: Call, *, ms: int = 1) -> None:
        call = CALLBACK(lambda _: discard(callback()))
        timer = self._new("timer")
        uv.uv_timer_init(self.loop, timer)
        uv.uv_timer_start(timer, call, ms, 0)
        self._kept.append(call)

    def woken_by_a_thread(self, callback: Call) -> None:
        call = CALLBACK(lambda _: discard(callback()))
        handle = self._new("async")
        uv.uv_async_init(self.loop, handle, call)
        self._kept.append(call)
        thread = threading.Thread(target=uv.uv_async_send, args=(handle,))
        thread.start()
        self._kept.append(thread)

    def readable(self, callback: Call) -> None:
        """A pipe in which there is something; the callback is called once."""
        reading, writing = os.pipe()
        handle = self._new("poll")

        def stop(*_: int) -> None:
            uv.uv_poll_stop(handle)
            callback()

        call = ON_POLL(stop)
        uv.uv_poll_init(self.loop, handle, reading)
        uv.uv_poll_start(handle, UV_READABLE, call)
        os.write(writing, b"x")
        self._kept += [call, os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)]

    def work(self, callback: Call) -> None:
        """Work in libuv's thread pool; the callback is called when that is done."""
        uv.uv_req_size.restype = ctypes.c_size_t
        request = ctypes.create_string_buffer(uv.uv_req_size(_WORK))
        calls = CALLBACK(lambda _: None), AFTER_WORK(lambda *_: discard(callback()))
        uv.uv_queue_work(self.loop, request, *calls)
        self._kept += [request, calls]

    def close(self) -> None:
        """Close the handles; the loop has to run, or to be closed, before this object may go."""
        for memory in self._open:
            uv.uv_close(memory, None)
        self._closing, self._open = self._open, []
        self.release()

    def release(self) -> None:
        """Let go of files and threads."""
        for kept in self._kept:
            if isinstance(kept, threading.Thread):
                kept.join()
            elif hasattr(kept, "fileno"):
                kept.close()


class LeavesATimer(refloop.Loop):
    """A loop with a libuv handle that is not closed if a callback of this name was scheduled."""

    left: Handles | None = None

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        if getattr(callback, "__name__", "") == "trigger":
            self.left = Handles(self)
            self.left.timer(int, ms=3_600_000)
        return super().call_soon(callback, *args, context=context)
