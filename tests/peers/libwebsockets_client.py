"""libwebsockets-test-client: URL [--echo]

Without --echo it sends one small text after the other and takes what comes back, until it is interrupted. With --echo
it calls random bytes text, which a server has to refuse with 1007. It checks nothing: that is done on the wire.
"""
import signal
import subprocess
import sys
import threading
import time

from checks import Checks


def main():
    url, *flags = sys.argv[1:]
    report = Checks("libwebsockets_client")
    client = subprocess.Popen(["libwebsockets-test-client", *(flags or ["--justmirror"]), url],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(10, client.kill)
    watchdog.start()
    report.check(logs(client, "CLIENT_ESTABLISHED"), "connected")
    if flags:
        report.check(logs(client, "CALLBACK_CLOSED"), "closed by the server")
    else:
        time.sleep(0.5)
        report.check(client.poll() is None, "still connected")
        client.send_signal(signal.SIGINT)
    client.communicate()
    watchdog.cancel()
    report.done()


def logs(client, words):
    return any(words in line for line in client.stderr)


main()
