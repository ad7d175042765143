"""What routes share: the parts of chat, who asks, inputs, and the refusals that go together."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Request

from sharezync_chat.errors import (
    ChannelArchived,
    ConversationFixed,
    MessageGone,
    NotMember,
    TooManyMembers,
    TooManyMemberships,
    UserIsBlocked,
    UserUnreachable,
)
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import people
from sharezync_chat.usecases.actor import ActingUser
from sharezync_chat.usecases.indexing import Indexer
from sharezync_chat.usecases.posting import MessageWriter
from sharezync_shared.contracts.services import Services
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Unauthenticated,
    problems,
)
from sharezync_shared.tokens.dependencies import Caller
from sharezync_shared.work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class ChatContext:
    """What chat is made of."""

    work: UnitsOfWork
    settings: ChatSettings
    services: Services
    posting: MessageWriter
    indexer: Indexer


async def _context(request: Request) -> ChatContext:
    context: ChatContext = request.app.state.context
    return context


Context = Annotated[ChatContext, Depends(_context)]


async def _actor(caller: Caller, context: Context) -> ActingUser:
    return ActingUser(caller.user_id, context.work, context.settings, context.services)


Acting = Annotated[ActingUser, Depends(_actor)]
"""The caller, with what use cases need."""


async def _known_actor(actor: Acting) -> ActingUser:
    await people.USERS.require_caller(actor.work, actor.services.auth, actor.user_id)
    return actor


KnownActing = Annotated[ActingUser, Depends(_known_actor)]
"""As `Acting`; chat knows their names: for routes that make them a member of something."""


Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]

OF_MEMBERS: Final = (NotMember, NotFound)
"""Refusals where the caller must be a member of the channel."""
OF_MODERATORS: Final = (Forbidden, NotMember, NotFound, ConversationFixed)
"""Refusals where they must be an owner or admin of it, and it must be no conversation."""
OF_SPEAKERS: Final = (MessageGone, ChannelArchived, UserIsBlocked, UserUnreachable)
"""Refusals where members act on a message, visibly for others."""
OF_ENTRY: Final = (ChannelArchived, TooManyMembers, TooManyMemberships)
"""Refusals where somebody becomes a member of a channel."""


def refusals(*others: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Declare what a route with an authenticated caller and inputs refuses, for `responses=`."""
    return problems(Unauthenticated, *others, Invalid)
