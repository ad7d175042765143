"""The documentation of all services, through the gateway."""

import json
import re
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import Adapter, Puppet, answer, gateway
from sharezync_shared.asgi.app import create_service_app
from sharezync_shared.health import Health
from sharezync_shared.problems import NotFound, problems
from sharezync_shared.tokens.dependencies import Caller, InternalCaller
from sharezync_testkit.openapi import check_openapi


class Channel(BaseModel):
    name: str


def real_service() -> FastAPI:
    """Return an application as our services are made, with some routes of chat's."""
    router = APIRouter(tags=["channels"])

    @router.get("/v1/channels/{channel_id}", responses=problems(NotFound))
    async def read_channel(channel_id: str, caller: Caller) -> Channel:
        raise NotFound

    @router.post("/v1/channels", status_code=201)
    async def create_channel(body: Channel, caller: Caller) -> Channel:
        return body

    @router.get("/internal/streams/heads")
    async def heads(caller: InternalCaller) -> dict[str, str]:
        return {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        yield

    return create_service_app(
        name="chat", summary="s", description="d", version="1", lifespan=lifespan,
        registry=CollectorRegistry(), routers=[router],
        health=Health("x", {}, CollectorRegistry()),
    )  # fmt: skip


class Documented(Puppet):
    """A service whose document is that of a real one."""

    def __init__(self) -> None:
        super().__init__()
        self.real = real_service()
        self.handler = self.real
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += scope.get("path") == "/openapi.json"
        await super().__call__(scope, receive, send)


async def test_the_merged_document_is_valid_and_tells_what_can_be_reached(adapter: Adapter) -> None:
    async with gateway(adapter, puppet=Documented()) as rig:
        answered = await rig.client.get("/openapi.json")
        assert answered.status_code == 200
        document = answered.json()
        check_openapi(document)
        assert {"/v1/channels", "/v1/channels/{channel_id}", "/health"} <= set(document["paths"])
        assert not [path for path in document["paths"] if "internal" in path]
        assert "x-unavailable" not in document["info"]
        flows = document["components"]["securitySchemes"]["user"]["flows"]
        assert flows["password"]["tokenUrl"] == "/token"


async def test_each_service_has_a_document_and_a_page(adapter: Adapter) -> None:
    async with gateway(adapter, puppet=Documented()) as rig:
        document = (await rig.client.get("/openapi/chat.json")).json()
        check_openapi(document)
        assert set(document["paths"]) == {"/v1/channels", "/v1/channels/{channel_id}"}
        page = await rig.client.get("/docs/chat")
        assert "/openapi/chat.json" in page.text
        for path in ("/openapi/billing.json", "/docs/billing", "/openapi/chat", "/openapi/.json"):
            assert (await rig.client.get(path)).status_code == 404


async def test_pages_show_the_merged_document_and_need_nothing_from_elsewhere() -> None:
    async with gateway("asgi") as rig:
        for path in ("/docs", "/redoc"):
            page = await rig.client.get(path)
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "/openapi.json" in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
            assert sources
            for source in sources:
                assert source.startswith(("/docs/assets/", "data:")), source
                if source.startswith("/"):
                    asset = await rig.client.get(source)
                    assert asset.status_code == 200
                    assert len(asset.content) > 10_000
                    assert "max-age" in asset.headers["cache-control"]
        for name in ("nothing.js", "..%2Fcore.py", "core.py"):
            assert (await rig.client.get(f"/docs/assets/{name}")).status_code in {400, 404}
        assert not rig.puppet.seen


async def test_documents_are_kept_for_a_while() -> None:
    puppet = Documented()
    async with gateway("asgi", puppet=puppet) as rig:
        for _ in range(3):
            await rig.client.get("/openapi.json")
        assert puppet.asked == 4  # one for each service


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"paths": 1}'])
async def test_a_service_without_a_usable_document_is_named_and_not_missed(body: bytes) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, body)

    async with gateway("asgi", puppet=Puppet(handler)) as rig:
        document = (await rig.client.get("/openapi.json")).json()
        check_openapi(document)
        assert set(document["info"]["x-unavailable"]) == {"auth", "chat", "transfer", "storage"}
        refused = await rig.client.get("/openapi/chat.json")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")


async def test_a_service_that_went_away_keeps_its_last_document() -> None:
    puppet = Documented()
    async with gateway("asgi", puppet=puppet, openapi_cache_seconds=0) as rig:
        first = (await rig.client.get("/openapi.json")).json()

        async def away(scope: Scope, receive: Receive, send: Send) -> None:
            await answer(send, status=503)

        puppet.handler = away
        assert (await rig.client.get("/openapi.json")).json() == first


SAYS = {"type": "said", "stream": "inbox", "summary": "s", "signal": False, "data": {}}


def saying(*types: str) -> bytes:
    """Return the document of a service that declares these events."""
    events = [{**SAYS, "type": each} for each in types]
    document = {
        "openapi": "3.1.0",
        "info": {},
        "paths": {},
        "x-realtime": {"events": events, "commands": [], "schemas": {}},
    }
    return json.dumps(document).encode()


async def test_what_services_say_on_sockets_is_a_document_for_everybody() -> None:
    body = saying("first")

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, body)

    async with gateway("asgi", puppet=Puppet(handler), openapi_cache_seconds=0) as rig:
        answered = await rig.client.get("/asyncapi.json")
        assert answered.status_code == 200
        assert answered.headers["content-type"] == "application/json"
        document = answered.json()
        assert document["asyncapi"] == "3.0.0"
        assert "x-unavailable" not in document["info"]
        assert "event.inbox.first" in document["components"]["messages"]

        body = saying("second")
        await rig.client.get("/openapi/chat.json")  # whoever asks first: it is noticed
        messages = (await rig.client.get("/asyncapi.json")).json()["components"]["messages"]
        assert "event.inbox.second" in messages
        assert "event.inbox.first" not in messages


async def test_the_gateway_s_own_frames_are_documented_with_every_service_away() -> None:
    async def away(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=503)

    async with gateway("asgi", puppet=Puppet(away)) as rig:
        document = (await rig.client.get("/asyncapi.json")).json()
    assert set(document["info"]["x-unavailable"]) == {"auth", "chat", "transfer", "storage"}
    assert "server.hello" in document["components"]["messages"]


async def test_what_a_service_declares_of_sockets_stays_out_of_the_other_documents() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, saying("said"))

    async with gateway("asgi", puppet=Puppet(handler)) as rig:
        for path in ("/openapi.json", "/openapi/chat.json"):
            assert "x-realtime" not in (await rig.client.get(path)).json()


async def test_the_root_says_what_runs_here_to_people_and_to_programs(adapter: Adapter) -> None:
    async with gateway(adapter) as rig:
        page = await rig.ask("GET", "/", "Accept: text/html,*/*;q=0.8")
        told = (await rig.ask("GET", "/", "Accept: */*")).json()
        assert page.headers["content-type"].startswith("text/html")
        links = re.findall(r'href="(/[^"]*)"', page.body.decode())
        assert {"/docs", "/redoc", "/openapi.json", "/asyncapi.json", "/health"} <= set(links)
        assert (told["name"], told["documentation"]) == ("ShareZync", "/docs")
        assert told["version"]
        for path in links:
            assert (await rig.ask("GET", path)).status == 200, path
