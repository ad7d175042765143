"""In a service's folder the `alembic` command works as everybody knows it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


# What `python -m alembic` does, once for each argument: to start it takes longest.
ONE_AFTER_ANOTHER = """
import sys
from alembic.config import main
for arguments in sys.argv[1:]:
    main(arguments.split(), prog="alembic")
"""


async def alembic(
    service: str, database_url: str, *commands: str, status: int = 0, **variables: str
) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ONE_AFTER_ANOTHER,
        *commands,
        cwd=ROOT / "services" / service,
        env={**os.environ, "DATABASE_URL": database_url, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == status, output
    return output


@pytest.mark.parametrize("service", ["auth", "chat", "transfer", "storage"])
async def test_alembic_upgrades_and_finds_nothing_to_do(
    service: str, fresh_database_url: str
) -> None:
    output = await alembic(service, fresh_database_url, "upgrade head", "check", "current")
    assert "No new upgrade operations" in output
    assert "(head)" in output


async def test_alembic_prints_what_it_would_run_without_a_database() -> None:
    printed = await alembic("chat", "postgresql://u@127.0.0.1:1/sharezync", "upgrade head --sql")
    assert "SET lock_timeout = '3s';" in printed
    assert "CREATE TABLE chat.messages (" in printed


@pytest.mark.parametrize(
    ("service", "variables", "told", "status"),
    [
        ("auth", {"SECRET_KEY": "q7Xw2z"}, "SECRET_KEY has 6 bytes", 2),
        ("chat", {"DATABASE_URL": "postgresql://u:hid#den@h/x"}, "DATABASE_URL is no URL", 2),
        ("transfer", {"MIGRATE_DATABASE_URL": "mysql://u@h/x"}, "MIGRATE_DATABASE_URL is no", 2),
        ("storage", {"DATABASE_ROLE": "x; DROP SCHEMA storage"}, "DATABASE_ROLE: ", 2),
        ("chat", {}, "The database can't be reached", 2),
    ],
)  # fmt: skip
async def test_alembic_refuses_in_one_sentence_what_the_services_refuse(
    service: str, variables: dict[str, str], told: str, status: int
) -> None:
    given = {"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/sharezync", **variables}
    output = await alembic(service, given.pop("DATABASE_URL"), "current", status=status, **given)
    assert told in output
    assert len(output.splitlines()) == 1, output
    assert "hid" not in output


def test_new_migrations_of_all_services_begin_with_one_template() -> None:
    templates = [*ROOT.glob("services/*/src/*/migrations/script.py.mako")]
    assert len(templates) == 4
    assert len({each.read_text() for each in templates}) == 1
