"""The keyword arguments that all layers share, converted to a configuration of the library."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Optional, Union

from ._handle import Config
from ._tables import WS_VERSION, Option
from .http import Headers, HeadersLike

__all__ = ["Limit", "Queue", "TLS", "USER_AGENT", "configure", "milliseconds"]

USER_AGENT = f"Python/{platform.python_version()} wsabi/{WS_VERSION}"

# The largest message received, or that and the largest frame, in bytes; None: no limit. What is sent has no limit but
# Option.MAX_SENT_SIZE.
Limit = Union[int, None, tuple[Optional[int], Optional[int]]]

# How many messages wait to be received before no more are read; of two numbers, the first. None: any number.
Queue = Limit


class TLS:
    """TLS by the library, with certificates in PEM, as an alternative to an SSLContext for `ssl`.

    `roots`: the trusted certificates, in place of the system's; a server requires client certificates issued by them. `chain` and
    `key`: the own certificate chain and private key, required for a server. `verify` False: a client accepts any server, for
    tests only.
    """

    def __init__(
        self,
        *,
        roots: Optional[bytes] = None,
        chain: Optional[bytes] = None,
        key: Optional[bytes] = None,
        verify: bool = True,
    ) -> None:
        if (chain is None) != (key is None):
            raise ValueError("chain and key must be given together")
        self.roots, self.chain, self.key, self.verify = roots, chain, key, verify

    def apply(self, config: Config) -> None:
        """Puts this into a configuration."""
        if self.roots is not None:
            config.set_tls_roots(self.roots)
        if self.chain is not None and self.key is not None:
            config.set_tls_identity(self.chain, self.key)
        config.set(Option.TLS_VERIFY, int(self.verify))


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
    max_message, max_frame = max_size if isinstance(max_size, tuple) else (max_size, None)
    config.set(Option.DEFLATE, 1 if compression else 0)
    config.set(Option.MAX_MESSAGE_SIZE, max_message or 0)
    config.set(Option.MAX_FRAME_SIZE, max_frame or 0)
    config.set(Option.MAX_SENT_SIZE, 0)  # max_size is for what is received, as for `websockets`
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
