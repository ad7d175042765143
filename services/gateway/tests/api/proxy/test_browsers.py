"""What pages may do in a browser: those of the frontend, and those of others."""

from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import JSON_PATH, answer, gateway

ORIGIN = "https://app.test"


async def test_pages_of_the_frontend_may_call_and_read() -> None:
    async with gateway("asgi", frontend_origin="https://other.test, https://app.test/") as rig:
        preflight = await rig.client.options(
            "/v1/uploads/1",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "authorization, upload-offset, tus-resumable",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "upload-offset" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        assert not rig.puppet.seen
        for headers in (rig.bearer(), {}):  # a refusal must be readable too
            answered = await rig.client.get(JSON_PATH, headers={"Origin": ORIGIN, **headers})
            assert answered.headers["access-control-allow-origin"] == ORIGIN
            exposed = answered.headers["access-control-expose-headers"].lower()
            for name in ("upload-offset", "location", "x-request-id", "ratelimit", "etag"):
                assert name in exposed


async def test_pages_of_others_may_not() -> None:
    async with gateway("asgi", frontend_origin=ORIGIN) as rig:
        headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "GET"}
        preflight = await rig.client.options(JSON_PATH, headers=headers)
        assert preflight.status_code == 400
        assert "access-control-allow-origin" not in preflight.headers
        answered = await rig.client.get(JSON_PATH, headers={**rig.bearer(), **headers})
        assert "access-control-allow-origin" not in answered.headers


async def test_without_a_frontend_there_is_no_cors() -> None:
    async with gateway("asgi") as rig:
        answered = await rig.client.get(JSON_PATH, headers={**rig.bearer(), "Origin": ORIGIN})
        assert not [name for name in answered.headers if name.startswith("access-control-")]


async def test_what_tus_supports_is_asked_of_storage_and_not_of_cors() -> None:
    async with gateway("asgi", frontend_origin=ORIGIN) as rig:

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            await answer(send, status=204, headers=[(b"tus-version", b"1.0.0")])

        rig.puppet.handler = handler
        answered = await rig.client.options("/v1/uploads", headers={"Origin": ORIGIN})
        assert answered.status_code == 204
        assert answered.headers["tus-version"] == "1.0.0"
        assert answered.headers["access-control-allow-origin"] == ORIGIN
