"""The port to where chunks are kept. Two adapters, one contract: HTTP and a direct ASGI call."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sharezync_gateway.realtime.transfer.chunks import Bytes
from sharezync_shared.contracts.storage import ChunkStored


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it was stored."""

    payload: bytes
    sha256: bytes


class ChunkRefused(Exception):
    """The store will not take this chunk, however often it comes. `code` is a problem slug.

    `status` is what the store gave with it over HTTP.
    """

    def __init__(self, code: str, detail: str, status: int = 409) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status


class ChunkAbsent(Exception):
    """The store has no such chunk (yet)."""


class StoreAway(Exception):
    """The store did not answer, or not with what was promised: try again."""


class ChunkStore(Protocol):
    """Puts and gets chunks of uploads. One test suite holds every adapter to this."""

    async def start(self) -> None:
        """Make ready. The store need not be there yet."""
        ...

    async def aclose(self) -> None:
        """Give back what `start` took. Idempotent."""
        ...

    async def put_chunk(
        self, upload_id: UUID, index: int, sha256: bytes, payload: Bytes
    ) -> ChunkStored:
        """Store one chunk; it is durable when this returns, and can be read.

        Any number may be under way. The same chunk may be put again. Raises ChunkRefused (with
        `chunk-corrupt` where the digest is another one, `chunk-conflict`, `chunk-length`,
        `chunk-outside`, `upload-closed`, `not-found`, or what else the store says) and StoreAway:
        then it may be stored or not.
        """
        ...

    async def get_chunk(self, upload_id: UUID, index: int) -> StoredChunk:
        """Return one chunk. Raises ChunkAbsent and StoreAway."""
        ...
