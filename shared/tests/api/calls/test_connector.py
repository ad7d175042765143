"""Connections between services end in good time, and calls know when not to be made."""

import asyncio
import time

import aiohttp
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from sharezync_shared.calls.breaker import Breaker
from sharezync_shared.calls.connector import AgingConnector
from sharezync_shared.calls.transports import GuardedTransport, ServiceLeftAlone
from sharezync_testkit.serving import plain_asgi, serving


class Replica:
    """Counts who came by which connection."""

    def __init__(self) -> None:
        self.connections: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.connections.append(scope["client"][1])
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


async def test_a_connection_is_used_until_it_is_old_and_then_replaced() -> None:
    replica = Replica()
    async with (
        serving(plain_asgi(http=replica)) as served,
        aiohttp.ClientSession(connector=AgingConnector(max_age_seconds=0.5)) as session,
    ):
        began = time.monotonic()
        while time.monotonic() - began < 3:
            async with session.get(served.http) as answer:
                assert await answer.read() == b"ok"
            await asyncio.sleep(0.005)
    used = len(set(replica.connections))
    assert 2 <= used <= 11, "ended at 0.3 to 0.7 s"
    assert len(replica.connections) > used, "each carried more than one request"


async def test_connections_that_began_together_do_not_end_together() -> None:
    ends = set()
    replica = Replica()
    async with serving(plain_asgi(http=replica)) as served:
        connector = AgingConnector(max_age_seconds=100)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(session.get(served.http) for _ in range(20)))
            ends = {end - time.monotonic() for end in connector._ends_at.values()}
    assert all(59 < end < 141 for end in ends)
    assert max(ends) - min(ends) > 10


def transport_to(answers: list[httpx.Response | Exception]) -> GuardedTransport:
    def respond(_: httpx.Request) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return GuardedTransport(httpx.MockTransport(respond), Breaker("chat"))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_that_found_no_way_is_made_once_more(method: str) -> None:
    answers: list[httpx.Response | Exception] = [httpx.ConnectError("no"), httpx.Response(200)]
    async with httpx.AsyncClient(transport=transport_to(answers)) as client:
        assert (await client.request(method, "http://chat/")).status_code == 200


@pytest.mark.parametrize("error", [httpx.ReadTimeout("no"), httpx.RemoteProtocolError("no")])
async def test_a_call_that_may_have_been_carried_out_is_not(error: Exception) -> None:
    answers: list[httpx.Response | Exception] = [error, httpx.Response(200)]
    async with httpx.AsyncClient(transport=transport_to(answers)) as client:
        with pytest.raises(type(error)):
            await client.post("http://chat/")
    assert len(answers) == 1


async def test_a_service_that_answers_nobody_is_left_alone() -> None:
    answers: list[httpx.Response | Exception] = [httpx.ReadTimeout("no")] * 100
    async with httpx.AsyncClient(transport=transport_to(answers)) as client:
        for _ in range(50):
            with pytest.raises(httpx.TransportError):
                await client.get("http://chat/")
        assert len(answers) == 95
        with pytest.raises(ServiceLeftAlone):
            await client.get("http://chat/")
