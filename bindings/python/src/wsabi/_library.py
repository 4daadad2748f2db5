"""Finds the shared library, checks that it is the one of these bindings, and gives each function its types.

There are two faces of one library. `quick` keeps the GIL: for calls that are over in less time than letting go of it takes.
`waiting` lets go of it: for calls that may wait, or move a lot of bytes.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ._tables import FUNCTIONS, WS_ABI_VERSION

__all__ = ["LIBRARY", "quick", "quick_raw", "waiting"]

if sys.platform == "win32":
    NAMES = ("wsabi.dll",)
elif sys.platform == "darwin":
    NAMES = ("libwsabi.dylib",)
else:
    NAMES = (f"libwsabi.so.{WS_ABI_VERSION}", "libwsabi.so")


def find() -> str:
    """Where the library is: what WSABI_LIBRARY names, else beside this file, else wherever the system's loader looks.

    On Windows that is not PATH, but the directories of `os.add_dll_directory()`.
    """
    named = os.environ.get("WSABI_LIBRARY")
    if named:
        return named
    here = Path(__file__).parent
    for name in NAMES:
        if (here / name).is_file():
            return str(here / name)
    return NAMES[0]


def load(path: str) -> tuple[ctypes.PyDLL, ctypes.CDLL]:
    """Loads the library twice over. ImportError: it cannot be, or it has another ABI than these bindings."""
    try:
        quick = ctypes.PyDLL(path)
        waiting = ctypes.CDLL(path, use_errno=True, use_last_error=sys.platform == "win32")
        version: int = quick.ws_abi_version()
    except (OSError, AttributeError) as error:
        raise ImportError(f"the wsabi library cannot be loaded: {error}; WSABI_LIBRARY can name it") from error
    if version != WS_ABI_VERSION:
        raise ImportError(
            f"{path} has version {version} of the wsabi ABI, and these bindings are for version {WS_ABI_VERSION}"
        )
    for library in (quick, waiting):
        for name, result, parameters in FUNCTIONS:
            try:
                function = getattr(library, name)
            except AttributeError as error:
                raise ImportError(f"{path} lacks {name}: it is older than these bindings") from error
            function.restype = result
            function.argtypes = parameters
    return quick, waiting


def quick_raw(name: str) -> Callable[..., int]:
    """A function of `quick` without types, for the few that are called for each message: see there what may be passed."""
    function: Callable[..., int] = quick[name]
    return function


if sys.maxsize < 2**32 or ctypes.addressof(ctypes.c_int()) > sys.maxsize:
    raise ImportError("wsabi needs 64-bit Python on a system without pointer tagging")
LIBRARY = find()
quick, waiting = load(LIBRARY)
