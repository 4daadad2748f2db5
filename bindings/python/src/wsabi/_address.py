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

__all__ = ["Address", "encoded"]


class Address:
    """Where a URL leads to, the URL without name and password, and the header that these become (RFC 7617).

    `host` is what is looked up and what the server is told: names in other scripts by IDNA, IPv6 without brackets. InvalidURI:
    the library would refuse it.
    """

    def __init__(self, uri: str) -> None:
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
