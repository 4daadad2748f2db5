"""WebSockets (RFC 6455, RFC 7692) by the wsabi library: `wsabi.sync`, `wsabi.asyncio`, and `wsabi.protocol` without I/O."""

from __future__ import annotations

from ._options import VERSION as __version__
from ._tables import State
from .exceptions import *
from .exceptions import __all__ as _exceptions
from .http import Headers, Request, Response

__all__ = ["Headers", "Request", "Response", "State", "__version__", *_exceptions]
