"""WebSockets (RFC 6455, RFC 7692) with the wsabi library: `wsabi.sync`, `wsabi.asyncio`, and `wsabi.protocol` without I/O."""

from __future__ import annotations

from ._options import TLS
from ._tables import WS_VERSION as __version__
from ._tables import Option, State
from .exceptions import *
from .exceptions import __all__ as _exceptions
from .http import Headers, Request, Response

__all__ = ["TLS", "Headers", "Option", "Request", "Response", "State", "__version__", *_exceptions]
