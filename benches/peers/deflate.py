"""permessage-deflate of `websockets`, by itself. What it is asked: scripts.rs."""

import gc
import resource
import sys
import time

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

CONNECTIONS = 100


def end(level, takeover):
    # Its own setting for memory, which is less than that of zlib.
    settings = {"level": level, "memLevel": 5}
    return PerMessageDeflate(not takeover, not takeover, 15, 15, settings)


def send(sender, receiver, message):
    frame = sender.encode(Frame(Opcode.TEXT, message))
    assert receiver.decode(frame, max_size=1 << 20).data == message
    return len(frame.data)


def timed(level, takeover, count):
    sender, receiver = end(level, takeover), end(level, takeover)
    size = compressed = 0
    start = time.perf_counter_ns()
    for i in range(count):
        message = messages[i % len(messages)]
        size += len(message)
        compressed += send(sender, receiver, message)
    return (time.perf_counter_ns() - start) / count, size / compressed


def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def held(level, takeover, count):
    before = resident()
    pairs = [(end(level, takeover), end(level, takeover)) for _ in range(CONNECTIONS)]
    idle = resident()
    for message in messages[:count]:
        for client, server in pairs:
            send(client, server, message)
            send(server, client, message)
    return [max(0, after - before) / (2 * CONNECTIONS) for after in (idle, resident())]


messages = []
print("ready", flush=True)
for line in sys.stdin:
    if line.startswith("{"):
        messages.append(line.rstrip("\n").encode())
        continue
    what, level, takeover, count = line.split()
    answer = {"time": timed, "hold": held}[what](int(level), takeover == "1", int(count))
    print(*answer, flush=True)
