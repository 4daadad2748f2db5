"""How a server decides about a request: origins, subprotocols, credentials. It knows headers, and nothing of connections."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Optional, Union, cast

from .http import Headers

__all__ = ["Credentials", "Origins", "allowed", "known_credentials", "offered", "presented"]

Origins = Sequence[Union[str, "re.Pattern[str]", None]]
Credentials = Union[tuple[str, str], Iterable[tuple[str, str]]]


def allowed(origin: Optional[str], origins: Origins) -> bool:
    """Whether a request with this Origin is allowed."""
    return any(
        each == origin or (isinstance(each, re.Pattern) and origin is not None and each.fullmatch(origin) is not None)
        for each in origins
    )


def offered(headers: Headers) -> list[str]:
    """The subprotocols of a request, in order of preference."""
    return [name.strip() for value in headers.get_all("Sec-WebSocket-Protocol") for name in value.split(",") if name.strip()]


def known_credentials(credentials: Credentials) -> dict[str, str]:
    """Names and passwords. TypeError: they are none."""
    pairs = list(credentials)
    if len(pairs) == 2 and all(isinstance(word, str) for word in pairs):
        return {cast(str, pairs[0]): cast(str, pairs[1])}
    known = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(word, str) for word in pair):
            raise TypeError("credentials are a name and a password, or a list of such pairs")
        known[pair[0]] = pair[1]
    return known


def presented(authorization: Optional[str]) -> tuple[str, str, Optional[str]]:
    """Name and password of an Authorization header, and what is wrong with it."""
    if authorization is None:
        return "", "", "Missing credentials\n"
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = password = ""
    if scheme.lower() != "basic" or not colon:
        return "", "", "Unsupported credentials\n"
    return name, password, None
