"""Lists, what is missing, statistics."""

from typing import Any

import pytest

from services.transfer.tests.support.world import MIB, World
from sharezync_shared.sizes import MAX_PAGE_BYTES


async def test_inbox_and_outbox_are_one_list_newest_first(world: World) -> None:
    ada, bob, eve = await world.people(3)
    first = await ada.offer(bob)
    second = await bob.offer(ada)
    await eve.offer(bob)
    listed = (await ada.get("/v1/transfers"))["items"]
    assert [each["id"] for each in listed] == [second["id"], first["id"]]
    assert listed[0] == await ada.sees(second)


@pytest.mark.parametrize(("role", "place"), [("sender", 0), ("recipient", 1)])
async def test_one_direction_alone(world: World, role: str, place: int) -> None:
    ada, bob = await world.people(2)
    both = [await ada.offer(bob), await bob.offer(ada)]
    listed = await ada.get("/v1/transfers", role=role)
    assert [each["id"] for each in listed["items"]] == [both[place]["id"]]


async def test_each_sees_the_state_that_is_theirs(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await bob.act(offered, "reject")
    assert len((await bob.get("/v1/transfers", state="rejected"))["items"]) == 1
    assert len((await eve.get("/v1/transfers", state="offered"))["items"]) == 1
    assert len((await ada.get("/v1/transfers", state="offered"))["items"]) == 1
    assert (await ada.get("/v1/transfers", state="rejected"))["items"] == []


async def test_pages_follow_each_other_without_gap_or_double(world: World) -> None:
    ada, bob = await world.people(2)
    offers = [await (ada.offer(bob) if n % 2 else bob.offer(ada)) for n in range(5)]
    cursor: dict[str, Any] = {}
    seen: list[str] = []
    for _ in range(10):
        page = await ada.get("/v1/transfers", limit=2, **cursor)
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == sorted((each["id"] for each in offers), reverse=True)


async def test_what_one_sends_to_oneself_is_listed_once_as_sent(world: World) -> None:
    laptop = await world.on_device(await world.person())
    phone = await world.on_device(laptop)
    offered = await laptop.offer(phone)
    listed = (await phone.get("/v1/transfers"))["items"]
    assert [each["id"] for each in listed] == [offered["id"]]


async def test_what_is_missing_comes_from_the_record_of_storage(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 4 * MIB, "empty": 0, "b": MIB})
    world.peers.named("a").stored.add(1, 2)
    missing = await ada.get(f"/v1/transfers/{offered['id']}/missing")
    assert missing == {
        "transfer_id": offered["id"],
        "files": [
            {"index": 0, "chunk_count": 4, "missing": [[0, 0], [3, 3]]},
            {"index": 1, "chunk_count": 0, "missing": []},
            {"index": 2, "chunk_count": 1, "missing": [[0, 0]]},
        ],
    }


async def test_nothing_is_missing_of_what_was_confirmed(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.store_everything()
    await ada.act(offered, "complete")
    world.peers.away.add("storage")
    missing = await ada.get(f"/v1/transfers/{offered['id']}/missing")
    assert missing["files"][0]["missing"] == []


async def test_all_is_missing_of_what_storage_gave_up(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    world.peers.uploads.clear()
    missing = await ada.get(f"/v1/transfers/{offered['id']}/missing")
    assert missing["files"][0]["missing"] == [[0, 2]]


async def test_lists_need_a_token(world: World) -> None:
    ada = await world.person()
    del ada.http.headers["Authorization"]
    for path in ("/v1/transfers", "/v1/transfers/stats"):
        assert (await ada.get(path, 401))["code"] == "unauthenticated"


@pytest.mark.parametrize("query", [{"limit": 0}, {"role": "owner"}, {"state": "x"}, {"cursor": 1}])
async def test_what_is_no_question_is_refused(world: World, query: dict[str, Any]) -> None:
    ada = await world.person()
    assert (await ada.get("/v1/transfers", 422, **query))["code"] == "invalid"


async def test_pages_of_transfers_of_many_files_are_bounded(world: World) -> None:
    ada, bob, eve = await world.people(3)
    names = {f"{'a' * 200}/{'b' * 200}/{n}": 1 for n in range(500)}
    offers = [(await ada.offer(bob, files=names))["id"] for _ in range(4)]
    offers += [(await ada.offer(eve))["id"] for _ in range(2)]
    cursor: dict[str, Any] = {}
    seen: list[list[str]] = []
    while not seen or cursor["cursor"] is not None:
        answer = await ada.http.get("/v1/transfers", params={"limit": 100, **cursor})
        assert len(answer.content) <= MAX_PAGE_BYTES + 200
        seen.append([each["id"] for each in answer.json()["items"]])
        cursor = {"cursor": answer.json()["next"]}
    assert [each for items in seen for each in items] == offers[::-1]
    assert [len(items) for items in seen] == [3, 1, 1, 1]


async def test_a_transfer_that_is_larger_than_a_page_is_one(world: World) -> None:
    ada, bob = await world.people(2)
    names = {f"{'a' * 250}/{'b' * 250}/{'c' * 200}/{n}": 1 for n in range(700)}
    offers = [(await ada.offer(bob, files=names))["id"] for _ in range(2)]
    page = await ada.get("/v1/transfers", limit=100)
    assert [each["id"] for each in page["items"]] == [offers[1]]
    rest = await ada.get("/v1/transfers", limit=100, cursor=page["next"])
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([offers[0]], None)
