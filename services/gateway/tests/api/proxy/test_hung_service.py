"""A service that takes requests and never answers them: told quickly, and only where it is so."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import FILE_PATH, JSON_PATH, Rig, answer, gateway
from sharezync_shared.calls import breaker
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

AUTHS_PATH = "/v1/devices"


class Hanging:
    """Shows no sign of life until `lives`, no answer until `goes_on`; auth alone is well."""

    def __init__(self) -> None:
        self.lives = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.pings = 0
        self.posts = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.pings += path == "/health"
        self.posts += scope["method"] == "POST" and path == JSON_PATH
        if path != AUTHS_PATH:
            await self.lives.wait()
            if path != "/health":
                await self.goes_on.wait()
        await answer(send, path.encode())


@pytest_asyncio.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    for name in ("_QUIET_SECONDS", "_PING_SECONDS", "_EVERY_SECONDS"):
        monkeypatch.setattr(breaker, name, 0.1)
    monkeypatch.setattr(breaker, "_FIRST_SECONDS", 0.1)
    async with gateway("http", watched=True) as made:
        yield made


async def test_a_service_that_hangs_is_told_of_at_once_and_found_again(rig: Rig) -> None:
    service = rig.puppet.handler = Hanging()
    upload = asyncio.create_task(rig.ask("POST", FILE_PATH, "Content-Length: 1", body=b"x"))
    held = [rig.ask(method, JSON_PATH) for method in ("GET", "POST")]
    for told in await asyncio.gather(*held):
        assert (told.status, told.json()["code"]) == (504, "upstream-timeout")
        assert int(told.headers["retry-after"]) >= 1
    refused = await rig.ask("POST", JSON_PATH)
    assert (refused.status, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert service.posts == 1, "the one that was sent isn't sent again, the other wasn't made"

    assert (await rig.ask("GET", AUTHS_PATH)).status == 200, "the others are as useful as before"
    service.lives.set()
    service.goes_on.set()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while (await rig.ask("POST", JSON_PATH)).status != 200:  # noqa: ASYNC110 - it asks
            await asyncio.sleep(0.02)
    assert (await upload).status == 200, "what moves bytes waits for more than a moment"


async def test_a_service_that_is_slow_is_waited_for(rig: Rig) -> None:
    service = rig.puppet.handler = Hanging()
    service.lives.set()
    slow = asyncio.create_task(rig.ask("GET", JSON_PATH))
    await wait_until(lambda: service.pings > 2 * breaker._PINGS)
    service.goes_on.set()
    assert (await slow).status == 200
    assert (await rig.client.get("/ready")).json()["status"] == "ok"
