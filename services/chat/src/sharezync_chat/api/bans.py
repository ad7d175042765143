"""Who is kept out of a channel."""

from fastapi import APIRouter, Response

from sharezync_chat.access import ConversationFixed, NotMember
from sharezync_chat.api.common import Cursor, Limit, Page, PeersPart, WorkPart, answer, page_of
from sharezync_chat.models import ChannelId
from sharezync_chat.usecases import bans, people
from sharezync_chat.usecases.bans import TooManyBans
from sharezync_chat.usecases.people import UserNotFound
from sharezync_chat.usecases.wire import BanRead
from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1/channels/{channel_id}/bans", tags=["members"])

_REFUSALS = (Unauthenticated, Forbidden, NotMember, NotFound, ConversationFixed, Invalid)


@router.get("", summary="Who is banned from a channel", responses=problems(*_REFUSALS))
async def list_bans(
    channel_id: ChannelId,
    caller: Caller,
    work: WorkPart,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[BanRead]:
    """List them by id, to an owner or admin."""
    found = await bans.page(
        work, user_id=caller.user_id, channel_id=channel_id, after=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda each: each.user.id)


@router.put(
    "/{user_id}",
    summary="Ban somebody from a channel",
    responses=problems(*_REFUSALS, UserNotFound, TooManyBans, Unavailable),
)
async def put_ban(
    channel_id: ChannelId,
    user_id: UserId,
    caller: Caller,
    work: WorkPart,
    peers: PeersPart,
    response: Response,
) -> BanRead:
    """Remove somebody and keep them out: they can't join, come by an invite or be added. May be
    repeated.

    Owners may ban anyone but themselves, admins only who is neither owner nor admin.
    """
    await people.require(work, peers, [user_id])
    told = await bans.ban(work, by=caller.user_id, channel_id=channel_id, user_id=user_id)
    return answer(response, told)


@router.delete(
    "/{user_id}",
    status_code=204,
    summary="Lift a ban",
    responses=problems(*_REFUSALS),
)
async def delete_ban(
    channel_id: ChannelId, user_id: UserId, caller: Caller, work: WorkPart
) -> None:
    """Let somebody come again: by joining, by a new invite, or by being added. May be repeated."""
    await bans.lift(work, by=caller.user_id, channel_id=channel_id, user_id=user_id)
