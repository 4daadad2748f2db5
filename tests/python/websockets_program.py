"""A program written for websockets: it does the same with wsabi, by another name in its imports."""

import asyncio
import http

from websockets.asyncio.client import connect
from websockets.asyncio.server import basic_auth, broadcast, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus


async def handler(websocket):
    CLIENTS.add(websocket)
    try:
        async for message in websocket:
            if message == "count":
                await websocket.send(f"{len(websocket.server.connections)} clients")
            elif message == "close":
                await websocket.close(1000, "OK")
            else:
                broadcast(CLIENTS, message)
    except ConnectionClosed:
        pass
    finally:
        CLIENTS.remove(websocket)


def process_request(connection, request):
    if request.path == "/healthz":
        return connection.respond(http.HTTPStatus.OK, "OK\n")


async def main():
    async with serve(handler, "127.0.0.1", 0, subprotocols=["chat"], process_request=process_request,
                     ping_interval=20, ping_timeout=20, max_size=2**20, max_queue=(32, 8)) as server:
        uri = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        async with connect(uri, subprotocols=["chat"], additional_headers={"X-A": "b"}, open_timeout=5) as websocket:
            other = await connect(uri, subprotocols=["chat"])
            await websocket.send("Hello world!")
            print(await other.recv())
            assert await websocket.recv() == "Hello world!"
            await websocket.send("count")
            print(await websocket.recv())
            print(websocket.subprotocol)
            await websocket.send("close")
            try:
                await websocket.recv()
            except ConnectionClosedOK as closed:
                print(f"received {closed.rcvd.code} ({closed.rcvd.reason})")
            await other.close()
    async with serve(handler, "127.0.0.1", 0, process_request=basic_auth("realm", ("user", "secret"))) as server:
        uri = "ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        try:
            async with connect(uri):
                pass
        except InvalidStatus as refused:
            print(str(refused.response.status_code))
    print("done")


CLIENTS = set()
asyncio.run(main())
