"""Frames: what the owner of a stream hands to every gateway, finished and ready to be written.

A frame is encoded once, by the service that owns its stream. Buses and gateways pass `text` on as
the same bytes and never parse it; what a gateway itself must do lies beside it, in `control`.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from sharezync_shared.tracing.context import TRACEPARENT_CHARACTERS

SHARDS: Final = 256
"""How many routing keys the realtime exchange knows. Fixed: publishers and receivers of different
versions meet on one broker, and both derive the key from the stream's name."""


class Control(msgspec.Struct, omit_defaults=True):
    """What gateways must do when they pass this frame, in `seq` order."""

    join: list[str] = []
    """Ids of users who are on the stream from this frame on, this frame included."""
    leave: list[str] = []
    """Ids of users who get this frame and nothing of the stream after it."""
    end: bool = False
    """The stream is over: everybody leaves after this frame."""
    revoke_sessions: list[str] = []
    """Sessions whose sockets close with 4503 and whose tokens are refused from now on."""
    revoke_user: str | None = None
    """The user all of whose sessions are revoked."""
    recheck: list[str] = []
    """Ids of users of whom each may see less of the others than before, or more: what is shown of
    one to another (presence, typing) is to be asked for again. On whatever stream it comes."""
    epoch_of: str | None = None
    """The service all of whose streams are in the epoch of this frame."""
    added: dict[str, tuple[str, int]] = {}
    """Streams that the user of this inbox was let in to, each with the epoch and `seq` of the frame
    that did it: a gateway that knows nothing of such a stream asks for that frame."""
    chunk: list[Any] | None = None
    """A chunk of a transfer was stored; its meaning belongs to the transfer protocol."""


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """One step of one stream, finished."""

    stream: str
    """`channel:<uuid>`, `inbox:<user>`, `transfers:<user>`, `account:<user>`, or, for control
    only, `transfer:<id>`, `epoch:<service>`."""
    epoch: str
    """Changes only when the stream's log can't be trusted any more."""
    seq: int
    """Gap-free in its stream from 1; 0 for a signal, which is never stored and may be dropped."""
    text: bytes
    """The finished UTF-8 JSON text frame; empty for control only: nothing to deliver."""
    control: Control | None = None


_AT: Final = b'"at":"'
_TYPE: Final = b'{"type":"'
_TRACEPARENT: Final = b',"traceparent":"'
_HEAD_BYTES: Final = 512
"""What comes before the time is shorter."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Frame])


def time_of(text: bytes) -> float | None:
    """Return when the event of a frame happened, in seconds since the epoch; None if it is none.

    `text` is what `log.frame_text` made, or a WebSocket frame that begins with it. Source: its
    order of fields; nothing before the time can have its key in it.
    """
    start = text.find(_AT, 0, _HEAD_BYTES) + len(_AT)
    if start < len(_AT):
        return None
    try:
        return datetime.fromisoformat(text[start : text.index(b'"', start)].decode()).timestamp()
    except ValueError:
        return None


def type_of(text: bytes) -> str:
    """Return the type of the event of a frame; `text` as in `time_of`."""
    return text[len(_TYPE) : text.find(b'"', len(_TYPE))].decode()


def traceparent_of(text: bytes) -> str | None:
    """Return the trace context that the event of a frame is marked with; `text` as in `time_of`."""
    start = text.find(_AT, 0, _HEAD_BYTES) + len(_AT)
    if start < len(_AT):
        return None
    start = text.find(b'"', start) + 1
    if not text.startswith(_TRACEPARENT, start):
        return None
    start += len(_TRACEPARENT)
    return text[start : start + TRACEPARENT_CHARACTERS].decode("latin-1")


def shard_of(stream: str) -> int:
    """The shard, 0 to 255, that every frame of `stream` travels on; the same in every process."""
    return zlib.crc32(stream.encode()) % SHARDS


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Several frames as one body (msgpack); order is kept."""
    return _encoder.encode(frames)


def decode_frames(body: bytes) -> list[Frame]:
    """The frames of a body made by `encode_frames`.

    Raises msgspec.DecodeError (msgspec.ValidationError included) for anything else. Fields that a
    newer sender appended are ignored.
    """
    return _decoder.decode(body)
