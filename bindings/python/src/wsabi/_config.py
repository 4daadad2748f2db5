"""What the library has given and has to be given back; of that, what is not a connection: configurations, and messages framed once."""

from __future__ import annotations

from ctypes import byref, c_uint64, c_void_p
from typing import Any, Callable, Optional, Union

from . import exceptions
from ._buffers import Buffer, lend_to, text, word
from ._library import quick, waiting
from ._tables import Option

__all__ = ["Config", "Owned", "OwnedConn", "OwnedListener", "Prepared", "check", "last_sentence"]

NEVER = 2**64 - 1


class Owned(c_void_p):
    """An address of the library's that is freed with the last reference to it.

    It is NULL from then on, which the library answers with INVALID_ARGUMENT: what is in a cycle with it may still run after its
    `__del__` (PEP 442), for instance at the end of the program.
    """

    free: Callable[[Any], None]
    view: Optional[memoryview] = None

    def __del__(self) -> None:
        address, self.value = self.value, None
        if self.view is not None:
            self.view.release()
        if address is not None:
            self.free(address)


class OwnedConfig(Owned):
    free = quick.ws_config_free


class OwnedConn(Owned):
    free = quick.ws_free


class OwnedListener(Owned):
    free = quick.ws_listener_free


class OwnedPrepared(Owned):
    free = quick.ws_prepared_free


class Config:
    """Initial settings of a connection or a listener. A configuration is copied when it is used."""

    def __init__(self) -> None:
        self._as_parameter_ = OwnedConfig(quick.ws_config_new())

    def set(self, option: Option, value: int) -> None:
        """Sets an option. ValueError: the value is out of range."""
        if not 0 <= value <= NEVER or quick.ws_config_set(self._as_parameter_, option, value):
            raise ValueError(f"{option.name} cannot be {value}")

    def get(self, option: Option) -> int:
        """Returns the value of an option."""
        value = c_uint64()
        check(quick.ws_config_get(self._as_parameter_, option, byref(value)))
        return value.value

    def add_header(self, name: str, value: str) -> None:
        """Adds a header to the request of a client, or to the responses of a server."""
        if quick.ws_config_add_header(self._as_parameter_, word(name), word(value)):
            raise ValueError(f"not a header that can be added: {name!r}: {value!r}: {last_sentence()}")

    def add_protocol(self, name: str) -> None:
        """Adds a subprotocol, in order of preference."""
        if quick.ws_config_add_protocol(self._as_parameter_, word(name)):
            raise ValueError(f"{name!r} cannot be added: {last_sentence()}")

    def set_proxy(self, url: Optional[str]) -> None:
        """Sets the proxy of ws_connect: http, socks5 or socks5h."""
        if quick.ws_config_set_proxy(self._as_parameter_, None if url is None else word(url)):
            assert url is not None
            raise exceptions.InvalidProxy(url, last_sentence())

    def set_tls_roots(self, pem: bytes) -> None:
        """Sets the trusted certificates, in place of the system's."""
        check(waiting.ws_config_set_tls_roots(self._as_parameter_, pem, len(pem)))

    def set_tls_identity(self, chain_pem: bytes, key_pem: bytes) -> None:
        """Sets the own certificate and its private key."""
        pair = chain_pem, len(chain_pem), key_pem, len(key_pem)
        check(waiting.ws_config_set_tls_identity(self._as_parameter_, *pair))


class Prepared:
    """A message that is framed once and sent on many connections. A server shares its bytes; it is sent uncompressed."""

    def __init__(self, kind: int, data: Union[str, Buffer]) -> None:
        self._as_parameter_ = OwnedPrepared()
        check(lend_to(waiting.ws_prepare_message, kind, None, data, byref(self._as_parameter_)))


def check(status: int) -> None:
    """Raises what `status` stands for, where there is no connection to ask."""
    if status:
        raise exceptions.from_status(status, last_sentence())


def last_sentence() -> str:
    """Describes the last failure on this thread without a connection."""
    return text(quick.ws_last_error_message()) or ""
