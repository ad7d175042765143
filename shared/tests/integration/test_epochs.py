"""An epoch holds for one database: whoever connects to another finds it renewed."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from shared.tests.integration.conftest import Notes
from shared.tests.integration.notes import ROLE
from sharezync_shared.contracts.streams import ReplayFrom
from sharezync_shared.db.database import Database, plain_dsn
from sharezync_shared.streams.epochs import EpochInUse, StreamEpoch, renew_epoch
from sharezync_shared.streams.log import Entry
from sharezync_testkit.servers import Databases
from sharezync_testkit.waiting import wait_until

STREAM = "channel:1"
NOTE = Entry(STREAM, "note.taken", b"{}")

ANOTHER_CLUSTER = "UPDATE notes.stream_epoch SET cluster = '4711 00000001 1 1'"
RESTARTED = "UPDATE notes.stream_epoch SET started_at = started_at - interval '1 day'"
UNSEEN = "UPDATE notes.stream_epoch SET seen_at = seen_at - interval '1 day'"


async def epoch_at(url: str) -> str:
    """Return the epoch that a service finds which starts now."""
    epochs = StreamEpoch("notes")
    database = Database(url, "notes", role=ROLE, on_connect=epochs.check)
    try:
        await (await database.pool()).fetchval("SELECT 1")
    finally:
        await database.aclose()
    return epochs.present


async def execute(notes: Notes, *statements: str) -> None:
    async with (await notes.database.pool()).acquire() as connection:
        for statement in statements:
            await connection.execute(statement)


@pytest.mark.parametrize(
    ("happened", "renewed"),
    [
        ((), False),
        ((ANOTHER_CLUSTER,), True),  # restored elsewhere, or another timeline
        ((RESTARTED,), False),  # a server that was started again, and is what it was
        ((UNSEEN,), False),  # nobody was there for a day; the server was
        ((RESTARTED, UNSEEN), True),  # perhaps a volume that was put back
    ],
)
async def test_an_epoch_holds_for_the_database_that_it_was_chosen_in(
    notes: Notes, fresh_database_url: str, happened: tuple[str, ...], renewed: bool
) -> None:
    before = notes.streams.epoch
    await execute(notes, *happened)
    assert (await epoch_at(fresh_database_url) != before) == renewed


async def test_a_copy_has_another_epoch_and_the_original_keeps_its_own(
    notes: Notes, fresh_database_url: str, databases: Databases
) -> None:
    before = notes.streams.epoch
    await notes.relay.aclose()
    await notes.database.aclose()
    copy = databases.new(fresh_database_url)
    assert await epoch_at(copy) != before
    assert await epoch_at(copy) == await epoch_at(copy)
    assert await epoch_at(fresh_database_url) == before


async def test_of_many_that_find_it_out_of_date_one_renews_it(
    notes: Notes, fresh_database_url: str
) -> None:
    before = notes.streams.epoch
    await execute(notes, ANOTHER_CLUSTER)
    found = await asyncio.gather(*(epoch_at(fresh_database_url) for _ in range(8)))
    assert len({*found}) == 1
    assert before not in found


async def test_a_connection_is_used_in_the_epoch_that_it_has_found(notes: Notes) -> None:
    before = notes.streams.epoch
    await execute(notes, ANOTHER_CLUSTER)
    await (await notes.database.pool()).expire_connections()
    async with (await notes.database.pool()).acquire() as connection, connection.transaction():
        (frame,) = await notes.streams.append(connection, [NOTE], datetime.now(UTC))
    assert frame.epoch != before
    assert f'"epoch":"{frame.epoch}"'.encode() in frame.text


async def test_what_was_said_in_an_earlier_epoch_is_neither_replayed_nor_published(
    notes: Notes,
) -> None:
    """A client that asks for what is behind a place of before is told to fetch its state."""
    await notes.relay.aclose()  # as if the process had died before it was published
    async with notes.work.begin() as unit:
        at = await unit.publish_event(STREAM, "note.taken", {})
    pool = await notes.database.pool()
    asked = ReplayFrom(STREAM, 0, None)
    async with pool.acquire() as connection:
        assert not (await notes.streams.replay(connection, asked, datetime.now(UTC))).reset
        assert await notes.streams.load(connection, [at])
        await connection.execute(ANOTHER_CLUSTER)
        await notes.streams.epochs.refresh(connection)
        assert (await notes.streams.replay(connection, asked, datetime.now(UTC))).reset
        assert await notes.streams.load(connection, [at]) == []


async def test_where_a_server_hides_its_identity_each_start_of_it_counts(
    notes: Notes, fresh_database_url: str
) -> None:
    owner = await asyncpg.connect(plain_dsn(fresh_database_url))
    try:
        await owner.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    finally:
        await owner.close()
    first = await epoch_at(fresh_database_url)
    assert await epoch_at(fresh_database_url) == first
    await execute(
        notes, "UPDATE notes.stream_epoch SET cluster = replace(cluster, 'started 1', 'started 2')"
    )
    assert await epoch_at(fresh_database_url) != first


async def test_an_epoch_is_renewed_by_hand_only_while_nobody_is_connected(
    notes: Notes, fresh_database_url: str
) -> None:
    before = notes.streams.epoch

    def database() -> Database:
        return Database(fresh_database_url, "notes", role=ROLE)

    with pytest.raises(EpochInUse):
        await renew_epoch(database())
    await notes.relay.aclose()
    await notes.database.aclose()
    counting = await asyncpg.connect(plain_dsn(fresh_database_url))
    try:
        left = [1]
        connected = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sharezync-notes'"
        )

        async def gone() -> None:
            while left[0]:
                left[0] = await counting.fetchval(connected)

        waiting = asyncio.create_task(gone())
        await wait_until(waiting.done)
    finally:
        await counting.close()
    await renew_epoch(database())
    assert await epoch_at(fresh_database_url) != before
