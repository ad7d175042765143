"""A database that can't be reached is told as such: 503 and when to come back, not 500."""

from traceback import walk_tb

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sharezync_shared.problems import Unavailable, problem_response

log = structlog.get_logger()

_OUTAGES = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    PoolTimeoutError,
)


def is_outage(error: BaseException) -> bool:
    """Whether this says that the database is away or out of connections, for now."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_outage(cause))
    return isinstance(error, _OUTAGES) or _the_driver_got_nowhere(error)


def _the_driver_got_nowhere(error: BaseException) -> bool:
    """Whether asyncpg waited in vain, for a connection or an answer, or found no way to the host.

    It lets errors of the system through as they are, and says that time is over by a bare
    TimeoutError. Anything may raise these: only where they come from tells them apart.
    """
    return isinstance(error, OSError) and any(
        frame.f_globals.get("__name__", "").startswith("asyncpg.")
        for frame, _ in walk_tb(error.__traceback__)
    )


def install_outage_handlers(app: FastAPI) -> None:
    """Make `app` answer outages of its database with `unavailable`, and nothing else so."""

    async def on_error(_: Request, error: Exception) -> Response:
        if not is_outage(error):
            raise error
        log.warning("database_unavailable", error=repr(error))
        return problem_response(Unavailable("The database is away for a moment"))

    for kind in (*_OUTAGES, OSError, DBAPIError):
        app.add_exception_handler(kind, on_error)
