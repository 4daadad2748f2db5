#!/usr/bin/env python3
"""Writes dist/recipes: a Conan recipe and a vcpkg overlay port over the archives in dist/.

    recipes.py URL

URL is the directory that the archives are published in. What is in packaging/conan and packaging/vcpkg is filled in with it, the
version, and the checksums of the archives that are there.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
CONAN = {"linux-x86_64": "Linux-x86_64", "linux-aarch64": "Linux-armv8"}


def main() -> int:
    (url,) = sys.argv[1:]
    version = re.findall(r'(?m)^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"))[0]
    archives = {target: DIST / f"wsabi-{version}-{target}.tar.gz" for target in CONAN}
    archives = {target: path for target, path in archives.items() if path.is_file()}
    home = DIST / "recipes"
    shutil.rmtree(home, ignore_errors=True)
    for kind in ("conan", "vcpkg"):
        shutil.copytree(ROOT / "packaging" / kind, home / kind)
    for name in ("conan/conanfile.py", "vcpkg/vcpkg.json", "vcpkg/portfile.cmake"):
        path = home / name
        text = path.read_text(encoding="utf-8").replace("@VERSION@", version).replace("@URL@", url)
        text = re.sub("@SHA512:(.+?)@", lambda found: checksum("sha512", archives.get(found[1])), text)
        path.write_text(text, encoding="utf-8")
    sources = {CONAN[target]: {"url": f"{url}/{path.name}", "sha256": checksum("sha256", path)} for target, path in archives.items()}
    # JSON is YAML.
    (home / "conan" / "conandata.yml").write_text(json.dumps({"archives": sources}, indent=2) + "\n", encoding="utf-8")
    print(f"dist/recipes: for {', '.join(archives)}")
    return 0


def checksum(kind: str, path: Path | None) -> str:
    return hashlib.new(kind, path.read_bytes()).hexdigest() if path else ""


if __name__ == "__main__":
    raise SystemExit(main())
