"""What routes are given: the parts of chat, the caller, and inputs that many of them read."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import people
from sharezync_chat.usecases.indexing import Indexer
from sharezync_chat.usecases.posting import MessageWriter
from sharezync_shared.contracts.services import Services
from sharezync_shared.tokens import Caller, Identity
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


async def _known_caller(caller: Caller, context: Context) -> Identity:
    await people.USERS.require_caller(context.work, context.services.auth, caller.user_id)
    return caller


KnownCaller = Annotated[Identity, Depends(_known_caller)]
"""The caller, whose names chat knows: for routes that make them a member of something."""


Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]
