"""How many connections there may be: in all, and from one address."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from shared.tests.api.server.wire import Echo, connected
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.server import ServerSettings
from sharezync_shared.server.connections import ConnectionLimits
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import wait_until

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.mark.parametrize(
    ("limits", "status"),
    [({"max_connections": 3}, 503), ({"max_connections_per_address": 3}, 429)],
)
async def test_too_many_are_told_so_and_closed(limits: dict[str, Any], status: int) -> None:
    echo = Echo()
    app = plain_asgi(http=echo, websocket=accepting)
    async with serving(app, **limits) as served, AsyncExitStack() as stack:
        socket = await stack.enter_async_context(connect(served.ws))  # sockets count as well
        first, second = [await stack.enter_async_context(connected(served)) for _ in range(2)]
        await wait_until(lambda: served.server.connections.open == 3)
        async with connected(served) as refused:
            assert (await refused.answer())[0] == status
            assert await refused.is_closed()
        assert not echo.asked
        await first.send(GET)
        assert await first.answer() == (200, b"GET /a ")
        await socket.close()
        await wait_until(lambda: served.server.connections.open == 2)
        async with connected(served) as another:
            await another.send(GET)
            assert await another.answer() == (200, b"GET /a ")
        await second.send(GET)
        assert await second.answer() == (200, b"GET /a ")
    assert not served.server.connections.open


async def test_who_is_refused_reads_why_though_it_has_asked_already() -> None:
    async with (
        serving(plain_asgi(http=Echo()), max_connections=1) as served,
        connected(served),
        connected(served) as refused,
    ):
        transport = cast("asyncio.Transport", refused.writer.transport)
        transport.pause_reading()
        for _ in range(3):
            await refused.send(GET, GET)
        transport.resume_reading()
        assert (await refused.answer())[0] == 503
        assert await refused.is_closed()


def test_few_that_are_refused_stay_to_read_why() -> None:
    limits = ConnectionLimits(ServerSettings(max_connections=0))
    leave = [limits.enter_refused() for _ in range(256)]
    assert all(leave)
    assert limits.enter_refused() is None
    assert leave[0] is not None
    leave[0]()
    assert limits.enter_refused() is not None


async def test_proxies_that_are_trusted_speak_for_many() -> None:
    trusted = (ip_network("127.0.0.0/8"),)
    app = plain_asgi(http=Echo())
    async with (
        serving(app, max_connections_per_address=1, trusted_proxies=trusted) as served,
        connected(served),
        connected(served) as wire,
    ):
        await wire.send(GET)
        assert await wire.answer() == (200, b"GET /a ")


def test_a_site_of_ipv6_is_one_address() -> None:
    limits = ConnectionLimits(ServerSettings(max_connections=10, max_connections_per_address=2))
    leave = [limits.enter(f"2001:db8::{number}") for number in range(2)]
    with pytest.raises(RateLimited):
        limits.enter("2001:db8::ffff")
    limits.enter("2001:db8:0:1::1")
    limits.enter("192.0.2.1")
    assert limits.open == 4
    leave[0]()
    limits.enter("2001:db8::ffff")
    assert limits.open == 4


def test_there_are_never_more_than_a_process_may_have_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4, 100))
    limits = ConnectionLimits(ServerSettings(max_connections=10))
    for _ in range(3):
        limits.enter("192.0.2.1")
    with pytest.raises(Unavailable):
        limits.enter("192.0.2.1")
