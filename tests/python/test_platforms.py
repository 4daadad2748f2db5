"""What the package does on the other systems, as far as that can be seen from this one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run_python

from wsabi import _errors, _handle, exceptions
from wsabi._library import LIBRARY
from wsabi._tables import Status

PACKAGE = ROOT / "bindings/python/src/wsabi"
WSAECONNREFUSED = 10061


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_no_call_is_made_that_the_platform_does_not_have(platform: str, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--platform", platform, "--cache-dir", str(tmp_path), str(PACKAGE)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("platform", "name"), [("win32", "wsabi.dll"), ("darwin", "libwsabi.dylib"), ("linux", "libwsabi.so.1")]
)
def test_the_library_has_the_name_that_the_platform_gives_it(platform: str, name: str, tmp_path: Path) -> None:
    for source in PACKAGE.glob("*.py"):
        (tmp_path / "wsabi" / source.name).parent.mkdir(exist_ok=True)
        (tmp_path / "wsabi" / source.name).write_bytes(source.read_bytes())
    script = f"""if True:
        import ctypes, os, sys
        opened = []
        def opening(kind):
            def open(path, **options):
                opened.append((path, options))
                return kind({LIBRARY!r})
            return open
        ctypes.PyDLL, ctypes.CDLL = opening(ctypes.PyDLL), opening(ctypes.CDLL)
        os.environ.pop("WSABI_LIBRARY", None)
        sys.path.insert(0, {str(tmp_path)!r})
        sys.platform = {platform!r}
        import wsabi._library as library
        print(*[path for path, _ in opened], opened[1][1]["use_last_error"])
        open(os.path.join({str(tmp_path)!r}, "wsabi", {name!r}), "w").close()
        print(library.find())
        os.environ["WSABI_LIBRARY"] = "elsewhere"
        print(library.find())
    """
    done = run_python(script)
    expected = [f"{name} {name} {platform == 'win32'}", str(tmp_path / "wsabi" / name), "elsewhere"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_an_error_of_windows_is_handed_to_python_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Recorded(OSError):
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(_errors, "OSError", Recorded, raising=False)
    monkeypatch.setattr(ctypes, "FormatError", lambda code: f"in the words of Windows: {code}", raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: WSAECONNREFUSED, raising=False)
    monkeypatch.setattr(os, "strerror", lambda code: pytest.fail("not a code that strerror() knows"))
    exceptions.from_status(Status.ERR_IO, "refused", WSAECONNREFUSED)
    # The fourth argument: Python makes errno, and with it the class, of it.
    assert made.pop() == (0, "refused", None, WSAECONNREFUSED)
    _errors.os_error(_errors.last_code())
    assert made.pop() == (0, f"in the words of Windows: {WSAECONNREFUSED}", None, WSAECONNREFUSED)
    exceptions.from_status(Status.ERR_IO, "no code", 0)
    assert made.pop() == ("no code",)


def test_an_error_of_posix_has_its_errno_and_its_class() -> None:
    error = exceptions.from_status(Status.ERR_IO, "", 111 if sys.platform == "linux" else 61)
    assert isinstance(error, ConnectionRefusedError)
    with pytest.raises(OSError, match="cannot be listened at") as caught:
        _handle.Listener(_handle.Config(), "ws://203.0.113.1:1/")
    assert caught.value.errno


# What Python on Windows does not have.
WITHOUT_POSIX = """if True:
    import asyncio, functools, os, select, signal, socket, threading
    socket.socketpair = functools.partial(socket.socketpair, socket.AF_UNIX)  # which Windows makes of TCP
    for module, names in {
        os: "fork forkpty register_at_fork getuid geteuid pread sendfile uname",
        select: "poll epoll kqueue POLLIN POLLOUT",
        socket: "AF_UNIX recvmsg recv_fds send_fds CMSG_LEN",
        signal: "SIGPIPE SIGALRM SIGHUP SIGUSR1 SIGCHLD setitimer pthread_sigmask",
    }.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    import selectors
    selectors.DefaultSelector = selectors.SelectSelector

    class Proactor(asyncio.SelectorEventLoop):
        def no(self, *arguments):
            raise NotImplementedError
        add_reader = remove_reader = add_writer = remove_writer = add_signal_handler = no

    import wsabi.__main__, wsabi.protocol, wsabi.sync.keeper
    from wsabi.asyncio import connect, serve
    import wsabi.sync

    def echo(ws):
        for message in ws:
            ws.send(message)

    with wsabi.sync.serve(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for options in ({}, {"source_address": ("127.0.0.1", 0)}):
            with wsabi.sync.connect(f"ws://127.0.0.1:{server.port}/", proxy=None, **options) as ws:
                for size in (5, 2_000_000):
                    ws.send("x" * (size // 5)); assert len(ws.recv(timeout=10)) == size // 5
                assert ws.ping().wait(5)
    print("sync")
    for call in (lambda: wsabi.sync.unix_connect("/nowhere"), lambda: wsabi.sync.unix_serve(echo, "/nowhere")):
        try:
            call()
        except NotImplementedError as error:
            print(error)

    async def main():
        async def back(ws):
            async for message in ws:
                await ws.send(message)
        async with serve(back, "127.0.0.1", 0) as server:
            url = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
            async with connect(url, proxy=None) as ws:
                await ws.send("x" * 400_000)
                assert len(await ws.recv()) == 400_000
                await (await ws.ping())
            try:
                await connect(url, proxy="http://127.0.0.1:1")
            except NotImplementedError as error:
                print(error)
    loop = Proactor()
    loop.run_until_complete(main())
    loop.close()
    print("asyncio")
"""


def test_nothing_is_called_that_python_on_windows_does_not_have() -> None:
    done = run_python(WITHOUT_POSIX, timeout=40)
    assert done.stdout.splitlines() == [
        "sync",
        "Python has no Unix sockets on this system: use TCP",
        "Python has no Unix sockets on this system: use TCP",
        "Proactor cannot watch a socket, which a proxy needs: run an asyncio.SelectorEventLoop, use wsabi.sync, or set proxy=None",
        "asyncio",
    ], done.stderr
