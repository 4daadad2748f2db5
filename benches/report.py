#!/usr/bin/env python3
"""Writes docs/performance.md and its plots from what `make bench` has measured.

    report.py [--memory build/bench/memory.json] [--tcp build/bench/tcp.json] [--python build/bench/python.json] [--out docs]

Each file tells its machine, commit, date and command, and has rows: in the first and the last {"group", "task", "role",
"size", "kind", "peer", "ns", "instructions"}, written by the benchmark in memory and by that of the Python binding; the
second is written by tcp/run.py. A part whose file is not there is left out. Python's standard library only: the plots are
SVG by hand.
"""

import argparse
import html
import json
import math
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
OURS, FLOOR = "wsabi", "raw epoll"
# No engine in memory, but the bound of what one can do.
LEAST = "libraries alone"

# Of the peers, as they come; ours is red and the floor grey.
COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22"]


def main():
    parser = argparse.ArgumentParser(description="Writes docs/performance.md and its plots.")
    parser.add_argument("--memory", type=pathlib.Path, default=ROOT / "build/bench/memory.json")
    parser.add_argument("--tcp", type=pathlib.Path, default=ROOT / "build/bench/tcp.json")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / "build/bench/python.json")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs")
    options = parser.parse_args()
    memory, tcp, python = load(options.memory), load(options.tcp), load(options.python)
    plots = options.out / "performance"
    plots.mkdir(parents=True, exist_ok=True)

    text = ["# Performance", ""]
    text += ["Written by `benches/report.py` from what `make bench` has measured; do not edit.", ""]
    text += told([("in memory", memory), ("over TCP", tcp), ("Python", python)])
    text += goals(memory, tcp)
    if tcp:
        text += over_tcp(tcp, plots)
        if tcp["idle"]:
            text += idle(tcp, plots)
    if memory:
        text += in_memory(memory["rows"], plots)
    if python:
        text += ["## Python", "", "The binding beside other packages, in nanoseconds.", ""] + row_table(python["rows"])
    (options.out / "performance.md").write_text("\n".join(text).rstrip() + "\n")


def load(path):
    return json.loads(path.read_text()) if path.exists() else None


def told(runs):
    """What a reader has to know before any figure."""
    lines = ["| part | machine | commit | command |", "| --- | --- | --- | --- |"]
    for part, run in runs:
        if run:
            machine = "{cpu}, {cores} cores, {kernel}".format(**run["machine"])
            commit = "{}, {}".format(run["commit"], run["date"][:10])
            lines.append("| {} | {} | {} | `{}` |".format(part, machine, commit, run["command"]))
    versions = next((run["versions"] for _, run in runs if run and run.get("versions")), {})
    known = ["{} {}".format(name, version) for name, version in versions.items() if version]
    if known:
        lines += ["", "Versions over TCP: {}.".format(", ".join(known))]
    return lines + [
        "",
        "Figures are medians over alternating rounds of one run. They can be compared with one another, not with those "
        "of another run or machine. Less is better, but for rates.",
        "",
    ]


# The goals

# Of messages of 16 bytes: how often tungstenite's time they may take at most.
SMALL = [("read", "server", 0.24), ("read", "client", 0.15), ("write", "server", 0.23)]
# How often the CPU time of the floor a row over TCP may take at most, and how many system calls a message.
OVER_TCP = {
    "1 connection ping-pong 32 B": (1.10, None),
    "100 × 16 in flight 125 B": (1.25, 0.14),
    "1,000 × 16 125 B": (1.25, 0.14),
}
IDLE_BYTES = 256
HANDSHAKE_NS, HANDSHAKE_SHARE = 900, 0.2


def goals(memory, tcp):
    """What was aimed at, what came of it, and in which cells a peer is faster."""
    lines, behind = [], []

    def line(goal, value, bound, met):
        lines.append("| {} | {} | {} | {} |".format(goal, value, bound, "met" if met else "**short**"))

    if memory:
        found = {(r["task"], r["role"], r["kind"], r["size"], r["peer"]): r["ns"] for r in memory["rows"]}
        cells = unique(key[:4] for key in found if key[0] in ("read", "write"))
        for cell in cells:
            peers = [(ns, key[4]) for key, ns in found.items() if key[:4] == cell and key[4] not in (OURS, LEAST)]
            ours, (ns, peer) = found[cell + (OURS,)], min(peers)
            if ours >= ns:
                least = ours / found.get(cell + (LEAST,), math.nan)
                named = cell[:3] + (size_name(cell[3]),)
                behind.append("{} {} {} {}: {:.2f} × {}, {:.2f} × {}".format(*named, ours / ns, peer, least, LEAST))
        if cells:
            value = "{} of {}".format(len(cells) - len(behind), len(cells))
            line("in memory, cells ahead of every peer", value, "all", not behind)
        for task, role, bound in SMALL:
            ours, theirs = (found.get((task, role, "binary", 16, peer)) for peer in (OURS, "tungstenite"))
            if ours and theirs:
                goal = "{} {}, 16 B, beside tungstenite".format(task, role)
                line(goal, "{:.2f} ×".format(ours / theirs), "{:.2f} ×".format(bound), ours / theirs <= bound)
        accepted = {row["peer"]: row["ns"] for row in memory["rows"] if row["group"] == "accept"}
        if OURS in accepted and "tungstenite" in accepted:
            ours = accepted[OURS]
            share = ours / accepted["tungstenite"]
            value = "{:,.0f} ns, {:.2f} × tungstenite".format(ours, share)
            bound = "{} ns, or {} ×".format(HANDSHAKE_NS, HANDSHAKE_SHARE)
            line("accepting a handshake", value, bound, ours <= HANDSHAKE_NS or share <= HANDSHAKE_SHARE)
        compressed = [row for row in memory["rows"] if row["group"] == "deflate"]
        for task, size in unique((row["task"], row["size"]) for row in compressed):
            of = {row["peer"]: row["ns"] for row in compressed if (row["task"], row["size"]) == (task, size)}
            ns, peer = min((ns, peer) for peer, ns in of.items() if peer != OURS)
            value = "{:.2f} × {}".format(of[OURS] / ns, peer)
            line("{}, {}".format(task, size_name(size)), value, "ahead of every peer", of[OURS] < ns)
    if tcp:
        for row in tcp["rows"]:
            most, calls = OVER_TCP.get(row["name"], (None, None))
            ours, floor = median_of(row, OURS), median_of(row, FLOOR)
            if ours and floor and most:
                value, bound = "{:.2f} ×".format(ours / floor), "{:.2f} ×".format(most)
                line("{}, CPU beside {}".format(row["name"], FLOOR), value, bound, ours / floor <= most)
            counted = row["servers"].get(OURS, {}).get("system_calls")
            if counted is not None and calls:
                value, bound = "{:.2f}".format(counted), "{:.2f}".format(calls)
                line("{}, system calls a message".format(row["name"]), value, bound, round(counted, 2) <= calls)
            others = [(median_of(row, peer), peer) for peer in row["servers"] if peer not in (OURS, FLOOR)]
            if ours and others:
                ns, peer = min(others)
                value = "{:.2f} × {}".format(ours / ns, peer)
                line("{}, CPU beside the best peer".format(row["name"]), value, "ahead", ours < ns)
        for row in tcp["idle"]:
            if row["server"] == OURS:
                for count, held in row["bytes"].items():
                    goal = "bytes of an idle connection, of {:,}".format(int(count))
                    line(goal, "{:,.0f}".format(held), "{}".format(IDLE_BYTES), held <= IDLE_BYTES)
    if not lines:
        return []
    text = ["## Goals", "", "| goal | measured | bound | |", "| --- | ---: | ---: | --- |", *lines, ""]
    text += ["Those that are not here, `make bench-quick` measures.", ""]
    if behind:
        text += ["Where a peer is faster in memory, and how much longer wsabi takes:", ""]
        text += ["- " + cell for cell in behind] + [""]
    return text


# Over TCP


def over_tcp(tcp, plots):
    names = list(tcp["versions"])
    rows = tcp["rows"]
    text = [
        "## Over TCP: what a message costs an echo server",
        "",
        "CPU time of the server's process for one message, received and sent back, in nanoseconds; loopback, one "
        "thread, {} rounds. *raw epoll* is a TCP echo of the same bytes without WebSocket: what the sockets cost. "
        "Every server sends together what has come together, as far as its library's own interface lets it.".format(
            tcp["rounds"]
        ),
        "",
    ]
    cpu = [[cpu_cell(row, name) for row in rows] for name in names]
    text += table(["CPU ns (× raw)"] + [row["name"] for row in rows], names, cpu)
    others = [name for name in names if name not in (OURS, FLOOR)]
    if OURS in names and others:
        text += ["wsabi's CPU time over each peer's; under 1.00 wsabi takes less.", ""]
        shares = [[share_cell(row, name) for row in rows] for name in others]
        text += table(["wsabi / peer"] + [row["name"] for row in rows], others, shares)
    if any(result["system_calls"] for row in rows for result in row["servers"].values()):
        text += ["System calls for one message, counted in a pass of their own.", ""]
        calls = [[calls_cell(row, name) for row in rows] for name in names]
        text += table(["system calls"] + [row["name"] for row in rows], names, calls)
    text += ["Messages a second, both sides on their own core: the load generator may be what limits.", ""]
    rates = [[rate_cell(row, name) for row in rows] for name in names]
    text += table(["messages/s"] + [row["name"] for row in rows], names, rates)

    groups = [
        (row["name"], [(name, median_of(row, name)) for name in names if name in row["servers"]]) for row in rows
    ]
    (plots / "tcp.svg").write_text(
        bars("CPU time of the server for one message", "ns, logarithmic", groups, names, logarithmic=True)
    )
    text += ["![CPU time per message](performance/tcp.svg)", ""]
    return text


def median_of(row, name):
    return row["servers"][name]["cpu_median"] if name in row["servers"] else None


def cpu_cell(row, name):
    value, floor = median_of(row, name), median_of(row, FLOOR)
    if value is None:
        return ""
    return "{:,.0f}".format(value) + (" ({:.2f})".format(value / floor) if floor else "")


def share_cell(row, name):
    ours, theirs = median_of(row, OURS), median_of(row, name)
    return "{:.2f}".format(ours / theirs) if ours and theirs else ""


def calls_cell(row, name):
    calls = row["servers"].get(name, {}).get("system_calls")
    return "" if calls is None else "{:.2f}".format(calls)


def rate_cell(row, name):
    return "{:,.0f}".format(1e9 / row["servers"][name]["wall_median"]) if name in row["servers"] else ""


def idle(tcp, plots):
    counts = list(tcp["idle"][0]["bytes"])
    names = [row["server"] for row in tcp["idle"]]
    cells = [["{:,.0f}".format(row["bytes"][count]) for count in counts] for row in tcp["idle"]]
    most = counts[-1]
    groups = [(row["server"], [(row["server"], row["bytes"][most])]) for row in tcp["idle"]]
    (plots / "idle.svg").write_text(
        bars(
            "Bytes for an idle connection, of {:,}".format(int(most)),
            "bytes, logarithmic",
            groups,
            names,
            logarithmic=True,
        )
    )
    return [
        "## Idle connections",
        "",
        "By how many resident bytes of the server's process one open connection at rest is more, the kernel's own not "
        "counted, with so many of them:",
        "",
        *table(["bytes"] + ["{:,}".format(int(count)) for count in counts], names, cells),
        "![Bytes for an idle connection](performance/idle.svg)",
        "",
    ]


# In memory

# What LEAST is, where it is measured.
AT_LEAST = {
    "read": '"libraries alone" is no engine, but what is left of one without a connection, rules, limits and errors: the '
    "bytes received in whole frames of known lengths, unmasked by the processor's vectors, text seen by simdutf8.",
    "write": '"libraries alone": a header that is there already, the payload masked by the processor\'s vectors with a key '
    "that never changes, handed to the stream.",
    "accept": '"libraries alone": the bytes received, httparse, the fields looked up, sha1 and base64, the head kept, the '
    "response written.",
}


def in_memory(rows, plots):
    text = [
        "## In memory",
        "",
        "One engine by itself over a stream in memory: nanoseconds for one message, masked as the protocol wants it. "
        "What is written goes to a stream that adds up lengths: bytes that an engine hands on where they lie cost "
        "nothing there, as no kernel copies them.",
        "",
    ]
    titles = {
        "read": "Reading",
        "write": "Writing",
        "accept": "Accepting a handshake",
        "deflate": "permessage-deflate, both ends",
    }
    for group, title in titles.items():
        of_group = [row for row in rows if row["group"] == group]
        if of_group:
            text += ["### " + title, ""] + row_table(of_group)
        if of_group and group in AT_LEAST:
            text += [AT_LEAST[group], ""]
    counted = [row for row in rows if row["instructions"] is not None]
    if counted:
        text += ["### Instructions", "", "Of one message, counted by callgrind.", ""]
        text += row_table(counted, "instructions")
    text += small(rows, plots) + accepted(rows, plots)
    for group, title in [("read", "Reading"), ("write", "Writing")]:
        of_group = [row for row in rows if row["group"] == group and row["kind"] == "binary"]
        if not of_group:
            continue
        for role in unique(row["role"] for row in of_group):
            lines = {}
            for row in of_group:
                if row["role"] == role:
                    lines.setdefault(row["peer"], []).append((row["size"], row["size"] / row["ns"]))
            name = "{}-{}.svg".format(group, role)
            (plots / name).write_text(curves("{} binary messages as {}".format(title, role), lines))
            text += ["![{} as {}](performance/{})".format(title, role, name), ""]
    return text


def small(rows, plots):
    """A bar for each peer: binary messages of 16 bytes."""
    rows = [row for row in rows if row["size"] == 16 and row["kind"] == "binary"]
    if not rows:
        return []
    groups = {}
    for row in rows:
        groups.setdefault("{} as {}".format(row["task"], row["role"]), []).append((row["peer"], row["ns"]))
    names = unique(row["peer"] for row in rows)
    title = "A message of 16 bytes in memory"
    (plots / "small.svg").write_text(bars(title, "ns", list(groups.items()), names, logarithmic=False))
    return ["![{}](performance/small.svg)".format(title), ""]


def accepted(rows, plots):
    """A bar for each peer: accepting a handshake."""
    rows = [row for row in rows if row["group"] == "accept"]
    if not rows:
        return []
    groups = [(row["peer"], [(row["peer"], row["ns"])]) for row in rows]
    title = "Accepting a handshake in memory"
    (plots / "accept.svg").write_text(bars(title, "ns", groups, [row["peer"] for row in rows], logarithmic=False))
    return ["![{}](performance/accept.svg)".format(title), ""]


def row_table(rows, field="ns"):
    """A line for each task, payload and size; how ours compares with each peer in brackets."""
    peers = unique(row["peer"] for row in rows)
    keys = unique((row["task"], row["role"], row["kind"], row["size"]) for row in rows)
    found = {(row["task"], row["role"], row["kind"], row["size"], row["peer"]): row[field] for row in rows}
    cells = []
    for key in keys:
        line = []
        for peer in peers:
            value, ours = found.get(key + (peer,)), found.get(key + (OURS,))
            cell = "" if value is None else "{:,.1f}".format(value)
            if value and ours and peer != OURS:
                cell += " ({:.2f})".format(ours / value)
            line.append(cell)
        cells.append(line)
    names = ["{} {} {}, {}".format(*key[:3], size_name(key[3])) for key in keys]
    return table(["{} (wsabi / peer)".format(field)] + peers, names, cells)


def unique(values):
    return list(dict.fromkeys(values))


def table(head, names, cells):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join([name] + line) + " |" for name, line in zip(names, cells)]
    return lines + [""]


# Plots


class Svg:
    """A drawing on a light ground."""

    def __init__(self, width, height, title):
        self.parts = [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
            'font-family="sans-serif" font-size="12" fill="#222">'.format(width, height),
            '<rect width="{}" height="{}" fill="#fcfcfa"/>'.format(width, height),
        ]
        self.text(width / 2, 24, title, anchor="middle", size=15)

    def text(self, x, y, text, anchor="start", size=12, turn=None):
        turned = ' transform="rotate({} {:.1f} {:.1f})"'.format(turn, x, y) if turn else ""
        self.parts.append(
            '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}"{}>{}</text>'.format(
                x, y, anchor, size, turned, html.escape(text)
            )
        )

    def line(self, x1, y1, x2, y2, colour="#ddd"):
        self.parts.append(
            '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>'.format(x1, y1, x2, y2, colour)
        )

    def bar(self, x, y, width, height, colour, title):
        self.parts.append(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>'.format(
                x, y, width, height, colour, html.escape(title)
            )
        )

    def curve(self, points, colour, width):
        path = " ".join("{:.1f},{:.1f}".format(x, y) for x, y in points)
        self.parts.append(
            '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}"/>'.format(path, colour, width)
        )
        for x, y in points:
            self.parts.append('<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>'.format(x, y, colour))

    def key(self, x, y, names, colours):
        for i, name in enumerate(names):
            self.parts.append(
                '<rect x="{:.1f}" y="{:.1f}" width="12" height="12" fill="{}"/>'.format(x, y + i * 20, colours[name])
            )
            self.text(x + 18, y + 10 + i * 20, name)

    def done(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def colours_of(names):
    others = [name for name in names if name not in (OURS, FLOOR)]
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}
    colours.update({OURS: "#c1121f", FLOOR: "#999"})
    return colours


class Scale:
    """From values to places between two edges; logarithmic from one power of ten to another, or from zero."""

    def __init__(self, values, start, end, logarithmic):
        self.start, self.end, self.logarithmic = start, end, logarithmic
        if logarithmic:
            # Room below the least, so that its bar can be seen.
            self.low = math.floor(math.log10(min(values) * 0.999))
            self.high = math.ceil(math.log10(max(values) * 1.001))
        else:
            self.low, self.high = 0, max(values) * 1.05

    def at(self, value):
        value = math.log10(value) if self.logarithmic else value
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self):
        if self.logarithmic:
            return [10.0**power for power in range(self.low, self.high + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        return [step * i for i in range(int(self.high / step) + 1)]


def bars(title, unit, groups, names, logarithmic):
    """Groups of bars side by side, a colour for each name."""
    many = max(len(group) for _, group in groups)
    bar_width = max(10, min(40, 700 / (len(groups) * (many + 1))))
    group_width = bar_width * (many + 1) if many > 1 else bar_width * 2
    left, top, bottom, height = 80, 70, 50, 430
    right = left + group_width * len(groups) + bar_width
    svg = Svg(right + 170, height, title)
    colours = colours_of(names)
    values = [value for _, group in groups for _, value in group if value > 0]
    scale = Scale(values, height - bottom, top, logarithmic)
    for tick in scale.ticks():
        svg.line(left, scale.at(tick), right, scale.at(tick))
        svg.text(left - 8, scale.at(tick) + 4, short(tick), anchor="end")
    svg.text(20, (top + height - bottom) / 2, unit, anchor="middle", turn=-90)
    for i, (name, group) in enumerate(groups):
        x = left + bar_width + i * group_width
        for j, (peer, value) in enumerate(group):
            y = scale.at(value) if value > 0 else height - bottom
            label = "{}, {}: {:,.0f}".format(name, peer, value)
            svg.bar(x + j * bar_width, y, bar_width - 2, height - bottom - y, colours[peer], label)
            if many > 1:
                svg.text(x + (j + 0.5) * bar_width + 2, y - 4, short(value), size=9, turn=-90)
            else:
                svg.text(x + bar_width / 2, y - 4, short(value), anchor="middle")
        if many > 1:
            svg.text(x + len(group) * bar_width / 2, height - bottom + 18, name, anchor="middle", size=10)
    svg.line(left, height - bottom, right, height - bottom, "#222")
    svg.key(right + 15, top, names, colours)
    return svg.done()


def curves(title, lines):
    """Size against GB/s, both logarithmic."""
    left, right, top, bottom, height = 80, 620, 50, 60, 430
    svg = Svg(right + 170, height, title)
    names = list(lines)
    colours = colours_of(names)
    points = [point for line in lines.values() for point in line]
    across = Scale([size for size, _ in points], left, right, True)
    up = Scale([rate for _, rate in points], height - bottom, top, True)
    for tick in up.ticks():
        svg.line(left, up.at(tick), right, up.at(tick))
        svg.text(left - 8, up.at(tick) + 4, "{:g}".format(tick), anchor="end")
    for size in unique(size for size, _ in sorted(points)):
        svg.line(across.at(size), top, across.at(size), height - bottom, "#eee")
        svg.text(across.at(size), height - bottom + 18, size_name(size), anchor="middle")
    svg.text(20, (top + height - bottom) / 2, "GB/s", anchor="middle", turn=-90)
    svg.text((left + right) / 2, height - 15, "payload of a message", anchor="middle")
    svg.line(left, height - bottom, right, height - bottom, "#222")
    svg.line(left, top, left, height - bottom, "#222")
    for name, line in lines.items():
        places = [(across.at(size), up.at(rate)) for size, rate in sorted(line)]
        svg.curve(places, colours[name], 3 if name == OURS else 1.5)
    svg.key(right + 15, top, names, colours)
    return svg.done()


def short(value):
    for step, letter in [(1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if value >= step:
            return "{:.3g}{}".format(value / step, letter)
    return "{:.3g}".format(value)


def size_name(size):
    for step, unit in [(1 << 20, "MiB"), (1 << 10, "KiB")]:
        if size >= step and size % step == 0:
            return "{} {}".format(size // step, unit)
    return "{} B".format(size)


if __name__ == "__main__":
    main()
