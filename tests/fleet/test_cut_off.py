"""Without the broker: a gateway alone, and then everybody.

Events arrive all the same, in order and once; who is revoked is out; replicas stay ready.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from statistics import median

import httpx
import pytest

from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.blackbox.people import Socket
from tests.fleet.broker_line import BrokerLine
from tests.fleet.crowd import Crowd, closed, refused, session_of, tell, until

pytestmark = pytest.mark.timeout(120)

ROUNDS = 5
MESSAGES = 3


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
        await tablets.event("message.created", text="while it was away")

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
        await tablets.event("message.created", text="after")
        in_order_and_once(tablets, channel_id)

    tell(f"{outage}: a revoked session's socket closed after", to_close)
    tell(f"{outage}: its token was refused at both gateways after", to_refuse)
    assert median(to_close) < 1
    assert median(to_refuse) < 1


@pytest.mark.parametrize("outage", ["cut", "hang"])
async def test_without_a_broker_events_arrive_and_nobody_stops_to_be_ready(
    crowd: Crowd, fleet: DrilledFleet, line: BrokerLine, line_of_others: BrokerLine, outage: str
) -> None:
    sender = await crowd.register("sender", gateway=0)
    readers = [await crowd.register("ada", gateway=0), await crowd.register("bob", gateway=1)]
    known, unknown = await sender.channel(), await sender.channel()
    await sender.add(known, *readers)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(each.connected()) for each in readers]
        await sender.say(known, "before")
        for socket in sockets:
            await socket.event("message.created", text="before")
        for each in (line, line_of_others):
            {"cut": each.cut, "hang": each.hang}[outage]()

        delays: list[float] = []
        for number in range(MESSAGES):
            began = time.monotonic()
            await sender.say(known, f"message {number}")
            for socket in sockets:
                await socket.event("message.created", text=f"message {number}")
                delays.append(time.monotonic() - began)
        await sender.add(unknown, *readers)  # of which no gateway has a stream yet
        await sender.say(unknown, "welcome")
        for socket in sockets:
            await socket.event("message.created", text="welcome")

        for url in (url for urls in fleet.urls.values() for url in urls):
            async with httpx.AsyncClient() as anybody:
                await until(partial(is_degraded, anybody, url))

        for each in (line, line_of_others):
            each.restore()
        await until(partial(are_well, fleet))
        await sender.say(known, "after")
        for socket in sockets:
            await socket.event("message.created", text="after")
            in_order_and_once(socket, known, unknown)
            assert not [frame for frame in socket.frames if frame["type"] == "reset"]
    tell(f"{outage}: from the request to the socket", delays)


async def is_degraded(http: httpx.AsyncClient, url: str) -> bool:
    """Whether a replica says that its broker is down; it must be ready in any case."""
    answer = await http.get(f"{url}/ready")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["ready"] is True
    is_down = document["dependencies"]["broker"]["status"] == "down"
    assert is_down == bool(document["dependencies"]["broker"].get("degraded"))
    return bool(is_down and document["status"] == "degraded")


async def are_well(fleet: DrilledFleet) -> bool:
    async with httpx.AsyncClient() as anybody:
        answers = [
            await anybody.get(f"{url}/ready") for urls in fleet.urls.values() for url in urls
        ]
    return {answer.json()["status"] for answer in answers} == {"ok"}


def in_order_and_once(socket: Socket, *channel_ids: str) -> None:
    """Check every event of these channels that a device was sent."""
    for channel_id in channel_ids:
        seqs = [event["seq"] for event in socket.events(f"channel:{channel_id}")]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
