"""Text frames about transfers, beside those that are plain commands. Pure."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from sharezync_gateway.realtime.protocol import FrameId, read_body

MIB: Final = 1024 * 1024
FIRST_WINDOW_BYTES: Final = 4 * MIB
MAX_WINDOW_BYTES: Final = 32 * MIB
"""Credit in bytes, granted by who receives (realtime.md, Credit)."""

COMMANDS: Final = (
    "file_transfer_start",
    "transfer_accept",
    "transfer_reject",
    "transfer_pause",
    "transfer_resume",
    "transfer_cancel",
    "transfer_complete",
)
"""Types of frames that transfer answers."""
BEGINS_DELIVERY: Final = frozenset({"transfer_accept", "transfer_resume"})
ENDS_DELIVERY: Final = frozenset({"transfer_reject", "transfer_pause", "transfer_cancel"})

_Index = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Window = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class ReceiverAck(msgspec.Struct):
    """`chunk_ack` from a receiver: chunks before `next`, and those of `indexes`, are kept."""

    transfer_id: UUID
    file: _Index
    next: _Index = 0
    indexes: Annotated[list[_Index], msgspec.Meta(max_length=1000)] = []
    window: _Window | None = None


class SenderAck(msgspec.Struct, tag_field="type", tag="chunk_ack", omit_defaults=True):
    """`chunk_ack` to a sender: the same, and here kept means stored for good.

    `window` is how many bytes may be on their way.
    """

    transfer_id: UUID
    file: int
    next: int
    window: int
    indexes: list[int] = []


class ChunkError(msgspec.Struct, tag_field="type", tag="error"):
    """`error` about one chunk, or about the delivery of a transfer: then without a place."""

    transfer_id: UUID
    code: str
    message: str
    retryable: bool
    file: int | None = None
    index: int | None = None
    id: FrameId = None
    retry_after_ms: int | None = None


class TransferCommandFrame(msgspec.Struct, frozen=True):
    """What every command but the first says; of a receiver also how chunks are to come.

    `window` is the credit that it grants. With the `encoding` "json", chunks come as `file_chunk`,
    to clients that can't take binary frames.
    """

    transfer_id: UUID
    window: _Window | None = None
    encoding: Literal["binary", "json"] = "binary"


encode_frame: Final = msgspec.json.encode
"""The finished payload of a `SenderAck` or a `ChunkError`."""


def read_command(text: str, frame_id: FrameId) -> dict[str, msgspec.Raw]:
    """Return what a command says beside its type and id. Raises BadFrame.

    As it came: 60 KiB can spell 20,000 empty lists, and a command may wait for those before it.
    """
    data = read_body(text, dict[str, msgspec.Raw], frame_id)
    for name in ("type", "id"):
        data.pop(name, None)
    return data


def bounded_window(asked_bytes: int | None, default_bytes: int) -> int:
    """Return the credit to go by, when a receiver asked for so much."""
    if asked_bytes is None:
        return default_bytes
    return min(asked_bytes, MAX_WINDOW_BYTES)
