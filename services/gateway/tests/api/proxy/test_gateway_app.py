"""Who is let in: tokens at the door, over both adapters."""

import asyncio

import pytest

from services.gateway.tests.api.proxy.rig import JSON_PATH, Rig, gateway
from sharezync_gateway.routes import GATEWAY, ROUTES, Access, Route
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.bad_tokens import BAD_TOKENS, bad_token, bearer, good_token
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_what_may_be_signed_is_spelt_in_one_way_only(rig: Rig) -> None:
    for path in ("/v1/files/0/%63ontent", "/v1/file%73/0/content", "/v1/files/%30/content"):
        answer = await rig.client.get(f"{path}?expires=1&signature=x")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-path")
    assert not rig.puppet.seen
    assert (await rig.client.get("/v1/users/%6de", headers=rig.bearer())).status_code == 200


async def test_a_session_revoked_over_the_bus_is_refused_although_its_token_is_remembered() -> None:
    async with gateway("asgi", real_sockets=True) as rig:
        await wait_until(lambda: rig.platform.bus.ready)
        session, user = SessionId(uuid7()), UserId(uuid7())
        token = rig.issuer.access_token(user_id=user, session_id=session).token
        assert (await rig.client.get(JSON_PATH, headers=bearer(token))).status_code == 200
        control = Control(revoke_sessions=[str(session)])
        await rig.platform.bus.send_frames([Frame(f"account:{user}", "e", 1, b"", control)])
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while (await rig.client.get(JSON_PATH, headers=bearer(token))).status_code != 401:
                pass
