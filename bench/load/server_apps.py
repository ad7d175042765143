"""The same application under different servers, for `bench/servers.py`. One process, one loop.

    python -m load.server_apps ours 8100        (also: uvicorn, hypercorn, granian, picows)

`/json` answers one KiB, `/download` 256 MiB in pieces of 256 KiB, `/upload` how much came; a socket
that says `go N` has N frames of 250 bytes written to every socket that is open.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

JSON: Final = b'{"items":"%s"}' % (b"x" * 1000)
PIECE: Final = bytes(256 * 1024)
PIECES: Final = 1024
TEXT: Final = "m" * 250

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class App:
    """An ASGI application; `prepared` writes frames by our extension instead of by `send`."""

    def __init__(self, *, prepared: bool) -> None:
        self._prepared = prepared
        self._sockets: dict[int, Any] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["path"] == "/download":
            await _start(send, len(PIECE) * PIECES)
            for number in range(PIECES):
                more = number < PIECES - 1
                await send({"type": "http.response.body", "body": PIECE, "more_body": more})
        elif scope["path"] == "/upload":
            total, more = 0, True
            while more:
                message = await receive()
                total += len(message.get("body", b""))
                more = message.get("more_body", False)
            await _start(send, len(body := str(total).encode()))
            await send({"type": "http.response.body", "body": body})
        else:
            await _start(send, len(JSON))
            await send({"type": "http.response.body", "body": JSON})

    async def _socket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._sockets[id(send)] = self._port(scope, send)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                said = message.get("text") or ""
                if said.startswith("go "):
                    await self._fan_out(int(said[3:]))
        finally:
            del self._sockets[id(send)]

    def _port(self, scope: Message, send: Send) -> Any:  # noqa: ANN401 - a port or a `send`
        if not self._prepared:
            return send
        from sharezync_shared.server import frame_port  # noqa: PLC0415 - only ours has it

        return frame_port(scope)

    async def _fan_out(self, count: int) -> None:
        for _ in range(count):
            if self._prepared:
                from sharezync_shared.server import encode_text_frame  # noqa: PLC0415 - as above

                frame = encode_text_frame(TEXT.encode())
                for port in self._sockets.values():
                    if not port.write(frame):
                        await port.wait_writable()
                        port.write(frame)
            else:
                for send in list(self._sockets.values()):
                    await send({"type": "websocket.send", "text": TEXT})
            await asyncio.sleep(0)


async def _start(send: Send, length: int) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


plain = App(prepared=False)
"""What Granian is told to load, by name."""


def _ours(port: int) -> None:
    from sharezync_shared.server import Draining, ServerSettings, run, serve  # noqa: PLC0415 - each has its own

    app = App(prepared=True)
    settings = ServerSettings(port=port, drain_seconds=0)
    run(serve(app, settings, draining=Draining()))  # type: ignore[arg-type]  # an ASGI application


def _uvicorn(port: int) -> None:
    import uvicorn  # noqa: PLC0415

    uvicorn.run(
        plain, host="127.0.0.1", port=port, http="httptools", loop="uvloop", log_level="warning",
        access_log=False, ws="websockets-sansio", ws_per_message_deflate=False,
    )  # fmt: skip


def _hypercorn(port: int) -> None:
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    asyncio.run(serve(plain, config))


def _granian(port: int) -> None:
    from granian.constants import Interfaces, Loops  # noqa: PLC0415
    from granian.server import Server  # noqa: PLC0415

    Server(
        "load.server_apps:plain", address="127.0.0.1", port=port, interface=Interfaces.ASGI,
        loop=Loops.uvloop, workers=1, log_access=False, websockets=True,
    ).serve()  # fmt: skip


def _picows(port: int) -> None:
    import picows  # noqa: PLC0415 - speaks WebSocket only
    import uvloop  # noqa: PLC0415

    transports: set[Any] = set()

    class Listener(picows.WSListener):
        def on_ws_connected(self, transport: Any) -> None:  # noqa: ANN401
            transports.add(transport)

        def on_ws_disconnected(self, transport: Any) -> None:  # noqa: ANN401
            transports.discard(transport)

        def on_ws_frame(self, _transport: Any, frame: Any) -> None:  # noqa: ANN401
            said = frame.get_payload_as_ascii_text()
            if said.startswith("go "):
                self.task = asyncio.ensure_future(self._fan_out(int(said[3:])))

        async def _fan_out(self, count: int) -> None:
            for _ in range(count):
                for each in transports:
                    each.send(picows.WSMsgType.TEXT, TEXT.encode())
                await asyncio.sleep(0)

    async def main() -> None:
        server = await picows.ws_create_server(lambda _: Listener(), "127.0.0.1", port)
        await server.serve_forever()

    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(main())


SERVERS: Final[dict[str, Callable[[int], None]]] = {
    "ours": _ours,
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "granian": _granian,
    "picows": _picows,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
