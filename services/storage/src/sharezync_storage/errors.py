"""What storage refuses, by name. Slugs are API: documented, tested, stable.

Those that other services act on stand in the contract.
"""

from sharezync_shared.problems import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    Problem,
    ProblemKind,
    Unavailable,
    Unsupported,
)


class StoreFull(Problem):
    kind, slug, title = ProblemKind.FULL, "storage-full", "The server is out of storage space"


class StoreUnavailable(Unavailable):
    slug, title = "storage-unavailable", "The file store is temporarily unavailable"


class ContentDamaged(Problem):
    """What is kept is not what was stored. Never the client's fault."""

    kind, slug = ProblemKind.BROKEN, "content-damaged"
    title = "The stored content is damaged"


class BodyBroken(Malformed):
    """The body ended too soon, or nothing of it came for too long."""

    slug, title = "body-broken", "The request body is incomplete"


class BodyTooSlow(Problem):
    kind, slug = ProblemKind.SLOW, "body-too-slow"
    title = "The request body was received too slowly; resumable uploads keep the received bytes"


class FormInvalid(Invalid):
    slug, title = "form-invalid", "The form must contain one file in the field `file`"


class NotAForm(Unsupported):
    slug, title = "not-a-form", "The content type must be multipart/form-data"


class SignatureInvalid(Forbidden):
    slug, title = "signature-invalid", "The signature of the URL is invalid"


class SignatureExpired(Forbidden):
    slug, title = "signature-expired", "The signed URL has expired; request a new one"


class ChunkCorrupt(Invalid):
    slug, title = "chunk-corrupt", "The chunk doesn't match its digest; send it again"


class ChunkLength(Invalid):  # with `expected_bytes`
    slug, title = "chunk-length", "The chunk has the wrong length"


class ChunkOutside(Invalid):  # with `chunk_count`
    slug, title = "chunk-outside", "The upload has no chunk with this index"


class ChunkConflict(Conflict):
    slug, title = "chunk-conflict", "A different chunk is already stored at this index"


class OffsetMismatch(Conflict):
    """With `offset`, in bytes: where the upload stands. Nothing was written."""

    slug, title = "offset-mismatch", "Wrong offset; get the current one and resume from there"


class UploadBusy(Problem):  # with `Retry-After`
    kind, slug = ProblemKind.LOCKED, "upload-busy"
    title = "Another request is writing to this upload"


class UploadLengthConflict(Invalid):
    slug = "upload-length-conflict"
    title = "The body exceeds the length of the upload, or the length was changed"


class UploadInterrupted(Unavailable):
    """What `body-broken` and `body-too-slow` are where an upload can be resumed (tus).

    A client may hear of it where it stalled; to tus clients a 4xx would mean: forget the upload.
    """

    slug = "upload-interrupted"
    title = "The request body was interrupted; get the offset and resume from there"


class ChecksumMismatch(Problem):
    """tus 1.0.0, Checksum: the bytes of this request were thrown away."""

    kind, slug = ProblemKind.CHECKSUM, "checksum-mismatch"
    title = "The body doesn't match its checksum; send it again"


class ChecksumUnsupported(Malformed):  # with `algorithms`
    slug = "checksum-unsupported"
    title = "The checksum is malformed or its algorithm isn't supported"


class TusVersionUnsupported(Problem):  # with the header `Tus-Version`
    kind, slug = ProblemKind.PRECONDITION, "tus-version"
    title = "This version of the tus protocol isn't supported"


class NotAnOffsetStream(Unsupported):
    slug = "not-an-offset-stream"
    title = "The content type must be application/offset+octet-stream"


class FinalUpload(Forbidden):
    slug, title = "final-upload", "A concatenated upload accepts no bytes of its own"


class PartsUnfinished(Conflict):  # with `unfinished`: paths of uploads
    slug, title = "parts-unfinished", "Some of the uploads to concatenate aren't complete"


class UploadGone(Gone):
    slug, title = "upload-gone", "The upload was cancelled or has expired"


class PartsWrong(Conflict):
    slug, title = "parts-wrong", "Parts are missing or differ from those that were uploaded"


class LinkGone(Gone):
    slug, title = "link-gone", "The link has expired or its downloads are used up"


class LinkPassword(Forbidden):
    slug, title = "link-password", "The link requires its password"


class LinkLocked(Problem):  # with `Retry-After`
    kind, slug = ProblemKind.LIMITED, "link-locked"
    title = "Too many wrong passwords; try again later"


class TooManyLinks(Conflict):  # with `limit`, and `of`: `file` or `user`
    slug, title = "too-many-links", "The limit of links is reached; revoke some first"


class ClaimGone(Gone):
    slug, title = "claim-gone", "The download can no longer be resumed; start a new one"
