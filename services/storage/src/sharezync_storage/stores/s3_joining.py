"""Objects made into one blob, inside the server as far as it lets us.

A part of a multipart upload has at least 5 MiB, but for the last one. What is smaller is read and
written again with its neighbours, some parts at a time.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sharezync_storage.problems import ContentDamaged
from sharezync_storage.stores.in_order import in_order
from sharezync_storage.stores.port import NoSuchBlob
from sharezync_storage.stores.s3_objects import MAX_PARTS, MIN_PART_BYTES, PART_BYTES, Objects

_COPIES_AT_ONCE: Final = 8  # these hold nothing
_GATHERED_AT_ONCE: Final = 2  # each holds its bytes: one is read while the other is written
_READS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Source:
    """An object that a blob is to be made of. Its digest is checked whenever it is read."""

    key: str
    size_bytes: int
    sha256: bytes | None = None


async def join(objects: Objects, sources: Sequence[Source], key: str) -> None:
    """Make the blob `key` of `sources`, one behind the other. The sources stay.

    Idempotent, from several processes at once too. Raises NoSuchBlob where neither all the sources
    nor the blob are there.
    """
    whole = sum(source.size_bytes for source in sources)
    if await objects.has(key, whole):
        return
    try:
        if whole <= PART_BYTES:
            await objects.put(key, await _gathered(objects, sources))
        else:
            await _join_parts(objects, sources, key)
    except NoSuchBlob:
        # Perhaps somebody else was faster, and the sources are gone already.
        if not await objects.has(key, whole):
            raise
    if await objects.bucket.size(key) != whole:
        raise ContentDamaged  # one that was copied is not what the record says


async def _join_parts(objects: Objects, sources: Sequence[Source], key: str) -> None:
    gathering = asyncio.Semaphore(_GATHERED_AT_ONCE)
    async with objects.multipart(key) as upload_id:

        async def part(number: int, sources: Sequence[Source]) -> str:
            if len(sources) == 1:
                return await objects.bucket.copy_part(key, upload_id, number, sources[0].key)
            async with gathering:
                body = await _gathered(objects, sources)
                return await objects.put_part(key, upload_id, number, body)

        parts = enumerate(in_parts(sources), start=1)
        calls = (partial(part, number, group) for number, group in parts)
        await objects.bucket.complete_parts(key, upload_id, await in_order(calls, _COPIES_AT_ONCE))


def in_parts(sources: Sequence[Source]) -> list[list[Source]]:
    """Return `sources` in the groups that become parts: each large enough, none much larger.

    A group of one is copied. Where there are bytes, S3's limits of size and number hold.
    """
    whole = sum(source.size_bytes for source in sources)
    least = max(MIN_PART_BYTES, -(-whole // (MAX_PARTS - 1)))
    enough = max(PART_BYTES, least)
    parts: list[list[Source]] = []
    group: list[Source] = []
    size = 0
    for source in sources:
        if not source.size_bytes:
            continue
        alone = source.size_bytes >= least
        if size >= (least if alone else enough):
            parts.append(group)
            group, size = [], 0
        group.append(source)
        size += source.size_bytes
        if alone and len(group) == 1:
            parts.append(group)
            group, size = [], 0
    if group:
        parts.append(group)
    return parts


async def _gathered(objects: Objects, sources: Sequence[Source]) -> bytes:
    """Return the bytes of some objects in a row, each of them checked."""
    reads = [partial(read_checked, objects, source) for source in sources if source.size_bytes]
    return await objects.threads.run(b"".join, await in_order(reads, _READS_AT_ONCE))


async def read_checked(objects: Objects, source: Source) -> bytes:
    """Return the bytes of an object. Raises NoSuchBlob, and ContentDamaged."""
    data = await objects.read(source.key)
    if source.sha256 is not None:
        if await objects.threads.run(_sha256, data) != source.sha256:
            raise ContentDamaged
    elif len(data) != source.size_bytes:
        raise ContentDamaged
    return data


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
