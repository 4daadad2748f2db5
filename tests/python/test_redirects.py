"""Redirects, in both faces: a Location is joined to the URL, never edited, and takes secrets to nobody else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import wsabi.asyncio
import wsabi.sync
from wsabi import exceptions

SECRET = "Basic " + base64.b64encode(b"me:secret").decode()


@contextlib.contextmanager
def answering(target: Callable[[str], str]) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A server that sends /go to `target(its own place)`, and answers all else with 403; its place, and what it was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    asked: list[tuple[str, dict[str, str]]] = []

    def answer() -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            with stream:
                first, *lines = stream.recv(65536).decode().split("\r\n")
                path = first.split()[1]
                asked.append((path, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}))
                line = f"302 Found\r\nLocation: {target(place)}" if path.startswith("/go") else "403 Forbidden"
                stream.sendall(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield place, asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def by_sync(uri: str, **options: Any) -> None:
    wsabi.sync.connect(uri, proxy=None, open_timeout=5, **options).close()


def by_python(uri: str, **options: Any) -> None:
    wsabi.sync.connect(uri, proxy=None, open_timeout=5, source_address=("127.0.0.1", 0), **options).close()


def by_asyncio(uri: str, **options: Any) -> None:
    async def main() -> None:
        await wsabi.asyncio.connect(uri, proxy=None, open_timeout=5, **options)

    asyncio.run(main())


FACES = [by_sync, by_python, by_asyncio]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("location", "path", "kept"),
    [
        ("/news?x=ws", "/news?x=ws", True),
        ("b", "/b", True),
        ("?q", "/go?q", True),
        ("/a#fragment", "/a", True),
        ("/a b", "/a%20b", True),
        ("http://{}/ws-http", "/ws-http", False),
        ("WS://{}/up", "/up", False),
    ],
)
def test_a_redirect_leads_to_where_it_says_and_keeps_the_urls_credentials(
    face: Any, location: str, path: str, kept: bool
) -> None:
    if path == "/go?q":
        with answering(lambda place: "/go") as (place, asked), pytest.raises(exceptions.HandshakeError, match="redirects"):
            face(f"WS://{place}/go")
        return
    with answering(location.format) as (place, asked):
        for scheme in ("ws", "WS"):
            with pytest.raises(exceptions.InvalidStatus) as caught:
                face(f"{scheme}://me:secret@{place}/go")
            assert caught.value.status == 403
            (first, head), (second, then) = asked
            assert (first, head["authorization"], second, then["host"]) == ("/go", SECRET, path, place)
            # As with websockets: those of a URL are those of a URL that is joined to it.
            assert then.get("authorization") == (SECRET if kept else None)
            asked.clear()


@pytest.mark.parametrize("face", FACES)
def test_a_redirect_takes_no_secret_to_another_server(face: Any) -> None:
    with answering(str) as (there, asked), answering(lambda _: f"ws://{there}/stolen") as (place, _):
        with pytest.raises(exceptions.InvalidStatus):
            face(f"ws://me:secret@{place}/go", additional_headers={"Cookie": "a=b", "Authorization": "c", "X-Mine": "d"})
        ((path, head),) = asked
        assert path == "/stolen" and head["x-mine"] == "d"
        assert "authorization" not in head and "cookie" not in head


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("location", ["ftp://{}/", "file:///etc/passwd", "javascript:alert(1)", "ws://", "ws://a\tb:x/"])
def test_a_redirect_to_no_websocket_is_no_uri(face: Any, location: str) -> None:
    with answering(location.format) as (place, asked), pytest.raises((exceptions.InvalidURI, exceptions.HandshakeError)):
        face(f"ws://{place}/go")
    assert len(asked) == 1
