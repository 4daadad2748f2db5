"""The battery run by the client of Python's websockets."""
import asyncio

from checks import Checks
from python_options import client_tls, extensions, options, socket_path
from websockets.asyncio.client import connect as websockets_connect
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

SIZES = 0, 1, 125, 126, 127, 65535, 65536, 1 << 20
PERIOD = 20011  # repeats that only a large compression window reaches
DATA = (bytes(k * k % PERIOD % 251 for k in range(PERIOD)) * (SIZES[-1] // PERIOD + 1))[:SIZES[-1]]
report = Checks("python_client")
check = report.check


async def main():
    given = options()

    def connect(**more):
        more.update(compression=None, max_size=None, ping_interval=None, close_timeout=5,
                    extensions=extensions(given.deflate, ClientPerMessageDeflateFactory))
        path = socket_path(given.url)
        if path:
            return unix_connect(path, **more)
        return websockets_connect(given.url, proxy=None, **client_tls(given), **more)

    async with asyncio.timeout(20):
        await messages(await connect())
        await closings(connect)
        await subprotocols(connect)
        await many(connect)
    report.done()


async def messages(ws):
    for name, text in ("ascii", "hello"), ("multi-byte", "κόσμε 世界 🦀"), ("empty", ""), ("long", "żółć🦀" * 20000):
        await ws.send(text)
        check(await ws.recv() == text, "text, " + name)
    for size in SIZES:
        await ws.send(DATA[:size])
        check(await ws.recv() == DATA[:size], "binary of %d bytes" % size)
    await ws.send(["frag", "", "mented ", "🦀"])
    check(await ws.recv() == "fragmented 🦀", "text in four fragments")
    await ws.send([b"\xff" * 70000, b"", b"\xfe"])
    check(await ws.recv() == b"\xff" * 70000 + b"\xfe", "binary in three fragments")
    for payload in b"", b"ping", b"\x80" * 125:
        await (await ws.ping(payload))
        check(True, "pong with %d bytes" % len(payload))
    numbers = [str(number) for number in range(500)]
    for number in numbers:
        await ws.send(number)
    check([await ws.recv() for _ in numbers] == numbers, "500 messages in order")
    await ws.close(1000, "done")
    check(ws.close_code == 1000, "closed with 1000", ws.close_code)


async def closings(connect):
    for code, reason in (1001, ""), (3000, "κόσμε"), (4999, "r" * 123):
        ws = await connect()
        await ws.close(code, reason)
        check(ws.close_code == code, "closed with %d" % code, ws.close_code)
        try:
            await ws.send("late")
        except ConnectionClosed as closed:
            check(closed.rcvd_then_sent is False, "the server echoed the Close", closed)


async def subprotocols(connect):
    async with connect(subprotocols=["chat", "chat.v2"]) as ws:
        check(ws.subprotocol is None, "no subprotocol selected", ws.subprotocol)
        await ws.send("still open")
        check(await ws.recv() == "still open", "works without one")


async def many(connect):
    all_ws = await asyncio.gather(*(connect() for _ in range(20)))
    await asyncio.gather(*(ws.send("number %d" % i) for i, ws in enumerate(all_ws)))
    replies = await asyncio.gather(*(ws.recv() for ws in all_ws))
    check(replies == ["number %d" % i for i in range(20)], "20 connections at once")
    await asyncio.gather(*(ws.close() for ws in all_ws))
    check(all(ws.close_code == 1000 for ws in all_ws), "20 clean closes")


asyncio.run(main())
