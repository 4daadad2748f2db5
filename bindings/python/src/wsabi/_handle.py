"""The handles of the C ABI as objects: a configuration, a connection, a listener, a message framed once.

It knows pointers, lengths and lifetimes, and turns statuses into exceptions. It knows no protocol rule, no socket and no
clock; the layers above (protocol, sync, asyncio) touch the library through it alone.

A buffer goes in without a copy: bytes as they are, anything else that is C-contiguous by its buffer, which is held for as long
as the call takes. Payloads come out as `bytes` or `str`, or as a memoryview that lives until the next read (`view()`).

Any thread may call any method. What has to be done in one go (a read and taking its messages out, output and advancing it) is
done under a lock of the handle's own, so that no thread sees memory that another one has given back.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from ctypes import PYFUNCTYPE, byref, c_size_t, c_ssize_t, c_ubyte, c_uint64, c_void_p, py_object, string_at
from threading import Lock
from typing import Any, Callable, NamedTuple, Optional, Union

from . import exceptions
from ._library import quick, waiting
from ._tables import WS_MESSAGE_FORMAT, Kind, Option, Role, State, Status
from .exceptions import Close, ConcurrencyError, InvalidURI
from .http import Headers

__all__ = ["Buffer", "Close", "Config", "Event", "Handle", "Listener", "Part", "Ping", "Pong", "Prepared"]

# What can be sent as binary: bytes, bytearray, memoryview, array.array, and all else with a C-contiguous buffer. (There is no
# type for these before Python 3.12.)
Buffer = Any


class Ping(NamedTuple):
    """A Ping of the peer's, which has been answered. RFC 6455 section 5.5.2."""

    payload: bytes


class Pong(NamedTuple):
    """A Pong of the peer's. RFC 6455 section 5.5.3."""

    payload: bytes


class Part(NamedTuple):
    """A part of a message, where messages are handed out as they arrive. Parts of text are cut between characters."""

    data: Union[str, bytes]
    final: bool


# What a read gives: a text message, a binary one, or one of these.
Event = Union[str, bytes, Part, Ping, Pong, Close]

OK = int(Status.OK)
WOULD_BLOCK = int(Status.ERR_WOULD_BLOCK)
INVALID_ARGUMENT = int(Status.ERR_INVALID_ARGUMENT)
TEXT, BINARY, CLOSE, PING, PONG = (int(kind) for kind in Kind)
NEVER = 2**64 - 1
LARGE = 64 * 1024  # bytes from which on letting go of the GIL is worth it


class Config:
    """What a connection or a listener begins with. It is copied when it is used."""

    def __init__(self) -> None:
        self._as_parameter_ = c_void_p(quick.ws_config_new())

    def __del__(self, free: Callable[[c_void_p], None] = quick.ws_config_free) -> None:
        if hasattr(self, "_as_parameter_"):
            free(self._as_parameter_)

    def set(self, option: Option, value: int) -> None:
        """Sets an option. ValueError: it cannot have that value."""
        if not 0 <= value <= NEVER or quick.ws_config_set(self._as_parameter_, option, value):
            raise ValueError(f"{option.name} cannot be {value}")

    def get(self, option: Option) -> int:
        """Reads an option."""
        value = c_uint64()
        check(quick.ws_config_get(self._as_parameter_, option, byref(value)))
        return value.value

    def add_header(self, name: str, value: str) -> None:
        """Adds a header to the request of a client, or the response of a server."""
        if quick.ws_config_add_header(self._as_parameter_, word(name), word(value)):
            raise ValueError(f"not a header that can be added: {name!r}: {value!r}")

    def add_protocol(self, name: str) -> None:
        """Adds a subprotocol, the favourite first."""
        if quick.ws_config_add_protocol(self._as_parameter_, word(name)):
            raise ValueError(f"not a subprotocol, or there already: {name!r}")

    def set_proxy(self, url: Optional[str]) -> None:
        """Sets the proxy of ws_connect: http, socks5 or socks5h."""
        if quick.ws_config_set_proxy(self._as_parameter_, None if url is None else word(url)):
            assert url is not None
            raise exceptions.InvalidProxy(url, "neither http://, socks5:// nor socks5h:// with a host and a port")

    def set_tls_roots(self, pem: bytes) -> None:
        """Sets the certificates to trust instead of the system's."""
        refused = waiting.ws_config_set_tls_roots(self._as_parameter_, pem, len(pem))
        if refused:
            raise exceptions.from_status(refused, "not certificates in PEM")

    def set_tls_identity(self, chain_pem: bytes, key_pem: bytes) -> None:
        """Sets the certificate that this end shows, and its key."""
        refused = waiting.ws_config_set_tls_identity(
            self._as_parameter_, chain_pem, len(chain_pem), key_pem, len(key_pem)
        )
        if refused:
            raise exceptions.from_status(refused, "not a certificate and its key in PEM")


class Prepared:
    """A message framed once, to be sent on many connections. A server shares its bytes; it goes uncompressed."""

    def __init__(self, kind: int, data: Union[str, Buffer]) -> None:
        out = c_void_p()
        check(lend_to(waiting.ws_prepare_message, kind, None, data, byref(out)))
        self._as_parameter_ = out

    def __del__(self, free: Callable[[c_void_p], None] = quick.ws_prepared_free) -> None:
        if hasattr(self, "_as_parameter_"):
            free(self._as_parameter_)


class Owner:
    """Owns a ws_conn: it is freed with the last reference to this, be that a handle or a view of a message."""

    __slots__ = ("conn",)

    def __init__(self, conn: c_void_p) -> None:
        self.conn = conn

    def __del__(self, free: Callable[[c_void_p], None] = quick.ws_free) -> None:
        free(self.conn)


class Handle:
    """A connection, over any of its transports. It is freed with the last reference to it: a thread that is in a call has one.

    Methods that give an `int` give a status, since "not yet" is no failure; `error(status)` makes an exception of one. All
    others raise.
    """

    def __init__(self, make: Callable[[Any], int], url: str = "") -> None:
        conn = c_void_p()
        status = make(byref(conn))
        if status == Status.ERR_URL:
            raise InvalidURI(url, "it cannot be used here")
        check(status)
        self._owner = Owner(conn)
        self._conn = conn
        self.parts = False
        self._reading = Lock()
        self._moving = Lock()  # bytes, in memory mode
        # Where the library writes its answers to: made once, since making them takes longer than the calls.
        self._out, self._count = c_void_p(), c_size_t()
        self._data, self._size = c_void_p(), c_size_t()
        self._out_ref, self._count_ref = byref(self._out), byref(self._count)
        self._data_ref, self._size_ref = byref(self._data), byref(self._size)
        # Windows on the memory of the library, by address. They are looked through only at what it has just lent.
        self._arrays: dict[int, Any] = {}
        self._messages: dict[int, Any] = {}
        self._lent: Any = None
        self._view: Optional[memoryview] = None

    @classmethod
    def connect(cls, config: Config, url: str) -> Handle:
        """Starts a connection over a socket of the library's. It never waits."""
        return cls(lambda out: waiting.ws_connect(config, url.encode(), out), url)

    @classmethod
    def client(cls, config: Config, url: str) -> Handle:
        """A client in memory mode, or over what `set_socket` names."""
        return cls(lambda out: quick.ws_client_new(config, url.encode(), out), url)

    @classmethod
    def server(cls, config: Config) -> Handle:
        """A server's end in memory mode, or over what `set_socket` names."""
        return cls(lambda out: quick.ws_server_new(config, out))

    @classmethod
    def resume(cls, config: Config, role: Role, part: bytes = b"") -> Handle:
        """A connection whose opening handshake somebody else has done; `part` is what was read behind it."""
        return cls(lambda out: quick.ws_from_partially_read(config, role, part, len(part), out))

    def set_socket(self, fileno: int) -> None:
        """Lets a connected socket of the caller's move the bytes; it has to stay open for as long as this lives."""
        self.check(quick.ws_set_socket(self._conn, fileno))

    # The opening handshake

    def handshake(self) -> int:
        """Drives the opening handshake; a status."""
        status: int = waiting.ws_handshake(self._conn)
        return status

    def accept(self, subprotocol: Optional[str] = None) -> None:
        """A server takes the request that waits."""
        self.check(waiting.ws_accept(self._conn, None if subprotocol is None else word(subprotocol)))

    def reject(self, status: int, body: bytes = b"") -> None:
        """A server refuses the request that waits; then `write_pending` until the connection is over."""
        self.check(waiting.ws_reject(self._conn, status, body, len(body)))

    @property
    def target(self) -> Optional[str]:
        """The target of the request that a server has received."""
        return text(quick.ws_request_target(self._conn))

    @property
    def subprotocol(self) -> Optional[str]:
        """The subprotocol agreed on."""
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

    # Reading. One thread at a time: ConcurrencyError for a second one.

    def read(self, into: list[Event]) -> int:
        """Reads what lies there whole, as many messages as one call hands out, and appends them; a status."""
        return self._read(read_messages, into)

    def read_waiting(self, into: list[Event]) -> int:
        """The same without the GIL, for what may take a while: a socket, or bytes to inflate."""
        return self._read(waiting.ws_read_messages, into)

    def _read(self, read: Callable[..., int], into: list[Event]) -> int:
        if not self._reading.acquire(False):
            raise ConcurrencyError("another thread is receiving on this connection")
        try:
            if self._lent is not None:
                self._take_back()
            status = read(self._conn, self._out_ref, self._count_ref)
            if status == OK:
                address, count = self._out.value, self._count.value
                pointers = self._arrays.get(address)  # type: ignore[arg-type]
                if pointers is None or len(pointers) < count:
                    pointers = remember(self._arrays, address, c_void_p * count)
                for pointer in pointers[:count]:
                    message = self._messages.get(pointer)
                    if message is None:
                        message = remember(self._messages, pointer, MESSAGE)
                    into.append(self._event(*unpack(message)))
            return status
        finally:
            self._reading.release()

    def _event(self, data: int, size: int, kind: int, code: int, final: int) -> Event:
        if kind == BINARY:
            payload = bytes_at(data, size)
            return Part(payload, final != 0) if self.parts else payload
        if kind == TEXT:
            string = text_at(data, size, None)
            return Part(string, final != 0) if self.parts else string
        if kind == CLOSE:
            return Close(code, text_at(data, size, None))
        return (Ping if kind == PING else Pong)(bytes_at(data, size))

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

            def copy(data: int, size: int, kind: int) -> Union[Event, int]:
                if size > len(room):
                    whole: Event = text_at(data, size, None) if kind == TEXT else bytes_at(data, size)
                    return whole
                room[:size] = (c_ubyte * size).from_address(data)
                return size

            return self._read_one(copy)

    def _read_one(self, take: Callable[[int, int, int], Any]) -> tuple[int, Any]:
        if not self._reading.acquire(False):
            raise ConcurrencyError("another thread is receiving on this connection")
        try:
            if self._lent is not None:
                self._take_back()
            status: int = waiting.ws_read_message(self._conn, self._out_ref)
            if status:
                return status, None
            data, size, kind, code, final = unpack(MESSAGE.from_address(self._out.value or 0))
            if kind in (TEXT, BINARY):
                return status, take(data, size, kind)
            return status, self._event(data, size, kind, code, final)
        finally:
            self._reading.release()

    def _lend(self, data: int, size: int, kind: int) -> memoryview:
        self._lent = (c_ubyte * size).from_address(data)
        self._lent.owner = self._owner
        self._view = memoryview(self._lent).toreadonly().cast("B")
        return self._view

    def _take_back(self) -> None:
        """Releases the view that was lent last. A slice of it, which nobody else counts, is a reference to its array."""
        if self._view is not None:
            self._view.release()
            self._view = None
        if sys.getrefcount(self._lent) > 2:
            raise BufferError("the message received last is still in use: release what was made from its view")
        self._lent = None

    # Writing. `data` is str, bytes, or any other C-contiguous buffer.

    def write(self, kind: int, data: Union[str, Buffer]) -> int:
        """Sends a message, or queues what the transport does not take; a status. SEND_QUEUE_FULL: not accepted."""
        return lend_to(waiting.ws_write_message, self._conn, kind, data)

    def queue(self, kind: int, data: Union[str, Buffer]) -> int:
        """The same without sending; a status. It leaves with the next write, read, or `take_output`."""
        if type(data) is bytes and len(data) < LARGE:
            status: int = queue_message(self._conn, kind, data, len(data))
            return status
        return lend_to(queue_message, self._conn, kind, data)

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
        """How far the connection has come."""
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
        """What to wait for: values of Flag, joined."""
        flags: int = quick.ws_interest(self._conn)
        return flags

    @property
    def queued_bytes(self) -> int:
        """How many bytes wait to be sent."""
        size: int = quick.ws_queued_bytes(self._conn)
        return size

    @property
    def close_code(self) -> int:
        """The code of the peer's Close, 1005 where it had none; else why the connection was given up; 0: neither."""
        code: int = quick.ws_close_code(self._conn)
        return code

    @property
    def latency_ms(self) -> int:
        """How long the peer took to answer the last Ping that was due; -1: none."""
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
        """What went wrong last, in a sentence."""
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
                status = feed(self._conn, data, len(data), self._size_ref)
            else:
                status = lend_to(feed, self._conn, None, data, self._size_ref)
            if status:
                raise self.error(status)
            return self._size.value

    def feed_eof(self) -> None:
        """The peer has ended the stream."""
        self.check(quick.ws_feed_eof(self._conn))

    def take_output(self) -> bytes:
        """All bytes that wait to be sent, which are then gone from here."""
        with self._moving:
            first = b""
            more: Optional[list[bytes]] = None
            while True:
                status = output(self._conn, self._data_ref, self._size_ref)
                if status:
                    raise self.error(status)
                size = self._size.value
                if not size:
                    return first if more is None else b"".join(more)
                piece = bytes_at(self._data.value, size)
                output_advance(self._conn, size)
                if not first:
                    first = piece
                elif more is None:
                    more = [first, piece]
                else:
                    more.append(piece)

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
        out = c_void_p()
        status = waiting.ws_listen(config, url.encode(), byref(out))
        if status == Status.ERR_URL:
            raise InvalidURI(url, "it cannot be listened at")
        if status == Status.ERR_IO:
            errno = ctypes.get_errno()
            raise OSError(errno, f"{url} cannot be listened at: {os.strerror(errno) if errno else 'no such host'}")
        check(status)
        self._listener = out

    def __del__(self, free: Callable[[c_void_p], None] = quick.ws_listener_free) -> None:
        if hasattr(self, "_listener"):
            free(self._listener)

    def accept(self) -> Optional[Handle]:
        """The next connection; None: none waits. Its opening handshake is still to come."""

        def make(out: Any) -> int:
            status: int = waiting.ws_listener_accept(self._listener, out)
            if status == Status.ERR_IO:
                errno = ctypes.get_errno()
                raise OSError(errno, os.strerror(errno))
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
    """The library's own clock."""
    now: int = quick.ws_now()
    return now


# Details: buffers in, payloads out.

MESSAGE = c_ubyte * struct.calcsize("@" + WS_MESSAGE_FORMAT)
unpack = struct.Struct("@" + WS_MESSAGE_FORMAT).unpack_from
WINDOWS = 256

read_messages = quick.ws_read_messages
queue_message = quick.ws_queue_message
feed = quick.ws_feed
output = quick.ws_output
output_advance = quick.ws_output_advance
get_state = quick.ws_get_state

bytes_at = PYFUNCTYPE(py_object, c_void_p, c_ssize_t)(("PyBytes_FromStringAndSize", ctypes.pythonapi))
text_at = PYFUNCTYPE(py_object, c_void_p, c_ssize_t, ctypes.c_char_p)(("PyUnicode_DecodeUTF8", ctypes.pythonapi))


class PyBuffer(ctypes.Structure):
    """Py_buffer of the buffer protocol (PEP 3118)."""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", c_void_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    ]


get_buffer = PYFUNCTYPE(ctypes.c_int, py_object, c_void_p, ctypes.c_int)(("PyObject_GetBuffer", ctypes.pythonapi))
release_buffer = PYFUNCTYPE(None, c_void_p)(("PyBuffer_Release", ctypes.pythonapi))


def lend_to(call: Any, first: Any, kind: Optional[int], data: Union[str, Buffer], *rest: Any) -> int:
    """Calls a function of the library with the bytes of `data`, uncopied. BufferError: they do not lie in one piece."""
    before = (first,) if kind is None else (first, kind)
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, bytes):
        status: int = call(*before, data, len(data), *rest)
        return status
    buffer = PyBuffer()
    get_buffer(data, byref(buffer), 0)
    try:
        status = call(*before, buffer.buf, buffer.len, *rest)
    finally:
        release_buffer(byref(buffer))
    return status


def remember(windows: dict[int, Any], address: Any, shape: Any) -> Any:
    if len(windows) >= WINDOWS:
        windows.clear()
    window = windows[address] = shape.from_address(address)
    return window


def word(string: str) -> bytes:
    """A string for C. ValueError: it has a NUL in it, behind which C would not look."""
    if "\0" in string:
        raise ValueError(f"a NUL in {string!r}")
    return string.encode("utf-8", "surrogateescape")


def text(words: Optional[bytes]) -> Optional[str]:
    return None if words is None else words.decode("utf-8", "surrogateescape")


def check(status: int) -> None:
    if status:
        raise exceptions.from_status(status)
