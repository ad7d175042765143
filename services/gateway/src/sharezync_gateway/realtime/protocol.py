"""The realtime protocol as values: client frames in, server frames out, and why sockets close.

Pure: nothing here knows of sockets or services. Events are not built here, nor signals but two:
they arrive finished from the services that own their streams.
"""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from uuid import UUID

import msgspec

from sharezync_shared.problems import Problem
from sharezync_shared.sizes import MAX_CHUNK_BYTES, MAX_TEXT_FRAME_BYTES
from sharezync_shared.tracing.context import TRACEPARENT_CHARACTERS, TraceContext, read_context

SUBPROTOCOL: Final = "sharezync.v1"
VERSION: Final = 1

MAX_TEXT_BYTES: Final = MAX_TEXT_FRAME_BYTES
"""Every text frame but `file_chunk`."""
CHUNK_HEADER_BYTES: Final = 64
MAX_BINARY_BYTES: Final = MAX_CHUNK_BYTES + CHUNK_HEADER_BYTES
MAX_MESSAGE_BYTES: Final = max(MAX_CHUNK_BYTES * 3 // 2, MAX_TEXT_BYTES)
"""What the server must let in: a chunk in base64 with its JSON around it."""
BULKY_TYPE: Final = "file_chunk"
"""The one type of text frame that may be longer than `MAX_TEXT_BYTES`."""

MAX_ID_CHARACTERS: Final = 128
_MAX_CURSORS: Final = 2000
_MAX_ATTACHMENTS: Final = 100
"""Far more than chat takes: what is beyond is not worth carrying there to be refused."""
_MAX_EPOCH_CHARACTERS: Final = 64

# Integers are 64 bits wide wherever they go: in a service's query, in its database.
_INT64: Final = 2**63

FrameId = (
    Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
    | Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)]
    | None
)
"""What a client chose to recognise the answer by; None where it doesn't care."""
Seq = Annotated[int, msgspec.Meta(ge=0, le=_INT64 - 1)]
"""A number in a stream; 0 is before its first event."""
Cursor = tuple[str, Seq]
"""A place in a stream: epoch, and the last `seq` that was seen."""


class CloseCode(IntEnum):
    """Why a socket is closed. 4000–4499: reconnect and resume. 4500–4999: don't.

    Below 4000 are those of RFC 6455 §7.4.1 that the server itself closes with.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    PROTOCOL_ERROR = 1002, "Invalid WebSocket framing (RFC 6455)"
    INVALID_TEXT = 1007, "A text frame wasn't valid UTF-8"
    POLICY_VIOLATION = (
        1008,
        "A message had more than 1,024 fragments, or was slower than 4 KiB/s after its first 15 s",
    )
    TOO_BIG = 1009, "A frame exceeded the size limit; don't send it again"
    GOING_AWAY = 4001, "The server is shutting down; `bye` was sent before if there was time"
    TOO_SLOW = 4008, "The client reads too slowly; reconnect and resume"
    IDLE = 4009, "No answer to WebSocket pings"
    TRY_LATER = 4013, "The server can't accept connections at the moment"
    FLOODING = 4029, "The client sent far more frames than `hello` allows"
    BAD_TOKEN = 4501, "The token is missing, invalid or expired; get a fresh one first"
    REVOKED = 4503, "The session has ended, or the account was deleted"
    TOO_MANY_CONNECTIONS = 4504, "The limit of connections of the user is reached"
    NOT_ON_CHANNEL = 4505, "The channel doesn't exist, or the user isn't a member"
    WRONG_VERSION = 4509, "The subprotocol isn't supported"


# --- what clients say ---------------------------------------------------------------------------


class FrameHead(msgspec.Struct):
    """What every client frame has: its type, and an id if the client wants to know the outcome."""

    type: str
    id: FrameId = None
    transfer_id: msgspec.Raw = msgspec.Raw(b"null")
    """As it was written; what a frame is about that is read only when that is known."""
    traceparent: msgspec.Raw = msgspec.Raw(b"null")
    """As it was written: the trace that the client has it in, if that is well formed."""

    @property
    def trace(self) -> TraceContext | None:
        if len(self.traceparent) != TRACEPARENT_CHARACTERS + len('""'):
            return None
        return read_context(bytes(self.traceparent)[1:-1].decode("latin-1"))


class Authenticate(msgspec.Struct):
    """The first frame of a socket that brought no token, or a fresh token at any time."""

    token: str
    cursors: dict[str, Cursor] = {}


class Resume(msgspec.Struct):
    """What was seen of each stream before the socket broke."""

    cursors: dict[str, Cursor]


class Replay(msgspec.Struct):
    """The client saw a gap. Without `epoch`, the present one is meant."""

    stream: str
    after: Seq
    epoch: str | None = None


class Ping(msgspec.Struct):
    """Asks for a `pong`, with the heads of the socket's streams if wanted."""

    heads: bool = False
    timestamp: FrameId | float = None


class Nothing(msgspec.Struct):
    """A frame whose coming is all there is to it."""


class SendMessage(msgspec.Struct, omit_defaults=True):
    """As `POST /v1/channels/{channel_id}/messages`; chat checks what it says."""

    channel_id: UUID
    text: str | None = None
    attachments: Annotated[list[str], msgspec.Meta(max_length=_MAX_ATTACHMENTS)] = []
    reply_to: str | None = None
    client_message_id: str | None = None


class MarkRead(msgspec.Struct, omit_defaults=True):
    """As `PUT /v1/channels/{channel_id}/read`; chat checks what it says."""

    channel_id: UUID
    seq: Seq | None = None
    message_id: str | None = None


class Subscribe(msgspec.Struct):
    """Of whose presence, and of whose channels' typists, one wants to know; or no more."""

    users: list[UUID] = []
    channels: list[UUID] = []


class Typing(msgspec.Struct):
    """The user is typing in a channel."""

    channel_id: UUID


class BadFrame(Exception):
    """A client frame that can't be acted on. The socket lives on; `code` is a problem slug."""

    def __init__(self, code: str, message: str, frame_id: FrameId = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.frame_id = frame_id


_head_decoder = msgspec.json.Decoder(FrameHead)
_NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeError)


def read_head(text: str) -> FrameHead:
    """Return the type and id of a text frame. Raises BadFrame."""
    try:
        return _head_decoder.decode(text)
    except msgspec.ValidationError as error:
        raise BadFrame("invalid", f"Not a frame: {error}") from error
    except _NOT_JSON as error:
        raise BadFrame("malformed", "Not a JSON object") from error


def size_in_utf8(text: str) -> int:
    """Return how many bytes a text frame had. Most frames are ASCII: then nothing is copied."""
    return len(text) if text.isascii() else len(text.encode())


T = TypeVar("T")


def read_body(text: str, body: type[T], frame_id: FrameId = None) -> T:
    """Return the rest of a frame whose head was read; unknown fields are ignored.

    Raises BadFrame.
    """
    try:
        return msgspec.json.decode(text, type=body)
    except (msgspec.ValidationError, *_NOT_JSON) as error:
        raise BadFrame("invalid", str(error) or "Not a valid frame", frame_id) from error


def check_cursors(cursors: dict[str, Cursor], frame_id: FrameId = None) -> None:
    """Raise BadFrame for more cursors than any client needs, or for what is no epoch of ours."""
    if len(cursors) > _MAX_CURSORS:
        raise BadFrame("invalid", f"At most {_MAX_CURSORS} cursors are accepted", frame_id)
    for epoch, _ in cursors.values():
        # Services refuse others, and a refusal is no answer that could be passed on.
        if len(epoch) > _MAX_EPOCH_CHARACTERS or not (epoch.isascii() and epoch.isprintable()):
            raise BadFrame("invalid", "Invalid epoch", frame_id)


# --- what we say --------------------------------------------------------------------------------


class AnnouncedLimits(msgspec.Struct):
    """Limits for clients; in bytes, or in the unit that the name says."""

    text_bytes: int = MAX_TEXT_BYTES
    chunk_bytes: int = MAX_CHUNK_BYTES
    commands_per_second: float = 0


class Hello(msgspec.Struct, tag_field="type", tag="hello"):
    """The first frame on every socket."""

    conn_id: str
    ping_interval_s: float
    limits: AnnouncedLimits
    protocol: str = SUBPROTOCOL
    version: int = VERSION


class Ready(msgspec.Struct, tag_field="type", tag="ready", omit_defaults=True):
    """The user and device of the connection, and the position of each of its streams.

    `missing` names services that did not answer: their streams follow with a `reset` each.
    """

    user: str
    device: str | None
    heads: dict[str, Cursor]
    missing: list[str] = []


class Resumed(msgspec.Struct, tag_field="type", tag="resumed", omit_defaults=True):
    """The outcome of `resume` or `replay` for each stream.

    `replayed`: so many events were replayed. `current`: there were none. `reset`: load the stream
    again from the position of its `reset` frame. `gone`: the user has no access. `later`: its
    service is unavailable; a `reset` follows once it isn't.
    """

    streams: dict[str, "ResumeOutcome"]
    id: FrameId = None


class ResumeOutcome(msgspec.Struct, omit_defaults=True):
    """The outcome for a stream."""

    result: Literal["replayed", "current", "reset", "later", "gone"]
    events: int = 0


class Reset(msgspec.Struct, tag_field="type", tag="reset"):
    """Load this stream again; it continues after `seq`."""

    stream: str
    epoch: str
    seq: int


RETRYABLE: Final = frozenset({429, 503, 504})
"""Statuses of problems that pass though the same is asked again. Where `retry_after_ms` is None, it
is what others do, or the client itself, that they pass by, and no time that we know."""


class Error(msgspec.Struct, tag_field="type", tag="error"):
    """A frame of the client was refused. `code` is as in errors of the HTTP API."""

    id: FrameId
    code: str
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None


def error_about(frame_id: FrameId, problem: Problem | BadFrame) -> Error:
    """Return the error that says why a frame was refused, and when to try again."""
    if isinstance(problem, BadFrame):
        return Error(frame_id, problem.code, problem.message)
    after = getattr(problem, "retry_after_seconds", None)
    return Error(
        frame_id,
        problem.slug,
        problem.detail or problem.title,
        retryable=problem.status in RETRYABLE,
        retry_after_ms=None if after is None else round(after * 1000),
    )


class Pong(msgspec.Struct, tag_field="type", tag="pong", omit_defaults=True):
    """The answer to `ping`."""

    id: FrameId = None
    heads: dict[str, Cursor] | None = None
    timestamp: FrameId | float = None
    """That of the `ping`."""


class Interested(msgspec.Struct):
    """Ids of users and channels."""

    users: list[str]
    channels: list[str]


class UserPresence(msgspec.Struct):
    """Whether a user is online. `last_seen_at` is None while they are, or if they never were."""

    user_id: str
    online: bool
    last_seen_at: str | None


class Subscribed(msgspec.Struct):
    """The reply to `subscribe`: all current subscriptions, those of this frame that were refused,
    and the presence of the others.
    """

    subscribed: Interested
    refused: Interested
    presence: list[UserPresence]


class Unsubscribed(msgspec.Struct):
    """The reply to `unsubscribe`: all remaining subscriptions."""

    subscribed: Interested


class PresenceData(msgspec.Struct):
    """The subscribed users whose presence has changed."""

    users: list[UserPresence]


class PresenceSignal(msgspec.Struct, tag_field="type", tag="presence"):
    """The presence of users has changed. Lost signals are made up for by later ones."""

    at: str
    data: PresenceData


class Typist(msgspec.Struct):
    """A user and the channel that they are typing in."""

    channel_id: str
    user_id: str


class TypingSignal(msgspec.Struct, tag_field="type", tag="typing"):
    """A user is typing; valid for 6 s unless it is repeated."""

    stream: str
    at: str
    data: Typist


class Bye(msgspec.Struct, tag_field="type", tag="bye"):
    """The connection is about to be closed; reconnect after this many milliseconds."""

    code: int
    resume: bool
    after_ms: int


ServerFrame = Hello | Ready | Resumed | Reset | Error | Pong | Bye | PresenceSignal | TypingSignal

encode: Final = msgspec.json.encode
"""The finished payload of a `ServerFrame`."""


def now_text() -> str:
    """The present as `at` of a signal has it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode_reply(frame_id: FrameId, data: bytes | dict[str, Any] | msgspec.Struct) -> bytes:
    """The finished payload of a `reply`; `data` is finished JSON already, or a plain value."""
    if not isinstance(data, bytes):
        data = msgspec.json.encode(data)
    return b'{"type":"reply","id":' + msgspec.json.encode(frame_id) + b',"data":' + data + b"}"
