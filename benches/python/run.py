#!/usr/bin/env python3
"""Echo servers in Python over loopback TCP, side by side: what a message costs the server's process.

As benches/tcp/run.py, with its load generator and its way to measure: all servers of a row run at once, and the rounds go from
one to the next and back. The figure is CPU time; medians are over the rounds of this run, and runs are not to be compared.

    run.py [--quick] [--rounds N] [--rows TEXT,...] [--json FILE]

Then what the calls of the library cost, without a socket or a loop. Needs what `setup.sh` makes.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tcp"))
import run as tcp  # noqa: E402

PYTHON = tcp.HOME / "python-venv/bin/python"
PACKAGES, LOOPS = ("wsabi", "websockets", "picows"), ("asyncio", "uvloop")
SERVERS = {
    f"{package} on {loop}": [PYTHON, HERE / "echo_server.py", package, loop, "PORT"]
    for loop in LOOPS
    for package in PACKAGES
}

# Name, connections, messages in flight on each, bytes of payload, messages of a round.
ROWS = [
    ("1 connection ping-pong 125 B", 1, 1, 125, 3_000),
    ("32 connections ping-pong 125 B", 32, 1, 125, 16_000),
    ("8 × 16 in flight 125 B", 8, 16, 125, 32_000),
    ("1 connection ping-pong 16 KiB", 1, 1, 16 << 10, 2_000),
    ("8 × 4 in flight 16 KiB", 8, 4, 16 << 10, 8_000),
]


def main():
    options = arguments()
    os.environ["PYTHONPATH"] = str(tcp.ROOT / "bindings/python/src")
    os.environ.setdefault("WSABI_LIBRARY", str(tcp.ROOT / "build/lib/libwsabi.so"))
    tcp.SERVERS.clear()
    tcp.SERVERS.update(SERVERS)
    now = datetime.datetime.now(datetime.timezone.utc)
    path = options.json or tcp.HOME / "python-{:%Y%m%d-%H%M%S}.json".format(now)
    report = {
        "date": now.isoformat(timespec="seconds"),
        "command": " ".join(["benches/python/run.py", *sys.argv[1:]]),
        "commit": tcp.output(["git", "-C", str(tcp.ROOT), "describe", "--always", "--dirty"]),
        "machine": tcp.machine(),
        "versions": {name: version(name) for name in ("websockets", "picows", "uvloop")},
        "python": tcp.output([str(PYTHON), "-c", "import sys; print(sys.version.split()[0])"]),
        "rounds": options.rounds,
        "rows": [],
    }
    print("{cpu}, {cores} cores, {kernel}".format(**report["machine"]))
    slower = 0
    for row in options.rows:
        report["rows"].append(tcp.measure(row, list(SERVERS), options))
        slower += print_row(report["rows"][-1])
        tcp.save(report, path)
    report["calls_ns"] = json.loads(tcp.output([str(PYTHON), str(HERE / "calls.py")]))
    print_calls(report["calls_ns"])
    tcp.save(report, path)
    print("\n" + os.path.relpath(path))
    sys.exit(1 if slower else 0)


def arguments():
    parser = argparse.ArgumentParser(description="Echo servers in Python over loopback TCP, side by side.")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, and fewer of them")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--rows", type=tcp.comma_list, help="parts of the names of rows")
    parser.add_argument("--json", type=pathlib.Path, help="where to write; build/bench/python-DATE.json otherwise")
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 9)
    options.syscalls = False
    rows = [row for row in ROWS if not options.rows or any(part in row[0] for part in options.rows)]
    options.rows = [(*row[:4], row[4] // 4) for row in rows] if options.quick else rows
    if not PYTHON.exists():
        parser.error("the peers are not there: run benches/python/setup.sh first")
    return options


def print_row(row):
    """Shows a row; how often we are not faster than websockets."""
    print("\n" + row["name"])
    print("{:24}{:>12}{:>16}{:>12}{:>14}".format("", "CPU µs", "/ websockets", "/ picows", "messages/s"))
    slower = 0
    for name, result in row["servers"].items():
        loop = name.split()[-1]
        beside = {package: paired(result, row["servers"][f"{package} on {loop}"]) for package in PACKAGES}
        slower += name.startswith("wsabi") and beside["websockets"] >= 1
        print(
            "{:24}{:>12.1f}{:>16.2f}{:>12.2f}{:>14,.0f}".format(
                name, result["cpu_median"] / 1e3, beside["websockets"], beside["picows"], 1e9 / result["wall_median"]
            )
        )
    sys.stdout.flush()
    return slower


def paired(result, other):
    """The median over the rounds of how they compare, so that a machine that is slow for a while is so for both."""
    return statistics.median(mine / theirs for mine, theirs in zip(result["cpu_ns"], other["cpu_ns"]))


def print_calls(calls):
    print("\nwithout a socket or a loop{:>18}{:>22}".format("ns", "empty functions"))
    for name, value in calls.items():
        print("{:34}{:>10.0f}{:>22.1f}".format(name, value, value / calls["an empty function"]))


def version(name):
    return tcp.output([str(PYTHON), "-c", "import importlib.metadata as of, sys; print(of.version(sys.argv[1]))", name])


if __name__ == "__main__":
    main()
