"""WebSockets for asyncio, under the names of `websockets.asyncio`: `wsabi.asyncio.client` and `wsabi.asyncio.server`."""

from .client import ClientConnection, connect, unix_connect
from .server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve

__all__ = [
    "ClientConnection",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
