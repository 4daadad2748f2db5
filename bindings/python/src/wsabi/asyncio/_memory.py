"""A connection in memory mode that one thread uses: the event loop's. Knows the library's calls, and what each costs.

It does what `Handle` does without its locks, and with calls that are cheaper to make. Beside an empty Python function of one
argument, which is 1, a call with three arguments that are converted by `argtypes` takes 7; with arguments that are ctypes
objects already, made once, 5½ (`LOOSE`). Bytes at an address take 8 by `ctypes.string_at`, 5 by the function of Python's own,
and 2½ as a slice of all memory (`MEMORY`).
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections import deque
from ctypes import byref, c_size_t, c_void_p
from typing import Any, Callable, Union

from .._handle import Buffer, Handle, Part
from .._library import LIBRARY
from .._tables import WS_MESSAGE_FORMAT, Kind, Status

__all__ = ["Control", "Memory", "Message"]

Message = Union[str, bytes, Part]
Control = tuple[int, bytes, int]  # kind, payload, code of a Close

OK = int(Status.OK)
TEXT, BINARY = int(Kind.TEXT), int(Kind.BINARY)


class Memory(Handle):
    """See the module. Reads hand out copies, so that nothing of the library's is held."""

    def __init__(self, make: Callable[[Any], int], url: str = "") -> None:
        super().__init__(make, url)
        # Arguments that are made once. `_fed` and `_given` are read after a call, `_sent` is written before.
        self._messages_at, self._count, self._output_at = c_void_p(), c_size_t(), c_void_p()
        self._length, self._fed, self._given = c_size_t(), c_size_t(), c_size_t()
        self._read_into = byref(self._messages_at), byref(self._count)
        self._output_into = byref(self._output_at), byref(self._given)
        self._fed_into = byref(self._fed)

    def feed(self, data: Buffer) -> int:
        """Takes received bytes; how many there was room for. Where that is fewer, `take` and feed the rest."""
        self._length.value = len(data)
        status = ws_feed(self._conn, data, self._length, self._fed_into)
        if status:
            raise self.error(status)
        return self._fed.value

    def take(self, messages: deque[Message], controls: list[Control], most: float) -> int:
        """Reads messages into `messages`, and all else into `controls`, until there is nothing more or there are more than
        `most` of them; the status of the last read, OK in the latter case."""
        conn = self._conn
        messages_into, count_into = self._read_into
        while True:
            status: int = ws_read_messages(conn, messages_into, count_into)
            if status:
                return status
            for address in POINTERS[self._count.value](MEMORY, self._messages_at.value):
                data, size, kind, code, is_final = unpack_message(MEMORY, address)
                payload = MEMORY[data : data + size]
                if kind == TEXT:
                    messages.append(payload.decode() if is_final else Part(payload.decode(), False))
                elif kind == BINARY:
                    messages.append(payload if is_final else Part(payload, False))
                else:
                    controls.append((kind, payload, code))
            if len(messages) > most:
                return OK

    def queue(self, kind: int, data: Union[str, Buffer]) -> int:
        """Queues a message; a status."""
        if type(data) is not bytes:
            return super().queue(kind, data)
        self._length.value = len(data)
        status: int = ws_queue_message(self._conn, kind, data, self._length)
        return status

    def take_output(self) -> bytes:
        """All bytes that wait to be sent, which are then gone from here."""
        conn = self._conn
        output_into, given_into = self._output_into
        given = self._given
        taken = b""
        while True:
            status = ws_output(conn, output_into, given_into)
            if status:
                raise self.error(status)
            size = given.value
            if not size:
                return taken
            address: int = self._output_at.value  # type: ignore[assignment]
            piece = MEMORY[address : address + size]
            ws_output_advance(conn, given)
            taken = taken + piece if taken else piece


# Details


# All memory as an array, which nothing is ever written to. It is only sliced where the library has lent something.
MEMORY: Any = (ctypes.c_char * sys.maxsize).from_address(0)

unpack_message = struct.Struct("@" + WS_MESSAGE_FORMAT).unpack_from


class Pointers(dict[int, Callable[[Any, int], tuple[int, ...]]]):
    """By their number, what reads so many pointers that follow one another."""

    def __missing__(self, count: int) -> Callable[[Any, int], tuple[int, ...]]:
        read = self[count] = struct.Struct(f"@{count}P").unpack_from
        return read


POINTERS = Pointers()

# The same library without `argtypes`: arguments are ctypes objects, bytes, or ints of 32 bits.
LOOSE = ctypes.PyDLL(LIBRARY)
ws_feed = LOOSE.ws_feed
ws_read_messages = LOOSE.ws_read_messages
ws_queue_message = LOOSE.ws_queue_message
ws_output = LOOSE.ws_output
ws_output_advance = LOOSE.ws_output_advance
