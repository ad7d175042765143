"""The last answer on a connection arrives, whatever the client is still sending."""

import asyncio
from typing import cast

from starlette.types import Receive, Scope, Send

from shared.tests.api.server.wire import connected, echoing
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH_0 = [(b"content-length", b"0")]


async def test_the_last_answer_survives_what_comes_behind_its_request() -> None:
    """Closing at once would reset the connection, and with it goes what the peer has not read."""
    async with echoing() as (wire, echo, served):
        transport = cast("asyncio.Transport", wire.writer.transport)
        transport.pause_reading()
        await wire.send(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await wait_until(lambda: served.server.server_state.total_requests == 1)
        for _ in range(3):
            await wire.send(SMUGGLED, SMUGGLED)
        transport.resume_reading()
        assert await wire.answers() == [(200, b"GET /last ")]
        assert len(echo.asked) == 1


async def test_who_reads_nothing_before_all_is_written_gets_an_early_answer() -> None:
    """As most clients do; more than the kernel holds of what nobody reads."""

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": LENGTH_0})
        await send({"type": "http.response.body"})

    body = bytes(16 * 1024 * 1024)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    async with serving(plain_asgi(http=early)) as served, connected(served) as wire:
        cast("asyncio.Transport", wire.writer.transport).pause_reading()
        wire.writer.write(head % len(body) + body)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await wire.writer.drain()
        cast("asyncio.Transport", wire.writer.transport).resume_reading()
        assert await wire.answer() == (401, b"")
        assert await wire.is_closed()
