"""`python -m wsabi URL`: talks to a WebSocket server from a terminal or a pipe.

Each line of the input is sent as a text message; received messages are printed. Messages go to standard output, everything else
to standard error. It knows wsabi.sync and terminals.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

from ._options import TLS
from .exceptions import ConnectionClosed, ConnectionClosedOK, WebSocketException
from .sync import ClientConnection, connect

PIECE = 64 * 1024
OFTEN = 0.1  # seconds between two looks of the progress bar
WIDTH = 30


def main(arguments: Optional[list[str]] = None) -> int:
    """Returns the exit status: 0 if the connection was closed normally."""
    options = parse(arguments)
    try:
        ws = open_connection(options)
    except (WebSocketException, OSError, ValueError) as error:
        tell(f"cannot connect: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    client = Client(ws, options)
    return client.run()


def parse(arguments: Optional[list[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wsabi", description="Talks to a WebSocket server.")
    parser.add_argument("url", help="ws://, wss:// or ws+unix://")
    parser.add_argument("--send", metavar="FILE", help="send this file as one binary message, then continue with the input")
    parser.add_argument("--save", metavar="FILE", help="write the next binary message to this file, and exit")
    parser.add_argument("--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header of the request")
    parser.add_argument("--subprotocol", metavar="NAME", action="append", help="offer this subprotocol; may be repeated")
    parser.add_argument("--origin", metavar="ORIGIN", help="the Origin of the request")
    parser.add_argument("--proxy", metavar="URL", help="http://, socks5:// or socks5h://; default: from the environment")
    parser.add_argument("--cacert", metavar="FILE", help="trust these certificates (PEM) instead of the system's")
    parser.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    parser.add_argument("--no-compression", action="store_true", help="do not offer permessage-deflate")
    parser.add_argument("--max-size", metavar="BYTES", type=int, default=0, help="maximum size of a message; default: no limit")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=10, help="time limit for the opening handshake (10)")
    return parser.parse_args(arguments)


def open_connection(options: argparse.Namespace) -> ClientConnection:
    headers = []
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise ValueError(f"not a header: {header!r}")
        headers.append((name.strip(), value.strip()))
    tls = None
    if options.cacert or options.insecure:
        roots = None
        if options.cacert:
            with open(options.cacert, "rb") as file:
                roots = file.read()
        tls = TLS(roots=roots, verify=not options.insecure)
    return connect(
        options.url,
        ssl=tls,
        additional_headers=headers,
        subprotocols=options.subprotocol,
        origin=options.origin,
        proxy=options.proxy or True,
        compression=None if options.no_compression else "deflate",
        max_size=options.max_size or None,
        open_timeout=options.timeout,
    )


class Client:
    """One thread receives, the main thread reads the input and sends."""

    def __init__(self, ws: ClientConnection, options: argparse.Namespace) -> None:
        self.ws = ws
        self.options = options
        self.prompting = sys.stdin.isatty() and sys.stderr.isatty()
        self.ended = threading.Event()
        self.failed = False
        self.wake_in, self.wake_out = socket.socketpair()

    def run(self) -> int:
        ws = self.ws
        agreed = f", subprotocol {ws.subprotocol}" if ws.subprotocol else ""
        tell(f"connected to {self.options.url}{agreed}")
        receiver = threading.Thread(target=self.receive, daemon=True)
        receiver.start()
        interrupted = False
        try:
            if self.options.send:
                self.send_file(self.options.send)
            if self.options.save:
                self.ended.wait()
            else:
                self.send_input()
        except KeyboardInterrupt:
            interrupted = True
        except ConnectionClosed:
            pass
        except OSError as error:
            self.failed = True
            tell(str(error))
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends the program at once
        ws.close()
        receiver.join(5)
        self.wake_in.close()
        self.wake_out.close()
        if self.prompting and not interrupted:
            tell("")
        closed = ws.close_exc
        tell(f"closed: {closed}")
        return 0 if isinstance(closed, ConnectionClosedOK) and not self.failed else 1

    def receive(self) -> None:
        try:
            if self.options.save:
                self.save_file(self.options.save)
                return
            for message in self.ws:
                self.show(message)
        except ConnectionClosed:
            pass
        except OSError as error:
            self.failed = True
            tell(str(error))
        finally:
            self.ended.set()
            try:
                self.wake_in.send(b"x")
            except OSError:
                pass

    def show(self, message: Any) -> None:
        if self.prompting:
            sys.stderr.write("\r\x1b[K")  # the prompt
            sys.stderr.flush()
        if isinstance(message, str):
            print(message, flush=True)
        else:
            words = message[:32].hex(" ")
            print(f"[{len(message)} bytes: {words}{' ...' if len(message) > 32 else ''}]", flush=True)
        self.prompt()

    def prompt(self) -> None:
        if self.prompting:
            sys.stderr.write("> ")
            sys.stderr.flush()

    def send_input(self) -> None:
        """Sends the lines of the input, until its end or the end of the connection."""
        self.prompt()
        for line in self.lines():
            self.ws.send(line)
            self.prompt()

    def lines(self) -> Iterator[str]:
        rest = b""
        while not self.ended.is_set():
            if hasattr(select, "poll"):  # where the input can be waited for together with the end
                readable, _, _ = select.select([sys.stdin, self.wake_out], [], [])
                if sys.stdin not in readable:
                    continue
            data = os.read(sys.stdin.fileno(), PIECE)
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")
            if not data:
                if rest:
                    yield rest.decode(errors="replace")
                return

    def send_file(self, path: str) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            progress = Progress("sending", size)

            def pieces() -> Iterator[bytes]:
                while True:
                    piece = file.read(PIECE)
                    if not piece:
                        return
                    yield piece
                    progress.add(len(piece))

            if size <= PIECE:
                self.ws.send(file.read())
                progress.add(size)
            else:
                self.ws.send(pieces())
            progress.end()

    def save_file(self, path: str) -> None:
        progress = Progress("saving")
        with open(path, "wb") as file:
            for part in self.ws.recv_streaming(decode=False):
                file.write(part if isinstance(part, bytes) else part.encode())
                progress.add(len(part))
        progress.end()


class Progress:
    """Progress of a transfer: a bar on a terminal, otherwise a line at the end."""

    def __init__(self, what: str, total: Optional[int] = None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.began = time.monotonic()
        self.shown = 0.0

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if sys.stderr.isatty() and now - self.shown >= OFTEN:
            self.shown = now
            sys.stderr.write(f"\r\x1b[K{self.line(now)}")
            sys.stderr.flush()

    def end(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        tell(self.line(time.monotonic()))

    def line(self, now: float) -> str:
        rate = f"{self.done / 1e6 / max(now - self.began, 1e-6):.1f} MB/s"
        if not self.total:
            return f"{self.what}: {self.done / 1e6:.1f} MB, {rate}"
        part = min(1, self.done / self.total)
        bar = "#" * round(part * WIDTH)
        return f"{self.what} [{bar:<{WIDTH}}] {part:4.0%} of {self.total / 1e6:.1f} MB, {rate}"


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
