"""What clients see when the database goes away under a service."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from shared.tests.integration.notes import ROLE, Note, migrations
from sharezync_shared.db.database import Database
from sharezync_shared.db.outages import Outages, install_outage_handlers
from sharezync_shared.problems import install_problem_handlers
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.waiting import GIVE_UP_SECONDS

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def proxy(postgres: object, fresh_database_url: str) -> AsyncGenerator[ChaosProxy]:
    await migrations().upgrade(fresh_database_url, role=ROLE)
    folder = httpx.URL(fresh_database_url).params["host"]
    async with ChaosProxy(f"{folder}/.s.PGSQL.5432") as proxy:
        yield proxy


def application(database: Database) -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)
    install_outage_handlers(app, database.outages)

    @app.get("/orm")
    async def orm() -> int:
        async with database.engine.connect() as connection:
            return len((await connection.execute(Note.__table__.select())).all())  # type: ignore[attr-defined]  # SQLModel's own

    @app.get("/raw")
    async def raw() -> int:
        async with (await database.pool()).acquire() as connection:
            return len(await connection.fetch("SELECT * FROM notes"))

    return app


@pytest.fixture
async def http(proxy: ChaosProxy, fresh_database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Clients of a service whose database is behind the proxy."""
    url = httpx.URL(fresh_database_url)
    dsn = f"postgresql://{url.username}@127.0.0.1:{proxy.port}{url.path}"
    database = Database(dsn, "notes", role=ROLE, pool_size=2)
    transport = httpx.ASGITransport(application(database), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://notes") as http:
        yield http
    proxy.heal()  # or closing would wait for it
    await database.aclose()


async def test_a_server_that_hangs_is_not_waited_for_to_say_goodbye(
    http: httpx.AsyncClient, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._ANSWER_SECONDS", 0.2)
    waited: list[float | None] = []

    async def close(connection: asyncpg.Connection, *, timeout: float | None = None) -> None:
        if not connection.is_closed():
            waited.append(timeout)
            connection.terminate()

    assert (await http.get("/orm")).status_code == 200
    monkeypatch.setattr(asyncpg.Connection, "close", close)
    proxy.black_hole()
    assert (await http.get("/orm")).status_code == 503
    assert waited == []


async def test_a_probe_waits_behind_no_request(fresh_database_url: str) -> None:
    database = Database(fresh_database_url, "public", pool_size=1)
    try:
        async with (
            (await database.pool()).acquire(),
            database.engine.connect(),  # and those beyond the pool's size
            asyncio.timeout(GIVE_UP_SECONDS),
        ):
            assert await database.answers()
    finally:
        await database.aclose()


async def test_a_probe_finds_its_way_back(proxy: ChaosProxy, fresh_database_url: str) -> None:
    url = httpx.URL(fresh_database_url)
    database = Database(f"postgresql://{url.username}@127.0.0.1:{proxy.port}{url.path}", "public")
    try:
        assert await database.answers()
        proxy.black_hole()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await database.answers()
        proxy.heal()
        assert await database.answers()
    finally:
        proxy.heal()
        await database.aclose()


async def test_a_connection_that_was_closed_is_not_given_out(fresh_database_url: str) -> None:
    async with two_databases(fresh_database_url) as (database, other):
        pid = await backend_of(database)
        await end_backend(other, pid)
        await asyncio.sleep(0.05)  # the driver hears of it
        assert await backend_of(database) != pid


async def test_one_that_has_rested_is_tried_before_it_is_used(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._RESTED_SECONDS", -1.0)
    async with two_databases(fresh_database_url) as (database, _):
        pid = await backend_of(database)

        async def end() -> None:
            async with two_databases(fresh_database_url) as (_, other):
                await end_backend(other, pid)

        # In a loop of its own, for which ours waits: so the driver can't have heard of it.
        ending = threading.Thread(target=lambda: asyncio.run(end()))
        ending.start()
        ending.join()
        assert await backend_of(database) != pid


@asynccontextmanager
async def two_databases(url: str) -> AsyncGenerator[tuple[Database, Database]]:
    one, other = Database(url, "notes"), Database(url, "notes")
    yield one, other
    await one.aclose()
    await other.aclose()


async def backend_of(database: Database) -> int:
    """Return who serves the engine's one connection."""
    async with database.engine.connect() as connection:
        pid: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return pid


async def end_backend(database: Database, pid: int) -> None:
    async with (await database.pool()).acquire() as connection:
        await connection.execute("SELECT pg_terminate_backend($1)", pid)


def check_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("path", ["/orm", "/raw"])
async def test_an_outage_is_answered_with_unavailable_and_heals(
    proxy: ChaosProxy, http: httpx.AsyncClient, path: str
) -> None:
    assert (await http.get(path)).status_code == 200
    proxy.refuse()
    proxy.reset()
    check_unavailable(await http.get(path))
    proxy.heal()
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/orm", "/raw"])
async def test_who_is_not_let_in_in_time_has_met_an_outage(
    proxy: ChaosProxy, http: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._CONNECT_SECONDS", 0.2)
    proxy.black_hole()
    check_unavailable(await http.get(path))
    monkeypatch.undo()
    proxy.heal()
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/orm", "/raw"])
async def test_a_statement_that_nobody_answers_has_met_an_outage(
    proxy: ChaosProxy, http: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._ANSWER_SECONDS", 0.5)
    assert (await http.get(path)).status_code == 200
    proxy.black_hole()
    check_unavailable(await http.get(path))


async def test_a_socket_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}", "notes")
    transport = httpx.ASGITransport(application(database))
    async with httpx.AsyncClient(transport=transport, base_url="http://notes") as http:
        for path in ("/orm", "/raw"):
            check_unavailable(await http.get(path))
    await database.aclose()


@pytest.mark.parametrize("error", [TimeoutError(), FileNotFoundError(), RuntimeError()], ids=repr)
async def test_what_is_no_fault_of_the_database_is_not_told_as_one(error: Exception) -> None:
    app = FastAPI()
    install_problem_handlers(app)
    install_outage_handlers(app, Outages("notes"))

    @app.get("/")
    async def fail() -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://notes") as http:
        assert (await http.get("/")).status_code == 500
