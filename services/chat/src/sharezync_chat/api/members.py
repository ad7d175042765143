"""Members of channels, and bans from them."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, model_validator

from sharezync_chat.api.dependencies import (
    OF_ENTRY,
    OF_MEMBERS,
    OF_MODERATORS,
    Acting,
    Cursor,
    KnownActing,
    Limit,
    refusals,
)
from sharezync_chat.errors import Banned, LastOwner, TooManyBans, UserIsBlocked, UserUnreachable
from sharezync_chat.models import ChannelId, Role
from sharezync_chat.schemas import BanRead, ChannelRead, MemberRead, MembershipRead
from sharezync_chat.usecases import bans, members
from sharezync_shared.asgi.changes import answer, no_content
from sharezync_shared.examples import examples
from sharezync_shared.ids import UserId
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import NotFound, Unavailable
from sharezync_shared.streams.published import Published
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1/channels/{channel_id}", tags=["channels"])


class MemberAdd(BaseModel):
    """A user to add to a channel."""

    model_config = examples(
        {"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"},
        {"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", "role": "admin"},
    )

    user_id: UserId
    role: Role = Field("member", description="Role in the channel")


class NewOwner(BaseModel):
    """The new owner of a channel."""

    user_id: UserId


class MemberChange(BaseModel):
    """The change to a member: either `role` or `muted`."""

    model_config = examples({"role": "admin"}, {"muted": True})

    role: Role | None = Field(None, description="New role; only owners can change it")
    muted: bool | None = Field(
        None, strict=True, description="Whether you mute the channel; not visible to others"
    )

    @model_validator(mode="after")
    def _one_thing(self) -> "MemberChange":
        if (self.role is None) == (self.muted is None):
            raise ValueError("Give either role or muted")
        return self


@router.post(
    "/join",
    status_code=201,
    summary="Join a public channel",
    responses={
        200: {"model": MembershipRead, "description": "You were a member already"},
        **refusals(NotFound, Banned, *OF_ENTRY, Unavailable),
    },
)
async def join_channel(
    channel_id: ChannelId, actor: KnownActing, response: Response
) -> MembershipRead:
    """Makes you a member of a public channel. Earlier messages count as read.

    If another user has added you to a channel of any kind, joining it accepts that.
    """
    published = await members.join(actor, channel_id)
    location = f"/v1/channels/{channel_id}/members/{actor.user_id}"
    return answer(response, published, location=location)


@router.post(
    "/leave",
    status_code=204,
    summary="Leave a channel or hide a conversation",
    responses=refusals(*OF_MEMBERS, LastOwner),
)
async def leave_channel(channel_id: ChannelId, actor: Acting) -> Response:
    """Ends your membership; you receive no later messages. The last owner can't leave, unless other
    users made them owner and they were never active in the channel.

    A direct conversation is hidden until its next message. The other user isn't notified.
    """
    return no_content(await members.leave(actor, channel_id))


@router.post(
    "/owner", summary="Transfer ownership of a channel", responses=refusals(*OF_MODERATORS)
)
async def transfer_channel_ownership(
    channel_id: ChannelId, body: NewOwner, actor: Acting, response: Response
) -> ChannelRead:
    """Makes another member the owner. Requires the role owner; you become an admin."""
    return answer(response, await members.pass_on(actor, channel_id, body.user_id))


@router.get("/members", summary="List members of a channel", responses=refusals(*OF_MEMBERS))
async def list_channel_members(
    channel_id: ChannelId, actor: Acting, limit: Limit = 100, cursor: Cursor = None
) -> Page[MemberRead]:
    """Returns the members, ordered by user id. Only members can list them."""
    found = await members.page(actor, channel_id, after=cursor, limit=limit + 1)
    return page_of(found, limit, lambda member: member.user.id)


@router.post(
    "/members",
    status_code=201,
    summary="Add a member to a channel",
    responses={
        200: {"model": MemberRead, "description": "The user was a member already; nothing changed"},
        **refusals(
            *OF_MODERATORS, UserNotFound, *OF_ENTRY, Banned, UserIsBlocked, UserUnreachable,
            Unavailable,
        ),
    },
)  # fmt: skip
async def add_channel_member(
    channel_id: ChannelId, body: MemberAdd, actor: Acting, response: Response
) -> MemberRead:
    """Requires the role owner or admin; only owners can add owners and admins.

    Refused with `user-unreachable` if the user doesn't let you add them to channels
    (`who_may_add` in their profile).
    """
    published = await members.add(actor, channel_id, body.user_id, body.role)
    return answer(response, published, location=f"/v1/channels/{channel_id}/members/{body.user_id}")


@router.patch(
    "/members/{user_id}",
    summary="Update a member of a channel",
    responses=refusals(LastOwner, *OF_MODERATORS),
)
async def update_channel_member(
    channel_id: ChannelId, user_id: UserId, body: MemberChange, actor: Acting, response: Response
) -> MemberRead:
    """Changes the `role` of a member, which requires the role owner, or your own `muted`."""
    published: Published[MemberRead]
    if body.role is not None:
        published = await members.change_role(actor, channel_id, user_id, body.role)
    else:
        published = await members.mute(actor, channel_id, user_id, muted=bool(body.muted))
    return answer(response, published)


@router.delete(
    "/members/{user_id}",
    status_code=204,
    summary="Remove a member from a channel",
    responses=refusals(LastOwner, *OF_MODERATORS),
)
async def remove_channel_member(channel_id: ChannelId, user_id: UserId, actor: Acting) -> Response:
    """Ends a membership, or your own. The user receives no later messages.

    Owners can remove everyone, admins only plain members.
    """
    return no_content(await members.remove(actor, channel_id, user_id))


@router.get("/bans", summary="List banned users of a channel", responses=refusals(*OF_MODERATORS))
async def list_channel_bans(
    channel_id: ChannelId, actor: Acting, limit: Limit = 100, cursor: Cursor = None
) -> Page[BanRead]:
    """Returns the banned users, ordered by id. Requires the role owner or admin."""
    found = await bans.page(actor, channel_id, after=cursor, limit=limit + 1)
    return page_of(found, limit, lambda each: each.user.id)


@router.put(
    "/bans/{user_id}",
    summary="Ban a user from a channel",
    responses=refusals(*OF_MODERATORS, UserNotFound, TooManyBans, Unavailable),
)
async def ban_user_from_channel(
    channel_id: ChannelId, user_id: UserId, actor: Acting, response: Response
) -> BanRead:
    """Removes the user from the channel; until unbanned they can't join, accept an invite or be
    added. Repeating the request has no effect.

    Owners can ban everyone except themselves, admins only plain members and users who aren't
    members.
    """
    return answer(response, await bans.ban(actor, channel_id, user_id))


@router.delete(
    "/bans/{user_id}",
    status_code=204,
    summary="Unban a user from a channel",
    responses=refusals(*OF_MODERATORS),
)
async def unban_user_from_channel(channel_id: ChannelId, user_id: UserId, actor: Acting) -> None:
    """The user can join, accept a new invite or be added again. Succeeds even if they aren't
    banned.
    """
    await bans.lift(actor, channel_id, user_id)
