"""How much of each thing there may be at once, also when many ask for it at the same moment.

The numbers are small here, but for one test; each kind is asked for by two replicas together.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from itertools import cycle

import httpx
import pytest

from services.chat.tests.support.many import many_channels
from services.chat.tests.support.world import Person, World
from sharezync_chat.usecases import invites


class Replicas:
    """Two processes of the service with the same limits."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = worlds

    def limit(self, **limits: int) -> None:
        for world in self.worlds:
            settings = world.app.state.settings.model_copy(update=limits)
            world.app.state.context = replace(world.app.state.context, settings=settings)

    async def ends(self, person: Person) -> "cycle[httpx.AsyncClient]":
        """Return this person's clients of all processes, in turn."""
        others = [await world.same(person) for world in self.worlds[1:]]
        return cycle([each.http for each in (person, *others)])


@pytest.fixture
def replicas(world: World, second: World) -> Replicas:
    second.peers.users = world.peers.users
    return Replicas(world, second)


async def outcome(calls: Iterable[Awaitable[httpx.Response]]) -> tuple[Counter[int], set[str]]:
    """Return how many were answered with which status, and the codes of the refusals."""
    answers = await asyncio.gather(*calls)
    codes = {answer.json()["code"] for answer in answers if answer.is_error}
    return Counter(answer.status_code for answer in answers), codes


async def test_channels_that_one_has_made(world: World, replicas: Replicas) -> None:
    replicas.limit(channels_per_user=4)
    ada, bob = await world.people("ada", "bob")
    first = await ada.channel("public", bob)
    ends = await replicas.ends(ada)
    body = {"name": "engines", "kind": "public"}
    made = await outcome(next(ends).post("/v1/channels", json=body) for _ in range(12))
    assert made == ({201: 3, 409: 9}, {"too-many-channels"})
    refused = await ada.post("/v1/channels", body, 409)
    assert refused["limit"] == 4

    await ada.post(f"{first}/owner", {"user_id": bob.id}, 200)
    await ada.post("/v1/channels", body, 409)  # it is bob's now, and still of her making
    await bob.delete(first)
    await ada.post("/v1/channels", body)


async def test_conversations_that_one_has_opened(world: World, replicas: Replicas) -> None:
    replicas.limit(conversations_per_user=3)
    ada, *others = await world.people("ada", *["bob"] * 9)
    ends = await replicas.ends(ada)
    bodies = [{"user_ids": [other.id]} for other in others]
    opened = await outcome(next(ends).post("/v1/conversations", json=body) for body in bodies)
    assert opened == ({201: 3, 409: 6}, {"too-many-conversations"})
    again = await outcome(ada.http.post("/v1/conversations", json=body) for body in bodies)
    assert again[0] == {200: 3, 409: 6}, "those that are there are found"
    await others[0].post("/v1/conversations", {"user_ids": [others[1].id]})


@pytest.mark.parametrize("kind", ["direct", "group"])
async def test_a_conversation_that_was_answered_and_left_gives_its_room_back(
    world: World, replicas: Replicas, kind: str
) -> None:
    replicas.limit(conversations_per_user=2)
    ada, bob, cleo, dan, *others = await world.people("ada", "bob", "cleo", "dan", *["eve"] * 3)
    more = [cleo.id] if kind == "group" else []
    made = [await ada.post("/v1/conversations", {"user_ids": [o.id, *more]}) for o in (bob, dan)]
    answered, unanswered = [f"/v1/channels/{each['id']}" for each in made]
    await bob.say(answered)
    bodies = [{"user_ids": [other.id]} for other in others]
    await ada.post(f"{unanswered}/leave", status=204)  # which is written to a stranger all the same
    refused = await ada.post("/v1/conversations", bodies[0], 409)
    assert refused["code"] == "too-many-conversations"
    await ada.post(f"{answered}/leave", status=204)
    ends = await replicas.ends(ada)
    opened = await outcome(next(ends).post("/v1/conversations", json=body) for body in bodies)
    assert opened == ({201: 1, 409: 2}, {"too-many-conversations"})
    if kind == "direct":
        await bob.say(answered)  # and it is back
        await dan.say(unanswered)
        await ada.post(f"{unanswered}/leave", status=204)
        assert await outcome(ada.http.post("/v1/conversations", json=b) for b in bodies) == (
            {200: 1, 409: 2},
            {"too-many-conversations"},
        )


async def test_what_strangers_open_takes_no_room_of_ones_own(
    world: World, replicas: Replicas
) -> None:
    replicas.limit(memberships_per_user=4)
    ada, *strangers = await world.people("ada", *["eve"] * 5)
    body = {"user_ids": [ada.id]}
    opened = await outcome(each.http.post("/v1/conversations", json=body) for each in strangers)
    assert opened == ({201: 3, 409: 2}, {"too-many-memberships"})
    mine = (await ada.get("/v1/memberships"))["items"]
    for each in mine[:2]:  # what is hidden gives its room back to strangers, too
        await ada.post(f"/v1/channels/{each['channel']['id']}/leave", status=204)
    opened = await outcome(each.http.post("/v1/conversations", json=body) for each in strangers)
    assert opened == ({200: 3, 201: 2}, set())
    for _ in range(3):
        await ada.channel()
    await ada.say(f"/v1/channels/{mine[0]['channel']['id']}")
    await ada.post("/v1/channels", {"name": "engines", "kind": "public"}, 409)
    await ada.say(f"/v1/channels/{mine[1]['channel']['id']}")  # one may always answer


async def test_what_one_is_in(world: World, replicas: Replicas) -> None:
    replicas.limit(memberships_per_user=4)
    owners = await world.people(*["bob"] * 9)
    ada = await world.person()
    paths = [await owner.channel() for owner in owners]
    ends = await replicas.ends(ada)
    joined = await outcome(next(ends).post(f"{path}/join") for path in paths)
    assert joined == ({201: 4, 409: 5}, {"too-many-memberships"})
    await ada.post("/v1/channels", {"name": "engines", "kind": "public"}, 409)
    invite = await owners[-1].post(f"{await owners[-1].channel()}/invites")
    refused = await ada.post(f"/v1/invites/{invite['code']}/accept", status=409)
    assert (refused["code"], refused["user_id"]) == ("too-many-memberships", ada.id)
    mine = (await ada.get("/v1/memberships"))["items"]
    await ada.post(f"/v1/channels/{mine[0]['channel']['id']}/leave", status=204)
    await ada.post(f"/v1/invites/{invite['code']}/accept")


async def test_others_fill_no_more_than_their_share(world: World, replicas: Replicas) -> None:
    replicas.limit(memberships_per_user=8)
    ada, *eves = await world.people("ada", *["eve"] * 4)
    friends = list(await world.people(*["bob"] * 4))
    calls = []
    for eve in eves:
        ends = await replicas.ends(eve)
        path = await eve.channel("private")
        calls.append(next(ends).post(f"{path}/members", json={"user_id": ada.id}))
        body = {"user_ids": [ada.id, friends.pop().id]}
        calls.append(next(ends).post("/v1/conversations", json=body))
    assert await outcome(calls) == ({201: 6, 409: 2}, {"too-many-memberships"})
    for _ in range(8):
        await ada.channel()
    await ada.post("/v1/channels", {"name": "engines", "kind": "public"}, 409)


async def test_nobody_alone_keeps_others_from_somebody(world: World, replicas: Replicas) -> None:
    replicas.limit(memberships_per_user=8)
    eve, ada, bob, *friends = await world.people("eve", "ada", "bob", *["carl"] * 3)
    paths = [await eve.channel(kind) for kind in ("private", "public", "public", "public")]
    ends = await replicas.ends(eve)
    put = [next(ends).post(f"{path}/members", json={"user_id": ada.id}) for path in paths]
    opened = [
        next(ends).post("/v1/conversations", json={"user_ids": [ada.id, friend.id]})
        for friend in friends
    ]
    assert await outcome([*put, *opened]) == ({201: 2, 409: 5}, {"too-many-memberships"})
    refused = await eve.post("/v1/conversations", {"user_ids": [ada.id]}, 409)
    assert (refused["of"], refused["limit"], refused["user_id"]) == ("maker", 2, ada.id)
    # Others go on writing to her, and she comes into what she chooses herself.
    await bob.post("/v1/conversations", {"user_ids": [ada.id]})
    invited = [await eve.post(f"{path}/invites") for path in paths]
    joined = await outcome(
        ada.http.post(f"/v1/invites/{invite['code']}/accept") for invite in invited
    )
    assert joined[0].keys() <= {200, 201}


async def test_members_of_one_channel(world: World, replicas: Replicas) -> None:
    replicas.limit(members_per_channel=4)
    ada, *others = await world.people("ada", *["bob"] * 8)
    path = await ada.channel()
    ends = [next(await replicas.ends(other)) for other in others[::2]]
    ends += [(await replicas.worlds[1].same(other)).http for other in others[1::2]]
    joined = await outcome(end.post(f"{path}/join") for end in ends)
    assert joined == ({201: 3, 409: 5}, {"too-many-members"})
    refused = await ada.post(f"{path}/members", {"user_id": (await world.person()).id}, 409)
    assert (refused["code"], refused["limit"]) == ("too-many-members", 4)


async def test_invites_of_one_channel_and_of_one_person(world: World, replicas: Replicas) -> None:
    replicas.limit(invites_per_channel=3, invites_per_user=5)
    ada = await world.person()
    paths = [await ada.channel("private") for _ in range(3)]
    ends = await replicas.ends(ada)
    made = await outcome(next(ends).post(f"{path}/invites") for path in paths for _ in range(5))
    assert made == ({201: 5, 409: 10}, {"too-many-invites"})
    refused = [await ada.post(f"{path}/invites", status=409) for path in paths]
    assert {(each["of"], each["limit"]) for each in refused} >= {("user", 5)}


async def test_invites_that_ended_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invites, "ENDED_KEPT", 5)
    ada = await world.person()
    path = await ada.channel("private")
    codes = []
    for _ in range(12):
        made = await ada.post(f"{path}/invites")
        codes.append(made["code"])
        await ada.delete(f"{path}/invites/{made['id']}")
    rows = await world.rows(
        "SELECT FROM chat.invites WHERE channel_id = $1", path.rpartition("/")[2]
    )
    assert len(rows) <= 6
    bob = await world.person("bob")
    assert (await bob.post(f"/v1/invites/{codes[-1]}/accept", status=410))["code"] == "invite-gone"
    await bob.post(f"/v1/invites/{codes[0]}/accept", status=404)


async def test_of_many_edits_the_original_stays_and_the_latest(
    world: World, replicas: Replicas
) -> None:
    replicas.limit(edits_per_message=4)
    ada = await world.person()
    message = await ada.say(await ada.channel(), "text 1")
    for n in range(2, 10):
        await ada.patch(f"/v1/messages/{message['id']}", {"text": f"text {n}"})
    kept = (await ada.get(f"/v1/messages/{message['id']}/edits"))["items"]
    assert [(each["version"], each["text"]) for each in kept] == [
        (n, f"text {n}") for n in (8, 7, 6, 1)
    ]


async def test_thousands_are_opened_and_counted_as_the_settings_say(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    settings = world.app.state.settings
    await many_channels(world, ada, bob, count=settings.memberships_per_user - 1, texts=())
    body = {"name": "engines", "kind": "public"}
    made = await outcome(bob.http.post("/v1/channels", json=body) for _ in range(20))
    assert made == ({201: 1, 409: 19}, {"too-many-memberships"})

    made_by_ada = "UPDATE chat.channels SET created_by = $1 WHERE id IN (SELECT channel_id FROM "
    made_by_ada += "chat.members WHERE user_id = $1 ORDER BY channel_id LIMIT $2) RETURNING id"
    await world.rows("UPDATE chat.channels SET created_by = NULL WHERE owner_id = $1", ada.id)
    await world.rows(made_by_ada, ada.id, settings.channels_per_user - 1)
    settings = settings.model_copy(update={"memberships_per_user": 1900})
    world.app.state.context = replace(world.app.state.context, settings=settings)
    made = await outcome(ada.http.post("/v1/channels", json=body) for _ in range(20))
    assert made == ({201: 1, 409: 19}, {"too-many-channels"})
