"""Who agreed to be with whom in a channel: it decides who sees whose devices and presence."""

from typing import Any
from uuid import UUID

import pytest

from services.chat.tests.support.world import Json, Person, World
from sharezync_chat.usecases import posting_rows
from sharezync_shared.events.contracts import UserBlocked
from sharezync_shared.ids import uuid7


async def acquainted(world: World, one: Person, other: Person) -> bool:
    auth = await world.service("auth")
    params = {"user_id": one.id, "other_id": other.id}
    answer = await auth.get("/internal/acquaintances", params=params)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["acquainted"])


async def test_who_joined_is_seen_by_members_while_both_are_in_it(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("private")
    await eve.channel("public")
    invite = await ada.post(f"{path}/invites")
    await bob.post(f"/v1/invites/{invite['code']}/accept")
    assert await acquainted(world, ada, bob)
    assert not await acquainted(world, ada, eve)
    await ada.say(path)
    assert await acquainted(world, bob, ada)
    await bob.post(f"{path}/leave", status=204)
    assert not await acquainted(world, ada, bob)
    assert not await acquainted(world, bob, ada)


@pytest.mark.parametrize("kind", ["private", "public", "direct", "group"])
async def test_who_was_put_somewhere_is_seen_once_they_said_something(
    world: World, kind: str
) -> None:
    """The adder sees nothing of who was added; who was added sees the adder, who chose it."""
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    if kind in {"private", "public"}:
        path = await ada.channel(kind, bob)
    else:
        others = [bob.id] if kind == "direct" else [bob.id, cleo.id]
        made = await ada.post("/v1/conversations", {"user_ids": others})
        path = f"/v1/channels/{made['id']}"
    await ada.say(path)
    await bob.put(f"{path}/read", {})
    await bob.patch(f"{path}/members/{bob.id}", {"muted": True})
    assert not await acquainted(world, ada, bob)
    assert await acquainted(world, bob, ada)
    await bob.say(path)
    assert await acquainted(world, ada, bob)


async def do(act: str, who: Person, other: Person, path: str, said: Json) -> None:
    """Do something by which one agrees to be in a conversation with the other."""
    match act:
        case "say":
            await who.say(path)
        case "react":
            await who.put(f"/v1/messages/{said['id']}/reactions/:thumbsup:", status=204)
        case "pin":
            await who.put(f"{path}/pins/{said['id']}", status=204)
        case "join":
            await who.post(f"{path}/join", status=200)
        case "converse":
            await who.post("/v1/conversations", {"user_ids": [other.id]}, status=200)


ACTS = ["say", "react", "pin", "join", "converse"]


@pytest.mark.parametrize("act", ACTS)
async def test_other_acts_than_words_agree_too(world: World, act: str) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = f"/v1/channels/{made['id']}"
    said = await ada.say(path)
    assert not await acquainted(world, ada, bob)
    await do(act, bob, ada, path, said)
    assert await acquainted(world, ada, bob)


async def accepted(who: Person) -> bool:
    (mine,) = (await who.get("/v1/memberships"))["items"]
    return bool(mine["accepted"])


async def heard(world: World, who: Person) -> list[bool]:
    """Return what somebody's devices heard of what they accepted."""
    events = await world.events(f"inbox:{who.id}")
    return [each["data"]["accepted"] for each in events if each["type"] == "member.updated"]


@pytest.mark.parametrize("act", ACTS)
async def test_ones_own_devices_hear_of_the_first_act_and_nobody_else(
    world: World, act: str
) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = f"/v1/channels/{made['id']}"
    said = await ada.say(path)
    assert (await accepted(ada), await accepted(bob), await heard(world, bob)) == (True, False, [])
    for _ in range(2):
        await do(act, bob, ada, path, said)
    assert (await accepted(bob), await heard(world, bob)) == (True, [True])
    await bob.post(f"{path}/leave", status=204)
    await bob.say(path)
    assert (await accepted(bob), await heard(world, bob)) == (True, [True, False, True])
    shared = await world.events(f"channel:{made['id']}")
    members = (await ada.get(f"{path}/members"))["items"]
    assert "accepted" not in str([shared, members])


async def test_who_hides_while_they_write_has_accepted_what_they_were_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await world.people("ada", "bob")
    made = await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = f"/v1/channels/{made['id']}"
    await bob.say(path)
    look = posting_rows.look

    async def look_and_hide(*asked: Any) -> Any:
        found = await look(*asked)
        await bob.post(f"{path}/leave", status=204)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(posting_rows, "look", look_and_hide)
        await bob.say(path)
    assert (await accepted(bob), await heard(world, bob)) == (False, [True, False])
    await bob.say(path)
    assert (await accepted(bob), await heard(world, bob)) == (True, [True, False, True])


async def test_a_conversation_counts_and_a_channel_that_ended_does_not(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = await ada.channel("private", eve)
    assert await acquainted(world, bob, ada)
    assert await acquainted(world, eve, ada)
    assert not await acquainted(world, bob, eve)
    await ada.delete(path)
    assert not await acquainted(world, eve, ada)


@pytest.mark.parametrize("how", ["joins", "is invited", "is added"])
async def test_who_comes_sees_those_who_do_something_from_then_on(world: World, how: str) -> None:
    """What was done before they came is nothing that was agreed to with them, wherever it was."""
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("public" if how == "joins" else "private")
    await ada.post(f"{path}/members", {"user_id": cleo.id, "role": "admin"})
    for who in (ada, cleo):
        await who.say(path)
    assert not await acquainted(world, bob, ada)  # who merely sees it
    match how:
        case "joins":
            await bob.post(f"{path}/join", status=201)
        case "is invited":
            invite = await cleo.post(f"{path}/invites")
            await bob.post(f"/v1/invites/{invite['code']}/accept")
        case "is added":
            await cleo.post(f"{path}/members", {"user_id": bob.id})
    by_themselves = how != "is added"
    assert await acquainted(world, ada, bob) is by_themselves, "bob came to where ada was"
    assert await acquainted(world, bob, cleo) is not by_themselves, "cleo added bob"
    assert not await acquainted(world, bob, ada)
    await ada.say(path)
    assert await acquainted(world, bob, ada)


async def test_a_block_is_for_those_who_ask(world: World) -> None:
    """They hide it from who is blocked, who must not be answered as a stranger suddenly."""
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    await bob.say(path)
    await world.publish(UserBlocked(user_id=UUID(ada.id), blocked_id=UUID(bob.id), version=1))
    for one, other in ((ada, bob), (bob, ada)):
        assert await acquainted(world, one, other)
        assert await among(world, one, other.id) == {other.id}


async def test_who_is_not_known_here_is_nobodys_acquaintance(world: World) -> None:
    ada = await world.person("ada")
    await ada.channel("private")
    auth = await world.service("auth")
    params = {"user_id": ada.id, "other_id": str(uuid7())}
    answer = await auth.get("/internal/acquaintances", params=params)
    assert answer.json() == {"acquainted": False}
    for wrong in ({"user_id": ada.id}, {**params, "other_id": "x"}):
        assert (await auth.get("/internal/acquaintances", params=wrong)).status_code == 422


async def among(world: World, one: Person, *others: str, looking: str = "user") -> set[str]:
    gateway = await world.service("gateway")
    body = {"user_id": one.id, "other_ids": list(others), "looking": looking}
    answer = await gateway.post("/internal/acquaintances", json=body)
    assert answer.status_code == 200, answer.text
    ids: list[str] = answer.json()["ids"]
    assert len(ids) == len(set(ids))
    return set(ids)


async def test_of_many_those_are_told_whom_one_may_see_or_who_may_see_one(world: World) -> None:
    ada, bob, eve, dan = await world.people("ada", "bob", "eve", "dan")
    path = await ada.channel("private", bob)
    await bob.say(path)
    await bob.say(await ada.channel("private", bob))
    await ada.post("/v1/conversations", {"user_ids": [dan.id]})
    await dan.say(await eve.channel("private", dan))
    asked = (bob.id, eve.id, dan.id, str(uuid7()), bob.id)
    assert await among(world, ada, *asked) == {bob.id}
    assert await among(world, ada, *asked, looking="others") == {bob.id, dan.id}
    assert await among(world, dan, ada.id, eve.id) == {ada.id, eve.id}
    assert await among(world, eve, ada.id, bob.id, dan.id) == {dan.id}
    await ada.delete(path)
    assert bob.id in await among(world, ada, *asked)  # the other channel is left
    assert await among(world, ada) == set()


async def test_at_most_200_are_asked_about_at_once(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    await bob.say(await ada.channel("private", bob))
    strangers = [str(uuid7()) for _ in range(199)]
    assert await among(world, ada, bob.id, *strangers) == {bob.id}
    gateway = await world.service("gateway")
    for others in ([bob.id, *strangers, ada.id], ["x"], "x"):
        body = {"user_id": ada.id, "other_ids": others}
        answer = await gateway.post("/internal/acquaintances", json=body)
        assert answer.status_code == 422
