"""What a piece of work asks of the database, counted: costs are held by numbers, not by clocks."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_METHODS: Final = ("execute", "executemany", "fetch", "fetchrow", "fetchval")
_NOTED: ContextVar[list[str] | None] = ContextVar("noted_statements", default=None)


@contextmanager
def statements_of(engine: AsyncEngine) -> Iterator[list[str]]:
    """Note the statements that the block sends, and whatever tasks it starts.

    Through the engine, and by asyncpg beside it. What is sent once with many rows is one; what
    other tasks send in the background is none of the block's.
    """
    noted: list[str] = []

    def note(statement: str) -> None:
        found = _NOTED.get()
        if found is not None:
            found.append(statement)

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        note(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    token = _NOTED.set(noted)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in _METHODS:
                patch.setattr(
                    asyncpg.Connection, name, _noting(getattr(asyncpg.Connection, name), note)
                )
            yield noted
    finally:
        _NOTED.reset(token)
        event.remove(engine.sync_engine, "before_cursor_execute", before)


def _noting(
    method: Callable[..., Awaitable[Any]], note: Callable[[str], None]
) -> Callable[..., Awaitable[Any]]:
    async def noting(
        connection: asyncpg.Connection,
        statement: str,
        *args: Any,  # noqa: ANN401 - asyncpg's own
        **options: Any,  # noqa: ANN401 - asyncpg's own
    ) -> Any:  # noqa: ANN401 - asyncpg's own
        note(statement)
        return await method(connection, statement, *args, **options)

    return noting
