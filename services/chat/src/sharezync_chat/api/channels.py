"""Channels and conversations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from sharezync_chat.api.dependencies import Acting, Cursor, KnownActing, Limit, refusals
from sharezync_chat.errors import (
    ConversationFixed,
    TooManyChannels,
    TooManyConversations,
    TooManyMemberships,
    UserIsBlocked,
    UserUnreachable,
)
from sharezync_chat.models import ChannelId, Kind
from sharezync_chat.schemas import ChannelRead
from sharezync_chat.usecases import channels, conversations
from sharezync_shared.asgi.changes import answer, no_content
from sharezync_shared.examples import examples
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import CHANNEL_NAME, DESCRIPTION, TOPIC
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Forbidden, NotFound, Unavailable
from sharezync_shared.users_projection import UserNotFound

router = APIRouter(prefix="/v1", tags=["channels"])

Name = Annotated[str, CHANNEL_NAME, Field(examples=["engines"], description="Name of the channel")]
Description = Annotated[str, DESCRIPTION, Field(examples=["Analytical and otherwise"])]
Topic = Annotated[str, TOPIC, Field(examples=["Today: cogwheels"])]


class ChannelCreate(BaseModel):
    """A channel to create."""

    model_config = examples(
        {"name": "engines", "kind": "public", "topic": "Today: cogwheels"},
        {"name": "board", "kind": "private", "description": "Members of the board"},
    )

    name: Name
    kind: Literal["public", "private"] = Field(
        description="`public`: everyone can find and join it. `private`: by invitation only"
    )
    description: Description = ""
    topic: Topic = ""


class ChannelChange(BaseModel):
    """Changes to a channel. Fields that are omitted or null stay unchanged."""

    model_config = examples(
        {"name": "engines", "topic": "Tomorrow: steam"},
        {"archived": True},
    )

    name: Name | None = Field(None, description="New name")
    description: Description | None = None
    topic: Topic | None = None
    archived: bool | None = Field(
        None, strict=True, description="Whether the channel refuses new messages and members"
    )


class ConversationStart(BaseModel):
    """The other users of a conversation."""

    model_config = examples(
        {"user_ids": ["01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"]},
        {
            "user_ids": [
                "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10",
                "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77",
            ],
            "name": "Holiday plans",
        },
    )

    user_ids: list[UserId] = Field(
        min_length=1,
        max_length=conversations.MOST_PEOPLE,
        description="Ids of the other users: one for a direct conversation, more for a group",
    )
    name: Name | None = Field(None, description="Name of the group, if a new one is created")


@router.post(
    "/channels",
    status_code=201,
    summary="Create a channel",
    responses=refusals(TooManyChannels, TooManyMemberships, Unavailable),
)
async def create_channel(
    body: ChannelCreate, actor: KnownActing, response: Response
) -> ChannelRead:
    """Creates a public or private channel. You become its owner and first member."""
    published = await channels.create(
        actor, body.kind, body.name, description=body.description, topic=body.topic
    )
    return answer(response, published, location=f"/v1/channels/{published.outcome.id}")


@router.get("/channels", summary="List channels", responses=refusals())
async def list_channels(
    actor: Acting,
    *,
    kind: Annotated[Kind | None, Query(description="Only channels of this kind")] = None,
    archived: Annotated[
        bool, Query(description="Only archived channels, instead of those that aren't")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChannelRead]:
    """Returns public channels, and channels and conversations that you are in, newest first."""
    found = await channels.page(actor, kind=kind, archived=archived, before=cursor, limit=limit + 1)
    return page_of(found, limit, lambda channel: channel.id)


@router.get("/channels/{channel_id}", summary="Get a channel", responses=refusals(NotFound))
async def get_channel(channel_id: ChannelId, actor: Acting) -> ChannelRead:
    """Public channels are visible to everyone, others to their members only."""
    return await channels.get(actor, channel_id)


@router.patch(
    "/channels/{channel_id}",
    summary="Update a channel",
    responses=refusals(Forbidden, NotFound, ConversationFixed),
)
async def update_channel(
    channel_id: ChannelId, body: ChannelChange, actor: Acting, response: Response
) -> ChannelRead:
    """Renames, describes or archives a channel. Requires the role owner or admin.

    In a group, every member can change the name and topic. Direct conversations can't be changed.
    """
    changes = body.model_dump(exclude_none=True)
    return answer(response, await channels.change(actor, channel_id, changes))


@router.delete(
    "/channels/{channel_id}",
    status_code=204,
    summary="Delete a channel",
    responses=refusals(Forbidden, NotFound, ConversationFixed),
)
async def delete_channel(channel_id: ChannelId, actor: Acting) -> Response:
    """Deletes a channel and its messages for all members. Requires the role owner."""
    return no_content(await channels.delete(actor, channel_id))


@router.post(
    "/conversations",
    status_code=201,
    summary="Start a conversation",
    responses={
        200: {"model": ChannelRead, "description": "The existing conversation of these users"},
        **refusals(
            UserNotFound,
            UserIsBlocked,
            UserUnreachable,
            TooManyConversations,
            TooManyMemberships,
            Unavailable,
        ),
    },
)
async def create_conversation(
    body: ConversationStart, actor: Acting, response: Response
) -> ChannelRead:
    """Returns your conversation with exactly these users, or creates it.

    With one other user it is `direct`, with more a `group`. The same users always get the same
    conversation; a group that a member has left isn't reused. Requesting an existing conversation
    accepts it. A new one is refused with `user-unreachable` if one of the users doesn't let you
    start conversations with them (`who_may_add` in their profile).
    """
    published = await conversations.find_or_create(actor, body.user_ids, body.name)
    return answer(response, published, location=f"/v1/channels/{published.outcome.id}")
