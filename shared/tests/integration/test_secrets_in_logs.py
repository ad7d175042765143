"""What people write and who they are stays out of the logs, also where a statement is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = [
    path
    for folder in ("shared/src", "services", "embedded/src")
    for path in (Path(__file__).parents[3] / folder).rglob("*.py")
    if "tests" not in path.parts
]

PROGRAM = """
import asyncio, gc, logging, structlog, sys
from sqlalchemy import text
from sharezync_shared.db.database import Database
from sharezync_shared.observability import configure_logging
configure_logging("debug", "{form}", "things")
log = structlog.get_logger()
TABLE = "CREATE TEMP TABLE people (email text PRIMARY KEY, age int CHECK (age < 10))"
ROW = "INSERT INTO people VALUES (:email, :age)"
SECRET = "hunter2" + chr(10) + "@example.org"

async def refused(run):
    try:
        await run
    except Exception as error:
        log.warning("by_repr", error=repr(error))
        log.warning("by_str", error=str(error))
        log.exception("by_traceback")
        logging.getLogger("uvicorn.error").error("by a library", exc_info=error)
        task = asyncio.ensure_future(fails(error))
        await asyncio.wait([task])
        del task
    gc.collect()

async def fails(error):
    try:
        raise error
    except Exception as error:
        raise RuntimeError("never retrieved") from error

async def never_retrieved(run):
    await asyncio.wait([asyncio.ensure_future(run)])
    gc.collect()

async def main():
    database = Database(sys.argv[1], "public", pool_size=1)
    async with database.engine.connect() as connection:
        await connection.execute(text(TABLE))
        await connection.execute(text(ROW), dict(email=SECRET, age=1))
        await connection.commit()
        for age in (1, 11, SECRET):
            values = dict(email=SECRET, age=age)
            for kind in (refused, never_retrieved):
                await kind(connection.execute(text(ROW), values))
                await connection.rollback()
        raw = (await connection.get_raw_connection()).driver_connection
        for kind in (refused, never_retrieved):
            for age in (1, 11, SECRET):
                await kind(raw.execute("INSERT INTO people VALUES ($1, $2)", SECRET, age))
            await kind(raw.execute("SELECT $1::text::int", SECRET))
            await kind(raw.execute("SELECT $1::text::timestamptz", SECRET))
    await database.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_values_of_statements_never_reach_the_log(form: str, fresh_database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{form}", form), fresh_database_url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    logged = done.stderr + done.stdout
    assert "people_pkey" in logged, "what was violated is told"
    assert "people_age_check" in logged
    assert "never retrieved" in logged
    assert "by a library" in logged
    found = [line for line in logged.splitlines() if re.search('hunter2(?!")|example', line)]
    assert not found, found[0]


def test_every_engine_hides_the_parameters_of_its_statements() -> None:
    engines = [path for path in SOURCES if "create_async_engine(" in path.read_text()]
    assert engines
    for path in engines:
        for call in path.read_text().split("create_async_engine(")[1:]:
            assert "hide_parameters=True" in call, path
            assert "echo" not in call, path
