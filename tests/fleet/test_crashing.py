"""Who is online stays true when a gateway stops or crashes, and when auth does."""

import asyncio
import signal
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.blackbox.people import Json, Person
from tests.blackbox.test_presence import told
from tests.fleet.conftest import LEASE_SECONDS
from tests.fleet.crowd import Crowd, tell, until

pytestmark = pytest.mark.timeout(120)

ON_BOTH = {"on-zero": True, "on-one": True}
ON_ZERO = {"on-zero": True, "on-one": False}


async def devices(person: Person) -> Mapping[str, Json]:
    return {item["client_id"]: item for item in (await person.get("/v1/devices"))["items"]}


async def online(person: Person) -> Mapping[str, bool]:
    return {name: item["online"] for name, item in (await devices(person)).items()}


async def test_users_of_a_gateway_that_is_stopped_go_offline_at_once(
    crowd: Crowd, fleet: DrilledFleet
) -> None:
    ada = await crowd.register("ada", gateway=0)
    bob = await crowd.register("bob", gateway=1)
    await ada.add(channel := await ada.channel(), bob)
    await bob.say(channel, "Here I am.")  # who was only added is shown to nobody
    stopped = fleet.replicas["gateway"][1]

    async with ada.connected() as adas, bob.connected() as bobs:
        subscribed = await adas.command("subscribe", users=[bob.id])
        assert subscribed["data"]["presence"][0]["online"] is True
        after = len(adas.frames)
        began = time.monotonic()
        stopped.signal(signal.SIGTERM)
        await told(adas, bob.id, online=False, after=after)
        tell("users of a stopped gateway were told to be offline after", [time.monotonic() - began])
        await bobs.closed.wait()
        assert bobs.connection.close_code == 4001
    assert await asyncio.to_thread(stopped.wait, 30)


async def test_devices_of_a_crashed_gateway_go_offline_and_come_back(
    crowd: Crowd, fleet: DrilledFleet
) -> None:
    ada = await crowd.register("ada", gateway=0)
    elsewhere = crowd.by_way_of(ada, 1)

    async def only_the_other_is_online() -> bool:
        now = await online(ada)
        assert now["on-zero"]
        return now == ON_ZERO

    async def both_are_online() -> bool:
        return await online(ada) == ON_BOTH

    async with ada.connected("on-zero") as zeros:
        async with elsewhere.connected("on-one"):
            await until(both_are_online)
            seen_before = _at((await devices(ada))["on-one"])
            await asyncio.to_thread(fleet.kill, "gateway", 1)
            took = await until(only_the_other_is_online, seconds=LEASE_SECONDS + 3)
        tell("devices of a killed gateway were offline after", [took])
        seen_after = _at((await devices(ada))["on-one"])
        assert timedelta(0) <= seen_after - seen_before < timedelta(seconds=LEASE_SECONDS)

        await asyncio.to_thread(fleet.restart, "gateway", 1)
        async with elsewhere.connected("on-one"):
            await until(both_are_online)
        assert not zeros.closed.is_set()


async def test_devices_stay_online_while_auth_is_started_again(
    crowd: Crowd, fleet: DrilledFleet
) -> None:
    ada = await crowd.register("ada", gateway=0)
    elsewhere = crowd.by_way_of(ada, 1)
    async with ada.connected("on-zero"), elsewhere.connected("on-one"):
        assert await online(ada) == ON_BOTH
        await asyncio.to_thread(fleet.kill, "auth", 1)  # the one that gateway-1 knows
        await asyncio.to_thread(fleet.restart, "auth", 1)

        await until(answers, elsewhere)  # its gateway looks now and then whether auth is back
        # What was said before holds for a lease's time, so whoever is online for longer is so by
        # heartbeats that arrive again.
        now = asyncio.get_running_loop().time
        began = since = now()
        while now() - since < 1.5 * LEASE_SECONDS:
            assert now() - began < 10 * LEASE_SECONDS
            for way in (ada, elsewhere):
                if await online(way) != ON_BOTH:
                    since = now()
            await asyncio.sleep(0.1)
        tell("after auth's start all were online, to stay, after", [since - began])


async def answers(way: Person) -> bool:
    return (await way.http.get("/v1/devices")).status_code == 200


def _at(device: Json) -> datetime:
    return datetime.fromisoformat(device["last_seen_at"])
