"""Reads that may take long: few at a time for each user and in all, on connections of their own.

A search holds a connection for as long as PostgreSQL works on it. From the pool of everything else,
one person with forty of them would leave nobody a connection; here they wait for themselves. And
each is followed by a pause that is as long, up to half a second: whoever asks without end has half
a core of the database, and not a whole one.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Final

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError

from sharezync_shared.db.database import Database
from sharezync_shared.ids import UserId
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.streams.log import StreamLog
from sharezync_shared.work import UnitOfWork, UnitsOfWork

_PATIENCE_SECONDS: Final = 1.0
"""How long one may wait for a turn: a page that asks for three things at once gets them."""
PAUSE_SECONDS: Final = 0.5
"""The longest pause after a read: less than the patience, so that who asks for one thing after the
other waits, and is not refused."""
_WAITING_OF_USER: Final = 8
_WAITING: Final = 64
"""Who comes when so many wait is refused at once."""


class _OfUser:
    """What one user has running, pausing and waiting."""

    def __init__(self, at_once: int) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.count = 0


class CostlyReads:
    """Begins units that only read, as `UnitsOfWork.read`, for few at a time.

    `at_once` of them run in this process, `per_user` of one user; `database` has a connection for
    each, and a statement timeout of its own.
    """

    def __init__(self, database: Database, log: StreamLog, *, at_once: int, per_user: int) -> None:
        self._database = database
        self._work = UnitsOfWork(database, log, None)
        self._turns = asyncio.Semaphore(at_once)
        self._most = at_once + _WAITING
        self._per_user = per_user
        self._users: dict[UserId, _OfUser] = {}
        self._count = 0

    @asynccontextmanager
    async def read(self, user_id: UserId) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit that sees one moment of the database and can change nothing.

        Waits a second for a turn. Raises RateLimited for a user who asks for too much at a time,
        and Unavailable where all together do, or where a statement takes too long.
        """
        async with self._turn(user_id):
            try:
                async with self._work.read() as unit:
                    yield unit
            except (asyncpg.QueryCanceledError, DBAPIError) as error:
                if not _took_too_long(error):
                    raise
                raise Unavailable("The query took too long; narrow it") from error

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._database.aclose()

    @asynccontextmanager
    async def _turn(self, user_id: UserId) -> AsyncGenerator[None]:
        theirs = self._users.get(user_id) or _OfUser(self._per_user)
        if theirs.count >= self._per_user + _WAITING_OF_USER:
            raise RateLimited("Too many concurrent searches of yours")
        if self._count >= self._most:
            raise Unavailable("Too many concurrent searches")
        self._users[user_id] = theirs
        theirs.count += 1
        self._count += 1
        try:
            await self._wait(theirs)
        except BaseException:
            self._count -= 1
            self._leave(user_id, theirs)
            raise
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self._count -= 1
            self._turns.release()
            pause_seconds = min(loop.time() - began, PAUSE_SECONDS)
            loop.call_later(pause_seconds, self._pause_is_over, user_id, theirs)

    def _pause_is_over(self, user_id: UserId, theirs: _OfUser) -> None:
        theirs.turns.release()
        self._leave(user_id, theirs)

    def _leave(self, user_id: UserId, theirs: _OfUser) -> None:
        theirs.count -= 1
        if not theirs.count:
            del self._users[user_id]

    async def _wait(self, theirs: _OfUser) -> None:
        refusal: type[RateLimited | Unavailable] = RateLimited
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), AsyncExitStack() as held:
                # One's own turn first: who has many waits for themselves, and not among all.
                await held.enter_async_context(theirs.turns)
                refusal = Unavailable
                await held.enter_async_context(self._turns)
                held.pop_all()
        except TimeoutError as error:
            raise refusal("Too many concurrent searches") from error


async def _costly(request: Request) -> CostlyReads:
    costly: CostlyReads = request.app.state.costly
    return costly


Costly = Annotated[CostlyReads, Depends(_costly)]
"""The service's own, for routes."""


def _took_too_long(error: asyncpg.QueryCanceledError | DBAPIError) -> bool:
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else error
    return isinstance(cause, asyncpg.QueryCanceledError)
