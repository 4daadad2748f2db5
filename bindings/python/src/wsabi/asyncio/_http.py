"""HTTP heads as the library writes them, for programs that look at them or add to them."""

from __future__ import annotations

import http

from ..http import Headers, Response

__all__ = ["parse_head", "parse_response", "serialize"]


def parse_head(data: bytes) -> tuple[str, Headers, bytes]:
    """The first line of a head, its headers, and what follows it."""
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, Headers([(name, value.strip()) for name, _, value in pairs]), rest


def parse_response(data: bytes) -> Response:
    """A response that the library has written."""
    first, headers, body = parse_head(data)
    _, status, phrase = (first + "  ").split(" ", 2)
    return Response(int(status), phrase.strip(), headers, body)


def serialize(response: Response) -> bytes:
    """The bytes of a response. ValueError: what is in it would not be a header."""
    phrase = response.reason_phrase or http.HTTPStatus(response.status_code).phrase
    lines = [f"HTTP/1.1 {response.status_code:d} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.raw_items()]
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise ValueError(f"not a line of an HTTP head: {line!r}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
