#!/usr/bin/env python3
"""Our engine against real peers, in both directions, every byte watched on the way.

    run.py --server build/bin/echo_server --client build/bin/peer_client [--only WORD] [--deflate]

A server takes a URL, prints `listening on URL` and ends with status 0 on SIGTERM. A client takes a URL and options,
and prints `NAME: N checks OK`. Any such command, quoted as one argument, can stand in for ours.
"""
import argparse
import os
import shlex
import shutil
import signal
import sys
import time
from collections import namedtuple
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import wire
from programs import NODE_MODULES, PYTHON, Failure, ended, listening, run_client, running
from wire import CLIENT, SERVER

HERE = Path(__file__).resolve().parent

# What must be there for a peer to run; setup.sh installs it.
NEEDS = {
    "websockets": PYTHON,
    "ws": NODE_MODULES / "ws",
    "chromium": "chromium-headless-shell",
    "libwebsockets": "libwebsockets-test-server",
}

# One run of the client: its path on the server, its options, and the ending that the wire must show.
Case = namedtuple("Case", "path options ending", defaults=([], "clean"))

# One line of the report. `ours` is the side that our engine plays against `program`; `deflate` goes to both.
Row = namedtuple("Row", "peer ours program cases deflate", defaults=(None,))

BATTERY = [Case("")]
OUR_BATTERY = [
    Case(""),
    Case("fragments"),
    Case("", ["--subprotocol", "chat", "--subprotocol", "superchat", "--selects", "superchat"]),
    Case("", ["--closeme"]),
    Case("refuse/401", ["--refused", "401", "refused with 401\n"]),
    Case("refuse/404", ["--refused", "404", "refused with 404\n"]),
    Case("unasked", ["--subprotocol", "superchat", "--refused", "0", ""]),
]
MIRROR = ["--subprotocol", "lws-mirror-protocol", "--selects", "lws-mirror-protocol"]
COUNTER = ["--subprotocol", "dumb-increment-protocol", "--selects", "dumb-increment-protocol"]

ROWS = [
    Row("websockets", SERVER, [PYTHON, HERE / "python_client.py"], BATTERY),
    Row("ws", SERVER, ["node", HERE / "node_client.js"], [Case("", [], "hasty")]),
    Row("chromium", SERVER, [sys.executable, HERE / "chromium_client.py"], BATTERY),
    Row("libwebsockets", SERVER, [sys.executable, HERE / "libwebsockets_client.py"],
        [Case("", [], "abrupt"), Case("", ["--echo"], 1007)]),
    Row("websockets", CLIENT, [PYTHON, HERE / "python_server.py"], OUR_BATTERY),
    Row("ws", CLIENT, ["node", HERE / "node_server.js"], OUR_BATTERY),
    Row("libwebsockets", CLIENT, [sys.executable, HERE / "libwebsockets_server.py"],
        [Case("", MIRROR + ["--mirror"]), Case("", COUNTER + ["--closeme"])]),
]

DEFLATE = [
    "",
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits=9",
    "client_max_window_bits=9",
    "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
]
# Every combination of the four parameters.
ALL_DEFLATE = ["; ".join(filter(None, chosen)) for chosen in product(*(("", parameter) for parameter in (
    "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=10", "client_max_window_bits=12")))]
DEFLATE_OF = {"websockets": DEFLATE, "ws": ALL_DEFLATE, "chromium": DEFLATE[-1:], "libwebsockets": []}  # wants none
DEFLATE_ROWS = [row._replace(cases=row.cases[:2], deflate=parameters)
                for row in ROWS for parameters in DEFLATE_OF[row.peer]]


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    os.environ["NODE_PATH"] = str(NODE_MODULES)
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for row in ROWS + (DEFLATE_ROWS if options.deflate else []):
        name = " ".join(filter(None, ("peer", row.peer, CLIENT if row.ours == SERVER else SERVER,
                                      row.deflate is not None and "deflate", row.deflate)))
        if options.only in name:
            outcome, told = run_row(row, options.server if row.ours == SERVER else options.client)
            print(name + ": " + told, flush=True)
            counts[outcome] += 1
    print(", ".join("%d %s" % (count, outcome) for outcome, count in counts.items()))
    if counts["failed"] or (counts["skipped"] and os.environ.get("CI") == "true"):
        sys.exit(1)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", type=shlex.split, required=True, help="our echo server")
    parser.add_argument("--client", type=shlex.split, required=True, help="our client")
    parser.add_argument("--only", default="", metavar="WORD", help="only the rows with this in their name")
    parser.add_argument("--deflate", action="store_true", help="the rows for permessage-deflate too")
    return parser.parse_args()


def run_row(row, our_program):
    need = NEEDS[row.peer]
    if not (need.exists() if isinstance(need, Path) else shutil.which(need)):
        return "skipped", "skipped, setup.sh could not install it"
    start = time.monotonic()
    try:
        checks = converse(row, our_program)
    except (Failure, wire.Violation) as failure:
        return "failed", "FAILED: %s" % failure
    return "passed", "ok (%d checks, %.1f s)" % (checks, time.monotonic() - start)


def converse(row, our_program):
    server, client = (our_program, row.program) if row.ours == SERVER else (row.program, our_program)
    deflate = [] if row.deflate is None else ["--deflate", row.deflate]
    extension = None if row.deflate is None else "; ".join(filter(None, ("permessage-deflate", row.deflate)))
    checks = 0
    with running([*server, "ws://127.0.0.1:0/", *deflate]) as (process, output):
        url = urlsplit(listening(process, output))
        for case in row.cases:
            with wire.Tap((url.hostname, url.port)) as tap:
                checks += run_client([*client, "ws://127.0.0.1:%d/%s" % (tap.port, case.path), *case.options, *deflate])
                if not tap.wait_for_ends(5):
                    raise Failure("a connection was left open")
                for connection in tap.connections:
                    wire.check(connection, row.ours, extension, case.ending)
                    checks += 1
        if row.ours == SERVER:
            process.terminate()
            ended(process, output, "the server on SIGTERM", 5)
            checks += 1
    return checks


main()
