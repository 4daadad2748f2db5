"""What the calls of the library take from Python, in ns as JSON: the least of many short rounds, one after the other."""

import asyncio
import json
import time
from collections import deque

from wsabi._handle import Config
from wsabi._library import quick, quick_raw
from wsabi._options import configure
from wsabi.asyncio._memory import Memory, make_calls
from wsabi.asyncio.server import ServerConnection

ROUNDS, CALLS = 60, 200
SMALL, LARGE = b"x" * 125, b"x" * (16 << 10)


def main():
    config = configure(compression=None, deliver_control=True)
    protocol = opened(config)
    feed, take, _, queue, output = make_calls()
    conn = protocol.conn
    state_typed, state = quick.ws_get_state, quick_raw("ws_get_state")
    messages, controls = deque(), []
    frames = {size: b"\x82" + masked_length(size) + bytes(4) + b"x" * size for size in (125, 16 << 10)}

    def receive(frame):
        for at in range(0, len(frame), 65536):
            feed(conn, frame[at : at + 65536])
            take(conn, messages, controls)
        messages.clear()

    def send(data):
        queue(conn, 2, data)
        output(conn)

    subjects = {
        "an empty function": lambda: None,
        "a call, its argument typed": lambda: state_typed(protocol._conn),
        "a call, its argument ready-made": lambda: state(conn),
        "a read that finds nothing": lambda: take(conn, messages, controls),
        "to feed and take 125 B": lambda: receive(frames[125]),
        "to queue and output 125 B": lambda: send(SMALL),
        "to feed and take 16 KiB": lambda: receive(frames[16 << 10]),
        "to queue and output 16 KiB": lambda: send(LARGE),
    }
    best = dict.fromkeys(subjects, float("inf"))
    for _ in range(ROUNDS):
        for name, subject in subjects.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                subject()
            best[name] = min(best[name], (time.perf_counter() - start) / CALLS * 1e9)
    best["to echo 125 B, all of wsabi.asyncio"] = asyncio.run(echo(config))
    print(json.dumps({name: round(value, 1) for name, value in best.items()}))


async def echo(config):
    """From data_received() to transport.write(), with the task in between."""
    loop = asyncio.get_running_loop()
    connection = ServerConnection(opened(config), None)
    asyncio.Protocol.connection_made(connection, Sink())
    connection.transport = Sink()
    connection._opened()

    async def handler():
        async for message in connection:
            await connection.send(message)

    task = loop.create_task(handler())
    await asyncio.sleep(0)
    frame = b"\x82" + masked_length(125) + bytes(4) + SMALL
    best = float("inf")
    done = loop.create_future()

    def measure():
        nonlocal best
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(CALLS):
                connection.data_received(frame)
            best = min(best, (time.perf_counter() - start) / CALLS * 1e9)
        done.set_result(None)

    loop.call_soon(measure)
    await done
    task.cancel()
    assert connection.transport.written == ROUNDS * CALLS
    return best


class Sink(asyncio.Transport):
    written = 0

    def write(self, data):
        self.written += 1

    def is_closing(self):
        return False


def opened(config: Config):
    return Memory(lambda out: quick.ws_from_partially_read(config, 2, None, 0, out))


def masked_length(size):
    return bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")


main()
