"""Nothing that a stranger does writes an error or a traceback."""

import asyncio
import logging
import socket
import struct
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from shared.tests.api.server.test_framing import BAD_CHUNKS, CHUNKED_HEAD, NEXT, UNCLEAR, WEBSOCKET
from shared.tests.api.server.wire import connected
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import wait_until

UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"


async def careless(scope: Scope, receive: Receive, send: Send) -> None:
    """Falls over what it did not expect, as frameworks do."""
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            await asyncio.sleep(0.001)
            if await left(receive):
                raise ConnectionError("the client has left")
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has left")
        more = message["more_body"]
    if scope["path"] == "/abort":
        scope["extensions"]["sharezync.abort"]["abort"]()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/cut":
        return
    await send({"type": "http.response.body", "body": b"done"})


async def left(receive: Receive) -> bool:
    """Return whether a disconnect has come."""
    try:
        async with asyncio.timeout(0.01):
            message = await receive()
            return bool(message["type"] == "http.disconnect")
    except TimeoutError:
        return False


async def hang_up(served: Served, sent: bytes, *, rudely: bool) -> None:
    async with connected(served) as wire:
        await wire.send(sent)
        await asyncio.sleep(0.02)
        if rudely:
            raw = wire.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.writer.transport.abort()


async def test_strangers_write_no_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    settings: dict[str, Any] = {
        "half_closed_seconds": 0.5,
        "stall_seconds": 0.5,
        "refused_seconds": 0.5,
    }
    async with serving(plain_asgi(http=careless), **settings) as served:
        for sent in (*UNCLEAR.values(), *(CHUNKED_HEAD + chunk for chunk in BAD_CHUNKS.values())):
            await hang_up(served, sent, rudely=len(sent) % 2 == 0)
        for sent in (UPLOAD, STREAM, NEXT * 20, UPLOAD[:20], CHUNKED_HEAD + b"4\r\nab", STREAM * 3):
            for rudely in (False, True):
                await hang_up(served, sent, rudely=rudely)
        for path in (b"/abort", b"/cut"):
            await hang_up(served, NEXT.replace(b"/next", path), rudely=False)
        await hang_up(served, NEXT[:-2] + WEBSOCKET + b"\r\n", rudely=False)
        await wait_until(lambda: not served.server.server_state.connections)
        await wait_until(lambda: not served.server.server_state.tasks)
    assert not [record.getMessage() for record in caplog.records]
