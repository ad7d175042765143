"""The internal routes by which gateways read streams, the same in every service that owns some."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_shared.db.database import Database
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import verbatim
from sharezync_shared.problems import Unauthenticated, problems
from sharezync_shared.streams.log import Connection, StreamLog
from sharezync_shared.tokens.dependencies import InternalCaller

StreamsOfUser = Callable[[Connection, UserId], Awaitable[list[str]]]


class Heads(BaseModel):
    """The latest position of each stream of a user."""

    streams: dict[str, tuple[str, int]] = Field(
        description="Epoch and latest `seq` of each stream, by name",
        examples=[{"channel:01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10": ("9c1d03aa", 4711)}],
    )


class ReplayRead(BaseModel):
    """The frames after a position; `frames`, `seqs` and `controls` belong together by index."""

    stream: str = Field(description="Name of the stream")
    epoch: str = Field(description="Current epoch of the stream")
    head: int = Field(description="Latest `seq` of the stream")
    reset: bool = Field(
        description="Whether the position can't be resumed from, so that the client must reload"
    )
    frames: list[str] = Field(description="Finished text frames, in the order of `seq`")
    seqs: list[int] = Field(description="The `seq` of each frame")
    controls: list[dict[str, Any] | None] = Field(
        description="What the gateway must do for each frame; null for most"
    )


def streams_router(
    *,
    database: Database,
    log: StreamLog,
    streams_of_user: StreamsOfUser,
) -> APIRouter:
    """Return the routes of the service whose streams lie in `log`.

    `streams_of_user` names every stream that a user is on, their own inbox-like one included.
    """
    router = APIRouter(prefix="/internal/streams", tags=["internal"])

    @router.get(
        "/heads",
        summary="List the stream positions of a user",
        responses=problems(Unauthenticated),
    )
    async def list_stream_positions(
        _: InternalCaller,
        user_id: Annotated[UserId, Query(description="Id of the user")],
    ) -> Heads:
        """Return the latest position of every stream that the user is subscribed to."""
        async with (await database.pool()).acquire() as connection:
            names = await streams_of_user(connection, user_id)
            positions = await log.heads(connection, names)
        return Heads(streams={name: (p.epoch, p.seq) for name, p in positions.items()})

    @router.get(
        "/replay",
        summary="Replay a stream",
        responses=problems(Unauthenticated),
    )
    async def replay_stream(
        _: InternalCaller,
        stream: Annotated[str, verbatim("stream", 200), Query(description="Name of the stream")],
        after: Annotated[
            int, Query(ge=0, le=2**63 - 1, description="The last `seq` that the client has")
        ],
        epoch: Annotated[
            Annotated[str, verbatim("epoch", 64)] | None,
            Query(description="The epoch that `after` belongs to"),
        ] = None,
    ) -> ReplayRead:
        """Return the frames of a stream after a position."""
        async with (await database.pool()).acquire() as connection:
            found = await log.replay(
                connection, stream, epoch=epoch, after=after, now=datetime.now(UTC)
            )
        return ReplayRead(
            stream=stream,
            epoch=found.epoch,
            head=found.head,
            reset=found.reset,
            frames=[frame.text.decode() for frame in found.frames],
            seqs=[frame.seq for frame in found.frames],
            controls=[
                msgspec.to_builtins(frame.control) if frame.control else None
                for frame in found.frames
            ],
        )

    return router
