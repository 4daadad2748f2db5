#!/usr/bin/env python3
"""Echo servers over loopback TCP, side by side: what a message costs the server, and what an idle connection holds.

All servers of a row run at once, each with its own load generator, which holds its connections open; the rounds go
from one to the next and back, one at a time. A server has one core for itself and the load generator the other. The
figure is CPU time of the server's process, from the scheduler, between the start and the end of a round: neither
handshakes nor the other servers are in it. Medians are over the rounds of this run; runs are not to be compared.

    run.py [--quick] [--rounds N] [--rows TEXT,...] [--peers NAME,...] [--no-idle] [--json FILE]

Needs what `setup.sh` builds; a server that is not there is left out. Python's standard library only.
"""

import argparse
import ctypes
import datetime
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "bench"
BIN = HOME / "bin"
RAW, WSABI = "raw epoll", "wsabi"
PRCTL, PR_SET_PDEATHSIG = ctypes.CDLL(None).prctl, 1

# What starts each server; PORT is put in. The first line that it prints says that it is ready.
SERVERS = {
    RAW: [BIN / "raw_epoll", "PORT"],
    WSABI: [BIN / "wsabi", "PORT"],
    "libwebsockets": [BIN / "lws", "PORT"],
    "Boost.Beast": [BIN / "beast", "PORT"],
    "tokio-tungstenite": [BIN / "tokio-tungstenite", "PORT"],
    "tokio-websockets": [BIN / "tokio-websockets", "PORT"],
    "fastwebsockets": [BIN / "fastwebsockets", "PORT"],
    "sockudo-ws": [BIN / "sockudo-ws", "PORT"],
    "picows": [HOME / "venv/bin/python", ROOT / "benches/tcp/picows_echo.py", "PORT"],
}

# Name, connections, messages in flight on each, bytes of payload, messages of a round: as many on each connection, and as
# many times what is in flight, or the last time would be the same calls for fewer messages.
ROWS = [
    ("1 connection ping-pong 32 B", 1, 1, 32, 20_000),
    ("100 × 16 in flight 125 B", 100, 16, 125, 200_000),
    ("1,000 × 16 125 B", 1_000, 16, 125, 208_000),
    ("100 × 4 16 KiB", 100, 4, 16 << 10, 40_000),
    ("8 × 2 1 MiB", 8, 2, 1 << 20, 480),
]
IDLE = [1_000, 5_000, 10_000]

QUICK_SERVERS = [RAW, WSABI]
QUICK_ROWS = [(*row[:4], row[4] // 2 // (row[1] * row[2]) * row[1] * row[2]) for row in ROWS[:3]]
QUICK_ROUNDS, ROUNDS = 7, 7

# How often the CPU time of the floor a row may take at most, and how many system calls a message.
GOALS = {ROWS[0][0]: (1.10, None), ROWS[1][0]: (1.25, 0.14), ROWS[2][0]: (1.25, 0.14)}
IDLE_GOAL = 256


def main():
    options = arguments()
    servers = [name for name in options.peers if available(name)]
    raise_descriptor_limit()
    now = datetime.datetime.now(datetime.timezone.utc)
    path = options.json or HOME / "tcp-{:%Y%m%d-%H%M%S}.json".format(now)
    run = {
        "date": now.isoformat(timespec="seconds"),
        "command": " ".join(["benches/tcp/run.py", *sys.argv[1:]]),
        "commit": output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        "machine": machine(),
        "versions": {name: version(name) for name in servers},
        "rounds": options.rounds,
        "rows": [],
        "idle": [],
    }
    print("{cpu}, {cores} cores, {kernel}".format(**run["machine"]))
    for name in servers:
        check(name)
    for row in options.rows:
        run["rows"].append(measure(row, servers, options))
        print_row(run["rows"][-1])
        save(run, path)  # what has been measured outlives an interrupted run
    if options.idle:
        for name in servers:
            run["idle"].append({"server": name, "bytes": hold(name, IDLE)})
        print_idle(run["idle"])
        save(run, path)
    print("\n" + os.path.relpath(path))
    if options.quick:
        sys.exit(judge(run))


def judge(run):
    """A line for each goal; whether one fell short."""
    short = 0

    def line(goal, value, bound, unit):
        nonlocal short
        short |= value > bound
        print("%s %-62s %8.2f %-8s at most %.2f" % ("short" if value > bound else "pass ", goal, value, unit, bound))

    for row in run["rows"]:
        raw, ours = row["servers"][RAW], row["servers"][WSABI]
        times, calls = GOALS[row["name"]]
        line("3 echo, %s, beside raw epoll" % row["name"], ours["cpu_median"] / raw["cpu_median"], times, "times")
        if calls and ours["system_calls"]:
            line("3 echo, %s" % row["name"], ours["system_calls"], calls, "calls")
    for count, size in hold(WSABI, [IDLE[0], IDLE[-1]]).items():
        line("4 %s idle connections" % count, size, IDLE_GOAL, "bytes")
    return short


def arguments():
    parser = argparse.ArgumentParser(description="Echo servers over loopback TCP, side by side.")
    parser.add_argument("--quick", action="store_true", help="the floor and wsabi alone, and a line for each goal")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--rows", type=comma_list, help="parts of the names of rows")
    parser.add_argument("--peers", type=comma_list, help="names of servers")
    parser.add_argument("--no-idle", dest="idle", action="store_false", help="no idle connections")
    parser.add_argument("--no-syscalls", dest="syscalls", action="store_false", help="no count of system calls")
    parser.add_argument("--json", type=pathlib.Path, help="where to write; build/bench/tcp-DATE.json otherwise")
    options = parser.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.idle = options.idle and not options.quick
    options.peers = options.peers or (QUICK_SERVERS if options.quick else list(SERVERS))
    for name in options.peers:
        if name not in SERVERS:
            parser.error("no such server: {} (there are {})".format(name, ", ".join(SERVERS)))
    rows = QUICK_ROWS if options.quick else ROWS
    if options.rows:
        rows = [row for row in ROWS if any(part in row[0] for part in options.rows)]
    options.rows = rows
    return options


def comma_list(text):
    return [part.strip() for part in text.split(",")]


def available(name):
    there = all(part.exists() for part in SERVERS[name] if isinstance(part, pathlib.Path))
    if not there:
        print("{}: not here, left out (make bench-setup)".format(name))
    return there


# Processes


class Server:
    """One echo server, on the first core."""

    def __init__(self, name):
        self.name = name
        self.port = free_port()
        command = [str(part).replace("PORT", str(self.port)) for part in SERVERS[name]]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: begin(0))
        if not self.process.stdout.readline():
            raise SystemExit("{} does not start".format(name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def cpu(self):
        """Nanoseconds on a processor, of all its threads that live."""
        tasks = pathlib.Path("/proc/{}/task".format(self.process.pid)).glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def memory(self):
        """Resident bytes; pages shared with other processes count in part."""
        for line in pathlib.Path("/proc/{}/smaps_rollup".format(self.process.pid)).read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("no Pss in smaps_rollup")


class Load:
    """One load generator and its connections, on the last core."""

    def __init__(self, server, *options):
        command = [str(BIN / "loadgen"), str(server.port), *map(str, options)]
        if server.name == RAW:
            command.append("--raw")
        self.server = server
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: begin(-1)
        )
        self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def line(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit("load generator at {}: ended with {}".format(self.server.name, self.process.wait()))
        return line

    def exchange(self, count):
        """So many messages; returns how many they were and nanoseconds."""
        self.process.stdin.write("{}\n".format(count))
        self.process.stdin.flush()
        done, seconds = self.line().split()
        return int(done), float(seconds) * 1e9


def begin(which):
    """In a process that has just been started: its core, and that it ends when this one does, however that ends."""
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[which]})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_descriptor_limit():
    """For what is started from here. As root even beyond the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(IDLE) + 1000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# Measuring


def check(name):
    """Text and binary come back as they should, whatever their length."""
    with Server(name) as server:
        for kind in [[], ["--text"]]:
            for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20]:
                with Load(server, "--connections", 2, "--depth", 3, "--size", size, *kind) as load:
                    load.exchange(12)


def measure(row, names, options):
    name, connections, depth, size, count = row
    servers, loads = [], []
    results = {name: {"cpu_ns": [], "wall_ns": []} for name in names}
    try:
        for server in names:
            servers.append(Server(server))
            loads.append(Load(servers[-1], "--connections", connections, "--depth", depth, "--size", size))
        for load in loads:  # warm
            load.exchange(count // 4)
        for turn in range(options.rounds):
            # There and back: nobody comes always after the same.
            for load in loads if turn % 2 == 0 else reversed(loads):
                before = load.server.cpu()
                done, wall = load.exchange(count)
                result = results[load.server.name]
                result["cpu_ns"].append(round((load.server.cpu() - before) / done, 2))
                result["wall_ns"].append(round(wall / done, 2))
        for load in loads:
            result = results[load.server.name]
            result["cpu_median"] = statistics.median(result["cpu_ns"])
            result["wall_median"] = statistics.median(result["wall_ns"])
            result["system_calls"] = system_calls(load, count) if options.syscalls else None
    finally:
        for started in loads + servers:
            started.__exit__()
    return {
        "name": name,
        "connections": connections,
        "depth": depth,
        "size": size,
        "messages": count,
        "servers": results,
    }


def system_calls(load, count):
    """Of the server for each message, in a pass of their own. perf counts without slowing the server down, which would
    change how many messages it finds at once; strace is what is left where perf may not."""
    with tempfile.NamedTemporaryFile("r") as report:
        pid = str(load.server.process.pid)
        if perf_counts_system_calls():
            counter = ["perf", "stat", "-x,", "-o", report.name, "-e", "raw_syscalls:sys_enter", "-p", pid]
        elif shutil.which("strace"):
            counter = ["strace", "-f", "-c", "-U", "calls,name", "-o", report.name, "-p", pid]
        else:
            return None
        process = subprocess.Popen(counter, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # it tells nobody when it has begun
        done, _ = load.exchange(count)
        process.send_signal(signal.SIGINT)
        process.wait()
        lines = [line for line in report.read().splitlines() if line and not line.startswith("#")]
    if counter[0] == "perf":
        calls = lines[0].split(",")[0] if lines else ""
    else:
        calls = lines[-1].split()[0] if lines else ""
    return round(int(calls) / done, 4) if calls.isdigit() else None


def perf_counts_system_calls():
    if not hasattr(perf_counts_system_calls, "answer"):
        command = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
        perf_counts_system_calls.answer = (
            shutil.which("perf") is not None and subprocess.run(command, capture_output=True).returncode == 0
        )
    return perf_counts_system_calls.answer


def hold(name, counts):
    """Bytes that a connection adds to the server, when so many are open and idle."""
    held, loads, open_already = {}, [], 0
    with Server(name) as server:
        with Load(server, "--idle", 1):
            pass  # what the first connection ever needs is not a connection's
        time.sleep(0.2)
        before = server.memory()
        try:
            for count in counts:
                loads.append(Load(server, "--idle", count - open_already))
                open_already = count
                time.sleep(0.3)
                held[count] = round((server.memory() - before) / count, 1)
        finally:
            for load in loads:
                load.__exit__()
    return held


# Telling


def print_row(row):
    print()
    print(row["name"])
    print(
        "{:20}{:>12}{:>10}{:>10}{:>12}{:>12}{:>10}".format(
            "", "CPU ns", "/ raw", "/ wsabi", "messages/s", "round trip", "calls"
        )
    )
    medians = {name: result["cpu_median"] for name, result in row["servers"].items()}
    in_flight = row["connections"] * row["depth"]
    for name, result in row["servers"].items():
        print(
            "{:20}{:>12,.0f}{:>10}{:>10}{:>12,.0f}{:>9,.0f} µs{:>10}".format(
                name,
                result["cpu_median"],
                ratio(result["cpu_median"], medians.get(RAW)),
                ratio(result["cpu_median"], medians.get(WSABI)),
                1e9 / result["wall_median"],
                result["wall_median"] * in_flight / 1e3,
                "" if result["system_calls"] is None else "{:.3f}".format(result["system_calls"]),
            )
        )
    sys.stdout.flush()


def ratio(value, base):
    return "{:.2f}".format(value / base) if base else ""


def print_idle(rows):
    print()
    print("bytes of the server's process for an idle connection, of so many")
    print("{:20}".format("") + "".join("{:>12,}".format(count) for count in IDLE))
    for row in rows:
        print("{:20}".format(row["server"]) + "".join("{:>12,.0f}".format(row["bytes"][count]) for count in IDLE))


def save(run, path):
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": "{} {}".format(platform.system(), platform.release()),
    }


def version(name):
    if name == WSABI:
        return toml_version(ROOT / "Cargo.lock", "wsabi")
    if name == RAW:
        return ""
    if name == "libwebsockets":
        return output(["dpkg-query", "-W", "-f", "${Version}", "libwebsockets-dev"])
    if name == "Boost.Beast":
        return "Boost " + output(["dpkg-query", "-W", "-f", "${Version}", "libboost-dev"])
    if name == "picows":
        code = "import importlib.metadata as of; print(of.version('picows'), 'on uvloop', of.version('uvloop'))"
        return output([str(HOME / "venv/bin/python"), "-c", code])
    return toml_version(ROOT / "benches/tcp/rust-peers/Cargo.lock", name)


def toml_version(lock, name):
    lines = lock.read_text().splitlines()
    at = lines.index('name = "{}"'.format(name))
    return lines[at + 1].split('"')[1]


def output(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    main()
