"""Programs that the tests run: started, listened to, and gone when their block ends."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[2] / "build/peers"
BIN = HOME.parent / "bin"
ECHO = BIN / "echo_server"
PYTHON = HOME / "venv/bin/python"
NODE_MODULES = HOME / "node/node_modules"
TIMEOUT = 30  # seconds for one run of a client; most need one


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


def must(condition, text, *details):
    if not condition:
        raise Failure("\n".join((text, *map(str, details))))


@contextlib.contextmanager
def server(*command):
    """A server of ours or a peer's; the URL that it listens at. Ours has to end well."""
    with running(command) as (process, output):
        yield listening(process, output)
        if command[0] == ECHO:
            process.terminate()
            ended(process, output, "the server on SIGTERM", 5)


def listening(process, output):
    for _ in range(1000):
        found = re.search(r"^listening on (\S+)$", text_of(output), re.MULTILINE)
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise Failure("the server did not start\n" + text_of(output))


def run_client(command):
    with running(command) as (process, output):
        ended(process, output, "the client", TIMEOUT)
        done = re.search(r"^\w+: (\d+) checks OK$", text_of(output), re.MULTILINE)
        if not done:
            raise Failure("the client counted no checks\n" + text_of(output))
        return int(done[1])


def ended(process, output, who, timeout):
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise Failure("%s did not end within %d s\n%s" % (who, timeout, text_of(output)))
    if status != 0:
        raise Failure("%s ended with status %d\n%s" % (who, status, text_of(output)))


@contextlib.contextmanager
def running(command, stdin=subprocess.DEVNULL):
    """A program in a process group of its own, which is gone when the block ends, and the file with its output."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process, output
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(2)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def text_of(output):
    """The last of what a program wrote; its own file position is not moved."""
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), 1 << 14, max(0, size - (1 << 14))).decode(errors="replace")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def at_port(port, command):
    """A program that listens at this port; the file with what it says."""
    with running(command) as (process, output):
        for _ in range(500):
            must(process.poll() is None, "%s did not start" % command[0], text_of(output))
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield output


def wait_for(output, pattern):
    """The match of this in what a program says."""
    for _ in range(500):
        found = re.search(pattern, text_of(output))
        if found:
            return found
        time.sleep(0.01)
    raise Failure("nothing like %r in\n%s" % (pattern, text_of(output)))
