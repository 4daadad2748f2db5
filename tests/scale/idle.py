#!/usr/bin/env python3
"""What a connection costs: ours beside tungstenite's, plain and over TLS. `make idle` runs it.

    idle.py [--count 10000] [--silence 4] [--broadcasts 20]

Both servers relay to all. Memory is the server's private memory, divided by its connections; CPU time is the server's.
Of the kernel's memory its caches for sockets and its buffers are counted, and halved, since both ends of each connection
are on this machine.
"""
import argparse
import contextlib
import os
import re
import resource
import subprocess
import tempfile
from pathlib import Path

from programs import BIN, ROOT, certificate, listening
from ws import Failure

SLABS = "TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi", "tcp_bind_bucket", "tcp_bind2_bucket"
ROW = "%-40s %11s %8s %8s %10s %10s %10s"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10000, help="connections")
    parser.add_argument("--silence", type=float, default=4, help="seconds without a message")
    parser.add_argument("--broadcasts", type=int, default=20, help="messages to all")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    print("%d connections; bytes for each, before and after messages to all; us of CPU time for each opening, for each"
          "\nmessage to each client, and for each second and connection of silence" % options.count)
    print(ROW % ("server", "connections", "bytes", "after", "us/opening", "us/message", "us/second"))
    before = kernel()
    peer = relay()
    with tempfile.TemporaryDirectory() as home:
        tls = certificate(Path(home))
        ours = [BIN / "broadcast_server"]
        for name, command in (
            ("wsabi, ws", ours + ["ws://127.0.0.1:0/"]),
            ("wsabi, ws, a ping a second", ours + ["ws://127.0.0.1:0/", "--ping", "1000"]),
            ("tungstenite, ws", [peer, 131072]),
            ("tungstenite, ws, read buffer of 4 KiB", [peer, 4096]),
            ("wsabi, wss", ours + ["wss://127.0.0.1:0/", *tls]),
            ("tungstenite, wss", [peer, 131072, tls[1], tls[3]]),
            ("tungstenite, wss, read buffer of 4 KiB", [peer, 4096, tls[1], tls[3]]),
        ):
            during = measure(name, command, options)
            if before:
                print("in the kernel, for each socket: %d bytes" % ((during - before) / (2 * options.count)))
            before = None


def relay():
    """tungstenite's server, built, where cargo says that it is."""
    command = ["sh", "packaging/cargo-build.sh", "--release", "--quiet", "--manifest-path", "tests/scale/tungstenite/Cargo.toml"]
    environment = {"CARGO_TARGET_DIR": "target", **os.environ}
    built = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return next(path for path in built.splitlines() if path.endswith("/tungstenite-relay"))


def measure(name, command, options):
    with listening(*command) as server:
        idle = subprocess.Popen([BIN / "idle", server.url, str(options.count), str(server.pid), str(options.silence),
                                 str(options.broadcasts)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            told, held = [], 0
            for line in idle.stdout:
                told.append(line)
                if line.startswith("%d connections:" % options.count):
                    held = kernel()
            if idle.wait() != 0:
                raise Failure("%s: %s" % (name, "".join(told[-3:])))
        finally:
            idle.kill()
            idle.wait()
    text = "".join(told)
    sizes = re.findall(r"^(\d+) connections: (\d+) bytes", text, re.MULTILINE)
    after = re.search(r"after that: (\d+) bytes", text)[1]
    opening = re.search(r"openings: (\d+) us", text)[1]
    message = re.search(r"([\d.]+) us .* client and message", text)[1]
    silence = float(re.search(r"silence: (\S+) s", text)[1]) / options.silence / options.count * 1e6
    for count, size in sizes[:-1]:
        print(ROW % (name, count, size, "", "", "", ""))
    print(ROW % (name, *sizes[-1], after, opening, message, "%.2f" % silence), flush=True)
    return held


def kernel():
    """Bytes that the kernel's caches for sockets hold, and its buffers; 0 where only root may know."""
    for name in SLABS:
        with contextlib.suppress(OSError):  # what was freed before is given back
            Path("/sys/kernel/slab/%s/shrink" % name).write_text("1")
    try:
        rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
    except PermissionError:
        return 0
    pages = re.search(r"^TCP: .* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.MULTILINE)[1]
    return sum(int(row[2]) * int(row[3]) for row in rows if row[0] in SLABS) + int(pages) * resource.getpagesize()


main()
