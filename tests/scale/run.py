#!/usr/bin/env python3
"""Many clients, several processes, slow and dead peers: real parts, on ports of their own.

    run.py [--only WORD]

Each test tells what it measured. The last line counts; a skip is a failure with CI=true.
"""
import argparse
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import namespaces
from programs import BIN, ROOT, certificate, listening, program, wait_until
from ws import BINARY, CLOSE, PING, TEXT, Client, Failure, request

TESTS = []
PATIENCE = 1  # seconds that a busy machine may take for what takes milliseconds otherwise


class Skip(Exception):
    pass


def test(function):
    TESTS.append(function)
    return function


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", metavar="WORD", help="only the tests with this in their name")
    only = parser.parse_args().only
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for function in TESTS:
        name = function.__name__.replace("_", " ")
        if only in name:
            start = time.monotonic()
            outcome, told = run(function)
            print("%s: %s (%.1f s)" % (name, told, time.monotonic() - start), flush=True)
            counts[outcome] += 1
    print(", ".join("%d %s" % (count, outcome) for outcome, count in counts.items()))
    if counts["failed"] or (counts["skipped"] and os.environ.get("CI") == "true"):
        sys.exit(1)


def run(function):
    try:
        measured = function()
    except Skip as skip:
        return "skipped", "skipped, %s" % skip
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        return "failed", "FAILED: %s" % failure
    return "passed", "ok" + (", " + measured if measured else "")


# Clusters


@test
def a_message_crosses_from_process_to_process_and_to_nobody_twice():
    with broker() as port, chat(port) as one, chat(port) as other:
        with Client(one.port) as a, Client(one.port) as b, Client(other.port) as c:
            for sender in (a, b, c):
                for payload, opcode in ((b"to all", TEXT), ("zwölf 🦀".encode(), TEXT), (b"\0\1\xff", BINARY), (b"", TEXT)):
                    sender.send(payload, opcode)
                    for receiver in (a, b, c):
                        receiver.expect(payload, opcode)
        ends_well(one, other)


@test
def nginx_spreads_clients_over_processes_and_they_hear_each_other():
    return behind("nginx", nginx)


@test
def haproxy_spreads_clients_over_processes_and_they_hear_each_other():
    return behind("haproxy", haproxy)


def behind(program, balancer):
    need(program)
    with broker() as port, chat(port) as one, chat(port) as other:
        before = [sockets(process) for process in (one, other)]
        with balancer(one.port, other.port) as front, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(front)) for _ in range(10)]

            def share():
                return [sockets(process) - count for process, count in zip((one, other), before)]

            # The balancer looks now and then whether they are there, with a connection of its own.
            wait_until(3, "the clients are not spread evenly", lambda: sum(share()) == 10 and min(share()) >= 4)
            told = "%d and %d clients" % tuple(share())
            for number, sender in enumerate(clients):
                sender.send(b"%d" % number)
                for receiver in clients:
                    receiver.expect(b"%d" % number)
        ends_well(one, other)
    return told


@test
def processes_share_a_port_with_reuse_port():
    with broker() as port, chat(port, "--reuse-port", "1") as one:
        with chat(port, "--reuse-port", "1", at=one.port) as other, contextlib.ExitStack() as stack:
            before = [sockets(process) for process in (one, other)]
            clients = [stack.enter_context(Client(one.port)) for _ in range(40)]
            share = [sockets(process) - count for process, count in zip((one, other), before)]
            if min(share) == 0:
                raise Failure("the clients went to the processes like %s" % share)
            clients[0].send(b"to all")
            for client in clients:
                client.expect(b"to all")
    return "%d and %d clients" % tuple(share)


@test
def a_broker_that_comes_back_is_found_and_messages_flow_again():
    need("nats-server")
    port = free_port()
    with contextlib.ExitStack() as stack:
        with broker(port):
            one, other = stack.enter_context(chat(port)), stack.enter_context(chat(port))
            a, b, c = (stack.enter_context(Client(process.port)) for process in (one, one, other))
            a.send(b"before")
            for client in (a, b, c):
                client.expect(b"before")
        for process in (one, other):
            process.wait_for("lost the broker")
        a.send(b"meanwhile")
        for client in (a, b):
            client.expect(b"meanwhile")
        with broker(port):
            start = time.monotonic()
            for process in (one, other):
                process.wait_for("reconnected to the broker")
            flows(c, a)
            flows(a, c)
            back = time.monotonic() - start
            ends_well(one, other)
    return "%.1f s after it was back" % back


@test
def processes_that_start_before_their_broker_wait_for_it():
    need("nats-server")
    port = free_port()
    with chat(port) as one, chat(port) as other, Client(one.port) as a, Client(other.port) as b:
        with broker(port):
            for process in (one, other):
                process.wait_for("connected to the broker")
            flows(a, b)
            flows(b, a)


def flows(sender, receiver):
    """The broker may hear of a message a moment before it hears who wants it: that one goes astray."""
    for attempt in range(50):
        sender.send(b"attempt %d" % attempt)
        if receiver.waits_for(b"attempt %d" % attempt, 0.1):
            return
    raise Failure("messages do not flow")


# One process


@test
def two_hundred_clients_get_all_messages_in_one_order():
    with broadcaster() as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(200)]
        start = time.monotonic()
        for number in range(50):
            for sender in range(4):
                clients[sender].send(b"%d %d" % (sender, number))
        orders = [[client.receive()[1] for _ in range(200)] for client in clients]
        took = time.monotonic() - start
        if any(order != orders[0] for order in orders):
            raise Failure("two clients got messages in different orders")
        for sender in range(4):
            own = [int(text.split()[1]) for text in orders[0] if text.startswith(b"%d " % sender)]
            if own != list(range(50)):
                raise Failure("the messages of a sender were not in order: %s" % own)
        server.process.terminate()
        for client in clients:
            if client.receive() != (CLOSE, b"\x03\xe9"):
                raise Failure("no Close with 1001 at the end")
        ends_well(server)
    return "40000 messages in %.2f s" % took


@test
def clients_that_come_and_go_disturb_nobody():
    with broadcaster() as server, Client(server.port) as sender, Client(server.port) as steady:
        before = sockets(server)
        for number in range(40):
            clients = [Client(server.port) for _ in range(10)]
            for client in clients[:3]:  # a reset, with messages under way in both directions
                client.send(b"%d" % number)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.socket.close()
            for client in clients[3:6]:  # no Close
                client.socket.close()
            for client in clients[6:8]:
                client.send(b"\x03\xe8", CLOSE)
            for client in clients[8:]:  # against the protocol: text that is none
                client.send(b"\xff")
            sender.send(b"round %d" % number)
            for client in sender, steady:
                if not client.waits_for(b"round %d" % number, 5):
                    raise Failure("round %d did not arrive" % number)
            for client in clients[6:]:
                while client.receive()[0] != CLOSE:
                    pass
                client.socket.close()
        wait_until(5, "clients are left over", lambda: sockets(server) == before)
        ends_well(server)
    return "400 clients"


@test
def a_client_that_never_reads_is_shed_and_delays_nobody():
    block, count = bytes(32768), 400
    with broadcaster() as server, Client(server.port) as sender, Client(server.port) as reader:
        quiet = max(round_trip(sender, reader, block) for _ in range(50))
        memory = peak = resident(server.pid)
        with Client(server.port, receive_buffer=4096), Client(server.port, receive_buffer=4096) as late:
            clients = sockets(server)
            delays = []
            for _ in range(count):
                delays.append(round_trip(sender, reader, block))
                peak = max(peak, resident(server.pid))
            # One of the two wakes up in time: it gets what was accepted for it, and learns why that was all.
            got = 0
            while (found := late.receive())[0] == BINARY:
                got += 1
            if found != (CLOSE, b"\x03\xf5too slow"):
                raise Failure("no Close with 1013, but %r" % (found,))
            late.send(found[1][:2], CLOSE)
            wait_until(4, "the clients are still there", lambda: sockets(server) <= clients - 2)
        if max(delays) > PATIENCE:
            raise Failure("a message took %.0f ms" % (max(delays) * 1000))
        if peak - memory > 4 << 20:  # two queues of 256 KiB, and what the allocator makes of them
            raise Failure("the server grew by %d KiB" % ((peak - memory) >> 10))
        ends_well(server)
    return "slowest message %.1f ms (%.1f ms before), %d KiB more memory, %d messages before the Close" % (
        max(delays) * 1000, quiet * 1000, (peak - memory) >> 10, got)


def round_trip(sender, reader, block):
    start = time.monotonic()
    sender.send(block, BINARY)
    reader.expect(block, BINARY)
    took = time.monotonic() - start
    sender.expect(block, BINARY)
    return took


@test
def handshakes_of_a_byte_at_a_time_are_dropped():
    with broadcaster("--handshake-timeout", "1000") as server, Client(server.port) as client:
        clients = sockets(server)
        head = request()
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        wait_until(3, "they were not accepted", lambda: sockets(server) == clients + 100)
        start = time.monotonic()
        ended = {}
        delays = []
        for byte in head:
            for connection in set(connections) - set(ended):
                try:
                    connection.send(bytes([byte]), socket.MSG_NOSIGNAL)
                except OSError:
                    ended[connection] = time.monotonic() - start
            delays.append(echo_time(client))
            if len(ended) == 100:
                break
            time.sleep(0.1)
        for connection in connections:
            connection.close()
        if len(ended) < 100 or max(ended.values()) > 1.5 + PATIENCE:
            raise Failure("%d of 100 dropped, the last after %.1f s" % (len(ended), max(ended.values(), default=0)))
        if max(delays) > PATIENCE:
            raise Failure("another client waited for %.0f ms" % (max(delays) * 1000))
        wait_until(3, "they are still held", lambda: sockets(server) == clients)
        ends_well(server)
    return "100 gone within %.1f s, slowest message meanwhile %.1f ms" % (max(ended.values()), max(delays) * 1000)


def echo_time(client):
    start = time.monotonic()
    client.send(b"still served")
    client.expect(b"still served")
    return time.monotonic() - start


@test
def idle_clients_stay_while_they_answer_pings_and_go_when_they_do_not():
    with broadcaster("--ping", "300", "--pong-timeout", "500") as server, Client(server.port) as alive:
        before = sockets(server)
        with Client(server.port), Client(server.port):  # they answer nothing
            start = time.monotonic()
            pings = 0
            while time.monotonic() - start < 3:
                opcode, payload = alive._frame()
                if opcode == PING:
                    alive.send(payload, 10)
                    pings += 1
                if sockets(server) == before:
                    break
            took = time.monotonic() - start
            if sockets(server) != before or took < 0.5 or took > 1.5 + PATIENCE:
                raise Failure("the dead were held for %.1f s" % took)
        alive.send(b"still here")
        alive.expect(b"still here")
        ends_well(server)
    return "the dead were gone after %.1f s, %d pings answered by the other" % (took, pings)


# A link between two machines


@contextlib.contextmanager
def faulty_link():
    if why := namespaces.why_not():
        raise Skip(why)
    with namespaces.FaultyLink() as made:
        yield made


@test
def a_cut_link_is_noticed_at_both_ends():
    url = "ws://%s:9001/" % namespaces.SERVER
    with faulty_link() as wire, program(*wire.server, BIN / "faulty_link", "server", url, "500", "1000") as server:
        server.wait_for("listening on")
        with program(*wire.client, BIN / "faulty_link", "client", url, "500", "1000", "10") as client:
            client.wait_for("echoed 10")
            time.sleep(1.2)  # pings go to and fro
            wire.pull()
            start = time.monotonic()
            took = []
            for end in (server, client):
                end.wait_for("WS_ERR_", 10)
                took.append(time.monotonic() - start)
                if "WS_ERR_TIMEOUT" not in end.text():
                    raise Failure(end.text())
    if max(took) > 0.5 + 1.0 + PATIENCE:
        raise Failure("it took %.1f and %.1f s" % tuple(took))
    return "both within %.2f s, of 1.5 allowed by ping interval and pong timeout" % max(took)


@test
def two_hundred_messages_are_echoed_though_a_fifth_of_all_packets_is_lost():
    url = "ws://%s:9001/" % namespaces.SERVER
    with faulty_link() as wire, program(*wire.server, BIN / "faulty_link", "server", url, "1000", "20000") as server:
        server.wait_for("listening on")
        wire.loss = 0.2
        start = time.monotonic()
        with program(*wire.client, BIN / "faulty_link", "client", url, "1000", "20000", "200") as client:
            client.wait_for("echoed 200", 30)
            took = time.monotonic() - start
    return "%.1f s, %d packets lost and %d not" % (took, wire.lost, wire.moved)


@test
def connecting_into_the_void_is_given_up_in_time_and_costs_no_frame():
    with faulty_link() as wire:
        wire.loss = 1
        url = "ws://%s:9001/" % namespaces.SERVER
        with program(*wire.client, BIN / "faulty_link", "frames", url, "1500") as client:
            client.wait_for("WS_ERR_", 10)
            told = client.text()
    after, frame = map(int, re.search(r"gave up after (\d+) ms, longest frame (\d+) ms, WS_ERR_TIMEOUT", told).groups()) \
        if "WS_ERR_TIMEOUT" in told else (0, 0)
    if not 1450 <= after <= 1500 + 1000 * PATIENCE or frame > 100:
        raise Failure(told)
    return "after %d of 1500 ms, the longest frame took %d ms" % (after, frame)


# Many


@test
def ten_thousand_idle_clients_and_none_is_lost():
    with broadcaster() as server:
        told = idle(server, 10000)
        ends_well(server)
    return told


@test
def a_thousand_idle_clients_over_tls_and_none_is_lost():
    need("openssl")
    with tempfile.TemporaryDirectory() as home:
        files = certificate(Path(home))
        with broadcaster(*files, scheme="wss") as server:
            told = idle(server, 1000)
            ends_well(server)
    return told


def idle(server, count):
    held = subprocess.run([BIN / "idle", server.url, str(count), str(server.pid)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    if held.returncode == 77:
        raise Skip(held.stdout.strip())
    if held.returncode != 0 or "all %d got a message" % count not in held.stdout:
        raise Failure(held.stdout)
    return re.search(r"%d connections: (\d+ bytes each in the server)" % count, held.stdout)[1]


# Servers


def broadcaster(*options, scheme="ws"):
    return listening(BIN / "broadcast_server", scheme + "://127.0.0.1:0/", *options)


def chat(broker_port, *options, at=0):
    if not (BIN / "cluster_chat").exists():
        raise Skip("cluster_chat was not built: no libnats-dev")
    return listening(BIN / "cluster_chat", "ws://127.0.0.1:%d/" % at, "--nats", "nats://127.0.0.1:%d" % broker_port, *options)


@contextlib.contextmanager
def broker(port=0):
    need("nats-server")
    port = port or free_port()
    with program("nats-server", "-a", "127.0.0.1", "-p", port) as server:
        wait_until(5, "no broker", lambda: is_open(port))
        yield port


@contextlib.contextmanager
def nginx(*ports):
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        paths = "".join("%s_temp_path %s/%s;\n" % (kind, home, kind)
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = documented("nginx", port, ports)
        (Path(home) / "nginx.conf").write_text(
            "daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n"
            % (home, paths, config))
        with program("nginx", "-p", home, "-e", "stderr", "-c", home + "/nginx.conf") as server:
            wait_until(5, "no nginx", lambda: is_open(port) or server.process.poll() and fail(server.text()))
            yield port


@contextlib.contextmanager
def haproxy(*ports):
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "haproxy.cfg"
        path.write_text(documented("haproxy", port, ports))
        with program("haproxy", "-db", "-f", path) as server:
            wait_until(5, "no haproxy", lambda: is_open(port) or server.process.poll() and fail(server.text()))
            yield port


def documented(language, port, ports):
    """The configuration in docs/scaling.md, with ports of ours."""
    text = (ROOT / "docs/scaling.md").read_text()
    config = re.search(r"```%s\n(.*?)```" % language, text, re.DOTALL)[1]
    for number, ours in enumerate(ports, 1):
        config = config.replace("10.0.0.%d:9001" % number, "127.0.0.1:%d" % ours)
    config = config.replace("listen 80;", "listen 127.0.0.1:%d;" % port).replace("bind :80", "bind 127.0.0.1:%d" % port)
    if "10.0.0." in config or str(port) not in config:
        raise Failure("docs/scaling.md: another configuration of %s than expected" % language)
    return config


def fail(text):
    raise Failure(text)


def need(tool):
    if not shutil.which(tool):
        raise Skip("no " + tool)


def ends_well(*servers):
    for server in servers:
        server.process.terminate()
        try:
            status = server.process.wait(5)
        except subprocess.TimeoutExpired:
            raise Failure("SIGTERM did not end %s" % server.process.args[0])
        if status != 0:
            raise Failure("%s ended with status %d\n%s" % (server.process.args[0], status, server.text()))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def sockets(program):
    """How many sockets a process has."""
    count = 0
    for entry in os.scandir("/proc/%d/fd" % program.pid):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(entry.path).startswith("socket:")
    return count


def resident(pid):
    return int(Path("/proc/%d/statm" % pid).read_text().split()[1]) * resource.getpagesize()


main()
