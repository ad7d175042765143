"""What the store must hold for all that the database says: for backups, and after a restore."""

import hashlib
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from sharezync_shared.streams.log import Connection
from sharezync_storage.keys import file_key
from sharezync_storage.states import UNFINISHED
from sharezync_storage.stores.port import BlobStore, NoSuchBlob

_FETCHED_AT_ONCE: Final = 1000
_NEEDED: Final = """
SELECT id, store_key, size_bytes, sha256, true AS finished
FROM storage.files WHERE deleted_at IS NULL
UNION ALL
SELECT id, store_key, stored_bytes, NULL, false FROM storage.uploads
WHERE state = ANY($1::text[]) AND (stored_bytes > 0 OR door IN ('chunks', 'direct'))
"""
_NEXT_FILES: Final = """
SELECT id, store_key, size_bytes, sha256 FROM storage.files
WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2
"""
_IS_FILE: Final = "SELECT EXISTS (SELECT FROM storage.files WHERE id = $1 AND deleted_at IS NULL)"


class NeededBlob(NamedTuple):
    """A key of the store that is needed. A finished file has `size_bytes`, an upload has no fewer.

    An upload of none may have nothing there yet. Its bytes are at `successor` once it has become a
    file.
    """

    key: str
    size_bytes: int
    sha256: bytes | None
    finished: bool
    successor: str


async def needed_blobs(connection: Connection) -> AsyncGenerator[NeededBlob]:
    """Yield what files and unfinished uploads need, in the transaction that the caller has begun.

    An upload is told by the key under which a folder has it: a bucket has objects beneath it.
    """
    blob_id: UUID
    cursor = connection.cursor(_NEEDED, list(UNFINISHED), prefetch=_FETCHED_AT_ONCE)
    async for blob_id, key, size_bytes, sha256, finished in cursor:
        yield NeededBlob(key, size_bytes, sha256, finished, file_key(blob_id))


async def faulty_files(
    pool: "asyncpg.Pool[asyncpg.Record]", store: BlobStore, *, digests: bool
) -> AsyncGenerator[tuple[str, str | None]]:
    """Yield the key of each file, and in words what is wrong with it in the store; None: nothing.

    With `digests` files are read whose digest is known. Raises StoreUnavailable.
    """
    last = UUID(int=0)
    while rows := await pool.fetch(_NEXT_FILES, last, _FETCHED_AT_ONCE):
        for last, key, size_bytes, sha256 in rows:
            fault = await _fault_of(store, key, size_bytes, sha256 if digests else None)
            # It may have been deleted a moment ago.
            if fault is None or await pool.fetchval(_IS_FILE, last):
                yield key, fault


async def _fault_of(
    store: BlobStore, key: str, size_bytes: int, sha256: bytes | None
) -> str | None:
    try:
        size = await store.size(key)
        if size != size_bytes:
            return f"has {size} bytes instead of {size_bytes}"
        if sha256 is not None:
            whole = hashlib.sha256()
            async with store.open(key) as pieces:
                async for piece in pieces:
                    whole.update(piece)
            if whole.digest() != sha256:
                return "has another SHA-256"
    except NoSuchBlob:
        return "is missing"
    return None
