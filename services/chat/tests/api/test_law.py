"""The law: an earlier snapshot, and the events since, are what a fresh snapshot gives.

For every use case, for everyone concerned, and whatever order events of different streams come in.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from uuid import UUID

import pytest

from services.chat.tests.support.replica import Replica
from services.chat.tests.support.world import Json, Person, World
from sharezync_shared.events.contracts import FileDeleted, UserDeleted, UserUpdated


@dataclass
class Scene:
    """A channel and a group that were used for a while; dan is in neither."""

    world: World
    ada: Person
    bob: Person
    cleo: Person
    dan: Person
    channel: str
    group: str
    said: list[Json]
    file_id: str


Act = Callable[[Scene], Awaitable[object]]


async def rename(s: Scene) -> None:
    await s.world.publish(
        UserUpdated(user_id=UUID(s.cleo.id), username="cleopatra", display_name="Queen")
    )


async def delete_account(s: Scene) -> None:
    await s.world.publish(UserDeleted(user_id=UUID(s.cleo.id)))


async def delete_owners_account(s: Scene) -> None:
    await s.world.publish(UserDeleted(user_id=UUID(s.ada.id)))


async def delete_file(s: Scene) -> None:
    await s.world.publish(FileDeleted(file_id=UUID(s.file_id), owner_id=UUID(s.bob.id)))


async def come_and_go(s: Scene) -> None:
    await s.dan.post(f"{s.channel}/join")
    await s.dan.say(s.channel, "hi")
    await s.dan.post(f"{s.channel}/leave", status=204)
    await s.ada.say(s.channel, "he is gone")
    await s.dan.post(f"{s.channel}/join")
    await s.ada.say(s.channel, "he is back")


async def hand_over(s: Scene) -> None:
    await s.ada.patch(f"{s.channel}/members/{s.bob.id}", {"role": "owner"})
    await s.ada.post(f"{s.channel}/leave", status=204)


async def converse(s: Scene) -> None:
    made = await s.dan.post("/v1/conversations", {"user_ids": [s.ada.id, s.cleo.id]})
    await s.cleo.say(f"/v1/channels/{made['id']}", "so?")


async def read_while_others_talk(s: Scene) -> None:
    first = await s.bob.say(s.channel, "1")
    await s.bob.say(s.channel, "2")
    await s.cleo.put(f"{s.channel}/read", {"seq": first["seq"]})
    await s.bob.say(s.channel, "3")
    await s.cleo.say(s.channel, "I am here")
    await s.bob.say(s.channel, "4")


async def call_and_read(s: Scene) -> None:
    first = await s.bob.say(s.channel, f"@{s.cleo.username} look, @channel")
    await s.bob.say(s.channel, f"hello @{s.cleo.username.upper()}!")
    await s.cleo.put(f"{s.channel}/read", {"seq": first["seq"]})
    third = await s.ada.say(s.channel, f"and @{s.cleo.username}, @{s.bob.username}")
    await s.ada.patch(f"/v1/messages/{third['id']}", {"text": f"only @{s.bob.username}"})
    await s.bob.delete(f"/v1/messages/{first['id']}")


async def react(s: Scene) -> None:
    first, last = (f"/v1/messages/{s.said[n]['id']}/reactions" for n in (0, -1))
    for who in (s.ada, s.bob, s.cleo):
        await who.put(f"{first}/👍", status=204)
    await s.bob.put(f"{last}/:tada:", status=204)
    await s.bob.put(f"{last}/:tada:", status=204)
    await s.cleo.put(f"{last}/🎉", status=204)
    await s.bob.delete(f"{last}/:tada:")
    await s.ada.delete(f"{first}/👍")
    await s.bob.patch(f"/v1/messages/{s.said[-1]['id']}", {"text": "still liked"})


async def react_and_delete(s: Scene) -> None:
    await react(s)
    await s.bob.delete(f"/v1/messages/{s.said[-1]['id']}")


async def pin(s: Scene) -> None:
    for said in s.said:
        await s.ada.put(f"{s.channel}/pins/{said['id']}", status=204)
    await s.bob.delete(f"{s.channel}/pins/{s.said[0]['id']}")
    await s.ada.delete(f"/v1/messages/{s.said[1]['id']}")


async def invite(s: Scene) -> None:
    made = await s.bob.post(f"{s.channel}/invites")
    await s.dan.post(f"/v1/invites/{made['code']}/accept")
    await s.ada.say(s.channel, f"welcome @{s.dan.username}")


async def hide(s: Scene) -> None:
    made = await s.cleo.post("/v1/conversations", {"user_ids": [s.dan.id]})
    path = f"/v1/channels/{made['id']}"
    await s.cleo.post(f"{path}/leave", status=204)
    await s.dan.say(path)
    await s.dan.post(f"{path}/leave", status=204)
    await s.dan.post("/v1/conversations", {"user_ids": [s.cleo.id]}, status=200)
    await s.cleo.post(f"{path}/leave", status=204)


async def answer_at_once(s: Scene) -> None:
    made = await s.dan.post("/v1/conversations", {"user_ids": [s.cleo.id]})
    direct = f"/v1/channels/{made['id']}"
    await asyncio.gather(
        *(s.bob.say(s.group, text) for text in "abc"), s.cleo.say(direct), s.dan.say(direct)
    )


async def react_first(s: Scene) -> None:
    (said,) = (await s.bob.get(f"{s.group}/messages"))["items"]
    await s.bob.put(f"/v1/messages/{said['id']}/reactions/👍", status=204)


async def pin_first(s: Scene) -> None:
    (said,) = (await s.bob.get(f"{s.group}/messages"))["items"]
    await s.bob.put(f"{s.group}/pins/{said['id']}", status=204)


async def add_first(s: Scene) -> None:
    path = await s.ada.channel("private")
    await s.ada.post(f"{path}/members", {"user_id": s.bob.id, "role": "admin"})
    await s.bob.post(f"{path}/members", {"user_id": s.dan.id})


ACTS: dict[str, Act] = {
    "answer at once": answer_at_once,
    "react first": react_first,
    "pin first": pin_first,
    "add first": add_first,
    "accept": lambda s: s.bob.post(f"{s.group}/join", status=200),
    "call and read": call_and_read,
    "react": react,
    "react and delete": react_and_delete,
    "pin": pin,
    "invite": invite,
    "pass on": lambda s: s.ada.post(f"{s.channel}/owner", {"user_id": s.cleo.id}, status=200),
    "post": lambda s: s.cleo.say(s.channel),
    "post in the group": lambda s: s.cleo.say(s.group),
    "attach": lambda s: s.bob.say(s.channel, attachments=[s.file_id]),
    "reply": lambda s: s.ada.say(s.channel, reply_to=s.said[0]["id"]),
    "edit the last": lambda s: s.bob.patch(f"/v1/messages/{s.said[-1]['id']}", {"text": "new"}),
    "edit an old one": lambda s: s.ada.patch(f"/v1/messages/{s.said[0]['id']}", {"text": "new"}),
    "delete the last": lambda s: s.ada.delete(f"/v1/messages/{s.said[-1]['id']}"),
    "delete an old one": lambda s: s.ada.delete(f"/v1/messages/{s.said[0]['id']}"),
    "create a channel": lambda s: s.dan.channel("private", s.cleo),
    "change a channel": lambda s: s.bob.patch(s.channel, {"name": "n", "topic": "t"}),
    "archive": lambda s: s.ada.patch(s.channel, {"archived": True}),
    "delete a channel": lambda s: s.ada.delete(s.channel),
    "rename a group": lambda s: s.cleo.patch(s.group, {"name": "us"}),
    "join": lambda s: s.dan.post(f"{s.channel}/join"),
    "come and go": come_and_go,
    "add": lambda s: s.bob.post(f"{s.channel}/members", {"user_id": s.dan.id}),
    "leave": lambda s: s.cleo.post(f"{s.channel}/leave", status=204),
    "leave a group": lambda s: s.cleo.post(f"{s.group}/leave", status=204),
    "remove": lambda s: s.bob.delete(f"{s.channel}/members/{s.cleo.id}"),
    "promote": lambda s: s.ada.patch(f"{s.channel}/members/{s.cleo.id}", {"role": "admin"}),
    "hand over": hand_over,
    "mute": lambda s: s.cleo.patch(f"{s.channel}/members/{s.cleo.id}", {"muted": True}),
    "hide a conversation": hide,
    "ban": lambda s: s.bob.put(f"{s.channel}/bans/{s.cleo.id}"),
    "read": lambda s: s.cleo.put(f"{s.channel}/read", {"seq": s.said[2]["seq"]}),
    "read while others talk": read_while_others_talk,
    "converse": converse,
    "rename a user": rename,
    "delete an account": delete_account,
    "delete the owner's account": delete_owners_account,
    "delete a file": delete_file,
}


@pytest.fixture
async def scene(world: World) -> Scene:
    ada, bob, cleo, dan = await world.people("ada", "bob", "cleo", "dan")
    channel = await ada.channel("public", bob, cleo)
    await ada.patch(f"{channel}/members/{bob.id}", {"role": "admin"})
    started = await ada.post("/v1/conversations", {"user_ids": [bob.id, cleo.id]})
    group = f"/v1/channels/{started['id']}"
    file_id = world.peers.add_file(bob.id)
    said = [
        await ada.say(channel, "one"),
        await cleo.say(channel, "two"),
        await bob.say(channel, "three", attachments=[file_id]),
    ]
    await cleo.say(group, "hello you two")
    await dan.channel("private")
    return Scene(world, ada, bob, cleo, dan, channel, group, said, file_id)


@pytest.mark.parametrize("act", ACTS)
async def test_snapshot_and_events_are_a_fresh_snapshot(scene: Scene, act: str) -> None:
    people = [scene.ada, scene.bob, scene.cleo, scene.dan]
    before = [await Replica.load(person) for person in people]
    await ACTS[act](scene)
    gone = [("delete the owner's account", scene.ada), ("delete an account", scene.cleo)]
    told = 0
    for person, replica in zip(people, before, strict=True):
        if (act, person) in gone:
            continue  # nobody is left who could look
        fresh = await Replica.load(person)
        events = await deliveries(scene.world, replica)
        told += len(events)
        for seed in range(5):
            copy = deepcopy(replica)
            for event in interleaved(events, seed):
                copy.apply(event)
            assert copy.differences(fresh) == [], f"{person.username}, order {seed}"
    assert told, "nobody was told anything"


async def deliveries(world: World, replica: Replica) -> dict[str, list[Json]]:
    """Return what reaches a client after its snapshot, by stream, as gateways deliver it.

    On a channel from its snapshot or a `join` on, until and with a `leave`.
    """
    me = replica.me
    rows = await world.rows(
        "SELECT DISTINCT stream FROM chat.stream_log WHERE stream = $1 "
        "OR control->'join' ? $2 OR control->'leave' ? $2",
        f"inbox:{me}",
        me,
    )
    streams = replica.heads.keys() | {row["stream"] for row in rows}
    found: dict[str, list[Json]] = {}
    for stream in streams:
        on = stream in replica.heads
        after = replica.heads[stream][1] if on else 0
        for event in await world.events(stream, after):
            control = event["control"] or {}
            on = on or me in control.get("join", [])
            if on:
                found.setdefault(stream, []).append(event)
            on = on and me not in control.get("leave", [])
    return found


def interleaved(events: dict[str, list[Json]], seed: int) -> list[Json]:
    """Return all events in an order that keeps that of each stream, and nothing else."""
    chance = random.Random(seed)
    streams = [list(each) for _, each in sorted(events.items())]
    merged: list[Json] = []
    while streams := [each for each in streams if each]:
        merged.append(chance.choice(streams).pop(0))
    return deepcopy(merged)
