#!/usr/bin/env python3
"""The client that the Autobahn TestSuite judges Python by: it runs every case of a fuzzing server and echoes what it is sent,
over wsabi.asyncio.

    python_client.py ws://127.0.0.1:9001 AGENT

The exit status says whether all cases ran, not how they went: that is in the suite's report.
"""

import asyncio
import sys

from wsabi.asyncio import connect
from wsabi.exceptions import ConnectionClosed
from wsabi.protocol import Option


async def main(server, agent):
    async with opened(f"{server}/getCaseCount") as websocket:
        count = int(await websocket.recv())
    for case in range(1, count + 1):
        async with opened(f"{server}/runCase?case={case}&agent={agent}") as websocket:
            try:
                async for message in websocket:
                    await websocket.send(message)
            except ConnectionClosed:
                pass  # some cases end so, as they should
    async with opened(f"{server}/updateReports?agent={agent}"):
        pass


def opened(url):
    # The suite may be busy with a report for a while.
    return connect(url, max_size=None, proxy=None, open_timeout=60, options={Option.DEFLATE_THRESHOLD: 0})


asyncio.run(main(*sys.argv[1:]))
