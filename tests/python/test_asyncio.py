"""wsabi.asyncio against itself: messages, back-pressure, cancellation, deadlines, closing, the opening handshake."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import inspect
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine
from pathlib import Path
from typing import Any, Callable

import pytest

from wsabi.asyncio import basic_auth, broadcast, connect, serve, unix_connect, unix_serve
from wsabi.asyncio._memory import Calls
from wsabi.asyncio._waiter import Waiter
from wsabi.asyncio.client import backoff, process_exception
from wsabi.asyncio.server import Server, ServerConnection
from wsabi.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    InvalidUTF8,
    PayloadTooBig,
    ProtocolError,
    ProxyError,
)
from wsabi.http import Request, Response
from wsabi.protocol import Option, State

PATIENCE = 30  # seconds for one test
CHUNK = 2**18  # bytes that a transport of asyncio's hands out at most at once


def run(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, in an event loop of its own, within its time."""

    def within_time(**fixtures: Any) -> None:
        async def limited() -> None:
            await asyncio.wait_for(test(**fixtures), PATIENCE)
            others = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
            assert not others, others

        asyncio.run(limited(), debug=True)

    within_time.__name__ = test.__name__
    within_time.__signature__ = inspect.signature(test)  # type: ignore[attr-defined] # by which pytest finds the fixtures
    return within_time


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def until_closed(websocket: ServerConnection) -> None:
    await websocket.wait_closed()


def url_of(server: Server, path: str = "/", scheme: str = "ws") -> str:
    return f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}{path}"


def port_of(url: str) -> int:
    return int(url.split(":")[2].strip("/"))


@contextlib.asynccontextmanager
async def serving(handler: Callable[[ServerConnection], Awaitable[None]] = echo, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "localhost", 0, family=socket.AF_INET, **options) as server:
        yield url_of(server, scheme="wss" if options.get("ssl") else "ws")


# Messages


@run
async def test_messages_come_back_as_they_were_sent() -> None:
    for compression in (None, "deflate"):
        async with serving(compression=compression) as url, connect(url, compression=compression, proxy=None) as ws:
            for message in ("hello", "żółć🦀", "", "x" * 100_000, b"", b"\0\xff", os.urandom(1 << 20)):
                await ws.send(message)
                assert await ws.recv() == message
            for other in (bytearray(b"abc"), memoryview(b"xabcx")[1:4], array.array("B", b"abc")):
                await ws.send(other)
                assert await ws.recv() == b"abc"
        assert (ws.close_code, ws.close_reason, ws.state) == (1000, "", State.CLOSED)


@run
async def test_text_and_binary_can_be_had_and_sent_the_other_way_round() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:
        await ws.send(b"caf\xc3\xa9", text=True)
        assert await ws.recv() == "café"
        await ws.send("café", text=False)
        assert await ws.recv() == b"caf\xc3\xa9"
        await ws.send("café")
        assert await ws.recv(decode=False) == b"caf\xc3\xa9"
        await ws.send(b"caf\xc3\xa9")
        assert await ws.recv(decode=True) == "café"
        with pytest.raises(InvalidUTF8):
            await ws.send(b"\xff", text=True)
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        await ws.send("still there")
        assert await ws.recv() == "still there"
        await ws.send(b"\xff")
        with pytest.raises(ConnectionClosedError):
            await ws.recv(decode=True)
        assert ws._close_exc().sent == (1007, "invalid start byte at position 0")


@run
async def test_a_buffer_that_does_not_lie_in_one_piece_is_refused_and_nothing_is_sent() -> None:
    pieces = memoryview(b"abcdef")[::2]
    async with serving() as url, connect(url, proxy=None) as ws:
        for send in (ws.send, ws.ping, ws.pong):
            with pytest.raises(BufferError):
                await send(pieces)
        with pytest.raises(BufferError):
            broadcast([ws], pieces)
        await ws.send(memoryview(b"abcdef")[1:4])
        assert await ws.recv() == b"bcd"
        await ws.send(memoryview(b"abcdef").cast("B", (2, 3)))
        assert await ws.recv() == b"abcdef"
        with pytest.raises(BufferError):
            await ws.send([b"one", pieces])  # this message cannot be finished any more
        await ws.wait_closed()
        assert ws._close_exc().sent == (1011, "error in fragmented message")


@run
async def test_thousands_of_messages_keep_their_order_while_tasks_send_concurrently() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:

        async def send(name: str) -> None:
            for number in range(500):
                await ws.send(f"{name} {number}")
                if number % 50 == 0:
                    await asyncio.sleep(0)

        async def receive() -> dict[str, list[int]]:
            got: dict[str, list[int]] = {}
            for _ in range(2000):
                name, number = str(await ws.recv()).split()
                got.setdefault(name, []).append(int(number))
            return got

        got, *_ = await asyncio.gather(receive(), *(send(name) for name in "abcd"))
        assert got == {name: list(range(500)) for name in "abcd"}


@run
async def test_a_message_in_fragments_arrives_whole_and_others_wait_for_its_end() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:

        async def slowly() -> AsyncIterator[str]:
            for word in ("one ", "two ", "three"):
                yield word
                await asyncio.sleep(0.01)

        sending = asyncio.ensure_future(ws.send(slowly()))
        await asyncio.sleep(0)
        await asyncio.gather(sending, ws.send("behind"))
        assert [await ws.recv(), await ws.recv()] == ["one two three", "behind"]
        await ws.send([b"a", bytearray(b"b"), memoryview(b"c")])
        assert await ws.recv() == b"abc"
        await ws.send([])
        for wrong in ({"a": 1}, 1, None, object()):
            with pytest.raises(TypeError):
                await ws.send(wrong)
        await ws.send("fine")
        assert await ws.recv() == "fine"
        with pytest.raises(TypeError):
            await ws.send(["text", b"bytes"])
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.recv()
        assert closed.value.sent is not None and closed.value.sent.code == 1011


@run
async def test_a_long_message_is_received_in_parts_as_it_arrives() -> None:
    go_on = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        async def parts() -> AsyncIterator[str]:
            yield "begins é"
            await go_on.wait()
            yield "z" * 200_000

        await websocket.send("before")
        await websocket.send(parts())
        await websocket.send("after")
        await websocket.wait_closed()

    async with serving(handler) as url, connect(url, proxy=None) as ws:
        assert await ws.recv() == "before"
        got = []
        async for part in ws.recv_streaming():
            got.append(part)
            if not go_on.is_set():
                assert part == "begins é"
                with pytest.raises(ConcurrencyError):
                    await ws.recv()
                go_on.set()
        assert len(got) > 1 and "".join(map(str, got)) == "begins é" + "z" * 200_000
        assert [part async for part in ws.recv_streaming()] == ["after"]


@run
async def test_bytes_taken_for_text_in_parts_may_be_cut_anywhere() -> None:
    word = "aé€😀" * 100_000

    async def handler(websocket: ServerConnection) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield "é".encode()[:1]
            await asyncio.sleep(0.1)  # so that it arrives by itself
            yield "é".encode()[1:] + word.encode()

        await websocket.send(parts())
        await websocket.send("é".encode()[:1])
        await websocket.wait_closed()

    async with serving(handler) as url, connect(url, max_size=None, proxy=None) as ws:
        received = [part async for part in ws.recv_streaming(decode=True)]
        assert "".join(map(str, received)) == "é" + word
        with pytest.raises(ConnectionClosedError) as caught:
            [part async for part in ws.recv_streaming(decode=True)]
        assert caught.value.sent is not None and caught.value.sent.code == 1007


@run
async def test_parts_that_nobody_wants_any_more_become_a_message_again() -> None:
    go_on = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a" * 1000
            await go_on.wait()
            yield b"b" * 1000

        await websocket.send(parts())
        await websocket.wait_closed()

    async with serving(handler) as url, connect(url, proxy=None) as ws:
        ws.protocol.set(Option.DELIVER_FRAGMENTS, 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.1)  # cancelled amid the message
        go_on.set()
        assert await ws.recv() == b"a" * 1000 + b"b" * 1000


@run
async def test_a_message_larger_than_what_is_received_at_most_can_be_sent() -> None:
    async with serving(max_size=None) as url, connect(url, max_size=1000, proxy=None) as ws:
        await ws.send("x" * 1001)
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.recv()
        assert closed.value.sent is not None and closed.value.sent.code == 1009
        assert "1000" in str(closed.value)


@run
async def test_fragments_and_broadcasts_may_be_larger_than_what_is_received_at_most() -> None:
    seen: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        seen.append(websocket)
        await websocket.send([b"x" * 700, b"x" * 700])
        await websocket.wait_closed()

    async with serving(handler, max_size=1000, compression=None) as url, connect(url, proxy=None) as ws:
        assert len(await ws.recv()) == 1400
        broadcast(seen, "y" * 5000)
        assert await asyncio.wait_for(ws.recv(), 5) == "y" * 5000
        await ws.send(b"z" * 1001)  # while what is received has its limit still
        await ws.wait_closed()
        assert ws.close_code == 1009
    sent_at_most = {Option.MAX_SENT_SIZE: 10}
    async with serving() as url, connect(url, options=sent_at_most, proxy=None) as ws:
        with pytest.raises(PayloadTooBig):
            await ws.send(b"x" * 11)
        await ws.send(b"x" * 10)
        assert await ws.recv() == b"x" * 10


@run
async def test_output_is_nothing_where_the_library_refuses_and_not_what_another_connection_had_there() -> None:
    calls = Calls.of(asyncio.get_running_loop())
    async with serving() as url, connect(url, proxy=None) as ws:
        await ws.send("a secret of this connection")
        for length in (5, 5000):
            ws.protocol.queue(2, b"x" * length)
            assert calls.output(ws.protocol.conn)
            assert calls.output(None) == b""


# Back-pressure


@run
async def test_a_slow_consumer_makes_the_peer_wait() -> None:
    sent = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionClosed):
            while True:
                await websocket.send(b"x" * 10_000)
                sent += 1

    async with serving(handler, compression=None) as url, connect(url, max_queue=4, compression=None, proxy=None) as ws:
        await asyncio.sleep(0.5)
        stalled = sent
        await asyncio.sleep(0.5)
        assert sent == stalled  # what lies in buffers of the system, and no more
        assert len(ws._messages) < 4 + 24 + 1
        for _ in range(stalled + 100):
            assert len(await ws.recv()) == 10_000
        assert sent > stalled
        await asyncio.wait_for(ws.close(), 5)  # and its messages do not stand in the way of the peer's Close
        assert ws.close_code == 1000


@run
async def test_a_handler_slower_than_its_peer_keeps_no_backlog_and_loses_no_speed() -> None:
    received, kept = 0, 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal received, kept
        async for _ in websocket:
            received += 1
            kept = max(kept, len(websocket._unfed))
            await asyncio.sleep(0)

    async with serving(handler, compression=None) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        message = b"\x82\xfe" + (20_000).to_bytes(2, "big") + bytes(4) + b"x" * 20_000
        began = time.monotonic()
        for _ in range(150):
            writer.write(message * 20)
            await writer.drain()
        while received < 3000:
            await asyncio.sleep(0.01)
        assert time.monotonic() - began < PATIENCE / 2
        assert 0 < kept <= CHUNK
        writer.close()
        await writer.wait_closed()


@run
async def test_what_came_together_with_the_request_makes_the_peer_wait_like_all_else() -> None:
    servers: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        servers.append(websocket)
        await websocket.wait_closed()

    async with serving(handler, max_queue=16, ping_interval=0.05, compression=None) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        small = b"\x82\x81" + bytes(4) + b"x"
        writer.write(REQUEST + small * 100)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)
        (websocket,) = servers
        assert not websocket.transport.is_reading()
        before = len(websocket._messages)
        assert 16 < before < 16 + 64
        writer.write(small * 1000)
        await asyncio.sleep(0.5)
        # Nor does anything that happens meanwhile, such as a Ping that is due, take more.
        assert len(websocket._messages) == before
        assert not websocket.transport.is_reading()
        for _ in range(1100):
            assert await asyncio.wait_for(websocket.recv(), 5) == b"x"
        assert websocket.transport.is_reading()
        writer.close()


@run
async def test_a_silent_peer_is_given_up_even_while_its_messages_wait() -> None:
    servers: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        servers.append(websocket)
        await websocket.wait_closed()

    async with serving(handler, max_queue=1, ping_interval=0.05, ping_timeout=0.1, compression=None) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        writer.write(REQUEST + (b"\x82\x81" + bytes(4) + b"x") * 100)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.wait_for(reader.read(), 5)
        assert isinstance(servers[0]._close_exc().__cause__, TimeoutError)
        writer.close()


@run
async def test_a_peer_that_never_reads_holds_up_the_sender_and_takes_no_memory() -> None:
    sent = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionClosed):
            while True:
                await websocket.send(b"x" * 100_000)
                sent += 1

    async with serving(handler, compression=None, ping_interval=None, close_timeout=0.2) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url), limit=1000)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)
        stalled = sent
        await asyncio.sleep(0.3)
        assert sent == stalled and stalled < 200
        writer.transport.abort()


@run
async def test_neither_pings_nor_broadcasts_pile_up_for_a_peer_that_never_reads() -> None:
    servers: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        servers.append(websocket)
        with contextlib.suppress(ConnectionClosed):
            await websocket.recv()

    quiet = logging.getLogger("test of a peer that never reads")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    async with serving(handler, compression=None, close_timeout=0.2, logger=quiet) as url:
        sock = socket.create_connection(("localhost", port_of(url)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        sock.send(REQUEST)
        assert b"101" in await asyncio.get_running_loop().sock_recv(sock, 1000)
        ping = b"\x89\xfd" + bytes(4) + b"x" * 125
        pings, sent = ping * 10, 0
        for _ in range(3000):
            with contextlib.suppress(BlockingIOError):
                sent += sock.send(pings[sent % len(ping) :])
            await asyncio.sleep(0)
        (websocket,) = servers
        assert websocket._write_paused  # or this shows nothing
        assert websocket.transport.get_write_buffer_size() < 200_000
        for _ in range(1000):
            broadcast(servers, b"x" * 100_000)
        assert websocket.transport.get_write_buffer_size() < 200_000
        assert websocket.protocol.queued_bytes < 17 << 20
        sock.close()


@run
async def test_who_goes_on_sending_after_breaking_a_rule_is_not_listened_to() -> None:
    lost: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        lost.append(websocket)
        with contextlib.suppress(ConnectionClosed):
            await websocket.recv()

    async with serving(handler) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        writer.write(REQUEST + b"\x83\x80\0\0\0\0")
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(50):
                writer.write(b"x" * 100_000)
                await writer.drain()
        answer = await reader.read()
        assert answer[0] == 0x88 and answer[2:4] == b"\x03\xea"
        assert len(lost[0]._unfed) == 0
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@run
async def test_compressed_messages_are_not_inflated_ahead_of_who_takes_them() -> None:
    async def handler(websocket: ServerConnection) -> None:
        for _ in range(500):
            await websocket.send(b"\0" * 1_000_000)
        await websocket.wait_closed()

    async with serving(handler) as url, connect(url, max_queue=2, proxy=None) as ws:
        await asyncio.sleep(0.5)
        assert len(ws._messages) < 30
        for _ in range(500):
            assert len(await ws.recv()) == 1_000_000


REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


# Cancellation and tasks


@run
async def test_a_cancelled_receiver_loses_no_message() -> None:
    async def handler(websocket: ServerConnection) -> None:
        for number in range(300):
            await websocket.send(str(number))
            await asyncio.sleep(0.001)
        await websocket.wait_closed()

    async with serving(handler) as url, connect(url, proxy=None) as ws:
        got: list[int] = []
        while len(got) < 300:
            task = asyncio.ensure_future(ws.recv())
            await asyncio.sleep(0.0007)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                got.append(int(await task))
        assert got == list(range(300))


@run
async def test_a_second_receiver_is_told_so() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:
        first = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0.01)
        for second in (ws.recv(), ws.__anext__(), ws.recv_streaming().__anext__()):
            with pytest.raises(ConcurrencyError):
                await second
        await ws.send("for the first")
        assert await first == "for the first"


@run
async def test_a_cancelled_receiver_is_cancelled_even_if_another_receives_in_the_same_round() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:
        for number in range(3):
            first = asyncio.ensure_future(ws.recv())
            await asyncio.sleep(0.01)
            await ws.send(str(number))
            first.cancel()
            assert await ws.recv() == str(number)  # waits before the first has gone on
            with pytest.raises(asyncio.CancelledError):
                await first


@run
async def test_a_receiver_that_goes_on_already_does_not_cancel_the_next_one() -> None:
    waiter = Waiter(asyncio.get_running_loop())

    async def wait() -> str:
        await waiter
        return "woken"

    first = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    second = asyncio.ensure_future(wait())
    asyncio.get_running_loop().call_soon(first.cancel)  # behind the second's first step, before the first goes on
    asyncio.get_running_loop().call_soon(waiter.wake)
    waiter.wake()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.wait_for(second, 5) == "woken"


@run
async def test_a_timeout_around_recv_leaves_the_connection_as_it_was() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:
        for _ in range(20):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.recv(), 0.005)
        await ws.send("there")
        assert await asyncio.wait_for(ws.recv(), 5) == "there"


@run
async def test_who_receives_may_close_and_who_closes_may_receive() -> None:
    async with serving() as url:
        ws = await connect(url, proxy=None)
        receiving = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0.01)
        await ws.close(3000, "enough")
        with pytest.raises(ConnectionClosedError) as closed:
            await receiving
        assert closed.value.rcvd == (3000, "enough") and closed.value.sent == (3000, "enough")
        assert closed.value.rcvd_then_sent is False
        with pytest.raises(ConnectionClosedError):
            await ws.send("too late")
        with pytest.raises(ConnectionClosedError):
            await ws.recv_streaming().__anext__()
        with pytest.raises(ConnectionClosedError):
            await ws.ping()
        await ws.close()


@run
async def test_a_cancelled_connect_leaves_nothing_behind() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    task = asyncio.ensure_future(connect(url, proxy=None).__aenter__())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError, match="opening handshake"):
        await connect(url, open_timeout=0.1, proxy=None)
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.05)


# Pings and deadlines


@run
async def test_a_ping_tells_the_latency_and_a_pong_answers_the_pings_before_it() -> None:
    async with serving() as url, connect(url, proxy=None) as ws:
        assert ws.latency == 0
        answered = await ws.ping()
        latency = await answered
        assert 0 < latency < 5 and ws.latency == latency
        first = await ws.ping("first")
        with pytest.raises(ConcurrencyError):
            await ws.ping(b"first")
        await (await ws.ping(b"second"))
        assert first.done()  # type: ignore[attr-defined]
        with pytest.raises(ProtocolError):
            await ws.ping(b"x" * 126)
        await ws.pong(b"unasked")
        unanswered = await ws.ping()
        ws.transport.abort()
    with pytest.raises(ConnectionClosed):
        await unanswered


@run
async def test_keepalive_measures_the_latency_and_ends_with_a_peer_that_is_silent() -> None:
    async with serving() as url, connect(url, ping_interval=0.05, proxy=None) as ws:
        await asyncio.sleep(0.3)
        assert 0 < ws.latency < 0.25

    async def handler(websocket: ServerConnection) -> None:
        with pytest.raises(ConnectionClosedError) as closed:
            await websocket.recv()
        told.set_result(closed.value)

    told: asyncio.Future[ConnectionClosedError] = asyncio.get_running_loop().create_future()
    async with serving(handler, ping_interval=0.1, ping_timeout=0.2) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        start = time.monotonic()
        writer.write(REQUEST)
        error = await told
        assert 0.2 < time.monotonic() - start < 5
        assert isinstance(error.__cause__, TimeoutError) and error.rcvd is None
        writer.transport.abort()


@run
async def test_an_idle_timeout_ends_the_connections_that_are_idle_and_no_others() -> None:
    options = {Option.IDLE_TIMEOUT_MS: 300}
    quick = {"ping_interval": None, "proxy": None}
    async with serving(options=options, ping_interval=None) as url:
        async with connect(url, **quick) as busy, connect(url, **quick) as idle:
            for number in range(20):
                await asyncio.sleep(0.05)
                await busy.send(str(number))
                assert await busy.recv() == str(number)
            assert idle.state != State.OPEN and busy.state == State.OPEN
            began = time.monotonic()
            await asyncio.wait_for(busy.wait_closed(), 5)
            assert time.monotonic() - began > 0.2


@run
async def test_a_peer_that_does_not_answer_a_close_is_not_waited_for_longer_than_close_timeout() -> None:
    closed = asyncio.get_running_loop().create_future()

    async def handler(websocket: ServerConnection) -> None:
        start = time.monotonic()
        await websocket.close()
        closed.set_result(time.monotonic() - start)

    async with serving(handler, close_timeout=0.2) as url:
        _, writer = await asyncio.open_connection("localhost", port_of(url))
        writer.write(REQUEST)
        assert 0.15 < await closed < 5
        writer.transport.abort()


# The end


@run
async def test_codes_and_reasons_arrive_and_those_that_must_not_be_sent_are_refused() -> None:
    async def handler(websocket: ServerConnection) -> None:
        code, reason = str(await websocket.recv()).split(" ", 1)
        await websocket.close(int(code), reason)

    async with serving(handler) as url:
        for code, reason, kind in (
            (1000, "", ConnectionClosedOK),
            (1001, "going", ConnectionClosedOK),
            (1011, "é" * 61, ConnectionClosedError),
            (4999, "mine", ConnectionClosedError),
        ):
            async with connect(url, proxy=None) as ws:
                await ws.send(f"{code} {reason}")
                with pytest.raises(kind) as closed:
                    await ws.recv()
                assert (closed.value.rcvd, closed.value.rcvd_then_sent) == ((code, reason), True)
                assert (ws.close_code, ws.close_reason) == (code, reason)
        async with connect(url, proxy=None) as ws:
            for code, reason in ((999, ""), (1005, ""), (1006, ""), (5000, ""), (1000, "x" * 124)):
                with pytest.raises(ProtocolError):
                    await ws.close(code, reason)
            assert ws.state == State.OPEN


@run
async def test_iteration_ends_quietly_only_where_the_connection_is_closed_well() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("last words")
        await websocket.close(1011 if websocket.request and websocket.request.path == "/bad" else 1001)

    async with serving(handler) as url:
        async with connect(url, proxy=None) as ws:
            assert [message async for message in ws] == ["last words"]
        async with connect(url + "bad", proxy=None) as ws:
            assert await ws.__anext__() == "last words"
            with pytest.raises(ConnectionClosedError):
                await ws.__anext__()


@run
async def test_messages_that_arrived_before_the_end_can_still_be_received() -> None:
    async def handler(websocket: ServerConnection) -> None:
        for number in range(100):
            await websocket.send(str(number))

    async with serving(handler) as url:
        ws = await connect(url, max_queue=None, proxy=None)
        await ws.wait_closed()
        assert ws.close_code == 1000
        assert [await ws.recv() for _ in range(100)] == [str(number) for number in range(100)]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@run
async def test_a_lost_connection_ends_with_1006() -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.abort()

    async with serving(handler) as url:
        ws = await connect(url, proxy=None)
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.recv()
        assert (closed.value.rcvd, closed.value.sent, closed.value.code, ws.close_code) == (None, None, 1006, 1006)
        with pytest.raises(ConnectionClosedError):
            await ws.send("anybody?")
        await ws.close()


@run
async def test_a_sender_learns_of_a_lost_connection_even_if_it_never_waits() -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.abort()

    async with serving(handler) as url:
        ws = await connect(url, proxy=None)
        with pytest.raises(ConnectionClosedError):
            while True:
                await ws.send(b"x" * 1000)
                time.sleep(0.0001)


@run
async def test_a_peer_that_breaks_a_rule_is_told_so_after_what_it_sent_before_was_answered() -> None:
    async with serving(compression=None) as url:
        reader, writer = await asyncio.open_connection("localhost", port_of(url))
        writer.write(REQUEST + b"\x81\x82\0\0\0\0ok" + b"\x83\x80\0\0\0\0")
        await reader.readuntil(b"\r\n\r\n")
        answer = await reader.read(1000)
        while len(answer) < 8:
            answer += await reader.read(1000)
        assert answer[:4] == b"\x81\x02ok" and answer[4] == 0x88 and answer[6:8] == b"\x03\xea"  # 1002
        writer.close()
        await writer.wait_closed()


@run
async def test_a_handler_that_raises_closes_with_1011_and_one_that_returns_with_1000() -> None:
    async def handler(websocket: ServerConnection) -> None:
        if await websocket.recv() == "raise":
            raise LookupError("on purpose")

    log = logging.getLogger("test of a handler that raises")
    log.propagate = False
    records: list[logging.LogRecord] = []
    log.addHandler(type("Keep", (logging.Handler,), {"emit": lambda self, record: records.append(record)})())
    async with serving(handler, logger=log) as url:
        for word, code in (("raise", 1011), ("return", 1000)):
            async with connect(url, proxy=None) as ws:
                await ws.send(word)
                with pytest.raises(ConnectionClosed) as closed:
                    await ws.recv()
                assert closed.value.code == code
    assert [record.getMessage() for record in records if record.exc_info] == ["connection handler failed"]


# The opening handshake


@run
async def test_subprotocols_headers_and_paths() -> None:
    seen: list[Any] = []

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append((websocket.request.path, websocket.request.headers["X-Test"], websocket.subprotocol))
        seen.append(websocket.request.headers["user-agent"].split("/")[0])

    def select(connection: ServerConnection, offered: Any) -> Any:
        return "chat" if "chat" in offered else None

    async with serving(handler, subprotocols=["superchat", "chat"]) as url:
        async with connect(url + "a?b=c", subprotocols=["chat"], additional_headers={"X-Test": "1"}, proxy=None) as ws:
            assert ws.subprotocol == "chat"
            assert ws.response is not None and "wsabi" in ws.response.headers["Server"]
            assert ws.request is not None and ws.request.path == "/a?b=c"
    assert seen == [("/a?b=c", "1", "chat"), "Python"]
    async with serving(until_closed, select_subprotocol=select, server_header=None) as url:
        async with connect(url, subprotocols=["x", "chat"], user_agent_header=None, proxy=None) as ws:
            assert ws.subprotocol == "chat"
            assert ws.response is not None and "Server" not in ws.response.headers
        async with connect(url, subprotocols=["x"], proxy=None) as ws:
            assert ws.subprotocol is None


@run
async def test_a_program_may_answer_a_request_itself_or_change_the_answer() -> None:
    def process_request(connection: ServerConnection, request: Request) -> Any:
        if request.path == "/healthz":
            return connection.respond(200, "OK\n")
        if request.path == "/broken":
            raise LookupError("on purpose")
        return None

    async def process_response(connection: ServerConnection, request: Request, response: Response) -> Any:
        await asyncio.sleep(0)
        if response.status_code == 101:
            response.headers["Set-Cookie"] = "a=b"
        return connection.respond(404, "none here\n") if request.path == "/none" else None

    quiet = logging.getLogger("test of process_request")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    async with serving(process_request=process_request, process_response=process_response, logger=quiet) as url:
        port = port_of(url)
        for head in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", REQUEST.replace(b" / ", b" /healthz ")):
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(head)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nOK\n")
            writer.close()
            await writer.wait_closed()
        async with connect(url, proxy=None) as ws:
            assert ws.response is not None and ws.response.headers["set-cookie"] == "a=b"
            await ws.send("x")
            assert await ws.recv() == "x"
        for path, status, body in (("none", 404, b"none here\n"), ("broken", 500, None)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url + path, proxy=None)
            assert refused.value.status == refused.value.response.status_code == status
            assert body is None or refused.value.body == body


@run
async def test_what_is_no_websocket_request_is_refused_and_rubbish_ends() -> None:
    async with serving() as url:
        port = port_of(url)
        for sent, status in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 4"),
            (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 4"),
            (b"\x16\x03\x01\x02\x00rubbish\r\n\r\n", b""),
        ):
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(sent)
            answer = await reader.read()
            assert answer.startswith(status), answer
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        async with connect(url, proxy=None) as ws:
            await ws.send("still serving")
            assert await ws.recv() == "still serving"


@run
async def test_origins() -> None:
    async with serving(until_closed, origins=["https://a.example", re.compile(r"https://.*\.b\.example"), None]) as url:
        for origin in ("https://a.example", "https://x.b.example", None):
            await (await connect(url, origin=origin, proxy=None)).close()
        for origin in ("https://b.example", "http://a.example", "https://x.b.example.evil"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, origin=origin, proxy=None)
            assert refused.value.status == 403


@run
async def test_basic_auth() -> None:
    names: list[str] = []

    async def handler(websocket: ServerConnection) -> None:
        names.append(websocket.username)

    async def approve(name: str, password: str) -> bool:
        return (name, password) == ("hello", "iloveyou")

    for how in ({"credentials": ("hello", "iloveyou")}, {"check_credentials": approve}, {"credentials": [("hello", "iloveyou")]}):
        async with serving(handler, process_request=basic_auth("realm", **how)) as url:  # type: ignore[arg-type]
            good = {"Authorization": "Basic aGVsbG86aWxvdmV5b3U="}
            await (await connect(url, additional_headers=good, proxy=None)).wait_closed()
            await (await connect(url.replace("ws://", "ws://hello:ilove%79ou@"), proxy=None)).wait_closed()
            for bad in (None, {"Authorization": "Basic aGVsbG86bm8="}, {"Authorization": "Bearer x"}, {"Authorization": "Basic !"}):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url, additional_headers=bad, proxy=None)
                assert refused.value.status == 401
                assert refused.value.headers["WWW-Authenticate"] == 'Basic realm="realm", charset="UTF-8"'
    assert names == ["hello"] * 6
    with pytest.raises(ValueError):
        basic_auth("realm")
    with pytest.raises(TypeError):
        basic_auth("realm", credentials=[("a", "b", "c")])  # type: ignore[list-item]


@run
async def test_redirections_are_followed_and_secrets_stay_with_the_server_that_they_are_for() -> None:
    seen: list[Any] = []

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append((websocket.request.path, websocket.request.headers.get("Authorization")))

    async with serving(handler) as other:

        def process_request(connection: ServerConnection, request: Request) -> Any:
            targets = {"/here": "/there", "/other": other + "elsewhere", "/round": "/round"}
            if request.path in targets:
                response = connection.respond(302, "")
                response.headers["Location"] = targets[request.path]
                return response
            return None

        async with serving(handler, process_request=process_request) as url:
            for path in ("here", "other"):
                await (await connect(url + path, additional_headers={"Authorization": "x"}, proxy=None)).wait_closed()
            with pytest.raises(HandshakeError, match="redirects"):
                await connect(url + "round", proxy=None)
    assert seen == [("/there", "x"), ("/elsewhere", None)]


def test_arguments_that_cannot_be_are_refused_at_once() -> None:
    for uri in ("http://localhost/", "localhost", "ws:///", "ws://localhost:99999/", "ws://user@localhost/", "ws://h/#f", "ws://h:0/"):
        with pytest.raises(InvalidURI):
            connect(uri)
    with pytest.raises(ValueError):
        connect("ws://localhost/", ssl=ssl.create_default_context())
    with pytest.raises(ValueError):
        connect("ws://localhost/", compression="brotli")
    with pytest.raises(TypeError):
        connect("ws://localhost/", subprotocols="chat")
    with pytest.raises(NotImplementedError):
        connect("ws://localhost/", extensions=[])  # type: ignore[arg-type]


@run
async def test_a_url_in_any_script_is_converted() -> None:
    async def handler(ws: ServerConnection) -> None:
        assert ws.request is not None
        await ws.send(ws.request.path + " " + ws.request.headers["Host"].partition(":")[0])

    async with serving(handler) as url:
        place = url.replace("localhost", "\uff2c\uff2f\uff23\uff21\uff2c\uff28\uff2f\uff33\uff34")
        async with connect(place + '\xe4 |^?\xf6=\xfc&ids[]=1&q={"a":1}', proxy=None) as ws:
            path, host = (await ws.recv()).split()
            assert path.startswith("/%C3%A4%20|") and path.endswith("?%C3%B6=%C3%BC&ids[]=1&q={%22a%22:1}")
            assert host == "localhost"


# Proxies


@contextlib.asynccontextmanager
async def http_proxy(seen: list[bytes]) -> AsyncIterator[str]:
    """A proxy that knows CONNECT; all names are of this machine, but for those of refuse.test."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0])
        host, _, port = head.split()[1].rpartition(b":")
        if host == b"refuse.test":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))

    proxy = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    yield "http://127.0.0.1:%d" % proxy.sockets[0].getsockname()[1]
    proxy.close()
    await proxy.wait_closed()
    await asyncio.sleep(0.05)


@run
async def test_through_a_proxy_a_connection_is_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    seen: list[bytes] = []
    async with http_proxy(seen) as proxy, serving() as url:
        async with connect(url, proxy=proxy, max_queue=4) as ws:
            for message in ("hello", b"x" * 900_000, ""):
                await ws.send(message)
                assert await ws.recv() == message
            for number in range(2000):
                await ws.send(str(number))
            assert [await ws.recv() for _ in range(2000)] == [str(number) for number in range(2000)]
            assert 0 < await (await ws.ping()) < 10
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.recv(), 0.01)
            assert ws.remote_address[1] == int(proxy.split(":")[2])
            assert ws.response is not None and "wsabi" in ws.response.headers["Server"]
        assert ws.close_code == 1000
        assert seen == [b"CONNECT " + url.split("/")[2].encode() + b" HTTP/1.1"]
        monkeypatch.setenv("http_proxy", proxy)
        port = url.split(":")[2].strip("/")
        ws = await connect(f"ws://elsewhere.test:{port}/")
        ws.transport.abort()
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert seen[-1].startswith(b"CONNECT elsewhere.test:")
        with pytest.raises(ProxyError, match="403"):
            await connect(f"ws://refuse.test:{port}/")
        monkeypatch.setenv("no_proxy", "localhost")
        await (await connect(url)).close()
        assert len(seen) == 3
        for wrong in ("foo://127.0.0.1:1", "http://"):
            with pytest.raises(InvalidProxy):
                await connect(url, proxy=wrong)
        with pytest.raises(OSError):
            await connect(url, proxy="http://127.0.0.1:1")
        with pytest.raises(NotImplementedError, match="proxy"):
            await connect(url, proxy=proxy, local_addr=("127.0.0.1", 0))


@run
async def test_a_sender_through_a_proxy_waits_for_a_peer_that_does_not_read() -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()
        await go_on.wait()
        websocket.transport.resume_reading()
        received.append(sum([len(message) async for message in websocket]))

    go_on, received, sent = asyncio.Event(), [], 0
    async with http_proxy([]) as proxy, serving(handler, compression=None) as url:
        async with connect(url, proxy=proxy, compression=None) as ws:

            async def send() -> None:
                nonlocal sent
                while not go_on.is_set():
                    await ws.send(b"x" * 100_000)
                    sent += 1

            task = asyncio.ensure_future(send())
            await asyncio.sleep(0.5)
            stalled = sent
            await asyncio.sleep(0.3)
            assert sent == stalled < 300
            go_on.set()
            await task
    assert received == [sent * 100_000]


# Reconnecting


@run
async def test_iterating_over_connect_connects_again() -> None:
    count = 0

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hello")
        if count % 2:
            websocket.transport.abort()

    def process_request(connection: ServerConnection, request: Request) -> Any:
        nonlocal count
        count += 1
        return connection.respond(503, "later") if count == 2 else None

    quiet = logging.getLogger("test of reconnecting")
    quiet.propagate = False
    async with serving(handler, process_request=process_request, logger=quiet) as url:
        connected = 0
        options: Any = {"reconnect_delays": lambda: iter([0.01] * 9), "logger": quiet, "proxy": None}
        async for ws in connect(url, **options):
            connected += 1
            try:
                async for message in ws:
                    assert message == "hello"
            except ConnectionClosed:
                continue
            if connected >= 3:
                break
    assert count >= 4
    assert process_exception(ConnectionRefusedError()) is None
    assert process_exception(InvalidStatus("no", 503)) is None
    assert isinstance(process_exception(InvalidStatus("no", 404)), InvalidStatus)
    delays = backoff()
    waits = [next(delays) for _ in range(20)]
    assert 0 <= waits[0] <= 5 and waits[1:] == sorted(waits[1:]) and waits[-1] == 90
    with pytest.raises(OSError):
        async with connect("ws://127.0.0.1:1/", proxy=None):
            pass


# Servers


@run
async def test_a_server_that_is_closed_says_1001_and_waits_for_its_handlers() -> None:
    ended: list[str] = []

    async def handler(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await websocket.recv()
        await asyncio.sleep(0.05)
        ended.append("handler")

    async with serve(handler, "127.0.0.1", 0) as server:
        ws = await connect(url_of(server).replace("localhost", "127.0.0.1"), proxy=None)
        while not server.connections:
            await asyncio.sleep(0.01)
        assert server.is_serving() and len(server.connections) == 1
        server.close(code=1012, reason="soon back")
        server.close()
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.recv()
        assert closed.value.rcvd == (1012, "soon back")
        await server.wait_closed()
        assert ended == ["handler"] and not server.is_serving() and not server.connections


@run
async def test_serve_forever_ends_when_it_is_cancelled() -> None:
    server = await serve(echo, "127.0.0.1", 0, start_serving=False)
    task = asyncio.ensure_future(server.serve_forever())
    while not server.is_serving():
        await asyncio.sleep(0.01)
    ws = await connect(url_of(server).replace("localhost", "127.0.0.1"), proxy=None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ConnectionClosedOK) as closed:
        await ws.recv()
    assert closed.value.code == 1001


@run
async def test_broadcast_reaches_all_that_are_open() -> None:
    ready = asyncio.Event()
    servers: list[ServerConnection] = []

    async def handler(websocket: ServerConnection) -> None:
        servers.append(websocket)
        if len(servers) == 10:
            ready.set()
        await websocket.wait_closed()

    async with serving(handler) as url:
        clients = [await connect(url, proxy=None) for _ in range(10)]
        await ready.wait()
        await clients[0].close()
        for message in ("to all", b"to all"):
            broadcast(servers, message)
            broadcast(servers, message, text=True, raise_exceptions=True)
        for client in clients[1:]:
            assert [await client.recv() for _ in range(4)] == ["to all", "to all", b"to all", "to all"]
        with pytest.raises(TypeError):
            broadcast(servers, ["no"])
        await asyncio.gather(*(client.close() for client in clients))


@run
async def test_many_connections_at_once() -> None:
    async with serving() as url:

        async def one(number: int) -> None:
            async with connect(url, proxy=None) as ws:
                for _ in range(5):
                    await ws.send(f"number {number}")
                    assert await ws.recv() == f"number {number}"

        await asyncio.gather(*(one(number) for number in range(200)))


@run
async def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with unix_serve(echo, path):
        async with unix_connect(path) as ws:
            await ws.send("over a path")
            assert await ws.recv() == "over a path"
            assert ws.remote_address == path


@run
async def test_tls_and_whom_to_believe(certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(chain, key)
    trusted = ssl.create_default_context(cafile=str(chain))
    async with serving(ssl=shown) as url:
        async with connect(url, ssl=trusted, proxy=None) as ws:
            for message in ("secret", b"x" * 1_000_000):
                await ws.send(message)
                assert await ws.recv() == message
        assert ws.close_code == 1000
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(url, proxy=None)
        with pytest.raises(ValueError):
            await connect(url, ssl=None, proxy=None)


@run
async def test_a_socket_of_the_programs() -> None:
    async with serving() as url:
        sock = socket.create_connection(("localhost", port_of(url)))
        async with connect("ws://any.name/", sock=sock) as ws:
            await ws.send("here")
            assert await ws.recv() == "here"
            assert ws.request is not None and ws.request.headers["Host"] == "any.name"


def test_connections_are_freed_and_nothing_is_left_open() -> None:
    script = """
import asyncio, gc, weakref
from wsabi.asyncio import connect, serve
from wsabi.exceptions import ConnectionClosed
async def echo(ws):
    try:
        async for message in ws: await ws.send(message)
    except ConnectionClosed: pass
async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        known = []
        for _ in range(5):
            async with connect(url, proxy=None) as ws:
                await ws.send("x"); await ws.recv()
            known.append(weakref.ref(ws)); del ws
        left = await connect(url, proxy=None)
        left.transport.abort()
    gc.collect()
    print(sum(ref() is not None for ref in known))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    gc.collect()
