"""An event is taken once by each consumer, together with its effect or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.tests.integration.events.outboxes import SCHEMA, Outbox
from sharezync_shared.events.inbox import claim, prune
from sharezync_shared.ids import uuid7


async def test_each_consumer_takes_an_event_once(outbox: Outbox) -> None:
    event_id = uuid7()
    async with (await outbox.database.pool()).acquire() as connection:
        verdicts = [
            await claim(connection, SCHEMA, consumer, event_id)
            for consumer in ("erase", "erase", "project")
        ]
    assert verdicts == [True, False, True]


async def test_a_claim_is_undone_with_its_effect(outbox: Outbox) -> None:
    event_id = uuid7()
    async with (await outbox.database.pool()).acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await claim(connection, SCHEMA, "erase", event_id)
        await transaction.rollback()

        assert await claim(connection, SCHEMA, "erase", event_id)


async def test_a_second_claim_waits_for_the_outcome_of_the_first(outbox: Outbox) -> None:
    event_id = uuid7()
    pool = await outbox.database.pool()

    async def second() -> bool:
        async with pool.acquire() as connection:
            return await claim(connection, SCHEMA, "erase", event_id)

    for commits in (False, True):
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"DELETE FROM {SCHEMA}.inbox")
            assert await claim(connection, SCHEMA, "erase", event_id)
            waiting = asyncio.create_task(second())
            done, _ = await asyncio.wait((waiting,), timeout=0.2)
            assert not done
            await (transaction.commit() if commits else transaction.rollback())
        assert await waiting is not commits


async def test_claims_are_forgotten_after_a_week_in_small_batches(outbox: Outbox) -> None:
    now = datetime.now(UTC)
    async with (await outbox.database.pool()).acquire() as connection:
        await connection.executemany(
            f"INSERT INTO {SCHEMA}.inbox VALUES ('erase', gen_random_uuid(), $1)",
            [(now - timedelta(days=days),) for days in (0, 1, 6, 8, 9, 10)],
        )
        assert await prune(connection, SCHEMA, now, batch=2) == 2
        assert await prune(connection, SCHEMA, now, batch=2) == 1
        assert await prune(connection, SCHEMA, now, batch=2) == 0
        assert await connection.fetchval(f"SELECT count(*) FROM {SCHEMA}.inbox") == 3
