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


class RangeUnsatisfiable(Problem):
    """With the header `Content-Range: bytes */<size>` (RFC 9110 §15.5.17)."""

    kind, slug = Kind.RANGE, "range-unsatisfiable"
    title = "No byte of the file lies in that range, or more than one range was asked for"


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
