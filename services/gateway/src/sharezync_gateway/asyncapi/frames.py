"""The frames that the gateway itself takes and sends; a new type needs a row here."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sharezync_gateway.realtime import protocol
from sharezync_gateway.realtime.protocol import CHUNK_HEADER_BYTES
from sharezync_gateway.transfers.core import chunks
from sharezync_gateway.transfers.socket import frames
from sharezync_shared.sizes import MAX_CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class FrameDoc:
    """A type of frame that clients, or the gateway, send.

    `answers` are keys of `SERVER`. A command of a client without `body` is carried out by a
    service, which declares what it says and its reply. Each may be refused by an `error`.
    """

    summary: str
    body: type[msgspec.Struct] | None = None
    reply: type[msgspec.Struct] | None = None
    """What the `data` of a `reply` of the gateway's own is."""
    answers: tuple[str, ...] = ()
    transfer: bool = False
    """Whether it is for transfers: sockets of one channel refuse it."""
    window: bool = False
    """Whether the gateway reads `window` and `encoding` beside what the service declares."""


class Renewed(msgspec.Struct):
    """When the fresh token ends, in seconds since 1970."""

    expires_at: int


class Done(msgspec.Struct):
    """There is nothing to say but that it is done."""


CLIENT: Final[dict[str, FrameDoc]] = {
    "authenticate": FrameDoc(
        "Authenticate in the first frame, or send a fresh token at any time",
        protocol.Authenticate,
        Renewed,
        answers=("ready", "resumed"),
    ),
    "resume": FrameDoc(
        "Resume streams after a disconnect, from the last positions seen",
        protocol.Resume,
        answers=("resumed",),
    ),
    "replay": FrameDoc(
        "Replay a stream from a position, after a gap", protocol.Replay, answers=("resumed",)
    ),
    "ping": FrameDoc("Check that the connection works", protocol.Ping, answers=("pong",)),
    "pong": FrameDoc("Ignored", protocol.Nothing),
    "subscribe": FrameDoc(
        "Subscribe to the presence of users and to typing in channels; at most 200 in "
        "all, until the socket closes",
        protocol.Subscribe,
        protocol.Subscribed,
    ),
    "unsubscribe": FrameDoc(
        "Unsubscribe from presence and typing", protocol.Subscribe, protocol.Unsubscribed
    ),
    "typing": FrameDoc(
        "Signal that the user is typing; at most one in 3 s is forwarded", protocol.Typing, Done
    ),
    "send_message": FrameDoc("As declared by chat"),
    "mark_read": FrameDoc("As declared by chat"),
    **{
        kind: FrameDoc("As declared by transfer", transfer=True, window=kind != frames.COMMANDS[0])
        for kind in frames.COMMANDS
    },
    "file_chunk": FrameDoc(
        "Send a chunk in base64, for clients that can't send binary frames",
        chunks.JsonChunk,
        answers=("chunk_ack", "chunk_error"),
        transfer=True,
    ),
    "chunk_ack": FrameDoc(
        "Confirm received chunks, as a recipient", frames.ReceiverAck, transfer=True
    ),
}

SERVER: Final[dict[str, FrameDoc]] = {
    "hello": FrameDoc("The first frame on every socket", protocol.Hello),
    "ready": FrameDoc("The socket is authenticated: its user, device and streams", protocol.Ready),
    "resumed": FrameDoc("Result of `resume` or `replay` for each stream", protocol.Resumed),
    "reset": FrameDoc(
        "A stream must be loaded again; it continues from this position", protocol.Reset
    ),
    "error": FrameDoc("A frame was refused; the socket stays open", protocol.Error),
    "pong": FrameDoc("Response to `ping`", protocol.Pong),
    "bye": FrameDoc("The socket is about to be closed: reconnect", protocol.Bye),
    "presence": FrameDoc(
        "Signal: the presence of a subscribed user has changed", protocol.PresenceSignal
    ),
    "typing": FrameDoc(
        "Signal: a user is typing in a subscribed channel; valid for 6 s", protocol.TypingSignal
    ),
    "file_chunk": FrameDoc(
        "To recipients that asked for it: a chunk in base64",
        chunks.JsonChunkDown,
        transfer=True,
    ),
    "chunk_ack": FrameDoc(
        "To the sender: these chunks are stored", frames.SenderAck, transfer=True
    ),
    # Sockets of one channel have it too: that is how they refuse chunks.
    "chunk_error": FrameDoc("A chunk, or a delivery, was refused", frames.ChunkError),
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
