"""Real restores and a real failover: a service that connects afterwards finds a new epoch."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from shared.tests.integration.notes import ROLE, migrations
from shared.tests.integration.test_epochs import NOTE, epoch_at
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_shared.db.database import Database
from sharezync_shared.db.outages import is_outage
from sharezync_shared.streams.log import StreamLog
from sharezync_testkit.clusters import base_backup, cut_off, promote, standby_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def primary(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, with the schema of the notes."""
    with EmbeddedPostgres(folder / "primary", durable=False) as postgres:
        asyncio.run(migrations().upgrade(postgres.url(), role=ROLE))
        yield postgres


async def say(url: str) -> tuple[str, int]:
    """Append an event, as a service does; return its epoch and `seq`."""
    streams = StreamLog("notes")
    database = Database(url, "notes", role=ROLE, on_connect=streams.epochs.check)
    try:
        async with (await database.pool()).acquire() as connection, connection.transaction():
            (frame,) = await streams.append(connection, [NOTE], datetime.now(UTC))
            return frame.epoch, frame.seq
    finally:
        await database.aclose()


async def execute(url: str, *statements: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [str(await connection.fetchval(statement)) for statement in statements]
    finally:
        await connection.close()


async def test_a_dump_in_another_server_or_another_database(
    primary: EmbeddedPostgres, folder: Path
) -> None:
    before, _ = await say(primary.url())
    dump = str(folder / "dump")
    await asyncio.to_thread(primary.run_client, "pg_dump", "--format=custom", f"--file={dump}")
    primary.ensure_database("another")
    found = {before}
    with EmbeddedPostgres(folder / "other", durable=False) as other:
        await execute(other.url(), f'CREATE ROLE "{ROLE}"', f'CREATE ROLE "{ROLE}_owner"')
        for server, database in ((other, "sharezync"), (primary, "another")):
            await asyncio.to_thread(
                server.run_client, "pg_restore", "--exit-on-error", dump, database=database
            )
            found.add(await epoch_at(server.url(database)))
    # In the very database that it is of, as with pg_restore --clean.
    await execute(primary.url(), "DROP SCHEMA notes CASCADE")
    await asyncio.to_thread(primary.run_client, "pg_restore", "--exit-on-error", dump)
    found.add(await epoch_at(primary.url()))
    assert len(found) == 4


async def test_a_point_in_time(primary: EmbeddedPostgres, folder: Path) -> None:
    """A base backup and the log after it: the server goes on in another timeline."""
    before, _ = await say(primary.url())
    archive = folder / "archive"
    recovered = base_backup(
        primary,
        folder / "recovered",
        signal="recovery",
        settings={
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_name": "lunch",
            "recovery_target_action": "promote",
        },
    )
    assert await say(primary.url()) == (before, 2)
    await execute(primary.url(), "SELECT pg_create_restore_point('lunch')")
    assert await say(primary.url()) == (before, 3)
    await execute(primary.url(), "SELECT pg_switch_wal()")
    archive.mkdir(mode=0o755)
    for segment in (folder / "primary" / "postgres" / "pg_wal").glob("0*"):
        copy = archive / segment.name
        copy.write_bytes(segment.read_bytes())
        copy.chmod(0o644)
    with recovered:
        recovering = "SELECT pg_is_in_recovery()"
        for _ in range(600):
            if await execute(recovered.url(), recovering) == ["False"]:
                break
            await asyncio.sleep(0.05)
        after, seq = await say(recovered.url())
    assert seq == 3, "what was said after lunch is not there, and its place is given once more"
    assert after != before


async def test_a_standby_that_lacks_the_last_commits(
    primary: EmbeddedPostgres, folder: Path
) -> None:
    before, _ = await say(primary.url())
    with standby_of(primary, folder / "primary", folder / "standby") as standby:
        with pytest.raises((ConnectionError, asyncpg.ReadOnlySQLTransactionError)) as refused:
            await say(standby.url())
        assert is_outage(refused.value), "not yet"
        await asyncio.to_thread(cut_off, primary, standby)
        assert await say(primary.url()) == (before, 2)
        primary.stop(force=True)
        promote(folder / "standby")
        after, seq = await say(standby.url())
    assert seq == 2, "what the standby had not heard is lost, and its place is given once more"
    assert after != before


async def test_a_copy_of_the_files_that_is_older_than_a_minute(
    primary: EmbeddedPostgres, folder: Path
) -> None:
    """As a volume that is put back: the same identifier, the same timeline."""
    before, _ = await say(primary.url())
    assert await epoch_at(primary.url()) == before
    await execute(
        primary.url(), "UPDATE notes.stream_epoch SET seen_at = now() - interval '2 minutes'"
    )
    with base_backup(primary, folder / "copy") as copy:
        identity = "SELECT system_identifier FROM pg_control_system()"
        assert await execute(copy.url(), identity) == await execute(primary.url(), identity)
        assert await epoch_at(copy.url()) != before


async def test_a_server_that_was_started_again_within_a_minute_is_the_same(
    primary: EmbeddedPostgres,
) -> None:
    before, _ = await say(primary.url())
    primary.stop(force=True)
    with primary:
        assert await say(primary.url()) == (before, 2)
