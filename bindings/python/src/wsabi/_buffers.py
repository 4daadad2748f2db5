"""Bytes and strings on their way into the library and out of it: whose memory is looked at, for how long, and what that costs.

It knows addresses and Python's buffers; it knows none of the library's functions but by what it is given to call.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from ctypes import PYFUNCTYPE, byref, c_char, c_size_t, c_ssize_t, c_void_p, py_object
from typing import Any, Optional, Union

from ._tables import WS_MESSAGE_FORMAT

__all__ = ["POINTER_SIZE", "Buffer", "lend_to", "memory", "pointers", "text", "unpack", "view", "word"]

# What can be sent as binary: bytes, bytearray, memoryview, array.array, and all else with a C-contiguous buffer. (There is no
# type for these before Python 3.12.)
Buffer = Any

unpack = struct.Struct("@" + WS_MESSAGE_FORMAT).unpack_from
POINTER_SIZE = ctypes.sizeof(c_void_p)

# Windows on all of the memory, through which only what the library has just lent is looked at: a slice of one takes a third of
# the time of string_at(), which is a call.
memory: Any = (c_char * sys.maxsize).from_address(0)
view = memoryview(memory).cast("B")
pointers: Any = (c_size_t * (sys.maxsize // POINTER_SIZE)).from_address(0)


class PyBuffer(ctypes.Structure):
    """Py_buffer of the buffer protocol (PEP 3118)."""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", c_void_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    ]


get_buffer = PYFUNCTYPE(ctypes.c_int, py_object, c_void_p, ctypes.c_int)(("PyObject_GetBuffer", ctypes.pythonapi))
release_buffer = PYFUNCTYPE(None, c_void_p)(("PyBuffer_Release", ctypes.pythonapi))


def lend_to(call: Any, first: Any, kind: Optional[int], data: Union[str, Buffer], *rest: Any) -> int:
    """Calls a function of the library with the bytes of `data`, uncopied. BufferError: they do not lie in one piece."""
    before = (first,) if kind is None else (first, kind)
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, bytes):
        status: int = call(*before, data, len(data), *rest)
        return status
    buffer = PyBuffer()
    get_buffer(data, byref(buffer), 0)
    try:
        status = call(*before, buffer.buf, buffer.len, *rest)
    finally:
        release_buffer(byref(buffer))
    return status


def word(string: str) -> bytes:
    """A string for C. ValueError: it has a NUL in it, behind which C would not look."""
    if "\0" in string:
        raise ValueError(f"{string!r} contains a NUL")
    return string.encode("utf-8", "surrogateescape")


def text(words: Optional[bytes]) -> Optional[str]:
    return None if words is None else words.decode("utf-8", "surrogateescape")
