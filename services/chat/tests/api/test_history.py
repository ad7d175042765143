"""Paging through a channel."""

from services.chat.tests.support.world import Json, World


def texts(page: Json) -> list[str]:
    return [item["text"] for item in page["items"]]


async def test_the_first_page_is_the_newest_newest_first(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    empty = await ada.get(f"{path}/messages")
    assert empty == {"items": [], "next": None, "older": None, "newer": None}
    said = [await ada.say(path, str(n)) for n in range(1, 8)]
    page = await ada.get(f"{path}/messages", limit=3)
    assert texts(page) == ["7", "6", "5"]
    assert (page["next"], page["newer"]) == (str(said[4]["seq"]), None)
    page = await ada.get(f"{path}/messages", limit=3, before=page["next"])
    assert texts(page) == ["4", "3", "2"]
    page = await ada.get(f"{path}/messages", limit=3, before=page["older"])
    assert texts(page) == ["1"]
    assert page["next"] is None
    page = await ada.get(f"{path}/messages", limit=3, after=page["newer"])
    assert texts(page) == ["4", "3", "2"]
    page = await ada.get(f"{path}/messages", limit=3, after=page["next"])
    assert texts(page) == ["7", "6", "5"]
    assert page["next"] is None
    assert (await ada.get(f"{path}/messages", after=said[-1]["seq"]))["items"] == []


async def test_a_place_is_a_seq_or_a_message(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    said = [await ada.say(path, str(n)) for n in range(1, 8)]
    await ada.patch(path, {"topic": "events of other kinds lie between"})
    for mark in (said[3]["id"], said[3]["seq"]):
        before = await ada.get(f"{path}/messages", before=mark, limit=2)
        after = await ada.get(f"{path}/messages", after=mark, limit=2)
        around = await ada.get(f"{path}/messages", around=mark, limit=4)
        assert (texts(before), texts(after)) == (["3", "2"], ["6", "5"])
        assert texts(around) == ["6", "5", "4", "3"]
        assert (around["older"], around["newer"]) == (str(said[2]["seq"]), str(said[5]["seq"]))
    assert texts(await ada.get(f"{path}/messages", around=said[0]["id"], limit=4)) == list("321")
    assert texts(await ada.get(f"{path}/messages", around=said[6]["id"], limit=4)) == list("7654")
    assert texts(await ada.get(f"{path}/messages", before=2**63 - 1, limit=1)) == ["7"]
    assert texts(await ada.get(f"{path}/messages", around=2**63 - 1, limit=1)) == ["7"]


async def test_deleted_messages_keep_their_place(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    said = [await ada.say(path, str(n)) for n in range(1, 4)]
    await ada.delete(f"/v1/messages/{said[1]['id']}")
    page = await ada.get(f"{path}/messages")
    assert [item["deleted"] for item in page["items"]] == [False, True, False]
    assert texts(await ada.get(f"{path}/messages", before=said[1]["id"])) == ["1"]


async def test_a_place_that_makes_no_sense_is_refused(world: World) -> None:
    ada = await world.person()
    path, other = await ada.channel(), await ada.channel()
    elsewhere = await ada.say(other)
    await ada.get(f"{path}/messages", 404, before=elsewhere["id"])
    await ada.get(f"{path}/messages", 422, before="x")
    await ada.get(f"{path}/messages", 422, before=-1)
    await ada.get(f"{path}/messages", 422, before=2**63)
    await ada.get(f"{path}/messages", 422, before=1, after=2)
    await ada.get(f"{path}/messages", 422, limit=0)
    await ada.get(f"{path}/messages", 422, limit=201)
