"""Programs under way, and what they say."""
import contextlib
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from ws import Failure

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build/bin"


class Program:
    """A program under way, its output in a file."""

    def __init__(self, process, output):
        self.process, self.output, self.pid = process, output, process.pid

    def text(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_for(self, text, seconds=10):
        wait_until(seconds, "no %r of %s" % (text, self.process.args), lambda: text in self.text() or self.process.poll())
        if text not in self.text():
            raise Failure("%s ended with %d: %s" % (self.process.args, self.process.returncode, self.text()))


@contextlib.contextmanager
def program(*command):
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT)
        try:
            yield Program(process, output)
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def listening(*command):
    """A server of ours: its port and its URL, too."""
    with program(*command) as server:
        server.wait_for("listening on ")
        server.url, port = re.search(r"listening on (\S+:(\d+)/)", server.text()).groups()
        server.port = int(port)
        yield server


def wait_until(seconds, complaint, condition):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise Failure(complaint)
        time.sleep(0.02)


def certificate(home):
    cert, key = home / "cert.pem", home / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, stderr=subprocess.DEVNULL)
    return "--cert", str(cert), "--key", str(key)
