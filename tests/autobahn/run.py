#!/usr/bin/env python3
"""Runs the Autobahn TestSuite against wsabi's echo server and client, and judges its report.

    tests/autobahn/setup.sh
    tests/autobahn/run.py --server build/bin/echo_server --client build/bin/autobahn_client

Any command that keeps to the same convention can stand in for these, quoted as one argument; its `--name` is where its reports
go. Reports, logs and results.json are left in build/autobahn/ or build/autobahn/NAME/. The exit status is 0 only when every selected case ran, is
OK (or is one of the suite's own informational ones) and is what expected.json says.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
BUILD = REPO / "build" / "autobahn"
WSTEST = BUILD / "wstest"
EXPECTED = HERE / "expected.json"

AGENT = "wsabi"
READY_SECONDS = 30  # for a server to listen
STOP_SECONDS = 10  # for a process to end after SIGTERM


class Group(NamedTuple):
    """Some of the suite's cases. Their count is stated too, so that a run of fewer cases does not pass."""

    cases: list
    count: Optional[int]
    full_cases: list
    full_count: Optional[int]


def every(*families):
    return [f"{family}.*" for family in families]


def first_sizes(family, variants, sizes):
    return [f"{family}.{variant}.{size}" for variant in range(1, variants + 1) for size in range(1, sizes + 1)]


GROUPS = {
    "core": Group(every(*range(1, 11)), 301, every(*range(1, 11)), 301),
    # permessage-deflate: each variant sends ever larger messages, of which the first five sizes are quick.
    "deflate": Group(first_sizes(12, 5, 5) + first_sizes(13, 7, 5), 60, every(12, 13), 216),
}
DEFAULT_CASES = ["core", "deflate"]

# What these do is up to the implementation, so the suite itself passes no judgement on them.
INFORMATIONAL_CASES = {"7.1.6", "7.13.1", "7.13.2"}


def main():
    options = parse_arguments()
    sides = ["server", "client"] if options.side == "both" else [options.side]
    try:
        reports = asyncio.run(run_sides(sides, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return "interrupted"

    write_json(options.folder / "results.json", {side: reports[side].cases for side in sides})
    expected = read_json(EXPECTED) if EXPECTED.exists() else {}
    if options.update:
        for side in sides:
            expected[side] = sorted_cases({**expected.get(side, {}), **outcomes(reports[side].cases)})
        write_json(EXPECTED, expected)

    judgements = [judge(side, reports[side], expected.get(side, {}), options) for side in sides]
    for judgement in judgements:
        print("\n".join(judgement.lines))
    failed = sum(judgement.failed for judgement in judgements)
    print(f"{sum(judgement.passed for judgement in judgements)} passed, {failed} failed")
    return 1 if failed else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Runs the Autobahn TestSuite against wsabi.")
    parser.add_argument("--server", default=[REPO / "build/bin/echo_server"], type=shlex.split, help="the echo server")
    parser.add_argument("--client", default=[REPO / "build/bin/autobahn_client"], type=shlex.split, help="the echoing client")
    parser.add_argument("--name", default="", help="of these programs, where they are not the C ones")
    parser.add_argument("--side", choices=["server", "client", "both"], default="both")
    parser.add_argument("--cases", nargs="+", default=DEFAULT_CASES, metavar="CASES",
                        help=f"groups ({', '.join(GROUPS)}), case numbers, or patterns such as '6.4.*'")
    parser.add_argument("--full", action="store_true", help="all sizes of the groups that have a quick selection")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for each side (default: %(default)s)")
    parser.add_argument("--update", action="store_true", help="write what the cases that ran gave to expected.json")
    options = parser.parse_args()
    if not WSTEST.exists():
        parser.error("the suite is not there: run tests/autobahn/setup.sh first")
    options.folder = BUILD / options.name
    options.folder.mkdir(exist_ok=True)
    options.patterns, options.count = select_cases(options.cases, options.full)
    return options


def select_cases(names, full):
    """The suite's patterns for these groups and patterns, and how many cases they are where that is known."""
    patterns, counts = [], []
    for name in names:
        group = GROUPS.get(name, Group([name], None, [name], None))
        patterns += group.full_cases if full else group.cases
        counts.append(group.full_count if full else group.count)
    return patterns, None if None in counts else sum(counts)


# Running the suite


class Report(NamedTuple):
    cases: dict  # case -> what the suite found
    problems: list  # what went wrong with the run itself


async def run_sides(sides, options):
    runners = {"server": run_server_side, "client": run_client_side}
    both = asyncio.gather(*(run_side(side, runners[side], options) for side in sides))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, both.cancel)
    return dict(zip(sides, await both))


async def run_side(side, runner, options):
    folder = options.folder / side
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    problems = []
    try:
        await asyncio.wait_for(runner(folder, options), options.timeout)
    except asyncio.TimeoutError:
        problems.append(f"not done after {options.timeout:g} seconds")
    except (RunError, OSError) as error:
        problems.append(str(error))
    cases = read_cases(folder / "reports")
    if problems:
        problems += [f"{log.relative_to(REPO)} ends with: {last_line(log)}" for log in folder.glob("*.log")]
    return Report(cases, problems)


async def run_server_side(folder, options):
    async with Program(*options.server, "ws://127.0.0.1:0/", "--deflate", "threshold=0",
                           log=folder / "server.log") as server:
        url = await server.announced_url()
        spec = write_spec(folder, options, servers=[{"agent": AGENT, "url": url}])
        async with Program(WSTEST, "-m", "fuzzingclient", "-s", spec, log=folder / "wstest.log") as fuzzer:
            await fuzzer.ended_well()
        await server.stop()
        await server.ended_well()


async def run_client_side(folder, options):
    url = f"ws://127.0.0.1:{free_port()}"
    spec = write_spec(folder, options, url=url)
    # -u 0: no web server, which would take port 8080.
    async with Program(WSTEST, "-m", "fuzzingserver", "-u", "0", "-s", spec, log=folder / "wstest.log") as fuzzer:
        await fuzzer.listens_on(url)
        async with Program(*options.client, url, AGENT, log=folder / "client.log") as client:
            await client.ended_well()


def write_spec(folder, options, **role):
    spec = folder / "spec.json"
    write_json(spec, {"outdir": str(folder / "reports"), "cases": options.patterns, **role})
    return spec


def free_port():
    """A port below those that connections get by themselves, so that none of them takes it before the suite does."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
                return port
            except OSError:
                continue


class RunError(Exception):
    pass


class Program:
    """A process of ours, which is gone when the block ends, however that ends."""

    def __init__(self, program, *arguments, log):
        self.command = [str(program), *map(str, arguments)]
        self.name = Path(program).name
        self.log = log

    async def __aenter__(self):
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def stop(self):
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if self.process.returncode is None:
                with suppress(ProcessLookupError, asyncio.TimeoutError):
                    os.killpg(self.process.pid, kind)
                    await asyncio.wait_for(self.process.wait(), STOP_SECONDS)

    async def ended_well(self):
        status = await self.process.wait()
        if status != 0:
            raise RunError(f"{self.name} ended with status {status}")

    async def announced_url(self):
        def url():
            match = re.search(r"^listening on (ws://\S+)\n", self.log.read_text(errors="replace"), re.MULTILINE)
            return match and match.group(1)

        return await self._until(url)

    async def listens_on(self, url):
        host, port = url.rsplit("/", 1)[1].split(":")

        def accepts():
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0

        await self._until(accepts)

    async def _until(self, condition):
        for _ in range(READY_SECONDS * 20):
            if self.process.returncode is not None:
                raise RunError(f"{self.name} ended with status {self.process.returncode} before it listened")
            found = condition()
            if found:
                return found
            await asyncio.sleep(0.05)
        raise RunError(f"{self.name} did not listen within {READY_SECONDS} seconds")


# Judging its report


class Judgement(NamedTuple):
    lines: list
    passed: int
    failed: int


def judge(side, report, expected, options):
    lines = []
    counts = dict.fromkeys(["OK", "NON-STRICT", "INFORMATIONAL", "FAILED"], 0)
    passed = failed = 0
    for case, result in report.cases.items():
        verdict = verdict_of(case, result)
        counts[verdict] += 1
        outcome = outcome_of(result)
        if verdict in ("NON-STRICT", "FAILED"):
            failed += 1
            lines += describe(side, case, result)
        elif outcome != expected.get(case):
            failed += 1
            lines.append(f"{side} {case}: {outcome}, but expected.json has {expected.get(case, 'no such case')}")
        else:
            passed += 1

    missing = [case for case in expected if is_selected(case, options.patterns) and case not in report.cases]
    if missing:
        failed += len(missing)
        lines.append(f"{side}: {len(missing)} cases did not run: {shortened(missing)}")
    elif not report.cases or options.count not in (None, len(report.cases)):
        failed += 1
        lines.append(f"{side}: {len(report.cases)} cases ran, but there should be {options.count or 'some'}")
    failed += bool(report.problems)
    lines += [f"{side}: {problem}" for problem in report.problems]

    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    lines.append(f"autobahn {(options.name + ' ').lstrip()}{side}: {len(report.cases)} cases, {summary}")
    return Judgement(lines, passed, failed)


def verdict_of(case, result):
    found = {result["behavior"], result["behaviorClose"]}
    if found == {"OK"}:
        return "OK"
    if found <= {"OK", "INFORMATIONAL"} and case in INFORMATIONAL_CASES:
        return "INFORMATIONAL"
    if found <= {"OK", "NON-STRICT"}:
        return "NON-STRICT"
    return "FAILED"


def outcome_of(result):
    return f"{result['behavior']}/{result['behaviorClose']}"


def outcomes(cases):
    return {case: outcome_of(result) for case, result in cases.items()}


def describe(side, case, result):
    return [f"{side} {case}: {outcome_of(result)}"] + [
        f"    {name}: {result[name]}" for name in ("description", "expectation", "result", "resultClose")]


def is_selected(case, patterns):
    """As the suite itself reads patterns: the start of a case's number where there is a star, else the number."""
    return any(re.match(pattern.replace(".", r"\.").replace("*", ".*"), case) if "*" in pattern else pattern == case
               for pattern in patterns)


def shortened(cases):
    return ", ".join(cases) if len(cases) <= 12 else f"{cases[0]} to {cases[-1]}"


# Files


def read_cases(reports):
    """The suite's index, which holds the outcomes, joined with its page on each case, which explains them."""
    index = reports / "index.json"
    if not index.exists():
        return {}
    cases = {}
    for case, entry in sorted_cases(read_json(index).get(AGENT, {})).items():
        page = read_json(reports / entry["reportfile"])
        cases[case] = {name: entry[name] for name in ("behavior", "behaviorClose", "duration", "remoteCloseCode")}
        for name in ("description", "expectation", "result", "resultClose"):
            cases[case][name] = " ".join(re.sub(r"<[^>]*>", " ", page[name]).split())
    return cases


def last_line(log):
    return (log.read_text(errors="replace").splitlines() or [""])[-1][:200]


def sorted_cases(cases):
    return dict(sorted(cases.items(), key=lambda item: [int(number) for number in item[0].split(".")]))


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
