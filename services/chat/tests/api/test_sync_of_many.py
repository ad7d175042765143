"""The first load of somebody who is in hundreds of channels, while others go on talking."""

import asyncio
import random
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import event

from services.chat.tests.support.many import many_channels, post_to_all
from services.chat.tests.support.replica import Replica
from services.chat.tests.support.world import Json, Person, World

CHANNELS = 500


async def test_500_channels_are_of_one_moment_while_others_post(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    ids = await many_channels(world, ada, bob, count=CHANNELS)
    gateway = await world.service()
    running = True

    async def talk() -> None:
        chance = random.Random(1)
        while running:
            texts = chance.choice(["hello", f"@{bob.username}?", "@channel!"])
            await post_to_all(gateway, ada, chance.sample(ids, 40), texts)
            await bob.put(f"/v1/channels/{chance.choice(ids)}/read", {})

    talking = asyncio.create_task(talk())
    syncs = [await bob.get("/v1/sync") for _ in range(4)]
    running = False
    await talking
    fresh = Replica.of(bob.id, await bob.get("/v1/sync"))
    first = syncs[0]
    assert len(first["memberships"]) == CHANNELS + 1
    assert sum(each["unread_count"] > 0 for each in first["memberships"]) > CHANNELS / 2
    assert sum(each["mention_count"] > 0 for each in first["memberships"]) > CHANNELS / 2
    for sync in syncs:
        replica = Replica.of(bob.id, sync)
        behind = await events_after(world, sync["heads"])
        assert behind, "nobody said anything meanwhile"
        for each in behind:
            replica.apply(each)
        assert replica.cursors == fresh.cursors
        assert {name: channel.membership for name, channel in replica.channels.items()} == {
            name: channel.membership for name, channel in fresh.channels.items()
        }


async def events_after(world: World, heads: dict[str, tuple[str, int]]) -> list[Json]:
    rows = await world.rows(
        "SELECT l.text FROM chat.stream_log AS l "
        "JOIN unnest($1::text[], $2::bigint[]) AS h(stream, seq) "
        "ON h.stream = l.stream AND l.seq > h.seq ORDER BY l.stream, l.seq",
        list(heads),
        [seq for _, seq in heads.values()],
    )
    return [msgspec.json.decode(row["text"]) for row in rows]


async def test_many_channels_take_no_more_statements_than_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    await cleo.channel("private")
    await many_channels(world, ada, bob, count=50)
    statements = listened_to(world, monkeypatch)

    async def cost(who: Person) -> int:
        statements.clear()
        await who.get("/v1/sync")
        return sum("FROM" in each and "outbox" not in each for each in statements)

    few, many = await cost(cleo), await cost(bob)
    assert 0 < many <= 3
    assert few <= many


def listened_to(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of every statement that the service sends from now on."""
    statements: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def noting(connection: Any, statement: str, *args: Any, **options: Any) -> Any:
        statements.append(statement)
        return await fetch(connection, statement, *args, **options)

    def noted(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    monkeypatch.setattr(asyncpg.Connection, "fetch", noting)
    event.listen(world.core.database.engine.sync_engine, "before_cursor_execute", noted)
    return statements
