#!/usr/bin/env python3
"""Our engine over what lies between real programs: TLS, proxies, servers in front, Unix sockets.

    transports.py [--only WORD]

Runs build/bin/echo_server, build/bin/client and build/bin/peer_client against OpenSSL, Python's websockets and Node's
ws, through tinyproxy, microsocks, nginx and haproxy. All of them are started here, on free ports of the loopback.
"""
import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import namedtuple
from functools import partial
from hashlib import sha1
from pathlib import Path

import certificates
from between import haproxy, haproxy_passing_tls, haproxy_that_checks, microsocks, nginx, nginx_to_unix, tinyproxy
from between import CERTIFICATES, PASSWORD, USER, WORK, key, pem
from programs import BIN, ECHO, NODE_MODULES, PYTHON, Failure, Skipped, free_port, must, run_client, running, server
from programs import wait_for

HERE = Path(__file__).resolve().parent
CLIENT, BATTERY = BIN / "client", BIN / "peer_client"
PYTHON_CLIENT, PYTHON_SERVER = [PYTHON, HERE / "python_client.py"], [PYTHON, HERE / "python_server.py"]
NODE_CLIENT, NODE_SERVER = ["node", HERE / "node_client.js"], ["node", HERE / "node_server.js"]

KNOWN_TO_PROXY = "only-the-proxy-knows.peers.test"

# Said by our client where it is refused, as regular expressions.
UNTRUSTED = "the server's certificate is signed by an authority that is not trusted"
NO_TLS = "the peer does not speak TLS"
MISSING = "the proxy requires a user name and a password, but none were given"
WRONG = "the proxy rejected the user name and password"

# What becomes of who has no certificate, or a stranger's, where one is asked for: as told by a client of others and by
# ours. Python's asyncio neither sends the alert that says so nor passes it on; Node sends the first of them.
REFUSALS = {
    "websockets": (["did not receive a valid HTTP response"] * 2, ["WS_ERR_HANDSHAKE|WS_ERR_IO"] * 2),
    "ws": (["alert certificate required", "alert unknown ca"],
           ["the client must present a certificate", "WS_ERR_HANDSHAKE|WS_ERR_IO"]),
    "ours": ([], ["the client must present a certificate", "the peer refused our certificate: it is signed by .*"]),
}

# One line of the report: what has to be installed for it, and the test.
Row = namedtuple("Row", "name needs run")


def rows():
    for version in "tls1_2", "tls1_3":
        for asks in False, True:
            words = "openssl s_server %s%s" % (version, ", asks for a certificate" if asks else "")
            yield Row(words, ["openssl"], partial(s_server, version, asks))
            yield Row(words.replace("server", "client"), ["openssl"], partial(s_client, version, asks))
    yield Row("openssl s_server without TLS 1.2", ["openssl"], s_server_of_old)
    yield Row("openssl s_server renegotiates", ["openssl"], s_server_renegotiates)
    yield Row("openssl s_server has nothing in common", ["openssl"], s_server_of_another_kind)
    yield Row("openssl s_client offers another ALPN", ["openssl"], s_client_with_other_alpn)
    for peer, client, server, need in (("websockets", PYTHON_CLIENT, PYTHON_SERVER, PYTHON),
                                       ("ws", NODE_CLIENT, NODE_SERVER, NODE_MODULES / "ws")):
        to_client, to_us = REFUSALS[peer]
        yield Row("wss %s client" % peer, [need], partial(wss, [ECHO], client))
        yield Row("wss %s server" % peer, [need], partial(wss, server, [BATTERY]))
        yield Row("wss %s client with a certificate" % peer, [need],
                  partial(wss_with_certificates, [ECHO], client, *to_client))
        yield Row("wss %s server asks for a certificate" % peer, [need],
                  partial(wss_with_certificates, server, [BATTERY], *to_us))
        yield Row("unix %s client" % peer, [need], partial(unix, [ECHO], client, peer + "-client"))
        yield Row("unix %s server" % peer, [need], partial(unix, server, [BATTERY], peer + "-server"))
    yield Row("wss ours", [], partial(wss, [ECHO], [BATTERY]))
    yield Row("wss ours with a certificate", [], partial(wss_with_certificates, [ECHO], [BATTERY], *REFUSALS["ours"][1]))
    yield Row("unix ours", [], partial(unix, [ECHO], [BATTERY], "ours"))
    yield Row("unix abstract name", [], unix_abstract)
    yield Row("unix nobody there", [], unix_nobody)

    yield Row("name told to the server (SNI, ALPN)", [], sni)
    for cert, sentence in (
        ("expired", "the server's certificate expired on 2020-01-02"),
        ("future", "the server's certificate is not valid before 2098-01-01"),
        ("elsewhere", "the server's certificate is for elsewhere.test, not for localhost"),
        ("selfsigned", "the server's certificate is self-signed and not trusted"),
        ("unknown", UNTRUSTED),
    ):
        yield Row("bad certificate: " + cert, [], partial(bad_certificate, cert, sentence))
    yield Row("no TLS: HTTP", [], partial(no_tls, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
    yield Row("no TLS: garbage", [], partial(no_tls, bytes(range(255, -1, -1)) * 4))
    yield Row("roots of the system (SSL_CERT_FILE)", [], roots_of_the_system)
    yield Row("a pinned certificate that signed itself", [], pinned)

    yield Row("a chain with an authority between", [], chain)
    yield Row("kinds of keys", ["openssl"], kinds_of_keys)

    for proxy, scheme in (tinyproxy, "http"), (microsocks, "socks5"):
        name, needs = proxy.__name__, [proxy.__name__]
        yield Row(name + " ws", needs, partial(through_proxy, proxy, scheme, False, False))
        yield Row(name + " wss", needs, partial(through_proxy, proxy, scheme, True, False))
        yield Row(name + " wss with a password", needs, partial(through_proxy, proxy, scheme, True, True))
        yield Row(name + " refuses", needs, partial(proxy_refuses, proxy, scheme))
        yield Row(name + " resolves the name", needs + ["unshare"], partial(proxy_resolves, proxy, scheme))
        yield Row(name + " cannot reach", needs, partial(proxy_cannot_reach, proxy, scheme))
        yield Row(name + " of the environment", needs, partial(environment, proxy, scheme))
    yield Row("tinyproxy forbids", ["tinyproxy"], proxy_forbids)
    yield Row("IPv6, and through proxies", ["microsocks", "tinyproxy"], ipv6)
    yield Row("no proxy at all", [], no_proxy_there)

    clients = ("ours", [BATTERY], None), ("websockets", PYTHON_CLIENT, PYTHON), ("ws", NODE_CLIENT, NODE_MODULES / "ws")
    for front in nginx, nginx_to_unix, haproxy, haproxy_passing_tls:
        name, needs = front.__name__.replace("_", " "), [front.__name__.split("_")[0]]
        for peer, client, need in clients:
            yield Row("%s, %s client" % (name, peer), needs + [need] * bool(need), partial(behind, front, client))
        yield Row(name + ", idle", needs, partial(idle, front))
        yield Row(name + ", the server closes", needs + [PYTHON], partial(server_closes, front))
    for scheme in "ws", "wss":
        yield Row("haproxy checks the health of a %s server" % scheme, ["haproxy"], partial(health_checks, scheme))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", metavar="WORD", help="only the rows with this in their name")
    only = parser.parse_args().only
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    for name in list(os.environ):  # what the machine says of proxies and certificates is no part of this
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            del os.environ[name]
    os.environ["NODE_PATH"] = str(NODE_MODULES)
    os.environ["PATH"] += ":/usr/sbin"  # nginx and haproxy
    if not shutil.which("openssl"):
        print("transports: skipped, there is no openssl: setup.sh installs it\n0 passed, 0 failed, 1 skipped")
        sys.exit(os.environ.get("CI") == "true")
    shutil.rmtree(WORK, ignore_errors=True)
    CERTIFICATES.mkdir(parents=True)
    certificates.make(CERTIFICATES)

    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for row in rows():
        if only in row.name:
            outcome, told = run_row(row)
            print("transport %s: %s" % (row.name, told), flush=True)
            counts[outcome] += 1
    print(", ".join("%d %s" % (count, outcome) for outcome, count in counts.items()))
    if counts["failed"] or (counts["skipped"] and os.environ.get("CI") == "true"):
        sys.exit(1)


def run_row(row):
    for need in row.needs:
        if not (need.exists() if isinstance(need, Path) else shutil.which(need)):
            return "skipped", "skipped, there is no %s: setup.sh installs it" % need
    start = time.monotonic()
    try:
        row.run()
    except Skipped as skipped:
        return "skipped", "skipped, %s" % skipped
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        return "failed", "FAILED: %s" % failure
    return "passed", "ok (%.1f s)" % (time.monotonic() - start)


# What the tests are made of


def trusting(name=certificates.AUTHORITY):
    return ["--cacert", pem(name)]


def showing(name):
    return ["--cert", pem(name), "--key", key(name)]


Said = namedtuple("Said", "status out err")


def talk(*words, text="hello\n", **environment):
    """Our command-line client, which is to send one line and leave with the echo."""
    done = subprocess.run(
        [CLIENT, "--count", "1", "--wait", "5", "--timeout", "5", *words], input=text, capture_output=True, text=True,
        timeout=20, env=dict(os.environ, **environment))
    must(PASSWORD not in done.stderr, "the password is told", done.stderr)
    return Said(done.returncode, done.stdout, done.stderr)


def echoes(*words, **environment):
    said = talk(*words, **environment)
    must(said == (0, "hello\n", ""), "no echo", *words, said)


def is_refused(sentence, *words, **environment):
    """The client is to end with status 1 and this sentence, and to print nothing else."""
    said = talk(*words, **environment)
    must(said.status == 1 and said.out == "", "not refused", *words, said)
    must(re.fullmatch("client: cannot connect to [^ ]+: (%s)\n" % sentence, said.err), "another sentence", sentence, said.err)


# OpenSSL's own programs, which know nothing of WebSocket: the frames are written here


CLOSE_FRAME = b"\x88\x02" + struct.pack("!H", 1000)


def s_server(version, asks):
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-" + version, "-alpn", "http/1.1", "-cert",
               pem("server"), "-key", key("server")]
    if asks:
        command += ["-Verify", "1", "-verify_return_error", "-CAfile", pem(certificates.AUTHORITY)]
    with running(command, stdin=subprocess.PIPE) as (process, output):
        url = "wss://localhost:%s/" % wait_for(output, r"ACCEPT [\d.]+:(\d+)")[1]
        if asks:
            is_refused("the client must present a certificate", *trusting(), url)
            is_refused("the peer refused our certificate: it is signed by .*", *trusting(), *showing("unknown"), url)
        client = partial(echoes, *trusting(), *(showing("client") if asks else []), url)
        with in_background(client):
            accept_by_hand(process, output, b"\x81\x05hello")
            time.sleep(0.2)  # its Close has come by then
            process.stdin.write(CLOSE_FRAME)
            process.stdin.close()  # ends the connection, too
        wait_for(output, "ALPN protocols selected: http/1.1")
        wait_for(output, "CIPHER is " + ("TLS_" if version == "tls1_3" else "ECDHE-"))
        if asks:
            wait_for(output, "subject=CN = client")


def accept_by_hand(process, output, then=b""):
    """s_server takes the request that it has shown, and goes on with these bytes."""
    accepted = accept_of(wait_for(output, "Sec-WebSocket-Key: (.*)\r")[1])
    process.stdin.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n" + then)
    process.stdin.flush()


def s_server_renegotiates():
    """As servers do with TLS 1.2 that want a certificate for some paths only."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-cert", pem("server"), "-key", key("server")]
    with running(command, stdin=subprocess.PIPE) as (process, output):
        url = "wss://localhost:%s/" % wait_for(output, r"ACCEPT [\d.]+:(\d+)")[1]

        def client():
            said = talk(*trusting(), url)
            must(said.status == 1 and "the peer requested a renegotiation (TLS 1.2), which is not supported" in said.err,
                 "another sentence", said)

        with in_background(client):
            accept_by_hand(process, output)
            time.sleep(0.2)
            process.stdin.write(b"r\n")
            process.stdin.flush()


def s_server_of_another_kind():
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-cipher", "AES128-SHA", "-cert", pem("rsa"),
               "-key", key("rsa")]
    with running(command, stdin=subprocess.PIPE) as (_, output):
        url = "wss://localhost:%s/" % wait_for(output, r"ACCEPT [\d.]+:(\d+)")[1]
        is_refused("the peer refused the TLS handshake: it found no cipher suite or signature in common", *trusting(), url)


def s_server_of_old():
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-cert",
               pem("server"), "-key", key("server")]
    with running(command, stdin=subprocess.PIPE) as (_, output):
        url = "wss://localhost:%s/" % wait_for(output, r"ACCEPT [\d.]+:(\d+)")[1]
        is_refused("the peer supports neither TLS 1.2 nor TLS 1.3", *trusting(), url)


def s_client(version, asks):
    ours = showing("server") + (["--client-ca", pem(certificates.AUTHORITY)] if asks else [])
    with server(ECHO, "wss://127.0.0.1:0/", *ours) as url:
        words = ["-" + version, "-alpn", "http/1.1"]
        if asks:
            must(b" 101 " not in by_s_client(url, *words), "served without a certificate")
            heard = by_s_client(url, *words, "-cert", pem("unknown"), "-key", key("unknown"))
            must(b" 101 " not in heard, "served with a stranger's certificate")
            words += ["-cert", pem("client"), "-key", key("client")]
        heard = by_s_client(url, *words)
        for expected in (b"Verify return code: 0 (ok)", b"ALPN protocol: http/1.1", b"HTTP/1.1 101 ",
                         b"\x81\x05hello" + CLOSE_FRAME, version.replace("tls", "TLSv").replace("_", ".").encode()):
            must(expected in heard, "%r is missing" % expected, heard.decode(errors="replace"))


def s_client_with_other_alpn():
    with server(ECHO, "wss://127.0.0.1:0/", *showing("server")) as url:
        heard = by_s_client(url, "-alpn", "h2")
        must(b"no application protocol" in heard and b" 101 " not in heard, "served", heard.decode(errors="replace"))
        must(b" 101 " in by_s_client(url), "not served without ALPN")


def by_s_client(url, *words):
    """What s_client says, and hears from our server, when it asks for an echo and closes."""
    mask = b"\x00\x00\x00\x00"
    request = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
               b"\x81\x85" + mask + b"hello" b"\x88\x82" + mask + CLOSE_FRAME[2:])
    done = subprocess.run(
        ["openssl", "s_client", "-connect", url.split("/")[2], "-ign_eof", "-servername", "localhost",
         "-verify_hostname", "localhost", "-verify_return_error", "-CAfile", pem(certificates.AUTHORITY), *words],
        input=request, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
    return done.stdout


def accept_of(websocket_key):
    return b64encode(sha1((websocket_key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())


@contextlib.contextmanager
def in_background(check):
    """Runs a check beside the block, and fails as it does."""
    failures = []

    def run():
        try:
            check()
        except (Failure, subprocess.SubprocessError) as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        if failures:
            raise Failure(str(failures[0]))


# The battery over TLS and over Unix sockets


def wss(serving, client):
    with server(*serving, "wss://127.0.0.1:0/", *showing("server")) as url:
        run_client([*client, url, *trusting()])
        run_client([*client, url.replace("127.0.0.1", "localhost"), *trusting()])


def wss_with_certificates(serving, client, without, unknown):
    """The server asks for certificates: what is said to who has none, and to who has a stranger's."""
    asking = "--client-ca" if serving[0] == ECHO else "--cacert"
    with server(*serving, "wss://127.0.0.1:0/", *showing("server"), asking, pem(certificates.AUTHORITY)) as url:
        run_client([*client, url, *trusting(), *showing("client")])
        for words, told in ([], without), (showing("unknown"), unknown):
            with running([*client, url, *trusting(), *words]) as (process, output):
                must(process.wait(10) != 0, "served all the same", words)
                wait_for(output, told)


def unix(serving, client, name):
    path = WORK / (name + ".socket")
    with server(*serving, "ws+unix://%s:/" % path) as url:
        run_client([*client, url])
    must(serving[0] != ECHO or not path.exists(), "the socket's file is left behind")


def unix_abstract():
    with server(ECHO, "ws+unix://@wsabi-peers-%d:/" % os.getpid()) as url:
        run_client([BATTERY, url])


def unix_nobody():
    is_refused(".*No such file or directory.*", "ws+unix://%s/nobody:/" % WORK)


# Names, and certificates that are no good


TEAPOT = b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"


class Listener:
    """Takes connections with Python's ssl, and notes what it hears. Where `cert` is None it speaks no TLS."""

    def __init__(self, cert, says):
        self.says = says
        self.heard = b""
        self.name = self.alpn = None
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pem(cert), key(cert))
            self.context.set_alpn_protocols(["h2", "http/1.1"])
            self.context.sni_callback = self.note_name
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def note_name(self, _socket, name, _context):
        self.name = name

    def serve(self):
        with contextlib.suppress(OSError):  # __exit__ ends it
            while True:
                connection, _ = self.socket.accept()
                with contextlib.suppress(OSError), connection:  # a failed session is one, too
                    connection.settimeout(5)
                    self.answer(connection)

    def answer(self, connection):
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
            self.alpn = connection.selected_alpn_protocol()
        with connection:
            self.heard += connection.recv(1 << 16)
            connection.sendall(self.says)
            while connection.recv(1 << 16):
                pass


def sni():
    for host, name in ("localhost", "localhost"), ("127.0.0.1", None):
        with Listener("server", TEAPOT) as listener:
            said = talk(*trusting(), "wss://%s:%d/" % (host, listener.port))
        must(said.status == 3 and "status 418" in said.err, "no answer", said)
        must((listener.name, listener.alpn) == (name, "http/1.1"), "SNI or ALPN", listener.name, listener.alpn)
        must(listener.heard.startswith(b"GET / HTTP/1.1\r\n"), "no request", listener.heard)


def bad_certificate(cert, sentence):
    with Listener(cert, TEAPOT) as listener:
        url = "wss://localhost:%d/" % listener.port
        is_refused(sentence, *trusting(), "--header", "Authorization: Bearer " + PASSWORD, url)
        must(listener.heard == b"", "it was told", listener.heard)
        said = talk(*trusting(), "--insecure", url)
        must(said.status == 3 and listener.heard.startswith(b"GET / "), "--insecure", said)


def no_tls(says):
    with Listener(None, says) as listener:
        is_refused(NO_TLS, *trusting(), "wss://localhost:%d/" % listener.port)
        must(listener.heard.startswith(b"\x16\x03"), "no ClientHello", listener.heard)
        must(b"GET" not in listener.heard and b"Upgrade" not in listener.heard, "it was told", listener.heard)
        is_refused(NO_TLS, "--insecure", "wss://localhost:%d/" % listener.port)


def roots_of_the_system():
    with server(ECHO, "wss://127.0.0.1:0/", *showing("server")) as url:
        echoes(url, SSL_CERT_FILE=pem(certificates.AUTHORITY))
        is_refused(UNTRUSTED, url, SSL_CERT_FILE=pem(certificates.STRANGER))
        # Roots of one's own replace them.
        is_refused(UNTRUSTED, *trusting(certificates.STRANGER), url, SSL_CERT_FILE=pem(certificates.AUTHORITY))


def pinned():
    with server(ECHO, "wss://127.0.0.1:0/", *showing("selfsigned")) as url:
        echoes(*trusting("selfsigned"), url)


def chain():
    key_of_chain = ["--key", key("chained")]
    with server(ECHO, "wss://127.0.0.1:0/", "--cert", pem("chain"), *key_of_chain) as url:
        echoes(*trusting(), url)
    with server(ECHO, "wss://127.0.0.1:0/", "--cert", pem("chained"), *key_of_chain) as url:
        is_refused(UNTRUSTED, *trusting(), url)
        echoes(*trusting("between"), url)


def kinds_of_keys():
    kinds = [(kind, kind) for kind in certificates.KEYS]
    for cert, its_key in kinds + [("rsa", "pkcs1"), ("server", "sec1")]:
        with server(ECHO, "wss://127.0.0.1:0/", "--cert", pem(cert), "--key", key(its_key)) as url:
            echoes(*trusting(), url)
            must(b" 101 " in by_s_client(url), "s_client takes no %s" % its_key)
    said = talk("--cert", pem("server"), "--key", key("encrypted"), "wss://localhost/")
    must(said.status == 2 and "not encrypted" in said.err, "an encrypted key is taken", said)


# Proxies


def via(scheme, port, login=""):
    return ["--proxy", "%s://%s%s127.0.0.1:%d" % (scheme, login, "@" * bool(login), port)]


def through_proxy(proxy, scheme, secure, locked):
    listen = ["wss://127.0.0.1:0/", *showing("server")] if secure else ["ws://127.0.0.1:0/"]
    with server(ECHO, *listen) as url, proxy(locked) as (port, output):
        login = USER + ":" + PASSWORD if locked else ""
        run_client([BATTERY, url, *(trusting() if secure else []), *via(scheme, port, login)])
        wait_for(output, url.split(":")[-1].rstrip("/"))  # its log has the port of the server


def proxy_refuses(proxy, scheme):
    with server(ECHO, "ws://127.0.0.1:0/") as url, proxy(locked=True) as (port, _):
        echoes(*via(scheme, port, USER + ":" + PASSWORD), url)
        is_refused(MISSING, *via(scheme, port), url)
        is_refused(WRONG, *via(scheme, port, USER + ":other"), url)
        is_refused(WRONG, *via(scheme, port, "other:" + PASSWORD), url)


def proxy_resolves(proxy, scheme):
    with server(ECHO, "ws://127.0.0.1:0/") as url, \
            server(ECHO, "wss://127.0.0.1:0/", *showing("server")) as secure_url, \
            proxy(hosts="127.0.0.1 %s\n" % KNOWN_TO_PROXY) as (port, output):
        url, secure_url = (each.replace("127.0.0.1", KNOWN_TO_PROXY) for each in (url, secure_url))
        echoes(*via(scheme, port), url)
        echoes(*via(scheme, port), *trusting(), secure_url)
        wait_for(output, KNOWN_TO_PROXY)
        said = talk(url)
        must(said.status == 1, "the name is known here, too", said)


def proxy_cannot_reach(proxy, scheme):
    sentence = r"the host refused the proxy's connection \(SOCKS reply 5\)" if scheme == "socks5" else \
        "the proxy refused the connection with HTTP status 5.*"
    with proxy() as (port, _):
        is_refused(sentence, *via(scheme, port), "ws://127.0.0.1:%d/" % free_port())


def proxy_forbids():
    with server(ECHO, "ws://127.0.0.1:0/") as url, tinyproxy(more="ConnectPort 443") as (port, _):
        is_refused("the proxy refused the connection with HTTP status 403 .*", *via("http", port), url)


def no_proxy_there():
    with server(ECHO, "ws://127.0.0.1:0/") as url:
        port = int(url.split(":")[-1].rstrip("/"))
        is_refused("the proxy's answer is not SOCKS 5|the proxy closed .*", *via("socks5", port), url)
        is_refused("the proxy refused the connection with HTTP status 4.*", *via("http", port), url)
        is_refused(".*refused.*", *via("http", free_port()), url)


def ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        raise Skipped("no IPv6 here")
    with server(ECHO, "wss://[::1]:0/", *showing("server")) as url, microsocks() as (socks, _), tinyproxy() as (http, _):
        must(re.fullmatch(r"wss://\[::1\]:[1-9][0-9]*/", url), "listening on", url)
        run_client([BATTERY, url, *trusting()])
        echoes(*trusting(), *via("socks5", socks), url)
        echoes(*trusting(), *via("http", http), url)


def environment(proxy, scheme):
    from_environment = "--proxy-from-env"
    with server(ECHO, "ws://127.0.0.1:0/") as url, \
            server(ECHO, "wss://127.0.0.1:0/", *showing("server")) as secure_url, \
            proxy(locked=True) as (port, _):
        # It asks for a password: who comes without one and gets through has gone past it.
        good = "%s://%s:%s@127.0.0.1:%d" % (scheme, USER, PASSWORD, port)
        bad = "%s://127.0.0.1:%d" % (scheme, port)
        wss = [*trusting(), secure_url]
        echoes(url, http_proxy=bad, all_proxy=bad)  # not asked for
        echoes(from_environment, url)
        echoes(from_environment, url, http_proxy=good, all_proxy=bad)
        echoes(from_environment, *wss, https_proxy=good, http_proxy=bad)
        echoes(from_environment, *wss, ALL_PROXY=good)
        is_refused(MISSING, from_environment, url, http_proxy=bad)
        is_refused(MISSING, from_environment, *wss, https_proxy=bad, all_proxy=good)
        is_refused(MISSING, from_environment, url, all_proxy=bad, no_proxy="elsewhere.test")
        echoes(from_environment, url, all_proxy=bad, no_proxy="elsewhere.test,127.0.0.0/8")
        echoes(from_environment, url, all_proxy=bad, NO_PROXY="*")
        echoes(from_environment, url, *via(scheme, port, USER + ":" + PASSWORD), all_proxy=bad)


# Servers in front


def behind(front, client):
    with front([ECHO]) as url:
        run_client([*client, url, *trusting()])


def idle(front):
    """A connection on which nothing happens lives on, longer than the patience of the server in front with requests."""
    with front([ECHO]) as url:
        with subprocess.Popen([CLIENT, "--count", "1", "--timeout", "5", *trusting(), url], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            time.sleep(2)
            out, _ = client.communicate(b"hello\n", timeout=10)
        must((client.returncode, out) == (0, b"hello\n"), "no echo", client.returncode, out)


def health_checks(scheme):
    """A load balancer asks by plain HTTP, at the port of the WebSockets, and sends nobody where it gets no 200."""
    listen = ["%s://127.0.0.1:0/" % scheme, *(showing("server") if scheme == "wss" else [])]
    asks = ["option httpchk", "http-check send meth GET uri /health ver HTTP/1.1 hdr Host ours"]
    by_default = ["option httpchk"]  # OPTIONS / HTTP/1.0
    for lines, health, expected in ((asks, "/health", ("UP", "L7OK", "200")), (by_default, "/", ("UP", "L7OK", "200")),
                                    (asks, "/elsewhere", ("DOWN", "L7STS", "426")), (asks, None, ("DOWN", "L7STS", "426"))):
        with server(ECHO, *listen, *(["--health", health] if health else [])) as url:
            with haproxy_that_checks(url, *lines) as (front, stats):
                wait_until(lambda: health_of(stats) == expected, "its health never is", expected)
                if expected[0] == "UP":
                    run_client([BATTERY, front, *trusting()])
                    must(health_of(stats) == expected, "it is not well any more", health_of(stats))
                else:
                    said = talk(*trusting(), front)
                    must(said.status != 0 and said.out == "", "served all the same", said)


def health_of(stats):
    """What HAProxy says of the server: whether it is up, how the last check ended, and with which HTTP status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        connection.sendall(b"show stat\n")
        lines = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode().splitlines()
    names = lines[0].lstrip("# ").split(",")
    values = next(dict(zip(names, line.split(","))) for line in lines[1:] if line.startswith("front,ours,"))
    return values["status"], values["check_status"], values["check_code"]


def wait_until(holds, text, *details):
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise Failure("\n".join((text, *map(str, details))))


def server_closes(front):
    with front(PYTHON_SERVER) as url:
        run_client([BATTERY, url, *trusting(), "--closeme"])


main()
