"""What an exporter answers to a request for a buffer, seen field by field; `answer` works with any exporter."""

import ctypes
import itertools
from dataclasses import dataclass
from typing import Any

WRITABLE, FORMAT, ND, STRIDES = 0x1, 0x4, 0x8, 0x10 | 0x8
C_CONTIGUOUS, F_CONTIGUOUS, ANY_CONTIGUOUS = 0x20 | STRIDES, 0x40 | STRIDES, 0x80 | STRIDES
INDIRECT = 0x100 | STRIDES

REQUESTS = sorted(
    {
        writable | kind | layout | order
        for writable, kind, layout, order in itertools.product(
            (0, WRITABLE), (0, FORMAT), (0, ND, STRIDES, INDIRECT), (0, C_CONTIGUOUS, F_CONTIGUOUS, ANY_CONTIGUOUS)
        )
    }
)
"""Every combination of flags that makes sense, and the two that do not (a format without a shape)."""


class _View(ctypes.Structure):
    """CPython's Py_buffer, the same in every version."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = (ctypes.py_object, ctypes.POINTER(_View), ctypes.c_int)
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = (ctypes.POINTER(_View),)
_release.restype = None


@dataclass(frozen=True)
class Answer:
    """The fields of a Py_buffer; ``offset`` is that of its first item from a given address."""

    offset: int
    len: int
    itemsize: int
    readonly: bool
    ndim: int
    format: bytes | None
    shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    suboffsets: tuple[int, ...] | None


class Export:
    """A buffer that was asked for; `release` it."""

    def __init__(self, exporter: Any, flags: int) -> None:
        self.view = _View()
        _get(exporter, self.view, flags)

    def release(self) -> None:
        _release(self.view)

    def release_a_copy(self) -> None:
        """Release a copy of the structure: to the exporter the buffer has come back."""
        copy = _View.from_buffer_copy(self.view)
        _release(copy)


def answer(exporter: Any, flags: int, address: int) -> Answer | None:
    """Ask for a buffer and give it back; return what was answered, None if it was refused with BufferError."""
    try:
        export = Export(exporter, flags)
    except BufferError:
        return None
    view = export.view

    def numbers(pointer: Any) -> tuple[int, ...] | None:
        return tuple(pointer[: view.ndim]) if pointer else None

    seen = Answer(
        view.buf - address,
        view.len,
        view.itemsize,
        bool(view.readonly),
        view.ndim,
        view.format,
        numbers(view.shape),
        numbers(view.strides),
        numbers(view.suboffsets),
    )
    export.release()
    return seen
