"""The migrations make the tables that the models describe, and take them away again."""

from datetime import UTC, date, datetime

import asyncpg
import msgspec

from sharezync_shared.db.database import plain_dsn
from sharezync_shared.events.contracts.transfer import BlockKept
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.ids import uuid7
from sharezync_transfer.migrations import MIGRATIONS
from sharezync_transfer.models import USERS


async def test_up_down_and_up_again_leaves_what_the_models_say(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    await MIGRATIONS.downgrade(fresh_database_url)
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)


async def test_what_ended_before_there_were_sums_is_in_them(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0001")
    connection = await asyncpg.connect(plain_dsn(fresh_database_url))
    try:
        ada, bob, gone = (uuid7() for _ in range(3))
        await connection.executemany(
            "INSERT INTO transfer.users (id, username, display_name, names_at, deleted) "
            "VALUES ($1, '', '', now(), $2)",
            [(ada, False), (bob, False), (gone, True)],
        )
        for recipient, state, accepted in (
            (bob, "completed", True),
            (bob, "rejected", False),
            (bob, "receiving", True),
            (gone, "cancelled", True),
        ):
            transfer_id = uuid7()
            await connection.execute(
                "INSERT INTO transfer.transfers (id, sender_id, note, chunk_size_bytes, "
                "file_count, size_bytes, state, created_at, expires_at, progress_at) "
                "VALUES ($1, $2, '', 65536, 2, 10, $3, now(), now(), now())",
                transfer_id,
                ada,
                state,
            )
            await connection.execute(
                "INSERT INTO transfer.recipients (transfer_id, user_id, state, accepted_files, "
                "accepted_bytes, received_bytes, accepted_at, updated_at) "
                "VALUES ($1, $2, $3, 2, 10, 7, CASE WHEN $4 THEN now() END, '2026-02-03 23:30Z')",
                transfer_id,
                recipient,
                state,
                accepted,
            )
        await MIGRATIONS.upgrade(fresh_database_url)

        sums = "role, ended, completed, files, bytes, seconds"
        days = await connection.fetch(
            f"SELECT user_id, day, {sums} FROM transfer.sums_by_day ORDER BY role"
        )
        third = date(2026, 2, 3)
        assert [tuple(row) for row in days] == [
            (bob, third, "recipient", 2, 1, 2, 14, 0),
            (ada, third, "sender", 3, 1, 2, 21, 0),
        ]
        peers = await connection.fetch(
            f"SELECT user_id, peer_id, {sums} FROM transfer.sums_by_peer ORDER BY role, ended"
        )
        assert [tuple(row) for row in peers] == [
            (bob, ada, "recipient", 2, 1, 2, 14, 0),
            (ada, gone, "sender", 1, 0, 0, 7, 0),
            (ada, bob, "sender", 2, 1, 2, 14, 0),
        ]
        took = await connection.fetch(
            "SELECT CASE WHEN one_accepted THEN one_id END, "
            "CASE WHEN other_accepted THEN other_id END FROM transfer.acquaintances"
        )
        assert {who for row in took for who in row if who is not None} == {bob, gone}
        met = await connection.fetch("SELECT one_id, other_id FROM transfer.acquaintances")
        assert {tuple(row) for row in met} == {tuple(sorted((ada, who))) for who in (bob, gone)}
    finally:
        await connection.close()


async def test_blocks_of_before_hold_on_and_auth_hears_of_each(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0002")
    connection = await asyncpg.connect(plain_dsn(fresh_database_url))
    try:
        ada, bob = uuid7(), uuid7()
        at = datetime(2026, 2, 3, 23, 30, tzinfo=UTC)
        await connection.execute(
            "INSERT INTO transfer.blocks (user_id, blocked_id, blocked_at) VALUES ($1, $2, $3)",
            ada,
            bob,
            at,
        )
        await MIGRATIONS.upgrade(fresh_database_url)
        assert await USERS.blocks_with(connection, bob, [ada]) == ({ada}, set())
        (row,) = await connection.fetch("SELECT * FROM transfer.outbox")
        envelope = OutboxRow(**{**row, "headers": msgspec.json.decode(row["headers"])}).envelope()
        assert BlockKept.decode(envelope) == BlockKept(user_id=ada, blocked_id=bob)
        assert (envelope.time, envelope.source) == (at, BlockKept.source)
    finally:
        await connection.close()


async def test_what_deceived_before_there_were_policies_is_cleaned(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0003")
    connection = await asyncpg.connect(plain_dsn(fresh_database_url))
    await connection.execute(
        "INSERT INTO transfer.users (id, username, display_name, names_at, deleted) "
        "VALUES (gen_random_uuid(), 'eve', $1, now(), false)",
        "\u3164",
    )
    for note in ("Holiday photos\n\nTake it? [Y/n]: y", "", "fine"):
        await connection.execute(
            "INSERT INTO transfer.transfers (id, sender_id, note, chunk_size_bytes, file_count, "
            "size_bytes, state, created_at, expires_at, progress_at) "
            "SELECT gen_random_uuid(), id, $1, 65536, 2, 10, 'completed', now(), now(), now() "
            "FROM transfer.users",
            note,
        )
    await MIGRATIONS.upgrade(fresh_database_url)
    name = await connection.fetchval("SELECT display_name FROM transfer.users")
    notes = await connection.fetch("SELECT note FROM transfer.transfers")
    await connection.close()
    assert name == "eve"
    assert {row["note"] for row in notes} == {"Holiday photos Take it? [Y/n]: y", "", "fine"}
