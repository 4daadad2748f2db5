"""echo_server.py PACKAGE LOOP PORT: an echo server as its package's users write it, uncompressed, on asyncio or uvloop."""

import asyncio
import logging
import sys

package, loop, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    if package == "picows":
        server = await picows_server()
    else:
        if package == "wsabi":
            from wsabi.asyncio.server import serve
        else:
            from websockets.asyncio.server import serve
        # The load generator knows no Pings.
        server = await serve(echo, "127.0.0.1", port, compression=None, max_size=None, ping_interval=None)
    print("ready", flush=True)
    await server.serve_forever()


async def picows_server():
    from picows import WSListener, WSMsgType, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport, frame):
            # A copy, as the other two hand out: its own fastest way, a view of its buffer, is `frame.get_payload_as_memoryview()`.
            if frame.msg_type == WSMsgType.TEXT:
                transport.send(WSMsgType.TEXT, frame.get_payload_as_utf8_text().encode())
            elif frame.msg_type == WSMsgType.BINARY:
                transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()

    return await ws_create_server(lambda request: Echo(), "127.0.0.1", port, max_frame_size=64 << 20)


logging.disable(logging.ERROR)  # connections end without a Close here
if loop == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
