"""Who is in a channel."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, model_validator

from sharezync_chat.access import ChannelArchived, ConversationFixed, NotMember
from sharezync_chat.api.common import (
    Cursor,
    KnownCaller,
    Limit,
    LimitsPart,
    Page,
    PeersPart,
    WorkPart,
    answer,
    no_content,
    page_of,
)
from sharezync_chat.models import ChannelId, Role
from sharezync_chat.reach import UserBlocked, UserUnreachable
from sharezync_chat.usecases import members, people
from sharezync_chat.usecases.bans import Banned
from sharezync_chat.usecases.limits import TooManyMembers, TooManyMemberships
from sharezync_chat.usecases.members import LastOwner
from sharezync_chat.usecases.people import UserNotFound
from sharezync_chat.usecases.wire import ChannelRead, MemberRead, MembershipRead
from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.streams.told import Told
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1/channels/{channel_id}", tags=["members"])


class MemberAdd(BaseModel):
    """Somebody to put into the channel."""

    user_id: UserId
    role: Role = "member"


class Heir(BaseModel):
    """Who owns the channel from now on."""

    user_id: UserId


class MemberChange(BaseModel):
    """What to change; what is absent or null stays."""

    role: Role | None = Field(None, description="Given by owners")
    muted: bool | None = Field(None, strict=True, description="For oneself; nobody else sees it")

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
        200: {"model": MembershipRead, "description": "The caller was in it already"},
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
    work: WorkPart,
    limits: LimitsPart,
    response: Response,
) -> MembershipRead:
    """Join, with everything said so far counted as read.

    Who is in it already, put there by somebody else, accepts that; so in channels of every kind.
    """
    told = await members.join(work, limits, user_id=caller.user_id, channel_id=channel_id)
    location = f"/v1/channels/{channel_id}/members/{caller.user_id}"
    return answer(response, told, location=location)


@router.post(
    "/leave",
    status_code=204,
    summary="Leave a channel or a group, or hide a conversation",
    responses=problems(Unauthenticated, NotMember, NotFound, LastOwner, Invalid),
)
async def leave_channel(channel_id: ChannelId, caller: Caller, work: WorkPart) -> Response:
    """Leave; nothing that is said from then on reaches the caller. The last owner can't, unless
    they were made that by others and never did anything there.

    A direct conversation is hidden, and the other isn't told: the next message brings it back.
    """
    return no_content(await members.leave(work, user_id=caller.user_id, channel_id=channel_id))


@router.post(
    "/owner",
    summary="Pass a channel on",
    responses=problems(Unauthenticated, Forbidden, NotMember, NotFound, ConversationFixed, Invalid),
)
async def pass_channel_on(
    channel_id: ChannelId, body: Heir, caller: Caller, work: WorkPart, response: Response
) -> ChannelRead:
    """Make another member the owner, as its owner; the caller stays as an admin."""
    told = await members.pass_on(
        work, by=caller.user_id, channel_id=channel_id, user_id=body.user_id
    )
    return answer(response, told)


@router.get(
    "/members",
    summary="Who is in a channel",
    responses=problems(Unauthenticated, NotMember, NotFound, Invalid),
)
async def list_members(
    channel_id: ChannelId,
    caller: Caller,
    work: WorkPart,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MemberRead]:
    """List the members to a member, in the order of their ids."""
    found = await members.page(
        work, user_id=caller.user_id, channel_id=channel_id, after=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda member: member.user.id)


@router.post(
    "/members",
    status_code=201,
    summary="Put somebody into a channel",
    responses={
        200: {"model": MemberRead, "description": "They were in it already; nothing changed"},
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
            UserBlocked,
            UserUnreachable,
            Invalid,
            Unavailable,
        ),
    },
)
async def add_member(
    channel_id: ChannelId,
    body: MemberAdd,
    caller: Caller,
    work: WorkPart,
    peers: PeersPart,
    limits: LimitsPart,
    response: Response,
) -> MemberRead:
    """Add a user as an owner or admin of the channel; only owners make owners and admins.

    Refused with `user-unreachable` where the user lets nobody, or not the caller, add them
    (`who_may_add` of their profile).
    """
    await people.require(work, peers, [body.user_id])
    told = await members.add(
        work,
        limits,
        by=caller.user_id,
        channel_id=channel_id,
        user_id=body.user_id,
        role=body.role,
    )
    return answer(response, told, location=f"/v1/channels/{channel_id}/members/{body.user_id}")


@router.patch(
    "/members/{user_id}",
    summary="Change a member's role, or mute the channel for oneself",
    responses=problems(
        Unauthenticated, Forbidden, NotMember, NotFound, LastOwner, ConversationFixed, Invalid
    ),
)
async def change_member(
    channel_id: ChannelId,
    user_id: UserId,
    body: MemberChange,
    caller: Caller,
    work: WorkPart,
    response: Response,
) -> MemberRead:
    """Change `role`, as an owner, or `muted`, of oneself. One of them at a time."""
    told: Told[MemberRead]
    if body.role is not None:
        told = await members.change_role(
            work, by=caller.user_id, channel_id=channel_id, user_id=user_id, role=body.role
        )
    else:
        told = await members.mute(
            work,
            by=caller.user_id,
            channel_id=channel_id,
            user_id=user_id,
            muted=bool(body.muted),
        )
    return answer(response, told)


@router.delete(
    "/members/{user_id}",
    status_code=204,
    summary="Remove somebody from a channel",
    responses=problems(
        Unauthenticated, Forbidden, NotMember, NotFound, LastOwner, ConversationFixed, Invalid
    ),
)
async def remove_member(
    channel_id: ChannelId, user_id: UserId, caller: Caller, work: WorkPart
) -> Response:
    """Remove a member, or leave. Nothing that is said from then on reaches who is removed.

    Owners may remove anyone, admins only plain members.
    """
    return no_content(
        await members.remove(work, by=caller.user_id, channel_id=channel_id, user_id=user_id)
    )
