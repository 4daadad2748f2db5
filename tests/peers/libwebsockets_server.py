"""libwebsockets-test-server on a free port of loopback."""
import signal
import socket
import subprocess
import sys
import time


def main():
    port = free_port()  # the program does not tell which port it got for 0
    server = subprocess.Popen(["libwebsockets-test-server", "--port", str(port), "--interface", "lo"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    wait_until_open(port)
    print("listening on ws://127.0.0.1:%d/" % port, flush=True)
    server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(port):
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
    sys.exit("libwebsockets-test-server does not listen")


main()
