"""Reactions to messages."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator

from sharezync_chat.api.dependencies import OF_SPEAKERS, Acting, refusals
from sharezync_chat.errors import TooManyReactions
from sharezync_chat.models import MessageId
from sharezync_chat.usecases import reactions
from sharezync_chat.usecases.emoji_forms import normal_form, shown
from sharezync_shared.asgi.changes import no_content
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import NotFound

router = APIRouter(prefix="/v1/messages/{message_id}/reactions", tags=["messages"])

_SHORTCODE: Final = re.compile(r":[a-z0-9_+-]{1,30}:")


def _emoji(text: str) -> str:
    """Return an emoji in its one normal form. Raises ValueError for other text."""
    emoji = text if _SHORTCODE.fullmatch(text) else normal_form(text)
    if emoji is None:
        raise ValueError("Must be one emoji or a name such as :thumbsup:")
    return emoji


Emoji = Annotated[
    Parsed,
    AfterValidator(_emoji),
    Path(description="A percent-encoded emoji, or a name such as `:thumbsup:`"),
]
OwnReaction = Annotated[
    Parsed,
    AfterValidator(shown),
    Path(max_length=32, description="A percent-encoded emoji, or a name such as `:thumbsup:`"),
]
"""What may be there from before only emoji were taken, too."""


@router.put(
    "/{emoji}",
    status_code=204,
    summary="Add a reaction",
    responses=refusals(NotFound, *OF_SPEAKERS, TooManyReactions),
)
async def add_reaction(message_id: MessageId, emoji: Emoji, actor: Acting) -> Response:
    """Reacts to a message with an emoji. All members of the channel are notified.

    The emoji is one that Unicode lists, percent-encoded, or a name between colons. With and without
    variation selector (U+FE0F) it is the same, and returned as Unicode recommends it. Repeating the
    request has no effect. A message takes a limited number of different emoji, and some of them
    from each member: `of` in the refusal is `message` or `user`.
    """
    return no_content(await reactions.add(actor, message_id, emoji))


@router.delete(
    "/{emoji}",
    status_code=204,
    summary="Remove a reaction",
    responses=refusals(NotFound, *OF_SPEAKERS),
)
async def remove_reaction(message_id: MessageId, emoji: OwnReaction, actor: Acting) -> Response:
    """Removes your own reaction from a message. Succeeds even if there is none."""
    return no_content(await reactions.remove(actor, message_id, emoji))
