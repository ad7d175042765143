"""The frames that the gateway itself takes and sends; a new type needs a row here."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sharezync_gateway.realtime import protocol
from sharezync_gateway.realtime.protocol import CHUNK_HEADER_BYTES
from sharezync_gateway.transfers.core import chunks
from sharezync_gateway.transfers.socket import frames
from sharezync_shared.sizes import MAX_CHUNK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFrame:
    """A type of frame that clients send.

    `answers` are keys of `SERVER`. A command without `body` is carried out by a service, which
    declares what it says and its `reply`. Each may be refused by an `error`.
    """

    summary: str
    body: type[msgspec.Struct] | None = None
    reply: type[msgspec.Struct] | None = None
    """What the `data` of a `reply` of the gateway's own is."""
    answers: tuple[str, ...] = ()
    transfer: bool = False
    """Whether it is for transfers: sockets of one channel refuse it."""
    window: bool = False
    """Whether the gateway reads `window` beside what the service declares."""


class Renewed(msgspec.Struct):
    """When the fresh token ends, in seconds since 1970."""

    expires_at: int


class Done(msgspec.Struct):
    """There is nothing to say but that it is done."""


_ACTS_ON_A_TRANSFER: Final = ClientFrame(
    summary="As declared by transfer", transfer=True, window=True
)

CLIENT: Final[dict[str, ClientFrame]] = {
    "authenticate": ClientFrame(
        summary="Authenticate in the first frame, or send a fresh token at any time",
        body=protocol.Authenticate,
        reply=Renewed,
        answers=("ready", "resumed"),
    ),
    "resume": ClientFrame(
        summary="Resume streams after a disconnect, from the last positions seen",
        body=protocol.Resume,
        answers=("resumed",),
    ),
    "replay": ClientFrame(
        summary="Replay a stream from a position, after a gap",
        body=protocol.Replay,
        answers=("resumed",),
    ),
    "ping": ClientFrame(
        summary="Check that the connection works", body=protocol.Ping, answers=("pong",)
    ),
    "pong": ClientFrame(summary="Ignored", body=protocol.Nothing),
    "subscribe": ClientFrame(
        summary="Subscribe to the presence of users and to typing in channels; at most 200 in "
        "all, until the socket closes",
        body=protocol.Subscribe,
        reply=protocol.Subscribed,
    ),
    "unsubscribe": ClientFrame(
        summary="Unsubscribe from presence and typing",
        body=protocol.Subscribe,
        reply=protocol.Unsubscribed,
    ),
    "typing": ClientFrame(
        summary="Signal that the user is typing; at most one in 3 s is forwarded",
        body=protocol.Typing,
        reply=Done,
    ),
    "send_message": ClientFrame(summary="As declared by chat"),
    "mark_read": ClientFrame(summary="As declared by chat"),
    "file_transfer_start": ClientFrame(summary="As declared by transfer", transfer=True),
    **dict.fromkeys(
        (kind for kind in frames.COMMANDS if kind != "file_transfer_start"), _ACTS_ON_A_TRANSFER
    ),
    "file_chunk": ClientFrame(
        summary="Send a chunk in base64, for clients that can't send binary frames",
        body=chunks.JsonChunk,
        answers=("chunk_ack", "chunk_error"),
        transfer=True,
    ),
    "chunk_ack": ClientFrame(
        summary="Confirm received chunks, as a recipient",
        body=frames.ReceiverAck,
        transfer=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFrame:
    """A frame of the gateway's own."""

    body: type[msgspec.Struct]
    summary: str
    transfer: bool = False


SERVER: Final[dict[str, ServerFrame]] = {
    "hello": ServerFrame(body=protocol.Hello, summary="The first frame on every socket"),
    "ready": ServerFrame(
        body=protocol.Ready, summary="The socket is authenticated: its user, device and streams"
    ),
    "resumed": ServerFrame(
        body=protocol.Resumed, summary="Result of `resume` or `replay` for each stream"
    ),
    "reset": ServerFrame(
        body=protocol.Reset,
        summary="A stream must be loaded again; it continues from this position",
    ),
    "error": ServerFrame(body=protocol.Error, summary="A frame was refused; the socket stays open"),
    "pong": ServerFrame(body=protocol.Pong, summary="Response to `ping`"),
    "bye": ServerFrame(body=protocol.Bye, summary="The socket is about to be closed: reconnect"),
    "presence": ServerFrame(
        body=protocol.PresenceSignal,
        summary="Signal: the presence of a subscribed user has changed",
    ),
    "typing": ServerFrame(
        body=protocol.TypingSignal,
        summary="Signal: a user is typing in a subscribed channel; valid for 6 s",
    ),
    "chunk_ack": ServerFrame(
        body=frames.SenderAck, summary="To the sender: these chunks are stored", transfer=True
    ),
    "chunk_error": ServerFrame(
        # Sockets of one channel have it too: that is how they refuse chunks.
        body=frames.ChunkError,
        summary="A chunk, or a delivery, was refused",
    ),
}
PARTS: Final = (
    protocol.AnnouncedLimits,
    protocol.ResumeOutcome,
    protocol.Interested,
    protocol.UserPresence,
    protocol.PresenceData,
    protocol.Typist,
)
"""What frames and replies are made of."""

CHUNK_LAYOUT: Final[dict[str, Any]] = {
    "byte_order": "big-endian",
    "header_bytes": CHUNK_HEADER_BYTES,
    "max_payload_bytes": MAX_CHUNK_BYTES,
    "fields": [
        {"name": "version", "bytes": 1, "value": chunks.VERSION},
        {"name": "kind", "bytes": 1, "value": chunks.KIND_CHUNK},
        {"name": "flags", "bytes": 2, "value": 0},
        {"name": "transfer_id", "bytes": 16, "meaning": "the UUID"},
        {"name": "file", "bytes": 4, "meaning": "number of the file in the transfer, from 0"},
        {"name": "index", "bytes": 4, "meaning": "number of the chunk in the file, from 0"},
        {"name": "length", "bytes": 4, "meaning": "size of the payload in bytes"},
        {"name": "sha256", "bytes": 32, "meaning": "SHA-256 of the payload"},
    ],
}
"""A binary frame: these fields, unsigned, then the payload."""
