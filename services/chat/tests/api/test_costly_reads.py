"""Searches and other reads that take long: few at a time, and in nobody else's way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from services.chat.tests.support.world import World
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases.searching import MAX_WORDS
from sharezync_shared.costly import CostlyReads
from sharezync_shared.db.database import Database
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import Unavailable
from sharezync_testkit.waiting import wait_until

WORDS = [f"word{n}" for n in range(MAX_WORDS)]
ROUTES = ["/v1/search?q=engine", "/v1/messages?author={me}"]


@pytest.fixture
async def slow(chat_database_url: str) -> AsyncIterator[CostlyReads]:
    """Reads of which each statement may take a moment only."""
    database = Database(chat_database_url, "chat", pool_size=1, statement_seconds=0.05)
    reads = CostlyReads(database, None, at_once=1, per_user=1)  # type: ignore[arg-type]  # no streams here
    yield reads
    await reads.aclose()


async def test_forty_searches_at_once_of_many_words_leave_others_alone(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    text = " ".join(WORDS * 140)
    await asyncio.gather(*(ada.say(path, text) for _ in range(40)))
    await world.app.state.context.indexer.catch_up()

    query = " or ".join(WORDS)
    searches = [
        asyncio.create_task(ada.http.get("/v1/search", params={"q": query})) for _ in "x" * 40
    ]
    await asyncio.sleep(0)
    others = await asyncio.gather(
        bob.http.get("/v1/search", params={"q": "word1"}),
        bob.http.get("/v1/memberships"),
        bob.http.post(f"{path}/messages", json={"text": "hello"}),
    )
    answers = await asyncio.gather(*searches)
    assert [answer.status_code for answer in others] == [200, 200, 201]
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 429}
    assert statuses[200] >= 1


@pytest.mark.parametrize("route", ROUTES)
async def test_who_has_as_many_as_one_may_waits_a_moment_and_is_told_to_come_back(
    world: World, settings: ChatSettings, route: str
) -> None:
    ada, bob = await world.people("ada", "bob")
    async with AsyncExitStack() as held:
        for _ in range(settings.searches_at_once_per_user):
            await held.enter_async_context(world.core.costly.read(UserId(UUID(ada.id))))
        refused = await ada.http.get(route.format(me=ada.id))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
        assert refused.headers["retry-after"] == "1"
        await bob.call("GET", route.format(me=bob.id), 200)
        waiting = asyncio.create_task(ada.call("GET", route.format(me=ada.id), 200))
        await asyncio.sleep(0.05)
    await waiting


@pytest.mark.parametrize("route", ROUTES)
async def test_with_all_turns_taken_only_searches_wait(
    world: World, settings: ChatSettings, route: str
) -> None:
    ada = await world.person()
    async with AsyncExitStack() as held:
        for _ in range(settings.searches_at_once):
            await held.enter_async_context(world.core.costly.read(UserId(uuid7())))
        refused = await ada.http.get(route.format(me=ada.id))
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "1"
        await ada.say(await ada.channel())
    await ada.call("GET", route.format(me=ada.id), 200)


async def test_so_many_may_wait_and_no_more(world: World) -> None:
    async def search(user_id: UserId) -> None:
        async with world.core.costly.read(user_id):
            pass

    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(world.core.costly.read(UserId(uuid7())))
        crowd = [asyncio.create_task(search(UserId(uuid7()))) for _ in range(64)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await search(UserId(uuid7()))
    await asyncio.gather(*crowd)
    await wait_until(lambda: not world.core.costly._users)


async def test_a_user_s_next_search_waits_as_long_as_the_last_one_took(world: World) -> None:
    ada, bob = UserId(uuid7()), UserId(uuid7())
    now = asyncio.get_running_loop().time
    began = now()
    async with world.core.costly.read(ada):
        await asyncio.sleep(0.2)
    ended = now()
    async with world.core.costly.read(bob):
        pass  # nobody else does
    async with world.core.costly.read(ada):
        assert now() - ended >= (ended - began) * 0.9


async def test_a_statement_that_takes_too_long_is_told_as_such(slow: CostlyReads) -> None:
    ada = UserId(uuid7())
    for sleeps in ("SELECT pg_sleep(30)", "SELECT pg_sleep(20)"):
        with pytest.raises(Unavailable):
            async with slow.read(ada) as unit:
                await (await unit.raw()).execute(sleeps)
    with pytest.raises(ValueError, match="of our own"):
        async with slow.read(ada):
            raise ValueError("of our own")
    async with slow.read(ada) as unit:
        assert await (await unit.raw()).fetchval("SELECT 1") == 1


async def test_a_search_has_so_many_words(world: World) -> None:
    ada = await world.person()
    await ada.get("/v1/search", q=" ".join(WORDS))
    await ada.get("/v1/search", q=" or ".join(WORDS))
    for query in (" ".join([*WORDS, "more"]), " or ".join("abcdefghijklmnopq"), "a-" * 99 + "b"):
        problem = await ada.get("/v1/search", 422, q=query)
        assert problem["errors"][0]["field"] == "query.q"
