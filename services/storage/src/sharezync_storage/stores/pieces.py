"""Pieces of bytes: joined into blocks that are worth a write, hashed; and calls made in order."""

import asyncio
import hashlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
)
from typing import TypeVar

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]
Piece = bytes | memoryview


async def blocks(pieces: AsyncIterable[bytes], block_bytes: int) -> AsyncGenerator[list[Piece]]:
    """Yield `pieces` in lists of `block_bytes` together, cut where they must be; the last has less.

    Nothing is yielded for no bytes.
    """
    block: list[Piece] = []
    size = 0
    async for piece in pieces:
        rest = memoryview(piece)  # to cut bytes is to copy them
        while size + len(rest) >= block_bytes:
            cut = block_bytes - size
            yield [*block, rest[:cut]]
            block, size, rest = [], 0, rest[cut:]
        if rest:
            block.append(rest)
            size += len(rest)
    if block:
        yield block


async def no_pieces() -> AsyncGenerator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


def sha256_of(pieces: Iterable[Piece]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


async def in_order(calls: Iterable[Call[T]] | AsyncIterable[Call[T]], at_once: int) -> list[T]:
    """Make `calls` as they come, at most `at_once` at a time, and return all results in order.

    The next call is taken only when there is room for it. When one fails, or the caller is
    cancelled, the others are cancelled and have ended before that is raised.
    """
    tasks: list[asyncio.Task[T]] = []
    running: set[asyncio.Task[T]] = set()

    async def start(call: Call[T]) -> None:
        nonlocal running
        task = asyncio.create_task(_awaited(call))
        tasks.append(task)
        running.add(task)
        if len(running) >= at_once:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()

    try:
        if isinstance(calls, AsyncIterable):
            async for call in calls:
                await start(call)
        else:
            for call in calls:
                await start(call)
        return [await task for task in tasks]
    finally:
        await _end(tasks)


async def _awaited(call: Call[T]) -> T:
    return await call()


async def _end(tasks: list[asyncio.Task[T]]) -> None:
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains about those after the first
