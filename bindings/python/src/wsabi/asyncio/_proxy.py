"""Connections through a proxy: the library opens these itself, and moves their bytes over a socket of its own.

So the handshakes with proxies, and TLS behind them, are the library's, too. The event loop only tells when the socket is ready;
to a connection, `ProxyTransport` looks like any other transport.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Callable, Optional, Union

from .._handle import now_ms
from .._library import waiting
from .._tables import Flag, Option
from ._memory import Memory

__all__ = ["ProxyTransport", "connect"]


async def connect(uri: str, config: Any, proxy: str, create: Callable[[Memory], Any]) -> Any:
    """A connection of `create`'s through this proxy, with the opening handshake done. InvalidProxy; ProxyError: it refuses."""
    loop = asyncio.get_running_loop()
    if not watches_sockets(loop):
        raise NotImplementedError(
            f"{type(loop).__name__} cannot watch a socket, which a proxy needs: run an asyncio.SelectorEventLoop, use wsabi.sync, "
            "or set proxy=None"
        )
    config.set_proxy(proxy)
    config.set(Option.BLOCKING, 0)
    handle = OverSocket(lambda out: waiting.ws_connect(config, uri.encode(), out), uri)
    status = handle.handshake()
    while status == WOULD_BLOCK:
        await until_ready(loop, handle)
        status = handle.handshake()
    if status:
        raise handle.error(status)
    connection = create(handle)
    connection.connection_made(ProxyTransport(loop, handle, connection))
    return connection


async def until_ready(loop: asyncio.AbstractEventLoop, handle: OverSocket) -> None:
    """Waits until there may be something to do. The socket changes while addresses are tried, and comes after the names."""
    ready = loop.create_future()
    fileno, interest, due = handle.fileno(), handle.interest, handle.next_deadline_ms
    wait = SOON if due is None else max(0.0, min(SOON, due / 1000 - loop.time()))

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    if fileno >= 0 and interest & Flag.WANT_READ:
        loop.add_reader(fileno, tell)
    if fileno >= 0 and interest & Flag.WANT_WRITE:
        loop.add_writer(fileno, tell)
    try:
        await asyncio.wait([ready], timeout=wait)
    finally:
        if fileno >= 0:
            loop.remove_reader(fileno)
            loop.remove_writer(fileno)


class OverSocket(Memory):
    """A connection over a socket of the library's, on whose clock the deadlines run."""

    def tick(self, now_ms: int) -> int:
        return OK

    def feed_eof(self) -> None:
        pass

    @property
    def next_deadline_ms(self) -> Optional[int]:
        due = super().next_deadline_ms
        return None if due is None else due - now_ms() + int(asyncio.get_running_loop().time() * 1000)


class ProxyTransport(asyncio.Transport):
    """Tells a connection when the library's socket is ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: OverSocket, connection: Any) -> None:
        # A descriptor of our own for the same socket, so that closing is up to us.
        of_library = socket.socket(fileno=handle.fileno())
        try:
            self._socket = of_library.dup()
        finally:
            of_library.detach()
        self._socket.setblocking(False)
        names = {"sockname": name_of(self._socket, False), "peername": name_of(self._socket, True)}
        super().__init__({"socket": self._socket, **names})
        self._loop = loop
        self._handle = handle
        self._connection = connection
        self._high, self._low = 2**16, 2**14
        self._full = False  # the connection has been told not to write
        self._reading = False
        self._closing = False
        connection._output = self._send
        self.resume_reading()

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def is_reading(self) -> bool:
        return self._reading

    def set_write_buffer_limits(self, high: Optional[int] = None, low: Optional[int] = None) -> None:
        self._high = high if high is not None else 2**16 if low is None else 4 * low
        self._low = low if low is not None else self._high // 4

    def get_write_buffer_size(self) -> int:
        return self._handle.queued_bytes

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._connection = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection  # type: ignore[no-any-return]

    def write(self, data: Union[bytes, bytearray, memoryview]) -> None:
        raise NotImplementedError("the library writes itself")

    def close(self) -> None:
        if not self._closing:
            self.pause_reading()
            self._closing = True
            self._loop.remove_writer(self._socket)
            self._loop.call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def _lost(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        # From here on nothing leads back to the connection, so that its descriptor is closed with the last reference to it.
        connection, self._connection = self._connection, None
        connection.connection_lost(None)
        self._socket.close()

    def _readable(self) -> None:
        if self._closing:
            return
        self._connection._read(in_callback=True)
        self._watch()

    def _writable(self) -> None:
        if self._closing:
            return
        self._send(None)
        self._connection._read()

    def _send(self, conn: Any) -> bytes:
        """What a connection asks for what it has to write: nothing, since the library writes."""
        if not self._closing:
            self._handle.write_pending()
            self._watch()
        return b""

    def _watch(self) -> None:
        if self._closing:
            return
        if self._handle.interest & Flag.WANT_WRITE:
            self._loop.add_writer(self._socket, self._writable)
        else:
            self._loop.remove_writer(self._socket)
        queued = self._handle.queued_bytes
        if not self._full and queued > self._high:
            self._full = True
            self._connection.pause_writing()
        elif self._full and queued <= self._low:
            self._full = False
            self._connection.resume_writing()


# Details

OK, WOULD_BLOCK = 0, -1
SOON = 0.05  # seconds
NOWHERE = 2**30  # no descriptor


def watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop has add_reader(): Windows' default, the ProactorEventLoop, has none."""
    try:
        loop.remove_reader(NOWHERE)
    except NotImplementedError:
        return False
    except Exception:
        pass  # it would, but there is no such descriptor
    return True


def name_of(sock: socket.socket, of_peer: bool) -> Any:
    try:
        return sock.getpeername() if of_peer else sock.getsockname()
    except OSError:
        return None
