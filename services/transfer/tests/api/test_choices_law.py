"""The law for what people chose: an earlier snapshot, and the events since, are a fresh one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from services.transfer.tests.support.world import Json, Person, World
from sharezync_shared.events.contracts import UserBlocked


@dataclass
class Chosen:
    """What a client shows: fetched once, page by page, and kept current by events."""

    policies: dict[str, Json] = field(default_factory=dict)

    @classmethod
    async def fetched(cls, person: Person) -> "Chosen":
        policies = (await person.get("/v1/transfers/policies"))["items"]
        return cls({each["device_id"]: each for each in policies})

    def hear(self, event: Json) -> None:
        data = event["data"]
        match event["type"]:
            case "policy_updated":
                self.policies[data["device_id"]] = data


@dataclass
class Scene:
    """bob has blocked ada, and has said something for one of his two devices."""

    world: World
    ada: Person
    bob: Person
    phone: Person
    tablet: Person

    @classmethod
    async def of(cls, world: World) -> "Scene":
        ada, bob = await world.people(2)
        scene = cls(world, ada, bob, await world.on_device(bob), await world.on_device(bob))
        await scene.decide(scene.phone, "block")
        await world.publish(UserBlocked(user_id=bob.uuid, blocked_id=ada.uuid, version=1))
        return scene

    async def decide(self, device: Person, policy: str) -> None:
        path = f"/v1/transfers/policies/{device.device_id}"
        await self.bob.call("PUT", path, 200, json={"policy": policy})


Act = Callable[[Scene], Awaitable[object]]


async def waver(s: Scene) -> None:
    await s.decide(s.phone, "ask")
    await s.decide(s.phone, "block")


async def all_at_once(s: Scene) -> None:
    """Two devices, two hands on each."""
    await asyncio.gather(
        *(s.decide(each, policy) for each in (s.phone, s.tablet) for policy in ("ask", "block")),
    )


ACTS: dict[str, Act] = {
    "decide for another device": lambda s: s.decide(s.tablet, "accept_known"),
    "decide anew": lambda s: s.decide(s.phone, "accept_known"),
    "decide the same again": lambda s: s.decide(s.phone, "block"),
    "waver": waver,
    "all at once": all_at_once,
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


async def test_the_answer_says_where_the_event_stands(
    world: World,
) -> None:
    bob = await world.person()
    phone = await world.on_device(bob)
    policy = f"/v1/transfers/policies/{phone.device_id}"
    for _ in range(2):  # the latest to say so accepts
        before = await world.events(bob)
        answer = await bob.http.put(policy, json={"policy": "accept_known"})
        new = (await world.events(bob))[len(before) :]
        assert [event["type"] for event in new] == ["policy_updated"]
        places = [f"{event['stream']} {event['epoch']} {event['seq']}" for event in new]
        assert answer.headers.get_list("Stream-Position") == places


async def test_the_other_hears_nothing_of_it(world: World) -> None:
    scene = await Scene.of(world)
    await waver(scene)
    assert await world.told(scene.ada) == []
    assert not [frame for frame in world.sent if frame.stream == scene.ada.stream]
