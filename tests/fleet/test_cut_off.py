"""A gateway that the broker does not reach hears who is revoked, and catches up afterwards."""

import asyncio
from statistics import median

import pytest

from tests.fleet.broker_line import BrokerLine
from tests.fleet.crowd import Crowd, closed, refused, session_of, tell

pytestmark = pytest.mark.timeout(120)

ROUNDS = 5


@pytest.mark.parametrize("outage", ["cut", "hang"])
async def test_a_gateway_without_its_broker_closes_what_is_revoked(
    crowd: Crowd, line: BrokerLine, outage: str
) -> None:
    sender = await crowd.register("sender", gateway=0)
    phone = await crowd.register("ada", gateway=0)
    tablet = await crowd.log_in(phone, gateway=1)
    channel_id = await sender.channel()
    await sender.add(channel_id, phone)
    to_close: list[float] = []
    to_refuse: list[float] = []

    async with tablet.connected("tablet") as tablets:
        await sender.say(channel_id, "before")
        await tablets.event("message.created", text="before")
        {"cut": line.cut, "hang": line.hang}[outage]()
        await sender.say(channel_id, "while it was away")

        for _ in range(ROUNDS):
            laptop = await crowd.log_in(phone, gateway=1)
            laptop_session = await session_of(laptop)
            ways = crowd.everywhere(laptop)
            async with laptop.connected("laptop") as laptops:
                ended = await phone.http.delete(f"/v1/auth/sessions/{laptop_session}")
                assert ended.status_code == 204, ended.text
                closing, refusing = await asyncio.gather(closed(laptops), refused(ways))
                to_close.append(closing)
                to_refuse.append(refusing)

        line.restore()
        await sender.say(channel_id, "after")
        for text in ("while it was away", "after"):
            await tablets.event("message.created", text=text)

    tell(f"{outage}: a revoked session's socket closed after", to_close)
    tell(f"{outage}: its token was refused at both gateways after", to_refuse)
    assert median(to_close) < 1
    assert median(to_refuse) < 1
