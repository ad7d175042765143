"""Who is let in, where to, and how often: the door, over both adapters."""

import asyncio
import json

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.tests.api.proxy.rig import JSON_PATH, Rig, answer, gateway
from sharezync_gateway.routes import GATEWAY, ROUTES, Access, Route
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.testing.bad_tokens import BAD_TOKENS, bad_token, bearer, good_token
from sharezync_shared.testing.serving import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

# --- tokens ---------------------------------------------------------------------------------------


async def test_a_good_token_is_let_in_and_forwarded(rig: Rig) -> None:
    token = good_token(rig.issuer)
    for _ in range(2):  # the second time it is remembered
        answered = await rig.client.get(JSON_PATH, headers=bearer(token))
        assert answered.status_code == 200
        assert rig.puppet.header("authorization") == [f"Bearer {token}"]


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_bad_tokens_never_get_past_the_door(rig: Rig, name: str) -> None:
    refused = await rig.client.get(JSON_PATH, headers=bearer(bad_token(name, rig.issuer)))
    assert refused.status_code == 401, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert not rig.puppet.seen


@pytest.mark.parametrize("value", ["", "Bearer", "Basic dTpw", "bearer", "Token x"])
async def test_what_is_no_bearer_token_is_refused(rig: Rig, value: str) -> None:
    refused = await rig.client.get(JSON_PATH, headers={"Authorization": value})
    assert refused.status_code == 401
    assert "www-authenticate" in refused.headers
    assert not rig.puppet.seen


async def test_a_service_token_does_not_open_the_users_door(rig: Rig) -> None:
    token = rig.issuer.service_token("chat").token
    assert (await rig.client.get(JSON_PATH, headers=bearer(token))).status_code == 401
    assert not rig.puppet.seen


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.service != GATEWAY],
    ids=lambda route: f"{'-'.join(sorted(route.methods))} {route.path}",
)
async def test_every_route_asks_for_a_token_unless_it_is_public(rig: Rig, route: Route) -> None:
    path = "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))
    for method in route.methods:
        rig.puppet.seen.clear()
        anonymous = await rig.client.request(method, path)
        closed = route.access in {Access.USER, Access.CAPABILITY}
        assert anonymous.status_code == (401 if closed else 200)
        assert bool(rig.puppet.seen) is not closed
        known = await rig.client.request(method, path, headers=rig.bearer())
        assert known.status_code == 200
        assert rig.puppet.seen[-1]["path"] == path
        assert rig.puppet.seen[-1]["method"] == method


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.service != GATEWAY],
    ids=lambda route: f"{'-'.join(sorted(route.methods))} {route.path}",
)
async def test_a_capability_token_passes_where_the_service_finds_it_good(
    rig: Rig, route: Route
) -> None:
    path = "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))
    shown = {"Authorization": "Transfer szt1.x.y"}
    for method in route.methods:
        rig.puppet.seen.clear()
        answer = await rig.client.request(method, path, headers=shown)
        passes = route.access in {Access.CAPABILITY, Access.PUBLIC}
        assert answer.status_code == (200 if passes else 401)
        assert bool(rig.puppet.seen) is passes


async def test_where_a_token_is_not_needed_but_shown_it_must_hold(rig: Rig) -> None:
    path = "/v1/files/0/content?signature=x"
    bad = bearer(bad_token("signature-of-another-key", rig.issuer))
    assert (await rig.client.get(path, headers=bad)).status_code == 401
    assert not rig.puppet.seen
    assert (await rig.client.get(path)).status_code == 200
    assert (await rig.client.get(path, headers=rig.bearer())).status_code == 200


# --- paths ----------------------------------------------------------------------------------------

INTERNAL = [
    "/internal/revocations",
    "/internal",
    "/Internal/revocations",
    "/INTERNAL/revocations",
    "//internal/revocations",
    "/./internal/revocations",
    "/%69nternal/revocations",
    "/%49nternal/revocations",
    "/internal%2frevocations",
    "/%2finternal/revocations",
    "/v1/../internal/revocations",
    "/v1/%2e%2e/internal/revocations",
    "/v1/%2E./internal/revocations",
    "/v1/..%2finternal/revocations",
    "/v1/..;/internal/revocations",
    "/v1/.../internal/revocations",
    "/v1\\..\\internal/revocations",
    "/v1/%5c../internal/revocations",
    "/v1/channels/../../internal/revocations",
    "/v1/channels/%2e%2e/%2e%2e/internal/revocations",
    "/v1/channels/%252e%252e/internal",
    "/v1/channels/x%00/internal",
    "/v1/internal/revocations",
    "/%c0%afinternal/revocations",
    "/%e0%80%afinternal/revocations",
    "/internal/revocations/",
    "/internal/revocations?x=/v1/channels",
    "/internal;x=/v1/channels",
    "http://gateway.test/internal/revocations",
    "http://chat:8002/internal/revocations",
]


@pytest.mark.parametrize("target", INTERNAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_internal_paths_are_never_reached(rig: Rig, target: str, method: str) -> None:
    refused = await rig.ask(method, target)
    assert refused.status in {400, 404}
    assert refused.headers["content-type"] == "application/problem+json"
    assert not rig.puppet.seen


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/channels", "/v1/channels/", "/metrics", "/admin"]
)
async def test_what_has_no_row_does_not_exist(rig: Rig, path: str) -> None:
    refused = await rig.ask("GET", path)
    assert (refused.status, refused.json()["code"]) == (404, "not-found")
    assert not rig.puppet.seen


async def test_a_known_path_says_which_methods_it_has(rig: Rig) -> None:
    refused = await rig.ask("DELETE", JSON_PATH)
    assert (refused.status, refused.json()["code"]) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, POST"
    assert not rig.puppet.seen


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get"])
async def test_other_methods_are_refused(rig: Rig, method: str) -> None:
    wire = await rig.wire()
    await wire.send(rig.request(method, JSON_PATH))
    refused = await wire.answer()
    assert refused.status in {400, 405}
    assert not rig.puppet.seen


async def test_what_is_matched_is_what_is_forwarded(rig: Rig) -> None:
    await rig.ask("PUT", "/v1/%6Dessages/1/reactions/%f0%9f%98%80")
    assert rig.puppet.seen[-1]["raw_path"] == b"/v1/messages/1/reactions/%F0%9F%98%80"
    assert rig.puppet.seen[-1]["path"] == "/v1/messages/1/reactions/😀"


async def test_an_absolute_target_is_read_as_its_path(rig: Rig) -> None:
    told = (await rig.ask("GET", f"http://elsewhere.test{JSON_PATH}")).json()
    assert told["path"] == JSON_PATH
    assert rig.puppet.header("x-forwarded-host") == ["gateway.test"]


# --- what it answers itself -----------------------------------------------------------------------


async def test_it_lives_and_says_what_it_waits_for(rig: Rig) -> None:
    assert (await rig.client.get("/health")).json() == {"status": "alive"}
    ready = await rig.client.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    rig.sockets.ready = False
    try:
        unready = await rig.client.get("/ready")
    finally:
        rig.sockets.ready = True
    assert unready.status_code == 503
    assert unready.json() == {
        "ready": False,
        "checks": {"keys": True, "sockets": False, "staying": True},
    }


async def test_metrics_know_templates_and_no_paths(rig: Rig) -> None:
    secret = uuid7().hex
    await rig.ask("GET", f"/v1/channels/{secret}?q={secret}")
    await rig.ask("GET", f"/nowhere/{secret}")
    samples = [s for m in rig.registry.collect() for s in m.samples if "http" in s.name]
    assert secret not in repr(samples)
    routes = {s.labels["route"] for s in samples if "route" in s.labels}
    assert {"/v1/channels/{id}", "unmatched"} <= routes
    counted = {"service": GATEWAY, "route": "/v1/channels/{id}", "method": "GET"}
    name = "sharezync_http_request_duration_seconds_count"
    assert rig.registry.get_sample_value(name, {**counted, "status_class": "2xx"})


# --- sockets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/ws/phone-1", "/ws/channels/01a1ffa4-5d08-7bcf-a402-c19586e1e98a"]
)
async def test_sockets_are_handed_to_the_engine(rig: Rig, path: str) -> None:
    async with connect(f"{rig.served.ws}{path}", proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
    assert rig.sockets.scopes[-1]["path"] == path
    assert rig.sockets.scopes[-1]["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ws", 404), ("/ws/a/b", 404), ("/v1/channels", 404), ("/internal/x", 404),
     ("/ws/%2e%2e", 400), ("/ws/a%2fb", 400)],
)  # fmt: skip
async def test_other_handshakes_are_refused(rig: Rig, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{rig.served.ws}{path}", proxy=None):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status
    assert not rig.sockets.scopes


async def test_a_socket_path_is_no_page(rig: Rig) -> None:
    assert (await rig.client.get("/ws/phone-1")).status_code == 404


# --- limits ---------------------------------------------------------------------------------------


async def test_each_user_has_a_limit_and_is_told_when_to_come_back() -> None:
    async with gateway("asgi", rate_limit_standard="3/minute") as rig:
        ann, bob = rig.bearer(), rig.bearer()
        statuses = [(await rig.client.get(JSON_PATH, headers=ann)).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await rig.client.get(JSON_PATH, headers=ann)
        assert refused.json()["code"] == "rate-limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert refused.headers["ratelimit-policy"] == '"standard";q=3;w=60'
        assert refused.headers["ratelimit"] == f'"standard";r=0;t={refused.headers["retry-after"]}'
        assert (await rig.client.get(JSON_PATH, headers=bob)).status_code == 200
        assert len(rig.puppet.seen) == 4


async def test_two_tokens_of_one_user_share_the_limit() -> None:
    async with gateway("asgi", rate_limit_standard="2/minute") as rig:
        user = UserId(uuid7())
        statuses = [
            (await rig.client.get(JSON_PATH, headers=rig.bearer(user))).status_code
            for _ in range(3)
        ]
        assert statuses == [200, 200, 429]


async def test_guessing_tokens_is_counted_by_address_and_proven_ones_go_on() -> None:
    async with gateway("asgi", rate_limit_public="3/minute") as rig:
        known = rig.bearer()
        assert (await rig.client.get(JSON_PATH, headers=known)).status_code == 200
        statuses = []
        for _ in range(4):
            bad = bearer(bad_token("signature-of-another-key", rig.issuer))
            statuses.append((await rig.client.get(JSON_PATH, headers=bad)).status_code)
        assert statuses == [401, 401, 429, 429]
        assert (await rig.client.get("/docs")).status_code == 429
        assert (await rig.client.get(JSON_PATH, headers=known)).status_code == 200
        assert (await rig.client.get("/health")).status_code == 200


async def test_signing_in_has_a_limit_of_its_own() -> None:
    async with gateway("asgi", rate_limit_sign_in="2/minute") as rig:
        statuses = [(await rig.client.post("/token")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert (await rig.client.get("/.well-known/jwks.json")).status_code == 200


async def test_an_empty_limit_is_none() -> None:
    async with gateway("asgi", rate_limit_sign_in="") as rig:
        assert {(await rig.client.post("/token")).status_code for _ in range(30)} == {200}


async def test_handshakes_have_a_limit() -> None:
    async with gateway("asgi", rate_limit_sockets="1/minute") as rig:
        async with connect(f"{rig.served.ws}/ws/a", proxy=None):
            pass
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{rig.served.ws}/ws/a", proxy=None):
                pass
        assert refused.value.response.status_code == 429
        assert "Retry-After" in refused.value.response.headers


# --- behind a proxy -------------------------------------------------------------------------------


async def test_only_a_trusted_proxy_says_who_the_client_is() -> None:
    forwarded = ["X-Forwarded-For: 10.9.9.9, 203.0.113.7, 127.0.0.2", "X-Forwarded-Proto: https",
                 "X-Forwarded-Host: front.test"]  # fmt: skip
    async with gateway("asgi", trusted_proxies="127.0.0.0/8,::1/128") as rig:
        await rig.ask("GET", JSON_PATH, *forwarded)
        assert rig.puppet.header("x-forwarded-for") == ["203.0.113.7"]
        assert rig.puppet.header("x-forwarded-proto") == ["https"]
        assert rig.puppet.header("x-forwarded-host") == ["front.test"]
        assert rig.puppet.seen[-1]["client"][0] == "203.0.113.7"
        assert rig.puppet.seen[-1]["scheme"] == "https"
    async with gateway("asgi", trusted_proxies="10.0.0.0/8") as rig:
        await rig.ask("GET", JSON_PATH, *forwarded)
        assert rig.puppet.header("x-forwarded-for") == ["127.0.0.1"]
        assert rig.puppet.header("x-forwarded-proto") == ["http"]
        assert rig.puppet.header("x-forwarded-host") == ["gateway.test"]


# --- browsers -------------------------------------------------------------------------------------

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


# --- leaving --------------------------------------------------------------------------------------


async def test_sockets_are_told_goodbye_and_readiness_ends_before_anything_is_closed() -> None:
    async with gateway("asgi") as rig:
        may_end = asyncio.Event()
        ready_while_leaving: list[int] = []

        async def goodbye(seconds: float) -> None:
            ready_while_leaving.append((await rig.client.get("/ready")).status_code)
            may_end.set()

        rig.platform.draining.add("test", goodbye)
        await rig.served.stop()
        assert ready_while_leaving == [503]
        assert len(rig.sockets.drained) == 1


async def test_a_session_revoked_over_the_bus_is_refused_although_its_token_is_remembered() -> None:
    async with gateway("asgi", real_sockets=True) as rig:
        await wait_until(lambda: rig.platform.bus.ready)
        session, user = SessionId(uuid7()), UserId(uuid7())
        token = rig.issuer.access_token(user_id=user, session_id=session).token
        assert (await rig.client.get(JSON_PATH, headers=bearer(token))).status_code == 200
        control = Control(revoke_sessions=[str(session)])
        await rig.platform.bus.send_frames([Frame(f"account:{user}", "e", 1, b"", control)])
        async with asyncio.timeout(1):
            while (await rig.client.get(JSON_PATH, headers=bearer(token))).status_code != 401:
                pass


async def test_with_the_real_socket_engine_it_becomes_ready() -> None:
    async with gateway("asgi", real_sockets=True) as rig, asyncio.timeout(5):
        while (await rig.client.get("/ready")).status_code != 200:
            pass
