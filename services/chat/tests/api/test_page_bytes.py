"""Pages of large messages: each is bounded in bytes, and the next begins where it ended."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from services.chat.tests.support.world import Json, Person, World
from sharezync_shared.sizes import MAX_PAGE_BYTES

COUNT = 24
LARGE = "क" * 15_980
"""Three bytes a character: twenty-four of them are more than two pages."""
AROUND_BYTES = 200
"""What a page has beside its items."""


async def page_at(person: Person, path: str, **params: Any) -> Json:
    """Return a page, having checked how large it is."""
    answer = await person.http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) <= MAX_PAGE_BYTES + AROUND_BYTES
    page: Json = answer.json()
    return page


async def pages(
    person: Person, path: str, *, next_is: str = "cursor", **params: Any
) -> AsyncGenerator[list[Json]]:
    """Yield the items of each page, from the first to the one without `next`."""
    following: Json = {}
    while True:
        page = await page_at(person, path, **{**params, **following})
        assert page["items"]
        yield page["items"]
        if page["next"] is None:
            return
        following = {next_is: page["next"]}


async def lengths_and_items(found: AsyncGenerator[list[Json]]) -> tuple[list[int], list[Json]]:
    """Return how many items each page had, and all of them."""
    each = [items async for items in found]
    return [len(items) for items in each], [item for items in each for item in items]


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person()


@pytest.fixture
async def path(ada: Person) -> str:
    return await ada.channel()


@pytest.fixture
async def said(ada: Person, path: str) -> list[str]:
    """Return the ids of large messages, in the order in which they were posted."""
    return [(await ada.say(path, f"{n} pump {LARGE}"))["id"] for n in range(COUNT)]


async def test_history_is_read_both_ways_without_gap_or_double(
    ada: Person, path: str, said: list[str]
) -> None:
    listed = f"{path}/messages"
    lengths, back = await lengths_and_items(pages(ada, listed, next_is="before", limit=100))
    assert (lengths, [each["id"] for each in back]) == ([10, 10, 4], said[::-1])
    ahead = [items async for items in pages(ada, listed, next_is="after", limit=100, after=0)]
    assert [len(items) for items in ahead] == [10, 10, 4]
    assert [each["id"] for items in ahead for each in items[::-1]] == said


async def test_history_around_a_message_has_both_sides_of_it(
    ada: Person, path: str, said: list[str]
) -> None:
    page = await page_at(ada, f"{path}/messages", around=said[12], limit=100)
    assert [each["id"] for each in page["items"]] == said[8:18][::-1]
    older = await page_at(ada, f"{path}/messages", before=page["older"], limit=2)
    newer = await page_at(ada, f"{path}/messages", after=page["newer"], limit=2)
    assert [each["id"] for each in older["items"]] == [said[7], said[6]]
    assert [each["id"] for each in newer["items"]] == [said[19], said[18]]


async def test_pages_of_small_messages_end_at_their_limit(ada: Person, path: str) -> None:
    for n in range(5):
        await ada.say(path, str(n))
    lengths, _ = await lengths_and_items(pages(ada, f"{path}/messages", next_is="before", limit=3))
    assert lengths == [3, 2]


async def test_replies_and_messages_of_an_author_are_bounded(ada: Person, path: str) -> None:
    first = (await ada.say(path, "first"))["id"]
    said = [(await ada.say(path, LARGE, reply_to=first))["id"] for _ in range(COUNT)]
    lengths, replies = await lengths_and_items(
        pages(ada, f"/v1/messages/{first}/replies", limit=100)
    )
    assert (lengths, [each["id"] for each in replies]) == ([10, 10, 4], said)
    lengths, written = await lengths_and_items(pages(ada, "/v1/messages", author=ada.id))
    assert (lengths, [each["id"] for each in written]) == ([10, 10, 5], [*said[::-1], first])


async def test_results_of_a_search_are_bounded(world: World, ada: Person, said: list[str]) -> None:
    await world.app.state.context.indexer.catch_up()
    lengths, hits = await lengths_and_items(pages(ada, "/v1/search", q="pump", limit=100))
    assert max(lengths) < 11
    assert sorted(hit["message"]["id"] for hit in hits) == sorted(said)


async def test_pins_are_bounded(ada: Person, path: str, said: list[str]) -> None:
    for message_id in said:
        await ada.put(f"{path}/pins/{message_id}", status=204)
    lengths, pinned = await lengths_and_items(pages(ada, f"{path}/pins"))
    assert (lengths, [pin["message"]["id"] for pin in pinned]) == ([10, 10, 4], said[::-1])
    await ada.delete(f"{path}/pins/{said[0]}")
    await ada.get(f"{path}/pins", 404, cursor=said[0])


async def test_edits_are_bounded(ada: Person, path: str) -> None:
    message = await ada.say(path, LARGE)
    for n in range(COUNT):
        await ada.patch(f"/v1/messages/{message['id']}", {"text": f"{n}{LARGE}"})
    lengths, edits = await lengths_and_items(pages(ada, f"/v1/messages/{message['id']}/edits"))
    assert (lengths, [edit["version"] for edit in edits]) == (
        [10, 10, 4],
        list(range(COUNT, 0, -1)),
    )


async def test_memberships_with_their_latest_messages_are_bounded(ada: Person) -> None:
    said = [(await ada.say(await ada.channel(), LARGE))["id"] for _ in range(COUNT)]
    lengths, mine = await lengths_and_items(pages(ada, "/v1/memberships", limit=500))
    assert [each["last_message"]["id"] for each in mine] == said[::-1]
    assert lengths == [10, 10, 4]


async def test_a_snapshot_has_every_membership_and_no_more_text_than_a_page(ada: Person) -> None:
    said = [(await ada.say(await ada.channel(), LARGE))["id"] for _ in range(COUNT)]
    answer = await ada.http.get("/v1/sync")
    assert len(answer.content) < MAX_PAGE_BYTES + len(LARGE.encode()) + COUNT * 1500
    mine = answer.json()["memberships"]
    assert [each["channel"]["message_count"] for each in mine] == [1] * COUNT
    last = [each["last_message"] and each["last_message"]["id"] for each in mine]
    assert last == [*said[:-12:-1], *[None] * (COUNT - 11)]
