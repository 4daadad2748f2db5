"""Runs tests/conformance/cases.txt through wsabi.protocol. It knows the steps, and which exception stands for which status."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Optional, Union

from wsabi import exceptions
from wsabi._tables import Kind, Option
from wsabi.protocol import ClientProtocol, Close, Ping, Pong, Protocol, ServerProtocol

CASES = Path(__file__).resolve().parent.parent / "conformance" / "cases.txt"

# The more particular ones first.
STATUSES = (
    (exceptions.SendQueueFull, "SEND_QUEUE_FULL"),
    (exceptions.ConnectionClosed, "CONNECTION_CLOSED"),
    (exceptions.HandshakeError, "HANDSHAKE"),
    (exceptions.PayloadTooBig, "CAPACITY"),
    (exceptions.InvalidUTF8, "UTF8"),
    (exceptions.ProtocolError, "PROTOCOL"),
    (exceptions.InvalidState, "MISUSE"),
    (ValueError, "INVALID_ARGUMENT"),
)
PREPARES = ("option", "protocol", "header")
TEXT = (Kind.TEXT, Kind.CLOSE)


def main() -> int:
    failed = passed = 0
    for name, steps in read(CASES.read_text(encoding="utf-8")):
        world = World()
        try:
            for step in steps:
                world.do(step)
            world.end()
            passed += 1
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {step}: {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


def read(script: str) -> list[tuple[str, list[str]]]:
    """The cases: their names and steps."""
    cases: list[tuple[str, list[str]]] = []
    for line in script.splitlines():
        if line.startswith("case "):
            cases.append((line[5:], []))
        elif line and not line.startswith("#"):
            cases[-1][1].append(line)
    return cases


class World:
    """Two connections, and who carries the bytes."""

    def __init__(self) -> None:
        self.options: dict[str, dict[Option, int]] = {"client": {}, "server": {}}
        self.protocols: dict[str, list[str]] = {"client": [], "server": []}
        self.headers: dict[str, list[tuple[str, str]]] = {"client": [], "server": []}
        self.ends: dict[str, Protocol] = {}
        self.messages: dict[str, list[object]] = {"client": [], "server": []}
        self.told: set[str] = set()  # that the stream has ended
        self.failures: set[str] = set()
        self.size = 0

    def do(self, step: str) -> None:
        verb, *words = step.split(" ")
        if verb not in PREPARES and not self.ends:
            self.make()
        getattr(self, f"do_{verb}")(*words)

    def end(self) -> None:
        for name, end in self.ends.items():
            if end.failure is not None and name not in self.failures and end.handshake_exc is None:
                raise AssertionError(f"the {name} has failed: {end.failure}")

    def make(self) -> None:
        self.ends["client"] = ClientProtocol(
            "ws://127.0.0.1/",
            compression=None,
            max_size=None,
            subprotocols=self.protocols["client"],
            additional_headers=self.headers["client"],
            options=self.options["client"],
        )
        self.ends["server"] = ServerProtocol(
            compression=None,
            max_size=None,
            subprotocols=self.protocols["server"],
            additional_headers=self.headers["server"],
            options=self.options["server"],
        )

    def do_option(self, end: str, option: str, number: str) -> None:
        self.options[end][Option[option]] = int(number)

    def do_protocol(self, end: str, name: str) -> None:
        self.protocols[end].append(name)

    def do_header(self, end: str, name: str, value: str) -> None:
        self.headers[end].append((name, value))

    def do_open(self) -> None:
        self.do_pass()
        for name, end in self.ends.items():
            assert end.opened, f"the {name} is not open: {end.handshake_exc}"

    def do_refuse(self, status: str, body: str) -> None:
        self.do_pass()
        client, server = self.ends["client"], self.ends["server"]
        assert isinstance(server, ServerProtocol) and server.request is not None, "there is no request"
        server.reject(int(status), payload(body))
        self.do_pass()
        error = client.handshake_exc
        assert isinstance(error, exceptions.HandshakeError), f"the client has {error!r}"
        assert (error.status, error.body) == (int(status), payload(body)), f"{error.status}, {error.body!r}"

    def do_send(self, end: str, kind: str, data: str, status: str = "OK") -> None:
        number, bytes_ = Kind[kind.upper()], payload(data)
        self.expect(status, lambda: self.ends[end].send(number, bytes_))

    def do_fragment(self, end: str, kind: str, data: str, last: str, status: str = "OK") -> None:
        number, bytes_ = Kind[kind.upper()], payload(data)
        self.expect(status, lambda: self.ends[end].send_fragment(number, bytes_, last == "last"))

    def do_close(self, end: str, code: str, reason: str, status: str = "OK") -> None:
        # A str that is not UTF-8 cannot be had in Python but by a lone surrogate, which str.encode() refuses itself.
        words = payload(reason).decode("utf-8", "surrogateescape")
        self.expect(status, lambda: self.ends[end].send_close(int(code) or None, words))

    def do_set(self, end: str, option: str, number: str, status: str = "OK") -> None:
        self.expect(status, lambda: self.ends[end].handle.set(Option[option], int(number)))

    def do_feed(self, end: str, bytes_: str) -> None:
        self.ends[end].receive_data(bytes.fromhex(bytes_))
        self.take(end)

    def do_hangup(self, end: str) -> None:
        self.told.add(end)
        self.ends[end].receive_eof()
        self.take(end)

    def do_cut(self, number: str) -> None:
        self.size = int(number)

    def do_pass(self) -> None:
        moving = True
        while moving:
            moving = False
            for end, peer in (("client", "server"), ("server", "client")):
                data = self.ends[end].data_to_send()
                size = self.size or len(data)
                for at in range(0, len(data), size or 1):
                    self.ends[peer].receive_data(data[at : at + size])
                    self.take(peer)
                    moving = True
                if self.ends[end].closed and not data and peer not in self.told:
                    self.do_hangup(peer)
                    moving = True

    def do_got(self, end: str, kind: str, *words: str) -> None:
        assert self.messages[end], "nothing has come"
        message = self.messages[end].pop(0)
        code = int(words[0]) if kind == "close" else 0
        assert of(message)[:2] == (kind, code), f"{kind_of(message)} has come: {str(message)[:60]}"
        wanted = words[-1]
        assert wanted == "?" or of(message)[2] == payload(wanted), f"another payload: {str(message)[:60]!r}"

    def do_nothing(self, end: str) -> None:
        assert not self.messages[end], f"it has read {str(self.messages[end])[:60]}"

    def do_fails(self, end: str, status: str) -> None:
        self.failures.add(end)
        assert status_of(self.ends[end].failure) == status, f"{self.ends[end].failure!r}"

    def do_over(self, end: str, code: str) -> None:
        protocol = self.ends[end]
        assert protocol.closed, "it is not over"
        assert protocol.close_code == int(code), f"the code is {protocol.close_code}"

    def do_agreed(self, end: str, name: str) -> None:
        subprotocol = self.ends[end].subprotocol
        assert subprotocol == (None if name == "-" else name), f"it is {subprotocol}"

    def do_heard(self, end: str, name: str, value: str) -> None:
        heard = self.ends[end].handle.headers().get(name)
        assert heard == value, f"it is {heard}"

    def do_deflated(self, end: str, number: str) -> None:
        assert self.ends[end].handle.get(Option.DEFLATE) == int(number)

    def take(self, end: str) -> None:
        events = self.ends[end].events_received()
        self.messages[end] += [event for event in events if isinstance(event, MESSAGES)]

    def expect(self, status: str, call: object) -> None:
        error: Optional[BaseException] = None
        try:
            call()  # type: ignore[operator]
        except Exception as raised:
            error = raised
        assert status_of(error) == status, f"{error!r}"


from wsabi.protocol import Part  # noqa: E402

MESSAGES = (str, bytes, Part, Ping, Pong, Close)


def status_of(error: Optional[BaseException]) -> str:
    if error is None:
        return "OK"
    for kind, name in STATUSES:
        if isinstance(error, kind):
            return "UTF8" if isinstance(error, UnicodeError) else name
    return repr(error)


def of(message: object) -> tuple[str, int, bytes]:
    """Kind, code and payload of a message."""
    if isinstance(message, Part):
        message = message.data
    kind = kind_of(message)
    if isinstance(message, Close):
        return kind, message.code, message.reason.encode()
    data: Union[str, bytes] = message.payload if isinstance(message, (Ping, Pong)) else message  # type: ignore[assignment]
    return kind, 0, data.encode() if isinstance(data, str) else data


def kind_of(message: object) -> str:
    names = {str: "text", bytes: "binary", Ping: "ping", Pong: "pong", Close: "close"}
    return names[type(message.data if isinstance(message, Part) else message)]


def payload(word: str) -> bytes:
    if word == "-":
        return b""
    if word.startswith("hex:"):
        return bytes.fromhex(word[4:])
    many = re.fullmatch(r"(.)\*(\d+)", word)
    return many[1].encode() * int(many[2]) if many else word.encode()


if __name__ == "__main__":
    sys.exit(main())
