"""What the gateway refuses, and how a request can fail between the client and the service."""

from typing import Final

from sharezync_shared.problems import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    ProblemKind,
    Unauthenticated,
    Unavailable,
    UpstreamTimeout,
)


class TooManySubscriptions(Conflict):
    slug, title = (
        "too-many-subscriptions",
        "The limit of subscriptions is reached; unsubscribe first",
    )


class PresenceOff(Forbidden):
    slug, title = "presence-off", "Presence is disabled on this server"


class TypingOff(Forbidden):
    slug, title = "typing-off", "Typing is disabled on this server"


class AlreadyMember(Conflict):
    slug, title = "already-member", "You are a member of the channel already"


class NoAttachment(Malformed):
    slug, title = "no-attachment", "The message has no file"


class BadPath(Malformed):
    slug, title = "bad-path", "The path is malformed"


class BadHeaders(Malformed):
    slug, title = "bad-headers", "The header fields contradict each other"


class Unreachable(Unavailable):
    """No connection came about: the service has seen nothing of the request."""


class TookTooLong(UpstreamTimeout):
    """The service said nothing for too long; what it did with the request is not known."""


class BrokenAnswer(Problem):
    """The service broke off, or said what is no HTTP; what it did is not known."""

    kind, slug, title = (
        ProblemKind.UPSTREAM,
        "bad-gateway",
        "An upstream service sent an incomplete response",
    )


class ClientTooSlow(Problem):
    """The client sends nothing more of what it announced."""

    kind, slug, title = (
        ProblemKind.MALFORMED,
        "request-timeout",
        "The request was received too slowly",
    )

    @property
    def status(self) -> int:
        """408 (RFC 9110 §15.5.9): no domain error is of that kind."""
        return 408


class UploadInterrupted(Unavailable):
    """The same of a body of tus, in storage's words: what came is kept.

    To clients of tus a 4xx means that the upload can't go on, but for 409 and 423.
    """

    slug = "upload-interrupted"
    title = "The request body was interrupted; get the offset and resume from there"


class ClientGone(OSError):
    """The client left, or doesn't read. OSError is what ASGI servers raise from `send` for that."""


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
    """Answered with the scheme that was used (RFC 9110 §11.6.1)."""

    def __init__(self) -> None:
        super().__init__(
            "The token isn't valid for this transfer",
            headers={"WWW-Authenticate": 'Transfer error="invalid_token"'},
        )
