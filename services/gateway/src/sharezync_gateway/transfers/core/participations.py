"""What a participation lets somebody do with chunks."""

from typing import Final

from sharezync_shared.contracts.transfer import ParticipationRead

DELIVERING: Final = frozenset({"accepted", "receiving", "verifying"})
"""States of a recipient in which chunks go to them."""
OVER: Final = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen."""

Refusal = tuple[str, str]
"""Code and message."""


def refusal_of(
    participation: ParticipationRead, file: int, index: int, length_bytes: int
) -> Refusal | None:
    """Return why it is certain that storage would refuse a chunk; None where it is not."""
    if participation.role != "sender":
        return "forbidden", "Only the sender of a transfer sends its chunks"
    if participation.state in OVER:
        return "transfer-over", f"The transfer is {participation.state}"
    shape = participation.shapes.get(file)
    if shape is None or index >= shape.chunk_count:
        return "chunk-outside", "The transfer has no chunk with this index"
    expected = shape.length(index)
    if length_bytes != expected:
        return "chunk-length", f"The chunk has {length_bytes} bytes instead of {expected}"
    return None
