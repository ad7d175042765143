"""Pinned messages."""

from fastapi import APIRouter, Response

from sharezync_chat.access import ChannelArchived, MessageGone, NotMember
from sharezync_chat.api.common import Cursor, LimitsPart, WorkPart, no_content
from sharezync_chat.models import ChannelId, MessageId
from sharezync_chat.reach import UserIsBlocked, UserUnreachable
from sharezync_chat.usecases import pins
from sharezync_chat.usecases.limits import TooManyPins
from sharezync_chat.usecases.wire import PinRead
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Forbidden, Invalid, NotFound, Unauthenticated, problems
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1/channels/{channel_id}/pins", tags=["channels"])

_REFUSALS = (
    Unauthenticated, Forbidden, NotMember, NotFound, MessageGone, ChannelArchived, UserIsBlocked,
    UserUnreachable, Invalid,
)  # fmt: skip


@router.get(
    "",
    summary="List pinned messages",
    responses=problems(Unauthenticated, NotMember, NotFound, Invalid),
)
async def list_pinned_messages(
    channel_id: ChannelId, caller: Caller, work: WorkPart, cursor: Cursor = None
) -> Page[PinRead]:
    """Returns the pinned messages of a channel, latest pin first; at most 100.

    Returns 404 if the message of `cursor` isn't pinned any more; start again without it.
    """
    after = None if cursor is None else MessageId(cursor)
    found = await pins.page(work, user_id=caller.user_id, channel_id=channel_id, after=after)
    return page_of(found, len(found), lambda pinned: pinned.message.id)


@router.put(
    "/{message_id}",
    status_code=204,
    summary="Pin a message",
    responses=problems(*_REFUSALS, TooManyPins),
)
async def pin_message(
    channel_id: ChannelId,
    message_id: MessageId,
    caller: Caller,
    work: WorkPart,
    limits: LimitsPart,
) -> Response:
    """Requires the role owner or admin; in a conversation every member can pin messages."""
    return no_content(
        await pins.pin(
            work, limits, user_id=caller.user_id, channel_id=channel_id, message_id=message_id
        )
    )


@router.delete(
    "/{message_id}", status_code=204, summary="Unpin a message", responses=problems(*_REFUSALS)
)
async def unpin_message(
    channel_id: ChannelId, message_id: MessageId, caller: Caller, work: WorkPart
) -> Response:
    """Unpins a message. Succeeds even if it isn't pinned."""
    return no_content(
        await pins.unpin(work, user_id=caller.user_id, channel_id=channel_id, message_id=message_id)
    )
