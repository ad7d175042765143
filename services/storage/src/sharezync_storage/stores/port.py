"""What a store promises: blobs, uploads on their way to one, and capabilities that it may have.

`BlobStore` is what every adapter writes. `UploadStore` adds uploads: an adapter that keeps objects
inherits them (`object_uploads.py`), one that keeps files may do better. `DirectUploads` and
`LocalFiles` are for stores that can; callers ask with `isinstance`. One suite of tests
(`tests/store_contract.py`) holds all adapters to every sentence here; docs/how-to/add-a-store.md
has the way to another one.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from io import FileIO
from typing import Final, Protocol, runtime_checkable

PIECE_BYTES: Final = 256 * 1024
"""The most that one piece of a read holds."""


class NoSuchBlob(Exception):
    """Nothing is kept under this key: nothing ever was, or it was deleted."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What a store took in, counted and hashed on the way."""

    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How an upload is cut into chunks: all have one size, but the last may be shorter."""

    key: str
    """Of the upload, where the finished blob has another; of the blob, straight to the store."""
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


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A piece of an upload that is kept as an object of its own (`models.Segment`)."""

    number: int
    """From 0."""
    size_bytes: int
    suffix: str


@dataclass(frozen=True, slots=True)
class Extent:
    """How far an upload has come that is written from its start to its end.

    `segments` are those that hold its bytes, in order; a folder keeps one file and has none. It is
    what callers keep on record, and the record alone decides what counts.
    """

    size_bytes: int = 0
    segments: tuple[StoredSegment, ...] = ()


Kept = Callable[[Extent], Awaitable[bool]]
"""Called when more is durable; returns whether it is on record now. What it raises ends the write.

False: not yet (bytes whose checksum isn't known don't count), and perhaps never. Until it was True
for a longer extent, everything that the last recorded one names must stay.
"""


@dataclass(frozen=True, slots=True)
class DirectPart:
    """One part of an upload straight to the store: PUT exactly `size_bytes` to `url`."""

    number: int
    """From 1."""
    size_bytes: int
    url: str
    headers: dict[str, str]
    """To be sent as they are: they are signed."""


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
        """Whether the store can be used now; may raise instead of returning False.

        Raises DependencyDown where it can be said what an operator must do.
        """
        ...

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        """Keep what `pieces` yields, of any length, holding a few MiB at most.

        The blob can be read once this has returned, and not a byte of it before. Where `pieces`
        raises, nothing can be read. A key is put once, or again after a failure.
        """
        ...

    def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read `length` bytes from `offset` (without `length`: to the end), piece by piece.

        Entering raises NoSuchBlob; the range must lie within the blob. Pieces have at most
        PIECE_BYTES. Raises ContentDamaged in the middle where fewer bytes are kept than must be.
        Deleting the blob meanwhile may end the reader with StoreUnavailable.
        """
        ...

    async def size(self, key: str) -> int:
        """Return how many bytes the blob has. Raises NoSuchBlob."""
        ...

    async def delete(self, key: str) -> None:
        """Leave nothing of `key`: neither the blob nor what unfinished writes left. Idempotent."""
        ...

    async def tidy(self, key: str) -> None:
        """Leave nothing of interrupted writes of a blob, which itself stays. Idempotent.

        Only once nobody can be writing it any more.
        """
        ...


class UploadStore(BlobStore, Protocol):
    """Keeps uploads too: in chunks, each with a digest, or appended from start to end.

    Both are made a blob when they are complete (`assemble…`), and gone after `discard`.
    """

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, *plans: ChunkPlan) -> None:
        """Make a place for the chunks of each upload. Idempotent while they take chunks."""
        ...

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        """Keep chunk `index`, the concatenation of `data`, durably.

        `data` must have the length of the place. Raises ChunkCorrupt, before anything is written,
        where it does not have the digest; NoSuchBlob where the upload was assembled, discarded or
        never begun (a store may notice that only when assembling).

        The caller sees to it that within this process no two *different* contents are written to
        one place at a time, and none over one that was recorded. A store that several processes
        write to keeps different contents apart by itself.
        """
        ...

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        """Return the chunk that was written with this digest.

        Raises NoSuchBlob where it is not there (the upload may have been assembled), and
        ContentDamaged where what is kept does not have the digest.
        """
        ...

    async def assemble_chunks(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        """Make the chunks of these digests, one for each place, into the blob `key`.

        Idempotent, from several processes at once too. The chunks are gone for good only after
        `discard`. Raises NoSuchBlob where neither they nor the blob are there.
        """
        ...

    # --- from start to end ------------------------------------------------------------------

    async def append(
        self, key: str, pieces: AsyncIterable[bytes], *, start: Extent, epoch: int, kept: Kept
    ) -> Extent:
        """Write `pieces`, of any length, behind `start`; return the extent with all of them.

        `kept` is awaited with a longer extent whenever more has become durable: at least after
        every 16 MiB, half a second after `pieces` has paused (up to four seconds later where the
        last segment is written anew), and at the end, again if it wasn't on record; never two at a
        time. Where `pieces` raises or the caller is cancelled, what came before is made durable and
        given to `kept` first, however often that is repeated. Where `kept` raises, nothing more is
        written. Holds at most some 24 MiB.

        Bytes behind `start` that an earlier writer left and nobody recorded are written over, or
        never counted: `epoch` must be larger than that of any earlier writer, which the caller has
        stopped (in this process) or fenced off (elsewhere). Segments that a longer extent no longer
        names are deleted once `kept` has returned True for it, those for which it never did at the
        end.

        Raises NoSuchBlob where what is on record is not there, ContentDamaged where it is something
        else, and StoreUnavailable, or what `kept` raises, for one in this process that goes on
        behind a later epoch.
        """
        ...

    async def assemble(self, sources: Sequence[tuple[str, Extent]], key: str) -> None:
        """Make the blob `key` of these, one behind the other. Each is a key and its extent.

        Idempotent, from several processes at once too. The sources stay until `discard`; nobody may
        append to them any more. Raises NoSuchBlob where neither they nor the blob are there.
        """
        ...

    async def discard(self, key: str) -> None:
        """Leave nothing of an upload's chunks, or of what was appended to it. Idempotent."""
        ...


@runtime_checkable
class DirectUploads(Protocol):
    """A store that clients may reach themselves, by signed URLs."""

    @property
    def reachable_by_clients(self) -> bool:
        """Whether they do: else nothing is begun here, and all bytes go through us."""
        ...

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> str:
        """Return an absolute URL by which anybody can GET the blob for so long, if it is there.

        The answer carries `content_type` and `disposition`.
        """
        ...

    async def begin_direct(self, plan: ChunkPlan, *, content_type: str) -> str:
        """Begin an upload of a blob that clients make by URLs; return the store's id of it."""
        ...

    async def direct_parts(
        self, plan: ChunkPlan, direct_id: str, *, expires_in_seconds: int
    ) -> list[DirectPart]:
        """Return a signed URL for each part, the length signed; at least one, perhaps of no bytes.

        They can be used until the upload is completed: no URL that is still out there makes a blob
        of other bytes of a finished one. (Swift takes late parts, and can't read the blob then.)
        """
        ...

    async def complete_direct(
        self, key: str, direct_id: str, etags: Sequence[str], *, size_bytes: int
    ) -> None:
        """Make the parts with these ETags, in order, the blob. Idempotent once it has succeeded.

        Raises PartsWrong where a part is missing or is another than its ETag says (it can still be
        completed), or the whole has another size (then nothing is left); NoSuchBlob where the
        upload is no more.
        """
        ...

    async def abort_direct(self, key: str, direct_id: str) -> None:
        """Leave nothing of an upload that was never completed. Idempotent.

        Touches nothing where the blob is there: on some servers, aborting what was completed
        destroys it.
        """
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """A store whose blobs are files of this machine, for who can send them without reading."""

    def open_file(self, key: str) -> AbstractAsyncContextManager[FileIO]:
        """Open the blob as a file. Entering raises NoSuchBlob."""
        ...
