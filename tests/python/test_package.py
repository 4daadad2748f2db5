"""The package as users get it: a wheel with the library inside, its types, and the program in README.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, echo, run_python

from wsabi._library import LIBRARY

PACKAGE = ROOT / "bindings" / "python"


def command(*words: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "WSABI_LIBRARY")}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, env={**inherited, **environment}, cwd=str(ROOT / "build")
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


BUILD = "import sys; from hatchling import build; print(build.build_{}(sys.argv[1]))"


def build(kind: str, place: Path, home: Path = PACKAGE, **environment: str) -> Path:
    place.mkdir()
    script = f"import os; os.chdir({str(home)!r}); {BUILD.format(kind)}"
    return place / command(sys.executable, "-c", script, str(place), **environment).splitlines()[-1]


def test_a_wheel_brings_the_library_and_works_in_a_fresh_place(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    wheel = build("wheel", tmp_path / "wheels", WSABI_LIBRARY=LIBRARY)
    assert re.fullmatch(r"wsabi-[0-9.]+-py3-none-(?!any)\w+\.whl", wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    assert "wsabi/libwsabi.so.1" in names and "wsabi/py.typed" in names and not any("test" in name for name in names)
    licences = {Path(name).name for name in names if "dist-info/licenses/" in name}
    assert {"LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-NOTICES.txt"} <= licences
    fresh = tmp_path / "fresh"
    command(sys.executable, "-m", "venv", str(fresh))
    command(str(fresh / "bin" / "pip"), "install", "--no-index", "--disable-pip-version-check", str(wheel))
    script = """
import wsabi, wsabi._library
from wsabi.protocol import ClientProtocol
assert ClientProtocol("ws://example.com/").data_to_send().startswith(b"GET / HTTP/1.1")
print(wsabi.__version__, wsabi._library.LIBRARY)
"""
    version, library = command(str(fresh / "bin" / "python"), "-I", "-W", "error", "-c", script).split()
    assert library.startswith(str(fresh)) and f"wsabi-{version}-" in wheel.name
    assert "usage: python -m wsabi" in command(str(fresh / "bin" / "python"), "-m", "wsabi", "--help")


def test_a_clone_builds_its_own_library(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    wheel = build("wheel", tmp_path / "wheels")
    library = zipfile.ZipFile(wheel).read("wsabi/libwsabi.so.1")
    assert library[:4] == b"\x7fELF" and b"ws_output_take" in library
    zipfile.ZipFile(wheel).extract("wsabi/libwsabi.so.1", tmp_path)
    sections = command("readelf", "-SW", str(tmp_path / "wsabi" / "libwsabi.so.1"))
    assert ".dynsym" in sections and ".debug" not in sections, "the wheel carries debug information"


def test_a_clone_builds_where_cargo_is_told_to(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    metadata = command("cargo", "metadata", "--format-version", "1", "--no-deps", "--manifest-path", str(ROOT / "Cargo.toml"))
    # Where it has been built already; the name is relative to the directory that cargo is started in.
    target = os.path.relpath(json.loads(metadata)["target_directory"], ROOT)
    wheel = build("wheel", tmp_path / "wheels", CARGO_TARGET_DIR=target)
    assert "wsabi/libwsabi.so.1" in zipfile.ZipFile(wheel).namelist()


def test_an_sdist_carries_the_crate_and_builds_the_library(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    archive = build("sdist", tmp_path / "sources")
    command("tar", "-xzf", str(archive), "-C", str(tmp_path))
    home = tmp_path / archive.name[: -len(".tar.gz")]
    assert (home / "PKG-INFO").is_file() and not (home / "crate" / "tests" / "python").exists()
    # What the crate depends on has been built there already.
    target = ROOT / "target"
    wheel = build("wheel", tmp_path / "wheels", home, CARGO_TARGET_DIR=str(target))
    assert b"ws_output_take" in zipfile.ZipFile(wheel).read("wsabi/libwsabi.so.1")


def test_sources_without_the_crate_say_what_they_need(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    archive = build("sdist", tmp_path / "sources")
    command("tar", "-xzf", str(archive), "-C", str(tmp_path))
    home = tmp_path / archive.name[: -len(".tar.gz")]
    shutil.rmtree(home / "crate")
    with pytest.raises(AssertionError, match="build from a clone"):
        build("wheel", tmp_path / "wheels", home)
    assert build("wheel", tmp_path / "named", home, WSABI_LIBRARY=LIBRARY).is_file()
    with pytest.raises(AssertionError, match="no such file"):
        build("wheel", tmp_path / "none", home, WSABI_LIBRARY="/nowhere/libwsabi.so")


def test_a_wheel_is_for_the_platform_that_is_named(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    for number, (tag, name) in enumerate(
        [("musllinux_1_2_aarch64", "libwsabi.so.1"), ("macosx_11_0_arm64", "libwsabi.dylib"), ("win_amd64", "wsabi.dll")]
    ):
        wheel = build("wheel", tmp_path / str(number), WSABI_LIBRARY=LIBRARY, WSABI_WHEEL_PLATFORM=tag)
        assert wheel.name.endswith(f"-py3-none-{tag}.whl") and f"wsabi/{name}" in zipfile.ZipFile(wheel).namelist()


def test_a_wheel_for_the_systems_library_has_none(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    wheel = build("wheel", tmp_path / "wheels", WSABI_LIBRARY="system")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not any(name.startswith("wsabi/libwsabi") for name in zipfile.ZipFile(wheel).namelist())


def programs(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def test_the_program_of_the_readme_says_hello() -> None:
    (program,) = programs(ROOT / "README.md")
    done = run_python(program, timeout=20)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


@pytest.mark.parametrize("number", range(len(programs(PACKAGE / "README.md"))))
def test_the_programs_of_the_packages_readme_run(number: int, serving: Any) -> None:
    program = programs(PACKAGE / "README.md")[number]
    server, url = serving(echo)
    program = program.replace("ws://localhost:8001/", url).replace("8001", "0")
    if "serve_forever" in program:
        # A server is done when it listens.
        program = program.replace("server.serve_forever()", "print(server.port > 0)")
    done = run_python(program, timeout=20)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def test_the_types_are_for_users_too(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "from wsabi.sync import connect\n"
        "def main() -> None:\n"
        "    with connect('ws://localhost/') as ws:\n"
        "        ws.send(b'x')\n"
        "        text: str = ws.recv(decode=True)\n"
        "        bad: int = ws.recv()\n"
        "        print(text, bad)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MYPYPATH": str(PACKAGE / "src")},
    )
    assert done.stdout.count("error:") == 1 and "program.py:6" in done.stdout, done.stdout


def test_importing_starts_no_thread_and_opens_nothing() -> None:
    done = run_python("import threading, wsabi, wsabi.sync, wsabi.protocol; print(threading.active_count())")
    assert done.stdout == "1\n", done.stderr
