#!/usr/bin/env python3
"""Prints the bill of materials of the library for a target (a triple of Rust's), as CycloneDX 1.5 in JSON.

    sbom.py TARGET

The components are those of THIRD-PARTY-NOTICES.txt: the crates that cargo links, with the checksums of Cargo.lock, and the
standard library of Rust. The same sources give the same bytes: the time is SOURCE_DATE_EPOCH, and without it left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from typing import Any

from notices import ROOT, linked_packages


def main() -> int:
    (target,) = sys.argv[1:]
    packages = linked_packages(target)
    checksums = locked_checksums()
    crates = [component(package, checksums) for package in packages]
    std = {
        "type": "library",
        "bom-ref": "rust-std",
        "name": "std",
        "description": "the standard library of Rust, and what is linked along with it",
        "version": rust_version(),
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }
    version = wsabi_version()
    wsabi = {
        "type": "library",
        "bom-ref": f"pkg:cargo/wsabi@{version}",
        "name": "wsabi",
        "version": version,
        "purl": f"pkg:cargo/wsabi@{version}",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }
    metadata: dict[str, Any] = {"component": wsabi, "properties": [{"name": "wsabi:target", "value": target}]}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        metadata["timestamp"] = datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": metadata,
        "components": [*crates, std],
        "dependencies": [{"ref": wsabi["bom-ref"], "dependsOn": [part["bom-ref"] for part in (*crates, std)]}],
    }
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))}"
    json.dump(bom, sys.stdout, indent=1)
    print()
    return 0


def component(package: dict[str, Any], checksums: dict[tuple[str, str], str]) -> dict[str, Any]:
    name, version = package["name"], package["version"]
    return {
        "type": "library",
        "bom-ref": f"pkg:cargo/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:cargo/{name}@{version}",
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        "hashes": [{"alg": "SHA-256", "content": checksums[name, version]}],
    }


def locked_checksums() -> dict[tuple[str, str], str]:
    text = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    found = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = .*\nchecksum = "(.+)"', text)
    return {(name, version): checksum for name, version, checksum in found}


def wsabi_version() -> str:
    version: str = re.findall(r'(?m)^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"))[0]
    return version


def rust_version() -> str:
    command = [os.environ.get("RUSTC", "rustc"), "--version"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]


if __name__ == "__main__":
    raise SystemExit(main())
