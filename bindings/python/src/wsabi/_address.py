"""URLs, as far as a program has to look at them before the library does. What may be asked for is the library's to say."""

from __future__ import annotations

import base64
import urllib.parse
from typing import Optional

from .exceptions import InvalidURI

__all__ = ["Address"]


class Address:
    """Where a URL leads to, the URL without name and password, and the header that these become (RFC 7617)."""

    def __init__(self, uri: str) -> None:
        try:
            parsed = urllib.parse.urlsplit(uri)
        except ValueError as error:
            raise InvalidURI(uri, str(error)) from error
        if parsed.scheme not in ("ws", "wss"):
            raise InvalidURI(uri, "scheme isn't ws or wss")
        if not parsed.hostname:
            raise InvalidURI(uri, "there is no host in it")
        self.secure = parsed.scheme == "wss"
        self.host = parsed.hostname
        try:
            self.port = parsed.port or (443 if self.secure else 80)
        except ValueError:
            raise InvalidURI(uri, "the port is no number up to 65535") from None
        self.uri = uri
        self.authorization: Optional[str] = None
        if parsed.username is not None:
            self.uri = parsed._replace(netloc=parsed.netloc.rpartition("@")[2]).geturl()
            if parsed.password is None:
                raise InvalidURI(uri, "there is a user name without a password")
            pair = urllib.parse.unquote(parsed.username) + ":" + urllib.parse.unquote(parsed.password)
            self.authorization = "Basic " + base64.b64encode(pair.encode()).decode()
