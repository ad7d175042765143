"""Whom one has blocked."""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import SettingsDep, WorkDep
from sharezync_auth.usecases import blocks
from sharezync_auth.wire import BlockRead
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.streams.told import Told
from sharezync_shared.tokens.dependencies import Caller

Outcome = TypeVar("Outcome")

router = APIRouter(prefix="/v1/blocks", tags=["blocks"])


class BlockPage(BaseModel):
    items: list[BlockRead]
    next: str | None = Field(None, description="`cursor` of the next page; null at the end")


@router.get("", summary="Whom one has blocked", responses=problems(Unauthenticated, Invalid))
async def list_blocks(
    caller: Caller,
    work: WorkDep,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most")] = 100,
    cursor: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
) -> BlockPage:
    """List them by id."""
    found = await blocks.page(work, user_id=caller.user_id, after=cursor, limit=limit + 1)
    shown = found[:limit]
    return BlockPage(items=list(shown), next=str(shown[-1].user_id) if len(found) > limit else None)


@router.put(
    "/{user_id}",
    summary="Block somebody",
    responses=problems(Unauthenticated, blocks.UserNotFound, blocks.TooManyBlocks, Invalid),
)
async def put_block(
    user_id: UserId, caller: Caller, work: WorkDep, settings: SettingsDep, response: Response
) -> BlockRead:
    """Neither of the two can write directly to the other, add the other to anything, see their
    devices or presence, or offer them files, and their mentions don't count. The other isn't told.
    What was said before stays readable. May be repeated. One's sockets hear `user_blocked`.
    """
    told = await blocks.block(
        work, user_id=caller.user_id, blocked_id=user_id, most=settings.max_blocks
    )
    return _answer(response, told)


@router.delete(
    "/{user_id}",
    status_code=204,
    summary="Unblock somebody",
    responses=problems(Unauthenticated, Invalid),
)
async def delete_block(user_id: UserId, caller: Caller, work: WorkDep, response: Response) -> None:
    """May be repeated, also for who isn't blocked. What they offered meanwhile stays unseen. One's
    sockets hear `user_unblocked`.
    """
    _answer(response, await blocks.unblock(work, user_id=caller.user_id, blocked_id=user_id))


def _answer(response: Response, told: Told[Outcome]) -> Outcome:
    """Return the outcome, having said where its event stands."""
    if told.at is not None:
        response.headers["Stream-Position"] = f"{told.at.stream} {told.at.epoch} {told.at.seq}"
    return told.outcome
