"""What storage serves to the other services."""

from collections.abc import Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from sharezync_shared.calls.client import ServiceClient, refusal_of
from sharezync_shared.calls.operations import Operation, joined, portions
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import FILE_NAME, MEDIA_TYPE, Parsed
from sharezync_shared.problems import Invalid, NotFound, Problem, ProblemKind, Unavailable
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.sizes import MAX_CHUNK_BYTES

MAX_FILES: Final = 100
"""Files that are described at once."""
MAX_UPLOADS: Final = 1000
"""Uploads in one call: as many as a transfer has files."""
MAX_URL_SECONDS: Final = 300
"""How long a signed URL may hold: passing it on must be of little use."""
DIGEST_HEADER: Final = "x-chunk-sha256"
"""Of a chunk, in hexadecimal, on its way in and out."""
CHUNK_PATH: Final = "/internal/uploads/{upload_id}/chunks/{index}"
"""PUT and GET move the raw bytes of a chunk; PUT is answered with `ChunkStored`."""

ChunkSize = Annotated[int, Field(ge=1, le=MAX_CHUNK_BYTES, strict=True)]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]


class FileTooLarge(Problem):
    """With `limit_bytes`."""

    kind, slug = ProblemKind.TOO_LARGE, "file-too-large"
    title = "The file exceeds the maximum size"


class QuotaExceeded(Problem):
    """With `quota_bytes`, `used_bytes`, `reserved_bytes` and `wanted_bytes`."""

    kind, slug = ProblemKind.FULL, "quota-exceeded"
    title = "The quota is exceeded"


class TooManyUploads(Problem):
    """With `limit` and `Retry-After`."""

    kind, slug = ProblemKind.LIMITED, "too-many-uploads"
    title = "Too many active uploads; complete or cancel some first"


class TooManyFiles(Problem):
    """With `limit`."""

    kind, slug = ProblemKind.CONFLICT, "too-many-files"
    title = "The limit of files is reached; delete some first"


class UploadClosed(Problem):
    """With `state`."""

    kind, slug = ProblemKind.CONFLICT, "upload-closed"
    title = "The upload accepts no more chunks"


class UploadIncomplete(Problem):
    """With `missing`: ranges of chunk indexes, both ends inclusive."""

    kind, slug = ProblemKind.CONFLICT, "upload-incomplete"
    title = "Chunks are missing"


class DigestMismatch(Problem):
    """With `expected_sha256` and `actual_sha256`. Final: the upload has failed."""

    kind, slug = ProblemKind.INVALID, "digest-mismatch"
    title = "The file doesn't match its digest"


class UploadFinishing(Unavailable):
    """Nothing is wrong: ask again after `Retry-After`; the work goes on meanwhile."""

    slug, title = "upload-finishing", "The upload is still being verified"


@dataclass(frozen=True, slots=True)
class FilesAsked:
    """Ids of files."""

    ids: Annotated[Parsed, Field(description="Comma-separated ids, at most 100", max_length=4000)]
    owner_id: Annotated[UUID | None, Field(description="Only files of this user")] = None


@dataclass(frozen=True, slots=True)
class FileDescription:
    """A file."""

    id: UUID
    name: str
    size_bytes: int
    mime: str
    sha256: str | None
    owner_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FileList:
    """The requested files that exist, in no order."""

    files: list[FileDescription]


@dataclass(frozen=True, slots=True)
class UrlCreateFor:
    """The user and the lifetime of a URL."""

    user_id: Annotated[
        UUID, Field(description="User who may read the file, as the calling service has checked")
    ]
    expires_in_seconds: Annotated[int, Field(ge=1, le=MAX_URL_SECONDS, strict=True)] = (
        MAX_URL_SECONDS
    )


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A signed URL. Everyone who has it can use it until it expires."""

    url: Annotated[str, Field(description="Absolute URL, or a path of this API")]
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileComing:
    """A file to upload in chunks."""

    name: Annotated[str, FILE_NAME]
    size_bytes: Annotated[int, Field(ge=0, strict=True)]
    mime: Annotated[str, MEDIA_TYPE] | None = None
    sha256: Annotated[
        Sha256Hex | None, Field(description="SHA-256 of the file, verified on completion")
    ] = None


@dataclass(frozen=True, slots=True)
class UploadCreated:
    """A new upload. Its file will have the same id."""

    id: UUID
    chunk_count: int


@dataclass(frozen=True, slots=True)
class UploadsCreate:
    """Files to upload in chunks, their owner, and the size of the chunks."""

    owner_id: UUID
    chunk_size_bytes: ChunkSize
    files: Annotated[
        list[FileComing],
        Field(min_length=1, max_length=MAX_UPLOADS, description="Files to upload"),
    ]


@dataclass(frozen=True, slots=True)
class UploadsCreated:
    """An upload for each file, in their order."""

    uploads: Annotated[
        list[UploadCreated], Field(description="New uploads, in the order of the files")
    ]


@dataclass(frozen=True, slots=True)
class UploadIds:
    """Ids of uploads."""

    ids: Annotated[
        list[UUID],
        Field(min_length=1, max_length=MAX_UPLOADS, description="Ids of the uploads"),
    ]


@dataclass(frozen=True, slots=True)
class UploadRead:
    """State of an upload."""

    id: UUID
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    stored_bytes: int
    stored: Annotated[
        list[Pair], Field(description="Ranges of chunk indexes, both ends inclusive.")
    ]
    state: Annotated[
        str,
        Field(description="created, receiving, verifying, finished, failed or aborted"),
    ]
    root: Annotated[
        str | None,
        Field(description="SHA-256 over the digests of the chunks in order, once finished."),
    ]
    sha256: Annotated[str | None, Field(description="SHA-256 of the file, if the sender gave it.")]
    file_id: Annotated[UUID | None, Field(description="Id of the file, once finished.")]

    @property
    def ranges(self) -> Ranges:
        """Which chunks are stored."""
        return Ranges(self.stored)


@dataclass(frozen=True, slots=True)
class UploadsRead:
    """State of uploads; those that don't exist any more are left out."""

    uploads: Annotated[list[UploadRead], Field(description="Uploads that exist, in no order")]


@dataclass(frozen=True, slots=True)
class UploadFinished:
    """The file of an upload."""

    file_id: UUID
    root: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class FinishResult:
    """`finished` on success, else `problem`."""

    finished: Annotated[
        UploadFinished | None, Field(description="The file, if it was completed")
    ] = None
    problem: Annotated[
        dict[str, Any] | None,
        Field(description="Problem document, if it was not completed"),
    ] = None


@dataclass(frozen=True, slots=True)
class FinishResults:
    """One result for each upload, in the order of the ids."""

    results: Annotated[list[FinishResult], Field(description="Results, in the order of the ids")]


@dataclass(frozen=True, slots=True)
class ChunkStored:
    """A stored chunk, and the state of its upload."""

    stored_bytes: int
    next: Annotated[
        int,
        Field(description="Index of the first missing chunk; the number of chunks if none is"),
    ]
    complete: bool


DESCRIBE_FILES = Operation("GET", "/internal/files", FilesAsked, FileList, repeatable=True)
MAKE_URL = Operation(
    "POST",
    "/internal/files/{file_id}/urls",
    UrlCreateFor,
    SignedUrl,
    refusals=(NotFound,),
    repeatable=True,
)
_NO_ROOM: Final = (Invalid, FileTooLarge, QuotaExceeded, TooManyFiles, TooManyUploads)
BEGIN_UPLOADS = Operation(
    "POST", "/internal/uploads/begin", UploadsCreate, UploadsCreated, _NO_ROOM, success=201
)
LIST_UPLOADS = Operation(
    "POST", "/internal/uploads/status", UploadIds, UploadsRead, repeatable=True
)
FINISH_UPLOADS = Operation(
    "POST", "/internal/uploads/finish", UploadIds, FinishResults, repeatable=True
)
ABORT_UPLOADS = Operation("POST", "/internal/uploads/abort", UploadIds, NoneType, repeatable=True)
GET_UPLOAD = Operation(
    "GET",
    "/internal/uploads/{upload_id}",
    NoneType,
    UploadRead,
    refusals=(NotFound,),
    repeatable=True,
)
_UNFINISHED: Final[dict[str, type[Problem]]] = {
    problem.slug: problem
    for problem in (NotFound, UploadIncomplete, UploadClosed, DigestMismatch, UploadFinishing)
}
"""What may come of an upload instead of a file."""


class StorageClient(ServiceClient):
    """Calls to storage. Each raises ServiceUnavailable, and the refusals that it names."""

    service = "storage"

    async def files(self, file_ids: Collection[UUID], owner_id: UserId) -> list[FileDescription]:
        """Return those of these files that exist and are this user's.

        They are held for an hour; nobody else's are.
        """
        return [
            file
            for some in portions(file_ids, MAX_FILES)
            for file in (await self.call(DESCRIBE_FILES, FilesAsked(joined(some), owner_id))).files
        ]

    async def file_url(self, file_id: UUID, user_id: UserId, expires_in_seconds: int) -> str:
        """Return where this user may fetch the file, for so long and from now on.

        May be relative to the gateway. Raises NotFound for a file that is gone.
        """
        asked = UrlCreateFor(user_id, expires_in_seconds)
        return (await self.call(MAKE_URL, asked, file_id=file_id)).url

    async def begin_uploads(
        self, owner_id: UserId, files: Sequence[FileComing], chunk_size_bytes: int
    ) -> list[UUID]:
        """Open a place for the chunks of each of these files, or for none; return their ids.

        At most `MAX_UPLOADS`. Raises Invalid, FileTooLarge, QuotaExceeded, TooManyFiles and
        TooManyUploads. Not idempotent: what is opened by a call whose answer is lost is given up
        by storage when nothing comes.
        """
        asked = UploadsCreate(owner_id, chunk_size_bytes, list(files))
        opened = (await self.call(BEGIN_UPLOADS, asked)).uploads
        self._check_count(BEGIN_UPLOADS, opened, files)
        return [each.id for each in opened]

    async def stored(self, upload_ids: Sequence[UUID]) -> dict[UUID, Ranges]:
        """Return which chunks storage has of at most `MAX_UPLOADS`; who are gone are left out."""
        read = await self.call(LIST_UPLOADS, UploadIds(list(upload_ids)))
        return {each.id: each.ranges for each in read.uploads}

    async def finish_uploads(self, upload_ids: Sequence[UUID]) -> list[UploadFinished | Problem]:
        """Have storage verify uploads, and return what came of each, in their order. Idempotent.

        At most `MAX_UPLOADS`. Instead of a file: UploadIncomplete, DigestMismatch (final),
        UploadFinishing (ask again), NotFound or UploadClosed for one that is gone, or
        ServiceUnavailable.
        """
        results = (await self.call(FINISH_UPLOADS, UploadIds(list(upload_ids)))).results
        self._check_count(FINISH_UPLOADS, results, upload_ids)
        return [each.finished or self._unfinished(each.problem or {}) for each in results]

    async def abort_uploads(self, upload_ids: Sequence[UUID]) -> None:
        """Have storage forget at most `MAX_UPLOADS` and everything in them. Idempotent."""
        await self.call(ABORT_UPLOADS, UploadIds(list(upload_ids)))

    async def upload(self, upload_id: UUID) -> UploadRead:
        """Return what storage has of an upload. Raises NotFound for one that is gone."""
        return await self.call(GET_UPLOAD, None, upload_id=upload_id)

    def _check_count(self, operation: Operation[Any, Any], answered: Sized, asked: Sized) -> None:
        if len(answered) != len(asked):
            raise self._failed(operation, f"{len(answered)} answers for {len(asked)}")

    def _unfinished(self, document: Mapping[str, Any]) -> Problem:
        refusal = refusal_of(_UNFINISHED, document)
        return refusal or self._failed(FINISH_UPLOADS, f"an answer was {document.get('code')}")
