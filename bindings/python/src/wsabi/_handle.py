"""The handles of the C ABI as objects: connections and listeners, and (in `_config`) what they are made of.

It knows lifetimes, and turns statuses into exceptions; `_buffers` knows pointers. It knows no protocol rule, no socket and no
clock; the layers above (protocol, sync, asyncio) touch the library through it alone.

A buffer goes in without a copy: bytes as they are, anything else that is C-contiguous by its buffer, which is held for as long
as the call takes. Payloads come out as `bytes` or `str`, or as a memoryview that lives until the next read (`read_view()`).

Any thread may call any method. What has to be done in one go (a read and taking its messages out, output and advancing it) is
done under a lock of the handle's own, so that no thread sees memory that another one has given back.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, c_char, c_size_t, c_ubyte, c_uint64, c_void_p, create_string_buffer, string_at
from threading import Lock
from typing import Any, Callable, NamedTuple, Optional, Union

from . import exceptions
from ._address import encoded
from ._buffers import POINTER_SIZE, Buffer, lend_to, memory, pointers, text, unpack, view, word
from ._config import Config, OwnedConn, OwnedListener, Prepared, check, last_sentence
from ._errors import last_code, os_error
from ._library import quick, quick_raw, waiting
from ._tables import Kind, Option, Role, State, Status
from .exceptions import Close, InvalidURI
from .http import Headers

__all__ = ["Buffer", "Close", "Config", "Event", "Handle", "Listener", "Part", "Ping", "Pong", "Prepared", "proxy_for"]

# How to read, and how to ask whether to read on: WAITING hands out a batch at a time, since a socket may never run dry.
Calls = tuple[Callable[..., int], Callable[..., int]]
QUICK: Calls = quick_raw("ws_read_messages"), quick_raw("ws_has_input")
WAITING: Calls = waiting.ws_read_messages, lambda _: 0


class Ping(NamedTuple):
    """A Ping from the peer, which has been answered. RFC 6455 section 5.5.2."""

    payload: bytes


class Pong(NamedTuple):
    """A Pong from the peer. RFC 6455 section 5.5.3."""

    payload: bytes


class Part(NamedTuple):
    """A part of a message, if messages are delivered as they arrive. Parts of a text end between characters."""

    data: Union[str, bytes]
    final: bool


# What a read gives: a text message, a binary one, or one of these.
Event = Union[str, bytes, Part, Ping, Pong, Close]

OK = int(Status.OK)
WOULD_BLOCK = int(Status.ERR_WOULD_BLOCK)
INVALID_ARGUMENT = int(Status.ERR_INVALID_ARGUMENT)
TEXT, BINARY, CLOSE, PING, PONG = (int(kind) for kind in Kind)
NEVER = 2**64 - 1
LARGE = 4096  # bytes of output from which on lending and copying once is better than a call less
ROOM = c_size_t(LARGE)


class Handle:
    """A connection, over any of its transports. It is freed with the last reference to it: a thread that is in a call has one.

    Methods that return an `int` return a status, since "not yet" is not a failure; `error(status)` converts it to an exception.
    All other methods raise exceptions.
    """

    def __init__(self, make: Callable[[Any], int], url: str = "") -> None:
        conn = OwnedConn()
        status = make(byref(conn))
        if status == Status.ERR_URL:
            raise InvalidURI(url, last_sentence())
        check(status)
        self._conn = conn
        self.parts = False
        self._reading = Lock()
        self._moving = Lock()  # bytes, in memory mode
        # Arguments, and where the library writes its answers to: made once, which takes longer than the calls.
        self._out, self._count, self._size = c_size_t(), c_size_t(), c_size_t()
        self._out_ref, self._count_ref, self._size_ref = byref(self._out), byref(self._count), byref(self._size)
        self._room: Any = None  # for output: from the first time on that it is taken, since many connections never do
        self._room_ref: Any = None
        self._large = False  # there may be more to send than that has room for
        self._lent: Any = None

    @classmethod
    def connect(cls, config: Config, url: str) -> Handle:
        """Starts a connection over a socket of the library. It never waits."""
        return cls(lambda out: waiting.ws_connect(config, encoded(url), out), url)

    @classmethod
    def client(cls, config: Config, url: str) -> Handle:
        """Creates a client in memory mode, or over the socket of `set_socket`."""
        return cls(lambda out: quick.ws_client_new(config, encoded(url), out), url)

    @classmethod
    def server(cls, config: Config) -> Handle:
        """Creates a server's end in memory mode, or over the socket of `set_socket`."""
        return cls(lambda out: quick.ws_server_new(config, out))

    @classmethod
    def resume(cls, config: Config, role: Role, part: bytes = b"") -> Handle:
        """Creates a connection whose opening handshake has been done elsewhere; `part` was received after the head."""
        return cls(lambda out: quick.ws_from_partially_read(config, role, part, len(part), out))

    def set_socket(self, fileno: int) -> None:
        """Makes your own connected socket the transport; it has to stay open as long as this object lives."""
        self.check(quick.ws_set_socket(self._conn, fileno))

    # The opening handshake

    def handshake(self) -> int:
        """Performs the opening handshake; returns a status."""
        status: int = waiting.ws_handshake(self._conn)
        return status

    def add_header(self, name: str, value: str) -> None:
        """A server adds a header to its response to the request that waits."""
        self.check(quick.ws_add_header(self._conn, word(name), word(value)))

    def add_headers(self, headers: Headers) -> None:
        """All of these, but those that the library writes itself."""
        for name, value in headers.raw_items():
            if name.lower() not in WRITTEN:
                self.add_header(name, value)

    def accept(self, subprotocol: Optional[str] = None) -> None:
        """Accepts the waiting request on a server."""
        self.check(waiting.ws_accept(self._conn, None if subprotocol is None else word(subprotocol)))

    def reject(self, status: int, body: bytes = b"") -> None:
        """Answers the waiting request on a server with a status from 200 to 599; then call `write_pending` until the connection
        is over.
        """
        self.check(waiting.ws_reject(self._conn, status, body, len(body)))

    @property
    def is_upgrade(self) -> bool:
        """The request that a server has received would open a WebSocket; others come with PLAIN_REQUESTS."""
        upgrade: int = quick.ws_is_upgrade(self._conn)
        return upgrade == 1

    @property
    def method(self) -> Optional[str]:
        """The method of the request that a server has received."""
        return text(quick.ws_request_method(self._conn))

    @property
    def target(self) -> Optional[str]:
        """The target of the request that a server has received."""
        return text(quick.ws_request_target(self._conn))

    @property
    def subprotocol(self) -> Optional[str]:
        """The negotiated subprotocol."""
        return text(quick.ws_protocol(self._conn))

    @property
    def http_status(self) -> int:
        """The HTTP status that the server answered a client with; 0 before that, and on a server."""
        status: int = quick.ws_http_status(self._conn)
        return status

    def http_body(self) -> bytes:
        """The body that the server refused a client with."""
        data, size = c_void_p(), c_size_t()
        self.check(quick.ws_http_body(self._conn, byref(data), byref(size)))
        return string_at(data.value, size.value) if data.value else b""

    def headers(self) -> Headers:
        """The headers that the peer sent."""
        name, value = ctypes.c_char_p(), ctypes.c_char_p()
        items: list[tuple[str, str]] = []
        while quick.ws_header_at(self._conn, len(items), byref(name), byref(value)) == OK:
            items.append((text(name.value) or "", text(value.value) or ""))
        return Headers(items)

    # Reading. One thread at a time; a second one waits for the first, which is not for long but where WS_OPT_BLOCKING is on.

    def read(self, into: list[Any], calls: Calls = QUICK) -> int:
        """Reads all messages that lie there whole, and appends them; a status: why there are no more.

        WAITING, for sockets, reads one batch, without the GIL; WOULD_BLOCK behind that says nothing about what is left.
        """
        with self._reading:
            if self._lent is not None:
                self._take_back()
            conn, out_ref, count_ref = self._conn, self._out_ref, self._count_ref
            read_messages, has_input = calls
            while True:
                status = read_messages(conn, out_ref, count_ref)
                if status:
                    return status
                out = self._out.value // POINTER_SIZE
                for message in pointers[out : out + self._count.value]:
                    data, size, kind, code, final = unpack(view, message)
                    if kind == BINARY and not self.parts:
                        into.append(memory[data : data + size])
                    elif kind == TEXT and not self.parts:
                        into.append(str(memory[data : data + size], "utf-8"))
                    else:
                        into.append(self._event(data, size, kind, code, final))
                if not has_input(conn):
                    return WOULD_BLOCK

    def _event(self, data: int, size: int, kind: int, code: int, final: int) -> Event:
        payload = memory[data : data + size]
        if kind == CLOSE:
            return Close(code, payload.decode())
        if kind == PING:
            return Ping(payload)
        if kind == PONG:
            return Pong(payload)
        whole = payload.decode() if kind == TEXT else payload
        return Part(whole, final != 0) if self.parts else whole

    def read_view(self) -> tuple[int, Union[Event, memoryview]]:
        """Reads one message and lends its payload, uncopied; a status, and a memoryview for text and binary.

        The view lives until the next read: that one releases it, and raises BufferError while a slice of it, or something else
        made from it, is still in use.
        """
        return self._read_one(self._lend)

    def read_into(self, buffer: Buffer) -> tuple[int, Union[Event, int]]:
        """Reads one message into a writable buffer; a status, and how many bytes it has. One that does not fit is given as it
        is, so that it is not lost."""
        with memoryview(buffer).cast("B") as room:
            if room.readonly:
                raise BufferError("the buffer is read-only")

            def copy(data: int, size: int, kind: int) -> Union[Event, int]:
                if size > len(room):
                    payload: bytes = memory[data : data + size]
                    return payload.decode() if kind == TEXT else payload
                room[:size] = view[data : data + size]
                return size

            return self._read_one(copy)

    def _read_one(self, take: Callable[[int, int, int], Any]) -> tuple[int, Any]:
        with self._reading:
            if self._lent is not None:
                self._take_back()
            status: int = waiting.ws_read_message(self._conn, self._out_ref)
            if status:
                return status, None
            data, size, kind, code, final = unpack(view, self._out.value)
            if kind in (TEXT, BINARY):
                return status, take(data, size, kind)
            return status, self._event(data, size, kind, code, final)

    def _lend(self, data: int, size: int, kind: int) -> memoryview:
        self._lent = (c_ubyte * size).from_address(data)
        self._lent.owner = self._conn
        self._conn.view = memoryview(self._lent).toreadonly().cast("B")
        return self._conn.view

    @property
    def is_lending(self) -> bool:
        """A view of the message read last has not been released."""
        if self._conn.view is None:
            return False
        try:
            return self._conn.view.nbytes >= 0
        except ValueError:
            return False

    def _take_back(self) -> None:
        """Releases the view that was lent last. A slice of it, which nobody else counts, is a reference to its array."""
        if self._conn.view is not None:
            self._conn.view.release()
            self._conn.view = None
        if sys.getrefcount(self._lent) > 2:
            raise BufferError("the last message is still in use: release everything made from its view")
        self._lent = None

    # Writing. `data` is str, bytes, or any other C-contiguous buffer.

    def write(self, kind: int, data: Union[str, Buffer]) -> int:
        """Sends a message, or queues what the transport does not take; a status. SEND_QUEUE_FULL: not accepted."""
        return lend_to(waiting.ws_write_message, self._conn, kind, data)

    def queue(self, kind: int, data: Union[str, Buffer]) -> int:
        """The same without sending; a status. It leaves with the next write, read, or `take_output`."""
        if type(data) is str:
            data = data.encode()
        if type(data) is bytes:
            self._large |= len(data) > LARGE
            return queue_message(self._conn, kind, data, c_size_t(len(data)))
        self._large = True
        return lend_to(waiting.ws_queue_message, self._conn, kind, data)

    def write_fragment(self, kind: int, data: Union[str, Buffer], final: bool) -> int:
        """Sends the next fragment of a message; a status."""
        return lend_to(waiting.ws_write_fragment, self._conn, kind, data, final)

    def write_prepared(self, prepared: Prepared) -> int:
        """Sends a message that was framed before; a status."""
        status: int = waiting.ws_write_prepared(self._conn, prepared)
        return status

    def write_pending(self) -> int:
        """Sends what is pending; a status."""
        status: int = waiting.ws_write_pending(self._conn)
        return status

    def close(self, code: int = 1000, reason: str = "") -> int:
        """Begins the closing handshake; a status."""
        words = reason.encode()
        status: int = waiting.ws_close(self._conn, code, words, len(words)) if 0 <= code < 65536 else INVALID_ARGUMENT
        return status

    # Watching

    @property
    def state(self) -> State:
        """State of the connection."""
        state: int = get_state(self._conn)
        return State(state) if state >= 0 else State.CLOSED

    @property
    def can_read(self) -> bool:
        """Messages of the peer may still come."""
        return bool(quick.ws_can_read(self._conn))

    @property
    def can_write(self) -> bool:
        """Messages can be sent."""
        return bool(quick.ws_can_write(self._conn))

    @property
    def has_input(self) -> bool:
        """The next read may find something without waiting."""
        return bool(quick.ws_has_input(self._conn))

    @property
    def interest(self) -> int:
        """What to wait for: a bitwise OR of Flag."""
        flags: int = quick.ws_interest(self._conn)
        return flags

    @property
    def queued_bytes(self) -> int:
        """Number of bytes waiting to be sent."""
        size: int = quick.ws_queued_bytes(self._conn)
        return size

    @property
    def close_code(self) -> int:
        """The code of the peer's Close, 1005 where it had none; else why the connection was given up; 0: neither."""
        code: int = quick.ws_close_code(self._conn)
        return code

    @property
    def latency_ms(self) -> int:
        """Round-trip time of the last automatic Ping that was answered; -1: none."""
        latency: int = quick.ws_latency(self._conn)
        return latency

    def fileno(self) -> int:
        """The socket; -1: none. It may change while connecting."""
        fileno: int = quick.ws_get_socket(self._conn)
        return fileno

    def set(self, option: Option, value: int) -> None:
        """Sets an option; it holds from the next call on."""
        self.check(quick.ws_set_option(self._conn, option, value))

    def get(self, option: Option) -> int:
        """Reads an option."""
        value = c_uint64()
        self.check(quick.ws_get_option(self._conn, option, byref(value)))
        return value.value

    def message(self) -> str:
        """Describes the last failure."""
        return text(quick.ws_error_message(self._conn)) or ""

    def error(self, status: int) -> Exception:
        """The exception for a status that a method of this handle gave."""
        message = self.message()
        if status in (Status.ERR_HANDSHAKE, Status.ERR_PROXY):
            http_status = self.http_status
            kind = exceptions.ProxyError if status == Status.ERR_PROXY else exceptions.HandshakeError
            if status == Status.ERR_HANDSHAKE and http_status not in (0, 101):
                kind = exceptions.InvalidStatus
            return kind(message, http_status, self.headers(), self.http_body())
        return exceptions.from_status(status, message, quick.ws_io_error(self._conn))

    def check(self, status: int) -> None:
        """Raises what `status` stands for."""
        if status:
            raise self.error(status)

    # Memory mode

    def feed(self, data: Buffer) -> int:
        """Takes received bytes, and says how many it had room for. Where that is fewer, read until WOULD_BLOCK, then go on."""
        with self._moving:
            if type(data) is bytes:
                status = feed(self._conn, data, c_size_t(len(data)), self._size_ref)
            else:
                status = lend_to(waiting.ws_feed, self._conn, None, data, self._size_ref)
            if status:
                raise self.error(status)
            return self._size.value

    def feed_eof(self) -> None:
        """The peer has ended the stream."""
        self.check(quick.ws_feed_eof(self._conn))

    def take_output(self) -> bytes:
        """All bytes that wait to be sent, which are then gone from here."""
        with self._moving:
            if self._room is None:
                self._room = (c_char * LARGE)()
                self._room_ref = byref(self._room)
            if not self._large:
                status = output_take(self._conn, self._room_ref, ROOM, self._size_ref)
                if status:
                    raise self.error(status)
                size = self._size.value
                taken: bytes = self._room[:size]
                if size < LARGE:
                    return taken
                pieces = [taken]
            else:
                pieces = []
            self._large = False
            while True:
                status = output(self._conn, self._out_ref, self._size_ref)
                if status:
                    raise self.error(status)
                size = self._size.value
                if not size:
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                start = self._out.value
                pieces.append(memory[start : start + size])
                self.check(output_advance(self._conn, c_size_t(size)))

    def tick(self, now_ms: int) -> int:
        """Hands the clock in; a status."""
        status: int = quick.ws_tick(self._conn, now_ms)
        return status

    @property
    def next_deadline_ms(self) -> Optional[int]:
        """When something is due next, on the clock of `tick`, or of `now_ms` with a socket; None: never."""
        deadline: int = quick.ws_next_deadline(self._conn)
        return None if deadline == NEVER else deadline

    def wait(self, timeout_ms: int) -> int:
        """Waits for the socket or a deadline, `timeout_ms` at most, for ever where that is negative; a status. Signals end it."""
        status: int = waiting.ws_wait(self._conn, timeout_ms)
        return status


class Listener:
    """Accepts connections over TCP, TLS or a Unix socket. It is closed with the last reference to it."""

    def __init__(self, config: Config, url: str) -> None:
        self._listener = OwnedListener()
        status = waiting.ws_listen(config, encoded(url), byref(self._listener))
        if status == Status.ERR_URL:
            raise InvalidURI(url, last_sentence())
        if status == Status.ERR_IO:
            code = last_code()
            why = os_error(code).strerror if code else "no such host"
            raise os_error(code, f"{url} cannot be listened at: {why}")
        check(status)

    def accept(self) -> Optional[Handle]:
        """The next connection; None: none waits. Its opening handshake is still to come."""

        def make(out: Any) -> int:
            status: int = waiting.ws_listener_accept(self._listener, out)
            if status == Status.ERR_IO:
                raise os_error(last_code())
            return status

        try:
            return Handle(make)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        """The listening socket."""
        fileno: int = quick.ws_listener_socket(self._listener)
        return fileno

    @property
    def port(self) -> int:
        """The port it listens on; 0 for a Unix socket."""
        port: int = quick.ws_listener_port(self._listener)
        return port


def now_ms() -> int:
    """Time of the library's clock."""
    now: int = quick.ws_now()
    return now


def proxy_for(url: str) -> Optional[str]:
    """The URL of the proxy that the environment names for this URL, or None. InvalidProxy: it cannot be used."""
    size = c_size_t()
    room = create_string_buffer(256)
    while True:
        status = quick.ws_proxy_for(encoded(url), room, len(room), byref(size))
        if status == Status.ERR_PROXY:
            raise exceptions.InvalidProxy("the environment's", last_sentence())
        if status == Status.ERR_URL:
            raise InvalidURI(url, last_sentence())
        check(status)
        if size.value < len(room):
            return text(room.value) or None
        room = create_string_buffer(size.value + 1)


# Details

# What the library writes into a response itself.
WRITTEN = ("connection", "content-length", "transfer-encoding", "upgrade")

# The calls of the fast path, without types: an argument is then passed as it is, in half the time. Lengths have to be c_size_t,
# and addresses references, since an int goes as a C int.
queue_message = quick_raw("ws_queue_message")
feed = quick_raw("ws_feed")
output_take = quick_raw("ws_output_take")
output = quick_raw("ws_output")
output_advance = quick_raw("ws_output_advance")
get_state = quick.ws_get_state
