"""The keyword arguments that all layers share, made into a configuration of the library."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Optional, Union

from ._handle import Config
from ._tables import WS_VERSION_MAJOR, WS_VERSION_MINOR, WS_VERSION_PATCH, Option
from .http import Headers, HeadersLike

__all__ = ["Limit", "USER_AGENT", "VERSION", "configure", "milliseconds"]

VERSION = f"{WS_VERSION_MAJOR}.{WS_VERSION_MINOR}.{WS_VERSION_PATCH}"
USER_AGENT = f"Python/{platform.python_version()} wsabi/{VERSION}"

# The largest message, or that and the largest frame, in bytes; None: no limit.
Limit = Union[int, None, tuple[Optional[int], Optional[int]]]


def configure(
    *,
    origin: Optional[str] = None,
    subprotocols: Optional[Sequence[str]] = None,
    additional_headers: Optional[HeadersLike] = None,
    user_agent_header: Optional[str] = None,
    server_header: Optional[str] = None,
    compression: Optional[str] = "deflate",
    max_size: Limit = 2**20,
    open_timeout: Optional[float] = None,
    close_timeout: Optional[float] = None,
    ping_interval: Optional[float] = None,
    ping_timeout: Optional[float] = None,
    deliver_control: bool = False,
    auto_accept: bool = True,
    options: Optional[dict[Option, int]] = None,
) -> Config:
    """A configuration. Times are in seconds, None: never; sizes in bytes, None: no limit. `options` come last.

    ValueError: one of these cannot be.
    """
    config = Config()
    headers = Headers(additional_headers)
    if origin is not None:
        headers["Origin"] = origin
    if user_agent_header is not None and "User-Agent" not in headers:
        headers["User-Agent"] = user_agent_header
    if server_header is not None and "Server" not in headers:
        headers["Server"] = server_header
    for name, value in headers.raw_items():
        config.add_header(name, value)
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list")
    for subprotocol in subprotocols or ():
        config.add_protocol(subprotocol)
    if compression not in (None, "deflate"):
        raise ValueError(f"unsupported compression: {compression}")
    max_message, max_frame = max_size if isinstance(max_size, tuple) else (max_size, max_size)
    config.set(Option.DEFLATE, 1 if compression else 0)
    config.set(Option.MAX_MESSAGE_SIZE, max_message or 0)
    config.set(Option.MAX_FRAME_SIZE, max_frame or 0)
    config.set(Option.HANDSHAKE_TIMEOUT_MS, milliseconds(open_timeout))
    config.set(Option.CLOSE_TIMEOUT_MS, milliseconds(close_timeout))
    config.set(Option.PING_INTERVAL_MS, milliseconds(ping_interval))
    config.set(Option.PONG_TIMEOUT_MS, milliseconds(ping_timeout))
    config.set(Option.DELIVER_CONTROL, 1 if deliver_control else 0)
    config.set(Option.AUTO_ACCEPT, 1 if auto_accept else 0)
    for option, number in (options or {}).items():
        config.set(option, number)
    return config


def milliseconds(seconds: Optional[float]) -> int:
    """For an option: at least 1 for a time, 0 for none."""
    return 0 if seconds is None else max(1, round(seconds * 1000))
