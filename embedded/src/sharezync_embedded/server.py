"""`sharezync-server up`: the whole product in one process, with what it stands on around it."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from sharezync_embedded.occupancy import sole_use
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.processes import free_port, port_is_free
from sharezync_embedded.secret_key import secret_key_of
from sharezync_shared.server import run, serve, server_settings
from sharezync_shared.settings import Settings
from sharezync_shared.start_refused import StartRefused

Say = Callable[[str], None]


def up(settings: Settings, say: Say) -> None:
    """Serve everything until SIGTERM or SIGINT; then stop, the embedded PostgreSQL included.

    Brings up a PostgreSQL under `settings.data_dir` unless a `database_url` is given, and keeps
    the installation's secret there unless a `secret_key` is. Raises StartRefused where another
    process serves this data folder or the port is taken, and PostgresFailed.
    """
    began = time.monotonic()
    with sole_use(settings.data_dir):
        if settings.port and not port_is_free(settings.port, settings.host):
            raise StartRefused(f"port {settings.port} is taken; choose another, e.g. PORT=8100")
        secret_key = (
            settings.require_secret_key()
            if settings.secret_key
            else secret_key_of(settings.data_dir)
        )
        with ExitStack() as stack:
            # Loading five services is most of a start; PostgreSQL starts meanwhile.
            with ThreadPoolExecutor(1) as beside:
                database = beside.submit(stack.enter_context, _database(settings))
                _load_services()
                from sharezync_embedded.compose import check_settings  # noqa: PLC0415 - loaded by now

                check_settings()
            run(_serve(settings, database.result(), secret_key, began, say))
    say("ShareZync has stopped; everything is kept in " + str(settings.data_dir.absolute()))


def init(settings: Settings) -> None:
    """Bring the schemas of all services to this version, and serve nothing.

    On `settings.database_url`, or in the folder of the embedded PostgreSQL. Raises as `up`, and
    SchemaTooOld.
    """
    with sole_use(settings.data_dir), _database(settings) as database_url:
        _load_services()
        from sharezync_embedded.compose import migrate  # noqa: PLC0415 - loaded by now

        asyncio.run(migrate(database_url))


async def _serve(
    settings: Settings, database_url: str, secret_key: str, began: float, say: Say
) -> None:
    from sharezync_embedded.compose import CombinedApp, migrate  # noqa: PLC0415 - loaded by now
    from sharezync_embedded.stream_epochs import renew_if_copied, rest_all  # noqa: PLC0415 - as above
    from sharezync_gateway.realtime import SOCKETS  # noqa: PLC0415 - as above

    await migrate(database_url)
    if not settings.database_url:
        await renew_if_copied(settings.data_dir, database_url)
    composition = CombinedApp(
        database_url=database_url, secret_key=secret_key, data_dir=settings.data_dir
    )
    metrics_port = metrics_port_of(settings)

    def announce(port: int) -> None:
        seconds = time.monotonic() - began
        say(banner(settings, port=port, metrics_port=metrics_port, seconds=seconds))

    await serve(
        composition.app,
        replace(
            server_settings(
                settings,
                websockets=SOCKETS,
                max_connections_per_address=composition.gateway.max_connections_per_address,
                trusted_proxies=composition.gateway.trusted_proxies,
            ),
            metrics_port=metrics_port,
        ),
        draining=composition.draining,
        registry=composition.registry,
        on_listening=announce,
    )
    if not settings.database_url:
        await rest_all(database_url)


def banner(settings: Settings, *, port: int, metrics_port: int, seconds: float) -> str:
    """What a newcomer wants to see: where to look, where things are, how to stop."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{port}"
    database = "DATABASE_URL" if settings.database_url else "embedded PostgreSQL"
    bus = "RabbitMQ (AMQP_URL)" if settings.amqp_url else "in process"
    return "\n".join(
        (
            "",
            f"  ShareZync is ready, after {seconds:.1f} s",
            "",
            f"    gateway   {base}",
            f"    sockets   {base.replace('http', 'ws', 1)}/ws/{{client_id}}",
            f"    API docs  {base}/docs",
            f"    metrics   http://{settings.metrics_host}:{metrics_port}/metrics",
            f"    data      {settings.data_dir.absolute()} ({database}, bus {bus})",
            "",
            "  Ctrl-C stops it and keeps the data.",
            "",
        )
    )


def metrics_port_of(settings: Settings) -> int:
    """The port of the metrics: the given one, or else 1000 above ours, or any that is free."""
    if settings.metrics_port is not None:
        return settings.metrics_port
    usual = settings.port + 1000
    return usual if settings.port and usual < 2**16 and port_is_free(usual) else free_port()


def _load_services() -> None:
    # Nothing of what is loaded is ever garbage: looking for some meanwhile costs a fifth of the
    # time, and looking at it again and again later is spared too.
    gc.disable()
    try:
        import sharezync_embedded.compose  # noqa: F401, PLC0415 - not before a start is certain
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.url()
