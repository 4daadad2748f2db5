"""`python -m wsabi`, on a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import echo

COMMAND = [sys.executable, "-W", "error", "-m", "wsabi"]


def run(*arguments: str, words: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], input=words, capture_output=True, text=True, timeout=30)


def test_lines_of_a_pipe_are_sent_and_the_answers_are_printed(serving: Any) -> None:
    _, url = serving(echo)
    done = run(url, words="one\ntwo\ngrüße")
    assert (done.returncode, done.stdout) == (0, "one\ntwo\ngrüße\n"), done.stderr
    assert "connected to" in done.stderr and "closed: sent 1000 (OK); then received 1000 (OK)" in done.stderr
    assert ">" not in done.stderr.replace(">=", "")


def test_a_file_is_sent_and_saved_with_its_progress(serving: Any, tmp_path: Path) -> None:
    _, url = serving(echo, max_size=None)
    there, back = tmp_path / "there", tmp_path / "back"
    for size in (0, 10, 65536, 3_000_000):
        there.write_bytes(os.urandom(size))
        done = run(url, "--send", str(there), "--save", str(back))
        assert done.returncode == 0, done.stderr
        assert back.read_bytes() == there.read_bytes()
        assert "sending" in done.stderr and "saving" in done.stderr
    assert "[##############################] 100% of 3.0 MB" in done.stderr


def test_what_is_wrong_is_said_in_words(serving: Any, tmp_path: Path) -> None:
    _, url = serving(lambda ws: ws.close(1011, "no good"), subprotocols=["chat"])
    done = run(url, "--subprotocol", "chat")
    assert done.returncode == 1 and "subprotocol chat" in done.stderr and "received 1011 (internal error) no good" in done.stderr
    for arguments, words in (
        (["ws://127.0.0.1:1/"], "refused"),
        (["http://127.0.0.1/"], "isn't a valid URI"),
        ([url, "--header", "none"], "not a header"),
        ([url, "--cacert", str(tmp_path / "nothing")], "No such file"),
    ):
        done = run(*arguments)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    _, url = serving(echo)
    done = run(url, "--send", str(tmp_path / "nothing"))
    assert done.returncode == 1 and "No such file" in done.stderr and "Traceback" not in done.stderr


def test_a_server_with_a_certificate_of_its_own(serving: Any, certificate: Any) -> None:
    import wsabi

    chain, key = certificate
    _, url = serving(echo, ssl=wsabi.TLS(chain=chain.read_bytes(), key=key.read_bytes()), name="localhost")
    assert run(url, "--cacert", str(chain), words="hello").stdout == "hello\n"
    assert run(url, "--insecure", words="hello").stdout == "hello\n"
    assert run(url).returncode == 1


class Terminal:
    """A terminal that the command runs in."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.program = subprocess.Popen([*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        self.seen = ""

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 10
        while words not in self.seen:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                pytest.fail(f"no {words!r} in {self.seen!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                pytest.fail(f"no {words!r} in {self.seen!r}")
            self.seen += data.decode()

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        try:
            return self.program.wait(10)
        finally:
            self.program.kill()
            self.program.wait(10)
            os.close(self.master)


@pytest.mark.parametrize("key", [b"\x04", "SIGINT"], ids=["Ctrl-D", "Ctrl-C"])
def test_a_terminal_has_a_prompt_and_closes_well(serving: Any, key: Any) -> None:
    _, url = serving(echo)
    terminal = Terminal(url)
    terminal.wait_for("> ")
    terminal.type(b"hello\n")
    terminal.wait_for("hello\r\n")
    if isinstance(key, bytes):
        terminal.type(key)
    else:
        terminal.program.send_signal(signal.SIGINT)
    terminal.wait_for("closed: sent 1000 (OK); then received 1000 (OK)")
    assert terminal.end() == 0


def test_a_terminal_is_left_when_the_server_closes(serving: Any) -> None:
    _, url = serving(lambda ws: ws.close(1001, "bye"))
    terminal = Terminal(url)
    terminal.wait_for("received 1001 (going away) bye")
    assert terminal.end() == 0


def test_a_bar_on_a_terminal(serving: Any, tmp_path: Path) -> None:
    _, url = serving(echo, max_size=None)
    there = tmp_path / "there"
    there.write_bytes(bytes(5_000_000))
    terminal = Terminal(url, "--send", str(there), "--save", str(tmp_path / "back"))
    terminal.wait_for("\x1b[Ksending [")
    terminal.wait_for("100% of 5.0 MB")
    terminal.wait_for("saving: 5.0 MB")
    assert terminal.end() == 0
    assert (tmp_path / "back").stat().st_size == 5_000_000
