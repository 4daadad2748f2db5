"""URLs, as far as a program has to look at them before the library does: who asks, and where to.

A URL is taken apart and joined again, never edited; whether it can be used, and which host it means, is the library's to say.
"""

from __future__ import annotations

import base64
import ctypes
import re
import urllib.parse
from ctypes import byref
from typing import Optional

from ._buffers import word
from ._library import quick
from .exceptions import InvalidURI

__all__ = ["Address", "encoded", "joined"]


class Address:
    """Where a URL leads to, the URL without name and password, and the header that these become (RFC 7617).

    `host` is what is looked up and what the server is told: names in other scripts by IDNA, IPv6 without brackets. InvalidURI:
    the library would refuse it.
    """

    def __init__(self, uri: str) -> None:
        if not isinstance(uri, str):
            raise InvalidURI(uri, f"it is not a str, but of type {type(uri).__name__}")
        scheme, separator, behind = uri.partition("://")
        if scheme.lower() not in ("ws", "wss") or not separator:
            raise InvalidURI(uri, "scheme isn't ws or wss")
        self.secure = scheme.lower() == "wss"
        authority = re.split(r"[/\\?#]", behind, maxsplit=1)[0]
        userinfo, at, place = authority.rpartition("@")
        self.uri = scheme + separator + place + behind[len(authority) :]
        self.host, self.port = leads_to(self.uri)
        self.authorization: Optional[str] = None
        if at:
            user, colon, password = userinfo.partition(":")
            if not colon:
                raise InvalidURI(uri, "there is a user name without a password")
            pair = urllib.parse.unquote(user) + ":" + urllib.parse.unquote(password)
            self.authorization = "Basic " + base64.b64encode(pair.encode()).decode()


def joined(base: str, reference: str) -> str:
    """Where a Location leads to from a URL: RFC 3986, 5.2, without the fragment, which is not for the server.

    InvalidURI: to something that is no WebSocket. http:// and https:// stand for ws:// and wss://, as browsers take them.
    """
    # urljoin() joins references of any kind only where it knows the scheme.
    scheme, _, behind = base.partition("://")
    there = urllib.parse.urljoin(f"{STANDS_FOR[scheme.lower()]}://{behind}", reference.strip())
    scheme, separator, behind = there.partition("://")
    for websocket, http in STANDS_FOR.items():
        if separator and scheme.lower() in (websocket, http):
            return f"{websocket}://{behind.partition('#')[0]}"
    raise InvalidURI(there, "scheme isn't ws or wss")


STANDS_FOR = {"ws": "http", "wss": "https"}


def leads_to(uri: str) -> tuple[str, int]:
    """The host and the port of a URL. InvalidURI: it cannot be used."""
    host, port = ctypes.create_string_buffer(max(256, len(uri) * 8)), ctypes.c_uint16()
    status = quick.ws_url_check(encoded(uri), host, len(host), byref(port))
    if status:
        raise InvalidURI(uri, quick.ws_status_message(status).decode())
    return host.value.decode(), port.value


def encoded(url: str) -> bytes:
    """A URL for C."""
    try:
        return word(url)
    except ValueError as error:
        raise InvalidURI(url, str(error)) from error
