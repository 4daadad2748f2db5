"""An echo server of Python's websockets, with the side paths of the battery (see README.md)."""
import asyncio
import re
import signal
from urllib.parse import urlsplit

from python_options import extensions, options, server_tls, socket_path
from websockets.asyncio.server import serve, unix_serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def main():
    given = options()
    address = urlsplit(given.url)
    more = dict(process_request=refuse, process_response=select_unasked, select_subprotocol=select, compression=None,
                max_size=None, ping_interval=None, extensions=extensions(given.deflate, ServerPerMessageDeflateFactory))
    path = socket_path(given.url)
    if path:
        server = await unix_serve(answer, path, **more)
        url = given.url
    else:
        server = await serve(answer, address.hostname, address.port, **server_tls(given), **more)
        url = "%s://127.0.0.1:%d/" % (address.scheme, server.sockets[0].getsockname()[1])
    print("listening on " + url, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


async def answer(ws):
    async for message in ws:
        if message == "closeme\n":
            await ws.close(1001, "seeya")
        elif ws.request.path == "/fragments":
            await ws.send(thirds(ws, message), text=isinstance(message, str))
        else:
            await ws.send(message)


async def thirds(ws, message):
    """Three fragments, cut anywhere in a character, and a ping amid them."""
    data = message.encode() if isinstance(message, str) else message
    third = len(data) // 3
    yield data[:third]
    await ws.ping()
    yield data[third:2 * third]
    yield data[2 * third:]


def refuse(ws, request):
    refused = re.fullmatch("/refuse/([0-9]+)", request.path)
    return ws.respond(int(refused[1]), "refused with %s\n" % refused[1]) if refused else None


def select(ws, offered):
    return "superchat" if "superchat" in offered and ws.request.path != "/unasked" else None


def select_unasked(ws, request, response):
    if request.path == "/unasked":
        response.headers["Sec-WebSocket-Protocol"] = "unasked"
    return response


asyncio.run(main())
