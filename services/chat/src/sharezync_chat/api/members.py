"""Members of channels."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharezync_chat.api.dependencies import (
    Context,
    Cursor,
    KnownCaller,
    Limit,
)
from sharezync_chat.errors import (
    Banned,
    ChannelArchived,
    ConversationFixed,
    LastOwner,
    NotMember,
    TooManyMembers,
    TooManyMemberships,
    UserIsBlocked,
    UserUnreachable,
)
from sharezync_chat.models import ChannelId, Role
from sharezync_chat.schemas import ChannelRead, MemberRead, MembershipRead
from sharezync_chat.usecases import members, people
from sharezync_shared.asgi.changes import answer, no_content
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
from sharezync_shared.streams.published import Published
from sharezync_shared.tokens import Caller
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1/channels/{channel_id}", tags=["channels"])


class MemberAdd(BaseModel):
    """A user to add to a channel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"},
                {"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", "role": "admin"},
            ]
        }
    )

    user_id: UserId
    role: Role = Field("member", description="Role in the channel")


class NewOwner(BaseModel):
    """The new owner of a channel."""

    user_id: UserId


class MemberChange(BaseModel):
    """The change to a member: either `role` or `muted`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}, {"muted": True}]})

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
        **problems(
            Unauthenticated,
            NotFound,
            Banned,
            ChannelArchived,
            TooManyMembers,
            TooManyMemberships,
            Invalid,
            Unavailable,
        ),
    },
)
async def join_channel(
    channel_id: ChannelId,
    caller: KnownCaller,
    context: Context,
    response: Response,
) -> MembershipRead:
    """Makes you a member of a public channel. Earlier messages count as read.

    If another user has added you to a channel of any kind, joining it accepts that.
    """
    published = await members.join(
        context.work, context.settings, user_id=caller.user_id, channel_id=channel_id
    )
    location = f"/v1/channels/{channel_id}/members/{caller.user_id}"
    return answer(response, published, location=location)


@router.post(
    "/leave",
    status_code=204,
    summary="Leave a channel or hide a conversation",
    responses=problems(Unauthenticated, NotMember, NotFound, LastOwner, Invalid),
)
async def leave_channel(channel_id: ChannelId, caller: Caller, context: Context) -> Response:
    """Ends your membership; you receive no later messages. The last owner can't leave, unless other
    users made them owner and they were never active in the channel.

    A direct conversation is hidden until its next message. The other user isn't notified.
    """
    return no_content(
        await members.leave(context.work, user_id=caller.user_id, channel_id=channel_id)
    )


@router.post(
    "/owner",
    summary="Transfer ownership of a channel",
    responses=problems(Unauthenticated, Forbidden, NotMember, NotFound, ConversationFixed, Invalid),
)
async def transfer_channel_ownership(
    channel_id: ChannelId, body: NewOwner, caller: Caller, context: Context, response: Response
) -> ChannelRead:
    """Makes another member the owner. Requires the role owner; you become an admin."""
    published = await members.pass_on(
        context.work, by=caller.user_id, channel_id=channel_id, user_id=body.user_id
    )
    return answer(response, published)


@router.get(
    "/members",
    summary="List members of a channel",
    responses=problems(Unauthenticated, NotMember, NotFound, Invalid),
)
async def list_channel_members(
    channel_id: ChannelId,
    caller: Caller,
    context: Context,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MemberRead]:
    """Returns the members, ordered by user id. Only members can list them."""
    found = await members.page(
        context.work, user_id=caller.user_id, channel_id=channel_id, after=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda member: member.user.id)


@router.post(
    "/members",
    status_code=201,
    summary="Add a member to a channel",
    responses={
        200: {"model": MemberRead, "description": "The user was a member already; nothing changed"},
        **problems(
            Unauthenticated,
            Forbidden,
            NotMember,
            NotFound,
            UserNotFound,
            ChannelArchived,
            ConversationFixed,
            TooManyMembers,
            TooManyMemberships,
            Banned,
            UserIsBlocked,
            UserUnreachable,
            Invalid,
            Unavailable,
        ),
    },
)
async def add_channel_member(
    channel_id: ChannelId,
    body: MemberAdd,
    caller: Caller,
    context: Context,
    response: Response,
) -> MemberRead:
    """Requires the role owner or admin; only owners can add owners and admins.

    Refused with `user-unreachable` if the user doesn't let you add them to channels
    (`who_may_add` in their profile).
    """
    await people.USERS.require(context.work, context.services.auth, [body.user_id])
    published = await members.add(
        context.work,
        context.settings,
        by=caller.user_id,
        channel_id=channel_id,
        user_id=body.user_id,
        role=body.role,
    )
    return answer(response, published, location=f"/v1/channels/{channel_id}/members/{body.user_id}")


@router.patch(
    "/members/{user_id}",
    summary="Update a member of a channel",
    responses=problems(
        Unauthenticated, Forbidden, NotMember, NotFound, LastOwner, ConversationFixed, Invalid
    ),
)
async def update_channel_member(
    channel_id: ChannelId,
    user_id: UserId,
    body: MemberChange,
    caller: Caller,
    context: Context,
    response: Response,
) -> MemberRead:
    """Changes the `role` of a member, which requires the role owner, or your own `muted`."""
    published: Published[MemberRead]
    if body.role is not None:
        published = await members.change_role(
            context.work, by=caller.user_id, channel_id=channel_id, user_id=user_id, role=body.role
        )
    else:
        published = await members.mute(
            context.work,
            by=caller.user_id,
            channel_id=channel_id,
            user_id=user_id,
            muted=bool(body.muted),
        )
    return answer(response, published)


@router.delete(
    "/members/{user_id}",
    status_code=204,
    summary="Remove a member from a channel",
    responses=problems(
        Unauthenticated, Forbidden, NotMember, NotFound, LastOwner, ConversationFixed, Invalid
    ),
)
async def remove_channel_member(
    channel_id: ChannelId, user_id: UserId, caller: Caller, context: Context
) -> Response:
    """Ends a membership, or your own. The user receives no later messages.

    Owners can remove everyone, admins only plain members.
    """
    return no_content(
        await members.remove(
            context.work, by=caller.user_id, channel_id=channel_id, user_id=user_id
        )
    )
