"""What chat publishes: messages, channels, memberships."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class MessageSent(Event, frozen=True, kw_only=True):
    """A message with attachments was posted. Other messages aren't published."""

    type: ClassVar[str] = "chat.message.sent.v1"
    about: ClassVar[str] = "message_id"

    message_id: UUID
    channel_id: UUID
    author_id: UUID
    seq: int
    """Its place in the stream of the channel."""
    attachments: tuple[UUID, ...] = ()
    """Ids of the files attached to it."""


class MessageDeleted(Event, frozen=True, kw_only=True):
    """A message was deleted."""

    type: ClassVar[str] = "chat.message.deleted.v1"
    about: ClassVar[str] = "message_id"

    message_id: UUID
    channel_id: UUID
    attachments: tuple[UUID, ...] = ()
    """Ids of the files that were attached to it."""


class ChannelDeleted(Event, frozen=True, kw_only=True):
    """A channel was deleted with its messages."""

    type: ClassVar[str] = "chat.channel.deleted.v1"
    about: ClassVar[str] = "channel_id"

    channel_id: UUID


class MemberJoined(Event, frozen=True, kw_only=True):
    """A user has become a member of a channel."""

    type: ClassVar[str] = "chat.member.joined.v1"
    about: ClassVar[str] = "channel_id"

    channel_id: UUID
    user_id: UUID


class MemberLeft(Event, frozen=True, kw_only=True):
    """A member has left a channel or was removed from it."""

    type: ClassVar[str] = "chat.member.left.v1"
    about: ClassVar[str] = "channel_id"

    channel_id: UUID
    user_id: UUID
