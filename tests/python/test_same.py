"""One program, run under `websockets` and under wsabi: what it returns or raises has to be the same.

A program gets the modules of one package and returns what there is to compare. `outcome()` makes a pair of an exception.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import struct
import threading
from types import SimpleNamespace
from typing import Any, Callable

import pytest


def package(name: str) -> SimpleNamespace:
    load = importlib.import_module
    return SimpleNamespace(
        client=load(f"{name}.sync.client"),
        server=load(f"{name}.sync.server"),
        aclient=load(f"{name}.asyncio.client"),
        aserver=load(f"{name}.asyncio.server"),
        exceptions=load(f"{name}.exceptions"),
        data=load("websockets.datastructures" if name == "websockets" else "wsabi.http"),
        frames=load("websockets.frames" if name == "websockets" else "wsabi.exceptions"),
    )


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


def same(program: Callable[[SimpleNamespace], Any]) -> Any:
    """Runs it under both, compares, and gives what came out."""
    theirs, ours = program(package("websockets")), program(package("wsabi"))
    assert ours == theirs
    return ours


def test_headers() -> None:
    def program(p: SimpleNamespace) -> Any:
        headers = p.data.Headers([("X-A", "1"), ("x-a", "2"), ("B", "3")])
        copy = headers.copy()
        del copy["X-A"]
        copy.set_insecure("C", "\xe9")
        cleared = headers.copy()
        cleared.clear()
        return [
            str(headers),
            repr(headers),
            copy.serialize(),
            headers["b"],
            outcome(lambda: headers["X-A"]),
            outcome(lambda: headers.get("x-a")),
            outcome(lambda: headers["Z"])[0],
            headers.get_all("x-A"),
            list(headers),
            len(headers),
            list(headers.raw_items()),
            headers == p.data.Headers([("x-A", "1"), ("b", "3"), ("x-a", "2")]),
            headers == copy,
            len(cleared),
            issubclass(p.data.MultipleValuesError, LookupError),
        ]

    assert same(program)[4] == ("MultipleValuesError", "'X-A'")


def test_the_text_of_an_end_names_its_codes() -> None:
    def program(p: SimpleNamespace) -> Any:
        codes = [*range(1000, 1016), 2000, 3000, 3999, 4000, 4999]
        texts = [str(p.frames.Close(code, reason)) for code in codes for reason in ("", "why")]
        one, other = p.frames.Close(1001, "bye"), p.frames.Close(4000, "")
        closed = p.exceptions.ConnectionClosedError
        ends = [closed(one, other, True), closed(one, other, False), closed(one, None), closed(None, other), closed(None, None)]
        return texts, [str(end) for end in ends]

    same(program)


def test_a_second_receiver_gets_a_runtime_error() -> None:
    same(lambda p: issubclass(p.exceptions.ConcurrencyError, RuntimeError))


def with_sync_server(p: SimpleNamespace, handler: Any, use: Callable[[str], Any], **options: Any) -> Any:
    with p.server.serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            return use("ws://127.0.0.1:%d/" % server.socket.getsockname()[1])
        finally:
            server.shutdown()
            thread.join(10)


def test_a_refusal_says_its_status_and_its_words() -> None:
    def program(p: SimpleNamespace) -> Any:
        def use(url: str) -> Any:
            with pytest.raises(p.exceptions.InvalidStatus) as caught:
                p.client.connect(url, proxy=None)
            response = caught.value.response
            return response.status_code, response.reason_phrase, response.body, "HTTP 403" in str(caught.value)

        def no(connection: Any, request: Any) -> Any:
            return connection.respond(403, "no\n")

        return with_sync_server(p, lambda ws: None, use, process_request=no)

    assert same(program) == (403, "Forbidden", b"no\n", True)


@pytest.mark.parametrize("face", ["sync", "asyncio"])
def test_a_select_subprotocol_that_fails_is_500(face: str) -> None:
    def fail(connection: Any, offered: Any) -> Any:
        raise KeyError("mine")

    def refused(p: SimpleNamespace, url: str) -> Any:
        with pytest.raises(p.exceptions.InvalidStatus) as caught:
            p.client.connect(url, subprotocols=["a"], proxy=None, open_timeout=5)
        return caught.value.response.status_code

    def program(p: SimpleNamespace) -> Any:
        if face == "sync":
            options = {"subprotocols": ["a"], "select_subprotocol": fail}
            return with_sync_server(p, lambda ws: None, lambda url: refused(p, url), **options)

        async def main() -> Any:
            async def handler(ws: Any) -> None:
                pass

            async with p.aserver.serve(handler, "127.0.0.1", 0, subprotocols=["a"], select_subprotocol=fail) as server:
                url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
                return await asyncio.get_running_loop().run_in_executor(None, refused, p, url)

        return asyncio.run(main())

    assert same(program) == 500


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("how", ["close", "with", "with an exception"])
def test_closing_where_the_peer_has_reset_is_quiet_and_hides_no_exception(how: str) -> None:
    def program(p: SimpleNamespace) -> Any:
        gone = threading.Event()

        listener = socket.create_server(("127.0.0.1", 0))

        def between() -> None:
            """Passes the handshake on, and then resets."""
            client, _ = listener.accept()
            with p.server.serve(lambda ws: ws.recv(), "127.0.0.1", 0) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                there = socket.create_connection(server.socket.getsockname())
                there.sendall(client.recv(65536))
                client.sendall(there.recv(65536))
                there.close()
                server.shutdown()
                thread.join(10)
            asked.wait(5)
            reset(client)
            gone.set()

        asked = threading.Event()
        thread = threading.Thread(target=between)
        thread.start()
        codes: list[Any] = []

        def use() -> Any:
            url = "ws://127.0.0.1:%d/" % listener.getsockname()[1]
            try:
                with p.client.connect(url, proxy=None, close_timeout=2) as ws:
                    asked.set()
                    gone.wait(10)
                    if how == "close":
                        ws.close()
                    elif how == "with an exception":
                        raise KeyError("the program's own")
            finally:
                codes.append(ws.close_code)

        result = outcome(use), codes
        thread.join(10)
        listener.close()
        return result

    assert same(program) == (("KeyError", '"the program\'s own"') if "exception" in how else None, [1006])


def test_a_cancelled_receiver_is_given_the_message_of_its_cancellation() -> None:
    def program(p: SimpleNamespace) -> Any:
        async def main() -> Any:
            async def handler(ws: Any) -> None:
                await ws.wait_closed()

            async with p.aserver.serve(handler, "127.0.0.1", 0) as server:
                url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
                async with p.aclient.connect(url, proxy=None) as ws:

                    async def first() -> Any:
                        async for message in ws:
                            return message

                    told = []
                    for receive in (ws.recv, first):
                        for message in ((), ("mine",)):
                            task = asyncio.ensure_future(receive())
                            await asyncio.sleep(0.01)
                            task.cancel(*message)
                            try:
                                await task
                            except asyncio.CancelledError as error:
                                told.append(error.args)
                    return told

        return asyncio.run(main())

    assert same(program) == [(), ("mine",)] * 2


def test_a_ping_of_what_is_no_bytes_is_a_type_error() -> None:
    def program(p: SimpleNamespace) -> Any:
        def use(url: str) -> Any:
            with p.client.connect(url, proxy=None) as ws:
                calls = [lambda bad=bad, call=call: call(bad) and None for call in (ws.ping, ws.pong) for bad in (5, [], {}, [b"x"], 1.5)]
                return [outcome(call) for call in calls]

        def handler(ws: Any) -> None:
            for _ in ws:
                pass

        async def by_asyncio(url: str) -> Any:
            async with p.aclient.connect(url, proxy=None) as ws:
                told = []
                for call in (ws.ping, ws.pong):
                    for bad in (5, [], {}, [b"x"], 1.5):
                        try:
                            told.append(await call(bad) and None)
                        except TypeError as error:
                            told.append((type(error).__name__, str(error)))
                return told

        return with_sync_server(p, handler, lambda url: (use(url), asyncio.run(by_asyncio(url))))

    assert same(program)[0] == [("TypeError", "data must be str or bytes-like")] * 10


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Sw"])
def test_iterating_over_connect_tries_again_where_the_server_closes_before_it_answers(said: bytes) -> None:
    def program(p: SimpleNamespace) -> Any:
        async def main() -> Any:
            asked = 0

            async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal asked
                asked += 1
                await reader.readuntil(b"\r\n\r\n")
                writer.write(said)
                writer.close()

            server = await asyncio.start_server(cut, "127.0.0.1", 0)
            url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]

            with pytest.raises(p.exceptions.InvalidHandshake) as caught:
                async with p.aclient.connect(url, proxy=None):
                    pass
            cause = type(caught.value.__cause__)

            async def again() -> None:
                async for _ in p.aclient.connect(url, proxy=None, reconnect_delays=lambda: iter([0.0] * 3)):
                    pass

            with pytest.raises(RuntimeError):  # there are no more delays
                await asyncio.wait_for(again(), 5)
            server.close()
            await server.wait_closed()
            return asked, cause

        return asyncio.run(main())

    assert same(program) == (5, EOFError)


@pytest.mark.parametrize("uri", [None, b"ws://127.0.0.1/"])
def test_a_url_that_is_no_str_is_an_invalid_uri(uri: Any) -> None:
    def program(p: SimpleNamespace) -> Any:
        async def main() -> None:
            await p.aclient.connect(uri, proxy=None)

        return outcome(lambda: asyncio.run(main()))[0], outcome(lambda: p.client.connect(uri, proxy=None))[0]

    assert same(program) == ("InvalidURI", "InvalidURI")


@pytest.mark.parametrize("face", ["sync", "asyncio"])
def test_a_server_logs_what_is_opened_rejected_and_closed(face: str, caplog: pytest.LogCaptureFixture) -> None:
    def decide(connection: Any, request: Any) -> Any:
        return connection.respond(404, "no\n") if request.path == "/no" else None

    def visit(p: SimpleNamespace, url: str) -> None:
        with p.client.connect(url, proxy=None) as ws:
            ws.recv()
        with pytest.raises(p.exceptions.InvalidStatus):
            p.client.connect(url + "no", origin="http://a", proxy=None)
        with pytest.raises(p.exceptions.InvalidStatus):
            p.client.connect(url, origin="http://evil", proxy=None)
        with p.client.connect(url, proxy=None) as ws:
            ws.recv()
            ws.close(4000)  # under a handler that waits for a message

    def by_sync(p: SimpleNamespace) -> None:
        def handler(ws: Any) -> None:
            ws.send("hello")
            ws.recv()

        with_sync_server(p, handler, lambda url: visit(p, url), process_request=decide, origins=[None, "http://a"])

    async def by_asyncio(p: SimpleNamespace) -> None:
        async def handler(ws: Any) -> None:
            await ws.send("hello")
            await ws.recv()

        async with p.aserver.serve(handler, "127.0.0.1", 0, process_request=decide, origins=[None, "http://a"]) as server:
            url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
            await asyncio.get_running_loop().run_in_executor(None, visit, p, url)

    def program(p: SimpleNamespace) -> Any:
        caplog.clear()
        with caplog.at_level("INFO"):
            by_sync(p) if face == "sync" else asyncio.run(by_asyncio(p))
        told = [(record.levelname, record.getMessage()) for record in caplog.records if ".server" in record.name]
        return sorted(each for each in told if each[1].startswith(("connection ", "HTTP ")))

    told = same(program)
    assert ("INFO", "HTTP response sent (404 Not Found)") in told and ("INFO", "connection rejected (403 Forbidden)") in told


def test_a_close_that_is_found_while_writing_was_paused_is_no_error_in_a_callback() -> None:
    def program(p: SimpleNamespace) -> Any:
        async def main() -> Any:
            faults: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))
            ended = asyncio.Event()

            async def handler(ws: Any) -> None:
                try:
                    while True:
                        await ws.send(b"x" * 100_000)
                except p.exceptions.ConnectionClosed:
                    ended.set()

            async with p.aserver.serve(handler, "127.0.0.1", 0, compression=None) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], limit=1024)
                key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"
                head = f"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n"
                writer.write(head.encode())
                await asyncio.sleep(0.1)
                writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
                await asyncio.sleep(0.1)
                while await reader.read(65536):
                    pass
                writer.close()
                await asyncio.wait_for(ended.wait(), 5)
            return faults

        return asyncio.run(main())

    assert same(program) == []
