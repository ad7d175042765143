"""Pinned messages."""

from fastapi import APIRouter, Response

from sharezync_chat.api.dependencies import OF_MEMBERS, OF_SPEAKERS, Acting, Cursor, refusals
from sharezync_chat.errors import TooManyPins
from sharezync_chat.models import ChannelId, MessageId
from sharezync_chat.schemas import PinRead
from sharezync_chat.usecases import pins
from sharezync_shared.asgi.changes import no_content
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Forbidden

router = APIRouter(prefix="/v1/channels/{channel_id}/pins", tags=["channels"])

_REFUSALS = (Forbidden, *OF_MEMBERS, *OF_SPEAKERS)


@router.get("", summary="List pinned messages", responses=refusals(*OF_MEMBERS))
async def list_pinned_messages(
    channel_id: ChannelId, actor: Acting, cursor: Cursor = None
) -> Page[PinRead]:
    """Returns the pinned messages of a channel, latest pin first; at most 100.

    Returns 404 if the message of `cursor` isn't pinned any more; start again without it.
    """
    after = None if cursor is None else MessageId(cursor)
    found = await pins.page(actor, channel_id, after=after)
    return page_of(found, len(found), lambda pinned: pinned.message.id)


@router.put(
    "/{message_id}",
    status_code=204,
    summary="Pin a message",
    responses=refusals(*_REFUSALS, TooManyPins),
)
async def pin_message(channel_id: ChannelId, message_id: MessageId, actor: Acting) -> Response:
    """Requires the role owner or admin; in a conversation every member can pin messages."""
    return no_content(await pins.pin(actor, channel_id, message_id))


@router.delete(
    "/{message_id}", status_code=204, summary="Unpin a message", responses=refusals(*_REFUSALS)
)
async def unpin_message(channel_id: ChannelId, message_id: MessageId, actor: Acting) -> Response:
    """Unpins a message. Succeeds even if it isn't pinned."""
    return no_content(await pins.unpin(actor, channel_id, message_id))
