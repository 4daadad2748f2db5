"""Serving: a thread for each connection, like `websockets.sync.server`.

It knows listening sockets, threads, and the program's decisions about a request; it parses nothing.
"""

from __future__ import annotations

import hmac
import logging
import os
import selectors
import socket
import ssl as ssl_module
import stat
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Callable, Optional, Union

from .. import exceptions
from .._deciding import Credentials, Origins, allowed, known_credentials, offered, presented
from .._handle import Config, Handle, Listener
from .._link import Link, NativeLink, TLSLink, unix_socket
from .._log import LoggerLike
from .._options import TLS, USER_AGENT, Limit, Queue, configure
from .._tables import Option, State
from ..http import Headers, Request, Response, phrase
from .connection import Connection, broadcast

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

BACKLOG = 128


class ServerConnection(Connection):
    """The server's end. `request` is the client's request; `response` is None (the library creates it)."""

    def __init__(self, link: Link, logger: LoggerLike, max_queue: Queue = 16) -> None:
        super().__init__(link, logger, max_queue)
        self.server: Optional[Server] = None
        self.username = ""  # of basic_auth()
        self._refusal = "connection rejected"  # what the log calls it

    def respond(self, status: int, text: str) -> Response:
        """Creates a response in plain text, for `process_request` to return."""
        headers = Headers({"Content-Type": "text/plain; charset=utf-8"})
        return Response(int(status), HTTPStatus(status).phrase, headers, text.encode())


Handler = Callable[[ServerConnection], None]
ProcessRequest = Callable[[ServerConnection, Request], Optional[Response]]
ProcessResponse = Callable[[ServerConnection, Request, Response], Optional[Response]]
SelectSubprotocol = Callable[[ServerConnection, Sequence[str]], Optional[str]]


def serve(
    handler: Handler,
    host: Optional[str] = None,
    port: Optional[int] = None,
    *,
    sock: Optional[socket.socket] = None,
    ssl: Union[ssl_module.SSLContext, TLS, None] = None,
    origins: Optional[Origins] = None,
    subprotocols: Optional[Sequence[str]] = None,
    select_subprotocol: Optional[SelectSubprotocol] = None,
    compression: Optional[str] = "deflate",
    process_request: Optional[ProcessRequest] = None,
    process_response: Optional[ProcessResponse] = None,
    server_header: Optional[str] = USER_AGENT,
    open_timeout: Optional[float] = 10,
    ping_interval: Optional[float] = 20,
    ping_timeout: Optional[float] = 20,
    close_timeout: Optional[float] = 10,
    max_size: Limit = 2**20,
    max_queue: Queue = 16,
    logger: Optional[LoggerLike] = None,
    create_connection: Optional[type[ServerConnection]] = None,
    options: Optional[dict[Option, int]] = None,
    **kwargs: Any,
) -> Server:
    """Listens and returns a Server: `with serve(handler, host, port) as server: server.serve_forever()`.

    `handler` is called for each connection in its own thread. When it returns, the connection is closed: with 1000, or with 1011
    if it raised an exception. `ssl` is an SSLContext, or a `wsabi.TLS` with a certificate. `origins` lists the allowed origins:
    strings, compiled patterns, or None for requests without one. `process_request` may return a Response with a status from 200
    to 599 (`connection.respond()`); it is called for every request without a body, including health checks, and requests that are
    not for WebSocket are refused if it returns None. `process_response` may add headers to the response (a 101 is passed without
    the library's own headers) or return another response. Other keyword arguments are passed to `socket.create_server()`; the
    rest are those of `connect()`.
    """
    config = configure(
        subprotocols=subprotocols,
        server_header=server_header,
        compression=compression,
        max_size=max_size,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        deliver_control=True,
        auto_accept=False,
        # A process_request sees health checks and the like, too.
        options={Option.BLOCKING: 0, Option.PLAIN_REQUESTS: int(process_request is not None), **(options or {})},
    )
    accept: Accepting
    if isinstance(ssl, TLS):
        if sock is not None or kwargs:
            raise ValueError("with sock, ssl must be an SSLContext")
        ssl.apply(config)
        accept = ByLibrary(config, f"wss://{bracketed(host or '0.0.0.0')}:{port or 0}/")
    else:
        if sock is None:
            sock = listening(host, port, kwargs)
        sock.setblocking(False)
        accept = ByPython(config, sock, ssl, open_timeout)
    deciding = Deciding(origins, select_subprotocol, process_request, process_response)
    logger = logger or logging.getLogger("wsabi.server")
    return Server(accept, handler, deciding, create_connection or ServerConnection, logger, max_queue)


def unix_serve(handler: Handler, path: Optional[str] = None, **kwargs: Any) -> Server:
    """Listens on a Unix socket; otherwise like `serve()`."""
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: Optional[Credentials] = None,
    check_credentials: Optional[Callable[[str, str], bool]] = None,
) -> ProcessRequest:
    """Creates a `process_request` that requires a user name and password (RFC 7617): one of `credentials`, or accepted by
    `check_credentials`.

    `connection.username` is then the user name.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("either credentials or check_credentials is required")
    known = {} if credentials is None else known_credentials(credentials)

    def is_right(name: str, password: str) -> bool:
        if check_credentials is not None:
            return check_credentials(name, password)
        return name in known and hmac.compare_digest(known[name].encode(), password.encode())

    def process_request(connection: ServerConnection, request: Request) -> Optional[Response]:
        name, password, problem = presented(request.headers.get("Authorization"))
        if problem is None and is_right(name, password):
            connection.username = name
            return None
        response = connection.respond(401, problem or "Invalid credentials\n")
        response.headers["WWW-Authenticate"] = f'Basic realm="{realm}", charset="UTF-8"'
        return response

    return process_request


class Server:
    """Accepts connections until it is shut down."""

    def __init__(
        self,
        accept: Accepting,
        handler: Handler,
        deciding: Deciding,
        create_connection: type[ServerConnection],
        logger: LoggerLike,
        max_queue: Queue,
    ) -> None:
        self.logger = logger
        self._accept = accept
        self._handler = handler
        self._deciding = deciding
        self._create_connection = create_connection
        self._max_queue = max_queue
        self._lock = threading.Lock()
        self._connections: set[ServerConnection] = set()
        self._threads: set[threading.Thread] = set()
        self._closing = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._serving = threading.Lock()

    @property
    def socket(self) -> socket.socket:
        """The listening socket. AttributeError: it belongs to the library (use `fileno()` and `port`)."""
        if isinstance(self._accept, ByPython):
            return self._accept.socket
        raise AttributeError("the listening socket belongs to the library")

    @property
    def port(self) -> int:
        """The port on which it listens; 0 for a Unix socket."""
        return self._accept.port

    @property
    def connections(self) -> set[ServerConnection]:
        """The open connections."""
        with self._lock:
            return set(self._connections)

    def fileno(self) -> int:
        """The listening socket."""
        return self._accept.fileno()

    def serve_forever(self) -> None:
        """Accepts connections until another thread calls `shutdown()`, or until an exception such as KeyboardInterrupt."""
        with self._serving, selectors.DefaultSelector() as selector:
            if not self._closing:
                selector.register(self._accept, selectors.EVENT_READ)
                selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._closing:
                try:
                    ready = [key.fileobj for key, _ in selector.select()]
                    if self._closing or self._accept not in ready:
                        continue
                    link = self._accept.accept()
                except (OSError, ValueError) as error:
                    if self._closing:
                        return
                    self.logger.error("a connection cannot be accepted: %s", error)
                    time.sleep(0.1)  # for instance for want of descriptors
                    continue
                if link is not None:
                    thread = threading.Thread(target=self._run, args=(link,), daemon=True)
                    with self._lock:
                        self._threads.add(thread)
                    thread.start()

    def shutdown(self, close_connections: bool = True, code: int = 1001, reason: str = "") -> None:
        """Stops accepting, closes the connections with this code (unless told not to), and waits for their handlers."""
        self._closing = True
        try:
            self._wake_in.send(b"x")
        except OSError:
            pass
        with self._serving:
            self._accept.close()
        while True:
            with self._lock:
                threads = [thread for thread in self._threads if thread is not threading.current_thread()]
                connections = set(self._connections)
            if not threads:
                break
            if close_connections:
                closers = [threading.Thread(target=quietly, args=(each, code, reason)) for each in connections]
                for closer in closers:
                    closer.start()
                for closer in closers:
                    closer.join()
            threads[0].join(0.05)
        self._wake_in.close()
        self._wake_out.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.shutdown()

    def _run(self, accepted: Callable[[], Link]) -> None:
        """The life of a connection, in its thread."""
        try:
            link = accepted()
            connection = self._create_connection(link, self.logger, self._max_queue)
            connection.server = self
            try:
                if not self._deciding.open(connection, self):
                    return
            except BaseException:
                connection._end()
                raise
            self.logger.info("connection open")
            with self._lock:
                self._connections.add(connection)
            try:
                with connection:
                    self._handler(connection)
            except Exception:
                self.logger.error("connection handler failed", exc_info=True)
            finally:
                self.logger.info("connection closed")
                with self._lock:
                    self._connections.discard(connection)
        except (exceptions.WebSocketException, OSError) as error:
            self.logger.info("opening handshake failed: %s", error)
        except Exception:
            self.logger.error("opening handshake failed", exc_info=True)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    @property
    def is_closing(self) -> bool:
        """`shutdown()` has been called."""
        return self._closing


def quietly(connection: ServerConnection, code: int, reason: str) -> None:
    try:
        connection.close(code, reason)
    except Exception:
        connection.logger.debug("closing failed", exc_info=True)


class Deciding:
    """What becomes of a request."""

    def __init__(
        self,
        origins: Optional[Origins],
        select_subprotocol: Optional[SelectSubprotocol],
        process_request: Optional[ProcessRequest],
        process_response: Optional[ProcessResponse],
    ) -> None:
        self.origins = origins
        self.select_subprotocol = select_subprotocol
        self.process_request = process_request
        self.process_response = process_response

    def open(self, connection: ServerConnection, server: Server) -> bool:
        """Does the opening handshake; whether the connection is open."""
        connection._handshake()
        handle = connection._link.handle
        if handle.state == State.REQUEST:
            request = connection.request = Request(handle.target or "", handle.headers())
            response = self.answer(connection, request, server)
            if response is None and not handle.is_upgrade:
                handle.set(Option.AUTO_ACCEPT, 1)  # the library says by itself what is wrong with it
                connection._handshake()
            if response is not None:
                return self.refuse(connection, response)
            chosen = None
            if self.select_subprotocol is not None:
                try:
                    chosen = self.select_subprotocol(connection, offered(request.headers))
                except Exception:
                    connection.logger.error("select_subprotocol failed", exc_info=True)
                    return self.refuse(connection, connection.respond(500, FAILED.decode()))
            handle.accept(chosen)
            connection._link.flush()
        connection._opened()
        return True

    def refuse(self, connection: ServerConnection, response: Response) -> bool:
        """Sends this response, and waits until the client has taken it, for ten seconds at most; False: it is not open."""
        self.reject(connection, response)
        deadline = time.monotonic() + 10
        while not connection._over and time.monotonic() < deadline:
            connection._until(lambda: connection._over, 1)
        connection._end()
        connection.logger.info("connection closed")
        return False

    def reject(self, connection: ServerConnection, response: Response) -> None:
        """Answers with this response, or with 500 where it cannot be one."""
        handle = connection._link.handle
        try:
            if not isinstance(response, Response):
                raise TypeError(f"process_request returned {response!r}, not a Response")
            handle.add_headers(response.headers)
            handle.reject(response.status_code, response.body)
            words = response.reason_phrase or phrase(response.status_code)
            connection.logger.info("%s (%d %s)", connection._refusal, response.status_code, words)
        except (TypeError, ValueError):
            connection.logger.error("opening handshake failed", exc_info=True)
            handle.reject(500, FAILED)

    def answer(self, connection: ServerConnection, request: Request, server: Server) -> Optional[Response]:
        """The response that refuses it; None: it is taken."""
        if server.is_closing:
            return connection.respond(503, "Server is shutting down.\n")
        try:
            response = None if self.process_request is None else self.process_request(connection, request)
            if response is not None:
                connection._refusal = "HTTP response sent"
            elif not connection._link.handle.is_upgrade:
                return None
            if response is None and self.origins is not None and not allowed(request.headers.get("Origin"), self.origins):
                response = connection.respond(403, "This origin may not connect.\n")
            if self.process_response is not None:
                given = response or Response(101, "Switching Protocols")
                given = self.process_response(connection, request, given) or given
                if response is None and given.status_code == 101:
                    connection._link.handle.add_headers(given.headers)
                    return None
                return given
            return response
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            return connection.respond(500, FAILED.decode())


FAILED = b"Internal server error.\n"

# Details: listening.


class ByPython:
    """Accepts by a socket of Python's."""

    def __init__(
        self, config: Config, sock: socket.socket, ssl: Optional[ssl_module.SSLContext], open_timeout: Optional[float]
    ) -> None:
        self.socket = sock
        self.config = config
        self.ssl = ssl
        self.open_timeout = open_timeout
        name = sock.getsockname()
        self.port: int = name[1] if isinstance(name, tuple) else 0
        self.path = name if isinstance(name, str) and name else None

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def accept(self) -> Optional[Callable[[], Link]]:
        """What makes the link, in the connection's own thread; None: nobody waits."""
        try:
            stream, _ = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        return lambda: self.link(stream)

    def link(self, stream: socket.socket) -> Link:
        try:
            if stream.family in (socket.AF_INET, socket.AF_INET6):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            handle = Handle.server(self.config)
            if self.ssl is None:
                handle.set_socket(stream.fileno())
                return NativeLink(handle, stream)
            stream.settimeout(self.open_timeout)
            return TLSLink(handle, self.ssl.wrap_socket(stream, server_side=True))
        except BaseException:
            stream.close()
            raise


class ByLibrary:
    """Accepts by a listener of the library's, which sees to TLS."""

    def __init__(self, config: Config, url: str) -> None:
        self.listener: Optional[Listener] = Listener(config, url)
        self.port = self.listener.port

    def fileno(self) -> int:
        return -1 if self.listener is None else self.listener.fileno()

    def close(self) -> None:
        self.listener = None

    def accept(self) -> Optional[Callable[[], Link]]:
        handle = None if self.listener is None else self.listener.accept()
        return None if handle is None else lambda: NativeLink(handle)


Accepting = Union[ByPython, ByLibrary]


def listening(host: Optional[str], port: Optional[int], kwargs: dict[str, Any]) -> socket.socket:
    if kwargs.pop("unix", False):
        path = kwargs.pop("path", None)
        if path is None:
            raise ValueError("missing path argument")
        sock = unix_socket()
        try:
            remove_stale(os.fspath(path))
            sock.bind(os.fspath(path))
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        return sock
    if host is None:
        kwargs.setdefault("family", socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET)
        kwargs.setdefault("dualstack_ipv6", socket.has_dualstack_ipv6())
    kwargs.setdefault("backlog", BACKLOG)
    return socket.create_server((host or "", port or 0), **kwargs)


def remove_stale(path: str) -> None:
    """Removes the file of a Unix socket at which nobody listens any more; nothing but a socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    probe = unix_socket()
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:
        pass
    finally:
        probe.close()


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
