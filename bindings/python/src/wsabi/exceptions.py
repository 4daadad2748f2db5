"""Exceptions, with the names of `websockets`, and the statuses of the library that they stand for.

    WebSocketException
        ConnectionClosed                    .code .reason .rcvd .sent
            ConnectionClosedOK              1000, 1001, or no code, from both ends
            ConnectionClosedError
        InvalidURI                          .uri .msg
        InvalidProxy                        .proxy .msg
        HandshakeError (InvalidHandshake)   .status .headers .body
            InvalidStatus                   the server answered, but not with 101
            ProxyError
        TLSError                            also an OSError
        ProtocolError
            InvalidUTF8
        PayloadTooBig
        SendQueueFull                       also a BlockingIOError
        InvalidState
            ConcurrencyError                also a RuntimeError
        InternalError

Python's own exceptions are used where they exist: OSError with errno (ConnectionRefusedError and so on), TimeoutError,
BlockingIOError, ValueError, MemoryError, NotImplementedError.
"""

from __future__ import annotations

import errno as _errno
from typing import NamedTuple, Optional

from ._errors import os_error
from ._library import quick
from ._tables import Status
from .http import Headers, Response, phrase

__all__ = [
    "Close",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeError",
    "InternalError",
    "InvalidHandshake",
    "InvalidProxy",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUTF8",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "SendQueueFull",
    "TLSError",
    "WebSocketException",
]

NO_STATUS_RECEIVED = 1005
ABNORMAL_CLOSURE = 1006
# What a code stands for, in the words of `websockets`.
MEANINGS = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received [internal]",
    1006: "abnormal closure [internal]",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure [internal]",
}
WELL = (1000, 1001, NO_STATUS_RECEIVED)


class Close(NamedTuple):
    """A Close frame: its code (1005 if it had none) and its reason. RFC 6455 section 5.5.1."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        if 3000 <= self.code < 5000:
            meaning = "registered" if self.code < 4000 else "private use"
        else:
            meaning = MEANINGS.get(self.code, "unknown")
        return f"{self.code} ({meaning}){f' {self.reason}' if self.reason else ''}"


class WebSocketException(Exception):
    """Base class of all exceptions of this package."""


class ConnectionClosed(WebSocketException):
    """The connection is over. `rcvd` is the peer's Close, `sent` this end's; None if there was none, or if it is unknown."""

    def __init__(
        self, rcvd: Optional[Close], sent: Optional[Close], rcvd_then_sent: Optional[bool] = None, why: str = ""
    ) -> None:
        super().__init__(rcvd, sent, rcvd_then_sent, why)
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent
        self.why = why

    @property
    def code(self) -> int:
        """The code of the peer's Close, 1005 if it had none; 1006 if there was no Close."""
        return ABNORMAL_CLOSURE if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The reason of the peer's Close."""
        return "" if self.rcvd is None else self.rcvd.reason

    def __str__(self) -> str:
        received = None if self.rcvd is None else f"received {self.rcvd}"
        sent = None if self.sent is None else f"sent {self.sent}"
        if received and sent:
            told = f"{received}; then {sent}" if self.rcvd_then_sent else f"{sent}; then {received}"
        elif received or sent:
            told = f"{received or sent}; no close frame {'sent' if received else 'received'}"
        else:
            told = "no close frame received or sent"
        return f"{told}: {self.why}" if self.why else told


class ConnectionClosedOK(ConnectionClosed):
    """Both ends have closed with 1000, 1001 or no code."""


class ConnectionClosedError(ConnectionClosed):
    """One end has closed with another code, or there was no closing handshake."""


class InvalidURI(WebSocketException):
    """The URL is not valid or not supported."""

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException):
    """The proxy's URL cannot be used."""

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class HandshakeError(WebSocketException):
    """The opening handshake was refused or malformed. `status` is the HTTP status of the server's response, 0 if there was none."""

    def __init__(
        self, message: str, status: int = 0, headers: Optional[Headers] = None, body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.body = body

    @property
    def response(self) -> Response:
        """The server's response."""
        return Response(self.status, phrase(self.status), self.headers, self.body)


InvalidHandshake = HandshakeError


class InvalidStatus(HandshakeError):
    """The server responded with a status other than 101."""

    def __str__(self) -> str:
        told = super().__str__()
        return told if f"HTTP {self.status}" in told else f"server rejected WebSocket connection: HTTP {self.status}"


class ProxyError(HandshakeError):
    """The proxy refused the connection, or the host is not a proxy."""


class TLSError(WebSocketException, OSError):
    """The TLS session failed: the message names the certificate or the rule that caused it."""


class ProtocolError(WebSocketException):
    """RFC 6455 was violated."""


class InvalidUTF8(ProtocolError):
    """A text is not valid UTF-8."""


class PayloadTooBig(WebSocketException):
    """A message, frame, number of fragments or HTTP head exceeds its limit."""


class SendQueueFull(WebSocketException, BlockingIOError):
    """The message was not accepted, and nothing has changed: send what is pending, then send the message again."""


class InvalidState(WebSocketException):
    """The call is not allowed in the current state of the connection: nothing happened."""


class ConcurrencyError(InvalidState, RuntimeError):
    """Another thread or task is already receiving, or sending a fragmented message."""


class InternalError(WebSocketException):
    """A bug in the library: the connection is dead."""


def from_status(status: int, message: str = "", errno: int = 0) -> Exception:
    """Returns the exception for a status of the library; `message` is ws_error_message(), `errno` ws_io_error()."""
    text = message or quick.ws_status_message(status).decode()
    if status == Status.ERR_WOULD_BLOCK:
        return BlockingIOError(_errno.EAGAIN, text)
    if status == Status.ERR_SEND_QUEUE_FULL:
        return SendQueueFull(_errno.EAGAIN, text)
    if status == Status.ERR_IO:
        return os_error(errno, text)
    if status in (Status.ERR_CONNECTION_CLOSED, Status.ERR_ALREADY_CLOSED):
        return ConnectionClosedError(None, None, None, message)
    if status == Status.ERR_URL:
        return InvalidURI("URL", text)
    return EXCEPTIONS.get(status, InternalError)(text)


EXCEPTIONS: dict[int, type[Exception]] = {
    Status.ERR_CAPACITY: PayloadTooBig,
    Status.ERR_PROTOCOL: ProtocolError,
    Status.ERR_UTF8: InvalidUTF8,
    Status.ERR_HANDSHAKE: HandshakeError,
    Status.ERR_TLS: TLSError,
    Status.ERR_TIMEOUT: TimeoutError,
    Status.ERR_PROXY: ProxyError,
    Status.ERR_INVALID_ARGUMENT: ValueError,
    Status.ERR_MISUSE: InvalidState,
    Status.ERR_NO_MEMORY: MemoryError,
    Status.ERR_INTERNAL: InternalError,
    Status.ERR_UNSUPPORTED: NotImplementedError,
}
