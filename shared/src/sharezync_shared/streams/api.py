"""The internal routes by which gateways read streams, the same in every service that owns some."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts.streams import (
    CHANGES,
    GET_HEADS,
    REPLAY,
    Changes,
    ChangesAfter,
    Heads,
    HeadsOf,
    Replay,
    ReplayFrom,
)
from sharezync_shared.db.database import Database
from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Connection, StreamLog

StreamsOfUser = Callable[[Connection, UserId], Awaitable[list[str]]]


def streams_router(
    *,
    database: Database,
    log: StreamLog,
    streams_of_user: StreamsOfUser,
    is_publishing: Callable[[], bool],
) -> APIRouter:
    """Return the routes of the service whose streams lie in `log`.

    `streams_of_user` names every stream that a user is on, their own inbox-like one included.
    `is_publishing` says whether frames can be handed to the broker at present.
    """
    router = APIRouter(tags=["internal"])

    @serve(router, GET_HEADS, summary="List the stream positions of a user")
    async def list_stream_positions(asked: Annotated[HeadsOf, Depends()]) -> Heads:
        """Return the latest position of every stream that the user is subscribed to."""
        async with (await database.pool()).acquire() as connection:
            names = await streams_of_user(connection, asked.user_id)
            positions = await log.heads(connection, names)
        return Heads({name: (p.epoch, p.seq) for name, p in positions.items()})

    @serve(router, REPLAY, summary="Replay a stream")
    async def replay_stream(asked: Annotated[ReplayFrom, Depends()]) -> Replay:
        """Return the frames of a stream after a position."""
        async with (await database.pool()).acquire() as connection:
            return await log.replay(connection, asked, datetime.now(UTC))

    @serve(router, CHANGES, summary="List what is new in many streams")
    async def list_stream_changes(asked: ChangesAfter) -> Changes:
        """Return what many streams have after a position in each, at once.

        For gateways that the broker brings nothing.
        """
        publishing = is_publishing()
        if not asked.after:
            return Changes(log.epoch, {}, [], [], [], [], publishing)
        async with (await database.pool()).acquire() as connection:
            heads, frames = await log.changes(connection, asked.after, datetime.now(UTC))
        return Changes(
            log.epoch,
            heads,
            streams=[frame.stream for frame in frames],
            seqs=[frame.seq for frame in frames],
            frames=[frame.text.decode() for frame in frames],
            controls=[frame.control for frame in frames],
            publishing=publishing,
        )

    return router
