"""Migrations of all services: how they follow each other, and where there is no way to follow."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from sharezync_chat.migrations import MIGRATIONS as CHAT
from sharezync_embedded.compose import MIGRATIONS
from sharezync_shared.db.migrating import config_for
from sharezync_shared.db.migrations import Migrations

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("migrations", MIGRATIONS, ids=lambda each: each.schema)
def test_revisions_are_numbers_that_grow_and_name_their_files(migrations: Migrations) -> None:
    newest_first = ScriptDirectory.from_config(config_for(migrations.package)).walk_revisions()
    scripts = list(newest_first)[::-1]
    first = int(scripts[0].revision)
    assert [script.revision for script in scripts] == [
        f"{first + number:04}" for number in range(len(scripts))
    ]
    for script in scripts:
        assert Path(script.path).name.startswith(f"{script.revision}_")


@pytest.mark.parametrize("arguments", ["sharezync_chat migrate", "alembic upgrade head"])
async def test_a_database_from_before_the_first_release_is_refused_in_one_sentence(
    arguments: str, fresh_database_url: str
) -> None:
    await CHAT.upgrade(fresh_database_url)
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute("UPDATE chat.alembic_version SET version_num = '0002'")
    await connection.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments.split(),
        cwd=ROOT / "services" / "chat",
        env={
            **os.environ,
            "DATABASE_URL": fresh_database_url,
            "SECRET_KEY": "Wc7kP2vRx9LmZt4QhB8nYs6DfJg3Ue5a",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    (told, _) = await process.communicate()
    assert process.returncode == 2, told
    (sentence,) = told.decode().splitlines()
    assert "The schema chat is at revision 0002" in sentence
    assert "empty database" in sentence
