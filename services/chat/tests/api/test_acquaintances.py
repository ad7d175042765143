"""Who shares a channel with whom: it decides who sees whose devices and presence."""

from services.chat.tests.support.world import Person, World
from sharezync_shared.ids import uuid7


async def acquainted(world: World, one: Person, other: Person) -> bool:
    auth = await world.service("auth")
    params = {"user_id": one.id, "other_id": other.id}
    answer = await auth.get("/internal/acquaintances", params=params)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["acquainted"])


async def test_members_of_one_channel_are_acquainted_while_they_are(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    path = await ada.channel("private", bob)
    await eve.channel("public")
    assert await acquainted(world, ada, bob)
    assert await acquainted(world, bob, ada)
    assert not await acquainted(world, ada, eve)
    await bob.post(f"{path}/leave", status=204)
    assert not await acquainted(world, ada, bob)


async def test_a_conversation_counts_and_a_channel_that_ended_does_not(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    await ada.post("/v1/conversations", {"user_ids": [bob.id]})
    path = await ada.channel("private", eve)
    assert await acquainted(world, bob, ada)
    assert await acquainted(world, eve, ada)
    assert not await acquainted(world, bob, eve)
    await ada.delete(path)
    assert not await acquainted(world, eve, ada)


async def test_a_public_channel_counts_for_its_members_only(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public")
    assert not await acquainted(world, bob, ada)  # who merely sees it
    await bob.post(f"{path}/join", status=201)
    assert await acquainted(world, bob, ada)


async def test_who_is_not_known_here_is_nobodys_acquaintance(world: World) -> None:
    ada = await world.person("ada")
    await ada.channel("private")
    auth = await world.service("auth")
    params = {"user_id": ada.id, "other_id": str(uuid7())}
    answer = await auth.get("/internal/acquaintances", params=params)
    assert answer.json() == {"acquainted": False}
    for wrong in ({"user_id": ada.id}, {**params, "other_id": "x"}):
        assert (await auth.get("/internal/acquaintances", params=wrong)).status_code == 422


async def among(world: World, one: Person, *others: str) -> set[str]:
    gateway = await world.service("gateway")
    body = {"user_id": one.id, "other_ids": list(others)}
    answer = await gateway.post("/internal/acquaintances", json=body)
    assert answer.status_code == 200, answer.text
    ids: list[str] = answer.json()["ids"]
    assert len(ids) == len(set(ids))
    return set(ids)


async def test_of_many_those_are_told_with_whom_one_shares_a_channel(world: World) -> None:
    ada, bob, eve, dan = await world.people("ada", "bob", "eve", "dan")
    path = await ada.channel("private", bob)
    await ada.channel("private", bob)
    await ada.post("/v1/conversations", {"user_ids": [dan.id]})
    await eve.channel("private", dan)
    asked = (bob.id, eve.id, dan.id, str(uuid7()), bob.id)
    assert await among(world, ada, *asked) == {bob.id, dan.id}
    assert await among(world, eve, ada.id, bob.id, dan.id) == {dan.id}
    await ada.delete(path)
    assert bob.id in await among(world, ada, *asked)  # the other channel is left
    assert await among(world, ada) == set()


async def test_at_most_200_are_asked_about_at_once(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    await ada.channel("private", bob)
    strangers = [str(uuid7()) for _ in range(199)]
    assert await among(world, ada, bob.id, *strangers) == {bob.id}
    gateway = await world.service("gateway")
    for others in ([bob.id, *strangers, ada.id], ["x"], "x"):
        body = {"user_id": ada.id, "other_ids": others}
        answer = await gateway.post("/internal/acquaintances", json=body)
        assert answer.status_code == 422
