#!/usr/bin/env python3
"""Writes THIRD-PARTY-NOTICES.txt: the licences of all code that is linked into the library on Linux. `make notices` runs it.

    notices.py [--check]

The crates are those that cargo links for the library's default features (no build scripts, no procedural macros, nothing
that only tests need), and the texts are the files in their packages. The standard library of Rust is no package: its
notices are in rust-std.txt. With --check nothing is written; the status is 1 where the file is not what it should be.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES.txt"
TARGET = "x86_64-unknown-linux-gnu"  # other processors link the same crates
RULE = "=" * 100

PREFACE = """\
Third-party notices of wsabi

The library contains the code of others, which is listed here with its licences. Where there is a choice of licences, wsabi
uses the code under the MIT licence, and only that is quoted. wsabi itself is under MIT or Apache-2.0: see LICENSE-MIT and
LICENSE-APACHE.

Written by packaging/notices.py from Cargo.lock and the packages named there: do not edit.
"""


def main() -> int:
    text = notices(linked_packages(TARGET))
    if "--check" not in sys.argv[1:]:
        NOTICES.write_text(text, encoding="utf-8")
        return 0
    if NOTICES.is_file() and NOTICES.read_text(encoding="utf-8") == text:
        return 0
    print(f"{NOTICES.name} is out of date: run `make notices`", file=sys.stderr)
    return 1


def notices(packages: list[dict[str, Any]]) -> str:
    """All of the file. A text that several packages have in common is there once."""
    users: dict[str, list[str]] = {}
    for package in packages:
        for text in texts(package):
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    table = [f"  {package['name']} {package['version']}: {package['license']}" for package in packages]
    parts = [PREFACE + "\n" + "\n".join(table) + "\n\n  the standard library of Rust: MIT OR Apache-2.0, and others (see the end)\n"]
    for text, names in users.items():
        parts.append(textwrap.fill(", ".join(names), 100, break_on_hyphens=False) + "\n\n" + text)
    parts.append((ROOT / "packaging" / "rust-std.txt").read_text(encoding="utf-8"))
    return f"\n{RULE}\n".join(parts)


def texts(package: dict[str, Any]) -> list[str]:
    """The licence files of a package: of several to choose from the MIT one, of several that all hold each of them."""
    home = Path(package["manifest_path"]).parent
    files = sorted(path for path in home.rglob("*") if is_licence(path))
    choices = [choice.strip() for choice in package["license"].replace("/", " OR ").split(" OR ")]
    if "MIT" in choices and len(choices) > 1:
        files = [path for path in files if path.parent == home and "MIT" in path.name.upper()]
    if not files:
        raise SystemExit(f"{package['name']} {package['version']} ({package['license']}) comes without the text of its licence")
    return [tidy(path.read_text(encoding="utf-8")) for path in files]


def is_licence(path: Path) -> bool:
    words = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")
    return path.name.upper().startswith(words) and path.suffix not in (".rs", ".py") and path.is_file()


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def linked_packages(target: str) -> list[dict[str, Any]]:
    """What `cargo tree` says is linked, as `cargo metadata` describes it; by name, without wsabi itself."""
    tree = cargo("tree", "--target", target, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    linked = {tuple(line.split()[:2]) for line in tree.splitlines()}
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    packages = [package for package in metadata["packages"] if (package["name"], "v" + package["version"]) in linked]
    return sorted((package for package in packages if package["name"] != "wsabi"), key=lambda it: (it["name"], it["version"]))


def cargo(command: str, *arguments: str) -> str:
    words = [*shlex.split(os.environ.get("CARGO", "cargo")), command, "--locked", *arguments]
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
