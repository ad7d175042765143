"""The tables of the schema `chat`.

Who changes a channel, its members or its messages holds the head of the channel's stream first
(`access.py`), so the rows of one channel change in the order of its events.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal, NamedTuple, NewType
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.ids import UserId
from sharezync_shared.service_tables import partial_index, service_metadata
from sharezync_shared.users_projection import blocks_tables

ChannelId = NewType("ChannelId", UUID)
MessageId = NewType("MessageId", UUID)
FileId = NewType("FileId", UUID)

Kind = Literal["public", "private", "direct", "group"]
Role = Literal["owner", "admin", "member"]

SCHEMA: Final = "chat"
CONVERSATIONS: Final[frozenset[str]] = frozenset({"direct", "group"})
"""Kinds whose members are part of what they are: nobody owns, joins or renames them away."""
MODERATORS: Final[frozenset[str]] = frozenset({"owner", "admin"})

metadata = service_metadata(SCHEMA)


def channel_stream(channel_id: ChannelId | UUID) -> str:
    """Return the stream of what all members of a channel see."""
    return f"channel:{channel_id}"


def inbox_stream(user_id: UserId | UUID) -> str:
    """Return the stream of what only this user sees."""
    return f"inbox:{user_id}"


class ChatTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class _OfChannel(ChatTable):
    """Goes with its channel, which is the first part of its key."""

    channel_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.channels.id", ondelete="CASCADE"
    )


class _OfMessage(ChatTable):
    """Goes with its message, which is the first part of its key."""

    message_id: UUID = Field(
        primary_key=True, foreign_key=f"{SCHEMA}.messages.id", ondelete="CASCADE"
    )


class User(ChatTable, table=True):
    """What chat knows of a user: the names, as auth last published them.

    `username_key` is what `@name` is compared by. `names_at` is when auth said so: events come in
    no particular order. `who_may_add` (to channels and conversations) comes with them. Of a
    deleted user the row stays, without names: what they wrote has an author, and a late event
    can't bring them back.
    """

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(primary_key=True)
    username: str = Field(sa_type=Text)
    username_key: str = Field(sa_type=Text(collation="C"), index=True)
    display_name: str = Field(sa_type=Text)
    names_at: datetime
    deleted: bool = Field(default=False)
    who_may_add: str = Field(
        default="everybody", sa_type=Text, sa_column_kwargs={"server_default": "everybody"}
    )


class Channel(ChatTable, table=True):
    """A place for messages. `message_count` is also the number of the latest one.

    `conversation_key` is set while a direct or group conversation is *the* one of exactly these
    people. `created_by` made or opened it, whoever owns it now; of old ones that is unknown. With
    `deleted_at` the channel is gone for everyone, and its messages are on their way.
    """

    __tablename__: ClassVar[str] = "channels"
    __table_args__ = (
        CheckConstraint("kind IN ('public', 'private', 'direct', 'group')", name="kind"),
        # What is left to purge, found without reading all channels.
        partial_index("ix_channels_deleted_at", "deleted_at", where="deleted_at IS NOT NULL"),
        # What somebody has made is counted when they make another one.
        partial_index("ix_channels_created_by", "created_by", where="deleted_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    name: str | None = Field(default=None, sa_type=Text)
    description: str = Field(default="", sa_type=Text)
    topic: str = Field(default="", sa_type=Text)
    owner_id: UUID | None = Field(default=None)
    member_count: int = Field(default=0)
    message_count: int = Field(default=0, sa_type=BigInteger)
    archived: bool = Field(default=False)
    created_by: UUID | None = Field(default=None)
    conversation_key: str | None = Field(default=None, sa_type=Text, unique=True)
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = Field(default=None)

    @property
    def stream(self) -> str:
        """The stream of what all members see."""
        return channel_stream(self.id)

    @property
    def is_conversation(self) -> bool:
        """Whether this is a direct or group conversation."""
        return self.kind in CONVERSATIONS


class Member(_OfChannel, table=True):
    """Somebody in a channel, and what they have read of it.

    Read up to `last_read_seq`, in which `last_read_number` messages lie; both only grow.

    `acted_at` is when they last did something by which they agree to be here, in the company of
    those who are: made it, joined, accepted, wrote, reacted, added somebody. None: nothing yet, or
    they hid the conversation since. It decides who sees whom (`reach.py`).
    A direct conversation is hidden while it has no message after number `hidden_up_to`.
    """

    __tablename__: ClassVar[str] = "members"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),
        Index("ix_members_user_id", "user_id"),
    )

    user_id: UUID = Field(primary_key=True, foreign_key=f"{SCHEMA}.users.id")
    role: str = Field(sa_type=Text)
    joined_at: datetime
    last_read_seq: int = Field(default=0, sa_type=BigInteger)
    last_read_number: int = Field(default=0, sa_type=BigInteger)
    muted: bool = Field(default=False)
    acted_at: datetime | None = Field(default=None)
    hidden_up_to: int | None = Field(default=None, sa_type=BigInteger)

    @property
    def is_moderator(self) -> bool:
        """Whether this member keeps order here: an owner or an admin."""
        return self.role in MODERATORS


class Message(ChatTable, table=True):
    """One message: event `seq` of its channel's stream, and its `number`-th message.

    Without foreign keys: it is inserted while the channel's head is held, and each key would be
    looked up again for each row of the hottest path here.
    """

    __tablename__: ClassVar[str] = "messages"
    __table_args__ = (
        # For ever: a retry finds the first message however late it comes.
        UniqueConstraint("author_id", "client_message_id"),
        UniqueConstraint("channel_id", "seq"),
        Index("ix_messages_author_id_id", "author_id", "id"),
        partial_index("ix_messages_reply_to_id", "reply_to", "id", where="reply_to IS NOT NULL"),
    )

    id: UUID = Field(primary_key=True)
    channel_id: UUID
    author_id: UUID
    text: str = Field(sa_type=Text)
    reply_to: UUID | None = Field(default=None)
    mentions: list[UUID] = Field(sa_type=ARRAY(Uuid()), default_factory=list)
    mentions_channel: bool = Field(default=False)
    seq: int = Field(sa_type=BigInteger)
    number: int = Field(sa_type=BigInteger)
    epoch: str = Field(sa_type=Text)
    client_message_id: str | None = Field(default=None, sa_type=Text)
    created_at: datetime
    edited_at: datetime | None = Field(default=None)
    edited_by: UUID | None = Field(default=None)
    """Who did; None where that was its author, before it could be somebody else."""
    deleted_at: datetime | None = Field(default=None)

    @property
    def stream(self) -> str:
        """The stream of its channel."""
        return channel_stream(self.channel_id)


class MessageRow(NamedTuple):
    """What is written of a message when it is posted: columns of `messages`."""

    id: UUID
    channel_id: UUID
    author_id: UUID
    text: str
    reply_to: UUID | None
    mentions: Sequence[UUID]
    mentions_channel: bool
    seq: int
    number: int
    epoch: str
    client_message_id: str | None
    created_at: datetime


class Mention(ChatTable, table=True):
    """Message `number` of a channel calls somebody: a member, or with the channel's id all of them.

    For counting what is unread. Written when the message is posted and left alone afterwards, as
    `number`s are: an edit calls nobody, and what was deleted counts until it is read, so that all
    devices count alike in whatever order they hear of things. Calls by an author whom the member
    has blocked don't count: that is looked at when counting, so that it holds for old ones too.
    """

    __tablename__: ClassVar[str] = "mentions"
    __table_args__ = (
        # Past all calls of one author at once, where they are blocked.
        Index("ix_mentions_authors", "channel_id", "target_id", "author_id", "number"),
    )

    channel_id: UUID = Field(primary_key=True)
    target_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    author_id: UUID | None = Field(default=None)


class Ban(_OfChannel, table=True):
    """Somebody is kept out of a channel: they can't join, be let in by an invite, or be added."""

    __tablename__: ClassVar[str] = "bans"

    user_id: UUID = Field(primary_key=True, foreign_key=f"{SCHEMA}.users.id", index=True)
    banned_by: UUID
    banned_at: datetime


class Removal(_OfChannel, table=True):
    """Somebody was removed from a channel: invites made up to then don't let them in again."""

    __tablename__: ClassVar[str] = "removals"

    user_id: UUID = Field(primary_key=True, index=True)
    removed_at: datetime


class Reaction(_OfMessage, table=True):
    """Somebody's emoji at a message."""

    __tablename__: ClassVar[str] = "reactions"

    emoji: str = Field(primary_key=True, sa_type=Text(collation="C"))
    user_id: UUID = Field(primary_key=True, index=True)
    created_at: datetime


class Pin(_OfMessage, table=True):
    """A message that its channel keeps at hand."""

    __tablename__: ClassVar[str] = "pins"
    __table_args__ = (Index("ix_pins_channel_id_pinned_at", "channel_id", "pinned_at"),)

    channel_id: UUID
    pinned_by: UUID
    pinned_at: datetime


class Invite(ChatTable, table=True):
    """A code that lets whoever has it into a channel, for a time, a number of times.

    Only its digest is kept: who reads the database can't walk in.
    """

    __tablename__: ClassVar[str] = "invites"
    __table_args__ = (
        Index("ix_invites_channel_id_id", "channel_id", "id"),
        # How many of somebody's hold is counted when they make another one.
        partial_index("ix_invites_created_by", "created_by", where="revoked_at IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    channel_id: UUID = Field(foreign_key=f"{SCHEMA}.channels.id", ondelete="CASCADE")
    code_digest: bytes = Field(sa_type=LargeBinary, unique=True)
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    max_uses: int | None = Field(default=None)
    uses: int = Field(default=0)
    revoked_at: datetime | None = Field(default=None)


class SearchText(_OfMessage, table=True):
    """The words of a message, for search. Made a moment after the message (usecases/indexing.py).

    Apart from `messages`: an inverted index that is kept up to date within each insert would stop
    the hot path whenever it tidies itself up.
    """

    __tablename__: ClassVar[str] = "search_texts"
    __table_args__ = (
        Index("ix_search_texts_words", "words", postgresql_using="gin"),
        Index("ix_search_texts_channel_id", "channel_id"),
    )

    channel_id: UUID
    words: str = Field(sa_type=TSVECTOR)


class SearchHead(_OfChannel, table=True):
    """How far a channel's messages are indexed: up to this `number`."""

    __tablename__: ClassVar[str] = "search_heads"

    indexed_number: int = Field(sa_type=BigInteger)


class MessageEdit(_OfMessage, table=True):
    """What a message said before an edit; version 1 is the original."""

    __tablename__: ClassVar[str] = "message_edits"

    version: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    written_at: datetime
    written_by: UUID | None = Field(default=None)
    """As `edited_by` of a message."""


class Attachment(_OfMessage, table=True):
    """A file at a message, as storage described it when the message was posted."""

    __tablename__: ClassVar[str] = "attachments"
    __table_args__ = (Index("ix_attachments_file_id", "file_id"),)

    position: int = Field(primary_key=True)
    file_id: UUID
    name: str = Field(sa_type=Text)
    size_bytes: int = Field(sa_type=BigInteger)
    mime: str = Field(sa_type=Text)


blocks_tables(metadata)
