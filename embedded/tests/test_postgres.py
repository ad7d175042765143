"""The embedded PostgreSQL is there when it is needed, whatever happened before."""

import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from sharezync_embedded.account import account_for
from sharezync_embedded.postgres import EmbeddedPostgres, PostgresFailed
from sharezync_embedded.processes import ProcessIdentity
from sharezync_testkit.server_fixtures import Script

START_AND_DIE = """
import os, pathlib, signal, sys
from sharezync_embedded.postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
postgres.start()
print(postgres.pid(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

START_AND_WAIT = """
import pathlib, sys
from sharezync_embedded.postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
print(postgres.start(), postgres.pid(), flush=True)
sys.stdin.read()
print(postgres.stop(), flush=True)
"""


@pytest.fixture
def server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, durable=False)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def remember(url: str, word: str) -> None:
    async with connected(url) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        await connection.execute("INSERT INTO words VALUES ($1)", word)


async def words(url: str) -> list[str]:
    async with connected(url) as connection:
        found = await connection.fetch("SELECT word FROM words ORDER BY word")
    return [row["word"] for row in found]


async def test_data_outlives_the_server(server: EmbeddedPostgres) -> None:
    await remember(server.start(), "kept")
    assert server.stop()
    assert server.pid() is None
    assert await words(server.start()) == ["kept"]
    assert server.stop()


async def test_the_product_never_forgets_what_it_committed(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        async with connected(server.url()) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                assert await connection.fetchval(f"SHOW {setting}") == "on"
            assert int(await connection.fetchval("SHOW max_connections")) >= 200
            assert await connection.fetchval("SHOW listen_addresses") == ""


async def test_the_log_says_what_failed_without_anybodys_data(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as server:
        async with connected(server.url()) as connection:
            await connection.execute("CREATE TABLE users (email text CONSTRAINT uq_email UNIQUE)")
            add = "INSERT INTO users VALUES ($1)"
            await connection.execute(add, "somebody@example.com")
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.execute(add, "somebody@example.com")
    log = (folder / "postgres" / "server.log").read_text()
    assert 'violates unique constraint "uq_email"' in log
    assert add in log
    assert "somebody@example.com" not in log


async def test_a_server_that_survived_its_owner_is_taken_over_and_stopped(
    server: EmbeddedPostgres, folder: Path, python: Script
) -> None:
    with python(START_AND_DIE, folder) as owner:
        output = owner.communicate(timeout=60)[0]
        assert owner.returncode == -signal.SIGKILL, output
    survivor = ProcessIdentity.from_pid(int(output))
    assert server.pid() == survivor.pid
    server.start()
    assert server.pid() == survivor.pid
    assert server.stop()
    assert not survivor.alive()


async def test_a_killed_server_is_started_again_with_all_it_committed(
    server: EmbeddedPostgres,
) -> None:
    await remember(server.start(), "committed")
    pid = server.pid()
    assert pid is not None
    killed = psutil.Process(pid)
    killed.kill()
    killed.wait(10)  # the signal is delivered in its own time
    assert await words(server.start()) == ["committed"]
    assert server.pid() != pid
    assert server.stop()


def test_processes_that_start_it_at_once_share_one_server(
    server: EmbeddedPostgres, folder: Path, python: Script
) -> None:
    owners = [python(START_AND_WAIT, folder) for _ in range(3)]
    try:
        said = {owner.stdout.readline() for owner in owners if owner.stdout}
        assert len(said) == 1
        assert server.pid() == int(said.pop().split()[1])
        # The last to leave stops it, the others don't.
        assert [owner.communicate(timeout=60)[0].strip() for owner in owners] == [
            "False",
            "False",
            "True",
        ]
        assert server.pid() is None
    finally:
        for owner in owners:
            owner.kill()
            owner.communicate()


def test_a_kept_server_outlives_its_users(server: EmbeddedPostgres) -> None:
    server.start(keep=True)
    assert not server.stop()
    assert server.pid() is not None
    assert server.stop(force=True)
    assert server.pid() is None


async def test_any_path_will_do(folder: Path) -> None:
    deep = folder / 'it\'s "quoted", $HOME and `spaced`: 100%' / ("deep" * 30)
    server = EmbeddedPostgres(deep, durable=False)
    url = server.start()
    assert len(str(deep)) > 107
    await remember(url, "found")
    assert server.stop()
    assert await words(server.start()) == ["found"]
    socket_folder = server._socket_folder()
    assert socket_folder.stat().st_mode & 0o077 == 0  # whoever can open it is superuser
    assert server.stop()
    socket_folder.rmdir()


def test_a_process_id_that_somebody_else_has_today_does_not_fool_it(
    server: EmbeddedPostgres, folder: Path
) -> None:
    server.start()
    lock = folder / "postgres" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    server.stop()
    account = account_for(folder / "postgres")
    stranger = subprocess.Popen(["sleep", "60"], **account.popen_arguments())  # type: ignore[call-overload]  # the account's arguments vary
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert server.pid() is None
        server.start()
        assert server.pid() not in {None, stranger.pid}
        assert server.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_was_half_made_is_made_anew(server: EmbeddedPostgres, folder: Path) -> None:
    draft = folder / "postgres.draft"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    server.start()
    assert not draft.exists()
    assert server.stop()


async def test_databases_are_made_once_and_copied(server: EmbeddedPostgres) -> None:
    server.start()
    first = server.ensure_database("first")
    await remember(first, "copied")
    assert server.ensure_database("first") == first
    assert await words(server.ensure_database("second", template="first")) == ["copied"]
    server.drop_database("second")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await words(server.url("second"))
    with pytest.raises(ValueError, match="plain"):
        server.ensure_database('x"; DROP DATABASE first; --')
    server.stop()
    with pytest.raises(PostgresFailed, match="no PostgreSQL runs"):
        server.url()


def test_a_server_that_cannot_start_says_why(server: EmbeddedPostgres, folder: Path) -> None:
    server.start()
    server.stop()
    (folder / "postgres" / "postgresql.auto.conf").write_text("max_connections = 'many'\n")
    with pytest.raises(PostgresFailed, match='invalid value for parameter "max_connections"'):
        server.start()


def test_the_second_start_is_quick(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    began = time.monotonic()
    server.start()
    # Not a benchmark: a start that waits for a whole second somewhere is what must not come back.
    assert time.monotonic() - began < 5
    server.stop()
