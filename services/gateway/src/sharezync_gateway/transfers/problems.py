"""What is refused of chunks and files, by name. Slugs are API, and the same as on sockets."""

from typing import Final

from sharezync_shared.problems import (
    Conflict,
    Forbidden,
    Invalid,
    Kind,
    NotFound,
    Problem,
    Unavailable,
)


class ChunkOutside(Problem):
    kind, slug, title = Kind.INVALID, "chunk-outside", "The transfer has no such chunk"


class ChunkLength(Problem):
    """With `expected_bytes`."""

    kind, slug, title = Kind.INVALID, "chunk-length", "The chunk does not have its length"


class ChunkCorrupt(Problem):
    kind, slug = Kind.INVALID, "chunk-corrupt"
    title = "The chunk does not have the digest that was said: send it again"


class ChunkMissing(Problem):
    kind, slug, title = Kind.NOT_FOUND, "chunk-missing", "The chunk is not stored yet"


class ChunkConflict(Problem):
    kind, slug = Kind.CONFLICT, "chunk-conflict"
    title = "Another chunk is stored in this place already"


class UploadClosed(Problem):
    kind, slug = Kind.CONFLICT, "upload-closed"
    title = "The file takes no more chunks"


class TransferOver(Problem):
    """With `state`."""

    kind, slug = Kind.CONFLICT, "transfer-over"
    title = "Nothing more will happen to this transfer"


class NotInThisState(Problem):
    """With `state`."""

    kind, slug = Kind.CONFLICT, "wrong-state"
    title = "This can't be done to the transfer as it stands"


class StorageFull(Problem):
    kind, slug, title = Kind.FULL, "storage-full", "There is no room left on our side"


class QuotaExceeded(Problem):
    kind, slug = Kind.FULL, "quota-exceeded"
    title = "There is not enough room left in the sender's quota"


class BodyBroken(Problem):
    kind, slug, title = Kind.MALFORMED, "body-broken", "The body ended too soon"


class BodyTooSlow(Problem):
    kind, slug, title = Kind.SLOW, "request-timeout", "The request took too long to arrive"


_BY_SLUG: Final[dict[str, type[Problem]]] = {
    problem.slug: problem
    for problem in (
        ChunkOutside, ChunkLength, ChunkCorrupt, ChunkConflict, UploadClosed, TransferOver,
        StorageFull, QuotaExceeded, Forbidden, NotFound, Unavailable,
    )
}  # fmt: skip


def of_code(code: str, detail: str, status: int) -> Problem:
    """Return the problem of this code; for one that isn't known here, the nearest by status."""
    known = _BY_SLUG.get(code)
    if known is None:
        known = Invalid if status == Kind.INVALID.value else Conflict
    return known(detail)
