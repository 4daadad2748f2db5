"""Programs that the tests run: started, listened to, and gone when their block ends."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[2] / "build/peers"
PYTHON = HOME / "venv/bin/python"
NODE_MODULES = HOME / "node/node_modules"
TIMEOUT = 30  # seconds for one run of a client; most need one


class Failure(Exception):
    pass


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
