"""The facts that services publish, in sections by the service that does.

Wire names are explicit and versioned. A contract changes by adding fields with defaults; anything
else is a new name with the next version.
"""

from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

import msgspec

from sharezync_shared.events.bus import Envelope, PermanentError
from sharezync_shared.ids import uuid7


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, in the past tense. Fields that this version does not know are ignored."""

    type: ClassVar[str]
    """Wire name and routing key: `chat.message.deleted.v1`."""
    source: ClassVar[str]
    """Which service publishes it, by the wire name: `/chat`."""
    about: ClassVar[str]
    """The field that holds the id of what the fact is about."""
    may_be_missed: ClassVar[bool] = False
    """Whether no service of ours consumes it: without a queue of somebody else's it is dropped.
    What nobody may miss is kept as unrouted instead, where its consumer has no queue yet."""

    def __init_subclass__(cls) -> None:
        cls.source = f"/{cls.type.partition('.')[0]}"

    @property
    def subject(self) -> str:
        """The id of what the fact is about."""
        return str(getattr(self, self.about))

    def envelope(
        self,
        *,
        event_id: UUID | None = None,
        time: datetime | None = None,
        traceparent: str | None = None,
        tracestate: str = "",
    ) -> Envelope:
        """Return the fact ready to publish; without `event_id` it gets a new identity.

        `time` must be aware; without it the fact happened now.
        """
        return Envelope(
            id=event_id or uuid7(),
            source=self.source,
            type=self.type,
            subject=self.subject,
            time=time or datetime.now(UTC),
            data=msgspec.json.encode(self),
            traceparent=traceparent,
            tracestate=tracestate,
        )

    @classmethod
    def decode(cls, envelope: Envelope) -> Self:
        """Return the fact in `envelope`.

        Raises PermanentError for another type or a body that breaks the contract: in a consumer,
        both belong to the dead letters.
        """
        if envelope.type != cls.type:
            raise PermanentError(f"{envelope.type} is not {cls.type}")
        try:
            return msgspec.json.decode(envelope.data, type=cls)
        except msgspec.DecodeError as error:
            raise PermanentError(f"{cls.type}: {error}") from error


# --- auth -----------------------------------------------------------------------------------------


class UserRegistered(Event, frozen=True, kw_only=True):
    """An account was created."""

    type: ClassVar[str] = "auth.user.registered.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str


class UserUpdated(Event, frozen=True, kw_only=True):
    """The profile or a setting of a user has changed. The fields are the new state."""

    type: ClassVar[str] = "auth.user.updated.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str
    who_may_add: str | None = None
    """`everybody`, `known` or `nobody`: who may add this user to channels and open conversations
    with them. None: an auth that knows no such setting said it."""


class UserDeleted(Event, frozen=True, kw_only=True):
    """An account was deleted. Every service erases its data of the user."""

    type: ClassVar[str] = "auth.user.deleted.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID


class UserBlocked(Event, frozen=True, kw_only=True):
    """A user has blocked another.

    `version` increases with every change to the user's list of blocks. Of two events about the same
    pair, the one with the greater version applies, whatever their order.
    """

    type: ClassVar[str] = "auth.user.blocked.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class UserUnblocked(Event, frozen=True, kw_only=True):
    """A user has unblocked another; `version` as in `UserBlocked`.

    Not published when either account is deleted: there is `UserDeleted` for that.
    """

    type: ClassVar[str] = "auth.user.unblocked.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session was revoked; its tokens are no longer valid."""

    type: ClassVar[str] = "auth.session.revoked.v1"
    may_be_missed = True
    about: ClassVar[str] = "session_id"

    user_id: UUID
    session_id: UUID


class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A user's device connected or was registered for the first time."""

    type: ClassVar[str] = "auth.device.registered.v1"
    may_be_missed = True
    about: ClassVar[str] = "device_id"

    user_id: UUID
    device_id: UUID
    client_id: str
    """Chosen by the client; unique for its user. Its name is a person's words, and stays with
    auth: facts may lie in a broker for long."""


# --- chat -----------------------------------------------------------------------------------------


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
    may_be_missed = True
    about: ClassVar[str] = "channel_id"

    channel_id: UUID
    user_id: UUID


class MemberLeft(Event, frozen=True, kw_only=True):
    """A member has left a channel or was removed from it."""

    type: ClassVar[str] = "chat.member.left.v1"
    may_be_missed = True
    about: ClassVar[str] = "channel_id"

    channel_id: UUID
    user_id: UUID


# --- storage --------------------------------------------------------------------------------------


class FileStored(Event, frozen=True, kw_only=True):
    """A file was completed and verified."""

    type: ClassVar[str] = "storage.file.stored.v1"
    may_be_missed = True
    about: ClassVar[str] = "file_id"

    file_id: UUID
    owner_id: UUID
    size_bytes: int
    media_type: str
    sha256: str | None = None
    """Hexadecimal, of the whole file, where it is known."""


class FileDeleted(Event, frozen=True, kw_only=True):
    """A file was deleted; its content can no longer be read."""

    type: ClassVar[str] = "storage.file.deleted.v1"
    about: ClassVar[str] = "file_id"

    file_id: UUID
    owner_id: UUID


# --- transfer -------------------------------------------------------------------------------------


class TransferOffered(Event, frozen=True, kw_only=True):
    """A transfer was offered."""

    type: ClassVar[str] = "transfer.transfer.offered.v1"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_ids: tuple[UUID, ...]
    file_count: int
    size_bytes: int
    file_ids: tuple[UUID, ...] = ()
    """Ids of the files, which storage will have once they have come."""


class TransferCompleted(Event, frozen=True, kw_only=True):
    """A recipient has completed a transfer. Each recipient completes independently."""

    type: ClassVar[str] = "transfer.transfer.completed.v1"
    may_be_missed = True
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    sender_id: UUID
    recipient_id: UUID
    size_bytes: int


class TransferEnded(Event, frozen=True, kw_only=True):
    """A transfer has ended; data that is stored for it may be deleted."""

    type: ClassVar[str] = "transfer.transfer.ended.v1"
    about: ClassVar[str] = "transfer_id"

    transfer_id: UUID
    outcome: str
    """`completed`, `rejected`, `cancelled`, `expired` or `failed`; expect others."""


def published_by(service: str) -> list[type[Event]]:
    """Return the facts that a service publishes."""
    return [each for each in Event.__subclasses__() if each.source == f"/{service}"]
