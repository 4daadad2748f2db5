"""A connection in memory mode that one thread uses: the event loop's. Knows the library's calls, and what each costs.

It does what `Handle` does without its locks, in as few calls as there can be, each as cheap as ctypes makes them. Where an empty
Python function costs 1:

    4 to 7    a call of the library with three arguments that are ctypes objects, made once before
    6 to 9    the same with arguments that `argtypes` converts from int
    8         bytes at an address by `ctypes.string_at`
    5         the same by the interpreter's own function
    2½        the same as a slice of all memory (`MEMORY`)

The functions are closures over the objects that they give to the library: a variable of a closure is found in half the time that
an attribute takes.
"""

from __future__ import annotations

import asyncio
import ctypes
import struct
import sys
from collections import deque
from ctypes import byref, c_size_t, c_void_p
from typing import Any, Callable, NamedTuple, Union
from weakref import WeakKeyDictionary

from .._handle import Buffer, Handle, Part
from .._library import LIBRARY
from .._tables import WS_MESSAGE_FORMAT, Kind, Status

__all__ = ["Calls", "Control", "Memory", "Message"]

Message = Union[str, bytes, Part]
Control = tuple[int, bytes, int]  # kind, payload, code of a Close

OK, WOULD_BLOCK = int(Status.OK), int(Status.ERR_WOULD_BLOCK)
TEXT, BINARY = int(Kind.TEXT), int(Kind.BINARY)


class Calls(NamedTuple):
    """Memory mode for the connections of one event loop. `conn` is a Memory's `conn`; statuses are the library's."""

    # Takes received bytes, and gives how many there was room for, or a negative status.
    feed: Callable[[c_void_p, Buffer], int]
    # Reads messages into the first, and all else into the second, until there is nothing more, or there are more than so many
    # messages; the status of the last read.
    take: Callable[[c_void_p, deque[Message], list[Control], float], int]
    # Queues a message; a status.
    queue: Callable[[c_void_p, int, bytes], int]
    # All bytes that wait to be sent, which are then gone from there.
    output: Callable[[c_void_p], bytes]

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> Calls:
        calls = CALLS.get(loop)
        if calls is None:
            calls = CALLS[loop] = make_calls()
        return calls


class Memory(Handle):
    """The handle of a connection in memory mode. Reads hand out copies, so that nothing of the library's is held."""

    @property
    def conn(self) -> c_void_p:
        """What `Calls` wants. It is freed with this object."""
        return self._conn


def make_calls() -> Calls:
    # The same library without `argtypes`: arguments are ctypes objects, bytes, or ints of 32 bits.
    loose = ctypes.PyDLL(LIBRARY)
    ws_feed, ws_queue_message = loose.ws_feed, loose.ws_queue_message
    ws_read_messages = loose.ws_read_messages
    ws_output, ws_output_advance = loose.ws_output, loose.ws_output_advance
    # What the library reads and writes: nothing of it outlives a call of these functions, which are one thread's.
    length, fed, count, given = c_size_t(), c_size_t(), c_size_t(), c_size_t()
    messages_at, output_at = c_void_p(), c_void_p()
    to_fed, to_count, to_given = byref(fed), byref(count), byref(given)
    to_messages, to_output = byref(messages_at), byref(output_at)

    def feed(conn: c_void_p, data: Buffer) -> int:
        length.value = len(data)
        status: int = ws_feed(conn, data, length, to_fed)
        return status or fed.value

    def take(conn: c_void_p, messages: deque[Message], controls: list[Control], most: float) -> int:
        while True:
            status: int = ws_read_messages(conn, to_messages, to_count)
            if status:
                return status
            for address in POINTERS[count.value](MEMORY, messages_at.value):
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

    def queue(conn: c_void_p, kind: int, data: bytes) -> int:
        length.value = len(data)
        status: int = ws_queue_message(conn, kind, data, length)
        return status

    def output(conn: c_void_p) -> bytes:
        ws_output(conn, to_output, to_given)
        size = given.value
        if not size:
            return b""
        address: int = output_at.value  # type: ignore[assignment]
        taken: bytes = MEMORY[address : address + size]
        ws_output_advance(conn, given)
        ws_output(conn, to_output, to_given)
        while given.value:
            address = output_at.value  # type: ignore[assignment]
            taken += MEMORY[address : address + given.value]
            ws_output_advance(conn, given)
            ws_output(conn, to_output, to_given)
        return taken

    return Calls(feed, take, queue, output)


# Details

CALLS: WeakKeyDictionary[asyncio.AbstractEventLoop, Calls] = WeakKeyDictionary()

# All memory as an array, which nothing is ever written to. It is only sliced where the library has lent something.
MEMORY: Any = (ctypes.c_char * sys.maxsize).from_address(0)

unpack_message = struct.Struct("@" + WS_MESSAGE_FORMAT).unpack_from


class Pointers(dict[int, Callable[[Any, int], tuple[int, ...]]]):
    """By their number, what reads so many pointers that follow one another."""

    def __missing__(self, count: int) -> Callable[[Any, int], tuple[int, ...]]:
        read = self[count] = struct.Struct(f"@{count}P").unpack_from
        return read


POINTERS = Pointers()
