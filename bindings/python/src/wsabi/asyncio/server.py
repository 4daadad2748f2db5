"""Listening, the opening handshake with the program's decisions, a task for each connection, and shutting down.

It knows tasks and HTTP responses. What a valid request is, the library decides.
"""

from __future__ import annotations

import asyncio
import email.utils
import hmac
import http
import logging
import socket
import sys
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import Any, Callable, Optional, Union, cast

from .._deciding import Credentials, Origins, allowed, known_credentials, offered, presented
from .._library import quick
from .._options import USER_AGENT, Limit, configure
from .._tables import Option, State
from ..http import Headers, Request, Response, phrase
from ._http import parse_response, serialize
from ._memory import Memory
from ._timeout import timeout
from .connection import Connection, Limits, broadcast

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

Handler = Callable[["ServerConnection"], Awaitable[None]]
ProcessRequest = Callable[["ServerConnection", Request], Union[Awaitable[Optional[Response]], Optional[Response]]]
ProcessResponse = Callable[["ServerConnection", Request, Response], Union[Awaitable[Optional[Response]], Optional[Response]]]
SelectSubprotocol = Callable[["ServerConnection", Sequence[str]], Optional[str]]

FAILED = "Failed to open a WebSocket connection.\nSee server log for more information.\n"


class ServerConnection(Connection):
    """The server's end of a connection: the argument of a handler."""

    username: str  # of basic_auth()

    def __init__(self, protocol: Memory, server: Server, **options: Any) -> None:
        super().__init__(protocol, **options)
        self.server = server
        self._asked: asyncio.Future[None] = self.loop.create_future()
        self._refused_with: Optional[Exception] = None
        self._refusal = "connection rejected"  # what the log calls it

    def respond(self, status: int, text: str) -> Response:
        """Creates a response in plain text, for `process_request` and `process_response` to return."""
        status = http.HTTPStatus(status)
        body = text.encode()
        headers = Headers(
            [
                ("Date", email.utils.formatdate(usegmt=True)),
                ("Connection", "close"),
                ("Content-Length", str(len(body))),
                ("Content-Type", "text/plain; charset=utf-8"),
            ]
        )
        return Response(status.value, status.phrase, headers, body)

    async def handshake(
        self,
        process_request: Optional[ProcessRequest] = None,
        process_response: Optional[ProcessResponse] = None,
        origins: Optional[Origins] = None,
        select_subprotocol: Optional[SelectSubprotocol] = None,
    ) -> None:
        """Waits for the request and answers it. Afterwards the connection is open or over."""
        await self._asked
        if self.request is None:
            if not self._lost:
                self._flush()  # what the library has to say to something that is no request at all
            return
        response = await self._called(process_request, self, self.request)
        if response is None:
            response = self._decide(origins, select_subprotocol)
        else:
            self._refusal = "HTTP response sent"
        replaced = await self._called(process_response, self, self.request, response)
        response = response if replaced is None else replaced
        if response.status_code == 101 and not self.server.is_serving():
            response = self.respond(503, "Server is shutting down.\n")
        self.response = response
        if self._lost:
            return
        if response.status_code == 101 and self.protocol.state == State.REQUEST:
            self.protocol.accept()  # the program has written the response by itself
            self.protocol.take_output()
        self.transport.write(serialize(response))
        if response.status_code == 101:
            self._opened()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # From here on, so that Server.close() waits for it.
        self.server._add(self)

    def _open(self) -> None:
        if self._asked.done():
            return
        status = self.protocol.handshake()
        while status == WOULD_BLOCK and self._feed_rest():
            status = self.protocol.handshake()
        if status == WOULD_BLOCK and not self._lost:
            return
        target = self.protocol.target
        if target is not None:
            self.request = Request(target, self.protocol.headers())
            self._held = True  # what comes before the answer can wait
            self.transport.pause_reading()
        if status:
            self._refused_with = self.protocol.error(status)
        self._asked.set_result(None)

    async def _called(self, process: Any, *arguments: Any) -> Optional[Response]:
        """What a function of the program's returns; a response that says no more than that, where it fails."""
        if process is None:
            return None
        try:
            response = process(*arguments)
            if isinstance(response, Awaitable):
                response = await response
            return cast(Optional[Response], response)
        except Exception:
            self.logger.error("%s failed", getattr(process, "__name__", process), exc_info=True)
            return self.respond(500, FAILED)

    def _decide(self, origins: Optional[Origins], select_subprotocol: Optional[SelectSubprotocol]) -> Response:
        """The answer where `process_request` leaves it to us: mostly the library's."""
        assert self.request is not None
        if self._refused_with is not None:
            return self._from_library()
        if origins is not None and not allowed(self.request.headers.get("Origin"), origins):
            origin = self.request.headers.get("Origin")
            return self.respond(403, f"Failed to open a WebSocket connection: invalid Origin header: {origin}.\n")
        subprotocol = None
        if select_subprotocol is not None:
            try:
                subprotocol = select_subprotocol(self, offered(self.request.headers))
            except Exception:
                self.logger.error("select_subprotocol failed", exc_info=True)
                return self.respond(500, FAILED)
        self.protocol.accept(subprotocol)
        return self._from_library()

    def _from_library(self) -> Response:
        response = parse_response(self.protocol.take_output())
        response.headers["Date"] = email.utils.formatdate(usegmt=True)
        server_header = self.server.server_header
        if server_header is not None and "Server" not in response.headers:
            response.headers["Server"] = server_header
        return response


class Server:
    """The result of `serve()`, to be awaited or used with `async with`. It has the methods of asyncio.Server."""

    def __init__(
        self,
        listen: Callable[[], Coroutine[Any, Any, asyncio.AbstractServer]],
        handle: Callable[[ServerConnection], Coroutine[Any, Any, None]],
        logger: Any,
        server_header: Optional[str],
    ) -> None:
        self.logger = logger
        self.server_header = server_header
        self.server: asyncio.Server
        self._listen = listen
        self._handle = handle
        self._started = False
        self._open: set[ServerConnection] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._closing: Optional[asyncio.Task[None]] = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def connections(self) -> set[ServerConnection]:
        """The open connections: the opening handshake is complete, and no Close was sent or received."""
        return {connection for connection in self._open if connection.state == State.OPEN}

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets."""
        return tuple(self.server.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the server."""
        return self.server.get_loop()

    def is_serving(self) -> bool:
        """Whether new connections are accepted."""
        return self.server.is_serving()

    async def start_serving(self) -> None:
        """Starts accepting connections, if `serve()` did not."""
        await self.server.start_serving()

    async def serve_forever(self) -> None:
        """Serves until the server is closed, or until this call is cancelled, which closes it."""
        try:
            if not self.is_serving():
                await self.start_serving()
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(self, close_connections: bool = True, code: int = 1001, reason: str = "") -> None:
        """Stops listening and closes the connections with this code, unless told to leave them open. `wait_closed()` waits for
        the handlers.
        """
        if self._closing is None:
            self._closing = self.get_loop().create_task(self._close(close_connections, code, reason))

    async def wait_closed(self) -> None:
        """Waits until all connections are over and all handlers have returned."""
        await asyncio.shield(self._closed)

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        return await self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()
        await self.wait_closed()

    async def _start(self) -> Server:
        if not self._started:
            self._started = True
            self.server = cast(asyncio.Server, await self._listen())
            for listening in self.server.sockets:
                self.logger.info("server listening on %s", listening.getsockname())
        return self

    async def _close(self, close_connections: bool, code: int, reason: str) -> None:
        self.logger.info("server closing")
        self.server.close()
        if close_connections:
            await asyncio.gather(
                *(connection.close(code, reason) for connection in self.connections), return_exceptions=True
            )
        while self._handlers:
            await asyncio.wait(self._handlers)
        await self.server.wait_closed()
        if not self._closed.done():
            self._closed.set_result(None)
        self.logger.info("server closed")

    def _add(self, connection: ServerConnection) -> None:
        task = self.get_loop().create_task(self._handle(connection))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)


def serve(
    handler: Handler,
    host: Optional[Union[str, Sequence[str]]] = None,
    port: Optional[int] = None,
    *,
    origins: Optional[Origins] = None,
    extensions: None = None,
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
    max_queue: Limits = 16,
    write_limit: Limits = 2**15,
    logger: Optional[Any] = None,
    create_connection: Optional[Callable[..., ServerConnection]] = None,
    options: Optional[dict[Option, int]] = None,
    **kwargs: Any,
) -> Server:
    """Serves WebSocket connections: `async with serve(handler, host, port)`, or `server = await serve(...)`.

    `handler` is called for each connection in its own task. When it returns, the connection is closed, with 1011 if it raised an
    exception. `origins` lists the allowed origins (None: requests without an Origin); `process_request` and `process_response`
    may answer a request themselves; `select_subprotocol` chooses among those that the client offers. The other arguments are
    those of `connect()`; the rest is passed to the event loop's `create_server()`: `ssl`, `sock`, `reuse_port`, ...
    """
    if extensions is not None:
        raise NotImplementedError("the only extension is permessage-deflate: see compression and options")
    config = configure(
        subprotocols=subprotocols,
        compression=compression,
        max_size=max_size,
        close_timeout=close_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        deliver_control=True,
        auto_accept=False,
        options=options,
    )
    create = create_connection or ServerConnection
    told = logging.getLogger("wsabi.server") if logger is None else logger
    if kwargs.get("ssl") is not None:
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)
        if sys.version_info >= (3, 11):
            kwargs.setdefault("ssl_shutdown_timeout", close_timeout)

    async def listen() -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        if kwargs.pop("unix", False):
            return await loop.create_unix_server(factory, **kwargs)
        return await loop.create_server(factory, host, port, **kwargs)

    def factory() -> ServerConnection:
        protocol = Memory(lambda out: quick.ws_server_new(config, out))
        return create(
            protocol,
            server,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
            logger=told,
        )

    async def handle(connection: ServerConnection) -> None:
        try:
            async with timeout(open_timeout):
                await connection.handshake(process_request, process_response, origins, select_subprotocol)
        except asyncio.TimeoutError:
            connection.transport.abort()
            return
        except Exception:
            connection.transport.abort()
            connection.logger.error("opening handshake failed", exc_info=True)
            return
        except asyncio.CancelledError:
            connection.transport.abort()
            raise
        if connection._opening:
            connection.transport.close()  # refused
            if connection.response is not None:
                response = connection.response
                words = response.reason_phrase or phrase(response.status_code)
                connection.logger.info("%s (%d %s)", connection._refusal, response.status_code, words)
                connection.logger.info("connection closed")
            return
        connection.logger.info("connection open")
        server._open.add(connection)
        try:
            async with connection:
                await handler(connection)
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)
        finally:
            server._open.discard(connection)
            connection.logger.info("connection closed")

    server = Server(listen, handle, told, server_header)
    return server


def unix_serve(handler: Handler, path: Optional[str] = None, **kwargs: Any) -> Server:
    """`serve()` on a Unix socket."""
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: Optional[Credentials] = None,
    check_credentials: Optional[Callable[[str, str], Union[Awaitable[bool], bool]]] = None,
) -> Callable[[ServerConnection, Request], Awaitable[Optional[Response]]]:
    """Creates a `process_request` that requires a user name and password (RFC 7617): one of `credentials`, or accepted by
    `check_credentials`.

    `connection.username` is then the user name.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("either credentials or check_credentials is required")
    known = None if credentials is None else known_credentials(credentials)

    async def process_request(connection: ServerConnection, request: Request) -> Optional[Response]:
        name, password, problem = presented(request.headers.get("Authorization"))
        if problem is None:
            if known is not None:
                right = name in known and hmac.compare_digest(known[name].encode(), password.encode())
            else:
                assert check_credentials is not None
                verdict = check_credentials(name, password)
                right = await verdict if isinstance(verdict, Awaitable) else verdict
            if right:
                connection.username = name
                return None
            problem = "Invalid credentials\n"
        response = connection.respond(401, problem)
        response.headers["WWW-Authenticate"] = f'Basic realm="{realm}", charset="UTF-8"'
        return response

    return process_request


# Details

WOULD_BLOCK = -1
