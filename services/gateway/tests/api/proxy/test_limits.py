"""How often somebody is let in, and whom it is counted against."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.tests.api.proxy.rig import JSON_PATH, gateway
from sharezync_shared.ids import UserId, uuid7
from sharezync_testkit.bad_tokens import bad_token, bearer


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


async def test_all_addresses_of_one_ipv6_network_are_one_caller() -> None:
    """A customer is given a /64: who may change the address may not begin anew with each."""

    def at(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    async with gateway("asgi", rate_limit_public="2/minute", trusted_proxies="127.0.0.0/8") as rig:
        addresses = [f"2001:db8:0:1::{n}" for n in range(3)] + ["2001:db8:0:2::1"]
        statuses = [(await rig.client.get("/docs", headers=at(a))).status_code for a in addresses]
        assert statuses == [200, 200, 429, 200]


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
