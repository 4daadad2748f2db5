#!/usr/bin/env python3
"""What a message costs now, beside what it cost at another commit.

Instructions, for cells in memory and over a pair of sockets: callgrind counts them, so that a figure is the same in every
run, whatever else the machine does. CPU time, for echoes over TCP: medians of five rounds, one library after the other.
A cell that exceeds its bound fails the run: in instructions 2 % or 8 over the base, whichever is more; over TCP 3 %.

    run.py BASE [--only TEXT] [--head LIBRARY] [--base LIBRARY]

The base is built once, from its own sources and as it is shipped, and kept in build/ab. A function that it lacks leaves out
the cells that call it. What copies memory is kept from choosing string instructions, of which callgrind counts every byte.
Python's standard library only, and valgrind.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "ab"
PROGRAM = HOME / "ab"

RELATIVE, ABSOLUTE, TCP = 1.02, 8, 1.03
ROUNDS, TRIES = 5, 3  # rounds over TCP, and how often they are repeated before a loss is believed
SIDES = ("base", "head")


def main():
    options = arguments()
    commit = git("rev-parse", "--verify", options.base + "^{commit}").strip()
    libraries = {"base": options.base_library or base_library(commit), "head": options.head_library}
    with tempfile.TemporaryDirectory(dir=HOME) as work:
        libraries = {side: lay_out(side, library, pathlib.Path(work)) for side, library in libraries.items()}
        names = [name for name in run(PROGRAM, libraries["head"], "--list").split("\n") if options.only in name]
        cells = [name for name in names if name and not name.startswith("tcp")]
        flows = [name for name in names if name.startswith("tcp")]
        print("base: {}  head: {}".format(commit[:12], git("describe", "--always", "--dirty").strip()))
        losses = compare_instructions(libraries, cells) if cells else []
        losses += compare_tcp(libraries, flows) if flows else []
    if not cells and not flows:
        sys.exit("no cell has {!r} in its name".format(options.only))
    print("{} cells, {} over their bounds{}".format(
        len(cells) + len(flows), len(losses), ": " + "; ".join(losses) if losses else ""))
    sys.exit(1 if losses else 0)


def arguments():
    parser = argparse.ArgumentParser(description="What a message costs, beside another commit.")
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--only", default="", help="cells with this in their names")
    parser.add_argument("--head", dest="head_library", type=pathlib.Path, default=ROOT / "build/lib/libwsabi.so")
    parser.add_argument("--base", dest="base_library", type=pathlib.Path, help="the base's library, built already")
    options = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    if not shutil.which("valgrind"):
        sys.exit("bench-ab: valgrind is not here")
    return options


def base_library(commit):
    """Its library, built from its own sources unless that has been done."""
    library = HOME / commit / "libwsabi.so"
    if library.exists():
        return library
    print("building", commit[:12], flush=True)
    with tempfile.TemporaryDirectory(dir=HOME) as sources:
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x", "-C", sources], check=True, input=archive)
        environment = dict(os.environ, CARGO_TARGET_DIR=str(HOME / "target"))
        subprocess.run([os.environ.get("CARGO", "cargo"), "build", "--release", "--lib", "--locked"],
                       cwd=sources, env=environment, check=True)
    library.parent.mkdir(exist_ok=True)
    partial = library.with_suffix(".partial")
    shutil.copy(HOME / "target/release/libwsabi.so", partial)
    partial.rename(library)
    return library


def lay_out(side, library, work):
    """A copy whose path is as long as the other one's, without what only a debugger wants."""
    copy = work / side / "libwsabi.so"
    copy.parent.mkdir()
    shutil.copy(library, copy)
    subprocess.run(["strip", "--strip-debug", str(copy)], check=False)
    return copy


# Instructions


def compare_instructions(libraries, cells):
    counts = count_instructions(libraries, cells)
    losses, rows = [], []
    for cell in cells:
        base, head = (counts[side].get(cell) for side in SIDES)
        if head is None:
            losses.append(cell + " (gone)")
        over = None not in (base, head) and head > max(base * RELATIVE, base + ABSOLUTE)
        losses += [cell] if over else []
        rows.append((cell, base, head, "OVER" if over else ""))
    table("instructions a message", rows, "{:,.1f}")
    return losses


def count_instructions(libraries, cells):
    """Both libraries at once: they do not disturb each other."""
    running, counts = {}, {}
    environment = dict(os.environ, GLIBC_TUNABLES="glibc.cpu.hwcaps=-ERMS,-FSRM")
    for side, library in libraries.items():
        out = library.parent / "out.%p"
        command = ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured",
                   "--callgrind-out-file=" + str(out), str(PROGRAM), str(library), *cells]
        if shutil.which("setarch"):
            command = ["setarch", "-R", *command]
        running[side] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for side, process in running.items():
        said = process.communicate()[0]
        if process.returncode != 0:
            sys.exit("bench-ab: {} fails".format(side))
        counts[side] = {}
        for line in said.splitlines():
            process_id, messages, cell = line.split(" ", 2)
            if process_id != "-":
                profile = (libraries[side].parent / ("out." + process_id)).read_text()
                total = int(re.search(r"^totals: (\d+)", profile, re.MULTILINE).group(1))
                counts[side][cell] = total / int(messages)
    return counts


# Time


def compare_tcp(libraries, flows):
    times = {flow: {side: [] for side in SIDES} for flow in flows}
    suspects = flows
    for _ in range(TRIES):
        for round_number in range(ROUNDS):
            for flow in suspects:
                for side in SIDES if round_number % 2 == 0 else reversed(SIDES):
                    said = run(PROGRAM, libraries[side], "--tcp", flow)
                    times[flow][side].append(float(said.split(" ", 1)[0]))
        suspects = [flow for flow in suspects if ratio(times[flow]) > TCP]
    rows = []
    for flow in flows:
        base, head = (statistics.median(times[flow][side]) for side in SIDES)
        rows.append((flow, base, head, "OVER" if flow in suspects else ""))
    table("ns of CPU a message", rows, "{:,.0f}")
    return suspects


def ratio(times):
    return statistics.median(times["head"]) / statistics.median(times["base"])


# Words


def table(title, rows, figure):
    width = max(len(row[0]) for row in rows + [(title,)])
    print("\n{:{}}  {:>13}  {:>13}  {:>7}".format(title, width, "base", "head", "ratio"))
    for cell, base, head, note in rows:
        words = [figure.format(value) if value is not None else "-" for value in (base, head)]
        share = "{:.3f}".format(head / base) if base and head is not None else "-"
        print("{:{}}  {:>13}  {:>13}  {:>7}  {}".format(cell, width, *words, share, note).rstrip())
    print(flush=True)


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def git(*words):
    return run("git", "-C", ROOT, *words)


if __name__ == "__main__":
    main()
