"""Pools show how full they are, and how long one waits for a connection."""

import asyncio

from prometheus_client import CollectorRegistry
from sqlalchemy import text

from sharezync_shared.db.database import Database
from sharezync_testkit.waiting import wait_until


async def test_both_pools_are_shown(fresh_database_url: str) -> None:
    registry = CollectorRegistry()
    database = Database(fresh_database_url, "notes", pool_size=1)
    database.measure(registry, units="units", statements="statements")

    def value(name: str, pool: str, **labels: str) -> float | None:
        labels = {"service": "notes", "pool": pool, **labels}
        return registry.get_sample_value(f"sharezync_db_pool_{name}", labels)

    assert value("connections", "statements", state="used") == 0
    pool = await database.pool()
    released = asyncio.Event()

    async def hold() -> None:
        async with pool.acquire():
            await released.wait()

    async with asyncio.TaskGroup() as group, database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        group.create_task(hold())
        group.create_task(hold())
        await wait_until(lambda: value("connections", "statements", state="used") == 1)
        assert value("connections", "units", state="used") == 1
        assert value("wait_seconds_count", "units") == 1
        assert value("wait_seconds_count", "statements") == 1, "the second one still waits"
        released.set()
    assert value("wait_seconds_count", "statements") == 2
    assert value("connections", "units", state="idle") == 1
    assert value("connections", "statements", state="idle") == 1
    assert value("max_connections", "units") == 1
    assert value("max_connections", "statements") == 1
    await database.aclose()
    assert value("connections", "statements", state="idle") == 0
