"""A WebSocket client of a few lines, which can also do what no client should: never read, or speak a byte at a time."""
import base64
import os
import select
import socket
import struct
import time

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

REQUEST = ("GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n")


class Failure(Exception):
    pass


def request():
    return (REQUEST % base64.b64encode(os.urandom(16)).decode()).encode()


class Client:
    def __init__(self, port, receive_buffer=None, timeout=10):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.arrived = b""
        self.socket.sendall(request())
        while b"\r\n\r\n" not in self.arrived:
            self._receive()
        head, self.arrived = self.arrived.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Failure("refused: %r" % head)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, payload, opcode=TEXT):
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length) if length < 65536 \
            else b"\xff" + struct.pack(">Q", length)
        self.socket.sendall(bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload)  # masked with zeros

    def receive(self):
        """The next message, or Close, as (opcode, payload). Pings are answered."""
        while True:
            opcode, payload = self._frame()
            if opcode == PING:
                self.send(payload, PONG)
            elif opcode != PONG:
                return opcode, payload

    def expect(self, payload, opcode=TEXT):
        found = self.receive()
        if found != (opcode, payload):
            raise Failure("expected %r, and %r came" % ((opcode, payload[:40]), (found[0], found[1][:40])))

    def waits_for(self, payload, seconds):
        """Whether this text comes within so long. Others may come before it."""
        until = time.monotonic() + seconds
        while self.arrived or select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
            if self.receive() == (TEXT, payload):
                return True
        return False

    def _frame(self):
        head = self._take(2)
        length = head[1]
        if length == 126:
            length, = struct.unpack(">H", self._take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self._take(8))
        return head[0] & 15, self._take(length)

    def _take(self, count):
        while len(self.arrived) < count:
            self._receive()
        taken, self.arrived = self.arrived[:count], self.arrived[count:]
        return taken

    def _receive(self):
        try:
            part = self.socket.recv(1 << 16)
        except TimeoutError:
            raise Failure("nothing came for %g s" % self.socket.gettimeout())
        if not part:
            raise Failure("the stream ended")
        self.arrived += part
