"""The first load, and the list of memberships."""

import asyncio

from services.chat.tests.support.world import World


async def test_sync_is_heads_and_state_of_one_moment(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    running = True

    async def talk() -> None:
        while running:
            await ada.say(path)

    talking = asyncio.create_task(talk())
    for _ in range(10):
        sync = await bob.get("/v1/sync")
        (membership,) = sync["memberships"]
        _, seq = sync["heads"][f"channel:{membership['channel']['id']}"]
        last = membership["last_message"]
        if last is not None:
            assert last["seq"] == seq, "nothing but messages happens here"
            assert last["number"] == membership["channel"]["message_count"]
    running = False
    await talking


async def test_memberships_come_page_by_page(world: World) -> None:
    ada, eve = await world.people("ada", "eve")
    assert await eve.get("/v1/memberships") == {"items": [], "next": None}
    paths = [await ada.channel() for _ in range(3)]
    await eve.channel()
    first = await ada.get("/v1/memberships", limit=2)
    second = await ada.get("/v1/memberships", limit=2, cursor=first["next"])
    listed = [membership["channel"]["id"] for membership in first["items"] + second["items"]]
    assert listed == [path.rpartition("/")[2] for path in reversed(paths)]
    assert second["next"] is None
    assert (await ada.get("/v1/sync"))["memberships"] == first["items"] + second["items"]
    await ada.get("/v1/memberships", 422, limit=501)
