"""What clients see: one shape for REST, for events and for replies on a socket.

An event carries the same document that a GET would have answered at that moment, so that a client
which applies events holds what a fresh load would give it.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_chat.models import Kind, Role

_ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
_FILE = "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77"
_TIME = "2026-11-21T17:00:00Z"


class Wire(BaseModel):
    """A document that leaves this service; it never changes once it is made."""

    model_config = ConfigDict(frozen=True)


class UserRead(Wire):
    """A person as others see them. A deleted one is called `deleted`."""

    id: UUID
    username: str = Field(examples=["ada"])
    display_name: str = Field(examples=["Ada Lovelace"])


class AttachmentRead(Wire):
    """A file at a message; its bytes are behind `GET /v1/messages/{id}/attachments/{file_id}`."""

    file_id: UUID
    name: str = Field(examples=["engine.png"])
    size_bytes: int = Field(examples=[48213])
    mime: str = Field(examples=["image/png"])


class ReactionRead(Wire):
    """One emoji at a message, and how many used it."""

    emoji: str = Field(examples=["👍"])
    count: int = Field(examples=[3])
    me: bool = Field(description="Whether the caller is one of them")


class MessageRead(Wire):
    """A message. Of a deleted one only the place is left: no text, no attachments."""

    id: UUID = Field(examples=[_ID])
    channel_id: UUID
    author: UserRead
    text: str = Field(examples=["Does the engine run?"])
    attachments: list[AttachmentRead] = Field(
        examples=[
            [{"file_id": _FILE, "name": "engine.png", "size_bytes": 48213, "mime": "image/png"}]
        ]
    )
    reply_to: UUID | None = Field(description="The message of the same channel it answers")
    reactions: list[ReactionRead] = Field(default=[])
    mentions: list[UUID] = Field(
        default=[], description="Ids of the members whom `@name` in its text calls"
    )
    mentions_channel: bool = Field(
        default=False, description="Whether `@channel` in its text calls everyone"
    )
    seq: int = Field(description="Its place in the stream `channel:<channel_id>`", examples=[4711])
    epoch: str = Field(description="The epoch that `seq` belongs to", examples=["9c1d03aa"])
    number: int = Field(
        description="Its place among the channel's messages, from 1 without a gap; unlike `seq` "
        "it counts messages only",
        examples=[3802],
    )
    edited_at: datetime | None
    deleted: bool
    client_message_id: str | None = Field(description="The key that its author sent with it")
    created_at: datetime = Field(examples=[_TIME])


class MessageChanged(MessageRead):
    """A message as `message.updated` and `message.deleted` carry it: without `reactions`.

    `me` in them differs from reader to reader, and the event is the same for all: whoever follows
    the stream knows the reactions from their own events. A deleted message has none.
    """

    reactions: list[ReactionRead] = Field(default=[], exclude=True)


def as_event(message: MessageRead) -> MessageChanged:
    """Return a message as its events carry it."""
    return MessageChanged(**dict(message))


class EditRead(Wire):
    """What a message said before."""

    version: int = Field(description="1 is the original", examples=[1])
    text: str = Field(examples=["Does the engin run?"])
    written_at: datetime = Field(examples=[_TIME], description="Since when it said so")


class ChannelRead(Wire):
    """A channel or a conversation."""

    id: UUID = Field(examples=[_ID])
    kind: Kind
    name: str | None = Field(examples=["engines"], description="None for most conversations")
    description: str
    topic: str
    owner_id: UUID | None = Field(description="None for conversations: they belong to all in them")
    member_count: int = Field(examples=[2])
    message_count: int = Field(examples=[3802], description="The number of the latest message")
    archived: bool = Field(description="Still readable, but closed to new messages and members")
    participants: list[UserRead] = Field(
        default=[],
        description="Who is in a direct or group conversation, by id; empty for channels",
    )
    created_at: datetime = Field(examples=[_TIME])
    updated_at: datetime = Field(examples=[_TIME])


class MemberRead(Wire):
    """Somebody in a channel, as all its members see them."""

    channel_id: UUID
    user: UserRead
    role: Role
    joined_at: datetime


class MembershipRead(Wire):
    """A channel that the caller is in, and how they stand in it."""

    channel: ChannelRead
    role: Role
    unread_count: int = Field(
        examples=[3],
        description="`channel.message_count - last_read_number`: what others deleted still counts, "
        "so that it is the same on all devices whatever order events arrive in",
    )
    mention_count: int = Field(
        examples=[0],
        description="Unread messages that call the caller, by name or all members; what was edited "
        "or deleted since counts as it was posted, and 1000 stands for more",
    )
    last_read_seq: int = Field(
        examples=[4701], description="Read up to here; posting a message reads up to it"
    )
    last_read_number: int = Field(examples=[3799], description="The number of that message")
    last_message: MessageRead | None
    muted: bool
    hidden_up_to: int | None = Field(
        default=None,
        description="Of a direct conversation: it is hidden while `channel.message_count` is not "
        "greater. null: it isn't hidden",
    )
    accepted: bool = Field(
        description="Whether the caller has agreed to be in it: made it, joined, accepted or said "
        "something, and didn't hide it since. If not, others put them there: show it as a request. "
        "Others are not told"
    )
    joined_at: datetime


class ReadRead(Wire):
    """How far the caller has read a channel."""

    channel_id: UUID
    last_read_seq: int = Field(examples=[4711])
    last_read_number: int = Field(examples=[3802])
    unread_count: int = Field(examples=[0])
    mention_count: int = Field(
        examples=[0],
        description="Unread messages that call the caller, of those up to `message_count`",
    )
    message_count: int = Field(
        examples=[3802],
        description="The number of the latest message when this was counted: mentions with a "
        "greater one come on top",
    )


class SyncRead(Wire):
    """Everything a client needs at first, all of one moment."""

    heads: dict[str, tuple[str, int]] = Field(
        description="Epoch and `seq` of every stream the caller is on, to resume from",
        examples=[{f"channel:{_ID}": ("9c1d03aa", 4711)}],
    )
    memberships: list[MembershipRead]


# ----------------------------------------------------------- events that are no document by itself


class ChannelCreated(ChannelRead):
    """`channel.created`: the first event of a stream; who is on it from the start."""

    members: list[MemberRead]


class ChannelDeleted(Wire):
    """`channel.deleted`: the last event of a stream."""

    id: UUID


class MemberJoined(MemberRead):
    """`member.joined`, in the channel; in the joining user's inbox with their membership."""

    member_count: int
    membership: MembershipRead | None = None
    position: Annotated[
        tuple[str, str, int] | None,
        Field(description="Stream, epoch and `seq` that `membership` is the state of"),
    ] = None


class MemberLeft(Wire):
    """`member.left`, in the channel and in the inbox of who left."""

    channel_id: UUID
    user: UserRead
    reason: Literal["left", "removed", "account_deleted"]
    member_count: int


class ReactionChanged(Wire):
    """`message.reaction_added` and `message.reaction_removed`."""

    channel_id: UUID
    message_id: UUID
    user: UserRead
    emoji: str = Field(examples=["👍"])
    count: int = Field(description="How many use it now; 0: it is gone", examples=[3])


class PinRead(Wire):
    """A pinned message."""

    message: MessageRead
    pinned_by: UserRead
    pinned_at: datetime = Field(examples=[_TIME])


class PinChanged(Wire):
    """`message.pinned` and `message.unpinned`."""

    channel_id: UUID
    message_id: UUID
    by: UserRead
    pinned_at: datetime | None = Field(description="None: it is not pinned any more")


class BanRead(Wire):
    """Somebody who is kept out of a channel, as its owners and admins see it."""

    user: UserRead
    banned_by: UserRead
    banned_at: datetime = Field(examples=[_TIME])


class InviteRead(Wire):
    """A way into a channel, as its owners and admins see it."""

    id: UUID = Field(examples=[_ID])
    channel_id: UUID
    created_by: UserRead
    created_at: datetime = Field(examples=[_TIME])
    expires_at: datetime = Field(examples=[_TIME])
    max_uses: int | None = Field(description="None: as often as one likes", examples=[10])
    uses: int = Field(examples=[2])


class InviteCreated(InviteRead):
    """A new invite, with its code: it is shown this once."""

    code: str = Field(examples=["szi_2yV0aD3Jx0qUuCzH7mQfPg"])


class SearchHit(Wire):
    """A message that was found."""

    message: MessageRead
    highlight: str = Field(
        description="Part of its text, found words between `<mark>` and `</mark>`; all else is "
        "escaped for HTML",
        examples=["Does the <mark>engine</mark> run?"],
    )
    rank: float = Field(
        description="How well it matches; 0 behind the newest 100 that do, which are not weighed",
        examples=[0.0607927],
    )


class OwnMemberUpdated(MemberRead):
    """`member.updated` in one's own inbox: what others need not know."""

    muted: bool
    accepted: bool = Field(description="As in the membership; one's first act in it changes it")
    hidden_up_to: int | None = Field(
        default=None, description="As in the membership; it changes when one hides a conversation"
    )
