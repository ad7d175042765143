"""What clients see: one shape for REST, for events and for replies on a socket.

An event carries the same document that a GET would have answered at that moment, so that a client
which applies events holds what a fresh load would give it.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_chat.models import Kind, Role
from sharezync_shared.sizes import MAX_PAGE_BYTES, in_words

_ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
_FILE = "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77"
_TIME = "2026-11-21T17:00:00Z"


class ChatDocument(BaseModel):
    """A document that leaves this service; it never changes once it is made."""

    model_config = ConfigDict(frozen=True)


class UserRead(ChatDocument):
    """A user. The username of a deleted one is `deleted`."""

    id: UUID
    username: str = Field(examples=["ada"])
    display_name: str = Field(examples=["Ada Lovelace"])


class AttachmentRead(ChatDocument):
    """An attached file; download it with `GET /v1/messages/{id}/attachments/{file_id}`."""

    file_id: UUID
    name: str = Field(examples=["engine.png"], description="Name of the file")
    size_bytes: int = Field(examples=[48213])
    mime: str = Field(examples=["image/png"])


class ReactionRead(ChatDocument):
    """An emoji, and how many users reacted with it."""

    emoji: str = Field(examples=["👍"])
    count: int = Field(examples=[3])
    me: bool = Field(description="Whether you are one of them")


class MessageRead(ChatDocument):
    """A message. A deleted one has neither text nor attachments."""

    id: UUID = Field(examples=[_ID])
    channel_id: UUID
    author: UserRead
    text: str = Field(examples=["Does the engine run?"])
    attachments: list[AttachmentRead] = Field(
        examples=[
            [{"file_id": _FILE, "name": "engine.png", "size_bytes": 48213, "mime": "image/png"}]
        ]
    )
    reply_to: UUID | None = Field(description="Id of the message that it replies to, if any")
    reactions: list[ReactionRead] = Field(default=[])
    mentions: list[UUID] = Field(
        default=[],
        description="Ids of the members who are mentioned by `@name`. Where several names are "
        "possible, as in `@bobさん`, the longest that a member has is meant",
    )
    mentions_channel: bool = Field(
        default=False, description="Whether all members are mentioned by `@channel`"
    )
    seq: int = Field(description="Position in the stream `channel:<channel_id>`", examples=[4711])
    epoch: str = Field(description="Epoch that `seq` belongs to", examples=["9c1d03aa"])
    number: int = Field(
        description="Number of the message in its channel, from 1 without gaps; unlike `seq` it "
        "counts messages only",
        examples=[3802],
    )
    edited_at: datetime | None
    edited_by: UUID | None = Field(
        description="Id of the user who last edited it: its author, or the owner of its channel; "
        "null if never"
    )
    deleted: bool
    client_message_id: str | None = Field(
        description="Idempotency key that the author chose, if any"
    )
    created_at: datetime = Field(examples=[_TIME])


class MessageChanged(MessageRead):
    """A message as `message.updated` and `message.deleted` carry it: without `reactions`.

    `me` in them differs between users, and the event is the same for all: reactions have their own
    events. A deleted message has none.
    """

    reactions: list[ReactionRead] = Field(default=[], exclude=True)


def as_event(message: MessageRead) -> MessageChanged:
    """Return a message as its events carry it."""
    return MessageChanged(**dict(message))


class EditRead(ChatDocument):
    """An earlier text of a message."""

    version: int = Field(description="Number of the version; 1 is the original", examples=[1])
    text: str = Field(examples=["Does the engin run?"])
    written_at: datetime = Field(examples=[_TIME], description="When this version was written")
    written_by: UUID = Field(examples=[_ID], description="Id of the user who wrote this version")


class ChannelRead(ChatDocument):
    """A channel or a conversation."""

    id: UUID = Field(examples=[_ID])
    kind: Kind
    name: str | None = Field(
        examples=["engines"], description="Name of the channel; null for most conversations"
    )
    description: str
    topic: str
    owner_id: UUID | None = Field(description="Id of the owner; null for conversations")
    member_count: int = Field(examples=[2])
    message_count: int = Field(examples=[3802], description="Number of the latest message")
    archived: bool = Field(
        description="Whether it is read-only: new messages and members are refused"
    )
    participants: list[UserRead] = Field(
        default=[],
        description="Members of a conversation, ordered by id; empty for channels",
    )
    created_at: datetime = Field(examples=[_TIME])
    updated_at: datetime = Field(examples=[_TIME])


class MemberRead(ChatDocument):
    """A member of a channel."""

    channel_id: UUID
    user: UserRead
    role: Role
    joined_at: datetime


class MembershipRead(ChatDocument):
    """Your membership in a channel."""

    channel: ChannelRead
    role: Role
    unread_count: int = Field(
        examples=[3],
        description="`channel.message_count - last_read_number`. Deleted messages count, so that "
        "it is the same on all devices, whatever the order of events",
    )
    mention_count: int = Field(
        examples=[0],
        description="Number of unread messages that mention you or all members, as they were "
        "posted; 1000 stands for 1000 or more",
    )
    last_read_seq: int = Field(
        examples=[4701],
        description="`seq` up to which you have read; posting a message marks it as read",
    )
    last_read_number: int = Field(examples=[3799], description="Number of that message")
    last_message: MessageRead | None = Field(
        description="Latest message; null if there is none. Also null in the snapshot of "
        f"`GET /v1/sync` once those of newer channels have {in_words(MAX_PAGE_BYTES)} of text: "
        "list the messages of the channel"
    )
    muted: bool
    hidden_up_to: int | None = Field(
        default=None,
        description="A direct conversation is hidden while `channel.message_count` is at most "
        "this; null: it isn't hidden",
    )
    accepted: bool = Field(
        description="Whether the caller has agreed to be a member: created, joined, accepted or "
        "posted, without hiding it since. If not, another user added them: show it as a request. "
        "Not visible to other members"
    )
    joined_at: datetime


class ReadRead(ChatDocument):
    """The position up to which you have read a channel."""

    channel_id: UUID
    last_read_seq: int = Field(examples=[4711])
    last_read_number: int = Field(examples=[3802])
    unread_count: int = Field(examples=[0])
    mention_count: int = Field(
        examples=[0],
        description="Number of unread messages up to `message_count` that mention you",
    )
    message_count: int = Field(
        examples=[3802],
        description="Number of the latest message that was counted; mentions in later ones have to "
        "be added",
    )


class SyncRead(ChatDocument):
    """Snapshot of the state of a client."""

    heads: dict[str, tuple[str, int]] = Field(
        description="Epoch and latest `seq` of each of your streams, to resume from",
        examples=[{f"channel:{_ID}": ("9c1d03aa", 4711)}],
    )
    memberships: list[MembershipRead]


# ----------------------------------------------------------- events that are no document by itself


class ChannelCreated(ChannelRead):
    """`channel.created`: the first event of a stream."""

    members: list[MemberRead]


class ChannelDeletedRead(ChatDocument):
    """`channel.deleted`: the last event of a stream."""

    id: UUID


class MemberJoinedRead(MemberRead):
    """`member.joined`, in the channel; in the joining user's inbox with their membership."""

    member_count: int
    membership: MembershipRead | None = None
    position: Annotated[
        tuple[str, str, int] | None,
        Field(description="Stream, epoch and `seq` that `membership` is the state of"),
    ] = None


class MemberLeftRead(ChatDocument):
    """`member.left`, in the channel and in the inbox of the user who left."""

    channel_id: UUID
    user: UserRead
    reason: Literal["left", "removed", "account_deleted"]
    member_count: int


class ReactionChanged(ChatDocument):
    """`message.reaction_added` and `message.reaction_removed`."""

    channel_id: UUID
    message_id: UUID
    user: UserRead
    emoji: str = Field(examples=["👍"])
    count: int = Field(description="Number of users who react with this emoji now", examples=[3])


class PinRead(ChatDocument):
    """A pinned message."""

    message: MessageRead
    pinned_by: UserRead
    pinned_at: datetime = Field(examples=[_TIME])


class PinChanged(ChatDocument):
    """`message.pinned` and `message.unpinned`."""

    channel_id: UUID
    message_id: UUID
    by: UserRead
    pinned_at: datetime | None = Field(
        description="When the message was pinned; null: it was unpinned"
    )


class BanRead(ChatDocument):
    """A user who is banned from a channel."""

    user: UserRead
    banned_by: UserRead
    banned_at: datetime = Field(examples=[_TIME])


class InviteRead(ChatDocument):
    """An invite to a channel."""

    id: UUID = Field(examples=[_ID])
    channel_id: UUID
    created_by: UserRead
    created_at: datetime = Field(examples=[_TIME])
    expires_at: datetime = Field(examples=[_TIME])
    max_uses: int | None = Field(
        description="How often it can be accepted; null: without limit", examples=[10]
    )
    uses: int = Field(examples=[2])


class InviteCreated(InviteRead):
    """A new invite with its code, which is only shown once."""

    code: str = Field(
        examples=["szi_2yV0aD3Jx0qUuCzH7mQfPg"], description="Code to accept the invite with"
    )


class SearchHit(ChatDocument):
    """A search result."""

    message: MessageRead
    highlight: str = Field(
        description="Part of the text as HTML, with matches in `<mark>`",
        examples=["Does the <mark>engine</mark> run?"],
    )
    rank: float = Field(
        description="How well it matches; 0 after the newest 100 matches, which aren't ranked",
        examples=[0.0607927],
    )


class OwnMemberUpdated(MemberRead):
    """`member.updated` in the inbox of the member, with private fields."""

    muted: bool
    accepted: bool = Field(
        description="As in the membership. Changes with the caller's first act in the channel"
    )
    hidden_up_to: int | None = Field(
        default=None, description="As in the membership; changes when the conversation is hidden"
    )
