#!/usr/bin/env python3
"""Measures how large the library is with each choice of features, and writes the table of docs/installation.md. `make sizes`
runs it; it builds in build/sizes, which takes some minutes the first time.

A program is README.md's in C, linked to the static library with --gc-sections, and stripped.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "installation.md"
HOME = ROOT / "build" / "sizes"
CARGO = shlex.split(os.environ.get("CARGO", "cargo"))


def main() -> None:
    rows = ["| features | `libwsabi.so.1` | the same, compressed | its debug information | `libwsabi.a` | a program with it |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, features in choices():
        sizes = measure(name, features)
        rows.append(f"| {name} | " + " | ".join(f"{size / 1e6:.2f} MB" for size in sizes) + " |")
    text = PAGE.read_text(encoding="utf-8")
    table = f"<!-- sizes -->\n{chr(10).join(rows)}\n\n{circumstances()}\n<!-- /sizes -->"
    PAGE.write_text(re.sub("<!-- sizes -->.*<!-- /sizes -->", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def choices() -> list[tuple[str, list[str]]]:
    """All of the default features; all but each, and what wants it; the last of these is none."""
    command = [*CARGO, "metadata", "--format-version", "1", "--no-deps", "--locked"]
    (package,) = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    features = package["features"]

    def without(left_out: str) -> list[str]:
        return [name for name in features["default"] if name != left_out and left_out not in features[name]]

    found = [(f"without `{name}`", without(name)) for name in features["default"]]
    found.sort(key=lambda choice: -len(choice[1]))
    return [("default", features["default"]), *found]


def measure(name: str, features: list[str]) -> list[int]:
    place = HOME / re.sub(r"\W+", "-", name).strip("-")
    cargo_words = ["--locked", "--no-default-features", "--features", ",".join(features), "--target-dir", str(HOME / "target")]
    subprocess.run(["sh", "packaging/library.sh", str(place), *cargo_words], cwd=ROOT, check=True)
    shared = (place / "libwsabi.so").resolve()
    debug = shared.with_name(shared.name + ".debug")
    static = place / "libwsabi.a"
    compressed = len(gzip.compress(shared.read_bytes(), 9))
    return [shared.stat().st_size, compressed, debug.stat().st_size, static.stat().st_size, program(static)]


def program(static: Path) -> int:
    source, binary = HOME / "hello.c", HOME / "hello"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    source.write_text(re.findall(r"```c\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    flags = ["-O2", "-s", "-Wl,--gc-sections", "-Iinclude"]
    subprocess.run(["cc", *flags, str(source), "-o", str(binary), str(static), "-lpthread", "-ldl", "-lm"], cwd=ROOT, check=True)
    return binary.stat().st_size


def circumstances() -> str:
    rustc = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    return f"Measured by `make sizes` on {platform.machine()} with Rust {rustc}; MB are millions of bytes, compressed is by gzip."


main()
