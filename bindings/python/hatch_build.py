"""Puts the shared library into the wheel, whose tag is then of this platform, and of any Python 3.

The library is what WSABI_LIBRARY names, else built by cargo from the clone that this directory is in. Its debug information,
which is most of its size, is left out.
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
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = {"darwin": "libwsabi.dylib", "win32": "wsabi.dll"}
STRIP = ["strip", "-x"] if sys.platform == "darwin" else ["strip", "--strip-unneeded"]


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        library = os.environ.get("WSABI_LIBRARY")
        path = Path(library) if library else self.built()
        if not path.is_file():
            raise FileNotFoundError(f"WSABI_LIBRARY names {path}, and there is no such file")
        name = NAMES.get(sys.platform, "libwsabi.so.1")
        build_data["force_include"][str(self.stripped(path))] = f"wsabi/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"

    def built(self) -> Path:
        """Builds the library from the clone."""
        clone = Path(self.root).resolve().parent.parent
        if not (clone / "src" / "ffi").is_dir():
            raise RuntimeError(
                "the sources of the library are not here: build from a clone of the repository,"
                " or name a built library with WSABI_LIBRARY"
            )
        cargo = os.environ.get("CARGO") or shutil.which("cargo")
        if cargo is None:
            raise RuntimeError("cargo is needed to build the library; or name a built one with WSABI_LIBRARY")
        command = [cargo, "build", "--release", "--lib", "--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=clone, check=True, stdout=subprocess.PIPE)
        files = [Path(file) for line in done.stdout.splitlines() for file in json.loads(line).get("filenames", ())]
        return next(file for file in files if file.name == NAMES.get(sys.platform, "libwsabi.so"))

    def stripped(self, library: Path) -> Path:
        """A copy without debug information, which is there until finalize()."""
        self.place = tempfile.TemporaryDirectory()
        copy = Path(self.place.name) / library.name
        shutil.copy(library, copy)
        if sys.platform != "win32" and shutil.which(STRIP[0]):
            subprocess.run([*STRIP, str(copy)], check=True)
        return copy

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self.place.cleanup()


def platform_tag() -> str:
    """The platform in the words of a wheel's tag. On Linux a library for this machine's libc: `auditwheel` may say more."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
