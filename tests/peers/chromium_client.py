"""The battery run by the WebSocket of headless Chromium: chromium_page.html, served from here, reports back here."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from checks import Checks

PAGE = Path(__file__).with_name("chromium_page.html").read_bytes()
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
         " --disable-component-update --disable-sync").split()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and the browser with it
    report = Checks("chromium_client")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        http.told = threading.Event()
        threading.Thread(target=http.serve_forever, daemon=True).start()
        page = "http://127.0.0.1:%d/?url=%s" % (http.server_port, quote(sys.argv[1], safe=""))
        with browser(page):
            told = http.told.wait(25)
        http.shutdown()
    report.check(told, "the page reported")
    for ok, text in http.results:
        report.check(ok, text)
    report.done()


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path.startswith("/?") else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        if self.path.startswith("/?"):
            self.wfile.write(PAGE)

    def do_POST(self):
        self.server.results = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.told.set()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def browser(page):
    """Chromium and the processes that it starts, in a group of their own that ends with the block."""
    profile = tempfile.mkdtemp(prefix="peers-")
    process = subprocess.Popen(["chromium-headless-shell", *FLAGS, "--user-data-dir=" + profile, page],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)  # its last children may still be going


main()
