"""What storage's answers about chunks mean, whichever way they came. Pure."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from sharezync_gateway.realtime.transfer.chunk_store import (
    ChunkAbsent,
    ChunkRefused,
    StoreAway,
    StoredChunk,
)
from sharezync_shared.contracts.storage import CHUNK_PATH, DIGEST_HEADER, ChunkStored

_RETRYABLE: Final = frozenset({401, 408, 429})


class _Refusal(msgspec.Struct):
    code: str = "invalid"
    detail: str = ""


_stored_decoder = msgspec.json.Decoder(ChunkStored)


def chunk_path(upload_id: UUID, index: int) -> str:
    """Return where a chunk lies at storage."""
    return CHUNK_PATH.format(upload_id=upload_id, index=index)


def stored_of(status: int, body: bytes) -> ChunkStored:
    """Return what storage says to a chunk that was put. Raises ChunkRefused and StoreAway."""
    if status == 200:
        try:
            return _stored_decoder.decode(body)
        except msgspec.DecodeError as error:
            raise StoreAway(f"no answer to a chunk: {error}") from error
    refusal = _refusal(body)
    # 507 is a refusal too: there will be no more room in a moment.
    if (400 <= status < 500 and status not in _RETRYABLE) or status == 507:
        raise ChunkRefused(refusal.code, refusal.detail, status)
    raise StoreAway(f"a chunk was answered {status} {refusal.code}")


def chunk_of(status: int, headers: Mapping[str, str], body: bytes) -> StoredChunk:
    """Return the chunk that storage answers with. Raises ChunkAbsent and StoreAway."""
    if status == 404:
        raise ChunkAbsent
    if status != 200:
        raise StoreAway(f"a chunk was answered {status} {_refusal(body).code}")
    try:
        sha256 = bytes.fromhex(headers.get(DIGEST_HEADER, ""))
    except ValueError:
        sha256 = b""
    if len(sha256) != 32:
        raise StoreAway("a chunk came without its digest")
    return StoredChunk(body, sha256)


def _refusal(body: bytes) -> _Refusal:
    try:
        return msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        return _Refusal()
