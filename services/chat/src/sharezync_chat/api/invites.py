"""Invites."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from sharezync_chat.api.dependencies import (
    OF_ENTRY,
    OF_MODERATORS,
    Acting,
    Cursor,
    KnownActing,
    Limit,
    refusals,
)
from sharezync_chat.errors import Banned, ChannelArchived, InviteGone, TooManyInvites
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import InviteCreated, InviteRead, MembershipRead
from sharezync_chat.usecases import invites
from sharezync_shared.asgi.changes import answer
from sharezync_shared.examples import examples
from sharezync_shared.names.policies import Parsed
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import NotFound, Unavailable
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1", tags=["channels"])

_DAY = 24 * 3600


class InviteCreate(BaseModel):
    """Limits of an invite."""

    model_config = examples(
        {"expires_in_seconds": 86400, "max_uses": 10},
        {"expires_in_seconds": 604800},
    )

    expires_in_seconds: int = Field(
        7 * _DAY, ge=60, le=365 * _DAY, description="Lifetime in seconds", examples=[7 * _DAY]
    )
    max_uses: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="How often it can be accepted; null: without limit",
        examples=[10],
    )


@router.post(
    "/channels/{channel_id}/invites",
    status_code=201,
    summary="Create an invite",
    responses=refusals(*OF_MODERATORS, ChannelArchived, TooManyInvites),
)
async def create_invite(
    channel_id: ChannelId, actor: Acting, response: Response, body: InviteCreate | None = None
) -> InviteCreated:
    """Creates a code with which users can become members. Requires the role owner or admin. The
    code is only shown in this response.
    """
    wanted = body or InviteCreate()
    published = await invites.create(
        actor, channel_id, expires_in_seconds=wanted.expires_in_seconds, max_uses=wanted.max_uses
    )
    location = f"/v1/channels/{channel_id}/invites/{published.outcome.id}"
    return answer(response, published, location=location)


@router.get(
    "/channels/{channel_id}/invites",
    summary="List invites of a channel",
    responses=refusals(*OF_MODERATORS),
)
async def list_invites(
    channel_id: ChannelId, actor: Acting, limit: Limit = 100, cursor: Cursor = None
) -> Page[InviteRead]:
    """Returns the valid invites, newest first, without codes. Requires the role owner or admin."""
    found = await invites.page(actor, channel_id, before=cursor, limit=limit + 1)
    return page_of(found, limit, lambda invite: invite.id)


@router.delete(
    "/channels/{channel_id}/invites/{invite_id}",
    status_code=204,
    summary="Revoke an invite",
    responses=refusals(*OF_MODERATORS),
)
async def revoke_invite(channel_id: ChannelId, invite_id: UUID, actor: Acting) -> None:
    """The invite can no longer be accepted. Users who have accepted it stay members."""
    await invites.revoke(actor, channel_id, invite_id)


@router.post(
    "/invites/{code}/accept",
    status_code=201,
    summary="Accept an invite",
    responses={
        200: {"model": MembershipRead, "description": "You were a member of the channel already"},
        **refusals(NotFound, UserNotFound, InviteGone, Banned, *OF_ENTRY, Unavailable),
    },
)
async def accept_invite(
    code: Annotated[Parsed, Path(max_length=100, examples=["szi_2yV0aD3Jx0qUuCzH7mQfPg"])],
    actor: KnownActing,
    response: Response,
) -> MembershipRead:
    """Makes you a member of the channel that the code is for. Earlier messages count as read."""
    published = await invites.accept(actor, code)
    channel_id = published.outcome.channel.id
    return answer(
        response, published, location=f"/v1/channels/{channel_id}/members/{actor.user_id}"
    )
