"""Connecting to a server.

`connect()` takes the keyword arguments of `websockets.sync.client.connect()`. It chooses the way to the server: the library's own
sockets (with its TLS, its proxies, and addresses tried as in RFC 8305), or a Python socket if `sock`, a Unix socket or an
SSLContext requires one.
"""

from __future__ import annotations

import base64
import http.client
import logging
import os
import socket
import ssl as ssl_module
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

from .. import exceptions
from .._address import Address, joined
from .._handle import Config, Handle, proxy_for
from .._link import Link, NativeLink, TLSLink, unix_socket
from .._log import LoggerLike
from .._options import TLS, USER_AGENT, Limit, Queue, configure
from .._tables import Option
from ..http import Headers, HeadersLike, Response
from .connection import Connection

__all__ = ["ClientConnection", "connect", "unix_connect"]

MAX_REDIRECTS = 10
PROXY_PORT = 1080  # where its URL has none, as everywhere in the library


class ClientConnection(Connection):
    """The client's end. `response` is the server's response; `request` is None (the library creates it)."""


def connect(
    uri: str,
    *,
    sock: Optional[socket.socket] = None,
    ssl: Union[ssl_module.SSLContext, TLS, None] = None,
    server_hostname: Optional[str] = None,
    origin: Optional[str] = None,
    subprotocols: Optional[Sequence[str]] = None,
    compression: Optional[str] = "deflate",
    additional_headers: Optional[HeadersLike] = None,
    user_agent_header: Optional[str] = USER_AGENT,
    proxy: Union[str, Literal[True], None] = True,
    open_timeout: Optional[float] = 10,
    ping_interval: Optional[float] = 20,
    ping_timeout: Optional[float] = 20,
    close_timeout: Optional[float] = 10,
    max_size: Limit = 2**20,
    max_queue: Queue = 16,
    logger: Optional[LoggerLike] = None,
    create_connection: Optional[type[ClientConnection]] = None,
    options: Optional[dict[Option, int]] = None,
    **kwargs: Any,
) -> ClientConnection:
    """Connects to a ws:// or wss:// URL, and follows redirects. As a context manager it closes the connection.

    `ssl` is an SSLContext or a `wsabi.TLS`; None: the library's TLS with the system's certificates. `proxy` is a URL, True (the
    proxy that the environment names) or None. Times are in seconds, None: no limit; sizes in bytes, None: no limit. `options`
    sets options of the library by number. Other keyword arguments are passed to `socket.create_connection()`, which then opens
    the connection.

    InvalidURI; OSError: connecting failed; TimeoutError: `open_timeout` has passed; TLSError, or ssl.SSLError with an SSLContext;
    ProxyError; InvalidStatus: the server refused; InvalidHandshake: its response is malformed.
    """
    deadline = None if open_timeout is None else time.monotonic() + open_timeout
    headers = Headers(additional_headers)
    unix: bool = kwargs.pop("unix", False)
    path = kwargs.pop("path", None)
    for _ in range(MAX_REDIRECTS):
        credentials: HeadersLike = {}
        target = uri  # without credentials; a redirect is joined to the URL with them
        if not isinstance(uri, str) or not uri.lower().startswith("ws+unix:"):
            address = Address(uri)
            target = address.uri
            if isinstance(ssl, ssl_module.SSLContext) and not address.secure:
                raise ValueError("ssl argument is incompatible with a ws:// URI")
            credentials = {"Authorization": address.authorization} if address.authorization else {}
        config = configure(
            origin=origin,
            subprotocols=subprotocols,
            additional_headers=[*Headers(credentials).raw_items(), *headers.raw_items()],
            user_agent_header=user_agent_header,
            compression=compression,
            max_size=max_size,
            open_timeout=left(deadline),
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            deliver_control=True,
            options={Option.BLOCKING: 0, **(options or {})},
        )
        if isinstance(ssl, TLS):
            ssl.apply(config)
        link: Link
        way = None if sock is not None or unix else proxy_for(target) if proxy is True else proxy
        config.set_proxy(way)
        by_python = sock or unix or kwargs or server_hostname or isinstance(ssl, ssl_module.SSLContext)
        if by_python:
            try:
                if unix:
                    stream = open_unix(path, deadline)
                elif sock is not None:
                    stream = sock
                else:
                    stream = open_tcp(target, way, deadline, kwargs)
                link = link_over(stream, config, target, ssl, server_hostname, deadline)
            except socket.timeout as error:  # not a TimeoutError before Python 3.10
                raise TimeoutError("timed out during opening handshake") from error
        else:
            link = NativeLink(Handle.connect(config, target))
        logger = logger or logging.getLogger("wsabi.client")
        connection = (create_connection or ClientConnection)(link, logger, max_queue)
        del link  # so that the traceback of a failure does not keep the socket open
        try:
            connection._handshake()
        except exceptions.InvalidStatus as error:
            connection._end()
            there = redirected(uri, error, sock is not None or unix)
            if there is None:
                raise
            if not same_origin(uri, there):
                for name in ("Authorization", "Cookie", "Proxy-Authorization"):
                    if name in headers:
                        del headers[name]
            uri = there
            continue
        except BaseException:
            connection._end()
            raise
        handle = connection._link.handle
        connection.response = Response(handle.http_status, "", handle.headers())
        connection._opened()
        return connection
    raise exceptions.HandshakeError(f"more than {MAX_REDIRECTS} redirects")


def unix_connect(path: Optional[str] = None, uri: Optional[str] = None, **kwargs: Any) -> ClientConnection:
    """Connects to a Unix socket. `uri` gives the host and path of the request; wss:// selects TLS."""
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    return connect(uri, unix=True, path=path, **kwargs)


# Details: sockets of Python's.


def open_unix(path: Optional[str], deadline: Optional[float]) -> socket.socket:
    if path is None:
        raise ValueError("missing path argument")
    stream = unix_socket()
    try:
        stream.settimeout(left(deadline))
        stream.connect(os.fspath(path))
    except BaseException:
        stream.close()
        raise
    return stream


def open_tcp(
    uri: str,
    proxy: Optional[str],
    deadline: Optional[float],
    kwargs: dict[str, Any],
) -> socket.socket:
    """Opens TCP to the server of the URL, through an HTTP proxy if there is one."""
    address = Address(uri)
    host, port = address.host, address.port
    if proxy is None:
        more = {name: value for name, value in kwargs.items() if name != "address"}
        stream = socket.create_connection(kwargs.get("address", (host, port)), left(deadline), **more)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return stream
    parts = urllib.parse.urlsplit(proxy)
    if parts.scheme != "http" or not parts.hostname:
        raise exceptions.InvalidProxy(proxy, "with an SSLContext or a socket of Python's, it has to be an HTTP proxy")
    tunnel = http.client.HTTPConnection(parts.hostname, parts.port or PROXY_PORT, timeout=left(deadline))
    headers = {}
    if parts.username is not None:
        words = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(words.encode()).decode()
    tunnel.set_tunnel(host, port, headers)
    try:
        tunnel.connect()
    except TimeoutError:
        raise
    except OSError as error:
        tunnel.close()
        if "Tunnel connection failed" in str(error):
            raise exceptions.ProxyError(str(error)) from error
        raise
    stream = tunnel.sock
    tunnel.sock = None
    return stream


def link_over(
    stream: socket.socket,
    config: Config,
    uri: str,
    ssl: Union[ssl_module.SSLContext, TLS, None],
    server_hostname: Optional[str],
    deadline: Optional[float],
) -> Link:
    """A link over a connected socket, which belongs to it."""
    try:
        address = Address(uri)
        if not address.secure:
            handle = Handle.client(config, uri)
            handle.set_socket(stream.fileno())
            return NativeLink(handle, stream)
        if isinstance(ssl, TLS):
            raise ValueError("with sock, ssl must be an SSLContext")
        context = ssl or ssl_module.create_default_context()
        stream.settimeout(left(deadline))
        secured = context.wrap_socket(stream, server_hostname=server_hostname or address.host)
        try:
            return TLSLink(Handle.client(config, uri), secured)
        except BaseException:
            secured.close()
            raise
    except BaseException:
        stream.close()
        raise


# Details: ways.


def redirected(uri: str, error: exceptions.InvalidStatus, pinned: bool) -> Optional[str]:
    """Where the answer sends the client; None: nowhere."""
    there = error.headers.get("Location")
    if error.status not in (300, 301, 302, 303, 307, 308) or there is None:
        return None
    there = joined(uri, there)
    if pinned:
        raise ValueError(f"cannot follow redirect to {there} with a preexisting socket") from error
    if Address(uri).secure and not Address(there).secure:
        raise exceptions.HandshakeError(f"cannot follow redirect to non-secure URI {there}") from error
    return there


def same_origin(one: str, other: str) -> bool:
    ours, theirs = Address(one), Address(other)
    return (ours.host, ours.port, ours.secure) == (theirs.host, theirs.port, theirs.secure)


def left(deadline: Optional[float]) -> Optional[float]:
    """Seconds; TimeoutError: none."""
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out during opening handshake")
    return seconds
