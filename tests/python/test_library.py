"""Loading the library, the tables, exceptions and the handle class."""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import gc
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Optional

import pytest
from conftest import ROOT, run_python

from wsabi import exceptions
from wsabi._address import Address
from wsabi._handle import Config, Handle, Listener
from wsabi._library import LIBRARY, quick
from wsabi._tables import Kind, Option, Status
from wsabi.protocol import ClientProtocol, Close, Ping, Pong, Protocol, ServerProtocol


def pass_bytes(one: Protocol, other: Protocol) -> list[object]:
    data = one.data_to_send()
    if data:
        other.receive_data(data)
    return list(other.events_received())


def pair(**options: object) -> tuple[ClientProtocol, ServerProtocol]:
    client = ClientProtocol("ws://example.com/", **options)  # type: ignore[arg-type]
    server = ServerProtocol(**options)  # type: ignore[arg-type]
    pass_bytes(client, server)
    pass_bytes(server, client)
    assert client.opened and server.opened
    return client, server


def test_a_stale_table_is_found(tmp_path: Path) -> None:
    for part in ("bindings/generate.py", "include/wsabi.h", "bindings/python/src/wsabi/_tables.py"):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    check = [sys.executable, str(tmp_path / "bindings/generate.py"), "--check"]
    assert subprocess.run(check, timeout=60).returncode == 0
    header = tmp_path / "include/wsabi.h"
    header.write_text(header.read_text().replace("WS_OPT_TLS_VERIFY = 40", "WS_OPT_TLS_VERIFY = 41"))
    stale = subprocess.run(check, timeout=60, capture_output=True, text=True)
    assert stale.returncode == 1 and "_tables.py" in stale.stderr and "+    TLS_VERIFY = 41" in stale.stderr


def compiled(tmp_path: Path, source: str) -> str:
    library = tmp_path / "libother.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=source, text=True, check=True, timeout=60)
    return str(library)


def test_a_library_of_another_abi_is_refused_with_both_numbers(tmp_path: Path) -> None:
    library = compiled(tmp_path, "unsigned ws_abi_version(void) { return 77; }")
    done = run_python("import wsabi.protocol", WSABI_LIBRARY=library)
    assert "ImportError" in done.stderr and "version 77 of the wsabi ABI" in done.stderr and "version 1" in done.stderr


def test_a_library_that_lacks_a_function_or_is_none_is_refused(tmp_path: Path) -> None:
    library = compiled(tmp_path, "unsigned ws_abi_version(void) { return 1; }")
    assert "lacks ws_version_number" in run_python("import wsabi.protocol", WSABI_LIBRARY=library).stderr
    assert "ImportError" in run_python("import wsabi.protocol", WSABI_LIBRARY="/nowhere/libwsabi.so").stderr
    none = compiled(tmp_path, "int nothing;")
    assert "ImportError" in run_python("import wsabi.protocol", WSABI_LIBRARY=none).stderr


def test_the_library_is_the_one_that_was_named() -> None:
    script = "import wsabi._library as l; print(l.LIBRARY)"
    assert run_python(script, WSABI_LIBRARY=LIBRARY).stdout.strip() == LIBRARY


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_each_status_has_its_exception(status: Status) -> None:
    expected = {
        Status.ERR_WOULD_BLOCK: BlockingIOError,
        Status.ERR_IO: ConnectionResetError,
        Status.ERR_CAPACITY: exceptions.PayloadTooBig,
        Status.ERR_SEND_QUEUE_FULL: exceptions.SendQueueFull,
        Status.ERR_CONNECTION_CLOSED: exceptions.ConnectionClosedError,
        Status.ERR_ALREADY_CLOSED: exceptions.ConnectionClosedError,
        Status.ERR_PROTOCOL: exceptions.ProtocolError,
        Status.ERR_UTF8: exceptions.InvalidUTF8,
        Status.ERR_HANDSHAKE: exceptions.HandshakeError,
        Status.ERR_URL: exceptions.InvalidURI,
        Status.ERR_TLS: exceptions.TLSError,
        Status.ERR_TIMEOUT: TimeoutError,
        Status.ERR_PROXY: exceptions.ProxyError,
        Status.ERR_INVALID_ARGUMENT: ValueError,
        Status.ERR_MISUSE: exceptions.InvalidState,
        Status.ERR_NO_MEMORY: MemoryError,
        Status.ERR_INTERNAL: exceptions.InternalError,
        Status.ERR_UNSUPPORTED: NotImplementedError,
    }
    error = exceptions.from_status(status, "in words", errno.ECONNRESET)
    assert type(error) is expected[status]
    assert "in words" in str(error) or status == Status.ERR_URL
    assert str(exceptions.from_status(status))


def test_exceptions_have_one_base_and_the_words_of_python() -> None:
    for name in exceptions.__all__:
        kind = getattr(exceptions, name)
        assert name == "Close" or issubclass(kind, exceptions.WebSocketException)
    assert issubclass(exceptions.SendQueueFull, BlockingIOError)
    assert issubclass(exceptions.TLSError, OSError)
    assert issubclass(exceptions.ConnectionClosedOK, exceptions.ConnectionClosed)
    closed = exceptions.ConnectionClosedOK(Close(1001, "bye"), Close(1001), False)
    assert (closed.code, closed.reason, str(closed)) == (1001, "bye", "sent 1001 (going away); then received 1001 (going away) bye")
    assert exceptions.ConnectionClosedError(None, None).code == 1006


@pytest.mark.parametrize(
    "data",
    [
        b"abcd",
        bytearray(b"abcd"),
        memoryview(b"xabcdx")[1:5],
        memoryview(bytearray(b"abcd")),
        array.array("B", b"abcd"),
        array.array("H", b"abcd"),
        (ctypes.c_char * 4)(*b"abcd"),
        memoryview(array.array("I", b"abcd")),
    ],
    ids=repr,
)
def test_any_contiguous_buffer_goes_in_as_its_bytes(data: object) -> None:
    client, server = pair()
    client.send_binary(data)
    client.send_fragment(Kind.BINARY, data, True)
    client.send_text(data)
    assert pass_bytes(client, server) == [b"abcd", b"abcd", "abcd"]
    wire = server_bytes(b"abcd")
    client, server = pair(compression=None)
    client.receive_data(memoryview(wire))
    client.receive_data(bytearray(wire))
    assert client.events_received() == [b"abcd", b"abcd"]


def server_bytes(data: bytes) -> bytes:
    _, server = pair(compression=None)
    server.send_binary(data)
    return server.data_to_send()


def test_what_is_no_contiguous_buffer_is_refused_and_nothing_is_lost() -> None:
    client, server = pair()
    with pytest.raises(BufferError):
        client.send_binary(memoryview(b"abcdef")[::2])
    for none in (1, None, ["a"], {"a": 1}, object()):
        with pytest.raises(TypeError):
            client.send_binary(none)
    with pytest.raises(UnicodeEncodeError):
        client.send_text("\ud800")
    client.send_text("fine")
    assert pass_bytes(client, server) == ["fine"]


def test_a_buffer_is_given_back_after_the_call() -> None:
    client, _ = pair()
    data = bytearray(b"x" * 100_000)
    client.send_binary(data)
    data.clear()  # BufferError while it is exported
    assert data == b""


@pytest.mark.parametrize("size", [0, 1, 125, 126, 4095, 4096, 4097, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_of_any_size_arrive_in_any_pieces(size: int, compression: str) -> None:
    client, server = pair(compression=compression, max_size=None)
    data = bytes(i * i % 251 for i in range(size))
    for _ in range(3):
        client.send_binary(data)
        client.send_text("é" * (size // 2))
    wire = client.data_to_send()
    events: list[object] = []
    step = max(1, len(wire) // 7)
    for at in range(0, len(wire), step):
        server.receive_data(wire[at : at + step])
        events += server.events_received()
    assert events == [data, "é" * (size // 2)] * 3
    assert client.data_to_send() == b""


def test_more_than_there_is_room_for_is_fed_as_the_events_are_taken() -> None:
    client, server = pair(compression=None, max_size=None)
    data = b"x" * 100_000
    for _ in range(30):
        client.send_binary(data)
    server.receive_data(client.data_to_send())
    client.send_text("behind")
    server.receive_data(client.data_to_send())
    server.receive_eof()
    assert server.events_received() == [data] * 30 + ["behind"]
    assert server.closed and server.close_code == 1006


def test_the_answer_to_a_ping_tells_its_payload() -> None:
    client, server = pair(deliver_control=True)
    client.send_ping(b"now")
    assert pass_bytes(client, server) == [Ping(b"now")]
    assert pass_bytes(server, client) == [Pong(b"now")]


def test_keepalive_and_deadlines_run_on_the_clock_that_is_handed_in() -> None:
    client, server = pair(ping_interval=20, ping_timeout=5)
    client.tick(100.0)
    assert client.next_deadline is not None
    client.tick(client.next_deadline)
    ping = client.data_to_send()
    assert ping and ping[0] == 0x89
    assert client.next_deadline is not None
    client.tick(client.next_deadline + 10)
    client.events_received()
    assert client.failure is not None and isinstance(client.failure, TimeoutError)


def test_a_busy_connection_is_not_idle_where_the_clock_is_handed_in_before_the_bytes() -> None:
    client, server = pair(options={Option.IDLE_TIMEOUT_MS: 1000})
    client.tick(0)
    server.send_text("busy")
    client.tick(0.9)
    client.receive_data(server.data_to_send())
    client.events_received()
    client.tick(1.5)  # what came since the last time counts from now on
    assert client.failure is None and client.next_deadline == 2.5
    client.tick(2.4)
    assert client.failure is None
    client.tick(2.5)
    assert isinstance(client.failure, TimeoutError)


def test_a_view_lives_until_the_next_read() -> None:
    client, server = pair(compression=None)
    for word in ("one", "two", "three"):
        client.send_text(word)
    server.receive_data(client.data_to_send())
    handle = server.handle
    status, view = handle.read_view()
    assert status == 0 and isinstance(view, memoryview) and view.readonly and view == b"one"
    _, second = handle.read_view()
    assert second == b"two"
    with pytest.raises(ValueError):
        view[0]
    assert isinstance(second, memoryview)
    part = second[1:]
    with pytest.raises(BufferError):
        handle.read_view()
    assert part == b"wo"
    del part
    assert handle.read_view()[1] == b"three"


def test_a_view_keeps_its_connection_alive() -> None:
    client, server = pair(compression=None)
    client.send_binary(b"x" * 1000)
    server.receive_data(client.data_to_send())
    _, view = server.handle.read_view()
    del client, server
    gc.collect()
    assert view == b"x" * 1000


def test_reading_into_a_buffer() -> None:
    client, server = pair(compression=None)
    for word in (b"one", b"too long", b"two"):
        client.send_binary(word)
    server.receive_data(client.data_to_send())
    room = bytearray(5)
    assert server.handle.read_into(room) == (0, 3) and room[:3] == b"one"
    assert server.handle.read_into(room) == (0, b"too long")
    assert server.handle.read_into(array.array("H", [0, 0])) == (0, 3)
    with pytest.raises((TypeError, BufferError)):
        server.handle.read_into(b"read only")


def test_taking_what_cannot_be_taken_is_refused_and_gives_nothing_stale() -> None:
    client, server = pair(compression=None, options={Option.MAX_SEND_BYTES: 0})
    for size in (10, 100_000):
        client.send_binary(b"x" * size)
        address, client.handle._conn.value = client.handle._conn.value, None  # as it is once it has been freed
        with pytest.raises(ValueError):
            client.data_to_send()
        client.handle._conn.value = address
        server.receive_data(client.data_to_send())
        assert server.events_received() == [b"x" * size]


def test_arguments_that_cannot_be_are_refused() -> None:
    for options in (
        {"additional_headers": {"X": "a\nb"}},
        {"additional_headers": {"X": "a\0b"}},
        {"additional_headers": {"Sec-WebSocket-Key": "mine"}},
        {"subprotocols": ["not a token"]},
        {"compression": "brotli"},
        {"max_size": -1},
        {"options": {Option.DEFLATE_LEVEL: 10}},
        {"options": {Option.MAX_SEND_QUEUE: 2**64}},
    ):
        with pytest.raises(ValueError):
            ClientProtocol("ws://example.com/", **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ClientProtocol("ws://example.com/", subprotocols="chat")
    for uri in ("http://example.com/", "ws:///", "ws://example.com:99999/", "", "ws://a/\0b", "\ud800"):
        with pytest.raises(exceptions.InvalidURI):
            ClientProtocol(uri)


def test_what_is_refused_says_what_is_wrong_with_it() -> None:
    config = Config()
    for url, words in (
        ("http://example.com/", "scheme"),
        ("ws://example.com/#part", "fragment"),
        ("ws://me:secret@example.com/", "user name"),
        ("ws://example.com:0/", "port"),
    ):
        with pytest.raises(exceptions.InvalidURI, match=words):
            Handle.client(config, url)
    with pytest.raises(ValueError, match="no certificate"):
        config.set_tls_roots(b"garbage")
    with pytest.raises(ValueError, match="control characters"):
        config.add_header("a", "b\r\nc: d")
    with pytest.raises(exceptions.InvalidProxy, match="requires TLS"):
        config.set_proxy("https://proxy")
    with pytest.raises(exceptions.TLSError, match="certificate"):
        Listener(config, "wss://127.0.0.1:0/")


@pytest.mark.parametrize(
    "uri, without_user, host, port",
    [
        ("ws://h", "ws://h", "h", 80),
        ("WSS://H/?", "WSS://H/?", "h", 443),
        ("ws://me:secret@h/?", "ws://h/?", "h", 80),
        ("ws://m%40e:s%3a@h:1?", "ws://h:1?", "h", 1),
        ("ws://me:secret@[0::1]:9/a@b?c@d", "ws://[0::1]:9/a@b?c@d", "::1", 9),
        ("ws://127.1/", "ws://127.1/", "127.0.0.1", 80),
        ("ws://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/", None, "localhost", 80),
        ("wss://b\xfccher.example/\xe4?\xf6=\xfc", None, "xn--bcher-kva.example", 443),
        ("ws://h\\@x/", "ws://h\\@x/", "h", 80),
    ],
)
def test_a_url_leads_where_the_library_goes(uri: str, without_user: Optional[str], host: str, port: int) -> None:
    address = Address(uri)
    assert (address.uri, address.host, address.port) == (without_user or uri, host, port)
    assert (address.authorization is not None) == (":s" in uri)
    client = ClientProtocol(address.uri)
    assert f"\r\nHost: {'[' + host + ']' if ':' in host else host}".encode() in client.data_to_send()


@pytest.mark.parametrize("uri", ["ws://h/#f", "ws://h/#", "ws://h:0/", "ws://me:secret@h:0/", "ws://me:secret@/", "ws:h", "ws:///h",
                                 "ws://.0/", "ws://xn--a/", "ws://h/\n", "ws://h\n/", "ws://me@h/", "http://h/", "ws://\udc80/"])
def test_a_url_that_cannot_be_used_is_found_without_opening_anything(uri: str) -> None:
    with pytest.raises(exceptions.InvalidURI):
        Address(uri)


def test_a_refusal_tells_status_headers_and_body() -> None:
    client = ClientProtocol("ws://example.com/")
    client.receive_data(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nnope")
    client.events_received()
    error = client.handshake_exc
    assert isinstance(error, exceptions.InvalidStatus)
    assert (error.status, error.headers["www-authenticate"], error.body) == (401, "Basic", b"nope")
    assert error.response.status_code == 401
    assert "401" in str(error), "not what the end of the headers says"
    client = ClientProtocol("ws://example.com/")
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.events_received()
    assert isinstance(client.handshake_exc, exceptions.HandshakeError)


def test_a_full_queue_and_nothing_to_read_do_not_tell_an_older_failure() -> None:
    client, server = pair(options={Option.MAX_SEND_QUEUE: 1})
    for _ in range(2):
        with pytest.raises(ValueError):
            client.handle.set(Option.MAX_HEAD_SIZE, 1)
        assert "256" in client.handle.message()
        status = client.handle.read([])
        assert status == Status.ERR_WOULD_BLOCK and "256" not in str(client.handle.error(status))
    client.send_text("a")
    with pytest.raises(ValueError):
        client.handle.set(Option.MAX_HEAD_SIZE, 1)
    with pytest.raises(exceptions.SendQueueFull, match="the send queue is full"):
        client.send_text("b")


def test_handles_come_and_go_without_a_leak() -> None:
    def size() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * 4096

    def many() -> None:
        for _ in range(300):
            client, server = pair()
            client.send_binary(b"x" * 50_000)
            pass_bytes(client, server)

    many()
    gc.collect()
    before = size()
    many()
    many()
    gc.collect()
    assert size() - before < 20_000_000


def test_threads_on_one_protocol_do_not_crash() -> None:
    client, server = pair(compression=None, max_size=None, options={Option.MAX_SEND_QUEUE: 0})
    got: list[object] = []
    count = 100

    def send(name: int) -> None:
        for number in range(count):
            client.send_binary(bytes([name]) * (number * 50))

    def carry() -> None:
        data = client.data_to_send()
        if data:
            server.receive_data(data)
        got.extend(server.events_received())

    def read() -> None:
        for _ in range(count):
            got.extend(server.events_received())
            with contextlib.suppress(BufferError):
                server.handle.read_into(bytearray(1))

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        carry()
    for thread in threads:
        thread.join()
    carry()
    # Messages that two threads read arrive in either's hands; what has arrived is whole.
    assert all(isinstance(data, bytes) and len(set(data)) <= 1 for data in got)


def test_handles_that_are_left_at_the_end_of_the_program_do_no_harm() -> None:
    script = """
import wsabi.protocol, wsabi._handle
client = wsabi.protocol.ClientProtocol("ws://example.com/")
server = wsabi.protocol.ServerProtocol()
server.receive_data(client.data_to_send()); server.events_received()
client.receive_data(server.data_to_send()); client.events_received()
client.send_text("hello"); server.receive_data(client.data_to_send())
view = server.handle.read_view()[1]
client.me = client
config = wsabi._handle.Config()
class Late:
    def __del__(self, client=client):
        try: client.send_text("late")
        except ValueError: pass  # freed before, in whatever order the collector takes
        print("late")
late = Late()
"""
    done = run_python(script)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "late\n")


def test_the_generator_knows_every_function_of_the_library() -> None:
    names = {name for name in dir(quick) if name.startswith("ws_")}
    symbols = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, timeout=30).stdout
    assert {line.split()[-1] for line in symbols.splitlines() if " ws_" in line} == names
    assert Config().get(Option.MAX_FRAGMENTS) == 131072
    assert Handle.server(Config()).message() == ""
