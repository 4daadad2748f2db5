"""A connection of an event loop: joins an asyncio transport to the library's memory mode, and both to tasks.

It knows tasks, futures, back-pressure and when to write. It must not know frames or protocol decisions: received bytes are fed to
the library, its output is written, and the messages that it has read are queued here.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import secrets
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, Optional, Union, cast

from .._handle import Buffer, Part, Prepared
from .._tables import Kind, Option, State, Status
from ..exceptions import (
    Close,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
    WebSocketException,
)
from ..http import Request, Response
from ._memory import Calls, Control, Memory, Message
from ._waiter import Waiter

__all__ = ["Connection", "broadcast"]

Data = Union[str, bytes]
DataLike = Union[str, Buffer]
Fragments = Union[Iterable[DataLike], AsyncIterable[DataLike]]
Limits = Union[int, None, tuple[Optional[int], Optional[int]]]

DEFAULT_MAX_QUEUE = 16
DEFAULT_WRITE_LIMIT = 2**15
# How long a message waits at most for the answers to those that arrived together with the one that it answers, in seconds.
# One write for all of them is half the processor's time for an echo of 16 small messages in flight, and four fifths for 4 of
# 16 KiB.
TOGETHER = 0.001


class Connection(asyncio.Protocol):
    """Base class of `ClientConnection` and `ServerConnection`.

    Any number of tasks may send, ping and close; one at a time receives. A task that is cancelled while it receives loses no
    message. All methods must be called on the event loop's thread.
    """

    def __init__(
        self,
        protocol: Memory,
        *,
        ping_interval: Optional[float] = 20,
        ping_timeout: Optional[float] = 20,
        close_timeout: Optional[float] = 10,
        max_queue: Limits = DEFAULT_MAX_QUEUE,
        write_limit: Limits = DEFAULT_WRITE_LIMIT,
        logger: Optional[Any] = None,
    ) -> None:
        self.protocol = protocol
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.close_timeout = close_timeout
        self.logger = logging.getLogger("wsabi.asyncio") if logger is None else logger
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # until connection_made()
        self.request: Optional[Request] = None
        self.response: Optional[Response] = None
        self.latency = 0.0

        self._conn = protocol.conn
        self._feed, self._take, self._has_more, self._queue, self._output = Calls.of(self.loop)

        self._opening = True
        # Receiving
        self._messages: deque[Message] = deque()
        self._controls: list[Control] = []
        self._high, self._low = marks(max_queue)
        self._unfed = NOTHING  # has arrived, and the library had no room for it yet
        self._eof = False  # nothing more will arrive
        self._paused = False  # there are too many messages
        self._held = False  # the transport does not receive, or whether it should is to be looked at
        self._read_soon = False  # there may be more to read, in the loop's next round
        self._waiter = Waiter(self.loop)  # of the task that receives
        self._amid_parts = False  # a task has taken a part of a message, and not the last one
        # Sending
        self._write_limit = write_limit
        self._together_until = 0.0  # output waits until then; 0: there is none
        self._write_paused = False
        self._drainers: set[asyncio.Future[None]] = set()
        self._amid_fragments: Optional[asyncio.Future[None]] = None
        # Pings
        self._pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self._pinged: Optional[float] = None  # when the last Ping for ping_interval went out
        # The end
        self._closing = False  # a Close has passed, or the connection has failed
        self._over = False  # the library has reported the end
        self._failure: Optional[BaseException] = None
        self._close_sent: Optional[Close] = None
        self._close_received: Optional[Close] = None
        self._received_first: Optional[bool] = None
        self._dropping = False  # what arrives is not queued any more
        self._lost = False
        self._lost_waiter: asyncio.Future[None] = self.loop.create_future()
        self._dated = False  # the library has to know when something arrives
        self._timer: Optional[asyncio.TimerHandle] = None
        self._abort_timer: Optional[asyncio.TimerHandle] = None

    # Who is connected

    @property
    def id(self) -> uuid.UUID:
        """A unique identifier of this connection, for logs."""
        found: Optional[uuid.UUID] = self.__dict__.get("_id")
        if found is None:
            found = self.__dict__["_id"] = uuid.uuid4()
        return found

    @property
    def local_address(self) -> Any:
        """This end's address: (host, port) for IPv4."""
        return self.transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's address: (host, port) for IPv4."""
        return self.transport.get_extra_info("peername")

    @property
    def subprotocol(self) -> Optional[str]:
        """The negotiated subprotocol."""
        return self.protocol.subprotocol

    @property
    def state(self) -> State:
        """State of the connection."""
        if self._lost:
            return State.CLOSED
        return State.CONNECTING if self._opening else self.protocol.state

    @property
    def close_code(self) -> Optional[int]:
        """The code of the peer's Close, 1005 if it had none; 1006 if there was no Close; None before the end."""
        return self._close_exc().code if self._lost else None

    @property
    def close_reason(self) -> Optional[str]:
        """The reason of the peer's Close; None before the end."""
        return self._close_exc().reason if self._lost else None

    # Receiving

    async def recv(self, decode: Optional[bool] = None) -> Data:
        """Receives the next message: `str` for text, `bytes` for binary; `decode` True or False returns every message as `str` or
        `bytes`.

        ConnectionClosed: the connection is over, and all messages have been received. ConcurrencyError: another task is
        receiving. Cancelling this call loses nothing.
        """
        if self._amid_parts:
            raise ConcurrencyError("another task is receiving on this connection")
        messages = self._messages
        while not messages:
            if self._over:
                await self._end()
            if self._together_until or self._waiter.waiting:
                self._before_waiting()
            await self._waiter
        message = messages.popleft()
        if self._paused and len(messages) <= self._low:
            self._resume()
        if type(message) is Part:
            message = await self._whole(message)
        if decode is None:
            return message  # type: ignore[return-value]
        return self._as(cast(Data, message), decode)

    async def recv_streaming(self, decode: Optional[bool] = None) -> AsyncIterator[Data]:
        """Receives the next message in parts, as they arrive, so that a long one needs little memory. All parts have to be
        consumed.
        """
        if self._amid_parts:
            raise ConcurrencyError("another task is receiving on this connection")
        if not self._messages and not self._over:
            self.protocol.set(Option.DELIVER_FRAGMENTS, 1)
        decoder = codecs.getincrementaldecoder("utf-8")()  # parts of binary messages are cut anywhere
        try:
            while True:
                part = await self._next()
                self._amid_parts = type(part) is Part and not part.final
                data = part.data if type(part) is Part else cast(Data, part)
                data = self._as(data, decode, decoder, not self._amid_parts)
                if data or type(part) is not Part:
                    yield data
                if not self._amid_parts:
                    return
        finally:
            if not self._amid_parts:
                self.protocol.set(Option.DELIVER_FRAGMENTS, 0)

    def __aiter__(self) -> AsyncIterator[Data]:
        """Iterates over received messages; stops if the connection is closed normally, and raises ConnectionClosedError
        otherwise.
        """
        return self

    async def __anext__(self) -> Data:
        # recv(), spelled out: a coroutine less for each message.
        if self._amid_parts:
            raise ConcurrencyError("another task is receiving on this connection")
        messages = self._messages
        while not messages:
            if self._over:
                try:
                    await self._end()
                except ConnectionClosedOK:
                    raise StopAsyncIteration from None
            if self._together_until or self._waiter.waiting:
                self._before_waiting()
            await self._waiter
        message = messages.popleft()
        if self._paused and len(messages) <= self._low:
            self._resume()
        if type(message) is Part:
            message = await self._whole(message)
        return message  # type: ignore[return-value]

    # Sending

    async def send(self, message: Union[DataLike, Fragments], *, text: Optional[bool] = None) -> None:
        """Sends a message: `str` as text, anything with a C-contiguous buffer as binary, unless `text` says otherwise.

        An iterable or asynchronous iterable of these is sent in fragments. Waits while more than `write_limit` bytes are waiting
        to be sent. ConnectionClosed: the connection is over or closing. PayloadTooBig, UnicodeError: not sent. TypeError: not a
        message. BufferError: the buffer is not contiguous.
        """
        while self._amid_fragments is not None:
            await asyncio.shield(self._amid_fragments)
        if type(message) is bytes:
            kind = TEXT if text else BINARY
        elif isinstance(message, str):
            kind = BINARY if text is False else TEXT
            message = message.encode()
        elif isinstance(message, BUFFERS):
            kind = TEXT if text else BINARY
            message = in_one_piece(message)
        else:
            await self._send_fragments(message, text)
            return
        status = self._queue(self._conn, kind, message)
        if status:
            await self._refused(status, kind, message)
        if self._write_paused:
            pass  # it goes out when the peer has taken what went before
        elif not self._messages:
            self._together_until = 0.0
            output = self._output(self._conn)
            if output:
                self.transport.write(output)
        elif not self._together_until:
            # The answers to messages that arrived together leave together.
            self._together_until = perf_counter() + TOGETHER
            self.loop.call_soon(self._flush_together)
        elif perf_counter() > self._together_until:
            self._flush()
        if self._write_paused or self.transport.is_closing():
            await self._drain()

    async def ping(self, data: Optional[DataLike] = None) -> Awaitable[float]:
        """Sends a Ping. Returns an awaitable for its Pong, whose result is the latency in seconds."""
        if data is None:
            payload = secrets.token_bytes(4)
            while payload in self._pings:
                payload = secrets.token_bytes(4)
        else:
            payload = of_control(data)
        if payload in self._pings:
            raise ConcurrencyError("a Ping with the same data is waiting for its Pong")
        answered: asyncio.Future[float] = self.loop.create_future()
        await self._control(PING, payload)
        self._pings[payload] = answered, perf_counter()
        return answered

    async def pong(self, data: DataLike = b"") -> None:
        """Sends an unsolicited Pong."""
        await self._control(PONG, of_control(data))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection and waits until it is over. Has no effect if it is already over.

        Messages that have arrived can still be received; those for which there is no room are dropped. ProtocolError: the code
        may not be sent, or the reason is longer than 123 bytes.
        """
        if self._opening:
            self.transport.abort()
        else:
            self._begin_closing(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Waits until the connection is over."""
        await asyncio.shield(self._lost_waiter)

    async def __aenter__(self: Any) -> Any:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close(1000 if kind is None else 1011)

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        high, low = self._write_limit if isinstance(self._write_limit, tuple) else (self._write_limit, None)
        self.transport.set_write_buffer_limits(high, low)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return  # what the peer still sends while our last words are on their way
        if self._unfed:
            # Of a transport that had more than one piece in hand when it was paused.
            self._unfed = memoryview(b"".join((self._unfed, data)))
            return
        if self._dated:
            self._tick()
        fed = self._feed(self._conn, data)
        if fed < len(data):
            self._unfed = memoryview(data)[max(fed, 0) :]
            self._held = True
        if self._opening:
            self._open()
            return
        self._read(in_callback=True)

    def eof_received(self) -> None:
        self._eof = True
        if self._opening:
            self._open()
        else:
            self._read()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._flush() and (self._closing or self._held):
            # Not from here: who reads may close the transport, which is in the middle of writing.
            self.loop.call_soon(self._read)
        if not self._write_paused:
            for drainer in self._drainers:
                if not drainer.done():
                    drainer.set_result(None)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._lost = True
        self.transport.close()  # before Python 3.11, TLS that the peer has ended counts as open until then
        if self._failure is None:
            self._failure = exc
        self.resume_writing()
        self.eof_received()
        if not self._paused:
            self._over = True
        for timer in (self._timer, self._abort_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._abort_timer = None
        self._end_pings()
        if not self._lost_waiter.done():
            self._lost_waiter.set_result(None)
        self._waiter.wake()

    # The opening handshake

    def _open(self) -> None:
        """More of the opening handshake has arrived, or the end. The client and the server each have their own."""
        raise NotImplementedError

    def _opened(self) -> None:
        """The opening handshake is done; what came behind it is read."""
        self._opening = False
        self._look_at_clock()
        self._read()

    # Receiving

    def _read(self, in_callback: bool = False) -> None:
        """Reads what has arrived, and lets the library answer it, until there is nothing more, or too much.

        The transport is held up while there is too much: what has arrived here is then one piece of its own, and no more.

        Before more is read, whoever receives gets its messages: so the answers go out even where what follows breaks a rule and
        ends the connection. A task that waits gets them at once `in_callback` of the loop, any other in the loop's next round.
        """
        if self._paused:
            self._look_for_end()
            return
        conn, messages, controls, waiter = self._conn, self._messages, self._controls, self._waiter
        answers = False
        while not self._over:
            status = self._take(conn, messages, controls)
            if controls:
                answers = True
                self._heed()
            if not status:
                if in_callback and messages and waiter.waiting:
                    waiter.wake_at_once()
                if not messages:
                    if not (answers or self._held or self._eof or self._has_more(conn)):
                        return
                elif self._dropping:
                    while len(messages) > self._high:
                        messages.pop()
                elif len(messages) > self._high:
                    self._pause()
                    break
                elif not self._lost:
                    if not self._read_soon:
                        self._read_soon = True
                        self.loop.call_soon(self._go_on_reading)
                    break
            elif status == WOULD_BLOCK:
                # The end may follow from what has been sent.
                if not ((answers or self._closing) and self._flush() or (self._unfed or self._eof) and self._feed_rest()):
                    break
            elif status in OVER:
                self._finish()
            else:
                self._fail(status)
        if answers:
            self._flush()
        if self._held:
            self._hold()
        if waiter.waiting and (messages or self._over):
            waiter.wake()

    def _go_on_reading(self) -> None:
        self._read_soon = False
        if not self._paused:
            self._read(in_callback=True)

    def _feed_rest(self) -> bool:
        """Feeds what there was no room for; whether anything was fed."""
        if self._unfed:
            if self._dated:
                self._tick()
            try:
                fed = self.protocol.feed(self._unfed)
            except WebSocketException:
                return False  # reading tells why
            self._unfed = self._unfed[fed:]
            return fed > 0
        if self._eof:
            self._eof = False
            self.protocol.feed_eof()
            return True
        return False

    def _heed(self) -> None:
        """Looks at the Pings, Pongs and Closes that were read."""
        for kind, payload, code in self._controls:
            if kind == PONG:
                self._ponged(payload)
            elif kind == CLOSE:
                self._closing = True
                self._close_received = Close(code, payload.decode())
                if self._close_sent is None:
                    self._close_sent, self._received_first = self._close_received, True
                self._look_at_clock()
        self._controls.clear()

    def _pause(self) -> None:
        """The peer has to wait until some of its messages have been taken."""
        self._paused = self._held = True

    def _resume(self) -> None:
        self._paused = False
        self._read()

    def _hold(self) -> None:
        """Lets the transport receive unless what it has received has no place yet."""
        self._held = not self._over and (self._paused or bool(self._unfed))
        if self._lost:
            return
        if self._held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _look_for_end(self) -> None:
        """The end need not wait until messages are taken, which a silent peer's receiver may never do."""
        if self._closing and not self._over and self.protocol.write_pending() in OVER:
            self._finish()

    async def _next(self) -> Message:
        """The next message, or part of one."""
        while not self._messages:
            if self._over:
                await self._end()
            if self._together_until or self._waiter.waiting:
                self._before_waiting()
            await self._waiter
        message = self._messages.popleft()
        if self._paused and len(self._messages) <= self._low:
            self._resume()
        return message

    def _before_waiting(self) -> None:
        if self._waiter.waiting:
            raise ConcurrencyError("another task is receiving on this connection")
        if self._together_until:
            self._flush()

    async def _end(self) -> None:
        """There are no messages any more."""
        await self.wait_closed()
        raise self._close_exc()

    async def _whole(self, part: Part) -> Data:
        """The message that begins with this part. Where this is cancelled, its parts go back to where they came from."""
        parts = [part]
        try:
            while not parts[-1].final:
                following = await self._next()
                parts.append(following if type(following) is Part else Part(cast(Data, following), True))
        except asyncio.CancelledError:
            self._messages.extendleft(reversed(parts))
            raise
        if isinstance(part.data, str):
            return "".join(cast(str, each.data) for each in parts)
        return b"".join(cast(bytes, each.data) for each in parts)

    def _as(
        self,
        message: Data,
        decode: Optional[bool],
        decoder: Optional[codecs.IncrementalDecoder] = None,
        final: bool = True,
    ) -> Data:
        if decode is True and isinstance(message, bytes):
            try:
                return message.decode() if decoder is None else decoder.decode(message, final)
            except UnicodeDecodeError as error:
                self._failure = error
                self._begin_closing(1007, f"{error.reason} at position {error.start}")
                raise self._close_exc() from error
        if decode is False and isinstance(message, str):
            return message.encode()
        return message

    # Sending

    def _flush(self) -> bool:
        """Writes what waits to be sent; whether there was anything.

        While the peer takes nothing, it stays in the library, where it has its bounds: neither Pings nor `broadcast()` fill
        the memory of a process whose peer does not read.
        """
        self._together_until = 0.0
        if self._write_paused:
            return False
        output = self._output(self._conn)
        if not output:
            return False
        if not self._lost:
            self.transport.write(output)
        return True

    def _flush_together(self) -> None:
        if self._together_until:
            self._flush()

    async def _drain(self) -> None:
        """Waits until the transport takes more, so that a peer that does not read holds up whoever sends to it."""
        if self.transport.is_closing():
            await asyncio.sleep(0)  # lets the transport tell that it is lost
        while self._write_paused and not self._lost:
            drainer: asyncio.Future[None] = self.loop.create_future()
            self._drainers.add(drainer)
            try:
                await drainer
            finally:
                self._drainers.discard(drainer)
        if self._lost:
            raise self._close_exc()

    async def _refused(self, status: int, kind: int, data: bytes) -> None:
        """The library did not take a message, with this status: tries again where that helps."""
        while status == Status.ERR_SEND_QUEUE_FULL:
            self._flush()
            await self._drain()
            status = self._queue(self._conn, kind, data)
        if status in OVER:
            await self.wait_closed()
            raise self._close_exc()
        if status == Status.ERR_INVALID_ARGUMENT:
            raise ProtocolError(self.protocol.message())
        self.protocol.check(status)

    async def _control(self, kind: int, payload: bytes) -> None:
        status = self._queue(self._conn, kind, payload)
        if status:
            await self._refused(status, kind, payload)
        self._flush()

    async def _send_fragments(self, message: Any, text: Optional[bool]) -> None:
        if isinstance(message, Mapping):
            raise TypeError("a mapping is not a message; send its keys() or values()")
        with contextlib.suppress(TypeError):
            message = in_one_piece(message)
        if isinstance(message, bytes):
            await self.send(message, text=text)
            return
        if isinstance(message, AsyncIterable):
            fragments = message.__aiter__()
        elif isinstance(message, Iterable):
            fragments = each_of(message)
        else:
            raise TypeError("a message is str, bytes, or an iterable of these")
        self._amid_fragments = self.loop.create_future()
        kind = None
        try:
            async for fragment in fragments:
                is_text = isinstance(fragment, str)
                if kind is None:
                    kind, first_is_text = (TEXT if (is_text if text is None else text) else BINARY), is_text
                elif is_text != first_is_text:
                    raise TypeError("the fragments of a message are all str, or all bytes")
                await self._send_fragment(kind, fragment, False)
            if kind is not None:
                await self._send_fragment(kind, b"", True)
        except BaseException:
            if kind is not None:  # a message that cannot be finished any more
                self._begin_closing(1011, "error in fragmented message")
            raise
        finally:
            self._amid_fragments.set_result(None)
            self._amid_fragments = None

    async def _send_fragment(self, kind: int, data: DataLike, is_final: bool) -> None:
        status = self.protocol.write_fragment(kind, data, is_final)
        while status == Status.ERR_SEND_QUEUE_FULL:
            self._flush()
            await self._drain()
            status = self.protocol.write_fragment(kind, data, is_final)
        if status in OVER:
            await self.wait_closed()
            raise self._close_exc()
        self.protocol.check(status)
        self._flush()
        if self._write_paused or self.transport.is_closing():
            await self._drain()

    # Pings

    def _ponged(self, payload: bytes) -> None:
        now = perf_counter()
        if payload not in self._pings:
            if self._pinged is not None:
                self.latency, self._pinged = now - self._pinged, None
            return
        # A Pong answers the Pings before it, too (RFC 6455 section 5.5.3).
        for pinged in list(self._pings):
            answered, since = self._pings.pop(pinged)
            if not answered.done():
                answered.set_result(now - since)
            if pinged == payload:
                self.latency = now - since
                return

    def _end_pings(self) -> None:
        for answered, _ in self._pings.values():
            if not answered.done():
                answered.set_exception(self._close_exc())
                answered.exception()  # nobody has to look at it
        self._pings.clear()

    # Time, on the event loop's clock

    def _now(self) -> int:
        return int(self.loop.time() * 1000)

    def _tick(self) -> None:
        status = self.protocol.tick(self._now())
        if status and not self._over:
            self._fail(status)

    def _look_at_clock(self) -> None:
        """Tells the library the time, and comes back when something is due."""
        self._tick()
        # What arrives counts as having arrived at the last tick, which all other deadlines can do with.
        self._dated = self.protocol.get(Option.IDLE_TIMEOUT_MS) > 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None if self._lost else self.protocol.next_deadline_ms
        if due is not None:
            self._timer = self.loop.call_at((due + 1) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._look_at_clock()
        if self._flush() and not self._closing:
            self._pinged = perf_counter()
        self._read()

    # The end

    def _begin_closing(self, code: int, reason: str) -> None:
        if self.protocol.can_write:
            status = self.protocol.close(code, reason)
            if status:
                raise ProtocolError(self.protocol.message())
            self._close_sent, self._received_first = Close(code or 1005, reason), False
            self._closing = True
            self._look_at_clock()
        # From here on the peer's Close must find its way past messages that nobody takes.
        self._dropping = True
        if self._paused:
            self._resume()
        else:
            self._read()

    def _fail(self, status: int) -> None:
        """The library has given the connection up. It has told the peer why, where it could."""
        self._closing = True
        if self._failure is None:
            self._failure = self.protocol.error(status)
        code = self.protocol.close_code
        if self._close_sent is None and self._close_received is None and code != 1006:
            self._close_sent = Close(code)

    def _finish(self) -> None:
        """Both Closes have passed, or the connection has failed and the peer has been told."""
        self._over = True
        if self._lost:
            return
        if isinstance(self._failure, TimeoutError):
            self.transport.abort()
            return
        if self._failure is not None and self.transport.can_write_eof():
            # What the peer is still sending must not make the system take back our last words.
            self.transport.write_eof()
            self._unfed = NOTHING
            self._hold()
        else:
            self.transport.close()
        if self.close_timeout is not None:
            self._abort_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def _close_exc(self) -> ConnectionClosed:
        received, sent = self._close_received, self._close_sent
        well = received is not None and sent is not None and received.code in WELL and sent.code in WELL
        kind = ConnectionClosedOK if well else ConnectionClosedError
        in_order = self._received_first if received is not None and sent is not None else None
        exception = kind(received, sent, in_order, "" if self._failure is None else str(self._failure))
        exception.__cause__ = self._failure
        return exception


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    text: Optional[bool] = None,
    raise_exceptions: bool = False,
) -> None:
    """Sends a message to all of these connections that are open, without waiting. It is framed once and sent uncompressed.

    Connections in the middle of a fragmented message are skipped. With `raise_exceptions`, an ExceptionGroup lists all failures
    (Python 3.11 and later); otherwise the connection's logger does.
    """
    if isinstance(message, (str, *BUFFERS)):
        is_text = isinstance(message, str) if text is None else text
    else:
        raise TypeError("a message is str or bytes")
    prepared = Prepared(TEXT if is_text else BINARY, message)
    failures: list[Exception] = []
    for connection in connections:
        if connection._opening or not connection.protocol.can_write:
            continue
        status = connection.protocol.write_prepared(prepared)
        if status == Status.ERR_SEND_QUEUE_FULL:
            connection._flush()
            status = connection.protocol.write_prepared(prepared)
        if not status:
            connection._flush()
        elif raise_exceptions:
            failures.append(connection.protocol.error(status))
        else:
            connection.logger.warning("skipped broadcast: %s", connection.protocol.error(status))
    if failures:
        if sys.version_info < (3, 11):
            raise failures[0]
        raise ExceptionGroup("skipped broadcast", failures)


# Details

OK, WOULD_BLOCK = int(Status.OK), int(Status.ERR_WOULD_BLOCK)
OVER = (int(Status.ERR_CONNECTION_CLOSED), int(Status.ERR_ALREADY_CLOSED))
TEXT, BINARY, CLOSE, PING, PONG = (int(kind) for kind in Kind)
BUFFERS = (bytes, bytearray, memoryview)
WELL = (1000, 1001, 1005)
NOTHING = memoryview(b"")


def marks(limits: Limits) -> tuple[float, float]:
    """The high- and the low-water mark of a queue: the low one is a quarter of the high one."""
    high, low = limits if isinstance(limits, tuple) else (limits, None)
    if high is None:
        high = None if low is None else 4 * low
    if high is None:
        return float("inf"), float("inf")
    low = high // 4 if low is None else low
    if not 0 <= low <= high:
        raise ValueError("the low-water mark is between 0 and the high-water mark")
    return high, low


def of_control(data: DataLike) -> bytes:
    """The payload of a Ping or Pong."""
    if isinstance(data, str):
        return data.encode()
    try:
        return in_one_piece(data)
    except TypeError:
        raise TypeError("data must be str or bytes-like") from None


def in_one_piece(data: Buffer) -> bytes:
    """The bytes of a buffer. TypeError: it is none; BufferError: they would have to be gathered, as nowhere else."""
    with memoryview(data) as buffer:
        if not buffer.c_contiguous:
            raise BufferError("the buffer is not C-contiguous")
        return buffer.tobytes()


async def each_of(fragments: Iterable[Any]) -> AsyncIterator[Any]:
    for fragment in fragments:
        yield fragment
