"""What it costs to ask what came of everything, where everything is a lot.

`STATISTICS_TRANSFERS=1000000` makes a million of them and prints what was measured.
"""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import pytest

from services.transfer.tests.support.world import Json, Person, World
from sharezync_shared.db.database import plain_dsn
from sharezync_shared.ids import UserId, uuid7
from sharezync_transfer.migrations import MIGRATIONS
from sharezync_transfer.usecases import statistics

TRANSFERS: Final = int(os.environ.get("STATISTICS_TRANSFERS", "5000"))
PEERS: Final = 1000
DAYS: Final = 365
SENDER: Final = uuid7()
"""Who has sent all of them, to each peer in turn, over a year."""

_BATCH: Final = 100_000
_PEOPLE: Final = """
INSERT INTO transfer.users (id, username, display_name, names_at, deleted)
SELECT CASE n WHEN 0 THEN $1 ELSE gen_random_uuid() END, 'h' || n, 'H', now(), false
FROM generate_series(0, $2::int) AS n
"""
_HISTORY: Final = """
WITH made AS (
    INSERT INTO transfer.transfers (id, sender_id, client_transfer_id, note, chunk_size_bytes,
        file_count, size_bytes, state, created_at, expires_at, ended_at, completed_at,
        released_at, progress_at)
    SELECT gen_random_uuid(), $1, n, '', 65536, 1, 1000, 'completed', at, at, at, at, at, at
    FROM (SELECT n, now() - n % $4::int * interval '1 day' AS at
          FROM generate_series($2::int, $3::int) AS n) AS numbers
    RETURNING id, ended_at, client_transfer_id::int % $5::int + 1 AS peer
)
INSERT INTO transfer.recipients (transfer_id, user_id, state, accepted_files, accepted_bytes,
    received_bytes, accepted_at, completed_at, updated_at)
SELECT made.id, u.id, 'completed', 1, 1000, 1000, ended_at, ended_at, ended_at
FROM made JOIN transfer.users AS u ON u.username = 'h' || made.peer
"""
_SUMS: Final = """
WITH ended AS (
    SELECT t.sender_id, r.user_id, (r.updated_at AT TIME ZONE 'UTC')::date AS day,
        r.accepted_files AS files, r.received_bytes AS bytes
    FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
), sides AS (
    SELECT sender_id AS user_id, user_id AS peer_id, 'sender' AS role, day, files, bytes FROM ended
    UNION ALL
    SELECT user_id, sender_id, 'recipient', day, files, bytes FROM ended
)
INSERT INTO transfer.sums_by_{by} (user_id, {key}, role, ended, completed, files, bytes,
    timed_bytes, seconds, best_bytes_per_second)
SELECT user_id, {key}, role, count(*), count(*), sum(files), sum(bytes), 0, 0, 0
FROM sides GROUP BY user_id, {key}, role
"""
"""As the service keeps them while transfers end."""


@pytest.fixture
def transfer_database_url(fresh_database_url: str) -> str:
    """A database in which all of that has happened."""
    asyncio.run(_with_history(fresh_database_url))
    return fresh_database_url


async def _with_history(url: str) -> None:
    await MIGRATIONS.upgrade(url)
    connection = await asyncpg.connect(plain_dsn(url))
    try:
        await connection.execute(_PEOPLE, SENDER, PEERS)
        for start in range(1, TRANSFERS + 1, _BATCH):
            end = min(start + _BATCH - 1, TRANSFERS)
            await connection.execute(_HISTORY, SENDER, start, end, DAYS, PEERS)
        await connection.execute(_SUMS.format(by="day", key="day"))
        await connection.execute(_SUMS.format(by="peer", key="peer_id"))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


@pytest.mark.timeout(900 if TRANSFERS > _BATCH else 60)
async def test_a_question_reads_sums_and_never_all_transfers(world: World) -> None:
    ada = await world.known_as(UserId(SENDER))
    bob = await world.person()
    await ada.offer(bob)
    since = datetime.now(UTC).date() - timedelta(days=30)
    arguments: dict[str, tuple[object, ...]] = {
        "by day": (since,),
        "by peer": (statistics.MOST_PEERS,),
    }
    seen = {}
    for name, query in statistics.QUERIES.items():
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
        (row,) = await world.rows(explained, SENDER, *arguments.get(name, ()))
        seen[name] = _rows_read(json.loads(row["QUERY PLAN"])[0]["Plan"])
    # One sum for each day and for each peer, whatever they are made of; of peers once more those
    # that are shown.
    assert seen["totals"] <= DAYS + 1, seen
    assert seen["by peer"] <= 2 * PEERS + statistics.MOST_PEERS, seen
    assert max(seen["sending"], seen["receiving"], seen["by day"]) <= 31, seen

    times: list[float] = []
    found: Json = {}
    for _ in range(9):
        begun = time.perf_counter()
        found = await ada.get("/v1/transfers/stats")
        times.append(1000 * (time.perf_counter() - begun))
    _tell(f"{TRANSFERS} transfers: {sorted(times)[4]:.1f} ms, {max(times):.1f} at worst, {seen}")
    assert found["sent"]["transfers"] == TRANSFERS + 1
    assert found["sent"]["completed"] == sum(each["sent"]["completed"] for each in await _all(ada))
    assert len(found["peers"]) == statistics.MOST_PEERS


async def _all(ada: Person) -> list[Json]:
    """Return every day that is told of."""
    days: list[Json] = (await ada.get("/v1/transfers/stats", days=366))["days"]
    return days


def _rows_read(plan: Json) -> int:
    """Return how many rows a plan took from tables and indexes."""
    below = sum(_rows_read(each) for each in plan.get("Plans", []))
    if "Relation Name" not in plan:
        return below
    looked_at = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return below + int(looked_at * plan["Actual Loops"])


def _tell(measured: str) -> None:
    if "STATISTICS_TRANSFERS" in os.environ:
        print(measured)  # noqa: T201 - for who asked for it, with -s
