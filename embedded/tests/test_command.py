"""`sharezync-server` from a shell."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from sharezync_embedded.__main__ import main
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.rabbitmq import Broker
from sharezync_testkit.servers import Databases
from sharezync_testkit.waiting import GIVE_UP_SECONDS


def test_postgres_is_started_asked_and_stopped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(action: str) -> tuple[int, str]:
        code = main(["postgres", action, "--data-dir", str(folder)])
        captured = capsys.readouterr()
        return code, (captured.out + captured.err).strip()

    assert command("url") == (1, f"no PostgreSQL runs on {folder / 'postgres'}")
    code, url = command("start")
    assert code == 0
    assert url.startswith("postgresql://")
    assert EmbeddedPostgres(folder).pid() is not None
    assert command("url") == (0, url)
    assert command("stop") == (0, "")
    assert EmbeddedPostgres(folder).pid() is None


def test_all_databases_are_initialised_at_once_and_again(
    folder: Path,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = databases.new()
    monkeypatch.setenv("DATABASE_URL", url)
    for _ in range(2):
        assert main(["init", "--data-dir", str(folder)]) == 0
        assert "are ready" in capsys.readouterr().out

    async def schemas() -> set[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT schemaname FROM pg_tables WHERE tablename = 'alembic_version'"
            )
            return {row["schemaname"] for row in rows}
        finally:
            await connection.close()

    assert asyncio.run(schemas()) == {"auth", "chat", "transfer", "storage"}


@pytest.mark.parametrize(
    ("ci", "broker", "code"),
    [
        ("true", None, 1),  # CI leaves no test out
        ("", None, 0),
        ("true", Broker("amqp://given"), 0),
    ],
)
def test_only_ci_insists_on_a_broker(
    ci: str, broker: Broker | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("sharezync_embedded.__main__.provision", lambda *_, **__: broker)
    assert main(["rabbitmq", "install"]) == code


def test_it_explains_itself() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "sharezync_embedded", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    for command in ("up", "fleet", "init", "postgres", "rabbitmq"):
        assert command in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SECRET_KEY", "short", "SECRET_KEY has 5 bytes"),
        ("DATABASE_URL", "postgresql://a@127.0.0.1:1/b", "The database can't be reached"),
        ("WS_MAX_CONNECTIONS", "none", "WS_MAX_CONNECTIONS: "),
        ("MAX_BLOCKS", "-1", "MAX_BLOCKS: "),
        ("DATA_DIR", "/proc/none", "no data folder at DATA_DIR"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_one_sentence(
    folder: Path, variable: str, value: str, said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sharezync_embedded", "up"],
        env={**os.environ, "DATA_DIR": str(folder), "PORT": "0", variable: value},
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP_SECONDS,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said)
    assert len(ended.stderr.splitlines()) == 1
