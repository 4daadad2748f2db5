#!/usr/bin/env python3
"""The server that the Autobahn TestSuite judges Python by: it echoes what it is sent, over wsabi.asyncio.

    python_server.py ws://127.0.0.1:0/ [--deflate threshold=N]

It prints `listening on URL`, and ends with status 0 on SIGTERM.
"""

import asyncio
import logging
import signal
import sys
from urllib.parse import urlsplit

from wsabi.asyncio import serve
from wsabi.protocol import Option


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main(url, deflate="", parameters=""):
    threshold = {Option.DEFLATE_THRESHOLD: int(parameters.partition("=")[2])} if deflate == "--deflate" else {}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    address = urlsplit(url)
    async with serve(echo, address.hostname, address.port, max_size=None, logger=quiet(),
                     options=threshold) as server:
        print("listening on ws://%s:%d/" % server.sockets[0].getsockname()[:2], flush=True)
        await stop.wait()


def quiet():
    """The suite breaks connections on purpose: that is not told."""
    logger = logging.getLogger("autobahn")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


asyncio.run(main(*sys.argv[1:]))
