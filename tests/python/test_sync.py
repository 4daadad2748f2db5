"""wsabi.sync against itself: messages, threads, timeouts, signals, the end, and what a server may decide."""

from __future__ import annotations

import base64
import contextlib
import gc
import http.client
import itertools
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import echo, run_python

import wsabi
from wsabi import exceptions
from wsabi.sync import connect, serve, unix_connect, unix_serve
from wsabi.sync.connection import Connection, broadcast


def test_a_program_of_ten_lines(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
        ws.send(b"\x00\xff")
        assert ws.recv() == b"\x00\xff"
    assert ws.close_code == 1000 and ws.state == wsabi.State.CLOSED
    with pytest.raises(exceptions.ConnectionClosedOK):
        ws.recv()
    with pytest.raises(exceptions.ConnectionClosedOK):
        ws.send("late")
    ws.close()


def test_iterating_ends_with_the_connection_and_raises_where_that_fails(serving: Any) -> None:
    def handler(ws: Any) -> None:
        for word in ("one", "two"):
            ws.send(word)
        if ws.request.path == "/fail":
            ws.close(1011, "no good")

    _, url = serving(handler)
    with connect(url) as ws:
        assert list(ws) == ["one", "two"]
    with connect(url + "fail") as ws, pytest.raises(exceptions.ConnectionClosedError) as caught:
        list(ws)
    assert (caught.value.code, caught.value.reason, caught.value.rcvd) == (1011, "no good", (1011, "no good"))


def test_text_and_binary_can_be_taken_for_each_other(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        ws.send("grüße", text=False)
        assert ws.recv() == "grüße".encode()
        ws.send("grüße".encode(), text=True)
        assert ws.recv() == "grüße"
        ws.send("grüße")
        assert ws.recv(decode=False) == "grüße".encode()
        ws.send("grüße".encode())
        assert ws.recv(decode=True) == "grüße"
        with pytest.raises(exceptions.InvalidUTF8):
            ws.send(b"\xff", text=True)
        for none in (1, None, {"a": 1}):
            with pytest.raises(TypeError):
                ws.send(none)
        with pytest.raises(BufferError):
            ws.send(memoryview(b"abcd")[::2])


def test_fragments_go_out_one_by_one_and_arrive_as_one_message(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        ws.send(word for word in ("a", "b", "c"))
        assert ws.recv() == "abc"
        ws.send([b"a", bytearray(b"b"), memoryview(b"c")])
        assert ws.recv() == b"abc"
        ws.send([])
        with pytest.raises(TypeError):
            ws.send(["a", b"b"])
        with pytest.raises(exceptions.ConnectionClosed):
            ws.recv()
    assert ws.close_exc.sent is not None


def test_a_message_of_any_size_in_parts_into_a_buffer_or_as_a_view(serving: Any) -> None:
    _, url = serving(echo, max_size=None)
    with connect(url, max_size=None) as ws:
        data = bytes(range(256)) * 4000
        ws.send(data)
        ws.send("behind")
        parts = list(ws.recv_streaming())
        assert b"".join(parts) == data and len(parts) > 1  # type: ignore[arg-type]
        assert ws.recv(timeout=5) == "behind"
        ws.send(data)
        room = bytearray(len(data) - 1)
        with pytest.raises(ValueError):
            ws.recv_into(room, timeout=5)
        assert ws.recv_into(bytearray(len(data)), timeout=5) == len(data)
        ws.send("view")
        with ws.recv_view(timeout=5) as view:
            assert view == b"view"
        ws.send("slice")
        part = ws.recv_view(timeout=5)[1:3]
        ws.send("next")
        with pytest.raises(BufferError):
            ws.recv(timeout=5)
        part.release()
        assert ws.recv(timeout=5) == "next"
        with pytest.raises(TimeoutError):
            ws.recv_view(timeout=0.01)
        with pytest.raises(TimeoutError):
            ws.recv_into(room, timeout=0)


def test_a_view_is_released_by_the_next_receive_or_by_its_block(serving: Any) -> None:
    def answer(ws: Any) -> None:
        for message in ws:
            ws.send(message)
            if message == "ping me":
                pinged.append(ws.ping().wait(5))

    pinged: list[bool] = []
    _, url = serving(answer)
    with connect(url) as ws:
        ws.send("view")
        view = ws.recv_view(timeout=5)
        assert view == b"view" and view.readonly
        ws.send("next")
        assert not ws.ping().wait(0.1) and view == b"view"  # only a receive takes it back
        assert ws.recv(timeout=5) == "next"
        with pytest.raises(ValueError, match="released"):
            view[0]
        ws.send("ping me")
        with ws.recv_view(timeout=5) as view:
            assert view == b"ping me"
        deadline = time.monotonic() + 5
        while not pinged and time.monotonic() < deadline:
            time.sleep(0.05)
        assert pinged == [True]  # it is not lent any more, so that the connection is looked after


@pytest.mark.parametrize("how", ["recv_view", "recv_into"])
def test_every_receive_ends_in_time_where_another_thread_reads(silent: str, how: str) -> None:
    with connect(silent, ping_interval=None, close_timeout=0.1) as ws:
        waiting = threading.Thread(target=ws.wait_closed, args=(2,))
        waiting.start()
        time.sleep(0.1)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ws.recv_view(timeout=0.2) if how == "recv_view" else ws.recv_into(bytearray(10), timeout=0.2)
        assert 0.1 < time.monotonic() - began < 1
        waiting.join(5)


@pytest.mark.parametrize("streaming", [False, True])
def test_bytes_that_are_not_the_text_they_were_taken_for_end_the_connection(serving: Any, streaming: bool) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        ws.send(b"ab\xffc")
        with pytest.raises(exceptions.ConnectionClosedError, match="byte 0xff in position 2") as caught:
            list(ws.recv_streaming(decode=True)) if streaming else ws.recv(timeout=5, decode=True)
        assert caught.value.sent == (1007, "invalid start byte at position 2") and ws.state == wsabi.State.CLOSED
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)


def test_bytes_taken_for_text_in_parts_may_be_cut_anywhere(serving: Any) -> None:
    _, url = serving(echo, max_size=None, compression=None)
    word = "aé€😀" * 100_000
    with connect(url, max_size=None, compression=None) as ws:
        ws.send(word.encode())
        parts = list(ws.recv_streaming(decode=True))
        assert "".join(parts) == word and len(parts) > 1  # type: ignore[arg-type]
        ws.send("é".encode()[:1])
        with pytest.raises(exceptions.ConnectionClosedError):
            list(ws.recv_streaming(decode=True))


def test_pings_are_answered_and_timed(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        first, second = ws.ping(b"one"), ws.ping("two")
        assert second.wait(5) and first.is_set()
        assert 0 < ws.latency < 5
        with pytest.raises(exceptions.ConcurrencyError):
            ws.ping(b"three"), ws.ping(b"three")
        with pytest.raises(ValueError):
            ws.ping(b"x" * 126)
        ws.pong(b"unasked")
        ws.send("still here")
        assert ws.recv() == "still here"


def test_pings_are_answered_and_the_end_is_seen_while_nobody_receives(serving: Any) -> None:
    pinged: list[bool] = []

    def handler(ws: Any) -> None:
        pinged.append(ws.ping().wait(5))
        ws.close(1001, "bye")

    _, url = serving(handler)
    with connect(url) as ws:
        deadline = time.monotonic() + 5
        while ws.state != wsabi.State.CLOSED and time.monotonic() < deadline:
            time.sleep(0.05)
        assert pinged == [True] and ws.close_code == 1001 and ws.close_reason == "bye"


def test_four_threads_on_one_connection_lose_nothing(serving: Any) -> None:
    _, url = serving(echo, max_queue=None)
    count = 500
    with connect(url, ping_interval=0.02) as ws:
        got: list[Any] = []

        def send(name: int) -> None:
            for number in range(count):
                ws.send(f"{name}:{number}" + "x" * (number % 3000))
                if number % 50 == 0:
                    ws.ping()

        def receive() -> None:
            while len(got) < 3 * count:
                got.append(ws.recv(timeout=30))

        threads = [threading.Thread(target=send, args=(name,)) for name in range(3)]
        threads.append(threading.Thread(target=receive))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        words = [str(word).rstrip("x").split(":") for word in got]
        for name in range(3):
            assert [int(number) for which, number in words if which == str(name)] == list(range(count))


def test_what_nobody_receives_waits_with_its_sender(serving: Any) -> None:
    sent = [0]

    def flood(ws: Any) -> None:
        try:
            for _ in range(2000):
                ws.send(b"x" * 100_000, timeout=0.01)
                sent[0] += 1
        except TimeoutError:
            pass

    _, url = serving(flood, compression=None)
    with connect(url, max_queue=4, compression=None) as ws:
        deadline = time.monotonic() + 20
        before = -1
        while sent[0] != before and time.monotonic() < deadline:
            before = sent[0]
            time.sleep(0.5)
        assert sent[0] < 1000 and len(ws._queue) < 4 + 24 + 1
        for _ in range(sent[0]):
            assert len(ws.recv(timeout=5)) == 100_000


def test_what_nobody_receives_waits_with_its_sender_whatever_is_waited_for(serving: Any) -> None:
    def flood(ws: Any) -> None:
        try:
            for number in itertools.count():
                ws.send(f"{number:1000}")
        except exceptions.ConnectionClosed:
            pass

    _, url = serving(flood, compression=None)
    with connect(url, max_queue=4, compression=None) as ws:
        used = time.thread_time()
        assert not ws.wait_closed(0.5)
        assert not ws.ping().wait(0.5)
        assert len(ws._queue) < 4 + 24 + 1
        assert time.thread_time() - used < 0.3  # it waits, and does not ask again and again
        waiting = threading.Thread(target=ws.wait_closed)
        waiting.start()
        assert [int(ws.recv(timeout=5)) for _ in range(3000)] == list(range(3000))
        began = time.monotonic()
        ws.close()
        waiting.join(5)
        assert not waiting.is_alive() and time.monotonic() - began < 5
    assert isinstance(ws.close_exc, exceptions.ConnectionClosedOK) and len(ws._queue) < 4 + 24 + 1


def test_a_second_receiver_is_refused(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        waiting = threading.Thread(target=lambda: ws.recv(timeout=5))
        waiting.start()
        time.sleep(0.1)
        with pytest.raises(exceptions.ConcurrencyError):
            ws.recv()
        ws.send("over")
        waiting.join(5)
        assert not waiting.is_alive()


def test_closing_in_one_thread_ends_the_wait_of_another(serving: Any) -> None:
    _, url = serving(echo)
    ended: list[type] = []

    def receive() -> None:
        try:
            ws.recv()
        except exceptions.ConnectionClosed as error:
            ended.append(type(error))

    with connect(url) as ws:
        waiting = threading.Thread(target=receive)
        waiting.start()
        time.sleep(0.1)
        ws.close()
        waiting.join(5)
    assert ended == [exceptions.ConnectionClosedOK]


def test_every_wait_ends_in_time(serving: Any) -> None:
    _, url = serving(lambda ws: ws.recv(), close_timeout=0.3)
    began = time.monotonic()
    with connect(url) as ws:
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.2)
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0)
        assert not ws.wait_closed(0.1)
    black_hole = socket.create_server(("127.0.0.1", 0))
    with black_hole:
        port = black_hole.getsockname()[1]
        with pytest.raises(TimeoutError):
            connect(f"ws://127.0.0.1:{port}/", open_timeout=0.3)
        with pytest.raises(TimeoutError):
            connect(f"wss://127.0.0.1:{port}/", open_timeout=0.3)
        with pytest.raises(TimeoutError):
            connect(f"wss://127.0.0.1:{port}/", open_timeout=0.3, ssl=ssl.create_default_context())
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("tls", ["python", "library"])
def test_deadlines_run_over_tls_too(serving: Any, certificate: Any, tls: str) -> None:
    chain, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    ours: Any = ssl.create_default_context(cafile=str(chain)) if tls == "python" else wsabi.TLS(roots=chain.read_bytes())
    done = threading.Event()

    def silence() -> None:
        stream, _ = listener.accept()
        with stream, context.wrap_socket(stream, server_side=True) as secured:
            secured.recv(65536)
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=silence)
        thread.start()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connect(f"wss://localhost:{listener.getsockname()[1]}/", ssl=ours, open_timeout=0.5)
        assert 0.4 < time.monotonic() - began < 5
        done.set()
        thread.join(10)
    # Nobody answers this end's Pings: the server's handler keeps its thread, and the keeper is too slow for these times.
    _, url = serving(lambda ws: time.sleep(1.5), ssl=context, name="localhost", ping_interval=None)
    with connect(url, ssl=ours, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.1) as ws:
        with pytest.raises(exceptions.ConnectionClosedError) as caught:
            ws.recv(timeout=5)
        assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that does the opening handshake, and nothing else."""
    from wsabi.protocol import ServerProtocol

    accepted: list[socket.socket] = []

    def answer() -> None:
        stream, _ = listener.accept()
        accepted.append(stream)
        protocol = ServerProtocol()
        while not protocol.opened:
            protocol.receive_data(stream.recv(65536))
            protocol.events_received()
        stream.sendall(protocol.data_to_send())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(5)
        for stream in accepted:
            stream.close()


def test_a_peer_that_takes_nothing_holds_nobody_up_for_longer_than_was_said(silent: str) -> None:
    with connect(silent, close_timeout=0.3, compression=None) as ws:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            for _ in range(100):
                ws.send(b"x" * 1_000_000, timeout=0.05)
        assert time.monotonic() - began < 20
        began = time.monotonic()
        ws.close()
        assert time.monotonic() - began < 5
    assert isinstance(ws.close_exc, exceptions.ConnectionClosedError)


def test_a_peer_that_answers_no_ping_is_given_up(silent: str) -> None:
    with connect(silent, ping_interval=0.1, ping_timeout=0.1, close_timeout=0.1) as ws:
        with pytest.raises(exceptions.ConnectionClosedError) as caught:
            ws.recv(timeout=10)
        assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("what", ["recv", "connect", "close", "serve", "send", "ping"])
def test_control_c_ends_every_wait(what: str) -> None:
    script = f"""
import socket, sys, threading
from wsabi.sync import connect, serve
from wsabi.protocol import ServerProtocol
what = {what!r}
listener = socket.create_server(("127.0.0.1", 0))
url = f"ws://127.0.0.1:{{listener.getsockname()[1]}}/"
def answer():
    stream, _ = listener.accept()
    protocol = ServerProtocol()
    while not protocol.opened:
        protocol.receive_data(stream.recv(65536)); protocol.events_received()
    stream.sendall(protocol.data_to_send())
    threading.Event().wait()
if what != "connect":
    threading.Thread(target=answer, daemon=True).start()
def ready():
    print("ready", flush=True)
try:
    if what == "connect":
        ready(); connect(url, open_timeout=None, proxy=None)
    elif what == "serve":
        with serve(lambda ws: ws.recv(), "127.0.0.1", 0) as server:
            ready(); server.serve_forever()
    else:
        ws = connect(url, ping_interval=None, close_timeout=None, compression=None, proxy=None)
        ready()
        if what == "recv": ws.recv()
        if what == "close": ws.close()
        if what == "ping": ws.ping().wait()
        while what == "send": ws.send(b"x" * 1000000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
import os
os._exit(0)
"""
    program = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.5)
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        try:
            out, words = program.communicate(timeout=10)
        finally:
            program.kill()
        assert out == "interrupted\n", words
        assert time.monotonic() - began < 2


def test_subprotocols_headers_and_addresses(serving: Any) -> None:
    seen: list[Any] = []

    def handler(ws: Any) -> None:
        seen.append((ws.subprotocol, ws.request.path, ws.request.headers["X-Mine"], ws.request.headers.get("Origin")))
        echo(ws)

    _, url = serving(handler, subprotocols=["chat", "superchat"], server_header="mine/1.0")
    with connect(
        url + "room?x=1",
        subprotocols=["superchat", "chat"],
        additional_headers={"X-Mine": "yes"},
        origin="https://example.com",
        user_agent_header=None,
    ) as ws:
        assert ws.subprotocol == "chat"
        assert ws.response is not None and ws.response.headers["Server"] == "mine/1.0"
        assert ws.local_address[0] == ws.remote_address[0] == "127.0.0.1"
    assert seen == [("chat", "/room?x=1", "yes", "https://example.com")]
    _, url = serving(echo, subprotocols=["a", "b"], select_subprotocol=lambda ws, offered: offered[-1])
    with connect(url, subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"


def test_a_server_may_refuse(serving: Any, caplog: Any) -> None:
    def decide(ws: Any, request: Any) -> Any:
        if request.path == "/broken":
            raise RuntimeError("a bug")
        return ws.respond(404, "not here\n") if request.path == "/no" else None

    _, url = serving(echo, process_request=decide, origins=["https://good.example", re.compile(r"https://.*\.org"), None])
    with connect(url) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
    with connect(url, origin="https://very.org"):
        pass
    for path, options, status, words in (
        ("no", {}, 404, b"not here\n"),
        ("broken", {}, 500, b""),
        ("", {"origin": "https://evil.example"}, 403, b"origin"),
    ):
        with pytest.raises(exceptions.InvalidStatus) as caught:
            connect(url + path, **options)  # type: ignore[arg-type]
        assert caught.value.status == status and words in caught.value.body
        assert caught.value.response.status_code == status
    caplog.clear()


@pytest.mark.parametrize("secure", [False, True])
def test_a_process_request_may_answer_200_to_599_and_all_else_is_500(
    serving: Any, secure: bool, certificate: tuple[Path, Path]
) -> None:
    from wsabi.http import Headers, Response

    def decide(ws: Any, request: Any) -> Any:
        word = request.path.strip("/")
        if word == "nothing":
            return None
        if word == "text":
            return "well"
        if word == "smuggled":
            return Response(200, "OK", Headers([("X", "a\r\nb: c")]), b"well")
        return Response(int(word), "", Headers([("Content-Length", "99"), ("X", "y")]), b"well\n")

    chain, key = (path.read_bytes() for path in certificate)
    _, url = serving(echo, process_request=decide, ssl=wsabi.TLS(chain=chain, key=key) if secure else None)
    host, port = "127.0.0.1", int(url.rstrip("/").rpartition(":")[2])

    def ask(path: str, method: str = "GET") -> tuple[int, bytes, Any]:
        if secure:
            context = ssl.create_default_context(cadata=chain.decode())
            asking: Any = http.client.HTTPSConnection(host, port, timeout=10, context=context)
        else:
            asking = http.client.HTTPConnection(host, port, timeout=10)
        with contextlib.closing(asking):
            asking.request(method, path)
            answer = asking.getresponse()
            return answer.status, answer.read(), answer.headers

    options: dict[str, Any] = {"ssl": wsabi.TLS(roots=chain)} if secure else {}
    for status in (200, 299, 302, 404, 599):
        code, body, headers = ask(f"/{status}")
        assert (code, body, headers["X"], headers["Connection"]) == (status, b"well\n", "y", "close")
        if status != 302:
            with pytest.raises(exceptions.InvalidStatus) as caught:
                connect(url + str(status), **options)
            assert (caught.value.status, caught.value.body) == (status, b"well\n")
    assert ask("/200", "HEAD")[:2] == (200, b"") and ask("/204")[:2] == (204, b"")
    for word in ("100", "101", "199", "600", "0", "text", "smuggled"):
        assert ask("/" + word)[:2] == (500, b"Internal server error.\n"), word
        with pytest.raises(exceptions.InvalidStatus) as caught:
            connect(url + word, **options)
        assert caught.value.status == 500
    code, body, headers = ask("/nothing")
    assert (code, headers["Upgrade"]) == (426, "websocket") and b"Upgrade" in body
    assert headers["Server"].startswith("Python/")
    with connect(url + "nothing", **options) as ws:
        ws.send("hello")
        assert ws.recv(timeout=5) == "hello"
    _, url = serving(echo)
    assert http_status(url) == 426


def http_status(url: str) -> int:
    asking = http.client.HTTPConnection(url.rstrip("/").partition("://")[2], timeout=10)
    with contextlib.closing(asking):
        asking.request("GET", "/")
        return asking.getresponse().status


def test_a_name_and_a_password(serving: Any) -> None:
    from wsabi.sync import basic_auth

    def name(ws: Any) -> None:
        ws.send(ws.username)

    _, url = serving(name, process_request=basic_auth("here", [("me", "secret"), ("you", "öffentlich")]))
    for user, words, right in (("me", "secret", True), ("you", "öffentlich", True), ("me", "öffentlich", False)):
        encoded = base64.b64encode(f"{user}:{words}".encode()).decode()
        if right:
            with connect(url, additional_headers={"Authorization": f"Basic {encoded}"}) as ws:
                assert ws.recv(timeout=5) == user
        else:
            with pytest.raises(exceptions.InvalidStatus) as caught:
                connect(url, additional_headers={"Authorization": f"Basic {encoded}"})
    with connect(url.replace("://", "://me:secret@")) as ws:
        assert ws.recv(timeout=5) == "me"
    with pytest.raises(exceptions.InvalidURI):
        connect(url.replace("://", "://me@"))
    with pytest.raises(exceptions.InvalidStatus) as caught:
        connect(url)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == 'Basic realm="here", charset="UTF-8"'
    with pytest.raises(ValueError):
        basic_auth("here")


def test_one_message_to_all(serving: Any, caplog: Any) -> None:
    from wsabi.sync import broadcast

    server, url = serving(echo)
    connections = [connect(url) for _ in range(3)]
    for ws in connections:
        ws.send("here")
        ws.recv(timeout=5)
    broadcast(server.connections, "to all")
    broadcast(server.connections, b"bytes")
    for ws in connections:
        assert (ws.recv(timeout=5), ws.recv(timeout=5)) == ("to all", b"bytes")
    connections[0].close()
    broadcast(connections, "from here")
    assert [ws.recv(timeout=5) for ws in connections[1:]] == ["from here"] * 2
    connections[1]._link.write_fragment(1, "half", False)
    with caplog.at_level(logging.WARNING):
        broadcast(connections, "skipped")
    assert "skipped broadcast" in caplog.text
    with pytest.raises(Exception, match="fragments|broadcast"):
        broadcast(connections, "skipped", raise_exceptions=True)
    for ws in connections:
        ws.close()


def test_redirects_are_followed_and_not_for_ever() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    asked: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            with stream:
                asked.append(stream.recv(65536).split(b"\r\n")[0])
                stream.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    with pytest.raises(exceptions.HandshakeError, match="more than 10 redirects"):
        connect(f"ws://{place}/first")
    assert asked[:2] == [b"GET /first HTTP/1.1", b"GET /next HTTP/1.1"] and len(asked) == 10
    listener.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts sockets, and has no such numbers")
def test_a_server_accepts_by_a_descriptor_over_1023() -> None:
    script = """if True:
        import resource, os, socket, threading
        from wsabi.sync import connect, serve
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        for options in ({}, {"sock": socket.create_server(("127.0.0.1", 0))}):
            server = serve(lambda ws: ws.send("hello"), "127.0.0.1" if not options else None, 0, **options)
            assert server.fileno() > 1023
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            with connect(f"ws://127.0.0.1:{server.port}/", open_timeout=5) as ws:
                print(ws.recv(timeout=5))
            server.shutdown()
            thread.join(5)
    """
    done = run_python(script)
    assert (done.returncode, done.stdout) == (0, "hello\nhello\n"), done.stderr


def test_what_cannot_be_connected_to(serving: Any) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    with pytest.raises(ConnectionRefusedError):
        connect(f"ws://127.0.0.1:{port}/")
    for uri in (f"ws://127.0.0.1:{port}/#f", "ws://h/#f", "ws://h:0/", "ws://.0/"):
        for options in ({}, {"source_address": ("127.0.0.1", 0)}):  # over the library's socket, and over one of Python's
            with pytest.raises(exceptions.InvalidURI):
                connect(uri, **options)
    for uri in ("http://127.0.0.1/", "ws://[::1/", "ws://a\0b/", "ws:///", "ws://127.0.0.1:99999/", "ws://a b/", "ws://a\nb/"):
        with pytest.raises(exceptions.InvalidURI):
            connect(uri)
    with pytest.raises(exceptions.InvalidProxy):
        connect("ws://127.0.0.1/", proxy="gopher://127.0.0.1/")
    with pytest.raises(OSError):
        connect(f"ws://127.0.0.1:{port}/", proxy=f"http://127.0.0.1:{port}")
    with pytest.raises(ValueError):
        connect(f"ws://127.0.0.1:{port}/", ssl=ssl.create_default_context())


def test_a_url_in_any_script_is_converted(serving: Any) -> None:
    def handler(ws: Any) -> None:
        ws.send(ws.request.path + " " + ws.request.headers["Host"].partition(":")[0])

    _, url = serving(handler)
    place = url.replace("127.0.0.1", "\uff11\uff12\uff17.1")
    assert place != url
    for options in ({}, {"source_address": ("127.0.0.1", 0)}):  # over the library's socket, and over one of Python's
        with connect(place + '\xe4 |^?\xf6=\xfc&ids[]=1&q={"a":1}', **options) as ws:
            path, host = ws.recv(timeout=5).split()
            assert path.startswith("/%C3%A4%20|") and path.endswith("?%C3%B6=%C3%BC&ids[]=1&q={%22a%22:1}")
            assert host == "127.0.0.1"


def test_limits_close_with_1009(serving: Any) -> None:
    _, url = serving(echo, max_size=1000)
    with connect(url, max_size=None) as ws:
        ws.send(b"x" * 1001)
        with pytest.raises(exceptions.ConnectionClosedError) as caught:
            ws.recv(timeout=5)
        assert caught.value.code == 1009


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_the_limit_for_what_is_received_is_none_for_what_is_sent(serving: Any, compression: Any) -> None:
    sizes: list[int] = []
    _, url = serving(lambda ws: sizes.extend(len(message) for message in ws), max_size=None, compression=compression)
    with connect(url, max_size=(1000, 500), compression=compression) as ws:
        ws.send(b"x" * 1001)
        ws.send(["x" * 1001, "x" * 1001])
        broadcast([ws], b"x" * 1001)
        with pytest.raises(ValueError):
            ws.ping(b"x" * 126)
    with connect(url, compression=compression, options={wsabi.Option.MAX_SENT_SIZE: 1000}) as ws:
        with pytest.raises(exceptions.PayloadTooBig):
            ws.send(b"x" * 1001)
        ws.send(b"x" * 1000)
    deadline = time.monotonic() + 5
    while len(sizes) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sizes == [1001, 2002, 1001, 1000]


def test_a_handler_that_fails_closes_with_1011(serving: Any, caplog: Any) -> None:
    def handler(ws: Any) -> None:
        raise RuntimeError("a bug of the handler")

    _, url = serving(handler)
    with caplog.at_level(logging.ERROR), connect(url) as ws, pytest.raises(exceptions.ConnectionClosedError) as caught:
        ws.recv(timeout=5)
    assert caught.value.code == 1011
    deadline = time.monotonic() + 5
    while "connection handler failed" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "connection handler failed" in caplog.text


def test_shutting_down_closes_with_1001_and_waits_for_the_handlers() -> None:
    done: list[bool] = []

    def handler(ws: Any) -> None:
        echo(ws)
        done.append(True)

    server = serve(handler, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with connect(f"ws://127.0.0.1:{server.port}/") as ws:
        ws.send("here")
        ws.recv()
        assert len(server.connections) == 1
        closer = threading.Thread(target=server.shutdown)
        closer.start()
        with pytest.raises(exceptions.ConnectionClosedOK) as caught:
            ws.recv(timeout=5)
        assert caught.value.code == 1001
        closer.join(5)
        thread.join(5)
    assert done == [True] and not thread.is_alive() and not closer.is_alive()
    server.shutdown()
    with pytest.raises(OSError):
        connect(f"ws://127.0.0.1:{server.port}/")


def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "ws.sock")
    with unix_serve(echo, path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with unix_connect(path) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
        with connect(f"ws+unix://{path}:/chat") as ws:
            ws.send("hello")
            assert ws.recv() == "hello"


def test_serving_at_a_unix_socket_deletes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "ws.sock"
    path.write_text("dear")
    with pytest.raises(OSError):
        unix_serve(echo, str(path))
    assert path.read_text() == "dear"
    path.rename(tmp_path / "other")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        unix_serve(echo, str(path))
    assert path.is_symlink() and path.read_text() == "dear"
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    unix_serve(echo, str(path)).shutdown()


def test_a_socket_of_the_callers(serving: Any) -> None:
    server, url = serving(echo)
    with socket.create_connection(("127.0.0.1", server.port)) as sock, connect(url, sock=sock) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
    with connect(url, source_address=("127.0.0.1", 0)) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


@pytest.mark.parametrize("ours", ["python", "library"])
@pytest.mark.parametrize("theirs", ["python", "library"])
def test_tls_by_python_and_by_the_library(serving: Any, certificate: Any, ours: str, theirs: str) -> None:
    chain, key = certificate
    if theirs == "python":
        server_tls: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_tls.load_cert_chain(chain, key)
    else:
        server_tls = wsabi.TLS(chain=chain.read_bytes(), key=key.read_bytes())
    if ours == "python":
        tls: Any = ssl.create_default_context(cafile=str(chain))
    else:
        tls = wsabi.TLS(roots=chain.read_bytes())
    _, url = serving(echo, ssl=server_tls, name="localhost")
    with connect(url, ssl=tls) as ws:
        for size in (1, 125, 70_000, 1_000_000):
            ws.send(b"x" * size)
            assert ws.recv(timeout=10) == b"x" * size
        threads = [threading.Thread(target=ws.send, args=(bytes([name]) * 100_000,)) for name in range(4)]
        for thread in threads:
            thread.start()
        assert sorted(ws.recv(timeout=10)[0] for _ in threads) == [0, 1, 2, 3]
        assert ws.ping().wait(5)
        began = time.monotonic()
    assert ws.close_code == 1000 and time.monotonic() - began < 0.4
    with pytest.raises((exceptions.TLSError, ssl.SSLError)):
        connect(url, ssl=wsabi.TLS() if ours == "library" else ssl.create_default_context())


def test_nothing_is_sent_beside_the_end_of_tls_or_after_it(certificate: Any) -> None:
    from wsabi._handle import TEXT, Config, Handle
    from wsabi._link import TLSLink
    from wsabi._tables import Role

    closing, closed = threading.Event(), threading.Event()
    beside: list[str] = []

    class Watched(ssl.SSLSocket):
        def unwrap(self) -> socket.socket:
            closing.set()
            time.sleep(0.2)
            plain = super().unwrap()
            closed.set()
            time.sleep(0.2)
            return plain

        def send(self, data: Any, flags: int = 0) -> int:
            if closing.is_set():
                beside.append("after" if closed.is_set() else "beside")
            return super().send(data, flags)

    chain, key = certificate
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(chain, key)
    ours = ssl.create_default_context(cafile=str(chain))
    ours.sslsocket_class = Watched
    rest: list[bytes] = []

    def answer() -> None:
        with theirs.wrap_socket(one, server_side=True) as secured:
            plain = secured.unwrap()  # its end first, so that the other end is plain as soon as it says its own
            rest.append(plain.recv(65536))
            plain.close()

    one, other = socket.socketpair()
    peer = threading.Thread(target=answer)
    peer.start()
    sock = ours.wrap_socket(other, server_hostname="localhost")
    link = TLSLink(Handle.resume(Config(), Role.CLIENT), sock)

    def write() -> None:
        closing.wait(5)
        for _ in range(50):
            link.write(TEXT, "secret")
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.1)
    link.close()
    for thread in (writer, peer):
        thread.join(5)
        assert not thread.is_alive()
    assert (beside, rest, closed.is_set()) == ([], [b""], True)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """The URL of an HTTP proxy that wants a password, and the heads of what it has been asked."""
    asked: list[bytes] = []

    def carry(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve_one(stream: socket.socket) -> None:
        with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(65536)
            asked.append(head)
            if b"Basic bWU6c2VjcmV0" not in head:
                stream.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=carry, args=(server, stream))
                back.start()
                carry(stream, server)
                back.join(10)

    def accept() -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=(stream,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("tls", [None, "python", "library"])
def test_an_http_proxy(serving: Any, certificate: Any, proxy: Any, tls: Any, monkeypatch: Any) -> None:
    place, asked = proxy
    chain, key = certificate
    context: Any = None
    server_tls: Any = None
    if tls is not None:
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_tls.load_cert_chain(chain, key)
        context = (
            ssl.create_default_context(cafile=str(chain)) if tls == "python" else wsabi.TLS(roots=chain.read_bytes())
        )
    _, url = serving(echo, ssl=server_tls, name="localhost")
    with connect(url, ssl=context, proxy=f"http://me:secret@{place}") as ws:
        ws.send("through")
        assert ws.recv(timeout=5) == "through"
    assert len(asked) == 1 and asked[0].startswith(b"CONNECT localhost:")
    monkeypatch.setenv("https_proxy" if tls else "http_proxy", f"http://me:secret@{place}")
    with connect(url, ssl=context):
        assert len(asked) == 2
    monkeypatch.setenv("no_proxy", "localhost")
    with connect(url, ssl=context), connect(url, ssl=context, proxy=None):
        assert len(asked) == 2
    with pytest.raises(exceptions.ProxyError):
        connect(url, ssl=context, proxy=f"http://me:wrong@{place}")


def test_a_connection_that_is_forgotten_is_warned_of_and_closed(serving: Any) -> None:
    _, url = serving(echo)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ws = connect(url)
        fileno = ws.fileno()
        socket_there = os.fstat(fileno).st_ino
        del ws
        deadline = time.monotonic() + 5
        while not caught and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.05)
        assert [each.category for each in caught] == [ResourceWarning]
        caught.clear()  # the warning has the connection as its source

    def is_open() -> bool:
        try:
            return os.fstat(fileno).st_ino == socket_there  # the number may be another's by now
        except OSError:
            return False

    while is_open() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert not is_open()


def test_a_closed_connection_has_given_its_socket_back(serving: Any) -> None:
    _, url = serving(echo)
    with connect(url) as ws:
        fileno = ws.fileno()
        os.fstat(fileno)
    assert ws.fileno() == -1
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.fstat(fileno)
        except OSError:
            break
        if not os.readlink(f"/proc/self/fd/{fileno}").startswith("socket"):
            break
        time.sleep(0.05)
    else:
        pytest.fail("it is still open")


def test_a_program_may_end_with_everything_open() -> None:
    script = """
import threading, warnings
from wsabi.sync import connect, serve
warnings.simplefilter("ignore", ResourceWarning)
def handler(ws):
    for message in ws: ws.send(message)
server = serve(handler, "127.0.0.1", 0)
threading.Thread(target=server.serve_forever, daemon=True).start()
connections = [connect(f"ws://127.0.0.1:{server.port}/") for _ in range(5)]
threading.Thread(target=connections[0].recv, daemon=True).start()
connections[1].send("x" * 100000)
print("end")
"""
    for _ in range(3):
        done = run_python(script)
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
        assert "Fatal" not in done.stderr and "Traceback" not in done.stderr


def test_a_hundred_connections_at_once(serving: Any) -> None:
    server, url = serving(echo)
    connections: list[Connection] = [connect(url) for _ in range(100)]
    for number, ws in enumerate(connections):
        ws.send(str(number))
    for number, ws in enumerate(connections):
        assert ws.recv(timeout=10) == str(number)
    assert len(server.connections) == 100
    for ws in connections:
        ws.close()


FORKS = """
import gc, os, socket, ssl, sys, threading
from wsabi import TLS
from wsabi.sync import connect, serve

kind, chain, key = sys.argv[1:]
def echo(ws):
    for message in ws:
        ws.send(message)

options, more, scheme = {}, {}, "ws"
if kind == "context":
    options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    options["ssl"].load_cert_chain(chain, key)
    more["ssl"], scheme = ssl.create_default_context(cafile=chain), "wss"
server = serve(echo, "127.0.0.1", 0, **options)
threading.Thread(target=server.serve_forever, daemon=True).start()
if kind == "socket":
    more["sock"] = socket.create_connection(("127.0.0.1", server.port))
ws = connect(f"{scheme}://127.0.0.1:{server.port}/", **more)
ws.send("before")
for ending in "collected", "ended":
    child = os.fork()
    if child == 0:
        if ending == "collected":
            ws._over = True  # no warning that it was not closed
            ws._link.close()
            ws = more = None
            gc.collect()
            os._exit(0)
        ws._over = True
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert ws.recv() == "before"
ws.send("after")
assert ws.recv() == "after"
ws.close()
assert ws.close_code == 1000
server.shutdown()
"""


@pytest.mark.parametrize("kind", ["library", "socket", "context"])
def test_a_forked_child_that_ends_leaves_the_connections_of_its_parent_alone(kind: str, certificate: Any) -> None:
    done = run_python(FORKS, kind, *map(str, certificate))
    assert done.returncode == 0, done.stderr


# What the environment says, a host (of which nothing can be reached but the proxy), and whether the proxy is asked.
PROXIES = [
    ("ws", {"http_proxy": "http://PLACE"}, "a.test", True),
    ("ws", {"HTTP_PROXY": "http://PLACE"}, "127.0.0.1", False),  # a header of a CGI program's client
    ("ws", {"https_proxy": "http://PLACE"}, "127.0.0.1", False),
    ("ws", {"http_proxy": "PLACE"}, "a.test", True),
    ("ws", {"all_proxy": "http://PLACE/"}, "a.test", True),
    ("ws", {"ALL_PROXY": "me:secret@PLACE"}, "a.test", True),
    ("wss", {"https_proxy": "http://PLACE"}, "a.test", True),
    ("wss", {"HTTPS_PROXY": "http://PLACE"}, "a.test", True),
    ("wss", {"http_proxy": "http://PLACE"}, "127.0.0.1", False),
    ("wss", {"all_proxy": "PLACE", "https_proxy": " "}, "a.test", True),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "127.0.0.0/8"}, "127.0.0.1", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "127.0.1.0/24"}, "127.0.0.1", True),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "*.localhost"}, "localhost", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "a.test, .localhost"}, "localhost", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "host"}, "localhost", True),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "localhost."}, "localhost", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "localhost"}, "localhost.", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "[::1]"}, "[::1]", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "::1"}, "[::1]", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "localhost:1"}, "localhost", False),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "localhost:2"}, "localhost", True),
    ("wss", {"all_proxy": "PLACE", "no_proxy": "x", "NO_PROXY": "*"}, "a.test", True),
    ("wss", {"all_proxy": "PLACE", "NO_PROXY": "*"}, "127.0.0.1", False),
]


@pytest.mark.parametrize("way", ["library", "python", "asyncio"])
def test_the_proxy_of_the_environment_is_the_same_one_for_all(monkeypatch: Any, way: str) -> None:
    import asyncio

    from wsabi.asyncio import connect as connect_soon

    asked: list[bytes] = []

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                asked.append(conn.recv(4096))

    def attempt(url: str) -> None:
        if way == "asyncio":
            asyncio.run(connect_soon(url).__aenter__())
        elif way == "library":
            connect(url)
        elif url.startswith("wss"):
            connect(url, ssl=ssl.create_default_context())
        else:
            connect(url, source_address=("127.0.0.1", 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        for scheme, variables, host, expected in PROXIES:
            asked.clear()
            with monkeypatch.context() as environment:
                for name, value in variables.items():
                    environment.setenv(name, value.replace("PLACE", place))
                with pytest.raises((OSError, exceptions.ProxyError)):
                    attempt(f"{scheme}://{host}:1/")
            assert [head.split()[0] for head in asked] == [b"CONNECT"] * expected, (scheme, variables, host)
        monkeypatch.setenv("all_proxy", "https://me:secret@proxy.test")
        with pytest.raises(exceptions.InvalidProxy, match="all_proxy .*requires TLS") as refused:
            attempt("wss://a.test/")
        assert "secret" not in str(refused.value)
        listener.shutdown(socket.SHUT_RDWR)
