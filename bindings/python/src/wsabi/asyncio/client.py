"""Opening a connection as a client, through a proxy if configured, and reconnecting if requested.

It knows URLs, addresses, redirects and when to retry. The opening handshake is the library's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncIterator, Generator, Sequence
from types import TracebackType
from typing import Any, Callable, Literal, Optional, Union

from .._address import Address, joined
from .._handle import Config, proxy_for
from .._library import quick
from .._options import USER_AGENT, Limit, configure
from .._tables import Option
from ..exceptions import HandshakeError, InvalidStatus
from ..http import Headers, HeadersLike, Request, Response
from . import _proxy
from ._http import parse_head
from ._memory import Memory
from ._timeout import timeout
from .connection import Connection, Limits

__all__ = ["ClientConnection", "backoff", "connect", "process_exception", "unix_connect"]

MAX_REDIRECTS = 10
REDIRECTS = (300, 301, 302, 303, 307, 308)
TRANSIENT = (500, 502, 503, 504)


class ClientConnection(Connection):
    """The client's end of a connection: the result of `connect()`."""

    def __init__(self, protocol: Memory, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._answered: asyncio.Future[None] = self.loop.create_future()
        self._ended = False  # the stream

    async def handshake(self) -> None:
        """Sends the request and waits for the response. HandshakeError: refused or malformed."""
        if self.protocol.handshake() == OK:  # through a proxy
            self._open()
            return
        request = self.protocol.take_output()
        first, headers, _ = parse_head(request)
        self.request = Request(first.split(" ")[1], headers)
        self.transport.write(request)
        await self._answered

    def _open(self) -> None:
        status = self.protocol.handshake()
        while status == WOULD_BLOCK and self._feed_rest():
            status = self.protocol.handshake()
        if status == WOULD_BLOCK and not self._lost:
            return
        if status == OK:
            self.response = Response(101, "Switching Protocols", self.protocol.headers())
            if not self._answered.done():
                self._answered.set_result(None)
            self._opened()
        elif self._answered.done():
            return
        elif self.protocol.http_status == 0 and (status in OVER or status == WOULD_BLOCK):
            self._answered.set_exception(self._cut_short())
        else:
            error = self.protocol.error(status)
            if isinstance(error, InvalidStatus):
                self.response = error.response
            elif self._ended:
                error.__cause__ = self._failure or EOFError("the stream ended")  # such a failure is worth another try
            self._answered.set_exception(error)

    def eof_received(self) -> None:
        self._ended = True
        super().eof_received()

    def _cut_short(self) -> HandshakeError:
        error = HandshakeError("the connection was lost during the opening handshake")
        error.__cause__ = self._failure or EOFError("the stream ended")
        return error


class connect:
    """Connects to a ws:// or wss:// URL: `async with connect(uri) as websocket`, or `websocket = await connect(uri)`.

    `async for websocket in connect(uri)` reconnects each time the connection is over, with increasing delays while that fails.
    `process_exception` returns None for a failure after which to retry, otherwise the exception to raise.

    Times are in seconds, sizes in bytes; None means no limit, or never. `additional_headers` are sent with the request.
    `compression` is "deflate" or None. `proxy` is True (the proxy that the environment names), None, or a URL with http, socks5
    or socks5h. When `max_queue` messages wait to be received, the peer has to wait; when `write_limit` bytes wait to be sent,
    `send()` waits. All other arguments are passed to the event loop's `create_connection()`: `ssl`, `sock`, `host`, `port`,
    `server_hostname`, `local_addr`, ...

    InvalidURI, InvalidProxy; OSError: connecting failed; TimeoutError; HandshakeError: refused (InvalidStatus) or malformed.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: Optional[str] = None,
        extensions: None = None,
        subprotocols: Optional[Sequence[str]] = None,
        compression: Optional[str] = "deflate",
        additional_headers: Optional[HeadersLike] = None,
        user_agent_header: Optional[str] = USER_AGENT,
        proxy: Union[str, Literal[True], None] = True,
        process_exception: Optional[Callable[[Exception], Optional[Exception]]] = None,
        open_timeout: Optional[float] = 10,
        ping_interval: Optional[float] = 20,
        ping_timeout: Optional[float] = 20,
        close_timeout: Optional[float] = 10,
        reconnect_delays: Optional[Callable[[], Generator[float, None, None]]] = None,
        max_size: Limit = 2**20,
        max_queue: Limits = 16,
        write_limit: Limits = 2**15,
        logger: Optional[Any] = None,
        create_connection: Optional[Callable[..., ClientConnection]] = None,
        options: Optional[dict[Option, int]] = None,
        **kwargs: Any,
    ) -> None:
        if extensions is not None:
            raise NotImplementedError("the only extension is permessage-deflate: see compression and options")
        self.uri = uri
        self.proxy = proxy
        self.process_exception = process_exception or retry_transient
        self.open_timeout = open_timeout
        self.reconnect_delays = reconnect_delays or backoff
        self.logger = logging.getLogger("wsabi.client") if logger is None else logger
        self.additional_headers = None if additional_headers is None else Headers(additional_headers)
        self.user_agent_header = user_agent_header
        self._kwargs = kwargs
        self._handshake_options: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "compression": compression,
            "user_agent_header": user_agent_header,
            "max_size": max_size,
            "close_timeout": close_timeout,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "deliver_control": True,
            "options": options,
        }
        self._connection_options: dict[str, Any] = {
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
            "max_queue": max_queue,
            "write_limit": write_limit,
            "logger": self.logger,
        }
        self._create_connection: Callable[..., ClientConnection] = create_connection or ClientConnection
        self._connection: Optional[ClientConnection] = None
        if not Address(uri).secure and kwargs.get("ssl") is not None:
            raise ValueError("ssl cannot be used with a ws:// URL")
        self._configure()  # what is wrong with the arguments is told here

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._connection is not None:
            raise RuntimeError("this connect() is already in use")
        self._connection = await self
        return self._connection

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        assert self._connection is not None
        try:
            await self._connection.__aexit__(kind, exception, traceback)
        finally:
            self._connection = None

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        delays: Optional[Generator[float, None, None]] = None
        while True:
            try:
                async with self as connection:
                    yield connection
            except Exception as error:
                verdict = self.process_exception(error)
                if verdict is error:
                    raise
                if verdict is not None:
                    raise verdict from error
                delays = delays or self.reconnect_delays()
                delay = next(delays)
                told = traceback.format_exception_only(type(error), error)[-1].strip()
                self.logger.info("connecting failed; trying again in %.1f seconds: %s", delay, told)
                await asyncio.sleep(delay)
            else:
                delays = None

    async def _connect(self) -> ClientConnection:
        try:
            async with timeout(self.open_timeout):
                for _ in range(MAX_REDIRECTS):
                    try:
                        return await self._attempt()
                    except InvalidStatus as error:
                        self.uri = self._redirected(error)
                raise HandshakeError(f"more than {MAX_REDIRECTS} redirects")
        except asyncio.TimeoutError as error:
            raise TimeoutError("timed out during the opening handshake") from error

    async def _attempt(self) -> ClientConnection:
        connection = await self._open_transport()
        try:
            await connection.handshake()
        except BaseException:
            connection.transport.abort()
            raise
        return connection

    def _configure(self) -> Config:
        headers = Headers(self.additional_headers)
        authorization = Address(self.uri).authorization
        if authorization is not None and "Authorization" not in headers:
            headers["Authorization"] = authorization
        return configure(additional_headers=headers, **self._handshake_options)

    async def _open_transport(self) -> ClientConnection:
        """Connects to where the URL or the keyword arguments say, directly or through a proxy."""
        loop = asyncio.get_running_loop()
        address = Address(self.uri)
        kwargs = dict(self._kwargs)

        def factory() -> ClientConnection:
            config, url = self._configure(), address.uri.encode()
            protocol = Memory(lambda out: quick.ws_client_new(config, url, out), self.uri)
            return self._create_connection(protocol, **self._connection_options)

        if address.secure:
            kwargs.setdefault("ssl", True)
            if kwargs["ssl"] is None:
                raise ValueError("ssl=None cannot be used with a wss:// URL")
            kwargs.setdefault("server_hostname", address.host)
        connection: ClientConnection
        if kwargs.pop("unix", False):
            _, connection = await loop.create_unix_connection(factory, **kwargs)
            return connection
        proxy = None if kwargs.get("sock") is not None else self.proxy
        if proxy is True:
            proxy = proxy_for(address.uri)
        if proxy is None:
            if kwargs.get("sock") is None:
                kwargs.setdefault("host", address.host)
                kwargs.setdefault("port", address.port)
            _, connection = await loop.create_connection(factory, **kwargs)
            return connection
        return await self._open_through(proxy, address, kwargs)

    async def _open_through(self, proxy: str, address: Address, kwargs: dict[str, Any]) -> ClientConnection:
        """Connects through a proxy, by the library's own means."""
        ssl = kwargs.pop("ssl", None)
        if ssl not in (None, True):
            raise NotImplementedError("TLS through a proxy is done by the library: omit ssl, or set proxy=None")
        if kwargs.pop("server_hostname", address.host) != address.host or kwargs:
            raise NotImplementedError(f"these arguments cannot be used with a proxy: {', '.join(kwargs) or 'server_hostname'}")

        def create(protocol: Memory) -> ClientConnection:
            return self._create_connection(protocol, **self._connection_options)

        connection: ClientConnection = await _proxy.connect(address.uri, self._configure(), proxy, create)
        return connection

    def _redirected(self, error: InvalidStatus) -> str:
        """Where a refusal sends us; raises it where it is no redirection, or one that must not be followed."""
        location = error.headers.get("Location")
        if error.status not in REDIRECTS or location is None:
            raise error
        uri = joined(self.uri, location)
        before, after = Address(self.uri), Address(uri)
        if self._kwargs.get("sock") is not None:
            raise ValueError(f"cannot follow the redirect to {uri}: a socket was given") from error
        if before.secure and not after.secure:
            raise HandshakeError(f"cannot follow the redirect to {uri}: it is not secure") from error
        if (before.secure, before.host, before.port) != (after.secure, after.host, after.port):
            if any(self._kwargs.get(name) is not None for name in ("unix", "host", "port")):
                raise ValueError(f"cannot follow the redirect to {uri}: an address was given") from error
            # Nothing secret is told to another server.
            kept = Headers()
            for name, value in Headers(self.additional_headers).raw_items():
                if name.lower() not in ("authorization", "cookie", "proxy-authorization"):
                    kept[name] = value
            self.additional_headers = kept
        return uri


def unix_connect(path: Optional[str] = None, uri: Optional[str] = None, **kwargs: Any) -> connect:
    """`connect()` over a Unix socket. The default URL is ws://localhost/, or wss://localhost/ with `ssl`."""
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    return connect(uri, unix=True, path=path, **kwargs)


def process_exception(error: Exception) -> Optional[Exception]:
    """Returns None after a network failure or a response of 500, 502, 503 or 504, which means to retry; otherwise the exception."""
    if isinstance(error, (OSError, asyncio.TimeoutError)):
        return None
    if isinstance(error, HandshakeError) and isinstance(error.__cause__, (EOFError, OSError)):
        return None
    if isinstance(error, InvalidStatus) and error.status in TRANSIENT:
        return None
    return error


retry_transient = process_exception


def backoff(
    initial_delay: float = 5, min_delay: float = 3.1, max_delay: float = 90, factor: float = 1.618
) -> Generator[float, None, None]:
    """Delays before each new attempt, in seconds: at first up to `initial_delay`, then increasing."""
    yield random.random() * initial_delay
    delay = min_delay
    while delay < max_delay:
        yield delay
        delay *= factor
    while True:
        yield max_delay


# Details

OK, WOULD_BLOCK = 0, -1
OVER = (-5, -6)
