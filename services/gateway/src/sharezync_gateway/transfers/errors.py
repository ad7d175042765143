"""What is refused of chunks and files, by name. Slugs are API, and the same as on sockets."""

from typing import Final

from sharezync_shared.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    ProblemKind,
    Unauthenticated,
    Unavailable,
)


class ChunkOutside(Problem):
    kind, slug, title = (
        ProblemKind.INVALID,
        "chunk-outside",
        "The transfer has no chunk with this index",
    )


class ChunkLength(Problem):
    """With `expected_bytes`."""

    kind, slug, title = ProblemKind.INVALID, "chunk-length", "The chunk has the wrong length"


class ChunkCorrupt(Problem):
    kind, slug = ProblemKind.INVALID, "chunk-corrupt"
    title = "The chunk doesn't match its digest; send it again"


class ChunkMissing(Problem):
    kind, slug, title = ProblemKind.NOT_FOUND, "chunk-missing", "The chunk isn't stored yet"


class ChunkConflict(Problem):
    kind, slug = ProblemKind.CONFLICT, "chunk-conflict"
    title = "A different chunk is already stored at this index"


class UploadClosed(Problem):
    kind, slug = ProblemKind.CONFLICT, "upload-closed"
    title = "The file accepts no more chunks"


class TransferOver(Problem):
    """With `state`."""

    kind, slug = ProblemKind.CONFLICT, "transfer-over"
    title = "The transfer has ended"


class NotInThisState(Problem):
    """With `state`."""

    kind, slug = ProblemKind.CONFLICT, "wrong-state"
    title = "Not possible in the current state of the transfer"


class StorageFull(Problem):
    kind, slug, title = ProblemKind.FULL, "storage-full", "The server is out of storage space"


class QuotaExceeded(Problem):
    kind, slug = ProblemKind.FULL, "quota-exceeded"
    title = "The sender's quota is exceeded"


class BodyBroken(Problem):
    kind, slug, title = ProblemKind.MALFORMED, "body-broken", "The request body is incomplete"


class BodyTooSlow(Problem):
    kind, slug, title = ProblemKind.SLOW, "request-timeout", "The request was received too slowly"


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
        known = Invalid if status == ProblemKind.INVALID.value else Conflict
    return known(detail)


class TokenRefused(Unauthenticated):
    """Told with the scheme that was used (RFC 9110 §11.6.1)."""

    def __init__(self) -> None:
        super().__init__(
            "The token isn't valid for this transfer",
            headers={"WWW-Authenticate": 'Transfer error="invalid_token"'},
        )
