"""Who shares a channel with whom: auth asks before it shows somebody's devices."""

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
