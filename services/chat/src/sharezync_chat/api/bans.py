"""Bans from channels."""

from fastapi import APIRouter, Response

from sharezync_chat.api.dependencies import Context, Cursor, Limit
from sharezync_chat.errors import ConversationFixed, NotMember, TooManyBans
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import BanRead
from sharezync_chat.usecases import bans, people
from sharezync_shared.asgi.changes import answer
from sharezync_shared.ids import UserId
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens import Caller
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1/channels/{channel_id}/bans", tags=["channels"])

_REFUSALS = (Unauthenticated, Forbidden, NotMember, NotFound, ConversationFixed, Invalid)


@router.get("", summary="List banned users of a channel", responses=problems(*_REFUSALS))
async def list_channel_bans(
    channel_id: ChannelId,
    caller: Caller,
    context: Context,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[BanRead]:
    """Returns the banned users, ordered by id. Requires the role owner or admin."""
    found = await bans.page(
        context.work, user_id=caller.user_id, channel_id=channel_id, after=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda each: each.user.id)


@router.put(
    "/{user_id}",
    summary="Ban a user from a channel",
    responses=problems(*_REFUSALS, UserNotFound, TooManyBans, Unavailable),
)
async def ban_user_from_channel(
    channel_id: ChannelId,
    user_id: UserId,
    caller: Caller,
    context: Context,
    response: Response,
) -> BanRead:
    """Removes the user from the channel; until unbanned they can't join, accept an invite or be
    added. Repeating the request has no effect.

    Owners can ban everyone except themselves, admins only plain members and users who aren't
    members.
    """
    await people.USERS.require(context.work, context.services.auth, [user_id])
    published = await bans.ban(
        context.work, by=caller.user_id, channel_id=channel_id, user_id=user_id
    )
    return answer(response, published)


@router.delete(
    "/{user_id}",
    status_code=204,
    summary="Unban a user from a channel",
    responses=problems(*_REFUSALS),
)
async def unban_user_from_channel(
    channel_id: ChannelId, user_id: UserId, caller: Caller, context: Context
) -> None:
    """The user can join, accept a new invite or be added again. Succeeds even if they aren't
    banned.
    """
    await bans.lift(context.work, by=caller.user_id, channel_id=channel_id, user_id=user_id)
