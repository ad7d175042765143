"""What a store of blobs promises. Two adapters, one contract: a folder, and a bucket of S3.

One suite of tests (`tests/contract.py`) holds both to every sentence here.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

PIECE_BYTES: Final = 256 * 1024
"""The most that one piece of a read holds."""


class NoSuchBlob(Exception):
    """Nothing is kept under this key: nothing ever was, or it was deleted."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store took in, counted and hashed on the way."""

    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How an upload is cut into chunks: all have one size, but the last may be shorter."""

    key: str
    """Of the upload. The finished blob has another."""
    size_bytes: int
    chunk_size_bytes: int

    @property
    def count(self) -> int:
        """How many chunks there are; none, where there are no bytes."""
        return -(-self.size_bytes // self.chunk_size_bytes)

    def offset(self, index: int) -> int:
        """Return where chunk `index` begins, in bytes from the start."""
        return index * self.chunk_size_bytes

    def length(self, index: int) -> int:
        """Return how many bytes chunk `index` has."""
        return min(self.chunk_size_bytes, self.size_bytes - self.offset(index))


class BlobStore(Protocol):
    """Keeps bytes under keys of our making (`keys.py`).

    A blob appears whole or not at all, and never changes. What a method returned from survives the
    loss of power, as far as the disk or the bucket keeps its word. A call that is cancelled may
    still have its effect. Safe to use from any number of tasks of one event loop.

    Each method may raise StoreUnavailable (try again later; it may or may not have happened), and
    those that write StoreFull (nothing was kept).
    """

    async def start(self) -> None:
        """Make ready. Raises what keeps the store from working at all."""
        ...

    async def aclose(self) -> None:
        """Let go of everything. No call may be under way."""
        ...

    async def ready(self) -> bool:
        """Whether the store can be used now; may raise instead of returning False."""
        ...

    # --- whole blobs ------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> Stored:
        """Keep what `pieces` yields, of any length, without ever holding more than a few MiB.

        The blob can be read once this has returned, and not a byte of it before. Raises what
        `pieces` raises; then nothing can be read under `key`. Whatever a failure or a crash left
        behind goes with `delete(key)`. A key is put once, or again after a failure.
        """
        ...

    def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read `length` bytes from `offset` (without `length`: to the end), piece by piece.

        Entering raises NoSuchBlob; the range must lie within the blob. Pieces have at most
        PIECE_BYTES, and nobody reads far ahead of who takes them. Raises ContentDamaged in the
        middle where fewer bytes are kept than there must be. Deleting the blob meanwhile either
        does not disturb the reader or ends it with StoreUnavailable.
        """
        ...

    async def size(self, key: str) -> int:
        """Return how many bytes the blob has. Raises NoSuchBlob."""
        ...

    async def delete(self, key: str) -> None:
        """Leave nothing of `key`: neither the blob nor what an unfinished write left behind.

        Idempotent. Where the key is never written again, repeating it after a failure is right.
        """
        ...

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> str | None:
        """Return an absolute URL by which anybody can GET the blob for so long.

        The answer to it carries `content_type` and `disposition`. None where this store can't be
        reached by clients: then the bytes go through us. Does not look whether the blob is there.
        """
        ...

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, plan: ChunkPlan) -> None:
        """Make a place for the chunks of an upload. Idempotent until it is sealed or discarded."""
        ...

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        """Keep chunk `index`, the concatenation of `data`, durably.

        It can be read once this has returned. Raises ChunkCorrupt, before anything is written,
        where `data` does not have the digest; NoSuchBlob where the upload was sealed, discarded or
        never begun (a store may notice that only when sealing: callers keep the record of what
        counts). `data` must have the length of the place.

        The caller sees to it that within this process no two *different* contents are written to
        one place at a time, and none over one that was recorded. A store that several processes
        write to keeps different contents apart by itself.
        """
        ...

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        """Return the chunk that was written with this digest.

        Raises NoSuchBlob where it is not there (any more: the upload may have been sealed), and
        ContentDamaged where what is kept does not have the digest.
        """
        ...

    async def seal(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        """Make the chunks of these digests, one for each place, into the blob `key`.

        Idempotent: repeated after a success or in the middle of a crash it completes what is
        missing, from several processes at once too. The blob can be read before the chunks are
        gone; they are gone for good only after `discard_chunks`. Raises NoSuchBlob where neither
        the chunks nor the blob are there.
        """
        ...

    async def discard_chunks(self, key: str) -> None:
        """Leave nothing of the chunks of an upload (`ChunkPlan.key`). Idempotent.

        A blob they were sealed into stays.
        """
        ...
