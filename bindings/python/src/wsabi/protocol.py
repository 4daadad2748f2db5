"""A connection without I/O: feed received bytes, take events, take bytes to send.

    protocol = ClientProtocol("ws://example.com/")
    sock.sendall(protocol.data_to_send())
    while not protocol.closed:
        data = sock.recv(65536)
        protocol.receive_data(data) if data else protocol.receive_eof()
        for event in protocol.events_received():
            ...                                  # a str, bytes, Close, Request, Response, ...
        sock.sendall(protocol.data_to_send())

It knows no socket and no clock: call `tick()` with the time if you need deadlines or keepalive. Only one thread at a time may use
a protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from . import exceptions
from ._handle import BINARY, TEXT, WOULD_BLOCK, Buffer, Handle, Part, Ping, Pong
from ._options import USER_AGENT, Limit, configure
from ._tables import Kind, Option, State, Status
from .exceptions import Close, ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from .http import Headers, HeadersLike, Request, Response

__all__ = [
    "BINARY",
    "ClientProtocol",
    "Close",
    "Event",
    "Part",
    "Ping",
    "Pong",
    "Protocol",
    "Request",
    "Response",
    "ServerProtocol",
    "State",
    "TEXT",
]

# What `events_received()` gives. A text message is a str, a binary one bytes; Request comes to a server that decides by itself,
# Response to a client, each once, before all others.
Event = Union[str, bytes, Part, Ping, Pong, Close, Request, Response]

CONNECTION_CLOSED = int(Status.ERR_CONNECTION_CLOSED)
ALREADY_CLOSED = int(Status.ERR_ALREADY_CLOSED)


class Protocol:
    """Base class of client and server."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.opened = False  # the opening handshake is done
        self.closed = False  # nothing more will come or go: close the transport, once data_to_send() has been sent
        self.handshake_exc: Optional[Exception] = None  # why the opening handshake failed
        self.failure: Optional[Exception] = None  # why the connection was given up
        self.rcvd: Optional[Close] = None
        self.sent: Optional[Close] = None
        self.rcvd_then_sent: Optional[bool] = None
        self._waiting: list[Any] = []  # bytes that found no room
        self._ended = False
        self._handshake()

    # Bytes in, events out, bytes out

    def receive_data(self, data: Buffer) -> None:
        """Feeds received bytes, any C-contiguous buffer. Bytes for which there is no room are copied and processed by
        `events_received()`.
        """
        if self._waiting or self.closed:
            if not self.closed:
                self._waiting.append(bytes(data))
            return
        length = len(data) if type(data) is bytes else memoryview(data).nbytes
        fed = self.handle.feed(data)
        if fed < length:
            self._waiting.append(bytes(memoryview(data).cast("B")[fed:]))

    def receive_eof(self) -> None:
        """Tells the protocol that the peer has ended the stream."""
        self._ended = True
        if not self._waiting and not self.closed:
            self.handle.feed_eof()

    def events_received(self) -> list[Event]:
        """Returns all events so far. Then send what `data_to_send()` returns, and check `closed`."""
        events: list[Any] = []
        if not self.opened and not self._handshake(events):
            return events
        handle = self.handle
        while True:
            status = handle.read(events)
            if status != WOULD_BLOCK:
                if self._over(status, events):
                    return events
            elif self._waiting:
                self._feed_waiting()
            else:
                if events and type(events[-1]) is Close:
                    self._note_close(events[-1])
                return events

    def data_to_send(self) -> bytes:
        """Returns all bytes to send, and removes them from the queue."""
        data = self.handle.take_output()
        if not self.closed and (self.rcvd is not None or self.failure is not None):
            # A server, or an end that gave up, is done as soon as its Close has left.
            self.closed = self.handle.write_pending() in (CONNECTION_CLOSED, ALREADY_CLOSED)
        return data

    # Messages. What is sent leaves with `data_to_send()`.

    def send(self, kind: int, data: Union[str, Buffer]) -> None:
        """Sends a message of a kind (`TEXT`, `BINARY`). SendQueueFull: send the bytes of `data_to_send()` first."""
        status = self.handle.queue(kind, data)
        if status:
            raise self.refused(status)

    def send_text(self, data: Union[str, Buffer]) -> None:
        """Sends a text; bytes have to be valid UTF-8."""
        self.send(TEXT, data)

    def send_binary(self, data: Buffer) -> None:
        """Sends bytes."""
        self.send(BINARY, data)

    def send_fragment(self, kind: int, data: Union[str, Buffer], final: bool) -> None:
        """Sends the next fragment of a message. RFC 6455 section 5.4."""
        status = self.handle.write_fragment(kind, data, final)
        if status:
            raise self.refused(status)

    def send_ping(self, data: Union[str, Buffer] = b"") -> None:
        """Sends a Ping, of 125 bytes at most. RFC 6455 section 5.5.2."""
        self.send(Kind.PING, data)

    def send_pong(self, data: Union[str, Buffer] = b"") -> None:
        """Sends an unsolicited Pong, of 125 bytes at most. RFC 6455 section 5.5.3."""
        self.send(Kind.PONG, data)

    def send_close(self, code: Optional[int] = 1000, reason: str = "") -> None:
        """Starts the closing handshake: continue until `closed`. None sends no code. RFC 6455 section 7.1.2."""
        status = self.handle.close(code or 0, reason)
        if status == ALREADY_CLOSED:
            return
        if status:
            raise self.refused(status)
        if self.sent is None:
            self.sent = Close(exceptions.NO_STATUS_RECEIVED if code is None else code, reason)
            if self.rcvd is not None:
                self.rcvd_then_sent = True

    # Time, on a clock of the caller's, in seconds

    def tick(self, now: float) -> None:
        """Sets the time: Pings that are due are queued, and deadlines end the connection. Then take events and bytes.

        Bytes count as received at the time of the last tick. With IDLE_TIMEOUT_MS, call tick before each `receive_data()`,
        otherwise a busy connection may be considered idle.
        """
        if not self.closed:
            status = self.handle.tick(int(now * 1000))
            if status and self.opened:
                self._over(status, [])
            elif status:
                self._failed(status)

    @property
    def next_deadline(self) -> Optional[float]:
        """When `tick()` has something to do next; None: never."""
        deadline = self.handle.next_deadline_ms
        return None if deadline is None else deadline / 1000

    # Watching

    @property
    def state(self) -> State:
        """State of the connection."""
        return self.handle.state

    @property
    def subprotocol(self) -> Optional[str]:
        """The negotiated subprotocol."""
        return self.handle.subprotocol

    @property
    def close_code(self) -> Optional[int]:
        """The code of the peer's Close, 1005 if it had none, 1006 if the connection was lost; None while it is open."""
        return self.handle.close_code or (exceptions.ABNORMAL_CLOSURE if self.closed else None)

    @property
    def close_reason(self) -> Optional[str]:
        """The reason of the peer's Close; None while the connection is open."""
        if self.rcvd is not None:
            return self.rcvd.reason
        return "" if self.closed else None

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception that describes how the connection ended."""
        rcvd, sent = self.rcvd, self.sent
        if rcvd is not None and sent is not None and rcvd.code in exceptions.WELL and sent.code in exceptions.WELL:
            return ConnectionClosedOK(rcvd, sent, self.rcvd_then_sent)
        both = rcvd is not None and sent is not None
        why = "" if self.failure is None else str(self.failure)
        exception = ConnectionClosedError(rcvd, sent, self.rcvd_then_sent if both else None, why)
        exception.__cause__ = self.failure
        return exception

    def refused(self, status: int) -> Exception:
        """The exception for a write that gave this status."""
        if status in (CONNECTION_CLOSED, ALREADY_CLOSED):
            return self.close_exc
        return self.handle.error(status)

    # Details

    def _handshake(self, events: Optional[list[Any]] = None) -> bool:
        """Drives the opening handshake as far as it goes; whether there may be messages behind it."""
        raise NotImplementedError

    def _failed(self, status: int) -> bool:
        """The opening handshake failed."""
        if self.handshake_exc is None and status not in (CONNECTION_CLOSED, ALREADY_CLOSED):
            self.handshake_exc = self.failure = self.handle.error(status)
        elif self.handshake_exc is None:
            self.handshake_exc = self.failure = EOFError("the connection was closed during the opening handshake")
        # The answer of a server that refuses is still to be sent.
        self.closed = True
        return False

    def _over(self, status: int, events: list[Any]) -> bool:
        if events and type(events[-1]) is Close and self.rcvd is None:
            self._note_close(events[-1])
        if status in (CONNECTION_CLOSED, ALREADY_CLOSED):
            self.closed = True
            self._waiting.clear()
            return True
        # Reported once; the library has queued the Close that says so, and reading on leads to the end.
        if self.failure is None:
            self.failure = self.handle.error(status)
            code = self.handle.close_code
            if self.sent is None and code not in (0, exceptions.NO_STATUS_RECEIVED, exceptions.ABNORMAL_CLOSURE):
                self.sent = Close(code, "")
        return False

    def _note_close(self, close: Close) -> None:
        """Remembers the peer's Close, which the library answers with the same code (RFC 6455 section 5.5.1)."""
        self.rcvd = close
        if self.sent is None:
            self.sent = self.rcvd
            self.rcvd_then_sent = True
        else:
            self.rcvd_then_sent = False

    def _feed_waiting(self) -> None:
        data = self._waiting[0]
        fed = self.handle.feed(data)
        if fed < len(data):
            self._waiting[0] = data[fed:]
            return
        del self._waiting[0]
        if self._ended and not self._waiting:
            self.handle.feed_eof()


class ClientProtocol(Protocol):
    """The client's end. Its request is the first output of `data_to_send()`; the server's answer is a Response event.

    The keyword arguments are those of `wsabi.sync.connect()`.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: Optional[str] = None,
        subprotocols: Optional[Sequence[str]] = None,
        compression: Optional[str] = "deflate",
        additional_headers: Optional[HeadersLike] = None,
        user_agent_header: Optional[str] = USER_AGENT,
        max_size: Limit = 2**20,
        open_timeout: Optional[float] = None,
        close_timeout: Optional[float] = None,
        ping_interval: Optional[float] = None,
        ping_timeout: Optional[float] = None,
        deliver_control: bool = False,
        options: Optional[dict[Option, int]] = None,
    ) -> None:
        config = configure(
            origin=origin,
            subprotocols=subprotocols,
            compression=compression,
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
            max_size=max_size,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            deliver_control=deliver_control,
            options=options,
        )
        self.response: Optional[Response] = None
        super().__init__(Handle.client(config, uri))

    def _handshake(self, events: Optional[list[Any]] = None) -> bool:
        status = self.handle.handshake()
        while status == WOULD_BLOCK and self._waiting:
            self._feed_waiting()
            status = self.handle.handshake()
        if status == WOULD_BLOCK:
            return False
        http_status = self.handle.http_status
        if http_status and self.response is None and events is not None:
            self.response = Response(http_status, "", self.handle.headers(), self.handle.http_body())
            events.append(self.response)
        if status:
            return self._failed(status)
        self.opened = True
        return True


class ServerProtocol(Protocol):
    """The server's end. With `auto_accept` False, a request is a Request event and waits for `accept()` or `reject()`.

    The keyword arguments are those of `wsabi.sync.serve()`.
    """

    def __init__(
        self,
        *,
        subprotocols: Optional[Sequence[str]] = None,
        compression: Optional[str] = "deflate",
        additional_headers: Optional[HeadersLike] = None,
        server_header: Optional[str] = USER_AGENT,
        max_size: Limit = 2**20,
        open_timeout: Optional[float] = None,
        close_timeout: Optional[float] = None,
        ping_interval: Optional[float] = None,
        ping_timeout: Optional[float] = None,
        deliver_control: bool = False,
        auto_accept: bool = True,
        options: Optional[dict[Option, int]] = None,
    ) -> None:
        config = configure(
            subprotocols=subprotocols,
            compression=compression,
            additional_headers=additional_headers,
            server_header=server_header,
            max_size=max_size,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            deliver_control=deliver_control,
            auto_accept=auto_accept,
            options=options,
        )
        self.request: Optional[Request] = None
        super().__init__(Handle.server(config))

    def accept(self, subprotocol: Optional[str] = None, headers: Optional[HeadersLike] = None) -> None:
        """Accepts the request, with additional headers. None selects the first of this end's subprotocols that was offered."""
        self.handle.add_headers(Headers(headers))
        self.handle.accept(subprotocol)
        self.opened = True

    def reject(self, status: int, body: Union[str, bytes] = b"", headers: Optional[HeadersLike] = None) -> None:
        """Answers the request with an HTTP status from 200 to 599 and ends the connection."""
        self.handle.add_headers(Headers(headers))
        self.handle.reject(status, body.encode() if isinstance(body, str) else body)
        self.handshake_exc = exceptions.InvalidStatus(f"answered with HTTP {status}", status)
        self.closed = True

    def _handshake(self, events: Optional[list[Any]] = None) -> bool:
        status = self.handle.handshake()
        while status == WOULD_BLOCK and self._waiting:
            self._feed_waiting()
            status = self.handle.handshake()
        if status == WOULD_BLOCK:
            return False
        target = self.handle.target
        if target is not None and self.request is None and events is not None:
            self.request = Request(target, self.handle.headers())
            events.append(self.request)
        if status:
            return self._failed(status)
        self.opened = self.handle.state != State.REQUEST
        return self.opened
