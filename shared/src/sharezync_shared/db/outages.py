"""A database that is away, slow, locked or full is told as that: 503, and when to come again.

What counts is whether the same request may succeed a little later. Then REST answers `unavailable`
with `Retry-After`, sockets a retryable `error`, and an event goes back on its queue.
"""

from collections.abc import Iterator
from traceback import walk_tb
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sharezync_shared.outage_log import OutageLog
from sharezync_shared.problems import Unavailable, problem_response

log = structlog.get_logger()

_CLASSES: Final = frozenset({
    "08",  # connection exception
    "28",  # login refused: a password that is being changed
    "53",  # insufficient resources: connections, memory, disk
    "57",  # operator intervention: shutdown, recovery, a statement that took too long
    "58",  # system error: the disk under the server
})  # fmt: skip
"""Classes of SQLSTATE (PostgreSQL, appendix A) that pass."""
_STATES: Final = frozenset({
    "25006",  # read-only: a standby that hasn't been promoted yet
    "25P03",  # idle in transaction: we were too slow, and are out
    "3D000",  # no such database: one that is being restored
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # a lock wasn't to be had in time
})  # fmt: skip
_ROLLED_BACK: Final = frozenset({"40001", "40P01"})
_OF_ONE: Final = _ROLLED_BACK | {"25P03", "55P03", "57014"}
"""States in which the server is well, and one transaction wasn't: too slow, or in others' way."""

_KINDS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    DBAPIError,
    PoolTimeoutError,
    OSError,
)
"""What an outage may come as; most of these are none."""


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, or can't do this at the moment, and it may work later."""
    return any(_is_outage(each) for each in _with_causes(error))


def outage_in_words(error: BaseException) -> str:
    """Return what somebody at a command line is told of an outage."""
    *_, told = _with_causes(error)
    if not is_away(error):
        return f"The database is up, and something else was in the way: {told}. Run this again."
    return f"The database can't be reached: {told}. Is DATABASE_URL right, and is it up?"


def log_leftover(event: str, error: Exception, **fields: Any) -> None:  # noqa: ANN401 - fields of a record are anything
    """Log what failed and is done later by something else: at level debug where that is an outage,
    of which there is a line already.
    """
    passing = is_outage(error) or isinstance(error, Unavailable)
    (log.debug if passing else log.warning)(event, **fields, error=repr(error))


def is_away(error: BaseException) -> bool:
    """Whether nobody's work could be done at that moment, whatever it is."""
    states = {getattr(each, "sqlstate", None) for each in _with_causes(error)}
    return is_outage(error) and not states & _OF_ONE


def was_rolled_back(error: BaseException) -> bool:
    """Whether a transaction lost against another one: nothing was done, and may be tried again."""
    return any(getattr(each, "sqlstate", None) in _ROLLED_BACK for each in _with_causes(error))


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, and what the driver said where SQLAlchemy wrapped it."""
    yield error
    if isinstance(error, DBAPIError) and error.orig is not None:
        yield error.orig
        if error.orig.__cause__ is not None:
            yield error.orig.__cause__


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        return state[:2] in _CLASSES or state in _STATES
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)  # "connection is closed", "pool is closing"
    return isinstance(error, ConnectionError | PoolTimeoutError) or _the_driver_got_nowhere(error)


def _the_driver_got_nowhere(error: BaseException) -> bool:
    """Whether asyncpg waited in vain, for a connection or an answer, or found no way to the host.

    It lets errors of the system through as they are, and says that time is over by a bare
    TimeoutError. Anything may raise these: only where they come from tells them apart.
    """
    return isinstance(error, OSError) and any(
        frame.f_globals.get("__name__", "").startswith("asyncpg.")
        for frame, _ in walk_tb(error.__traceback__)
    )


class Outages:
    """What one service answers while its database is away, over HTTP and commands."""

    def __init__(self, schema: str) -> None:
        self._log = OutageLog("database_unavailable", schema=schema)

    def problem_of(self, error: BaseException) -> Unavailable | None:
        """Return the answer to a client if this is an outage, and note it; None if it is none."""
        if not is_outage(error):
            return None
        self._log.failed(error)
        return Unavailable("The database is temporarily unavailable")


def install_outage_handlers(app: FastAPI, outages: Outages) -> None:
    """Make `app` answer outages of its database with `unavailable`, and nothing else so."""

    async def on_error(_: Request, error: Exception) -> Response:
        problem = outages.problem_of(error)
        if problem is None:
            raise error
        return problem_response(problem)

    for kind in _KINDS:
        app.add_exception_handler(kind, on_error)
