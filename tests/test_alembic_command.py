"""In a service's folder the `alembic` command works as everybody knows it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


async def alembic(service: str, database_url: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        *arguments,
        cwd=ROOT / "services" / service,
        env={**os.environ, "DATABASE_URL": database_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("service", ["auth", "chat", "transfer", "storage"])
async def test_alembic_upgrades_and_finds_nothing_to_do(
    service: str, fresh_database_url: str
) -> None:
    await alembic(service, fresh_database_url, "upgrade", "head")
    assert "No new upgrade operations" in await alembic(service, fresh_database_url, "check")
    assert "(head)" in await alembic(service, fresh_database_url, "current")
