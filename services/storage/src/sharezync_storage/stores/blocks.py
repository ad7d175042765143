"""Pieces of bytes: joined into blocks that are worth a write; none at all."""

from collections.abc import AsyncGenerator, AsyncIterable

Piece = bytes | memoryview


async def blocks(
    pieces: AsyncIterable[bytes], block_bytes: int, *, exact: bool = False
) -> AsyncGenerator[list[Piece]]:
    """Yield `pieces` in lists of about `block_bytes` together; only the last may hold less.

    With `exact`, all but the last hold exactly that, and pieces are cut where they must be.
    """
    block: list[Piece] = []
    size = 0
    async for piece in pieces:
        rest: Piece = memoryview(piece) if exact else piece  # to cut bytes is to copy them
        while exact and size + len(rest) > block_bytes:
            cut = block_bytes - size
            yield [*block, rest[:cut]]
            block, size, rest = [], 0, rest[cut:]
        if rest:
            block.append(rest)
            size += len(rest)
        if size >= block_bytes:
            yield block
            block, size = [], 0
    if block:
        yield block


async def nothing() -> AsyncGenerator[bytes]:
    """Yield no piece."""
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece
