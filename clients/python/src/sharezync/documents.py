"""What the server answers, typed. Fields that are not named here are in `raw`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from sharezync.problems import NotUnderstood
from sharezync.shapes import Answered, Json, raw_of

_MOST_BYTES: Final = 2**53 - 1
"""The largest number that every reader of JSON has exactly (RFC 8259 §6)."""
_MOST_CHUNK_BYTES: Final = 2**24
"""A chunk is in memory as a whole."""
_MOST_CHUNKS: Final = 2**24
"""Of one file: their digests are in memory, 32 bytes each."""


def _size_of(document: Mapping[str, Any]) -> int:
    size = document["size_bytes"]
    if not isinstance(size, int) or not 0 <= size <= _MOST_BYTES:
        raise NotUnderstood(f"No file has a size of {size!r:.40}")
    return size


@dataclass(frozen=True, slots=True)
class User(Answered):
    """A person; `email` is there in one's own only."""

    id: str
    username: str
    display_name: str
    email: str | None = None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["id"],
            document["username"],
            document.get("display_name") or document["username"],
            document.get("email"),
        )


@dataclass(frozen=True, slots=True)
class Device(Answered):
    """A device; `client_id` is what it calls itself in `/ws/{client_id}`."""

    id: str
    client_id: str
    name: str
    platform: str
    online: bool
    last_seen_at: str | None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["id"],
            document["client_id"],
            document["name"],
            document.get("platform", ""),
            bool(document.get("online")),
            document.get("last_seen_at"),
        )


@dataclass(frozen=True, slots=True)
class Channel(Answered):
    """A channel and how one stands in it, where one is in it."""

    id: str
    kind: str
    name: str | None
    topic: str
    member_count: int
    unread_count: int = 0
    mention_count: int = 0
    last_read_seq: int = 0
    hidden: bool = False
    """A direct conversation that one has hidden, in which nothing was said since."""
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        # A channel, or a membership with a channel in it.
        channel = document.get("channel", document)
        return cls(
            channel["id"],
            channel["kind"],
            channel.get("name"),
            channel.get("topic") or "",
            channel.get("member_count", 0),
            document.get("unread_count", 0),
            document.get("mention_count", 0),
            document.get("last_read_seq", 0),
            _is_hidden(document.get("hidden_up_to"), channel.get("message_count", 0)),
            raw_of(document),
        )


def _is_hidden(up_to: int | None, message_count: int) -> bool:
    return up_to is not None and message_count <= up_to


@dataclass(frozen=True, slots=True)
class Message(Answered):
    """A message. Of a deleted one only its place is left."""

    id: str
    channel_id: str
    author_id: str
    author: str
    text: str
    seq: int
    created_at: str
    deleted: bool
    client_message_id: str | None
    author_username: str = ""
    """Unlike `author`, nobody else can have it."""
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        author = document.get("author") or {}
        return cls(
            document["id"],
            document["channel_id"],
            author.get("id", ""),
            author.get("display_name") or author.get("username") or "somebody",
            document.get("text") or "",
            document.get("seq", 0),
            document["created_at"],
            bool(document.get("deleted")),
            document.get("client_message_id"),
            author.get("username") or "",
            raw_of(document),
        )


@dataclass(frozen=True, slots=True)
class Ban(Answered):
    """Somebody who is kept out of a channel."""

    user: User
    banned_by: User
    banned_at: str

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(User.of(document["user"]), User.of(document["banned_by"]), document["banned_at"])


@dataclass(frozen=True, slots=True)
class TransferFile(Answered):
    """A file of a transfer. `path` may name folders; it comes from a stranger."""

    index: int
    path: str
    size_bytes: int
    stored_bytes: int
    root: str | None
    sha256: str | None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["index"],
            document.get("path") or document["name"],
            _size_of(document),
            document.get("stored_bytes", 0),
            document.get("root"),
            document.get("sha256"),
        )


@dataclass(frozen=True, slots=True)
class Recipient(Answered):
    """Somebody to whom a transfer is offered, and how far they are."""

    user_id: str
    device_id: str | None
    state: str
    accepted_bytes: int
    received_bytes: int

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["user_id"],
            document.get("device_id"),
            document["state"],
            document.get("accepted_bytes", 0),
            document.get("received_bytes", 0),
        )


OVER = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen to a transfer."""


def _chunk_size_of(document: Mapping[str, Any], files: "tuple[TransferFile, ...]") -> int:
    size = document["chunk_size_bytes"]
    largest = max((file.size_bytes for file in files), default=0)
    if (
        not isinstance(size, int)
        or not 1 <= size <= _MOST_CHUNK_BYTES
        or largest > size * _MOST_CHUNKS
    ):
        raise NotUnderstood(f"A file of {largest} bytes can't have chunks of {size!r:.40}")
    return size


@dataclass(frozen=True, slots=True)
class Transfer(Answered):
    """A transfer as its sender, or one of its recipients, sees it."""

    id: str
    sender_id: str
    state: str
    files: tuple[TransferFile, ...]
    recipients: tuple[Recipient, ...]
    chunk_size_bytes: int
    size_bytes: int
    note: str
    window_bytes: int | None
    """How much the sender may have on its way; only in the answer to an offer."""
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @property
    def over(self) -> bool:
        return self.state in OVER

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        files = tuple(map(TransferFile.of, document["files"]))
        chunk_size_bytes = _chunk_size_of(document, files)
        return cls(
            document["id"],
            document["sender_id"],
            document["state"],
            files,
            tuple(map(Recipient.of, document["recipients"])),
            chunk_size_bytes,
            sum(file.size_bytes for file in files),
            document.get("note") or "",
            document.get("window_bytes"),
            raw_of(document),
        )


@dataclass(frozen=True, slots=True)
class Capability(Answered):
    """What opens one end of one transfer to whoever holds it, without a login.

    `role` is `sender` or `recipient`; it ends with that end of the transfer, or at `expires_at`.
    """

    token: str = field(repr=False)
    role: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class StoredFile(Answered):
    """A file that was uploaded; it never changes."""

    id: str
    name: str
    size_bytes: int
    mime: str
    sha256: str | None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["id"],
            document["name"],
            _size_of(document),
            document.get("mime") or "application/octet-stream",
            document.get("sha256"),
        )
