"""What the tests share: servers in threads, certificates, and the last line that counts."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# The network is this machine's alone.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

# A job in the background ignores Ctrl-C, and so would the programs that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

PATIENCE = 60  # seconds for one test; then all threads are shown, and the run ends


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    # Where everything can be installed, nothing may be missing.
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, with CI=true: {report.longrepr}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    count = {name: len(terminalreporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    terminalreporter.write_line(
        f"{count['passed']} passed, {count['failed'] + count['error']} failed, {count['skipped']} skipped"
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def serving() -> Iterator[Any]:
    """`serving(handler, **options)` starts a server of wsabi.sync, and gives it and its URL."""
    from wsabi.sync import serve

    with contextlib.ExitStack() as stack:

        def start(handler: Any, *, name: str = "127.0.0.1", **options: Any) -> tuple[Any, str]:
            server = serve(handler, "127.0.0.1", 0, **options)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(server.shutdown)
            scheme = "wss" if options.get("ssl") is not None else "ws"
            return server, f"{scheme}://{name}:{server.port}/"

        yield start


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, and its key, in PEM."""
    home = tmp_path_factory.mktemp("tls")
    chain, key = home / "cert.pem", home / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split()
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    command = ["openssl", *words, *names, "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return chain, key


def run_python(script: str, *arguments: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def echo(ws: Any) -> None:
    for message in ws:
        ws.send(message)
