"""picows_echo.py PORT: an echo server with picows, on uvloop as its own benchmarks."""

import asyncio
import sys

import uvloop
from picows import WSListener, WSMsgType, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


async def main(port):
    # TCP_NODELAY is its own default.
    server = await ws_create_server(
        lambda request: Echo(), "127.0.0.1", port, max_frame_size=64 << 20, backlog=4096
    )
    print("ready", flush=True)
    await server.serve_forever()


uvloop.run(main(int(sys.argv[1])))
