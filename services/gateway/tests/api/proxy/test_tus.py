"""What tus asks of answers that the gateway gives by itself."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import JSON_PATH, Adapter, answer, gateway
from sharezync_testkit.waiting import GIVE_UP_SECONDS

ORIGIN = "https://app.test"
READABLE = (
    "Location", "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata",
    "Upload-Concat", "Upload-Expires", "Tus-Resumable", "Tus-Version", "Tus-Extension",
    "Tus-Max-Size", "Tus-Checksum-Algorithm", "Retry-After",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/v1/uploads/1", 401),
        ("PATCH", "/v1/uploads/1", 401),
        ("PUT", "/v1/uploads/1", 405),
        ("GET", "/v1/uploads/1/2", 404),
    ],
)
async def test_refusals_at_the_door_speak_tus(method: str, path: str, status: int) -> None:
    async with gateway("asgi") as rig:
        refused = await rig.client.request(method, path)
        assert refused.status_code == status
        assert refused.headers.get_list("tus-resumable") == ["1.0.0"]
        assert refused.headers["cache-control"] == "no-store"
        assert "tus-resumable" not in (await rig.client.get(JSON_PATH)).headers


async def test_a_service_that_fails_is_told_in_tus() -> None:
    async with gateway("asgi") as rig:

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            raise RuntimeError

        rig.puppet.handler = handler
        failed = await rig.client.head("/v1/uploads/1", headers=rig.bearer())
        assert failed.status_code == 502
        assert failed.headers["tus-resumable"] == "1.0.0"


async def test_what_the_service_says_is_not_said_twice() -> None:
    async with gateway("asgi") as rig:

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            said = [(b"Tus-Resumable", b"1.0.0"), (b"Cache-Control", b"no-store")]
            await answer(send, status=200, headers=said)

        rig.puppet.handler = handler
        answered = await rig.client.head("/v1/uploads/1", headers=rig.bearer())
        assert answered.headers.get_list("tus-resumable") == ["1.0.0"]
        assert answered.headers.get_list("cache-control") == ["no-store"]


async def test_pages_may_read_all_that_a_client_of_tus_needs() -> None:
    async with gateway("asgi", frontend_origin=ORIGIN) as rig:
        answered = await rig.client.head("/v1/uploads/1", headers={"Origin": ORIGIN})
        exposed = answered.headers["access-control-expose-headers"].split(", ")
        assert set(READABLE) <= set(exposed)


async def test_pages_may_send_all_that_a_client_of_tus_says() -> None:
    asked = (
        "authorization,content-type,tus-resumable,upload-length,upload-offset,upload-metadata,"
        "upload-defer-length,upload-concat,upload-checksum,x-http-method-override,x-request-id"
    )
    async with gateway("asgi", frontend_origin=ORIGIN) as rig:
        for method in ("POST", "HEAD", "PATCH", "DELETE"):
            preflight = await rig.client.options(
                "/v1/uploads/1",
                headers={
                    "Origin": ORIGIN,
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": asked,
                },
            )
            assert preflight.status_code == 200
            assert method in preflight.headers["access-control-allow-methods"]
            allowed = preflight.headers["access-control-allow-headers"]
            assert set(asked.split(",")) <= {name.strip() for name in allowed.lower().split(",")}


@pytest.mark.parametrize("length", [10, 1_000_000], ids=["small", "large"])
@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_body_that_stops_coming_may_go_on_and_what_came_is_kept(
    adapter: Adapter, method: str, length: int
) -> None:
    """A 408, as to other clients, would mean to one of tus: forget the upload."""
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        came = b""
        while (message := await receive())["type"] != "http.disconnect":
            came += message.get("body", b"")
        ended.set_result(came)

    async with gateway(adapter, client_idle_seconds=0.3) as rig:
        rig.puppet.handler = handler
        wire = await rig.wire()
        path = "/v1/uploads/1" if method == "PATCH" else "/v1/uploads"
        stream = "Content-Type: application/offset+octet-stream"
        head = rig.request(method, path, stream, f"Content-Length: {length}")
        await wire.send(f"{head}hello")
        told = await wire.answer()
        assert (told.status, told.json()["code"]) == (503, "upload-interrupted")
        assert int(told.headers["retry-after"]) >= 1
        assert told.headers["tus-resumable"] == "1.0.0"
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert await ended == b"hello"
