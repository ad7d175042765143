"""What storage refuses, by name. Slugs are API: documented, tested, stable."""

from sharezync_shared.problems import Kind, Problem, Unavailable


class FileTooLarge(Problem):
    """With `limit_bytes`."""

    kind, slug = Kind.TOO_LARGE, "file-too-large"
    title = "The file is larger than one file may be"


class QuotaExceeded(Problem):
    """With `quota_bytes`, `used_bytes`, `reserved_bytes` and `wanted_bytes`."""

    kind, slug = Kind.FULL, "quota-exceeded"
    title = "There is not enough room left in your quota"


class StoreFull(Problem):
    kind, slug, title = Kind.FULL, "storage-full", "There is no room left on our side"


class StoreUnavailable(Unavailable):
    slug, title = "storage-unavailable", "The store of files can't be reached at this moment"


class ContentDamaged(Problem):
    """What is kept is not what was stored. Never the client's fault."""

    kind, slug = Kind.BROKEN, "content-damaged"
    title = "What is kept here is not what was stored"


class BodyBroken(Problem):
    """The body ended too soon, or nothing of it came for too long."""

    kind, slug = Kind.MALFORMED, "body-broken"
    title = "The body did not arrive whole"


class FormInvalid(Problem):
    kind, slug = Kind.INVALID, "form-invalid"
    title = "The form must hold one file, in its field `file`"


class NotAForm(Problem):
    kind, slug = Kind.UNSUPPORTED, "not-a-form"
    title = "A file is uploaded as multipart/form-data"


class SignatureInvalid(Problem):
    kind, slug = Kind.FORBIDDEN, "signature-invalid"
    title = "This link was not made by us"


class SignatureExpired(Problem):
    kind, slug = Kind.FORBIDDEN, "signature-expired"
    title = "This link has run out: ask for a new one where you got it"


class ChunkCorrupt(Problem):
    kind, slug = Kind.INVALID, "chunk-corrupt"
    title = "The chunk does not have the digest that was said: send it again"


class ChunkLength(Problem):
    """With `expected_bytes`."""

    kind, slug = Kind.INVALID, "chunk-length"
    title = "The chunk does not have the length of its place"


class ChunkOutside(Problem):
    """With `chunk_count`."""

    kind, slug = Kind.INVALID, "chunk-outside"
    title = "The upload has no chunk of this index"


class ChunkConflict(Problem):
    kind, slug = Kind.CONFLICT, "chunk-conflict"
    title = "Another chunk is stored in this place already"


class UploadClosed(Problem):
    """With `state`."""

    kind, slug = Kind.CONFLICT, "upload-closed"
    title = "The upload takes no more chunks"


class UploadIncomplete(Problem):
    """With `missing`: ranges of chunk indexes, both ends inclusive."""

    kind, slug = Kind.CONFLICT, "upload-incomplete"
    title = "Chunks are missing"


class DigestMismatch(Problem):
    """With `expected_sha256` and `actual_sha256`. Final: the upload has failed."""

    kind, slug = Kind.INVALID, "digest-mismatch"
    title = "The whole file does not have the digest that was said"


class UploadFinishing(Unavailable):
    """Nothing is wrong: ask again after `Retry-After`; the work goes on meanwhile."""

    slug, title = "upload-finishing", "The upload is still being verified"


class OffsetMismatch(Problem):
    """With `offset`, in bytes: where the upload stands. Nothing was written."""

    kind, slug = Kind.CONFLICT, "offset-mismatch"
    title = "The upload stands at another offset: ask for it and go on from there"


class UploadBusy(Problem):
    """With `Retry-After`."""

    kind, slug = Kind.LOCKED, "upload-busy"
    title = "Another request is writing to this upload"


class UploadLengthConflict(Problem):
    kind, slug = Kind.INVALID, "upload-length-conflict"
    title = "That is more than the upload's length, or another length than was said before"


class ChecksumMismatch(Problem):
    """tus 1.0.0, Checksum: the bytes of this request were thrown away."""

    kind, slug = Kind.CHECKSUM, "checksum-mismatch"
    title = "The body does not have the checksum that was said: send it again"


class ChecksumUnsupported(Problem):
    """With `algorithms`."""

    kind, slug = Kind.MALFORMED, "checksum-unsupported"
    title = "This checksum can't be read, or its algorithm is not known here"


class TusVersionUnsupported(Problem):
    """With the header `Tus-Version`."""

    kind, slug = Kind.PRECONDITION, "tus-version"
    title = "This is another version of the tus protocol than is spoken here"


class NotAnOffsetStream(Problem):
    kind, slug = Kind.UNSUPPORTED, "not-an-offset-stream"
    title = "Bytes of an upload come as application/offset+octet-stream"


class FinalUpload(Problem):
    kind, slug = Kind.FORBIDDEN, "final-upload"
    title = "An upload that is made of others takes no bytes of its own"


class PartsUnfinished(Problem):
    """With `unfinished`: paths of uploads."""

    kind, slug = Kind.CONFLICT, "parts-unfinished"
    title = "Some of the uploads that this one is to be made of are not complete"


class UploadGone(Problem):
    kind, slug, title = Kind.GONE, "upload-gone", "The upload was given up, or has expired"


class TooManyUploads(Problem):
    """With `limit` and `Retry-After`."""

    kind, slug = Kind.LIMITED, "too-many-uploads"
    title = "Too many uploads are under way: finish or give up some first"


class TooManyFiles(Problem):
    """With `limit`."""

    kind, slug = Kind.CONFLICT, "too-many-files"
    title = "There are as many files of yours as there may be: delete some first"


class BodyTooSlow(Problem):
    kind, slug = Kind.SLOW, "body-too-slow"
    title = "The body came too slowly; what came is kept where the upload can be resumed"


class PartsWrong(Problem):
    kind, slug = Kind.CONFLICT, "parts-wrong"
    title = "Parts are missing, or are not those that were uploaded"


class LinkGone(Problem):
    kind, slug = Kind.GONE, "link-gone"
    title = "This link has run out, or was downloaded as often as it may be"


class LinkPassword(Problem):
    kind, slug, title = Kind.FORBIDDEN, "link-password", "This link asks for its password"


class LinkLocked(Problem):
    """With `Retry-After`."""

    kind, slug = Kind.LIMITED, "link-locked"
    title = "Too many wrong passwords: wait, and try again"


class TooManyLinks(Problem):
    """With `limit`, and `of`: `file` or `user`."""

    kind, slug = Kind.CONFLICT, "too-many-links"
    title = "There are too many links: revoke some first"


class ClaimGone(Problem):
    kind, slug = Kind.GONE, "claim-gone"
    title = "This download can't be gone on with any more: begin another one"


class UploadInterrupted(Unavailable):
    """What `body-broken` and `body-too-slow` are where an upload can be resumed (tus).

    A client may hear of it where it stalled; to tus clients a 4xx would mean: forget the upload.
    """

    slug = "upload-interrupted"
    title = "The body broke off; what came of it counts: ask for the offset and go on from there"
