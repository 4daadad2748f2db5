"""wsabi.asyncio and what others wrote: websockets, aiohttp, uvicorn, Chromium, uvloop. A peer that is not there is a skip, which
is a failure where CI=true."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from test_asyncio import echo, run, serving, url_of
from wsabi.asyncio import client, connect, serve, server, unix_connect, unix_serve
from wsabi.asyncio.server import ServerConnection
from wsabi.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from wsabi.http import Headers, Request, Response

HERE = Path(__file__).parent
MESSAGES: list[Any] = ["hello", "żółć🦀", "", "x" * 70_000, b"", b"\0\xff" * 3000, bytes(1 << 19), os.urandom(100_000)]


def peer(name: str) -> Any:
    """A package of a peer's."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"{name} is not installed")


def missing(why: str) -> None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


async def battery(ws: Any) -> None:
    """The same for every pair: messages, fragments, order, a Ping."""
    for message in MESSAGES:
        await ws.send(message)
        assert await ws.recv() == message
    await ws.send(["in ", "three ", "fragments"])
    assert await ws.recv() == "in three fragments"
    for number in range(500):
        await ws.send(str(number))
    assert [await ws.recv() for _ in range(500)] == [str(number) for number in range(500)]
    assert 0 < await (await ws.ping()) < 10


# websockets


@run
async def test_the_client_of_websockets_and_our_server() -> None:
    theirs = peer("websockets.asyncio.client")
    wrong = peer("websockets.exceptions")

    async def handler(websocket: ServerConnection) -> None:
        if websocket.request is not None and websocket.request.path == "/close":
            await websocket.close(4000, "as asked")
        await echo(websocket)

    for compression in (None, "deflate"):
        async with serving(handler, compression=compression, subprotocols=["chat"]) as url:
            async with theirs.connect(url, compression=compression, subprotocols=["x", "chat"], proxy=None) as ws:
                assert ws.subprotocol == "chat"
                assert ("permessage-deflate" in ws.response.headers.get("Sec-WebSocket-Extensions", "")) == bool(compression)
                await battery(ws)
            assert ws.close_code == 1000
            async with theirs.connect(url + "close", proxy=None) as ws:
                with pytest.raises(wrong.ConnectionClosedError) as closed:
                    await ws.recv()
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as asked")


@run
async def test_our_client_and_the_server_of_websockets() -> None:
    theirs = peer("websockets.asyncio.server")
    wrong = peer("websockets.exceptions")

    async def handler(websocket: Any) -> None:
        if websocket.request.path == "/close":
            await websocket.close(4000, "as asked")
        with contextlib.suppress(wrong.ConnectionClosed):
            async for message in websocket:
                await websocket.send(message)

    for compression in (None, "deflate"):
        async with theirs.serve(handler, "localhost", 0, compression=compression, subprotocols=["chat"]) as listening:
            url = url_of(listening)
            async with connect(url, compression=compression, subprotocols=["x", "chat"], proxy=None) as ws:
                assert ws.subprotocol == "chat" and ws.response is not None
                assert ("permessage-deflate" in ws.response.headers.get("Sec-WebSocket-Extensions", "")) == bool(compression)
                await battery(ws)
            assert ws.close_code == 1000
            async with connect(url + "close", subprotocols=["chat"], proxy=None) as ws:
                with pytest.raises(ConnectionClosedError) as closed:
                    await ws.recv()
                assert closed.value.rcvd == (4000, "as asked")
            ws = await connect(url, subprotocols=["chat"], proxy=None)
            listening.close()
            with pytest.raises(ConnectionClosedOK) as going:
                await ws.recv()
            assert going.value.code == 1001


@run
async def test_over_tls_and_a_unix_socket_with_websockets(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    their_client, their_server = peer("websockets.asyncio.client"), peer("websockets.asyncio.server")
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(*certificate)
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    async with serving(ssl=shown) as url, their_client.connect(url, ssl=trusted, proxy=None) as ws:
        await battery(ws)
    async with their_server.serve(echo, "localhost", 0, ssl=shown) as listening:
        async with connect(url_of(listening, scheme="wss"), ssl=trusted, proxy=None) as ours:
            await battery(ours)
    path = str(tmp_path / "socket")
    async with unix_serve(echo, path), their_client.unix_connect(path) as ws:
        await battery(ws)
    async with their_server.unix_serve(echo, path), unix_connect(path) as ours:
        await battery(ours)


def test_a_program_for_websockets_changes_its_import_and_nothing_else() -> None:
    program = HERE.joinpath("websockets_program.py").read_text()
    for package in ("websockets", "wsabi"):
        if package == "websockets":
            peer("websockets")
        told: list[str] = []
        exec(compile(program.replace("websockets", package), package, "exec"), {"print": told.append, "__name__": "program"})
        assert told == ["Hello world!", "2 clients", "chat", "received 1000 (OK)", "401", "done"], package


def test_functions_methods_and_defaults_are_those_of_websockets() -> None:
    their_client, their_server = peer("websockets.asyncio.client"), peer("websockets.asyncio.server")
    # The same, by our own means.
    ours_alone = {"self", "user_agent_header", "server_header", "process_exception", "reconnect_delays"}
    for theirs, ours in ((their_client.connect.__init__, client.connect.__init__), (their_server.serve, server.serve)):
        mine = inspect.signature(ours).parameters
        for each in inspect.signature(theirs).parameters.values():
            assert each.name in mine, f"{each.name} is missing"
            if each.name not in ours_alone:
                assert (mine[each.name].default, mine[each.name].kind) == (each.default, each.kind), each.name
    for kind, methods in (
        ("ClientConnection", "recv recv_streaming send close wait_closed ping pong"),
        ("ServerConnection", "recv recv_streaming send close wait_closed ping pong respond"),
        ("Server", "close wait_closed get_loop is_serving start_serving serve_forever connections sockets"),
    ):
        for name in methods.split():
            value = getattr(getattr(their_client, kind, None) or getattr(their_server, kind), name)
            mine_ = getattr(getattr(client, kind, None) or getattr(server, kind), name)
            if callable(value):
                assert list(inspect.signature(value).parameters) == list(inspect.signature(mine_).parameters), name


# aiohttp


@run
async def test_the_client_of_aiohttp_and_our_server() -> None:
    aiohttp = peer("aiohttp")
    for compress in (0, 15):
        async with serving() as url, aiohttp.ClientSession() as session:
            async with session.ws_connect(url, compress=compress, max_msg_size=0) as ws:
                for message in MESSAGES:
                    await (ws.send_str if isinstance(message, str) else ws.send_bytes)(message)
                    assert (await ws.receive()).data == message
                await ws.ping(b"there?")
                await ws.close(code=3001, message=b"enough")
                assert ws.close_code == 3001


@run
async def test_our_client_and_the_server_of_aiohttp() -> None:
    aiohttp, web = peer("aiohttp"), peer("aiohttp.web")

    async def handler(request: Any) -> Any:
        ws = web.WebSocketResponse(protocols=["chat"], max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            if message.type == aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type == aiohttp.WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    url = url_of(site._server)
    for compression in (None, "deflate"):
        async with connect(url, compression=compression, subprotocols=["chat"], proxy=None) as ws:
            assert ws.subprotocol == "chat"
            await battery(ws)
        assert ws.close_code == 1000
    await runner.cleanup()


# uvicorn


@run
async def test_our_client_and_an_application_on_uvicorn() -> None:
    uvicorn = peer("uvicorn")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") == "close":
                await send({"type": "websocket.close", "code": 3003, "reason": "as asked"})
                return
            name = "text" if event.get("text") is not None else "bytes"
            await send({"type": "websocket.send", name: event[name]})

    config = uvicorn.Config(application, "localhost", 0, log_level="error", lifespan="off", ws="websockets-sansio")
    running = uvicorn.Server(config)
    ended = asyncio.ensure_future(running._serve())
    while not running.started:
        await asyncio.sleep(0.01)
    url = "ws://localhost:%d/" % running.servers[0].sockets[0].getsockname()[1]
    for compression in (None, "deflate"):
        async with connect(url, compression=compression, subprotocols=["chat"], proxy=None) as ws:
            assert ws.subprotocol == "chat"
            await battery(ws)
            await ws.send("close")
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd == (3003, "as asked")
    running.should_exit = True
    await ended


# uvloop


def test_all_of_this_on_uvloop() -> None:
    uvloop = peer("uvloop")

    async def main() -> None:
        assert "uvloop" in type(asyncio.get_running_loop()).__module__
        async with serving() as url, connect(url, proxy=None) as ws:
            await battery(ws)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.recv(), 0.01)
            await ws.close(3000, "enough")
            with pytest.raises(ConnectionClosed):
                await ws.send("too late")

    loop = uvloop.new_event_loop()
    loop.run_until_complete(asyncio.wait_for(main(), 20))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


# Chromium


@run
async def test_a_page_in_chromium_and_the_server_that_it_came_from() -> None:
    report: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with page_server(report) as url, chromium(url):
        results = await asyncio.wait_for(report, 25)
    assert len(results) >= 14
    assert [text for text, ok in results if not ok] == []


@contextlib.asynccontextmanager
async def page_server(report: asyncio.Future[Any]) -> AsyncIterator[str]:
    """One server for the page and for the WebSocket that it opens."""
    page = HERE.joinpath("page.html").read_bytes()

    async def process_request(connection: ServerConnection, request: Request) -> Any:
        if request.path == "/done":
            await asyncio.wait([report])
            return connection.respond(204, "")
        if request.path == "/":
            return Response(200, "OK", Headers({"Content-Type": "text/html", "Content-Length": str(len(page))}), page)
        return None if request.path in ("/echo", "/report") else connection.respond(404, "not here\n")

    async def handler(websocket: ServerConnection) -> None:
        if websocket.request is not None and websocket.request.path == "/report":
            report.set_result(json.loads(await websocket.recv()))
        with contextlib.suppress(ConnectionClosed):
            await echo(websocket)

    async with serve(handler, "127.0.0.1", 0, subprotocols=["chat"], process_request=process_request) as listening:
        yield "http://127.0.0.1:%d/" % listening.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def chromium(url: str, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A headless Chromium that shows this page, and is gone with the block."""
    program = shutil.which("chromium-headless-shell")
    if program is None:
        missing("chromium-headless-shell is not installed")
    assert program is not None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
    lenient = {"ignore_cleanup_errors": True} if sys.version_info >= (3, 10) else {}  # its children may still be going
    with tempfile.TemporaryDirectory(**lenient) as home:
        process = await asyncio.create_subprocess_exec(
            program,
            *flags,
            *options,
            "--user-data-dir=" + home,
            url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
            await asyncio.sleep(0.1)


async def screenshot(path: str) -> None:
    """Takes the picture in docs/: `python tests/python/test_asyncio_peers.py docs/python-chromium.png`."""
    report: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    options = (f"--screenshot={path}", "--window-size=760,620", "--hide-scrollbars")
    async with page_server(report) as url, chromium(url, *options) as process:
        await asyncio.wait_for(process.wait(), 25)


if __name__ == "__main__":
    asyncio.run(screenshot(sys.argv[1]))
