"""Errors of the operating system as Python's exceptions: by errno, on Windows by the codes of Windows and of its sockets.

Python chooses the class by the code (ConnectionRefusedError and so on), if it is told which kind of code it is.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["last_code", "os_error"]


def os_error(code: int, text: str = "") -> OSError:
    """The exception for a code of the system; `text` is used in place of the system's own words. 0: there is no code."""
    if not code:
        return OSError(text)
    if sys.platform == "win32":
        return OSError(0, text or ctypes.FormatError(code), None, code)
    return OSError(code, text or os.strerror(code))


def last_code() -> int:
    """The code that the last call of the library left behind on this thread; 0 if none."""
    if sys.platform == "win32":
        return ctypes.get_last_error()
    return ctypes.get_errno()
