"""Connections in memory mode that one thread uses: the event loop's.

It does what `Handle` does, without its locks, and with what the library writes its answers to shared by all connections of a
loop. The functions are closures over that: a variable of a closure is found in half the time that an attribute takes. How to
call the library cheaply is told in `_handle`; beside an empty Python function, which is 1, a call takes 4 to 7.
"""

from __future__ import annotations

import asyncio
from collections import deque
from ctypes import byref, c_char, c_size_t
from typing import Any, Callable, NamedTuple, Union
from weakref import WeakKeyDictionary

from .._buffers import POINTER_SIZE, memory, pointers, unpack
from .._handle import LARGE, Handle, Part
from .._library import quick_raw
from .._tables import Kind

__all__ = ["Calls", "Control", "Memory", "Message"]

Message = Union[str, bytes, Part]
Control = tuple[int, bytes, int]  # kind, payload, code of a Close

TEXT, BINARY = int(Kind.TEXT), int(Kind.BINARY)


class Calls(NamedTuple):
    """Memory mode for the connections of one event loop. `conn` is a Memory's `conn`; statuses are the library's."""

    # Takes received bytes, and gives how many there was room for, or a negative status.
    feed: Callable[[Any, bytes], int]
    # Reads what lies there whole, as many messages as one call hands out: these into the first, all else into the second; a status.
    take: Callable[[Any, deque[Message], list[Control]], int]
    # Whether another read may find something.
    has_more: Callable[[Any], int]
    # Queues a message; a status.
    queue: Callable[[Any, int, bytes], int]
    # All bytes that wait to be sent, which are then gone from there; none where the library refuses.
    output: Callable[[Any], bytes]

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> Calls:
        calls = CALLS.get(loop)
        if calls is None:
            calls = CALLS[loop] = make_calls()
        return calls


class Memory(Handle):
    """The handle of a connection in memory mode. Reads hand out copies, so that nothing of the library's is held."""

    @property
    def conn(self) -> Any:
        """What `Calls` wants. It is freed with this object."""
        return self._conn


def make_calls() -> Calls:
    feed_bytes, queue_message = quick_raw("ws_feed"), quick_raw("ws_queue_message")
    read_messages, take_output = quick_raw("ws_read_messages"), quick_raw("ws_output_take")
    size, address = c_size_t(), c_size_t()
    to_size, to_address = byref(size), byref(address)
    capacity = c_size_t(LARGE)
    room: Any = (c_char * LARGE)()
    to_room = byref(room)

    def feed(conn: Any, data: bytes) -> int:
        size.value = len(data)
        return feed_bytes(conn, data, size, to_size) or size.value

    def take(conn: Any, messages: deque[Message], controls: list[Control]) -> int:
        status = read_messages(conn, to_address, to_size)
        if status:
            return status
        first = address.value // POINTER_SIZE
        for message in pointers[first : first + size.value]:
            data, length, kind, code, is_final = unpack(memory, message)
            payload = memory[data : data + length]
            if kind == TEXT:
                messages.append(payload.decode() if is_final else Part(payload.decode(), False))
            elif kind == BINARY:
                messages.append(payload if is_final else Part(payload, False))
            else:
                controls.append((kind, payload, code))
        return status

    def queue(conn: Any, kind: int, data: bytes) -> int:
        size.value = len(data)
        return queue_message(conn, kind, data, size)

    def output(conn: Any) -> bytes:
        # Where it refuses, neither the size nor the room has been written to, and what is there is another connection's.
        if take_output(conn, to_room, capacity, to_size):
            return b""
        taken: bytes = room[: size.value]
        if size.value == LARGE:
            pieces = [taken]
            while size.value == LARGE and not take_output(conn, to_room, capacity, to_size):
                pieces.append(room[: size.value])
            return b"".join(pieces)
        return taken

    return Calls(feed, take, quick_raw("ws_has_input"), queue, output)


CALLS: WeakKeyDictionary[asyncio.AbstractEventLoop, Calls] = WeakKeyDictionary()
