"""A connection that threads use: one receives while any number send.

It knows messages, its callers' deadlines and how a connection ends; it knows no socket (`_link`) and no protocol rule.

There is no thread per connection. A thread that waits for something (a message, a Pong, the end) reads for all threads; `keeper`
checks the connections that no thread waits for, so that Pings are answered and a Close is noticed.
"""

from __future__ import annotations

import codecs
import os
import socket
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Event as Flag, Lock, RLock
from types import TracebackType
from typing import Any, Callable, Literal, Optional, TypeVar, Union, overload

from .. import exceptions
from .._handle import BINARY, OK, TEXT, WOULD_BLOCK, Buffer, Event, Part, Ping, Pong, Prepared
from .._link import NO_LINK, Link
from .._log import LoggerLike
from .._options import Queue
from .._tables import Kind, Option, State, Status
from ..exceptions import Close, ConcurrencyError, ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from ..http import Request, Response
from . import keeper

__all__ = ["Connection", "broadcast"]

Data = Union[str, bytes]
C = TypeVar("C", bound="Connection")

SLICE = 0.5  # seconds after which a wait looks up, for a signal or a deadline that it did not hear of
CONNECTION_CLOSED = int(Status.ERR_CONNECTION_CLOSED)
ALREADY_CLOSED = int(Status.ERR_ALREADY_CLOSED)
SEND_QUEUE_FULL = int(Status.ERR_SEND_QUEUE_FULL)
FAILED = (int(Status.ERR_IO), int(Status.ERR_TLS), int(Status.ERR_TIMEOUT))


class Connection:
    """Base class of client and server. `connect()` and `serve()` create these."""

    def __init__(self, link: Link, logger: LoggerLike, max_queue: Queue = 16) -> None:
        self.logger = logger
        self.request: Optional[Request] = None
        self.response: Optional[Response] = None
        self.subprotocol: Optional[str] = None
        self._link: Link = link
        self._max_queue = max_queue[0] if isinstance(max_queue, tuple) else max_queue
        self._addresses: tuple[Any, Any] = (None, None)
        self._queue: deque[Any] = deque()  # messages that have been read and not received
        self._receiving = Lock()
        # These are for one thread, and not for one call: an exception of a signal's handler may come between taking one and using it.
        self._sending = RLock()
        self._reading = RLock()  # whoever has it reads for all
        self._news = Condition()
        self._waiters = 0
        self._over = False
        self._failure: Optional[Exception] = None
        self._rcvd: Optional[Close] = None
        self._sent: Optional[Close] = None
        self._rcvd_then_sent: Optional[bool] = None
        self._pings: dict[bytes, tuple[Pinged, float, bool]] = {}
        self._latency: Optional[float] = None

    # Receiving

    @overload
    def recv(self, timeout: Optional[float] = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: Optional[float] = None, *, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: Optional[float] = None, decode: Optional[bool] = None) -> Data: ...
    def recv(self, timeout: Optional[float] = None, decode: Optional[bool] = None) -> Data:
        """Receives the next message: `str` for text, `bytes` for binary; `decode` True or False returns every message as `str` or
        `bytes`.

        TimeoutError: no message within this many seconds (0: none has arrived). ConnectionClosedOK, ConnectionClosedError: the
        end. Binary messages decoded to `str` that are not UTF-8 end the connection with 1007. ConcurrencyError: another thread is
        receiving.
        """
        with self._alone(self._receiving, "receiving on"):
            self._wait_for_message(timeout)
            message = self._pop()
            if type(message) is Part:
                pieces: list[Any] = [message.data]
                while not message.final:
                    self._wait_for_message(None)
                    message = self._pop()
                    pieces.append(message.data)
                message = type(pieces[0])().join(pieces)
            return self._decoded(message, decode, None, True)

    def __iter__(self) -> Iterator[Data]:
        """Iterates over received messages until the connection is closed normally; raises ConnectionClosedError otherwise."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    def recv_streaming(self, decode: Optional[bool] = None) -> Iterator[Data]:
        """Receives the next message in parts, as they arrive, so that it may have any size up to `max_size`.

        Parts are what has arrived, not the sender's fragments. Consume all of them before you receive the next message.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()  # parts of binary messages are cut anywhere
        with self._alone(self._receiving, "receiving on"):
            self._deliver_parts(True)
            try:
                while True:
                    self._wait_for_message(None)
                    part = self._pop()
                    data, final = part if type(part) is Part else (part, True)
                    data = self._decoded(data, decode, decoder, final)
                    if data or type(part) is not Part:
                        yield data
                    if final:
                        return
            finally:
                self._deliver_parts(False)

    def recv_into(self, buffer: Buffer, timeout: Optional[float] = None) -> int:
        """Receives the next message into a writable buffer, without an intermediate copy, and returns its length in bytes.

        ValueError: it does not fit; the next call returns it.
        """
        with self._alone(self._receiving, "receiving on"), memoryview(buffer).cast("B") as room:
            size = self._take_one(lambda: self._link.read_into(room), timeout)
            if size is not None:
                return int(size)
            message = self._queue[0]
            data = (message.data if type(message) is Part else message) or b""
            data = data.encode() if isinstance(data, str) else data
            if len(data) > len(room):
                raise ValueError(f"the message has {len(data)} bytes, but the buffer has room for {len(room)}")
            self._pop()
            room[: len(data)] = data
            return len(data)

    def recv_view(self, timeout: Optional[float] = None) -> memoryview:
        """Receives the next message as a read-only memoryview of its bytes, without a copy.

        The view is valid until the next message is received, which releases it; prefer `with ws.recv_view() as view`. Receiving
        raises BufferError while something made from the view is still in use. Meanwhile only `close()` reads: no Pings are
        answered, and `ping().wait()` does not see the Pong.
        """
        with self._alone(self._receiving, "receiving on"):
            view = self._take_one(self._link.read_view, timeout)
            if isinstance(view, memoryview):
                return view  # itself: it has to be this one that is released
            message = self._pop()
            return memoryview(message.encode() if isinstance(message, str) else message)

    # Sending

    def send(
        self,
        message: Union[str, Buffer, Iterable[Union[str, Buffer]]],
        text: Optional[bool] = None,
        *,
        timeout: Optional[float] = None,
    ) -> None:
        """Sends a message: text for `str`, binary for any C-contiguous buffer, or as `text` says; the items of an iterable as
        fragments.

        Waits until the system has taken the bytes, but at most `timeout` seconds. TimeoutError: the message has not been
        accepted. If it has been accepted when the time is over, later calls send the rest. ConnectionClosed: it is not sent.
        BufferError: the buffer is not contiguous.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._sending.acquire(timeout=-1 if timeout is None else max(0, timeout)):
            raise TimeoutError("another thread is sending")
        try:
            if isinstance(message, str):
                self._send(TEXT if text is None or text else BINARY, message, None, deadline)
            elif is_buffer(message):
                self._send(TEXT if text else BINARY, message, None, deadline)
            elif isinstance(message, Iterable) and not isinstance(message, dict):
                self._send_fragments(iter(message), text, deadline)
            else:
                raise TypeError("message must be str, bytes-like, or iterable")
        finally:
            self._sending.release()

    def ping(self, data: Union[str, Buffer, None] = None, *, ack_on_close: bool = False) -> Pinged:
        """Sends a Ping with up to 125 bytes, by default four random ones. The Pong sets the event that this returns.

        RFC 6455 section 5.5.2. ConcurrencyError: a Ping with the same bytes has not been answered yet.
        """
        payload = data.encode() if isinstance(data, str) else None if data is None else of_buffer(data)
        if payload in self._pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        while payload is None or payload in self._pings:
            payload = os.urandom(4)
        pinged = Pinged(self)
        self._pings[payload] = (pinged, time.monotonic(), ack_on_close)
        try:
            self._send(Kind.PING, payload, None, None)
        except BaseException:
            self._pings.pop(payload, None)
            raise
        return pinged

    def pong(self, data: Union[str, Buffer] = b"") -> None:
        """Sends an unsolicited Pong with up to 125 bytes. RFC 6455 section 5.5.3."""
        self._send(Kind.PONG, data if isinstance(data, str) else of_buffer(data), None, None)

    # The end

    def close(self, code: Optional[int] = 1000, reason: str = "") -> None:
        """Performs the closing handshake and waits for its end, at most `close_timeout`. Has no effect if the connection is
        already closed.

        ValueError: the code may not be sent, or the reason is longer than 123 bytes.
        """
        if self._over:
            return
        status = self._begin_close(code, reason)
        if status in FAILED:
            # The peer is gone: that is the end, which is what was asked for. recv() and send() tell why.
            self._take_status(status)
        elif status not in (OK, ALREADY_CLOSED, CONNECTION_CLOSED):
            raise self._link.handle.error(status)
        self._until(lambda: self._over, None, receiving=True)

    def wait_closed(self, timeout: Optional[float] = None) -> bool:
        """Waits for the end of the connection; returns whether it has ended."""
        return self._until(lambda: self._over, timeout)

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close(1000 if kind is None else 1011)

    def __del__(self) -> None:
        if getattr(self, "_over", True):
            return
        warnings.warn(f"unclosed connection {self!r}", ResourceWarning, source=self)
        self._link.close()

    # Watching

    @property
    def state(self) -> State:
        """State of the connection, as far as it has been read."""
        return State.CLOSED if self._over else self._link.handle.state

    @property
    def close_code(self) -> Optional[int]:
        """The code of the peer's Close, 1005 if it had none, 1006 if there was no Close; None while the connection is open."""
        if self._rcvd is not None:
            return self._rcvd.code
        return exceptions.ABNORMAL_CLOSURE if self._over else None

    @property
    def close_reason(self) -> Optional[str]:
        """The reason of the peer's Close; None while the connection is open."""
        if self._rcvd is not None:
            return self._rcvd.reason
        return "" if self._over else None

    @property
    def latency(self) -> float:
        """Round-trip time of the last answered Ping, in seconds; 0 if none has been answered."""
        if self._latency is not None:
            return self._latency
        return max(0, self._link.handle.latency_ms) / 1000

    @property
    def local_address(self) -> Any:
        """The address of this end's socket."""
        return self._addresses[0]

    @property
    def remote_address(self) -> Any:
        """The address of the peer's socket."""
        return self._addresses[1]

    def fileno(self) -> int:
        """The file descriptor of the socket; -1: it is closed. Do not read from it or write to it."""
        return -1 if self._over else self._link.fileno()

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception that describes how the connection ended."""
        rcvd, sent = self._rcvd, self._sent
        both = rcvd is not None and sent is not None
        order = self._rcvd_then_sent if both else None
        if rcvd is not None and sent is not None and rcvd.code in exceptions.WELL and sent.code in exceptions.WELL:
            return ConnectionClosedOK(rcvd, sent, order)
        error = ConnectionClosedError(rcvd, sent, order, "" if self._failure is None else str(self._failure))
        error.__cause__ = self._failure
        return error

    # Details: opening

    def _handshake(self) -> None:
        """Drives the opening handshake as far as it goes, and waits meanwhile. Raises what it failed with."""
        while True:
            status = self._link.handshake()
            if status == OK:
                return
            if status != WOULD_BLOCK:
                error = self._link.handle.error(status)
                self._end()
                if status in (CONNECTION_CLOSED, ALREADY_CLOSED):
                    raise exceptions.HandshakeError("the connection was closed during the opening handshake")
                raise error
            self._link.wait(SLICE)

    def _opened(self) -> None:
        self.subprotocol = self._link.handle.subprotocol
        self._addresses = addresses(self._link.fileno())
        keeper.keep(self)

    # Details: reading

    def _wait_for_message(self, timeout: Optional[float]) -> None:
        queue = self._queue
        if queue:
            return
        if not self._until(lambda: bool(queue), timeout, receiving=True):
            if self._over:
                raise self.close_exc
            raise TimeoutError(f"no message for {timeout} s")

    def _until(self, done: Callable[[], bool], timeout: Optional[float], receiving: bool = False) -> bool:
        """Reads, or lets another thread read, until it is done, or over, or the time is; whether it is done.

        Who is not `receiving` (or closing) leaves what has no room with the peer, until somebody receives.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not done():
            if self._over:
                return done()
            if self._reading.acquire(False) if receiving else self._may_read_now():
                try:
                    if self._read() or self._over:
                        continue
                    left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                    if left <= 0:
                        return done()
                    self._link.wait(left)
                finally:
                    self._stop_reading()
            else:
                left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    return done()
                self._listen(left, for_room=not (receiving or self._may_read))
        return True

    def _listen(self, seconds: float, for_room: bool = False) -> None:
        """Waits for the thread that reads to tell something; or for the one that receives, to make room."""
        with self._news:
            self._waiters += 1
            try:
                # It may have stopped in between, or made some.
                if for_room:
                    if self._over or self._may_read:
                        return
                elif self._reading.acquire(False):
                    self._reading.release()
                    return
                self._news.wait(seconds)
            finally:
                self._waiters -= 1

    def _pop(self) -> Any:
        """Takes the first message out of the queue."""
        message = self._queue.popleft()
        if self._waiters:
            self._tell()
        return message

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def _read(self) -> bool:
        """Reads what is there, with `_reading` held; whether that was anything."""
        events: list[Event] = []
        status = self._link.read(events)
        for event in events:
            self._take(event)
        if status not in (OK, WOULD_BLOCK):
            self._take_status(status)
            return True
        return bool(events)

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is Pong:
            self._answered(event.payload)
        elif kind is Close:
            self._rcvd = event
            with self._news:
                if self._sent is None:
                    self._sent, self._rcvd_then_sent = event, True
                else:
                    self._rcvd_then_sent = False
        elif kind is not Ping and (self._sent is None or self._has_room):
            self._queue.append(event)

    def _take_status(self, status: int) -> None:
        if status in (CONNECTION_CLOSED, ALREADY_CLOSED):
            self._end()
        elif self._failure is None:
            self._failure = self._link.handle.error(status)
            code = self._link.handle.close_code
            if self._sent is None and code not in (0, exceptions.NO_STATUS_RECEIVED, exceptions.ABNORMAL_CLOSURE):
                self._sent = Close(code)

    def _take_one(self, read: Callable[[], tuple[int, Any]], timeout: Optional[float]) -> Any:
        """Reads one message by `read`; None: it waits in the queue instead."""
        got: list[Any] = []

        def done() -> bool:
            return bool(self._queue or got)

        deadline = None if timeout is None else time.monotonic() + timeout
        while not done() and not self._over:
            if not self._reading.acquire(False):
                left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"no message for {timeout} s")
                self._listen(left)
                continue
            try:
                status, event = read()
                if status == OK:
                    if type(event) in (int, memoryview):
                        return event
                    self._take(event)
                    continue
                if status != WOULD_BLOCK:
                    self._take_status(status)
                    continue
                left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"no message for {timeout} s")
                self._link.wait(left)
            finally:
                self._stop_reading()
        if not self._queue:
            raise self.close_exc
        return None

    def _decoded(
        self, data: Data, decode: Optional[bool], decoder: Optional[codecs.IncrementalDecoder], final: bool
    ) -> Data:
        if decode is None or isinstance(data, str) is decode:
            return data
        if isinstance(data, str):
            return data.encode()
        try:
            return data.decode() if decoder is None else decoder.decode(data, final)
        except UnicodeDecodeError as error:
            if self._failure is None:
                self._failure = error
            self._begin_close(1007, f"{error.reason} at position {error.start}")
            self._until(lambda: self._over, None, receiving=True)
            raise self.close_exc from error

    def _deliver_parts(self, on: bool) -> None:
        while not self._reading.acquire(timeout=SLICE):
            pass
        try:
            if not self._over:
                self._link.handle.set(Option.DELIVER_FRAGMENTS, int(on))
                self._link.handle.parts = on
        finally:
            self._reading.release()

    @property
    def _has_room(self) -> bool:
        return self._max_queue is None or len(self._queue) < self._max_queue

    @property
    def _may_read(self) -> bool:
        """Who does not receive may read: nothing is lent, and there is room, or a Close has been sent, so that no more is kept."""
        handle = self._link.handle
        return (self._has_room or not handle.can_write) and not handle.is_lending

    def _may_read_now(self) -> bool:
        """Takes `_reading` where this may read, and nobody else does; whether it has."""
        if not self._may_read or not self._reading.acquire(False):
            return False
        if self._may_read:
            return True
        self._stop_reading()  # a view has been lent in between
        return False

    def _stop_reading(self) -> None:
        self._reading.release()
        if self._waiters:
            self._tell()

    def _look_after(self) -> None:
        """Called by the keeper: reads, where nobody else does."""
        if self._over or not self._may_read_now():
            return
        try:
            self._read()
        finally:
            self._stop_reading()

    def _answered(self, payload: bytes) -> None:
        """A Pong answers its Ping and those before it (RFC 6455 section 5.5.3)."""
        if payload not in self._pings:
            return
        now = time.monotonic()
        for each in list(self._pings):
            pinged, sent_at, _ = self._pings.pop(each)
            pinged.set()
            if each == payload:
                self._latency = now - sent_at
                return

    def _end(self) -> None:
        if self._over:
            return
        self._latency = self.latency
        self._over = True
        keeper.forget(self)
        link, self._link = self._link, NO_LINK
        for pinged, _, ack_on_close in self._pings.values():
            if ack_on_close:
                pinged.set()
        link.close()
        self._tell()

    # Details: sending

    def _send_fragments(self, items: Iterator[Any], text: Optional[bool], deadline: Optional[float]) -> None:
        try:
            first = next(items)
        except StopIteration:
            return
        if isinstance(first, str):
            kind = TEXT if text is None or text else BINARY
        elif is_buffer(first):
            kind = TEXT if text else BINARY
        else:
            raise TypeError("items must be str or bytes-like")
        try:
            # The last fragment is known as such only after it: an empty one ends the message.
            self._send(kind, first, False, deadline)
            for item in items:
                if isinstance(item, str) is not isinstance(first, str) or not (isinstance(item, str) or is_buffer(item)):
                    raise TypeError("all items must be of the same type")
                self._send(kind, item, False, deadline)
            self._send(kind, b"", True, deadline)
        except ConnectionClosed:
            raise
        except BaseException:
            # Half a message is out: nothing else can be sent in its place.
            self._begin_close(1011, "close during fragmented message")
            raise

    def _send(self, kind: int, data: Union[str, Buffer], final: Optional[bool], deadline: Optional[float]) -> None:
        link = self._link
        while True:
            if self._over:
                raise self.close_exc
            status = link.write(kind, data) if final is None else link.write_fragment(kind, data, final)
            if status == OK:
                break
            if status != SEND_QUEUE_FULL:
                raise self._refused(status)
            if not self._make_room(deadline):
                raise TimeoutError("the message has not been accepted: the peer does not read what was sent before")
        while link.pending and not self._over and self._make_room(deadline):
            link.flush()

    def _begin_close(self, code: Optional[int], reason: str) -> int:
        with self._news:
            # Together, so that a thread that reads the answer knows what it answers.
            first = self._link.handle.can_write
            status = self._link.begin_close(code or 0, reason)
            if status == OK and first:
                self._sent = Close(exceptions.NO_STATUS_RECEIVED if code is None else code, reason)
            return status

    def _make_room(self, deadline: Optional[float]) -> bool:
        """Waits for the transport to take something, and reads meanwhile where nobody does; False: the time is over."""
        left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
        if left <= 0:
            return False
        reading = self._may_read_now()
        try:
            self._link.wait_to_send(left, reading)
            if reading:
                self._read()
        finally:
            if reading:
                self._stop_reading()
        return True

    def _refused(self, status: int) -> Exception:
        if self._over:
            return self.close_exc
        if status in (CONNECTION_CLOSED, ALREADY_CLOSED):
            if self._sent is None or self._rcvd is not None:
                # The peer has closed, or the connection is lost: what is known of that is worth a look.
                self._until(lambda: self._over, 1)
            return self.close_exc
        if status in FAILED:
            self._take_status(status)
            self._until(lambda: self._over, 1)
            return self.close_exc
        return self._link.handle.error(status)

    def _alone(self, lock: Any, what: str) -> Alone:
        return Alone(lock, f"another thread is {what} this connection")


def broadcast(
    connections: Iterable[Connection],
    message: Union[str, Buffer],
    *,
    raise_exceptions: bool = False,
    text: Optional[bool] = None,
) -> None:
    """Sends a message to all of these connections that are open, without waiting. It is framed once and sent uncompressed.

    Connections that cannot take it (in the middle of a fragmented message, or with too much waiting to be sent) are skipped and
    their loggers report it; with `raise_exceptions`, an ExceptionGroup is raised (Python 3.11 and later; before that, the first
    exception).
    """
    is_text = isinstance(message, str) if text is None else text
    prepared = Prepared(TEXT if is_text else BINARY, message)
    failures: list[Exception] = []
    for connection in connections:
        if connection._over or not connection._link.handle.can_write:
            continue
        status = connection._link.write_prepared(prepared)
        if status in (OK, CONNECTION_CLOSED, ALREADY_CLOSED):
            continue
        error = connection._link.handle.error(status)
        if raise_exceptions:
            failures.append(error)
        else:
            connection.logger.warning("skipped broadcast: %s", error)
    if failures:
        if sys.version_info < (3, 11):
            raise failures[0]
        raise ExceptionGroup("skipped broadcast", failures)


class Pinged(Flag):
    """Is set when the Ping has been answered. Whoever waits for that reads, where nobody else does."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def wait(self, timeout: Optional[float] = None) -> bool:
        connection = self._connection
        if not self.is_set() and not connection._until(self.is_set, timeout) and not self.is_set():
            return super().wait(0)
        return True


class Alone:
    """Holds a lock, or raises ConcurrencyError where somebody else does."""

    __slots__ = ("lock", "words")

    def __init__(self, lock: Any, words: str) -> None:
        self.lock = lock
        self.words = words

    def __enter__(self) -> None:
        if not self.lock.acquire(False):
            raise ConcurrencyError(self.words)

    def __exit__(self, *_: Any) -> None:
        self.lock.release()


def is_buffer(data: Any) -> bool:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return True
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def of_buffer(data: Any) -> bytes:
    """The bytes of a buffer. TypeError: it is none, for instance a number, of which bytes() would make zeros."""
    if not is_buffer(data):
        raise TypeError("data must be str or bytes-like")
    return bytes(data)


def addresses(fileno: int) -> tuple[Any, Any]:
    """The names of both ends of a socket."""
    if fileno < 0:
        return None, None
    sock = socket.socket(fileno=fileno)
    names: list[Any] = []
    try:
        for ask in (sock.getsockname, sock.getpeername):
            try:
                names.append(ask())
            except OSError:
                names.append(None)
    finally:
        sock.detach()
    return names[0], names[1]
