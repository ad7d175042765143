"""What storage refuses, by name. Slugs are API: documented, tested, stable.

Those that other services act on stand in the contract.
"""

from sharezync_shared.problems import Problem, ProblemKind, Unavailable


class StoreFull(Problem):
    kind, slug, title = ProblemKind.FULL, "storage-full", "The server is out of storage space"


class StoreUnavailable(Unavailable):
    slug, title = "storage-unavailable", "The file store is temporarily unavailable"


class ContentDamaged(Problem):
    """What is kept is not what was stored. Never the client's fault."""

    kind, slug = ProblemKind.BROKEN, "content-damaged"
    title = "The stored content is damaged"


class BodyBroken(Problem):
    """The body ended too soon, or nothing of it came for too long."""

    kind, slug = ProblemKind.MALFORMED, "body-broken"
    title = "The request body is incomplete"


class FormInvalid(Problem):
    kind, slug = ProblemKind.INVALID, "form-invalid"
    title = "The form must contain one file in the field `file`"


class NotAForm(Problem):
    kind, slug = ProblemKind.UNSUPPORTED, "not-a-form"
    title = "The content type must be multipart/form-data"


class SignatureInvalid(Problem):
    kind, slug = ProblemKind.FORBIDDEN, "signature-invalid"
    title = "The signature of the URL is invalid"


class SignatureExpired(Problem):
    kind, slug = ProblemKind.FORBIDDEN, "signature-expired"
    title = "The signed URL has expired; request a new one"


class ChunkCorrupt(Problem):
    kind, slug = ProblemKind.INVALID, "chunk-corrupt"
    title = "The chunk doesn't match its digest; send it again"


class ChunkLength(Problem):
    """With `expected_bytes`."""

    kind, slug = ProblemKind.INVALID, "chunk-length"
    title = "The chunk has the wrong length"


class ChunkOutside(Problem):
    """With `chunk_count`."""

    kind, slug = ProblemKind.INVALID, "chunk-outside"
    title = "The upload has no chunk with this index"


class ChunkConflict(Problem):
    kind, slug = ProblemKind.CONFLICT, "chunk-conflict"
    title = "A different chunk is already stored at this index"


class OffsetMismatch(Problem):
    """With `offset`, in bytes: where the upload stands. Nothing was written."""

    kind, slug = ProblemKind.CONFLICT, "offset-mismatch"
    title = "Wrong offset; get the current one and resume from there"


class UploadBusy(Problem):
    """With `Retry-After`."""

    kind, slug = ProblemKind.LOCKED, "upload-busy"
    title = "Another request is writing to this upload"


class UploadLengthConflict(Problem):
    kind, slug = ProblemKind.INVALID, "upload-length-conflict"
    title = "The body exceeds the length of the upload, or the length was changed"


class ChecksumMismatch(Problem):
    """tus 1.0.0, Checksum: the bytes of this request were thrown away."""

    kind, slug = ProblemKind.CHECKSUM, "checksum-mismatch"
    title = "The body doesn't match its checksum; send it again"


class ChecksumUnsupported(Problem):
    """With `algorithms`."""

    kind, slug = ProblemKind.MALFORMED, "checksum-unsupported"
    title = "The checksum is malformed or its algorithm isn't supported"


class TusVersionUnsupported(Problem):
    """With the header `Tus-Version`."""

    kind, slug = ProblemKind.PRECONDITION, "tus-version"
    title = "This version of the tus protocol isn't supported"


class NotAnOffsetStream(Problem):
    kind, slug = ProblemKind.UNSUPPORTED, "not-an-offset-stream"
    title = "The content type must be application/offset+octet-stream"


class FinalUpload(Problem):
    kind, slug = ProblemKind.FORBIDDEN, "final-upload"
    title = "A concatenated upload accepts no bytes of its own"


class PartsUnfinished(Problem):
    """With `unfinished`: paths of uploads."""

    kind, slug = ProblemKind.CONFLICT, "parts-unfinished"
    title = "Some of the uploads to concatenate aren't complete"


class UploadGone(Problem):
    kind, slug, title = ProblemKind.GONE, "upload-gone", "The upload was cancelled or has expired"


class BodyTooSlow(Problem):
    kind, slug = ProblemKind.SLOW, "body-too-slow"
    title = "The request body was received too slowly; resumable uploads keep the received bytes"


class PartsWrong(Problem):
    kind, slug = ProblemKind.CONFLICT, "parts-wrong"
    title = "Parts are missing or differ from those that were uploaded"


class LinkGone(Problem):
    kind, slug = ProblemKind.GONE, "link-gone"
    title = "The link has expired or its downloads are used up"


class LinkPassword(Problem):
    kind, slug, title = ProblemKind.FORBIDDEN, "link-password", "The link requires its password"


class LinkLocked(Problem):
    """With `Retry-After`."""

    kind, slug = ProblemKind.LIMITED, "link-locked"
    title = "Too many wrong passwords; try again later"


class TooManyLinks(Problem):
    """With `limit`, and `of`: `file` or `user`."""

    kind, slug = ProblemKind.CONFLICT, "too-many-links"
    title = "The limit of links is reached; revoke some first"


class ClaimGone(Problem):
    kind, slug = ProblemKind.GONE, "claim-gone"
    title = "The download can no longer be resumed; start a new one"


class UploadInterrupted(Unavailable):
    """What `body-broken` and `body-too-slow` are where an upload can be resumed (tus).

    A client may hear of it where it stalled; to tus clients a 4xx would mean: forget the upload.
    """

    slug = "upload-interrupted"
    title = "The request body was interrupted; get the offset and resume from there"
