"""A login that ends is over at every gateway, at once, and no other is harmed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median

import httpx
import pytest

from tests.blackbox.people import PASSWORD, Person
from tests.fleet.crowd import Crowd, closed, refresh, refused, session_of, tell

pytestmark = pytest.mark.timeout(120)

ROUNDS = 5


async def test_of_three_devices_one_is_revoked_and_the_others_live_on(
    crowd: Crowd,
) -> None:
    sender = await crowd.register("sender")
    phone = await crowd.register("ada", gateway=0)
    tablet = await crowd.log_in(phone, gateway=1)
    channel_id = await sender.channel()
    await sender.add(channel_id, phone)
    to_close: list[float] = []
    to_refuse: list[float] = []

    async with phone.connected("phone") as phones, tablet.connected("tablet") as tablets:
        for number in range(ROUNDS):
            laptop = await crowd.log_in(phone, gateway=number % 2)
            laptop_session = await session_of(laptop)
            ways = crowd.everywhere(laptop)
            async with laptop.connected("laptop") as laptops:
                ended = await phone.http.delete(f"/v1/auth/sessions/{laptop_session}")
                assert ended.status_code == 204, ended.text
                closing, refusing = await asyncio.gather(closed(laptops), refused(ways))
                to_close.append(closing)
                to_refuse.append(refusing)
            assert (await refresh(laptop))["error"] == "invalid_grant"

            await sender.say(channel_id, f"round {number}")
            for living in (phones, tablets):
                await living.event("message.created", text=f"round {number}")
                assert not living.closed.is_set()

    tell("a revoked session's socket closed after", to_close)
    tell("its token was refused at both gateways after", to_refuse)
    assert median(to_close) < 1
    assert median(to_refuse) < 1


async def log_out_others(here: Person) -> httpx.Response:
    return await here.http.post("/v1/auth/logout", json={"scope": "others"})


async def log_out_all(here: Person) -> httpx.Response:
    return await here.http.post("/v1/auth/logout", json={"scope": "global"})


async def change_password(here: Person) -> httpx.Response:
    change = {"current_password": PASSWORD, "new_password": PASSWORD[::-1]}
    return await here.http.post("/v1/auth/password", json=change)


async def remove_device(here: Person) -> httpx.Response:
    devices = (await here.get("/v1/devices"))["items"]
    (there,) = [device["id"] for device in devices if device["client_id"] == "there"]
    return await here.http.delete(f"/v1/devices/{there}")


async def delete_account(here: Person) -> httpx.Response:
    return await here.http.request("DELETE", "/v1/users/me", json={"password": PASSWORD})


@pytest.mark.parametrize(
    ("end", "all_end"),
    [
        (log_out_others, False),
        (log_out_all, True),
        (change_password, False),
        (remove_device, False),
        (delete_account, True),
    ],
)
async def test_other_ways_to_end_a_login_reach_both_gateways(
    crowd: Crowd, end: Callable[[Person], Awaitable[httpx.Response]], all_end: bool
) -> None:
    here = await crowd.register("ada", gateway=0)
    there = await crowd.log_in(here, gateway=1)
    async with AsyncExitStack() as stack:
        heres = await stack.enter_async_context(here.connected("here"))
        theres = await stack.enter_async_context(there.connected("there"))
        answer = await end(here)
        assert answer.status_code == 204, answer.text
        tell(f"{end.__name__}: the other socket closed after", [await closed(theres)])
        await refused(crowd.everywhere(there))
        assert (await refresh(there))["error"] == "invalid_grant"
        if all_end:
            await closed(heres)
            await refused(crowd.everywhere(here))
        else:
            await heres.send({"type": "ping"})
            await heres.of_type("pong")
            assert (await here.get("/v1/users/me"))["id"] == here.id
