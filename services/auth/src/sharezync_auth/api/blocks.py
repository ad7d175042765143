"""Blocked users."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from sharezync_auth.api.dependencies import Context
from sharezync_auth.errors import TooManyBlocks, UserNotFound
from sharezync_auth.schemas import BlockRead
from sharezync_auth.usecases import blocks
from sharezync_shared.asgi.changes import answer
from sharezync_shared.ids import UserId
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(prefix="/v1/blocks", tags=["users"])


@router.get("", summary="List blocked users", responses=problems(Unauthenticated, Invalid))
async def list_blocked_users(
    caller: Caller,
    context: Context,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of items")] = 100,
    cursor: Annotated[UUID | None, Query(description="`next` of the previous page")] = None,
) -> Page[BlockRead]:
    """Returns the users that you have blocked, ordered by id."""
    found = await blocks.page(context.work, user_id=caller.user_id, after=cursor, limit=limit + 1)
    return page_of(found, limit, lambda block: block.user_id)


@router.put(
    "/{user_id}",
    summary="Block a user",
    responses=problems(Unauthenticated, UserNotFound, TooManyBlocks, Invalid),
)
async def block_user(
    user_id: UserId, caller: Caller, context: Context, response: Response
) -> BlockRead:
    """While a block exists, neither user can send the other direct messages, add them to channels
    or groups, see their devices or presence, or offer them files, and their mentions of each other
    don't count. Earlier messages stay readable. The blocked user isn't notified. Repeating the
    request has no effect. Your connected devices receive `user_blocked`.
    """
    published = await blocks.block(
        context.work, user_id=caller.user_id, blocked_id=user_id, most=context.settings.max_blocks
    )
    return answer(response, published)


@router.delete(
    "/{user_id}",
    status_code=204,
    summary="Unblock a user",
    responses=problems(Unauthenticated, Invalid),
)
async def unblock_user(
    user_id: UserId, caller: Caller, context: Context, response: Response
) -> None:
    """Succeeds even if the user isn't blocked. Transfers that they offered while blocked stay
    hidden. Your connected devices receive `user_unblocked`.
    """
    answer(response, await blocks.unblock(context.work, user_id=caller.user_id, blocked_id=user_id))
