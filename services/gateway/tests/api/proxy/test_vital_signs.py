"""What the gateway says of itself: that it lives, that it is ready, how much it does."""

import asyncio

import pytest

from services.gateway.tests.api.proxy.rig import SERVICES, Rig, gateway
from sharezync_gateway.routes import GATEWAY
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import GIVE_UP_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


UP = {"status": "up"}


async def test_it_lives_and_says_what_it_waits_for(rig: Rig) -> None:
    assert (await rig.client.get("/health")).json() == {"status": "alive"}
    ready = await rig.client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    rig.sockets.ready = False
    try:
        unready = await rig.client.get("/ready")
    finally:
        rig.sockets.ready = True
    assert unready.status_code == 503
    assert unready.json() == {
        "ready": False,
        "status": "not_ready",
        "blocked_by": ["revocations"],
        "dependencies": dict.fromkeys(("keys", "broker", *SERVICES), UP),
    }


async def test_a_gateway_without_its_broker_stays_ready_and_says_what_is_degraded(
    rig: Rig,
) -> None:
    rig.sockets.delivering = False
    try:
        answer = await rig.client.get("/ready")
    finally:
        rig.sockets.delivering = True
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["dependencies"]["broker"] == {
        "status": "down",
        "degraded": "Events reach sockets a second later; presence and typing are not sent",
    }
    labels = {"service": GATEWAY, "dependency": "broker"}
    assert rig.registry.get_sample_value("sharezync_dependency_up", labels) == 0
    assert (await rig.client.get("/ready")).json()["status"] == "ok"
    assert rig.registry.get_sample_value("sharezync_dependency_up", labels) == 1


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


async def test_with_the_real_socket_engine_it_becomes_ready() -> None:
    async with gateway("asgi", real_sockets=True) as rig, asyncio.timeout(GIVE_UP_SECONDS):
        while (await rig.client.get("/ready")).status_code != 200:
            pass
