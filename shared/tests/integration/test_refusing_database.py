"""What clients see of a database that is there, and refuses: slow, locked, full, read-only."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.tests.integration.notes import ROLE, migrations
from sharezync_shared import outage_log
from sharezync_shared.db.database import Database
from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.db.outages import install_outage_handlers, is_outage, was_rolled_back
from sharezync_shared.problems import install_problem_handlers
from sharezync_testkit.lines import Lines

pytestmark = pytest.mark.timeout(60)

LOCKED = "LOCK TABLE notes.notes IN ACCESS EXCLUSIVE MODE"
# As the server itself would say it; to fill its disk would be too much for a test.
SAID = {
    "too-many-connections": ("53300", True),
    "disk-full": ("53100", True),
    "statement-cancelled": ("57014", True),
    "administrator": ("57P01", True),
    "starting-up": ("57P03", True),
    "deadlock": ("40P01", True),
    "serialization": ("40001", True),
    "disk-broken": ("58030", True),
    "a-row-that-is-there": ("23505", False),
    "a-wrong-value": ("22P02", False),
    "not-allowed": ("42501", False),
    "a-wrong-statement": ("42601", False),
}


@pytest.fixture
async def database(postgres: object, fresh_database_url: str) -> AsyncGenerator[Database]:
    await migrations().upgrade(fresh_database_url, role=ROLE)
    database = Database(fresh_database_url, "notes", role=ROLE, pool_size=2)
    yield database
    await database.aclose()


async def by_engine(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def by_pool(database: Database, *statements: str) -> None:
    async with (await database.pool()).acquire() as connection, connection.transaction():
        for statement in statements:
            await connection.execute(statement)


WAYS = pytest.mark.parametrize("run", [by_engine, by_pool])
Run = Callable[..., Awaitable[None]]
END = ("SET ROLE NONE", "SELECT pg_terminate_backend(pg_backend_pid())")


async def ask(database: Database, act: Callable[[], Awaitable[object]]) -> httpx.Response:
    app = FastAPI()
    install_problem_handlers(app)
    install_outage_handlers(app, database.outages)

    @app.get("/")
    async def route() -> None:
        await act()

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://notes") as http:
        return await http.get("/")


async def check_unavailable(database: Database, act: Callable[[], Awaitable[object]]) -> None:
    answer = await ask(database, act)
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) >= 1


@WAYS
async def test_a_statement_that_takes_too_long(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_statement_seconds", 0.05)
    await check_unavailable(database, lambda: run(database, "SELECT pg_sleep(20)"))


@WAYS
async def test_a_table_that_is_locked(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._LOCK_TIMEOUT", "50ms")
    async with database.engine.begin() as other:
        await other.execute(text(LOCKED))
        await check_unavailable(database, lambda: run(database, "SELECT count(*) FROM notes"))
    await run(database, "SELECT count(*) FROM notes")


async def test_each_connection_has_bounds_for_statements_and_locks(database: Database) -> None:
    async with database.engine.connect() as connection:
        for name, value in (("statement_timeout", "10s"), ("lock_timeout", "5s")):
            assert (await connection.execute(text(f"SHOW {name}"))).scalar_one() == value


async def test_a_migration_waits_as_long_as_it_takes(fresh_database_url: str) -> None:
    database = Database(fresh_database_url, "public", pool_size=1, hurried=False)
    async with database.engine.connect() as connection:
        for name in ("statement_timeout", "lock_timeout"):
            assert (await connection.execute(text(f"SHOW {name}"))).scalar_one() == "0"
    await database.aclose()


@WAYS
async def test_a_standby_that_is_read_only(database: Database, run: Run) -> None:
    read_only = ("SET TRANSACTION READ ONLY", "INSERT INTO notes DEFAULT VALUES")
    await check_unavailable(database, lambda: run(database, *read_only))


@WAYS
async def test_a_server_that_ends_our_connection(database: Database, run: Run) -> None:
    await check_unavailable(database, lambda: run(database, *END))
    await run(database, "SELECT 1")


@WAYS
async def test_all_connections_are_taken(
    database: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._POOL_SECONDS", 0.1)
    database = Database(database._dsn, "notes", role=ROLE, pool_size=1)
    async with (await database.pool()).acquire(), database.engine.connect():
        await check_unavailable(database, lambda: run(database, "SELECT 1"))
    await database.aclose()


@WAYS
async def test_what_the_server_says_tells_what_passes(database: Database, run: Run) -> None:
    for name, (state, passes) in SAID.items():
        said = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
        with pytest.raises((asyncpg.PostgresError, DBAPIError)) as caught:
            await run(database, said)
        assert is_outage(caught.value) is passes, name


async def test_two_transactions_that_block_each_other(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("SET LOCAL ROLE NONE"))  # the role owns nothing here
        await connection.execute(text("CREATE TABLE pairs AS SELECT generate_series(1, 2) AS id"))
        await connection.execute(text("GRANT ALL ON pairs TO PUBLIC"))
    meeting = asyncio.Barrier(2)

    async def take(*ids: int) -> BaseException | None:
        try:
            async with database.engine.begin() as connection:
                for id_ in ids:
                    await connection.execute(
                        text("SELECT FROM pairs WHERE id = :id FOR UPDATE"), {"id": id_}
                    )
                    if id_ == ids[0]:
                        await meeting.wait()
        except (asyncpg.PostgresError, DBAPIError) as error:
            return error
        return None

    lost = [e for e in await asyncio.gather(take(1, 2), take(2, 1)) if e is not None]
    assert len(lost) == 1
    assert is_outage(lost[0])
    assert was_rolled_back(lost[0])


class Losing:
    """A batch that loses against others so many times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.tried = 0

    async def flush(self, items: Sequence[Any]) -> Sequence[Any]:
        self.tried += 1
        if self.left:
            self.left -= 1
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return items


async def test_a_batch_that_lost_against_another_transaction_is_written_once_more() -> None:
    losing = Losing(1)
    group: GroupCommit[str, str] = GroupCommit(losing.flush)
    assert await group.submit("a") == "a"
    assert losing.tried == 2


async def test_a_batch_that_loses_twice_is_refused() -> None:
    losing = Losing(2)
    group: GroupCommit[str, str] = GroupCommit(losing.flush)
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await group.submit("a")
    assert losing.tried == 2


async def test_an_outage_is_one_line(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines.capture(outage_log, monkeypatch)
    for _ in range(20):
        await check_unavailable(database, lambda: by_pool(database, *END))
    assert lines.count("database_unavailable") == 1
