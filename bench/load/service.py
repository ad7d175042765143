"""Chat alone, in this process, on a real PostgreSQL and a RabbitMQ if there is one."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from load.meters import Servers
from sharezync_chat.app import create_app
from sharezync_chat.migrations import MIGRATIONS
from sharezync_chat.settings import ChatSettings
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.provision import provision
from sharezync_shared.observability import configure_logging


@dataclass(frozen=True)
class Underneath:
    """What a service stands on. `amqp_url` is None where there is no RabbitMQ."""

    postgres: EmbeddedPostgres
    amqp_url: str | None
    servers: Servers


@contextmanager
def running_servers(*, broker: bool = True) -> Iterator[Underneath]:
    """Run a PostgreSQL as the product does, and a RabbitMQ where one can be had, in the block."""
    configure_logging("warning", "console")
    with tempfile.TemporaryDirectory(prefix="sharezync-bench-") as folder, ExitStack() as stack:
        data_dir = Path(folder)
        data_dir.chmod(0o711)  # PostgreSQL may run under an account of its own
        postgres = stack.enter_context(EmbeddedPostgres(data_dir))
        amqp_url = None
        if broker and (rabbitmq := provision(None, data_dir, install=False)) is not None:
            stack.callback(rabbitmq.stop)
            amqp_url = rabbitmq.start()
        yield Underneath(postgres, amqp_url, Servers(data_dir, [postgres.pid() or 0]))


@asynccontextmanager
async def running_chat(
    underneath: Underneath, database: str, *, fill: str | None = None, amqp: bool = True
) -> AsyncGenerator[FastAPI]:
    """Run chat on a new database, in which the statements of `fill` were carried out before."""
    url = underneath.postgres.ensure_database(database)
    await MIGRATIONS.upgrade(url)
    settings = ChatSettings(
        _env_file=None,
        database_url=url,
        amqp_url=underneath.amqp_url if amqp else None,
        secret_key="nobody signs anything here, or asks for a token",
    )
    app = create_app(settings)
    connection = await app.state.core.database.connect()
    try:
        if fill:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(fill, timeout=1800)
            await connection.execute("VACUUM ANALYZE", timeout=1800)
    finally:
        await connection.close()
    async with app.router.lifespan_context(app):
        yield app
