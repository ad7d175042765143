"""The release before finds on the newest schema all that it reads, and may write what it writes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from sharezync_embedded.compose import MIGRATIONS
from sharezync_testkit.previous_release import PreviousRelease
from sharezync_testkit.servers import Databases
from tests.rollout.schema_change import SchemaCatalog, UsedColumns, what_breaks

SCHEMAS = [migrations.schema for migrations in MIGRATIONS]

CONTRACTING = {
    "DROP TABLE chat.pins": "chat.pins is gone",
    "ALTER TABLE chat.channels RENAME COLUMN name TO title": "chat.channels.name is gone",
    "ALTER TABLE chat.messages DROP COLUMN edited_by": "chat.messages.edited_by is gone",
    "ALTER TABLE chat.members ALTER COLUMN last_read_seq TYPE int": "chat.members.last_read_seq "
    "is now integer",
    "ALTER TABLE auth.sessions ALTER COLUMN device_id SET NOT NULL": "auth.sessions.device_id "
    "must not be null any more",
    "ALTER TABLE transfer.recipients ALTER COLUMN hidden DROP DEFAULT": "transfer.recipients."
    "hidden has no default any more",
    "ALTER TABLE auth.users ADD COLUMN born date NOT NULL": "auth.users.born must be given, which "
    "nobody did before",
    "ALTER TABLE chat.pins ADD CHECK (pinned_at > '2026-01-01') NOT VALID": "chat.pins refuses "
    "what it took before: CHECK ((pinned_at > '2026-01-01 00:00:00+00'::timestamp with time zone))",
    "CREATE UNIQUE INDEX ON storage.files (owner_id, name)": "storage.files is now unique by "
    "name, owner_id",
    "ALTER TABLE chat.inbox DROP CONSTRAINT pk_inbox": "chat.inbox is not unique by consumer, "
    "event_id any more",
}
"""What a migration must not do, and what is said of it."""
EXPANDING = """
    ALTER TABLE chat.pins ADD COLUMN note text, ADD COLUMN color text NOT NULL DEFAULT '';
    ALTER TABLE chat.messages ALTER COLUMN text DROP NOT NULL;
    CREATE INDEX ON storage.files (name);
    CREATE TABLE auth.badges (id uuid PRIMARY KEY, text text NOT NULL CHECK (text <> ''))
"""


@pytest.fixture(scope="session")
def previous_database(databases: Databases) -> str:
    return databases.new()


@pytest.fixture(scope="session")
def used(previous: PreviousRelease, previous_database: str) -> UsedColumns:
    """What the previous release uses; it has then migrated `previous_database`."""
    program = Path(__file__).parent / "used_columns.py"
    told = subprocess.run(
        [sys.executable, program, previous_database, *SCHEMAS],
        env={**os.environ, **previous.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found: UsedColumns = json.loads(told.stdout.splitlines()[-1])
    return found


@pytest.fixture
async def before(used: UsedColumns, previous_database: str) -> SchemaCatalog:
    assert set(used) == set(SCHEMAS)
    return await SchemaCatalog.read(previous_database, *SCHEMAS)


@pytest.fixture
def changed(used: UsedColumns, previous_database: str, databases: Databases) -> Iterator[str]:
    """A database of the previous release, to be changed."""
    assert used
    url = databases.new(previous_database)
    yield url
    databases.drop(url)


async def test_the_newest_schema_takes_nothing_from_the_release_before(
    before: SchemaCatalog, used: UsedColumns, newest_schema: str
) -> None:
    assert what_breaks(before, await SchemaCatalog.read(newest_schema, *SCHEMAS), used) == []


@pytest.mark.parametrize("change", CONTRACTING)
async def test_what_contracts_is_told(
    before: SchemaCatalog, used: UsedColumns, changed: str, change: str
) -> None:
    assert what_breaks(before, await after(change, changed), used) == [CONTRACTING[change]]


async def test_what_expands_is_allowed(
    before: SchemaCatalog, used: UsedColumns, changed: str
) -> None:
    assert what_breaks(before, await after(EXPANDING, changed), used) == []


async def test_what_the_release_before_has_ceased_to_use_may_go(
    before: SchemaCatalog, used: UsedColumns, changed: str
) -> None:
    unused = {**used, "chat": {name: used["chat"][name] for name in used["chat"] if name != "pins"}}
    assert what_breaks(before, await after("DROP TABLE chat.pins", changed), unused) == []


async def after(change: str, url: str) -> SchemaCatalog:
    connection = await asyncpg.connect(url)
    await connection.execute(change)
    await connection.close()
    return await SchemaCatalog.read(url, *SCHEMAS)
