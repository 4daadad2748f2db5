"""A TCP relay that keeps what passes through it, and the rules of RFC 6455 and RFC 7692 checked on what it kept."""
import contextlib
import io
import socket
import threading
import time
import zlib
from collections import namedtuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
SERVER, CLIENT = "server", "client"

Frame = namedtuple("Frame", "final rsv opcode mask payload")


class Tap:
    """Listens on a free port of its own and relays every connection to `upstream`, byte for byte and end for end."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.cut()

    def accept(self):
        with contextlib.suppress(OSError):  # __exit__ ends it
            while True:
                client, _ = self.listener.accept()
                connection = Connection(client, socket.create_connection(self.upstream))
                self.connections.append(connection)
                threading.Thread(target=connection.relay, daemon=True).start()

    def wait_for_ends(self, timeout):
        """Whether every connection is over on both sides, within the time given."""
        deadline = time.monotonic() + timeout
        while not all(connection.over for connection in self.connections):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


class Connection:
    """What each side sent, and the order in which the sides ended their stream."""

    def __init__(self, client, server):
        self.sockets = {CLIENT: client, SERVER: server}
        self.sent = {CLIENT: bytearray(), SERVER: bytearray()}
        self.ends = []
        self.over = False
        for side in self.sockets.values():
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def relay(self):
        back = threading.Thread(target=self.pump, args=(SERVER, CLIENT), daemon=True)
        back.start()
        self.pump(CLIENT, SERVER)
        back.join()
        for side in self.sockets.values():
            side.close()
        self.over = True

    def pump(self, source, sink):
        with contextlib.suppress(OSError):  # the sink is gone: the other pump learns how
            for data in self.received(source):
                self.sockets[sink].sendall(data)
            self.sockets[sink].shutdown(socket.SHUT_WR)

    def received(self, side):
        with contextlib.suppress(ConnectionError):  # a reset is an end as well
            while True:
                data = self.sockets[side].recv(1 << 16)
                if not data:
                    break
                self.sent[side] += data
                yield data
        self.ends.append(side)

    def cut(self):
        for side in self.sockets.values():
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Violation(Exception):
    pass


def must(condition, text, *args):
    if not condition:
        raise Violation(text.format(*args))


def check(connection, ours, extension=None, ending="clean"):
    """Holds one connection against the rules.

    `ours` is the side that our engine plays. `extension` is what the server must have answered for
    Sec-WebSocket-Extensions. `ending` is "clean" (a closing handshake, and the server ends its stream first), "hasty"
    (the same, but the client does not wait for that), "abrupt" (the peer just goes) or the code of the Close with
    which the server must end it.
    """
    status, headers, frames = opened(connection)
    if status != 101:
        return  # a refusal: the client's program tells whether it was understood
    must(same_extension(headers.get("sec-websocket-extensions"), extension),
         "extensions: {!r} where {!r} was due", headers.get("sec-websocket-extensions"), extension)
    messages = {side: check_frames(side, frames[side], extension) for side in frames}
    check_pongs(frames, ours)
    if ours == CLIENT:
        masks = [frame.mask for frame in frames[CLIENT] if frame.payload]
        must(len(set(masks)) >= len(masks) - 1, "masks used again")  # two of 2^32 may happen to be equal
    else:
        check_echo(messages, ending)
    if any(frames.values()):
        check_ending(connection, frames, ours, ending)


def opened(connection):
    """The handshake's status and headers, and each side's frames."""
    request, _, client_rest = bytes(connection.sent[CLIENT]).partition(b"\r\n\r\n")
    response, _, server_rest = bytes(connection.sent[SERVER]).partition(b"\r\n\r\n")
    must(request.startswith(b"GET ") and response.startswith(b"HTTP/1.1 "), "no handshake: {!r}", response)
    lines = response.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    status = int(lines[0].split()[1])
    if status != 101:
        return status, headers, {}
    return status, headers, {CLIENT: parse(client_rest), SERVER: parse(server_rest)}


def parse(data):
    """The whole frames in `data`. What the end of the stream cut off is left out."""
    frames, stream = [], io.BytesIO(data)

    def take(count):
        taken = stream.read(count)
        if len(taken) < count:
            raise EOFError
        return taken

    with contextlib.suppress(EOFError):
        while True:
            first, second = take(2)
            length = second & 127
            if length > 125:
                width, least = (2, 126) if length == 126 else (8, 1 << 16)
                length = int.from_bytes(take(width), "big")
                must(length >= least, "length {} in {} bytes", length, width)
            mask = take(4) if second & 128 else None
            frames.append(Frame(first >> 7, first >> 4 & 7, first & 15, mask, unmask(take(length), mask)))
    return frames


def unmask(data, mask):
    if not mask:
        return data
    pad = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def check_frames(side, frames, extension):
    """The rules on one side's frames; returns its messages as (opcode, bytes)."""
    messages, inflater, compressed = [], extension and Inflater(side, extension), 0
    pieces = None
    for frame in frames:
        must((frame.mask is not None) == (side == CLIENT), "{}: masking", side)
        if frame.opcode >= CLOSE:
            must(frame.final and len(frame.payload) <= 125 and not frame.rsv, "{}: bad control frame {}", side, frame)
            must(frame.opcode in (CLOSE, PING, PONG), "{}: opcode {}", side, frame.opcode)
            continue
        must((frame.opcode == CONTINUATION) == (pieces is not None), "{}: fragments out of order", side)
        if pieces is None:
            must(frame.rsv == 0 or (frame.rsv == 4 and extension), "{}: RSV {}", side, frame.rsv)
            opcode, deflated, pieces = frame.opcode, frame.rsv, []
            must(opcode in (TEXT, BINARY), "{}: opcode {}", side, opcode)
        else:
            must(frame.rsv == 0, "{}: RSV in a continuation", side)
        pieces.append(frame.payload)
        if frame.final:
            message, pieces = b"".join(pieces), None
            if deflated:
                message, compressed = inflater.message(message), compressed + 1
            messages.append((opcode, message))
    long = any(len(message) >= 64 for _, message in messages)  # shorter ones may go as they are
    must(not extension or compressed or not long, "{}: compressed nothing", side)
    return messages


class Inflater:
    """Inflates with the window and the memory that were agreed on and no more, so that going beyond them fails."""

    def __init__(self, side, extension):
        parameters = parse_extension(extension)
        self.bits = int(parameters.get(side + "_max_window_bits") or 15)
        self.keeps_context = side + "_no_context_takeover" not in parameters
        self.zlib = None

    def message(self, data):
        if not self.zlib or not self.keeps_context:
            self.zlib = zlib.decompressobj(-self.bits)
        data, out = data + b"\0\0\xff\xff", []
        step = (1 << self.bits) // 8  # within one step, zlib would let references reach past the window
        try:
            while data:
                out.append(self.zlib.decompress(data, step))
                data = self.zlib.unconsumed_tail
        except zlib.error as error:
            raise Violation("does not inflate with {} bits: {}".format(self.bits, error))
        return b"".join(out)


def same_extension(one, other):
    return (one and parse_extension(one)) == (other and parse_extension(other))


def parse_extension(text):
    return dict((part.strip() + "=").split("=")[:2] for part in text.split(";"))


def check_pongs(frames, ours):
    """Our side answers the last ping before the Close, and sends no pong that no ping asked for."""
    theirs = CLIENT if ours == SERVER else SERVER
    pings = [frame.payload for frame in frames[theirs] if frame.opcode == PING]
    pongs = [frame.payload for frame in frames[ours] if frame.opcode == PONG]
    must(pongs[-1:] == pings[-1:], "last ping {!r}, last pong {!r}", pings[-1:], pongs[-1:])
    asked = iter(pings)
    must(all(pong in asked for pong in pongs), "pongs {!r} to pings {!r}", pongs, pings)


def check_echo(messages, ending):
    sent, back = messages[CLIENT], messages[SERVER]
    must(back == sent[:len(back)], "the server's messages are not the client's")
    if ending in ("clean", "hasty"):
        must(len(back) == len(sent), "{} messages came back of {}", len(back), len(sent))
    if ending == "abrupt":
        must(back, "nothing came back")


def check_ending(connection, frames, ours, ending):
    closes = {side: [frame.payload for frame in frames[side] if frame.opcode == CLOSE] for side in frames}
    if ending == "abrupt":
        return
    handshake = ending in ("clean", "hasty")
    for side in (SERVER, CLIENT) if handshake else (SERVER,):
        must(len(closes[side]) == 1, "{}: {} Close frames", side, len(closes[side]))
        must(frames[side][-1].opcode == CLOSE or side != ours, "{}: frames after its Close", side)  # some peers do
    if handshake:
        must(closes[CLIENT][0][:2] == closes[SERVER][0][:2], "the Close's code was not echoed: {}", closes)
        must(connection.ends[0] == SERVER or ending == "hasty", "the client ended its stream first")
    else:
        code = int.from_bytes(closes[SERVER][0][:2], "big")
        must(code == ending, "the server closed with {}, not {}", code, ending)
