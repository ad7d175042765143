"""Reactions to messages."""

import re
import unicodedata
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator

from sharezync_chat.api.dependencies import OF_SPEAKERS, Acting, refusals
from sharezync_chat.errors import TooManyReactions
from sharezync_chat.models import MessageId
from sharezync_chat.usecases import reactions
from sharezync_shared.asgi.changes import no_content
from sharezync_shared.names.characters import looks_empty
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import NotFound

router = APIRouter(prefix="/v1/messages/{message_id}/reactions", tags=["messages"])

_MAX_CHARACTERS: Final = 32  # a family with skin tones takes 11
_SHORTCODE: Final = re.compile(r":[a-z0-9_+-]{1,30}:")
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")


def _emoji(text: str) -> str:
    """Return an emoji in its one normal form (NFC). Raises ValueError for other text."""
    if len(text) > _MAX_CHARACTERS:  # before it is normalised, which may take long
        raise ValueError("Must be an emoji or a name such as :thumbsup:")
    emoji = unicodedata.normalize("NFC", text)
    if _SHORTCODE.fullmatch(emoji):
        return emoji
    if not 0 < len(emoji) <= _MAX_CHARACTERS or not all(map(_may_be_in_emoji, emoji)):
        raise ValueError("Must be an emoji or a name such as :thumbsup:")
    pictures = (each for each in emoji if unicodedata.category(each) == "So" or each == "\u20e3")
    if looks_empty("".join(pictures)):
        raise ValueError("Must be an emoji or a name such as :thumbsup:")
    return emoji


def _may_be_in_emoji(character: str) -> bool:
    return (
        character in _JOINERS
        or character in "#*0123456789©®‼⁉™"
        or unicodedata.category(character) in {"So", "Sk", "Sm"}
        or "\U000e0020" <= character <= "\U000e007f"  # tags: the flags of Scotland and Wales
    )


Emoji = Annotated[
    Parsed,
    AfterValidator(_emoji),
    Path(description="A percent-encoded emoji, or a name such as `:thumbsup:`"),
]


@router.put(
    "/{emoji}",
    status_code=204,
    summary="Add a reaction",
    responses=refusals(NotFound, *OF_SPEAKERS, TooManyReactions),
)
async def add_reaction(message_id: MessageId, emoji: Emoji, actor: Acting) -> Response:
    """Reacts to a message with an emoji. All members of the channel are notified.

    The emoji is a Unicode emoji, percent-encoded, or a name between colons. Repeating the request
    has no effect. A message takes a limited number of different emoji, and some of them from each
    member: `of` in the refusal is `message` or `user`.
    """
    return no_content(await reactions.add(actor, message_id, emoji))


@router.delete(
    "/{emoji}",
    status_code=204,
    summary="Remove a reaction",
    responses=refusals(NotFound, *OF_SPEAKERS),
)
async def remove_reaction(message_id: MessageId, emoji: Emoji, actor: Acting) -> Response:
    """Removes your own reaction from a message. Succeeds even if there is none."""
    return no_content(await reactions.remove(actor, message_id, emoji))
