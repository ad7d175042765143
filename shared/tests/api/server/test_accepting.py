"""Who opens connections without end doesn't keep others from being accepted."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from shared.tests.api.server.wire import Echo, connected
from sharezync_testkit.serving import plain_asgi, serving

WAITING = 64


async def test_several_connections_are_accepted_in_one_pass_of_the_loop() -> None:
    async with serving(plain_asgi(http=Echo())) as served:
        with ExitStack() as stack:
            for _ in range(WAITING):  # the kernel takes them while the loop stands still
                stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            passes = 0
            while served.server.connections.open < WAITING:
                await asyncio.sleep(0)
                passes += 1
        assert passes < WAITING // 2


async def test_nobody_is_accepted_any_more_when_the_server_stops() -> None:
    async with serving(plain_asgi(http=Echo())) as served:
        async with connected(served) as wire:
            await wire.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await wire.answer() == (200, b"GET /a ")
        await served.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", served.port)
