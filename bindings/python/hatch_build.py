"""Puts the shared library into the wheel, whose tag is then of its platform, and of any Python 3.

The library is what WSABI_LIBRARY names, else built by cargo: from the clone that this directory is in, or from the crate
that an sdist carries. Its debug information, which is most of its size, is left out. WSABI_WHEEL_PLATFORM is the tag of the
platform where the library is for another one than this, or for more: manylinux2014_x86_64. With WSABI_LIBRARY=system the
wheel has no library: it is for the one that the system's loader finds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Optional

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = {"macosx": "libwsabi.dylib", "win": "wsabi.dll"}
STRIP = ["strip", "-x"] if sys.platform == "darwin" else ["strip", "--strip-unneeded"]


class CustomBuildHook(BuildHookInterface):
    place: Optional[tempfile.TemporaryDirectory[str]] = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        library = os.environ.get("WSABI_LIBRARY")
        if library == "system":
            return
        path = Path(library) if library else self.built()
        if not path.is_file():
            raise FileNotFoundError(f"WSABI_LIBRARY names {path}, and there is no such file")
        name = NAMES.get(platform_tag().partition("_")[0], "libwsabi.so.1")
        build_data["force_include"][str(self.stripped(path))] = f"wsabi/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"

    def built(self) -> Path:
        """Builds the library from the clone, or from an sdist's crate."""
        home = Path(self.root).resolve()
        crate = home / "crate" if (home / "crate").is_dir() else home.parent.parent
        if not (crate / "src" / "ffi").is_dir():
            raise RuntimeError(
                "the sources of the library are not here: build from a clone of the repository or an sdist,"
                " or name a built library with WSABI_LIBRARY"
            )
        cargo = os.environ.get("CARGO") or shutil.which("cargo")
        if cargo is None:
            raise RuntimeError("cargo is needed to build the library; or name a built one with WSABI_LIBRARY")
        command = [cargo, "build", "--release", "--lib", "--locked", "--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=crate, check=True, stdout=subprocess.PIPE)
        files = [Path(file) for line in done.stdout.splitlines() for file in json.loads(line).get("filenames", ())]
        return next(file for file in files if file.name in ("libwsabi.so", *NAMES.values()))

    def stripped(self, library: Path) -> Path:
        """A copy without debug information, which is there until finalize()."""
        self.place = tempfile.TemporaryDirectory()
        copy = Path(self.place.name) / library.name
        shutil.copy(library, copy)
        if "WSABI_WHEEL_PLATFORM" not in os.environ and sys.platform != "win32" and shutil.which(STRIP[0]):
            subprocess.run([*STRIP, str(copy)], check=True)
        return copy

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.place is not None:
            self.place.cleanup()


def platform_tag() -> str:
    """The platform in the words of a wheel's tag; without WSABI_WHEEL_PLATFORM, on Linux, for this machine's libc."""
    named = os.environ.get("WSABI_WHEEL_PLATFORM")
    return named or sysconfig.get_platform().replace("-", "_").replace(".", "_")
