"""The law for what people chose: an earlier snapshot, and the events since, are a fresh one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from services.transfer.tests.support.world import Json, Person, World
from sharezync_shared.events.contracts.auth import UserDeleted


@dataclass
class Chosen:
    """What a client shows: fetched once, page by page, and kept current by events."""

    policies: dict[str, Json] = field(default_factory=dict)
    blocked: dict[str, Json] = field(default_factory=dict)

    @classmethod
    async def fetched(cls, person: Person) -> "Chosen":
        policies = (await person.get("/v1/transfers/policies"))["items"]
        blocked: list[Json] = []
        page: Json = {"next": None}
        while not blocked or page["next"]:
            cursor = {"cursor": page["next"]} if page["next"] else {}
            page = await person.get("/v1/transfers/blocked", limit=1, **cursor)
            blocked += page["items"]
            if not page["items"]:
                break
        return cls(
            {each["device_id"]: each for each in policies},
            {each["user_id"]: each for each in blocked},
        )

    def hear(self, event: Json) -> None:
        data = event["data"]
        match event["type"]:
            case "policy_updated":
                self.policies[data["device_id"]] = data
            case "user_blocked":
                self.blocked[data["user_id"]] = data
            case "user_unblocked":
                self.blocked.pop(data["user_id"], None)


@dataclass
class Scene:
    """ada and eve are blocked by bob, who has said something for one of his two devices."""

    world: World
    ada: Person
    bob: Person
    cleo: Person
    eve: Person
    phone: Person
    tablet: Person

    @classmethod
    async def of(cls, world: World) -> "Scene":
        ada, bob, cleo, eve = await world.people(4)
        scene = cls(
            world, ada, bob, cleo, eve, await world.on_device(bob), await world.on_device(bob)
        )
        await scene.decide(scene.phone, "block")
        for whom in (ada, eve):
            await scene.block(whom)
        await scene.eve.call("PUT", f"/v1/transfers/blocked/{bob.id}", 200)
        return scene

    async def decide(self, device: Person, policy: str) -> None:
        path = f"/v1/transfers/policies/{device.device_id}"
        await self.bob.call("PUT", path, 200, json={"policy": policy})

    async def block(self, whom: Person) -> None:
        await self.bob.call("PUT", f"/v1/transfers/blocked/{whom.id}", 200)

    async def unblock(self, whom: Person) -> None:
        await self.bob.call("DELETE", f"/v1/transfers/blocked/{whom.id}", 204)


Act = Callable[[Scene], Awaitable[object]]


async def waver(s: Scene) -> None:
    for _ in range(2):
        await s.unblock(s.ada)
        await s.block(s.ada)
    await s.decide(s.phone, "ask")
    await s.decide(s.phone, "block")


async def all_at_once(s: Scene) -> None:
    """Two devices, two hands on each."""
    await asyncio.gather(
        *(s.decide(each, policy) for each in (s.phone, s.tablet) for policy in ("ask", "block")),
        *(act(whom) for whom in (s.ada, s.cleo) for act in (s.block, s.unblock)),
    )


ACTS: dict[str, Act] = {
    "decide for another device": lambda s: s.decide(s.tablet, "accept_known"),
    "decide anew": lambda s: s.decide(s.phone, "accept_known"),
    "decide the same again": lambda s: s.decide(s.phone, "block"),
    "block": lambda s: s.block(s.cleo),
    "block again": lambda s: s.block(s.ada),
    "unblock": lambda s: s.unblock(s.ada),
    "unblock who is not blocked": lambda s: s.unblock(s.cleo),
    "waver": waver,
    "all at once": all_at_once,
    "a blocked person goes": lambda s: s.world.publish(UserDeleted(user_id=s.ada.uuid)),
    "they go who had blocked each other": lambda s: s.world.publish(
        UserDeleted(user_id=s.eve.uuid)
    ),
    "somebody goes": lambda s: s.world.publish(UserDeleted(user_id=s.cleo.uuid)),
    "a blocked person offers": lambda s: s.ada.offer(s.bob),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_snapshot_and_the_events_since_are_a_fresh_snapshot(world: World, act: Act) -> None:
    scene = await Scene.of(world)
    shown = await Chosen.fetched(scene.bob)
    heard = len(await world.events(scene.bob))
    await act(scene)
    for event in (await world.events(scene.bob))[heard:]:
        shown.hear(event)
    assert shown == await Chosen.fetched(scene.bob)


async def test_what_came_before_the_snapshot_may_be_heard_again(world: World) -> None:
    scene = await Scene.of(world)
    await waver(scene)
    shown = await Chosen.fetched(scene.bob)
    for event in await world.events(scene.bob):  # heads are taken first: a client hears these too
        shown.hear(event)
    assert shown == await Chosen.fetched(scene.bob)


async def test_the_answer_says_where_the_event_stands_and_none_where_nothing_changed(
    world: World,
) -> None:
    ada, bob = await world.people(2)
    phone = await world.on_device(bob)
    blocked = f"/v1/transfers/blocked/{ada.id}"
    policy = f"/v1/transfers/policies/{phone.device_id}"
    asked = [
        ("PUT", blocked, "user_blocked"),
        ("PUT", blocked, None),
        ("DELETE", blocked, "user_unblocked"),
        ("DELETE", blocked, None),
        ("PUT", policy, "policy_updated"),
        ("PUT", policy, "policy_updated"),  # the latest to say so accepts
    ]
    for method, path, told in asked:
        before = await world.events(bob)
        body = {"json": {"policy": "accept_known"}} if path == policy else {}
        answer = await bob.http.request(method, path, **body)  # type: ignore[arg-type]  # httpx's own
        new = (await world.events(bob))[len(before) :]
        assert [event["type"] for event in new] == ([told] if told else [])
        places = [f"{event['stream']} {event['epoch']} {event['seq']}" for event in new]
        assert answer.headers.get_list("Stream-Position") == places


async def test_the_other_hears_nothing_of_it(world: World) -> None:
    scene = await Scene.of(world)
    await waver(scene)
    assert await world.told(scene.ada) == []
    assert not [frame for frame in world.sent if frame.stream == scene.ada.stream]


async def test_what_is_offered_stands_on_the_right_side_of_a_block(world: World) -> None:
    ada, bob = await world.people(2)
    path = f"/v1/transfers/blocked/{ada.id}"
    await asyncio.gather(
        *(ada.offer(bob) for _ in range(4)),
        bob.call("PUT", path, 200),
        *(ada.offer(bob) for _ in range(4)),
    )
    told = await world.told(bob)
    assert told.index("user_blocked") == len(told) - 1
