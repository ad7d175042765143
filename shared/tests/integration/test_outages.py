"""What clients see when the database goes away under a service."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from shared.tests.integration.notes import ROLE, Note, migrations
from sharezync_shared.db.database import Database
from sharezync_shared.db.outages import install_outage_handlers
from sharezync_shared.problems import install_problem_handlers
from sharezync_shared.testing.chaos import ChaosProxy

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
    install_outage_handlers(app)

    @app.get("/orm")
    async def orm() -> int:
        async with database.engine.connect() as connection:
            return len((await connection.execute(Note.__table__.select())).all())  # type: ignore[attr-defined]  # SQLModel's own

    @app.get("/raw")
    async def raw() -> int:
        async with (await database.pool()).acquire() as connection:
            return len(await connection.fetch("SELECT * FROM notes"))

    return app


@pytest.mark.parametrize("path", ["/orm", "/raw"])
async def test_an_outage_is_answered_with_unavailable_and_heals(
    proxy: ChaosProxy, fresh_database_url: str, path: str
) -> None:
    url = httpx.URL(fresh_database_url)
    dsn = f"postgresql://{url.username}@127.0.0.1:{proxy.port}{url.path}"
    database = Database(dsn, "notes", role=ROLE, pool_size=2)
    transport = httpx.ASGITransport(application(database))
    async with httpx.AsyncClient(transport=transport, base_url="http://notes") as http:
        assert (await http.get(path)).status_code == 200
        proxy.refuse()
        proxy.reset()
        away = await http.get(path)
        assert away.status_code == 503
        assert away.json()["code"] == "unavailable"
        assert away.headers["retry-after"]
        proxy.heal()
        assert (await http.get(path)).status_code == 200
    await database.aclose()
