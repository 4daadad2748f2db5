"""HTTP types of the opening handshake: headers, a request, a response. Nothing is parsed here: the library does that."""

from __future__ import annotations

import http as _http
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Optional, Union

__all__ = ["Headers", "HeadersLike", "MultipleValuesError", "Request", "Response"]


class MultipleValuesError(LookupError):
    """A header has several values, where one was asked for."""

    def __str__(self) -> str:
        if len(self.args) == 1:
            return repr(self.args[0])
        return super().__str__()


class Headers(MutableMapping[str, str]):
    """Headers by name (case-insensitive), in the order in which they were received; a name may occur several times.

    `headers[name] = value` adds a value. `headers[name]` is the value, and a MultipleValuesError if there are several;
    `get_all(name)` returns all of them. `str()` is how they are sent.
    """

    def __init__(self, headers: Optional[HeadersLike] = None, **named: str) -> None:
        self._items: list[tuple[str, str]] = []
        self.update_all(headers)
        self.update_all(named)

    def update_all(self, headers: Optional[HeadersLike]) -> None:
        """Adds all of these."""
        if headers is None:
            return
        if isinstance(headers, Headers):
            headers = headers.raw_items()
        elif isinstance(headers, Mapping):
            headers = headers.items()
        for name, value in headers:
            self[name] = value

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if len(values) > 1:
            raise MultipleValuesError(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __setitem__(self, name: str, value: str) -> None:
        self._items.append((str(name), str(value)))

    def __delitem__(self, name: str) -> None:
        wanted = name.lower()
        kept = [item for item in self._items if item[0].lower() != wanted]
        if len(kept) == len(self._items):
            raise KeyError(name)
        self._items = kept

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(each.lower() == name.lower() for each, _ in self._items)

    def __iter__(self) -> Iterator[str]:
        return iter({each.lower(): None for each, _ in self._items})

    def __len__(self) -> int:
        return len({each.lower() for each, _ in self._items})

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._items) + "\r\n"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._by_name() == other._by_name()

    __hash__ = None  # type: ignore[assignment]

    def _by_name(self) -> dict[str, list[str]]:
        return {name: self.get_all(name) for name in self}

    def clear(self) -> None:
        """Removes all."""
        self._items = []

    def copy(self) -> Headers:
        """A copy, which may be changed."""
        return Headers(self._items)

    def serialize(self) -> bytes:
        """The headers as they are sent, with the empty line behind them."""
        return str(self).encode("iso-8859-1")

    def set_insecure(self, name: str, value: str) -> None:
        """Adds a value. It is checked when it is sent, not here."""
        self[name] = value

    def get_all(self, name: str) -> list[str]:
        """Returns all values of this name."""
        return [value for each, value in self._items if each.lower() == name.lower()]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Returns all names and values in their original order."""
        return iter(self._items)


HeadersLike = Union[Headers, Mapping[str, str], Iterable[tuple[str, str]]]


@dataclass
class Request:
    """A request that a server has received: its target and its headers."""

    path: str
    headers: Headers


@dataclass
class Response:
    """A response of a server."""

    status_code: int
    reason_phrase: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


def phrase(status: int) -> str:
    """The words for a status; empty if it has none."""
    try:
        return _http.HTTPStatus(status).phrase
    except ValueError:
        return ""
