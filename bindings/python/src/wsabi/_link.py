"""What moves the bytes of a connection that threads use: the library over a socket, or this file over Python's TLS.

A link never waits but in `wait()`, and any thread may call any method, one at a time reading. It knows sockets and the clock;
it knows no messages, no exceptions of the connection's end, and no protocol rule.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys
from threading import Lock
from typing import Any, Optional, Union

from ._handle import OK, WAITING, WOULD_BLOCK, Buffer, Config, Event, Handle, Prepared, now_ms
from ._tables import Status

__all__ = ["NO_LINK", "Link", "NativeLink", "TLSLink", "unix_socket"]

ALREADY_CLOSED = int(Status.ERR_ALREADY_CLOSED)

READ_SIZE = 64 * 1024


class NativeLink:
    """Over a socket of the library's, or a plain one of Python's, which is closed with this."""

    def __init__(self, handle: Handle, sock: Optional[socket.socket] = None) -> None:
        self.handle = handle
        self._socket = sock
        self._opener = os.getpid()

    def close(self) -> None:
        """Closes Python's socket. The library's is closed with the last reference to its handle."""
        if self._socket is not None:
            close(self._socket, self._opener)

    def fileno(self) -> int:
        return self.handle.fileno()

    # These give statuses, as the methods of Handle do.

    def handshake(self) -> int:
        return self.handle.handshake()

    def read(self, into: list[Event]) -> int:
        return self.handle.read(into, WAITING)

    def read_view(self) -> tuple[int, Union[Event, memoryview]]:
        return self.handle.read_view()

    def read_into(self, buffer: Buffer) -> tuple[int, Union[Event, int]]:
        return self.handle.read_into(buffer)

    def write(self, kind: int, data: Union[str, Buffer]) -> int:
        return self.handle.write(kind, data)

    def write_fragment(self, kind: int, data: Union[str, Buffer], final: bool) -> int:
        return self.handle.write_fragment(kind, data, final)

    def write_prepared(self, prepared: Prepared) -> int:
        return self.handle.write_prepared(prepared)

    def flush(self) -> int:
        return self.handle.write_pending()

    def begin_close(self, code: int, reason: str) -> int:
        status = self.handle.close(code, reason)
        if status == OK:
            self.handle.write_pending()
        return status

    @property
    def pending(self) -> bool:
        """Something waits to be sent."""
        return self.handle.queued_bytes > 0

    def wait(self, seconds: float) -> None:
        """Waits until there may be something to read, or room for what waits to be sent, or something due; may return early."""
        self.handle.wait(max(0, round(seconds * 1000)))

    def wait_to_send(self, seconds: float, reading: bool) -> None:
        """Waits for room; with `reading`, also for something to read."""
        wait(self.handle.fileno(), reading, True, seconds)


class TLSLink:
    """Over an SSLSocket, in memory mode: the bytes go through Python."""

    def __init__(self, handle: Handle, sock: ssl.SSLSocket) -> None:
        self.handle = handle
        self._socket = sock
        self._opener = os.getpid()
        self._lock = Lock()
        self._unsent = b""
        self._unfed = b""
        self._wants_write = False
        self._ended = False
        self._closed = False
        sock.setblocking(False)

    def close(self) -> None:
        with self._lock:
            # Whoever writes from now on reaches nothing: behind unwrap() the socket is a plain one.
            self._closed = True
            self._unsent = self._unfed = b""
            if os.getpid() == self._opener:
                try:
                    self._socket.unwrap()  # says that this is the end, and does not wait for the peer's answer
                except (OSError, ValueError):
                    pass
            close(self._socket, self._opener)

    def fileno(self) -> int:
        return self._socket.fileno()

    def handshake(self) -> int:
        with self._lock:
            status = self.handle.tick(now_ms())
            if status:
                return status
            self._flush()
            status = self.handle.handshake()
            while status == WOULD_BLOCK and self._receive():
                status = self.handle.handshake()
            self._flush()
            return status

    def read(self, into: list[Event]) -> int:
        with self._lock:
            status = self.handle.tick(now_ms()) or self.handle.read(into)
            if not into and status == WOULD_BLOCK and self._receive():
                status = self.handle.read(into)
            self._flush()
            return status

    def read_view(self) -> tuple[int, Union[Event, memoryview]]:
        got: tuple[int, Union[Event, memoryview]] = self._read_one(self.handle.read_view)
        return got

    def read_into(self, buffer: Buffer) -> tuple[int, Union[Event, int]]:
        got: tuple[int, Union[Event, int]] = self._read_one(lambda: self.handle.read_into(buffer))
        return got

    def _read_one(self, read: Any) -> Any:
        with self._lock:
            status = self.handle.tick(now_ms())
            if status:
                return status, None
            got = read()
            if got[0] == WOULD_BLOCK and self._receive():
                got = read()
            self._flush()
            return got

    def write(self, kind: int, data: Union[str, Buffer]) -> int:
        with self._lock:
            status = self.handle.write(kind, data)
            self._flush()
            return status

    def write_fragment(self, kind: int, data: Union[str, Buffer], final: bool) -> int:
        with self._lock:
            status = self.handle.write_fragment(kind, data, final)
            self._flush()
            return status

    def write_prepared(self, prepared: Prepared) -> int:
        with self._lock:
            status = self.handle.write_prepared(prepared)
            self._flush()
            return status

    def flush(self) -> int:
        with self._lock:
            self._flush()
            return WOULD_BLOCK if self._unsent or self.handle.queued_bytes else self.handle.write_pending()

    def begin_close(self, code: int, reason: str) -> int:
        with self._lock:
            status = self.handle.close(code, reason)
            self._flush()
            return status

    @property
    def pending(self) -> bool:
        return bool(self._unsent) or self.handle.queued_bytes > 0

    def wait(self, seconds: float) -> None:
        deadline = self.handle.next_deadline_ms
        if deadline is not None:
            seconds = min(seconds, max(0, deadline - now_ms()) / 1000)
        if self._unfed or self.handle.has_input or self._socket.fileno() < 0:
            return
        if not self._socket.pending():
            wait(self._socket.fileno(), True, self._wants_write or self.pending, seconds)

    def wait_to_send(self, seconds: float, reading: bool) -> None:
        wait(self._socket.fileno(), reading, True, seconds)

    def _receive(self) -> bool:
        """Feeds what has arrived; whether that was anything."""
        if not self._unfed:
            if self._ended or self._closed:
                return False
            self._wants_write = False
            try:
                self._unfed = self._socket.recv(READ_SIZE)
            except (ssl.SSLWantReadError, BlockingIOError):
                return False
            except ssl.SSLWantWriteError:
                self._wants_write = True
                return False
            except OSError:
                self._unfed = b""
            if not self._unfed:
                self._ended = True
                self.handle.feed_eof()
                return True
        self._unfed = self._unfed[self.handle.feed(self._unfed) :]
        return True

    def _flush(self) -> None:
        while not self._closed:
            if not self._unsent:
                self._unsent = self.handle.take_output()
                if not self._unsent:
                    return
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return
            except OSError:
                # Reading will find out, and say so.
                self._unsent = b""
                return


class NoLink:
    """What is left where a connection is over: every call is answered with that."""

    def __init__(self) -> None:
        self.handle = Handle.server(Config())

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return -1

    def handshake(self) -> int:
        return ALREADY_CLOSED

    def read(self, into: list[Event]) -> int:
        return ALREADY_CLOSED

    def read_view(self) -> tuple[int, Union[Event, memoryview]]:
        return ALREADY_CLOSED, b""

    def read_into(self, buffer: Buffer) -> tuple[int, Union[Event, int]]:
        return ALREADY_CLOSED, b""

    def write(self, kind: int, data: Union[str, Buffer]) -> int:
        return ALREADY_CLOSED

    def write_fragment(self, kind: int, data: Union[str, Buffer], final: bool) -> int:
        return ALREADY_CLOSED

    def write_prepared(self, prepared: Prepared) -> int:
        return ALREADY_CLOSED

    def flush(self) -> int:
        return ALREADY_CLOSED

    def begin_close(self, code: int, reason: str) -> int:
        return ALREADY_CLOSED

    pending = False

    def wait(self, seconds: float) -> None:
        pass

    def wait_to_send(self, seconds: float, reading: bool) -> None:
        pass


Link = Union[NativeLink, TLSLink, NoLink]

NO_LINK = NoLink()


def unix_socket() -> socket.socket:
    """A Unix socket. NotImplementedError: Python has none here, as on Windows."""
    if sys.platform != "win32" and hasattr(socket, "AF_UNIX"):
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    raise NotImplementedError("Python has no Unix sockets on this system: use TCP")


def close(sock: socket.socket, opener: int) -> None:
    """Closes a socket so that what was sent last is not overtaken by a reset: it is emptied first.

    In the child of a fork it is closed and no more, for it is still that of the process that opened it.
    """
    if os.getpid() == opener:
        try:
            sock.setblocking(False)
            socket.socket.shutdown(sock, socket.SHUT_WR)
            while socket.socket.recv(sock, READ_SIZE):
                pass
        except (OSError, ValueError):
            pass
    sock.close()


def wait(fileno: int, reading: bool, writing: bool, seconds: float) -> None:
    """Waits for a socket. A signal's handler runs meanwhile."""
    if fileno < 0:
        return
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fileno, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        poll.poll(max(0, seconds * 1000))
    else:
        select.select([fileno] if reading else [], [fileno] if writing else [], [], max(0, seconds))
