"""Search: what is found, by whom, and what never is."""

import asyncio
from typing import Any

import pytest

from services.chat.tests.support.world import Json, Person, World
from sharezync_chat.usecases import searching


async def found(world: World, person: Person, query: str, **more: Any) -> list[Json]:
    """What a search finds once everything posted so far is indexed."""
    await world.app.state.context.indexer.catch_up()
    hits: list[Json] = (await person.get("/v1/search", q=query, **more))["items"]
    return hits


def texts(hits: list[Json]) -> list[str]:
    return [hit["message"]["text"] for hit in hits]


async def test_members_find_words_phrases_and_what_is_without(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    for text in ("The engine runs", "the Engine stands, runs not", "a pump runs"):
        await ada.say(path, text)
    assert set(texts(await found(world, bob, "ENGINE"))) == {
        "The engine runs",
        "the Engine stands, runs not",
    }
    assert texts(await found(world, bob, '"engine runs"')) == ["The engine runs"]
    assert texts(await found(world, bob, "runs -engine")) == ["a pump runs"]
    assert len(await found(world, bob, "pump or stands")) == 2
    assert await found(world, bob, "turbine") == []


async def test_the_best_comes_first_and_is_highlighted_safely(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    await ada.say(path, "once engine <script>alert(1)</script> & more \ue000words\ue001")
    await ada.say(path, "engine engine engine")
    best, other = await found(world, ada, "engine")
    assert best["message"]["text"] == "engine engine engine"
    assert best["rank"] > other["rank"]
    assert "<mark>engine</mark>" in other["highlight"]
    assert "<script>" not in other["highlight"]
    assert other["highlight"].count("<mark>") == 1


async def test_the_newest_are_ranked_and_older_ones_follow_by_age(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "RANKED", 3)
    ada = await world.person()
    path = await ada.channel()
    posted = ["pump pump pump pump", "pump oldest but one", "a pump", "pump pump", "the pump"]
    for text in posted:
        await ada.say(path, text)
    hits = await found(world, ada, "pump")
    assert texts(hits) == ["pump pump", "the pump", "a pump", posted[1], posted[0]]
    assert [hit["rank"] for hit in hits[3:]] == [0, 0]
    assert all(hit["rank"] > 0 for hit in hits[:3])


async def test_nobody_finds_what_they_may_not_read(world: World) -> None:
    ada, bob, eve = await world.people("ada", "bob", "eve")
    private, public = await ada.channel("private", bob), await ada.channel("public", bob)
    await ada.say(private, "secret turbine")
    await ada.say(public, "public turbine")
    assert len(await found(world, bob, "turbine")) == 2
    assert await found(world, eve, "turbine") == [], "seeing a channel is not reading it"
    channel_id = private.rpartition("/")[2]
    assert await found(world, eve, "turbine", channel=channel_id) == []

    await bob.post(f"{private}/leave", status=204)
    assert texts(await found(world, bob, "turbine")) == ["public turbine"]
    await ada.delete(f"{public}/members/{bob.id}")
    assert await found(world, bob, "turbine") == []


async def test_edits_are_found_by_the_new_words_and_deleted_messages_by_none(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    kept, gone = await ada.say(path, "old words"), await ada.say(path, "old words too")
    assert len(await found(world, ada, "old")) == 2
    await ada.patch(f"/v1/messages/{kept['id']}", {"text": "new words"})
    await ada.delete(f"/v1/messages/{gone['id']}")
    assert await found(world, ada, "old") == []
    assert texts(await found(world, ada, "words")) == ["new words"]


async def test_an_edit_before_the_indexing_is_found_by_the_new_words(world: World) -> None:
    ada = await world.person()
    path = await ada.channel()
    message = await ada.say(path, "first")
    await asyncio.gather(
        world.app.state.context.indexer.catch_up(),
        ada.patch(f"/v1/messages/{message['id']}", {"text": "second"}),
        world.app.state.context.indexer.catch_up(),
    )
    assert await found(world, ada, "first") == []
    assert len(await found(world, ada, "second")) == 1


async def test_channels_and_authors_narrow_the_search(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    paths = [await ada.channel("private", bob), await ada.channel("private", bob)]
    for path in paths:
        await ada.say(path, "pump by ada")
        await bob.say(path, "pump by bob")
    assert len(await found(world, ada, "pump")) == 4
    channel_id = paths[0].rpartition("/")[2]
    hits = await found(world, ada, "pump", channel=channel_id, author=bob.id)
    assert [(h["message"]["channel_id"], h["message"]["text"]) for h in hits] == [
        (channel_id, "pump by bob")
    ]


@pytest.mark.parametrize("ranked", [100, 4], ids=["all weighed", "some weighed"])
@pytest.mark.parametrize("meanwhile", ["nothing", "new hits", "better hits", "hits gone"])
async def test_pages_meet_whatever_happens_between_them(
    world: World, monkeypatch: pytest.MonkeyPatch, ranked: int, meanwhile: str
) -> None:
    monkeypatch.setattr(searching, "RANKED", ranked)
    ada = await world.person()
    path = await ada.channel()
    said = [f"pump {n}" + " and pump" * (n % 3) for n in range(9)]
    ids = [(await ada.say(path, text))["id"] for text in said]
    await world.app.state.context.indexer.catch_up()
    seen: list[str] = []
    asked: dict[str, Any] = {"q": "pump", "limit": 3}
    while asked.get("cursor", "first"):
        page = await ada.call("GET", "/v1/search", 200, params=asked)
        hits = page["items"]
        assert hits == sorted(hits, key=lambda h: (h["rank"], h["message"]["id"]), reverse=True)
        seen += texts(hits)
        asked["cursor"] = page["next"]
        if len(seen) == 3 and meanwhile != "nothing":
            for number in range(3):
                if meanwhile == "hits gone":
                    shown = ids[said.index(seen[number])]
                    await ada.delete(f"/v1/messages/{shown}")
                else:
                    await ada.say(path, "pump" + " pump" * 9 * (meanwhile == "better hits"))
            await world.app.state.context.indexer.catch_up()
    assert sorted(seen) == sorted(said)


async def test_a_cursor_that_is_none_is_refused(world: World) -> None:
    ada = await world.person()
    for cursor in ("0", "x" * 75, "é", "=" * 10):
        answer = await ada.http.get("/v1/search", params={"q": "pump", "cursor": cursor})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "query.cursor"


@pytest.mark.parametrize("query", ["'", '"', "-", "!!", "a & | b", "(:*)", "%", "\\", "🎉", "or"])
async def test_no_query_is_an_error_of_ours(world: World, query: str) -> None:
    ada = await world.person()
    await ada.say(await ada.channel(), "some text")
    assert isinstance(await found(world, ada, query), list)


async def test_what_a_process_left_undone_is_indexed_by_the_next(
    world: World, second: World
) -> None:
    ada = await world.person()
    path = await ada.channel()
    world.app.state.context.posting._indexer = _Deaf()  # as if it died right after the commit
    await ada.say(path, "orphan words")
    await second.app.state.context.indexer.catch_up()
    there = await second.same(ada)
    assert texts((await there.get("/v1/search", q="orphan"))["items"]) == ["orphan words"]


class _Deaf:
    def posted(self, channel_ids: object) -> None:
        """Hear nothing."""
