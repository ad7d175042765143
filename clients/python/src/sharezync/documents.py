"""What the server answers, typed. Times are as it says them: RFC 3339, in UTC."""

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from sharezync.shapes import Answered

_MOST_CHUNKS: Final = 2**24
"""Of one file: their digests are in memory, 32 bytes each."""
_Size = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""The largest number that every reader of JSON has exactly (RFC 8259 §6)."""
_ChunkSize = Annotated[int, Meta(ge=1, le=2**24)]
"""A chunk is in memory as a whole."""

Policy = Literal["ask", "accept_known", "block"]
"""What becomes of offers to a device. `ask`: they wait for an answer. `accept_known`: those of
people in whose company one joined a channel or wrote there, or whose transfer one accepted before,
are accepted at once, on this device where they are for no other. `block`: those for this very
device are rejected at once."""

WhoMayAdd = Literal["everybody", "known", "nobody"]
"""Who may add one to channels and open conversations with one. `known`: in whose company one has
joined a channel, written, or accepted a conversation."""


class User(Answered, frozen=True):
    """A person; `email` is there in one's own only."""

    id: str
    username: str
    display_name: str = ""
    email: str | None = None


class Device(Answered, frozen=True):
    """A device; `client_id` is what it calls itself in `/ws/{client_id}`."""

    id: str
    client_id: str
    name: str
    platform: str = ""
    online: bool = False
    last_seen_at: str | None = None


class Channel(Answered, frozen=True):
    """A channel or a conversation; `participants` are those of a conversation."""

    id: str
    kind: str
    name: str | None = None
    topic: str = ""
    member_count: int = 0
    message_count: int = 0
    participants: tuple[User, ...] = ()


class Membership(Answered, frozen=True):
    """A channel that one is in, and what is unread there."""

    channel: Channel
    unread_count: int = 0
    mention_count: int = 0
    last_read_seq: int = 0
    hidden_up_to: int | None = None

    @property
    def hidden(self) -> bool:
        """Whether it is a conversation that one has hidden, in which nothing was said since."""
        return self.hidden_up_to is not None and self.channel.message_count <= self.hidden_up_to


class Attachment(Answered, frozen=True):
    """A file at a message."""

    file_id: str
    name: str
    size_bytes: _Size
    mime: str


class Message(Answered, frozen=True):
    """A message. A deleted one has neither text nor attachments."""

    id: str
    channel_id: str
    author: User
    created_at: str
    text: str = ""
    seq: int = 0
    deleted: bool = False
    client_message_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    edited_at: str | None = None
    edited_by: str | None = None


class Found(Answered, frozen=True):
    """A message that was searched for."""

    message: Message


class Ban(Answered, frozen=True):
    """Somebody who is kept out of a channel."""

    user: User
    banned_by: User
    banned_at: str


class ReceivingPolicy(Answered, frozen=True):
    """The policy of a device; `updated_at` is None where none was ever set."""

    device_id: str
    policy: Policy
    updated_at: str | None


class Blocked(Answered, frozen=True):
    """Somebody whom one has blocked."""

    user_id: str
    blocked_at: str


class OwnUser(User, frozen=True, kw_only=True):
    """Oneself."""

    who_may_add: WhoMayAdd


class TransferFile(Answered, frozen=True):
    """A file of a transfer."""

    index: int
    name: str
    size_bytes: _Size
    path_in_folder: str | None = field(default=None, name="path")
    stored_bytes: int = 0
    root: str | None = None
    sha256: str | None = None

    @property
    def path(self) -> str:
        """What its sender calls it. It may name folders; it comes from a stranger."""
        return self.path_in_folder or self.name


class Recipient(Answered, frozen=True):
    """Somebody to whom a transfer is offered, and how far they are."""

    user_id: str
    state: str
    device_id: str | None = None
    accepted_bytes: int = 0
    received_bytes: int = 0


OVER: Final = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen to a transfer."""


class Transfer(Answered, frozen=True):
    """A transfer as its sender, or one of its recipients, sees it."""

    id: str
    sender_id: str
    state: str
    files: tuple[TransferFile, ...]
    recipients: tuple[Recipient, ...]
    chunk_size_bytes: _ChunkSize
    note: str = ""
    sender_device_id: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    completed_at: str | None = None
    window_bytes: int | None = None
    """How much the sender may have on its way; only in the answer to an offer."""
    token: str | None = None
    """The capability token; only in the answers to an offer and to accepting one."""

    def __post_init__(self) -> None:
        largest = max((file.size_bytes for file in self.files), default=0)
        if largest > self.chunk_size_bytes * _MOST_CHUNKS:
            raise ValueError(largest)

    def __repr__(self) -> str:
        return f"Transfer(id={self.id!r}, state={self.state!r})"  # without its token

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def over(self) -> bool:
        return self.state in OVER


class Capability(Answered, frozen=True):
    """What lets anybody who has it act as one side of one transfer, without a login.

    `role` is `sender` or `recipient`; it ends with that side of the transfer, or at `expires_at`.
    """

    token: str
    role: str
    expires_at: str

    def __repr__(self) -> str:
        return f"Capability(role={self.role!r}, expires_at={self.expires_at!r})"


class StoredFile(Answered, frozen=True):
    """A file that was uploaded; it never changes."""

    id: str
    name: str
    size_bytes: _Size
    mime: str = "application/octet-stream"
    sha256: str | None = None


class FileLink(Answered, frozen=True):
    """A link to a file; `path` and `token` are there only when it is made."""

    id: str
    file_id: str
    expires_at: str
    has_password: bool = False
    downloads_left: int | None = None
    path: str = ""
    token: str = ""


class Upload(Answered, frozen=True):
    """An upload; `file_id` is there once a file was made of it."""

    state: str
    file_id: str | None


class TransferTotals(Answered, frozen=True):
    """What came of transfers in one direction. Each recipient of one counts for themselves.

    `success_rate` is None while nothing has ended; speeds, in bytes a second, are None where
    nothing took long enough to measure.
    """

    ended: int
    completed: int
    files: int
    size_bytes: int = field(name="bytes")
    success_rate: float | None
    mean_bytes_per_second: int | None
    best_bytes_per_second: int | None


class BothWays(Answered, frozen=True):
    """Sums of what was sent and of what was received."""

    sent: TransferTotals
    received: TransferTotals


class TotalsOfDay(BothWays, frozen=True):
    """Sums of a day, in UTC, on which something ended."""

    day: str


class TotalsOfPerson(BothWays, frozen=True):
    """Sums of one's transfers with one other user."""

    user_id: str


class Statistics(BothWays, frozen=True):
    """Sums of all time, of each day, the newest first, and of those with the most bytes."""

    days: tuple[TotalsOfDay, ...]
    people: tuple[TotalsOfPerson, ...] = field(name="peers")
